"""product_embeddings and what hangs on it, brought up to the output's present.

    products' texts ► distinct ones without a vector ► the encoder ► one MERGE ► similar products

A text that has a vector of the same encoder, whichever product it stood for, is not read again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jeans_udf import folders, tables
from jeans_udf.conflicts import retry_conflicts
from jeans_udf.embedding.config import EmbeddingConfig
from jeans_udf.embedding.similar import similar_products
from jeans_udf.embedding.vectors import embed_texts
from jeans_udf.errors import BusyError
from jeans_udf.lease import Heartbeat, holder
from jeans_udf.schemas import PRODUCT_EMBEDDINGS, PRODUCT_TOKEN_EMBEDDINGS, SIMILAR_PRODUCTS
from jeans_udf.table_names import Output, Table

SMALL_TASK = 512
"""Texts that are worth a task of their own."""

FEW_ROWS = {"spark.sql.parquet.columnarReaderBatchSize": "64"}
"""A row of staged texts holds the vectors of all its tokens, up to 4 MB."""

NAME = "embed_products"
"""The lease's, the same for every run: one at a time."""

OURS = "the table is written by embed_products.py alone; give another --output"


@dataclass(frozen=True)
class Embedded:
    """What a run did."""

    products: int
    distinct_texts: int
    new_texts: int
    changed_products: int
    deleted_products: int
    similar_rows: int | None
    """None: nothing had changed."""
    embedder: str


def refresh_embeddings(
    spark: SparkSession,
    products: DataFrame,
    output: Output,
    config: EmbeddingConfig,
    digest: str,
    run_id: str,
    *,
    with_similar: bool = True,
) -> Embedded:
    """Bring the tables up to ``products`` (`texts.product_texts`); ``digest`` is the encoder's.

    Raises `BusyError`, with nothing done, when another embedding run is at work on the output.
    """
    # A folder of this job's own, its lease in it: a tagging run clears its staging while this one
    # may be at work, and neither waits for the other.
    work = f"{tables.work_folder(spark, output)}/_embedding"
    folder = f"{work}/staged"
    with _alone(spark, work):
        table = output.table("product_embeddings")
        tables.ensure_table(
            spark, table, PRODUCT_EMBEDDINGS, "One row per product: its text's vector", hint=OURS
        )
        embedder = config.identity(digest)
        folders.delete(spark, folder)
        products = products.persist()
        try:
            stored = tables.read_table(spark, table)
            known = stored.where(F.col("embedder") == embedder).where("embedding IS NOT NULL")
            texts = products.where("text <> ''").select("text_sha256", "text").distinct()
            wanted = texts.join(known.select("text_sha256"), "text_sha256", "left_anti")
            if config.token_vectors != "none":
                wanted = wanted.unionByName(_without_tokens(spark, output, texts, config, embedder))
                wanted = wanted.distinct()
            new = _embed(spark, wanted, config, digest, f"{folder}/vectors")
            changed, deleted = _commit(spark, table, products, stored, known, new, embedder, run_id)
            if config.token_vectors != "none":
                with tables.settings(spark, FEW_ROWS):
                    _commit_tokens(spark, output, texts, new, config, embedder, run_id)
            similar = None
            if with_similar:
                similar = _refresh_similar(
                    spark, output, config, f"{folder}/similar", changed=bool(changed or deleted)
                )
            return Embedded(products.count(), texts.count(), new.count(), changed, deleted, similar,
                            embedder)  # fmt: skip
        finally:
            products.unpersist()
            folders.delete(spark, folder)


@contextmanager
def _alone(spark: SparkSession, work: str) -> Iterator[None]:
    """Against a scheduler's second try beside a first that lives; two that start within the same
    moment are not told apart."""
    if (who := holder(spark, work, NAME)) is not None:
        raise BusyError(
            f"another embed_products.py is at work on this output ({who}), and nothing was done; "
            "run the same command again when it has ended"
        )
    with Heartbeat(spark, work, NAME):
        yield


