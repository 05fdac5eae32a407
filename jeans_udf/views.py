"""The analysts' views: SQL files, filled in with the output's tables and the bundle's groups."""

from __future__ import annotations

from pathlib import Path
from string import Template

from pyspark.sql import SparkSession
from pyspark.sql import types as T

from jeans_udf import folders
from jeans_udf.schemas import IMAGE_STATUS, garments_schema
from jeans_udf.table_names import Output
from jeans_udf.vocabulary import Vocabulary

SQL = Path(__file__).with_name("views")
VIEWS = ("product_attributes", "rejected_images")
FILE = "views.sql"

HEAD = """\
-- Views on the tables of this directory, for Spark SQL with Delta:
--   spark-sql --packages io.delta:delta-spark_4.2_2.13:4.4.0 \\
--     --conf spark.sql.extensions=io.delta.sql.DeltaSparkSessionExtension \\
--     --conf spark.sql.catalog.spark_catalog=org.apache.spark.sql.delta.catalog.DeltaCatalog \\
--     -i views.sql
"""


def view_statements(output: Output, vocabulary: Vocabulary) -> list[str]:
    """A CREATE VIEW for each of `VIEWS`; temporary ones for a directory, which has no names."""
    statements = []
    for name in VIEWS:
        template = Template((SQL / f"{name}.sql").read_text(encoding="utf-8"))
        values = {
            "kind": "TEMPORARY " if output.is_path else "",
            "view": f"`{name}`" if output.is_path else output.table(name).sql,
            "columns": _commented(_columns(name, vocabulary)),
            "best": ",\n".join(f"  best.`{column}`" for column in _answers(vocabulary)),
            "image_status": output.table("image_status").sql,
            "garments": output.table("garments").sql,
        }
        statements.append(template.substitute(values).strip())
    return statements


def publish_views(spark: SparkSession, output: Output, vocabulary: Vocabulary) -> None:
    """Create the views; those of a directory live in this session and as its ``views.sql``."""
    statements = view_statements(output, vocabulary)
    for statement in statements:
        spark.sql(statement)
    if output.is_path:
        text = HEAD + "".join(f"\n{statement};\n" for statement in statements)
        folders.write_text(spark, f"{output.text}/{FILE}", text)


def _answers(vocabulary: Vocabulary) -> list[str]:
    """Columns of garments that the groups own, and all labels."""
    names = []
    for group in vocabulary.groups:
        names += [group.name, f"{group.name}_score"] if group.exclusive else [group.name]
    return [*names, "attributes"]


def _columns(view: str, vocabulary: Vocabulary) -> list[tuple[str, str]]:
    """Names and comments of a view's columns, in order."""
    if view == "rejected_images":
        wanted = ("image_id", "product_id", "reason", "detail", "tagged_at")
        return [(name, _comment(IMAGE_STATUS[name])) for name in wanted]
    garments = garments_schema(vocabulary)
    wanted = ("image_id", "garment_id", "category", "score", *_answers(vocabulary))
    return [
        ("product_id", "Key of the product"),
        ("images", "Images of the product"),
        ("garments", "Garments found in them"),
        *((name, f"Best garment: {_comment(garments[name])}") for name in wanted),
    ]


def _comment(field: T.StructField) -> str:
    return str(field.metadata["comment"])


def _commented(columns: list[tuple[str, str]]) -> str:
    return ",\n".join(
        f"  `{name}` COMMENT '" + comment.replace("\\", "\\\\").replace("'", "\\'") + "'"
        for name, comment in columns
    )
