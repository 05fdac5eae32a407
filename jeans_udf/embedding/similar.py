"""similar_products: the nearest products of each by the cosine of their texts' vectors.

    distinct texts ► blocks of vectors ► every pair of blocks, once ► the best of each text
        ► joined with the products that have these texts

Texts repeat in a catalog, so what is compared are distinct texts. Products of the same text are
each other's neighbours with cosine 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from jeans_udf import folders, tables
from jeans_udf.embedding import nearest
from jeans_udf.embedding.config import EmbeddingConfig

BLOCKS = T.StructType(
    [
        T.StructField("block", T.LongType()),
        T.StructField("texts", T.ArrayType(T.StringType())),
        T.StructField("vectors", T.BinaryType()),
    ]
)
FOUND = T.StructType(
    [
        T.StructField("block", T.LongType()),
        T.StructField("place", T.IntegerType()),
        T.StructField("numbers", T.ArrayType(T.LongType())),
        T.StructField("cosines", T.ArrayType(T.DoubleType())),
    ]
)
NEIGHBOURS = T.StructType(
    [
        T.StructField("number", T.LongType()),
        T.StructField("neighbour", T.LongType()),
        T.StructField("cosine", T.DoubleType()),
    ]
)
FIRST_OF_BLOCK = 1 << 24
"""Numbers of texts: the block's times this, and the place in it."""

ONE_ROW = {"spark.sql.execution.arrow.maxRecordsPerBatch": "1"}
"""A row holds a block of vectors: two of them are enough for a worker at a time."""


def similar_products(
    spark: SparkSession, embeddings: DataFrame, config: EmbeddingConfig, folder: str
) -> DataFrame:
    """``product_id, neighbour_id, rank, cosine`` of the rows of product_embeddings.

    ``folder`` holds the blocks meanwhile. Products without a vector have no neighbours.
    """
    present = embeddings.where("embedding IS NOT NULL")
    blocks = _write_blocks(spark, present, config, f"{folder}/blocks")
    find = {"exact": _by_all_pairs, "hnsw": _by_index}[config.index]
    with tables.settings(spark, ONE_ROW):
        find(spark, blocks, config.neighbours).write.parquet(f"{folder}/neighbours")
    near = spark.read.schema(NEIGHBOURS).parquet(f"{folder}/neighbours")
    return _of_products(present, blocks, near, config.neighbours)


