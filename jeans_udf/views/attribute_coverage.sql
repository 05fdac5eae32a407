CREATE OR REPLACE ${kind}VIEW ${view} (
  `category` COMMENT 'Category of the garments',
  `attribute` COMMENT 'A group of attributes, or category itself',
  `garments` COMMENT 'Garments of the category',
  `answered` COMMENT 'Those with an answer: a label, or for lists at least one',
  `share` COMMENT 'answered / garments',
  `mean_score` COMMENT 'Mean score of the answers; null for lists'
)
COMMENT 'How many garments of each category have an answer for each attribute'
AS
${coverage}
