"""What texts of a large catalog cost: distinct ones, texts a second, neighbours, an index's recall.

Products are made up: a description of a few that repeat, as catalogs have them, and attributes by
chance. Beside the job's vectors stand those of plain transformers, text by text, for some of them.

    python -m benchmarks.embedding_cost --products 100000
"""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path

import numpy as np
import torch
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jeans_udf import tables
from jeans_udf.config import load_section
from jeans_udf.embedding.config import EmbeddingConfig
from jeans_udf.embedding.encoders import encoder_digest, local_folder
from jeans_udf.embedding.refresh import refresh_embeddings
from jeans_udf.embedding.similar import similar_products
from jeans_udf.session import build_session
from jeans_udf.table_names import parse_output

CUTS = ("skinny", "slim", "straight", "relaxed", "bootcut", "flare", "wide")
WASHES = ("light", "medium", "dark", "black", "grey", "white")
LENGTHS = ("full", "cropped", "short")
DETAILS = ("distressed", "faded", "cuffed", "raw hem", "cargo", "patterned", "embellished")
LINES = (
    "A pair of {cut} jeans with five pockets and a zip fly.",
    "Made from {percent} percent cotton with a little stretch, these jeans keep their shape.",
    "Our {name} line since {year}: sits at the waist, {cut} through the leg.",
    "Inspired by the archive of {year}, finished by hand.",
)


def made_up(spark: SparkSession, products: int) -> DataFrame:
    """``product_id, text, text_sha256``: the same ones each time."""
    chance = np.random.default_rng(8)
    rows = []
    for number in range(products):
        # Some lines of a catalog hold thousands of products, most a few.
        line = int(min(chance.zipf(1.3), 4000))
        words = {"cut": CUTS[line % 7], "percent": 60 + line % 40, "name": f"Line {line % 500}",
                 "year": 1950 + line % 70}  # fmt: skip
        said = LINES[line % 4].format(**words)
        seen = [CUTS[chance.integers(7)], WASHES[chance.integers(6)], LENGTHS[chance.integers(3)]]
        seen += [detail for detail in DETAILS if chance.random() < 0.1]
        rows.append((f"P{number:07}", f"{said} jeans {' '.join(seen)}"))
    frame = spark.createDataFrame(rows, "product_id string, text string")
    return frame.withColumn("text_sha256", F.sha2("text", 256))


def largest_difference(rows: list, folder: str) -> float:
    """Between the job's vectors and those of plain transformers, one text at a time."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    worst = 0.0
    for row in rows:
        with torch.no_grad():
            output = model(**tokenizer(row.text, return_tensors="pt"))
        plain = output.last_hidden_state[0].mean(0).numpy()
        worst = max(worst, float(np.abs(plain - np.asarray(row.embedding)).max()))
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--products", type=int, default=100_000)
    parser.add_argument("--compare", type=int, default=200, help="texts for plain transformers")
    parser.add_argument("--work", type=Path, default=Path("build/embedding_cost"))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                        help="as of jobs/embed_products.py")  # fmt: skip
    args = parser.parse_args()
    config = load_section(EmbeddingConfig, None, args.set)
    folder = local_folder(config.encoder, config.allow_hub)
    shutil.rmtree(args.work, ignore_errors=True)
    spark = build_session("embedding_cost")
    try:
        output = parse_output(f"{args.work.absolute()}/out")
        products = made_up(spark, args.products)
        digest = encoder_digest(folder)
        for name in ("first", "nothing new"):
            begin = time.perf_counter()
            done = refresh_embeddings(spark, products, output, config, digest, name,
                                      with_similar=False)  # fmt: skip
            seconds = time.perf_counter() - begin
            print(f"{name}: {done.products} products, {done.distinct_texts} distinct texts "
                  f"({done.distinct_texts / done.products:.1%}), {done.new_texts} new, "
                  f"{seconds:.1f} s, {done.new_texts / seconds:.0f} texts a second",
                  flush=True)  # fmt: skip
        embeddings = tables.read_table(spark, output.table("product_embeddings"))
        some = embeddings.orderBy(F.xxhash64("product_id")).limit(args.compare).collect()
        print(f"largest difference from plain transformers, {len(some)} texts: "
              f"{largest_difference(some, folder):.1e}", flush=True)  # fmt: skip
        near = {}
        for index in ("exact", "hnsw"):
            begin = time.perf_counter()
            chosen = config.model_copy(update={"index": index})
            found = similar_products(spark, embeddings, chosen, f"{args.work.absolute()}/{index}")
            near[index] = {(row.product_id, row.neighbour_id): row.cosine
                           for row in found.collect()}  # fmt: skip
            print(f"{index}: {len(near[index])} rows, {time.perf_counter() - begin:.1f} s",
                  flush=True)  # fmt: skip
        shared = len(near["exact"].keys() & near["hnsw"].keys())
        print(f"recall of hnsw: {shared / len(near['exact']):.4f}")
    finally:
        spark.stop()


if __name__ == "__main__":
    main()
