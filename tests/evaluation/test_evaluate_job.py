"""The whole job on drawn photos with fresh, untrained detectors."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from rectangles import write_set
from safetensors.torch import save_file

from jeans_udf.evaluation import judge, speed
from jeans_udf.evaluation.detection import FIGURES
from jeans_udf.evaluation.detector import evaluate_detector
from jeans_udf.models.detector import open_detector
from jeans_udf.models.detector_config import (
    build_detector,
    read_detector_config,
    set_categories,
)
from jeans_udf.training.coco import read_coco
from jobs.evaluate import main


def _trained(folder: Path, name: str, proposer: Path | None = None) -> Path:
    """An output folder of a training, with fresh weights of a narrow network."""
    cfg = read_detector_config(f"conf/detectors/{name}.yaml", "lite0_fpn")
    set_categories(cfg, 5)
    cfg.INPUT.MIN_SIZE_TEST = cfg.INPUT.MAX_SIZE_TEST = 64
    cfg.MODEL.FPN.OUT_CHANNELS = 16
    cfg.MODEL.ROI_BOX_HEAD.FC_DIM = cfg.MODEL.ROI_MASK_HEAD.CONV_DIM = 16
    cfg.TEST.DETECTIONS_PER_IMAGE = 6
    torch.manual_seed(0)
    model = build_detector(cfg)
    folder.mkdir()
    (folder / "detector.yaml").write_text(cfg.dump())
    weights = {key: value.contiguous() for key, value in model.state_dict().items()}
    save_file(weights, folder / "detector.safetensors")
    (folder / "metrics.json").write_text(json.dumps({"training_seconds": 1800.0}))
    if proposer:
        for suffix in ("yaml", "safetensors"):
            target = folder / f"proposer.{suffix}"
            target.write_bytes((proposer / f"detector.{suffix}").read_bytes())
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("runs")
    rpn = _trained(root / "rpn", "rpn")
    return {
        "mask": _trained(root / "mask", "mask_rcnn"),
        "rpn": rpn,
        "fast": _trained(root / "fast", "fast_rcnn", rpn),
        "alone": _trained(root / "alone", "fast_rcnn"),
    }


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module", autouse=True)
def short_speed() -> Iterator[None]:
    """One pass over eight photos: what it measures does not matter here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speed, "PHOTOS", 8)
        patch.setattr(judge, "measure_speed", partial(speed.measure_speed, repeats=1))
        yield


def _arguments(photos: Path, output: Path, *more: object) -> list[str]:
    fixed = ["--photos", photos.parent, "--annotations", photos, "--output", output,
             "--device", "cpu"]  # fmt: skip
    return [str(value) for value in (*fixed, *more)]


