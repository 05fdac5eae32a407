CREATE OR REPLACE ${kind}VIEW ${view} (
${columns}
)
COMMENT 'Every garment with its cut-out picture'
AS
SELECT ${garment_columns}, g.model_score, g.reviewed, c.crop, c.width AS crop_width, c.height AS crop_height
FROM ${reviewed_garments} AS g
LEFT JOIN ${garment_crops} AS c ON c.garment_id = g.garment_id
