CREATE OR REPLACE ${kind}VIEW ${view} (
${columns}
)
COMMENT 'Garments that a person should look at: one of their scores is below ${least_confidence}'
AS
SELECT
  confidence,
  ${weakest} AS weakest,
${low}
FROM (SELECT *, ${least} AS confidence FROM ${reviewed_garments})
WHERE confidence < ${least_confidence} AND NOT reviewed
