"""The table contracts: every table's columns, types and comments, in order.

Types stay within Delta's reader version 1 and what DuckDB, Polars and deltalake read by value.
"""

from __future__ import annotations

from pyspark.sql import types as T

from jeans_udf.vocabulary import Vocabulary


def _column(name: str, kind: T.DataType, comment: str, nullable: bool = True) -> T.StructField:
    return T.StructField(name, kind, nullable, {"comment": comment})


STRING, INT, LONG = T.StringType(), T.IntegerType(), T.LongType()
FLOAT, DOUBLE = T.FloatType(), T.DoubleType()
BINARY, TIMESTAMP = T.BinaryType(), T.TimestampType()

BOX = T.StructType([T.StructField(name, FLOAT) for name in ("x_min", "y_min", "x_max", "y_max")])
MASK = T.StructType(
    [T.StructField("height", INT), T.StructField("width", INT), T.StructField("counts", STRING)]
)

IMAGE_ID = _column("image_id", STRING, "Key of the image in product_images", nullable=False)
PRODUCT_ID = _column("product_id", STRING, "Product that the image shows")
IMAGE_SHA256 = _column("image_sha256", STRING, "Hex SHA-256 of the image's bytes; null if none")
MODEL_VERSION = _column("model_version", STRING, "Bundle name and first 12 digits of its digest")
RUN_ID = _column("run_id", STRING, "Run that wrote the row; key of tagging_runs")
TAGGED_AT = _column("tagged_at", TIMESTAMP, "When the row was computed (UTC)")

PRODUCT_IMAGES = T.StructType(
    [
        _column("image_id", STRING, "Key: the file's path relative to its folder", nullable=False),
        PRODUCT_ID,
        _column("image", BINARY, "The file's bytes; null when path is given"),
        _column("path", STRING, "Where the file lies; null when image is given"),
        _column("title", STRING, "Product title, as given"),
        _column("description", STRING, "Product description, as given"),
        _column("updated_at", TIMESTAMP, "Last change of the file (UTC)"),
    ]
)

IMAGE_STATUS = T.StructType(
    [
        IMAGE_ID,
        PRODUCT_ID,
        _column("status", STRING, "tagged, no_garment or rejected"),
        _column("reason", STRING, "Why it was rejected (closed list); null otherwise"),
        _column("detail", STRING, "The reason in words"),
        _column("width", INT, "Width in pixels, upright; null if not decoded"),
        _column("height", INT, "Height in pixels, upright; null if not decoded"),
        _column("garments", INT, "Garments found"),
        IMAGE_SHA256,
        MODEL_VERSION,
        RUN_ID,
        TAGGED_AT,
    ]
)

SECONDS = T.StructType(
    [T.StructField(stage, DOUBLE) for stage in ("decode", "detect", "classify", "encode")]
)
"""Seconds that one image took in each stage of the pass over the pixels."""

GARMENT_CROPS = T.StructType(
    [
        _column("garment_id", STRING, "Key; the same as in garments", nullable=False),
        _column("crop", BINARY, "PNG with alpha: the garment, its background transparent"),
        _column("width", INT, "Width of the crop in pixels"),
        _column("height", INT, "Height of the crop in pixels"),
        IMAGE_ID,
        IMAGE_SHA256,
        MODEL_VERSION,
        RUN_ID,
    ]
)

PRODUCT_EMBEDDINGS = T.StructType(
    [
        _column("product_id", STRING, "Key of the product", nullable=False),
        _column("text", STRING, "What was embedded: title, attributes, description"),
        _column("text_sha256", STRING, "Hex SHA-256 of the text"),
        _column("embedding", T.ArrayType(FLOAT), "The text's vector; null for an empty text"),
        _column("embedder", STRING, "Encoder and reading; only equal ones can be compared"),
        _column("run_id", STRING, "Run of embed_products.py that wrote the row"),
    ]
)

PRODUCT_TOKEN_EMBEDDINGS = T.StructType(
    [
        _column("text_sha256", STRING, "Text of product_embeddings", nullable=False),
        _column("token_no", INT, "Number of the token in the text, from 0", nullable=False),
        _column("token", STRING, "The token, as the encoder's vocabulary has it"),
        _column("vector", T.ArrayType(FLOAT), "Of the last four layers, as the strategy says"),
        _column("strategy", STRING, "concat: side by side (4 x hidden); sum: their sum (hidden)"),
        _column("embedder", STRING, "Encoder and reading; only equal ones can be compared"),
        _column("run_id", STRING, "Run of embed_products.py that wrote the row"),
    ]
)

ATTRIBUTE_OVERRIDES = T.StructType(
    [
        _column("product_id", STRING, "Product that is corrected", nullable=False),
        _column("image_id", STRING, "Only the garments of this image; null: of all the product's"),
        _column("attribute", STRING, "category, or a group: wash, fit, ...", nullable=False),
        _column("labels", T.ArrayType(STRING), "What it is: one label, several for lists, none for "
                "no answer; category none: there is no garment"),
        _column("changed_by", STRING, "Who said so"),
        _column("changed_at", TIMESTAMP, "When (UTC): of several rows the latest counts"),
        _column("note", STRING, "Why"),
    ]
)

SIMILAR_PRODUCTS = T.StructType(
    [
        _column("product_id", STRING, "The product", nullable=False),
        _column("neighbour_id", STRING, "A product with a similar text", nullable=False),
        _column("rank", INT, "1 for the nearest"),
        _column("cosine", FLOAT, "Cosine of the two texts' vectors, -1 to 1"),
    ]
)

DETECTION = T.StructType(
    [
        T.StructField("box", BOX),
        T.StructField("scores", T.ArrayType(FLOAT)),
        T.StructField("mask", STRING),
    ]
)
"""Box in pixels, score of every category, COCO RLE counts, all of the upright image."""