def _embed(
    spark: SparkSession, texts: DataFrame, config: EmbeddingConfig, digest: str, folder: str
) -> DataFrame:
    """Vectors at rest: what follows reads them several times."""
    texts = texts.persist()
    count = texts.count()
    tasks = max(1, min(4 * spark.sparkContext.defaultParallelism, -(-count // SMALL_TASK)))
    embed_texts(texts.repartition(tasks, "text_sha256"), config, digest).write.parquet(folder)
    texts.unpersist()
    return spark.read.parquet(folder)


def _commit(
    spark: SparkSession,
    table: Table,
    products: DataFrame,
    stored: DataFrame,
    known: DataFrame,
    new: DataFrame,
    embedder: str,
    run_id: str,
) -> tuple[int, int]:
    """One MERGE of what differs; how many products were written, and how many deleted."""
    vectors = known.select("text_sha256", "embedding").unionByName(
        new.select("text_sha256", "embedding")
    ).dropDuplicates(["text_sha256"])  # fmt: skip
    there = stored.select("product_id", F.col("text_sha256").alias("old_text"),
                          F.col("embedder").alias("old_embedder"),
                          F.col("embedding").isNull().alias("without_vector"))  # fmt: skip
    beside = products.join(there, "product_id", "left")
    same = F.col("text_sha256").eqNullSafe(F.col("old_text")) & F.col("old_embedder").eqNullSafe(
        F.lit(embedder)
    )
    rows = (
        beside.withColumn("same", same).where("NOT same OR (without_vector AND text <> '')")
        .join(vectors, "text_sha256", "left")
        # A text without a token that counts never has a vector: that it has none is nothing new.
        .where("NOT same OR embedding IS NOT NULL")
        .select("product_id", "text", "text_sha256", "embedding",
                F.lit(embedder).alias("embedder"), F.lit(run_id).alias("run_id"))
    )  # fmt: skip
    gone = stored.select("product_id").join(products, "product_id", "left_anti")
    changed, deleted = rows.count(), gone.count()
    if not changed and not deleted:
        return 0, 0
    everything = rows.withColumn("_gone", F.lit(False)).unionByName(
        gone.withColumn("_gone", F.lit(True)), allowMissingColumns=True
    )

    def merge() -> None:
        values = {name: f"s.{name}" for name in PRODUCT_EMBEDDINGS.names}
        (
            tables.merge_into(table, everything, "t.product_id = s.product_id")
            .whenMatchedDelete("s._gone").whenMatchedUpdate(set=values)
            .whenNotMatchedInsert("NOT s._gone", values=values).execute()
        )  # fmt: skip

    retry_conflicts(merge)
    return changed, deleted


def _token_table(spark: SparkSession, output: Output) -> Table:
    table = output.table("product_token_embeddings")
    tables.ensure_table(
        spark, table, PRODUCT_TOKEN_EMBEDDINGS, "One row per token of each distinct text", hint=OURS
    )
    return table


def _without_tokens(
    spark: SparkSession, output: Output, texts: DataFrame, config: EmbeddingConfig, embedder: str
) -> DataFrame:
    table = _token_table(spark, output)
    there = tables.read_table(spark, table).where(
        (F.col("embedder") == embedder) & (F.col("strategy") == config.token_vectors)
    )
    return texts.join(there.select("text_sha256").distinct(), "text_sha256", "left_anti")


def _commit_tokens(
    spark: SparkSession,
    output: Output,
    texts: DataFrame,
    new: DataFrame,
    config: EmbeddingConfig,
    embedder: str,
    run_id: str,
) -> None:
    """Tokens of new texts go in, those of texts that nothing has any more go out."""
    table = _token_table(spark, output)
    there = tables.read_table(spark, table)
    current = (F.col("embedder") == embedder) & (F.col("strategy") == config.token_vectors)
    used = texts.select("text_sha256")
    stale = there.join(used, "text_sha256", "left_anti").unionByName(there.where(~current))
    rows = new.select("text_sha256", F.inline("tokens")).withColumns(
        {"embedder": F.lit(embedder), "strategy": F.lit(config.token_vectors),
         "run_id": F.lit(run_id)}
    )  # fmt: skip
    key = ("text_sha256", "token_no", "embedder", "strategy")
    gone = stale.select(*key).distinct().withColumn("_gone", F.lit(True))
    if rows.isEmpty() and gone.isEmpty():
        return
    everything = rows.withColumn("_gone", F.lit(False)).unionByName(gone, allowMissingColumns=True)

    def merge() -> None:
        values = {name: f"s.{name}" for name in PRODUCT_TOKEN_EMBEDDINGS.names}
        same = " AND ".join(f"t.{name} = s.{name}" for name in key)
        (
            tables.merge_into(table, everything, same)
            .whenMatchedDelete("s._gone").whenMatchedUpdate(set=values)
            .whenNotMatchedInsert("NOT s._gone", values=values).execute()
        )  # fmt: skip

    retry_conflicts(merge)


def _refresh_similar(
    spark: SparkSession, output: Output, config: EmbeddingConfig, folder: str, *, changed: bool
) -> int | None:
    """Find neighbours anew, unless nothing changed since they were found; how many rows."""
    table = output.table("similar_products")
    was_there = tables.table_exists(spark, table)
    tables.ensure_table(
        spark, table, SIMILAR_PRODUCTS, "The nearest products of each, by their texts", hint=OURS
    )
    # Found in the same way: another number of neighbours, or another index, is another table.
    how = f"{config.index} {config.neighbours}"
    source = tables.table_version(spark, output.table("product_embeddings"))
    mark = f"{tables.work_folder(spark, output)}/_similar"
    state = f"{source} {how}"
    if was_there and not changed and folders.read_text(spark, mark) == state:
        return None
    embeddings = tables.read_table(spark, output.table("product_embeddings"))
    rows = similar_products(spark, embeddings, config, folder).persist()
    try:
        count = rows.count()
        retry_conflicts(partial(tables.overwrite, rows, table))
    finally:
        rows.unpersist()
    folders.write_text(spark, mark, state)
    return count