def _write_blocks(
    spark: SparkSession, present: DataFrame, config: EmbeddingConfig, folder: str
) -> DataFrame:
    texts = present.groupBy("text_sha256").agg(F.min("embedding").alias("embedding"))
    count = max(1, -(-texts.count() // config.block_texts))

    def pack(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        from pyspark import TaskContext

        context = TaskContext.get()
        assert context is not None
        keys: list[str] = []
        vectors = []
        for frame in frames:
            keys += list(frame.text_sha256)
            vectors += [np.asarray(vector, dtype=np.float32) for vector in frame.embedding]
        if keys:
            packed = nearest.unit(np.stack(vectors)).tobytes()
            yield pd.DataFrame([(context.partitionId(), keys, packed)], columns=BLOCKS.names)

    folders.delete(spark, folder)
    # By range: numbers are in the texts' order however many blocks there are, and of equal cosines
    # the smaller number counts.
    dealt = texts.repartitionByRange(count, "text_sha256").sortWithinPartitions("text_sha256")
    dealt.mapInPandas(pack, BLOCKS).write.parquet(folder)
    return spark.read.schema(BLOCKS).parquet(folder)


def _by_all_pairs(spark: SparkSession, blocks: DataFrame, k: int) -> DataFrame:
    """Every pair of blocks once: its product serves the texts of both."""
    left, right = blocks.alias("l"), blocks.alias("r")
    pairs = left.crossJoin(right).where("l.block <= r.block").select(
        F.col("l.block").alias("a"), F.size("l.texts").alias("texts_a"),
        F.col("l.vectors").alias("vectors_a"), F.col("r.block").alias("b"),
        F.size("r.texts").alias("texts_b"), F.col("r.vectors").alias("vectors_b"),
    )  # fmt: skip

    def compare(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for frame in frames:
            for row in frame.itertuples(index=False):
                a = _numbered(row.a, row.texts_a, row.vectors_a)
                b = _numbered(row.b, row.texts_b, row.vectors_b)
                yield _found(row.a, *nearest.best_of_block(*a, *b, k))
                if row.a != row.b:
                    yield _found(row.b, *nearest.best_of_block(*b, *a, k))

    def merge(frame: pd.DataFrame) -> pd.DataFrame:
        # Each text has an answer from every block: side by side, they are its candidates.
        frame = frame.sort_values("place", kind="stable")
        texts = int(frame.place.max()) + 1
        numbers = _padded(frame.numbers, k, 0).reshape(texts, -1)
        cosines = _padded(frame.cosines, k, -2).reshape(texts, -1)
        own = int(frame.block.iloc[0]) * FIRST_OF_BLOCK + np.arange(texts, dtype=np.int64)
        return _rows(own, *nearest.best_of(numbers.astype(np.int64), cosines, k))

    return pairs.mapInPandas(compare, FOUND).groupBy("block").applyInPandas(merge, NEIGHBOURS)


def _by_index(spark: SparkSession, blocks: DataFrame, k: int) -> DataFrame:
    """An approximate index of all texts, built on the driver and sent to every task."""
    import faiss

    index, numbers = nearest.Index(), []
    # One block after the other: all at once may be more than the driver takes of its executors.
    packed = blocks.select("block", F.size("texts").alias("texts"), "vectors").orderBy("block")
    for row in packed.toLocalIterator():
        vectors, own = _numbered(row.block, row.texts, row.vectors)
        index.add(vectors)
        numbers.append(own)
    if not numbers:
        return spark.createDataFrame([], NEIGHBOURS)
    sent = spark.sparkContext.broadcast(
        (faiss.serialize_index(index.graph), np.concatenate(numbers))
    )

    def look(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        packed, numbers = sent.value
        index = faiss.deserialize_index(packed)
        for frame in frames:
            for row in frame.itertuples(index=False):
                vectors, own = _numbered(row.block, len(row.texts), row.vectors)
                places = np.searchsorted(numbers, own)
                found, cosines = nearest.search(index, vectors, places, k)
                yield _rows(own, numbers[found], cosines)

    return blocks.mapInPandas(look, NEIGHBOURS)


def _of_products(
    present: DataFrame, blocks: DataFrame, near: DataFrame, k: int
) -> DataFrame:
    """Neighbours of texts to neighbours of products, those of the same text included."""
    numbers = blocks.select("block", F.posexplode("texts").alias("place", "text_sha256")).select(
        (F.col("block") * FIRST_OF_BLOCK + F.col("place")).alias("number"), "text_sha256"
    )
    products = present.select("product_id", "text_sha256").join(numbers, "text_sha256")
    in_order = Window.partitionBy("number").orderBy("product_id")
    # More products of one text than anybody can have as neighbours say nothing new.
    few = (
        products.withColumn("place", F.row_number().over(in_order)).where(F.col("place") <= k + 1)
        .select(F.col("number").alias("neighbour"), F.col("product_id").alias("neighbour_id"))
    )  # fmt: skip
    same = numbers.select("number", F.col("number").alias("neighbour"), F.lit(1.0).alias("cosine"))
    best_first = F.desc("cosine"), "neighbour_id"
    # Cut for each text before its products come in: they share these neighbours, all but
    # themselves.
    of_text = (
        near.unionByName(same).join(few, "neighbour")
        .withColumn("place", F.row_number().over(Window.partitionBy("number").orderBy(*best_first)))
        .where(F.col("place") <= k + 1)
    )  # fmt: skip
    candidates = (
        products.select("product_id", "number")
        .join(of_text.select("number", "neighbour_id", "cosine"), "number")
        .where("product_id <> neighbour_id")
    )
    of_product = Window.partitionBy("product_id").orderBy(*best_first)
    return (
        candidates.withColumn("rank", F.row_number().over(of_product))
        .where(F.col("rank") <= k)
        .select("product_id", "neighbour_id", "rank", F.col("cosine").cast("float"))
    )


def _numbered(block: int, texts: int, packed: Any) -> tuple[np.ndarray, np.ndarray]:
    """Vectors (texts, size) and their numbers."""
    vectors = np.frombuffer(packed, dtype=np.float32).reshape(texts, -1)
    return vectors, block * FIRST_OF_BLOCK + np.arange(texts, dtype=np.int64)


def _found(block: int, numbers: np.ndarray, cosines: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {"block": block, "place": np.arange(len(numbers), dtype=np.int32),
         "numbers": list(numbers), "cosines": list(cosines)}
    )  # fmt: skip


def _padded(lists: pd.Series, width: int, filling: float) -> np.ndarray:
    """Lists of up to ``width`` numbers as rows of as many, float64."""
    rows = np.full((len(lists), width), filling, dtype=np.float64)
    for row, values in zip(rows, lists, strict=True):
        row[: len(values)] = values
    return rows


def _rows(numbers: np.ndarray, neighbours: np.ndarray, cosines: np.ndarray) -> pd.DataFrame:
    kept = cosines > -1.5
    return pd.DataFrame(
        {"number": np.repeat(numbers, kept.sum(1)), "neighbour": neighbours[kept],
         "cosine": cosines[kept]}
    )  # fmt: skip