IMAGE_DETECTIONS = T.StructType(
    [
        IMAGE_ID,
        IMAGE_SHA256,
        _column("detector", STRING, "The detector, by digest of all that decides its answers"),
        _column("detections", T.ArrayType(DETECTION), "All that it found, before the classifier "
                "had its say: another classifier starts from here"),
        RUN_ID,
        _column("phash", LONG, "Perceptual hash of the picture, 64 bits; null: not computed yet"),
    ]
)

TAGGING_RUNS = T.StructType(
    [
        _column("run_id", STRING, "Key of the run", nullable=False),
        _column("run_no", LONG, "1, 2, 3, ... in the order in which the runs began"),
        _column("kind", STRING, "refresh, full, retry_rejected or rollback"),
        _column("started_at", TIMESTAMP, "Start (UTC)"),
        _column("ended_at", TIMESTAMP, "End (UTC); null while it is at work"),
        _column("source", STRING, "Source table as given"),
        _column("source_version_from", LONG, "First source version read; null if nothing was new"),
        _column("source_version_to", LONG, "Last source version read; null if nothing was new"),
        _column("images", LONG, "Images tagged in this run, rejected ones included"),
        _column("recalled", LONG, "Of these: detections were known, only the classifier ran"),
        _column("deleted", LONG, "Images whose rows were removed, as they left the source"),
        _column("garments", LONG, "Garments found in this run"),
        _column("status_counts", T.MapType(STRING, LONG), "Images by status"),
        _column("reason_counts", T.MapType(STRING, LONG), "Rejected images by reason"),
        _column("label_counts", T.MapType(STRING, LONG), "Garments of this run by group.label"),
        _column("drift", T.MapType(STRING, DOUBLE), "Population stability index by group, against "
                "the last run with enough garments"),
        _column("images_per_second", DOUBLE, "Images by wall seconds of tagging, start-up apart"),
        _column("stage_seconds", T.MapType(STRING, DOUBLE), "Seconds by stage, summed over tasks"),
        _column("wall_seconds", DOUBLE, "From start to end, in seconds"),
        _column("model_version", STRING, "Bundle that the run used"),
        _column("bundle_sha256", STRING, "Hex SHA-256 of the bundle's manifest"),
        _column("config_sha256", STRING, "Hex SHA-256 of the resolved configuration"),
        _column("config", STRING, "The resolved configuration, as JSON"),
        _column("versions", T.MapType(STRING, STRING), "Versions of the main libraries"),
        _column("tables_before", T.MapType(STRING, LONG), "Delta version of each table when "
                "the run began: --rollback goes back there"),
        _column("restored_run", STRING, "For a rollback: the run before which the tables are now"),
        _column("driver", STRING, "Process and machine that the run was started on"),
        _column("exit_code", INT, "0 fine, 1 failed, 2 bad request, 3 over a limit; null: at work"),
        _column("error", STRING, "What stopped the run; null if nothing did"),
    ]
)


def garments_schema(vocabulary: Vocabulary) -> T.StructType:
    """Columns of ``garments``: fixed ones, and for each group of the vocabulary its own."""
    fields = [
        _column("garment_id", STRING, "Key; same image bytes and bundle: same id", nullable=False),
        IMAGE_ID,
        PRODUCT_ID,
        _column("garment_no", INT, "Number within the image, best score first, from 0"),
        *_model_columns(vocabulary),
        IMAGE_SHA256,
        MODEL_VERSION,
        RUN_ID,
        TAGGED_AT,
    ]
    return T.StructType(fields)


def staged_schema(vocabulary: Vocabulary) -> T.StructType:
    """What the pass over the pixels gives: one row an image, its garments nested."""
    garment = T.StructType(
        [
            _column("garment_id", STRING, ""),
            _column("garment_no", INT, ""),
            *_model_columns(vocabulary),
            _column("crop", BINARY, ""),
            _column("crop_width", INT, ""),
            _column("crop_height", INT, ""),
        ]
    )
    status = [f for f in IMAGE_STATUS if f.name not in ("model_version", "run_id")]
    return T.StructType(
        [
            *status,
            T.StructField("seconds", SECONDS),
            T.StructField("found", T.ArrayType(garment)),
            T.StructField("detections", T.ArrayType(DETECTION)),
            T.StructField("phash", LONG),
        ]
    )


def _model_columns(vocabulary: Vocabulary) -> list[T.StructField]:
    columns = [
        _column("category", STRING, "One of: " + ", ".join(vocabulary.categories)),
        _column("score", FLOAT, "Chance that it is one of its category, 0 to 1, by both models"),
        _column("box", BOX, "Box in pixels of the upright image"),
        _column("mask", MASK, "COCO compressed RLE of the upright image; null without masks"),
        _column("mask_area", LONG, "Pixels of the mask; null without masks"),
    ]
    for group in vocabulary.groups:
        labels = ", ".join(group.labels)
        if group.applies_to != set(vocabulary.categories):
            # The views read this back, and leave the group empty elsewhere.
            named = [c for c in vocabulary.categories if c in group.applies_to]
            labels += f"; for {', '.join(named)}"
        if group.exclusive:
            comment = f"One of: {labels}; null: the model abstains or the group does not apply"
            columns.append(_column(group.name, STRING, comment))
            columns.append(_column(f"{group.name}_score", FLOAT, f"Score of {group.name}, 0 to 1"))
        else:
            columns.append(_column(group.name, T.ArrayType(STRING), f"Any of: {labels}"))
    columns.append(_column("attributes", T.ArrayType(STRING), "All labels of the garment"))
    columns.append(
        _column("attribute_scores", T.MapType(STRING, FLOAT), "Score of every label that applies")
    )
    return columns
