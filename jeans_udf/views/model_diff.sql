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
  NOT (b.status <=> a.status AND b.garments <=> a.garments AND b.answers <=> a.answers) AS changed,
  b.status AS status_before,
  a.status AS status_after,
  b.garments AS garments_before,
  a.garments AS garments_after,
${both}
FROM (
  SELECT
    s.image_id, s.product_id, s.model_version, s.status, s.garments, e.answers, ${compared_before}
  FROM ${image_status_before} AS s
  LEFT JOIN ${garments_before} AS g ON g.image_id = s.image_id AND g.garment_no = 0
  LEFT JOIN (
    SELECT image_id, sort_array(collect_list(to_json(struct(${answers})))) AS answers
    FROM ${garments_before}
    GROUP BY image_id
  ) AS e ON e.image_id = s.image_id
) AS b
FULL JOIN (
  SELECT
    s.image_id, s.product_id, s.model_version, s.status, s.garments, e.answers, ${compared}
  FROM ${image_status} AS s
  LEFT JOIN ${garments} AS g ON g.image_id = s.image_id AND g.garment_no = 0
  LEFT JOIN (
    SELECT image_id, sort_array(collect_list(to_json(struct(${answers})))) AS answers
    FROM ${garments}
    GROUP BY image_id
  ) AS e ON e.image_id = s.image_id
) AS a
  ON a.image_id = b.image_id
