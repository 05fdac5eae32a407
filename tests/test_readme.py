"""The README's own commands, run as a user would, on a drawn catalog with the default bundle.

This is the end-to-end test: ingest, tag and report by the real jobs, then again, which must change
nothing; the tables are read by deltalake, which knows nothing of Spark.
"""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from deltalake import DeltaTable
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
from jeans_udf.drawing.broken import BROKEN
from jeans_udf.table_names import parse_output
from jeans_udf.tables import read_table
from jeans_udf.training.coco import read_coco
from jeans_udf.views.publishing import Publication, create_views, garments_of
from jeans_udf.vocabulary import load_vocabulary

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TABLES = ("image_status", "garments", "garment_crops")
KEYS = {
    "image_status": "image_id", "garments": "garment_id", "garment_crops": "garment_id",
    "image_detections": "image_id", "tagging_runs": "run_id", "product_embeddings": "product_id",
    "similar_products": "product_id rank",
}  # fmt: skip
PLAIN = ("string", "int", "bigint", "float", "double", "boolean")
"""Types that a client over JDBC gets as values; the others are compared as text."""
AS_TEXT = {"binary": "hex({0})", "timestamp": "CAST({0} AS STRING)"}
"""How SQL writes these; all others (structs, lists, maps) as JSON."""
COOKBOOK = (ROOT / "docs" / "cookbook.md").read_text(encoding="utf-8")


def shell_blocks(text: str) -> list[str]:
    return re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)


