CREATE OR REPLACE ${kind}VIEW ${view} (
${columns}
)
COMMENT 'One row per image that could not be tagged, and why'
AS
SELECT image_id, product_id, reason, detail, tagged_at
FROM ${image_status}
WHERE status = 'rejected'
