CREATE OR REPLACE ${kind}VIEW ${view} (
${columns}
)
COMMENT 'What people wrote into attribute_overrides that no view follows, and why'
AS
SELECT *
FROM (
  SELECT
    o.product_id, o.image_id, attribute, labels, changed_by, changed_at, note,
    coalesce(
      ${fault},
      -- Only shown: such a word counts from when the image is there, or there again.
      CASE
        WHEN p.product_id IS NULL THEN 'product_id: no image of it'
        WHEN o.image_id IS NOT NULL AND s.image_id IS NULL
          THEN 'image_id: no such image of the product'
      END
    ) AS reason
  FROM ${attribute_overrides} AS o
  LEFT JOIN (SELECT DISTINCT product_id FROM ${image_status}) AS p ON p.product_id = o.product_id
  LEFT JOIN ${image_status} AS s ON s.image_id = o.image_id AND s.product_id = o.product_id
)
WHERE reason IS NOT NULL