def run(command: str, folder: Path) -> str:
    """Run a README block in ``folder`` as if it were the checkout."""
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", command],
        cwd=folder, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that sees the checkout's jobs and conf, with a drawn catalog beside them."""
    folder = tmp_path_factory.mktemp("readme")
    for name in ("jobs", "conf", "scripts", "jeans_udf"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").symlink_to(sys.prefix)
    draw_catalog(folder / "pictures")
    return folder


@pytest.fixture(scope="module")
def steps(checkout: Path) -> str:
    (block,) = [block for block in shell_blocks(README) if "report.py" in block]
    return block.replace("/path/to/pictures", str(checkout / "pictures"))


@pytest.fixture(scope="module")
def first(checkout: Path, steps: str) -> str:
    return run(steps, checkout)


def read(checkout: Path, table: str) -> pd.DataFrame:
    return DeltaTable(checkout / "catalog" / "tags" / table).to_pandas()


def test_every_picture_has_one_status(checkout: Path, first: str) -> None:
    source = DeltaTable(checkout / "catalog" / "product_images").to_pandas(columns=["image_id"])
    status = read(checkout, "image_status")
    assert sorted(status.image_id) == sorted(source.image_id)
    assert status.image_id.is_unique and len(status) >= 70


def test_broken_pictures_have_the_reason_they_were_made_for(checkout: Path, first: str) -> None:
    status = read(checkout, "image_status")
    rejected = status[status.status == "rejected"]
    by_name = dict(zip(rejected.image_id.map(lambda i: Path(i).name), rejected.reason, strict=True))
    assert by_name == {name: reason for name, (reason, _) in BROKEN.items()}


def test_drawn_garments_are_found_and_named(checkout: Path, first: str) -> None:
    garments, status = read(checkout, "garments"), read(checkout, "image_status")
    assert set(garments.category) >= {"jeans", "trousers", "shorts"}
    readable = status[status.status != "rejected"]
    assert 0.5 < (readable.status == "tagged").mean() < 1, "some pictures show no garment"
    jeans = garments[garments.category == "jeans"]
    assert jeans.wash.notna().mean() > 0.7
    trousers = garments[garments.category == "trousers"]
    assert trousers.wash.isna().all(), "a wash is a matter of denim"


def test_every_garment_has_its_crop(checkout: Path, first: str) -> None:
    garments, crops = read(checkout, "garments"), read(checkout, "garment_crops")
    assert sorted(garments.garment_id) == sorted(crops.garment_id)
    assert garments.garment_id.is_unique
    assert all(crop.startswith(b"\x89PNG") for crop in crops.crop)


def test_the_report_is_one_page_with_pictures(checkout: Path, first: str) -> None:
    page = (checkout / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/") > 50
    assert not re.search(r"(src|href)=[\"']https?://", page)


def test_a_second_run_changes_nothing(checkout: Path, steps: str, first: str) -> None:
    before = {name: DeltaTable(checkout / "catalog/tags" / name).version() for name in TABLES}
    source = DeltaTable(checkout / "catalog" / "product_images").version()
    run("\n".join(line for line in steps.splitlines() if "report.py" not in line), checkout)
    after = {name: DeltaTable(checkout / "catalog/tags" / name).version() for name in TABLES}
    assert after == before
    assert DeltaTable(checkout / "catalog" / "product_images").version() == source
    runs = read(checkout, "tagging_runs").sort_values("started_at")
    assert list(runs.images > 0) == [True, False] and list(runs.exit_code) == [0, 0]


def test_spark_submit_with_the_shipped_properties(checkout: Path, first: str) -> None:
    (block,) = [block for block in shell_blocks(README) if "spark-submit" in block]
    output = run(block, checkout)
    assert "nothing new" in output


@pytest.fixture(scope="module")
def texts(checkout: Path, first: str) -> str:
    (block,) = [block for block in shell_blocks(README) if "embed_products.py" in block]
    return run(block, checkout)


def test_texts_views_and_review(checkout: Path, texts: str) -> None:
    status = read(checkout, "image_status")
    products = read(checkout, "product_embeddings")
    assert sorted(products.product_id) == sorted(status.product_id.dropna().unique())
    assert {len(vector) for vector in products.embedding if vector is not None} == {384}
    similar = read(checkout, "similar_products")
    (shown,) = re.findall(r"product_id = '(\w+)'", COOKBOOK)
    assert shown in set(similar.product_id), "the cookbook asks of a product that is there"
    assert set(similar.product_id) <= set(products.product_id) and len(similar) > len(products)
    assert "accepted_values" in (checkout / "catalog" / "schema.yml").read_text(encoding="utf-8")
    assert (checkout / "catalog" / "review" / "instances.json").is_file()


@pytest.mark.parametrize("table", KEYS)
def test_four_readers_read_the_same(
    spark: SparkSession, checkout: Path, texts: str, table: str
) -> None:
    place, key = str(checkout / "catalog" / "tags" / table), KEYS[table]
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
def server(
    checkout: Path, texts: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    """`jobs/serve_sql.py` on a free port of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("server")
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "jobs/serve_sql.py"), "--output",
         str(checkout / "catalog" / "tags"), "--port", str(port)],
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
    spark: SparkSession, checkout: Path, server: int
) -> None:
    from pyhive import hive

    output = parse_output(str(checkout / "catalog" / "tags"))
    create_views(spark, output, garments_of(spark, output), Publication(temporary=True))
    frames = {name: read_table(spark, output.table(name)) for name in KEYS}
    frames["product_attributes"] = spark.table("product_attributes")
    with hive.connect("127.0.0.1", server) as connection, connection.cursor() as cursor:
        for name, frame in frames.items():
            kinds = {f.name: f.dataType.simpleString() for f in frame.schema}
            values = [written(column, kind) for column, kind in kinds.items()]
            cursor.execute(f"SELECT {', '.join(values)} FROM {name}")
            found = [dict(zip(kinds, row, strict=True)) for row in cursor.fetchall()]
            wanted = [row.asDict() for row in frame.selectExpr(*values).collect()]
            assert wanted, "an empty table would prove nothing"
            # The server writes single floats as text, shortest of all that mean the same.
            single = [column for column, kind in kinds.items() if kind == "float"]
            key = KEYS.get(name, "product_id")
            assert digests(found, key, single) == digests(wanted, key, single), name
    products = read(checkout, "image_status").product_id.nunique()
    assert frames["product_attributes"].count() == products


def written(column: str, kind: str) -> str:
    """The column in SQL, as text where clients have no values of its type."""
    if kind in PLAIN:
        return column
    return f"{AS_TEXT.get(kind, 'to_json({0})').format(column)} AS {column}"


def own_annotations(form: str) -> str:
    """The README's commands from own annotations on, with a format's own words in them."""
    (block,) = [block for block in shell_blocks(README) if "import_annotations.py" in block]
    block = block.replace("--annotation-format labelme", f"--annotation-format {form}")
    return block.replace("./own", f"./own_{form}")


def test_own_annotations_are_imported_trained_on_and_tag_a_catalog(checkout: Path) -> None:
    # A CI machine has two cores: one epoch of small pictures shows the same.
    block = own_annotations("labelme").replace("--epochs 2", "--epochs 1 --longest-side 160")
    run(block, checkout)
    folder = checkout / "own_labelme"
    assert (folder / "dataset" / "overview.png").is_file()
    assert (folder / "run" / "detector.safetensors").is_file()
    assert (folder / "evaluation" / "evaluation.html").is_file()
    status = DeltaTable(folder / "catalog/tags/image_status").to_pandas()
    assert len(status) == 20 and (status.status == "tagged").sum() >= 8
    assert status.model_version.str.startswith("own-").all()
    (recipe,) = [block for block in shell_blocks(README) if "train_classifier.py" in block]
    run(recipe.replace("./own", "./own_labelme"), checkout)
    left = {path.name for path in (folder / "classifier").iterdir()}
    assert {"labels.md", "classifier.json", "show_batch.png", "top_losses.png"} <= left


@pytest.mark.parametrize(
    ("form", "annotations"),
    [("labelme", "labelme"), ("via", "via.json"), ("coco", "instances.json")],
)
def test_each_format_becomes_what_training_reads(
    checkout: Path, form: str, annotations: str
) -> None:
    """The training's files are of one form, wherever they come from: one training shows it all."""
    folder = checkout / f"own_{form}"
    if not folder.exists():
        block = own_annotations(form).replace("annotations/labelme", f"annotations/{annotations}")
        run(block[: block.index("python jobs/train_detector.py")], checkout)
    summary = json.loads((folder / "dataset" / "summary.json").read_text(encoding="utf-8"))
    assert [source["format"] for source in summary["sources"]] == [form]
    assert (folder / "dataset" / "overview.png").is_file()
    categories = load_vocabulary(ROOT / "conf/vocabulary.yaml").categories
    found = [
        photo
        for split in ("train", "val")
        for photo in read_coco(
            folder / "photos", folder / "dataset" / f"instances_{split}.json", categories
        )
    ]
    assert len({photo.path for photo in found}) == len(found) == 20
    assert sum(len(photo.classes) for photo in found) >= 12
    assert all(mask.any() for photo in found for mask in photo.masks())


HELP = """
import contextlib, io, json, runpy, sys
told = {}
for job in sys.argv[1:]:
    sys.argv, text, code = [job, "--help"], io.StringIO(), None
    with contextlib.redirect_stdout(text):
        try:
            runpy.run_path(job, run_name="__main__")
        except SystemExit as ended:
            code = ended.code
    told[job] = (code, text.getvalue())
print(json.dumps(told))
"""


def test_help_teaches() -> None:
    """All in one process: what they import takes far longer than what they say."""
    jobs = [f"jobs/{path.name}" for path in sorted((ROOT / "jobs").glob("*.py"))]
    done = subprocess.run(
        [sys.executable, "-c", HELP, *jobs], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert list(told) == jobs
    for job, (code, text) in told.items():
        assert code == 0 and text.startswith("usage:"), job
        assert len(text) > 400, f"{job}: a help that says what the job is for, and an example"


def test_every_file_that_readme_and_contributing_name_exists() -> None:
    for text in (README, (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")):
        folders = "jobs|conf|scripts|jeans_udf|tests|benchmarks"
        for name in re.findall(rf"`((?:{folders})/[\w./]*)`", text):
            assert (ROOT / name).exists(), name
