CREATE OR REPLACE ${kind}VIEW ${view} (
${columns}
)
COMMENT 'What people wrote into attribute_overrides that no view follows, and why'
AS
SELECT *
FROM (
  SELECT product_id, image_id, attribute, labels, changed_by, changed_at, note, ${fault} AS reason
  FROM ${attribute_overrides}
)
WHERE reason IS NOT NULL
