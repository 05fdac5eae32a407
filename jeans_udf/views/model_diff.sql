CREATE OR REPLACE ${kind}VIEW ${view} (
${columns}
)
COMMENT 'Two states side by side, image by image: ${sides}'
AS
SELECT
  coalesce(a.image_id, b.image_id) AS image_id,
  coalesce(a.product_id, b.product_id) AS product_id,
  b.model_version AS model_before,
  a.model_version AS model_after,
  NOT (b.garments <=> a.garments) OR ${differs} AS changed,
  b.garments AS garments_before,
  a.garments AS garments_after,
${both}
FROM (
  SELECT s.image_id, s.product_id, s.model_version, s.garments, ${compared}
  FROM ${image_status_before} AS s
  LEFT JOIN ${garments_before} AS g ON g.image_id = s.image_id AND g.garment_no = 0
) AS b
FULL JOIN (
  SELECT s.image_id, s.product_id, s.model_version, s.garments, ${compared}
  FROM ${image_status} AS s
  LEFT JOIN ${garments} AS g ON g.image_id = s.image_id AND g.garment_no = 0
) AS a
  ON a.image_id = b.image_id
