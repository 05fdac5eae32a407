CREATE OR REPLACE ${kind}VIEW ${view} (
${columns}
)
COMMENT 'One row per product: its best garment by the score of the model, and how many images and garments it has'
AS
SELECT
  images.product_id,
  images.images,
  images.garments,
  best.image_id,
  best.garment_id,
  best.category,
  best.score,
${best},
  coalesce(best.reviewed, false) AS reviewed
FROM (
  SELECT product_id, count(*) AS images, coalesce(sum(garments), 0) AS garments
  FROM ${image_status}
  WHERE product_id IS NOT NULL
  GROUP BY product_id
) AS images
LEFT JOIN (
  SELECT
    *,
    -- By the model's score: a person's word of a product makes all its garments' scores 1.
    -- garment_id breaks ties: the same tables always give the same garment.
    row_number() OVER (PARTITION BY product_id ORDER BY model_score DESC, garment_id) AS place
  FROM ${reviewed_garments}
) AS best
  ON best.product_id = images.product_id AND best.place = 1