@pytest.fixture(scope="module")
def judged(runs: dict[str, Path], photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("out") / "deep" / "er"
    more = ("--detector", runs["mask"], "--threshold", "0.1", "--group-pattern", "^([a-z]+)_")
    assert main(_arguments(photos, output, *more)) == 0
    return output


def test_every_figure_is_in_metrics_json(judged: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    text = (judged / "metrics.json").read_text()
    metrics = json.loads(text, parse_constant=refuse)
    assert set(FIGURES) <= set(metrics["bbox"]) and "AR_small/jeans" in metrics["segm"]
    assert set(metrics["any_category"]["segm"]) == set(FIGURES)
    assert metrics["photos"] == {
        "photos": 4, "without_garments": 1, "garments": 3, "crowds": 1,
        "garments_by_category": {
            "jeans": 1, "denim_shorts": 0, "trousers": 1, "shorts": 1, "leggings": 0,
        },
    }  # fmt: skip
    assert set(metrics["groups"]) == {"flat", "street"}
    assert metrics["groups"]["street"]["photos"]["photos"] == 1
    assert metrics["groups"]["street"]["tagged_negatives"]["0.50"] is None, "no such photo there"
    assert metrics["tagged_negatives"]["0.05"] in (0, 1)
    assert metrics["at_thresholds"]["thresholds"]["jeans"] == 0.1
    assert np.array(metrics["confusion"]["table"]).shape == (6, 6)
    assert sum(each["count"] for each in metrics["calibration"]["bins"]) > 0
    assert metrics["bbox"]["AP/leggings"] is None
    rates, about = metrics["speed"], metrics["detector"]
    assert rates["batch_1"] > 0 and rates["batch_8"] > 0 and rates["device"] == "cpu"
    assert about["architecture"] == "Mask R-CNN" and about["backbone"] == "tf_efficientnet_lite0"
    assert about["parameters"] > 2e6 and about["training_seconds"] == 1800


def test_the_plots_and_the_sheet_are_pictures(judged: Path) -> None:
    names = {"categories", "precision_recall", "thresholds", "confusion", "calibration", "errors"}
    assert {path.stem for path in judged.glob("*.png")} == names
    for path in judged.glob("*.png"):
        with Image.open(path) as image:
            assert np.asarray(image.convert("L")).std() > 5, f"{path.name} is blank"
    with (judged / "curves.csv").open(newline="") as lines:
        assert next(csv.reader(lines)) == ["category", "iou", "recall", "precision", "score"]


def test_the_page_holds_all_it_needs(judged: Path) -> None:
    page = (judged / "evaluation.html").read_text()
    assert "<script" not in page.lower() and "default-src 'none'" in page
    sources = re.findall(r'(?:src|href)="([^"]{1,40})', page)
    assert sources and all(source.startswith(("data:image/", "#")) for source in sources)
    for section in ("figures", "plots", "best", "worst", "negatives", "background", "missed",
                    "category"):  # fmt: skip
        assert f'id="{section}"' in page
    assert "street_1.png" in page and page.count("data:image/png") == 5
    assert "data:image/webp" in page


def test_several_detectors_are_compared(
    runs: dict[str, Path], photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    detectors = [a for name in ("mask", "rpn", "mask") for a in ("--detector", runs[name])]
    assert main(_arguments(photos, output, *detectors, "--no-speed", "--limit", 3)) == 0
    table = capsys.readouterr().out
    with (output / "comparison.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["architecture"] for row in rows] == ["Mask R-CNN", "RPN", "Mask R-CNN"]
    assert [row["name"] for row in rows] == ["mask", "rpn", "mask_2"]
    assert rows[1]["AR@100"] and not rows[1]["box AP"] and not rows[0]["AR@100"]
    assert rows[0]["box AP"] == rows[2]["box AP"] != "" and not rows[1]["mask AP"]
    assert rows[0]["training h"] == "0.5"
    assert (output / "comparison.md").read_text().splitlines()[0] == table.splitlines()[0]
    for folder in ("mask", "rpn", "mask_2"):
        assert (output / folder / "evaluation.html").is_file()
        assert json.loads((output / folder / "metrics.json").read_text())["photos"]["photos"] == 3
    proposals = pq.read_table(output / "rpn" / "proposals.parquet")
    assert proposals["image_id"].to_pylist() == ["street_1.png", "flat_1.png", "flat_2.png"]


def test_a_fast_rcnn_takes_the_proposals_of_a_file(
    runs: dict[str, Path], photos: Path, tmp_path: Path
) -> None:
    first = _arguments(photos, tmp_path / "rpn", "--detector", runs["rpn"], "--no-speed")
    assert main(first) == 0
    given = ("--proposals", tmp_path / "rpn" / "proposals.parquet")
    assert main(_arguments(photos, tmp_path / "a", "--detector", runs["alone"], *given)) == 0
    own = ("--detector", runs["fast"], "--no-speed")
    assert main(_arguments(photos, tmp_path / "b", *own)) == 0
    by_file, by_own = (json.loads((tmp_path / name / "metrics.json").read_text())
                       for name in ("a", "b"))  # fmt: skip
    assert by_file["bbox"] == pytest.approx(by_own["bbox"], abs=0.02, nan_ok=True)
    assert by_file["speed"]["batch_8"] > 0 and by_file["segm"] is None
    assert by_file["detector"]["architecture"] == "Fast R-CNN"
    more = by_own["detector"]["parameters"] - by_file["detector"]["parameters"]
    assert more > 2e6, "its RPN counts"


def test_trainings_are_told_the_figures_that_they_choose_epochs_by(
    runs: dict[str, Path], photos: Path
) -> None:
    categories = ("jeans", "denim_shorts", "trousers", "shorts", "leggings")
    validation = read_coco(photos.parent, photos, categories)
    found = {}
    for name in ("mask", "rpn"):
        model = open_detector(runs[name], torch.device("cpu")).model.train()
        found[name] = evaluate_detector(model, validation, categories, 64, torch.device("cpu"))
        assert model.training, "it goes on as it was"
    assert {"AP", "AP50", "AP/jeans", "AP50/jeans"} <= set(found["mask"]["segm"])
    assert set(found["mask"]["tagged_negatives"]) == {"0.3", "0.4", "0.5", "0.6", "0.7", "0.8"}
    rpn = found["rpn"]
    assert rpn["segm"] is None and 0 <= rpn["bbox"]["AP50"] <= 1
    assert 0 < rpn["proposals"]["AR50@100"] <= 1, "boxes everywhere cover something"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ((), "nothing to judge"),
        (("--detector", "/nowhere"), "/nowhere: holds no detector.yaml"),
        (("--bundle", "absent"), "bundle 'absent': no such bundle"),
        (("--detector", "{mask}", "--threshold", "2"), "wanted a score of 0 to 1"),
        (("--detector", "{mask}", "--limit", "0"), "--limit: got 0"),
        (("--detector", "{mask}", "--device", "cuda:99"), "--device 'cuda:99'"),
        (("--detector", "{mask}", "--device", "toaster"), "--device 'toaster'"),
        (("--detector", "{mask}", "--group-pattern", "("), "no regular expression"),
        (("--detector", "{mask}", "--groups", "/nowhere.csv"), "cannot be read"),
        (("--detector", "{mask}", "--vocabulary", "{small}"), "knows 5 categories, the vocabulary"),
        (("--detector", "{alone}",), "a Fast R-CNN without its proposal network"),
        (("--detector", "{alone}", "--proposals", "{small}"), "not a Parquet file"),
        (("--detector", "{mask}", "--output", "{small}"), "is a file"),
        (("--detector", "{mask}", "--annotations", "{small}"), "not COCO"),
    ],
)
def test_bad_requests_are_2_and_say_why(
    more: tuple[str, ...], message: str, runs: dict[str, Path], photos: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    small = tmp_path / "small.yaml"
    small.write_text("categories: [jeans]\ngroups:\n  wash: {exclusive: true, labels: [light]}\n")
    if "--annotations" in more:
        small.write_text("[1]")
    filled = [text.format(**runs, small=small) for text in more]
    assert main(_arguments(photos, tmp_path / "out", *filled)) == 2
    told = capsys.readouterr().err
    assert message in told and told.count("\n") == 1 and "Traceback" not in told
    assert not (tmp_path / "out").exists()


def test_photos_that_cannot_be_judged_are_named(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_set(tmp_path / "photos")
    Image.new("RGB", (50, 60)).save(file.parent / "flat_2.png")
    arguments = _arguments(file, tmp_path / "out", "--detector", runs["mask"])
    assert main(arguments) == 2
    assert "flat_2.png: upright it is 50x60" in capsys.readouterr().err
    (file.parent / "flat_2.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert main(arguments) == 2
    assert "flat_2.png: cannot be judged" in capsys.readouterr().err


def test_a_bundle_is_judged_by_its_whole_pass(photos: Path, tmp_path: Path) -> None:
    more = ("--bundle", "default", "--no-speed", "--limit", 2)
    assert main(_arguments(photos, tmp_path / "out", *more)) == 0
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    manifest = json.loads(Path("jeans_udf/bundles/default/manifest.json").read_text())
    assert metrics["detector"]["name"] == manifest["name"]
    assert metrics["detector"]["judged"] == "bundle, the whole pass"
    own = manifest["detector"].get("category_thresholds", {})
    assert metrics["at_thresholds"]["thresholds"]["jeans"] == own.get(
        "jeans", manifest["detector"]["score_threshold"]
    )


DATA = Path(__file__).parents[2] / "../shared/data"


@pytest.mark.skipif(not DATA.is_dir(), reason="the real labelled photos are not at hand")
def test_the_default_bundle_finds_garments_on_real_photos(tmp_path: Path) -> None:
    arguments = ["--photos", DATA / "photos", "--annotations",
                 DATA / "annotations/instances_val.json", "--bundle", "default", "--limit", 12,
                 "--group-pattern", "^(ccp|cd)_", "--no-speed", "--device", "cpu",
                 "--output", tmp_path]  # fmt: skip
    assert main([str(value) for value in arguments]) == 0
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["any_category"]["bbox"]["AP50"] > 0.6
    groups = metrics["groups"]
    assert groups["ccp"]["photos"]["photos"] + groups["cd"]["photos"]["photos"] == 12
