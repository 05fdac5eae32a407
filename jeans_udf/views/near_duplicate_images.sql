CREATE OR REPLACE ${kind}VIEW ${view} (
  `image_id` COMMENT 'Key of an image',
  `other_image_id` COMMENT 'Key of an image that looks nearly the same; each pair stands once',
  `product_id` COMMENT 'Product that the image shows',
  `other_product_id` COMMENT 'Product that the other one shows',
  `distance` COMMENT 'Bits of 64 in which their perceptual hashes differ, 0 to ${most_bits}',
  `same_bytes` COMMENT 'Whether the two files are the same, byte by byte'
)
COMMENT 'Images that look nearly the same, each beside the first of them, by their perceptual hash'
AS
WITH hashed AS (
  SELECT image_id, image_sha256, phash FROM ${image_detections} WHERE phash IS NOT NULL
),
-- Of images with one hash only the first is compared: a placeholder may stand in half a catalog.
firsts AS (
  SELECT phash, min(image_id) AS image_id FROM hashed GROUP BY phash
),
-- Hashes that differ in at most ${most_bits} bits agree under at least one of these masks.
masked AS (
  SELECT image_id, phash, mask, phash & mask AS bits
  FROM firsts
  LATERAL VIEW explode(array(
    ${masks}
  )) AS mask
),
pairs AS (
  SELECT firsts.image_id, hashed.image_id AS other_image_id, 0 AS distance
  FROM hashed
  JOIN firsts ON firsts.phash = hashed.phash AND firsts.image_id < hashed.image_id
  UNION ALL
  SELECT DISTINCT
    least(a.image_id, b.image_id), greatest(a.image_id, b.image_id), bit_count(a.phash ^ b.phash)
  FROM masked AS a
  JOIN masked AS b ON a.mask = b.mask AND a.bits = b.bits AND a.phash < b.phash
  WHERE bit_count(a.phash ^ b.phash) <= ${most_bits}
)
SELECT
  pairs.image_id, pairs.other_image_id, a.product_id, b.product_id AS other_product_id,
  pairs.distance, a.image_sha256 = b.image_sha256 AS same_bytes
FROM pairs
JOIN ${image_status} AS a ON a.image_id = pairs.image_id
JOIN ${image_status} AS b ON b.image_id = pairs.other_image_id
