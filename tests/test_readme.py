"""The README's own commands, run as a user would, on a drawn catalog with the default bundle.

This is the end-to-end test: ingest, tag and report by the real jobs, then again, which must change
nothing; the tables are read by deltalake, which knows nothing of Spark.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from deltalake import DeltaTable

from jeans_udf.drawing import draw_catalog
from jeans_udf.drawing.broken import BROKEN

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TABLES = ("image_status", "garments", "garment_crops")


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


@pytest.mark.parametrize(
    ("form", "annotations"),
    [("labelme", "labelme"), ("via", "via.json"), ("coco", "instances.json")],
)
def test_own_annotations_in_each_format_are_imported_and_trained_on(
    checkout: Path, form: str, annotations: str
) -> None:
    """The README's words for LabelMe, the others by the words it gives for them."""
    (block,) = [block for block in shell_blocks(README) if "import_annotations.py" in block]
    block = block.replace("--annotation-format labelme", f"--annotation-format {form}")
    block = block.replace("annotations/labelme", f"annotations/{annotations}")
    block = block.replace("./own", f"./own_{form}")
    # A CI machine has two cores: one epoch of small pictures shows the same.
    block = block.replace("--epochs 2", "--epochs 1 --longest-side 160")
    if form != "labelme":
        block = block[: block.index("python jobs/evaluate.py")]
    run(block, checkout)
    folder = checkout / f"own_{form}"
    summary = (folder / "dataset" / "summary.json").read_text(encoding="utf-8")
    assert (folder / "dataset" / "overview.png").is_file() and form in summary
    assert (folder / "run" / "detector.safetensors").is_file()
    if form == "labelme":
        status = DeltaTable(folder / "catalog/tags/image_status").to_pandas()
        assert len(status) == 20 and (status.status == "tagged").sum() >= 8
        assert status.model_version.str.startswith("own-").all()
        assert (folder / "evaluation" / "evaluation.html").is_file()
        (recipe,) = [block for block in shell_blocks(README) if "train_classifier.py" in block]
        run(recipe.replace("./own", f"./own_{form}"), checkout)
        left = {path.name for path in (folder / "classifier").iterdir()}
        assert {"labels.md", "classifier.json", "show_batch.png", "top_losses.png"} <= left


@pytest.mark.parametrize("job", sorted(path.name for path in (ROOT / "jobs").glob("*.py")))
def test_help_teaches(job: str) -> None:
    done = subprocess.run(
        [sys.executable, f"jobs/{job}", "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0 and "usage:" in done.stdout
    assert len(done.stdout) > 400, "a help that says what the job is for, and an example"


def test_every_file_that_readme_and_contributing_name_exists() -> None:
    for text in (README, (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")):
        folders = "jobs|conf|scripts|jeans_udf|tests|benchmarks"
        for name in re.findall(rf"`((?:{folders})/[\w./]*)`", text):
            assert (ROOT / name).exists(), name
