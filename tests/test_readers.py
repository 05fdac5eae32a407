"""The same values for whoever reads the tables: Spark, DuckDB, Polars, deltalake, and over JDBC."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from readers import (
    Rows,
    digests,
    read_deltalake,
    read_duckdb,
    read_polars,
    read_spark,
)

from jeans_udf.drawing import draw_catalog
from jeans_udf.table_names import Output, parse_output

ROOT = Path(__file__).parents[1]
KEYS = {
    "image_status": "image_id", "garments": "garment_id", "garment_crops": "garment_id",
    "image_detections": "image_id", "tagging_runs": "run_id", "product_embeddings": "product_id",
    "similar_products": "product_id",
}  # fmt: skip
PLAIN = ("string", "int", "bigint", "float", "double", "boolean")
"""Types that a client over JDBC gets as values; the others come as text."""


@pytest.fixture(scope="module")
def output(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Output:
    """What the jobs write of a few drawn pictures, with the default bundle and encoder."""
    folder = tmp_path_factory.mktemp("readers")
    pictures = folder / "pictures"
    draw_catalog(pictures)
    for file in sorted(pictures.rglob("*.*"))[12:]:
        file.unlink()
    source, output = f"{folder}/product_images", f"{folder}/tags"
    for job, *arguments in (
        ("ingest_images", "--images", str(pictures), "--table", source),
        ("tag_catalog", "--source", source, "--output", output),
        ("embed_products", "--source", source, "--output", output),
    ):
        done = subprocess.run([sys.executable, f"jobs/{job}.py", *arguments], cwd=ROOT,
                              capture_output=True, text=True, timeout=600)  # fmt: skip
        assert done.returncode in (0, 3), done.stderr[-3000:]
    return parse_output(output)


@pytest.mark.parametrize("table", KEYS)
def test_four_readers_read_the_same(spark: SparkSession, output: Output, table: str) -> None:
    place, key = output.table(table).text, KEYS[table]
    wanted = read_spark(spark, place)
    assert wanted, "an empty table would prove nothing"
    for read in (read_duckdb, read_polars, read_deltalake):
        assert digests(read(place), key) == digests(wanted, key), read.__name__


def test_digests_tell_values_apart() -> None:
    rows: Rows = [{"k": "a", "v": [1.5]}, {"k": "b", "v": [2.5]}]
    changed: Rows = [{"k": "b", "v": [2.5]}, {"k": "a", "v": [1.25]}]
    assert digests(rows, "k") == digests(rows[::-1], "k")
    assert digests(rows, "k")["v"] != digests(changed, "k")["v"]
    assert digests(rows, "k")["k"] == digests(changed, "k")["k"]


@pytest.fixture(scope="module")
def server(output: Output, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """`jobs/serve_sql.py` on a free port of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("server")
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "jobs/serve_sql.py"), "--output", output.text, "--port",
         str(port)],
        cwd=folder, stdout=subprocess.PIPE, stderr=(folder / "log").open("w"), text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        told = process.stdout.readline()
        assert f"jdbc:hive2://127.0.0.1:{port}/" in told, (folder / "log").read_text()[-3000:]
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, (folder / "log").read_text()[-3000:]


def test_a_stock_client_over_jdbcs_protocol(
    spark: SparkSession, output: Output, server: int
) -> None:
    from pyhive import hive

    with hive.connect("127.0.0.1", server) as connection, connection.cursor() as cursor:
        for table, key in KEYS.items():
            frame = spark.read.format("delta").load(output.table(table).text)
            columns = [f.name for f in frame.schema if f.dataType.simpleString() in PLAIN]
            cursor.execute(f"SELECT {', '.join(columns)} FROM {table}")
            found = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
            wanted = [row.asDict() for row in frame.select(*columns).collect()]
            assert digests(found, key) == digests(wanted, key), table
        cursor.execute("SELECT count(*), count(wash) FROM product_attributes")
        products = spark.read.format("delta").load(output.table("image_status").text)
        (products_seen, _), = cursor.fetchall()
        assert products_seen == products.select("product_id").distinct().count()
