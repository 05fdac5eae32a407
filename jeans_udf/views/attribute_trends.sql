CREATE OR REPLACE ${kind}VIEW ${view} (
  `run_no` COMMENT 'Number of the run: 1, 2, 3, ...',
  `run_id` COMMENT 'Key of the run in tagging_runs',
  `started_at` COMMENT 'Start of the run (UTC)',
  `model_version` COMMENT 'Bundle that the run used',
  `attribute` COMMENT 'A group of attributes, or category',
  `label` COMMENT 'A label of the group; null: no answer',
  `garments` COMMENT 'Garments that the run tagged with the label',
  `share` COMMENT 'Of all garments that the run tagged'
)
COMMENT 'How often each label was given, run by run: of what each run tagged, not of the whole catalog; without runs that failed or were rolled back'
AS
-- The runs that jeans_udf/run_log.py calls standing.
WITH undone AS (
  SELECT r.run_no AS first_no, u.run_no AS last_no
  FROM ${tagging_runs} AS u
  JOIN ${tagging_runs} AS r ON r.run_id = u.restored_run
  WHERE u.kind = 'rollback' AND u.exit_code = 0
)
SELECT
  run_no, run_id, started_at, model_version,
  split_part(label_key, '.', 1) AS attribute,
  nullif(substring(label_key, position('.' IN label_key) + 1), '') AS label,
  label_count AS garments,
  label_count / of_garments AS share
FROM (
  SELECT
    run_no, run_id, started_at, model_version, garments AS of_garments,
    explode(label_counts) AS (label_key, label_count)
  FROM ${tagging_runs}
  LEFT ANTI JOIN undone ON run_no BETWEEN first_no AND last_no
  WHERE garments > 0 AND exit_code IN (0, 3) AND kind <> 'rollback'
)
