CREATE OR REPLACE ${kind}VIEW ${view} (
${columns}
)
COMMENT 'Every garment, with what people corrected in attribute_overrides in the place of what the model said'
AS
WITH latest AS (
  SELECT product_id, image_id, attribute, labels
  FROM (
    SELECT
      *,
      row_number() OVER (
        PARTITION BY product_id, image_id, attribute
        -- Of one moment any is as good, as long as it is always the same.
        ORDER BY changed_at DESC, changed_by, to_json(labels)
      ) AS place
    FROM ${attribute_overrides}
    -- What ignored_overrides shows: an earlier word of sense still counts.
    WHERE ${fault} IS NULL
  )
  WHERE place = 1
),
words AS (
  SELECT
    product_id, image_id,
${pivoted}
  FROM latest
  GROUP BY product_id, image_id
)
SELECT * FROM (
SELECT
${reviewed_columns},
  g.score AS model_score,
  ${reviewed} AS reviewed
FROM ${garments} AS g
LEFT JOIN (SELECT * FROM words WHERE image_id IS NOT NULL) AS i
  ON i.image_id = g.image_id AND i.product_id <=> g.product_id
LEFT JOIN (SELECT * FROM words WHERE image_id IS NULL) AS p
  ON p.product_id = g.product_id
)
WHERE category <> 'none'
