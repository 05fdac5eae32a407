"""The pass over the pixels with the default bundle, on drawn pictures; no Spark."""

from __future__ import annotations

import copy
import dataclasses
import io

import numpy as np
import pytest
import torch
from PIL import Image

from jeans_udf.bundle import open_bundle
from jeans_udf.config import load_config
from jeans_udf.drawing import draw_picture
from jeans_udf.geometry import decode_rle
from jeans_udf.models.classifier import Judged
from jeans_udf.models.combination import Combination
from jeans_udf.source_image import Known, SourceImage
from jeans_udf.tagger import Tagger

WISHES = [
    {"kind": "jeans", "view": "flat", "wash": "dark", "seed": 0},
    {"kind": "jeans", "view": "worn", "seed": 1},
    {"kind": "shorts", "view": "flat", "seed": 12},
    {"kind": "trousers", "view": "worn", "seed": 3},
    {"kind": "t_shirt", "seed": 4},
]


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return Tagger(open_bundle("default"), load_config(), torch.device("cpu"))


@pytest.fixture(scope="module")
def sources() -> list[SourceImage]:
    images = []
    for number, wishes in enumerate(WISHES):
        buffer = io.BytesIO()
        Image.fromarray(draw_picture(**wishes).image).save(buffer, "PNG", compress_level=1)
        images.append(SourceImage(f"image{number}", f"product{number}", buffer.getvalue(), None))
    images.append(SourceImage("broken", "p", images[0].data[:2000], None))
    images.append(SourceImage("none", None, None, None))
    return images


@pytest.fixture(scope="module")
def rows(tagger: Tagger, sources: list[SourceImage]) -> dict[str, dict]:
    tagged = list(tagger.tag(sources))
    assert len(tagged) == len(sources)
    return {row["image_id"]: row for row in tagged}


def test_keys_out_are_keys_in(rows, sources) -> None:
    assert set(rows) == {source.image_id for source in sources}
    assert rows["broken"]["reason"] == "truncated" and rows["none"]["reason"] == "null_image"
    assert {row["status"] for row in rows.values()} == {"tagged", "no_garment", "rejected"}


def test_garments_lie_where_they_were_drawn(rows) -> None:
    for number, wishes in enumerate(WISHES[:4]):
        truth = draw_picture(**wishes).garments[0]
        found = rows[f"image{number}"]["found"]
        assert found, f"nothing found in a picture of {wishes}"
        mask = decode_rle({"size": [found[0]["mask"]["height"], found[0]["mask"]["width"]],
                           "counts": found[0]["mask"]["counts"]})  # fmt: skip
        overlap = (mask & truth.mask).sum() / (mask | truth.mask).sum()
        assert overlap > 0.7, f"{wishes}: mask overlaps by {overlap:.2f}"
        assert found[0]["mask_area"] == mask.sum()


def test_the_crop_is_the_masked_garment(rows) -> None:
    garment = rows["image0"]["found"][0]
    crop = np.asarray(Image.open(io.BytesIO(garment["crop"])))
    assert crop.shape == (garment["crop_height"], garment["crop_width"], 4)
    assert int((crop[:, :, 3] > 0).sum()) == garment["mask_area"]
    assert (crop[crop[:, :, 3] == 0] == 0).all()


def test_neighbours_and_order_change_nothing(tagger, sources, rows) -> None:
    alone = [row for source in sources[::-1] for row in tagger.tag([source])]
    for row in alone:
        together = rows[row["image_id"]]
        assert row["status"] == together["status"]
        assert len(row["found"]) == len(together["found"])
        for one, other in zip(row["found"], together["found"], strict=True):
            assert one["garment_id"] == other["garment_id"]
            assert one["category"] == other["category"]
            assert one["attributes"] == other["attributes"]
            assert one["score"] == pytest.approx(other["score"], abs=1e-3)
            assert list(one["box"].values()) == pytest.approx(list(other["box"].values()), abs=0.5)


def test_rules_of_the_vocabulary_hold(rows, tagger) -> None:
    for row in rows.values():
        for garment in row["found"]:
            for group in tagger.vocabulary.groups:
                if garment["category"] not in group.applies_to and group.exclusive:
                    assert garment[group.name] is None and garment[f"{group.name}_score"] is None
            assert set(garment["attributes"]) <= set(tagger.vocabulary.labels)


def test_one_image_that_breaks_the_model_is_alone_in_it(tagger, sources, rows, monkeypatch) -> None:
    whole = tagger.detector.detect
    poison = tagger.detector.prepare(np.asarray(Image.open(io.BytesIO(sources[0].data))))

    def detect(canvases):
        if any(torch.equal(canvas.pixels, poison.pixels) for canvas in canvases):
            raise RuntimeError("out of memory")
        return whole(canvases)

    monkeypatch.setattr(tagger.detector, "detect", detect)
    after = {row["image_id"]: row for row in tagger.tag(sources)}
    assert after["image0"]["reason"] == "model_error"
    assert "out of memory" in after["image0"]["detail"]
    assert after["image1"]["status"] == rows["image1"]["status"]
    assert set(after) == set(rows)


@pytest.fixture
def judged_shorts(tagger, monkeypatch) -> None:
    """The classifier is sure of shorts, and of a dark wash, whatever it sees."""
    words = tagger.vocabulary
    scores, verdict = np.zeros(len(words.labels)), np.zeros(1 + len(words.categories))
    scores[words.labels.index("dark")] = verdict[1 + words.categories.index("shorts")] = 1.0
    monkeypatch.setattr(
        tagger.classifier, "judge", lambda squares: [Judged(scores, verdict)] * len(squares)
    )


def test_both_models_decide_the_category_and_its_rules_hold(
    tagger, sources, monkeypatch, judged_shorts
) -> None:
    monkeypatch.setattr(tagger, "thresholds", dict.fromkeys(tagger.vocabulary.categories, 0.0))
    monkeypatch.setattr(tagger, "combination", Combination(1.0, 0.0, 0.0))
    (alone,) = [row["found"][0] for row in tagger.tag(sources[:1])]
    assert (alone["category"], alone["wash"]) == ("jeans", "dark"), "the detector alone"
    monkeypatch.setattr(tagger, "combination", Combination(0.1, 1.0, 0.0))
    (both,) = [row["found"][0] for row in tagger.tag(sources[:1])]
    assert both["category"] == "shorts" and 0.5 < both["score"] <= 1
    assert both["wash"] is None, "a wash is a matter of denim"
    monkeypatch.setattr(tagger, "combination", Combination(1.0, 1.0, 30.0))
    (none,) = [row["found"][0] for row in tagger.tag(sources[:1])]
    assert none["score"] < 0.01, "surely none"


def test_what_both_give_too_little_is_not_kept(
    tagger, sources, monkeypatch, judged_shorts
) -> None:
    monkeypatch.setattr(tagger, "combination", Combination(0.1, 1.0, 0.0))
    least = dict.fromkeys(tagger.vocabulary.categories, 0.0) | {"shorts": 1.01}
    monkeypatch.setattr(tagger, "thresholds", least)
    assert [row["status"] for row in tagger.tag(sources[:1])] == ["no_garment"]


def test_a_garment_is_looked_at_alone_as_in_a_batch(tagger, sources, rows) -> None:
    picture = np.asarray(Image.open(io.BytesIO(sources[0].data)).convert("RGB"))
    (best, *_) = sorted(tagger.look(picture), key=lambda garment: -garment.score)
    assert best.category == rows["image0"]["found"][0]["category"]
    assert best.score == pytest.approx(rows["image0"]["found"][0]["score"], abs=1e-4)


def test_an_image_is_decoded_once_and_no_png_is_read_back(tagger, sources, monkeypatch) -> None:
    opened = []
    real = Image.open

    def counted(*arguments, **options):
        opened.append(arguments)
        return real(*arguments, **options)

    monkeypatch.setattr(Image, "open", counted)
    (row,) = tagger.tag(sources[:1])
    assert row["found"] and row["found"][0]["crop"].startswith(b"\x89PNG")
    assert len(opened) == 1, "the photo itself; crops are cut from its pixels"


def test_known_detections_are_classified_without_detecting(
    tagger: Tagger, sources, rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a bundle with another classifier does with the detections of an earlier run."""

    def known(row: dict) -> tuple[Known, ...] | None:
        if row["detections"] is None:
            return None
        return tuple(
            Known(tuple(d["box"].values()), tuple(d["scores"]), d["mask"])
            for d in row["detections"]
        )

    again = [
        dataclasses.replace(source, known=known(rows[source.image_id]),
                            known_sha256=rows[source.image_id]["image_sha256"])
        for source in sources
    ]  # fmt: skip
    looked: list[int] = []
    detect = tagger.detector.detect
    monkeypatch.setattr(
        tagger.detector, "detect", lambda canvases: looked.append(len(canvases)) or detect(canvases)
    )
    for row in tagger.tag(again):
        first = rows[row["image_id"]]
        assert row["detections"] is None
        assert row["status"] == first["status"]
        for ours, theirs in zip(row["found"], first["found"], strict=True):
            assert ours["garment_id"] == theirs["garment_id"] and ours["mask"] == theirs["mask"]
            assert ours["attributes"] == theirs["attributes"] and ours["crop"] == theirs["crop"]
            assert ours["score"] == pytest.approx(theirs["score"], abs=1e-4)
    assert sum(looked) == 0
    # Detections of other bytes are worth nothing.
    other = dataclasses.replace(again[0], known=(), known_sha256="of other bytes")
    assert next(tagger.tag([other]))["garments"] == rows["image0"]["garments"] > 0
    assert sum(looked) == 1


def test_a_large_jpeg_is_reduced_and_boxes_and_masks_are_not(tagger) -> None:
    drawn = draw_picture(**WISHES[0]).image
    large = Image.fromarray(drawn).resize((drawn.shape[1] * 4, drawn.shape[0] * 4))
    buffer = io.BytesIO()
    large.save(buffer, "JPEG", quality=95)
    source = SourceImage("large", "p", buffer.getvalue(), None)
    whole = copy.copy(tagger)
    whole.config = load_config(overrides=["decoding.longest_side=0"])
    reduced = copy.copy(tagger)
    reduced.config = load_config(overrides=["decoding.longest_side=500"])
    (wanted,), (row,) = whole.tag([source]), reduced.tag([source])
    assert (row["width"], row["height"]) == large.size
    (one,), (other,) = row["found"], wanted["found"]
    assert one["category"] == other["category"] and one["attributes"] == other["attributes"]
    assert list(one["box"].values()) == pytest.approx(list(other["box"].values()), abs=12)
    masks = [decode_rle({"size": [g["mask"]["height"], g["mask"]["width"]],
                         "counts": g["mask"]["counts"]}) for g in (one, other)]  # fmt: skip
    assert masks[0].shape == large.size[::-1]
    assert (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum() > 0.97
    assert one["mask_area"] == masks[0].sum()
    # Libjpeg's scale of at least 500 pixels, for the crop.
    scale = other["crop_height"] / one["crop_height"]
    assert min(abs(scale - known) for known in (2, 4, 8)) < 0.15
    known = tuple(
        Known(tuple(d["box"].values()), tuple(d["scores"]), d["mask"]) for d in row["detections"]
    )
    again = dataclasses.replace(source, known=known, known_sha256=row["image_sha256"])
    (second,) = reduced.tag([again])
    assert second["found"][0]["mask"] == one["mask"]
    assert second["found"][0]["attributes"] == one["attributes"]


@pytest.mark.parametrize(
    ("error", "blamed"),
    [
        (RuntimeError("CUDA error: an illegal memory access was encountered"), "device"),
        (torch.OutOfMemoryError("CUDA out of memory"), "device"),
        (ValueError("a shape of this picture"), "image"),
    ],
)
def test_a_broken_gpu_is_no_images_fault(
    tagger: Tagger, sources: list[SourceImage], error: Exception, blamed: str
) -> None:
    broken = copy.copy(tagger)
    broken.device = torch.device("cuda")
    broken.detector = copy.copy(tagger.detector)

    def fail(canvases: object) -> None:
        raise error

    broken.detector.detect = fail  # type: ignore[method-assign,assignment]
    if blamed == "device":
        with pytest.raises(type(error)):
            list(broken.tag(sources))
    else:
        reasons = [row["reason"] for row in broken.tag(sources)]
        assert reasons.count("model_error") == len(WISHES)


def test_a_batch_that_is_too_large_for_a_gpu_is_halved_first(
    tagger: Tagger, sources: list[SourceImage]
) -> None:
    small = copy.copy(tagger)
    small.device = torch.device("cuda")
    small.batch_pixels = 10_000_000
    small.detector = copy.copy(tagger.detector)
    sizes: list[int] = []

    def detect(canvases: list[object]) -> object:
        sizes.append(len(canvases))
        if len(canvases) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return tagger.detector.detect(canvases)  # type: ignore[arg-type]

    small.detector.detect = detect  # type: ignore[method-assign,assignment]
    found = list(small.tag(sources))
    assert not any(row["reason"] == "model_error" for row in found)
    assert max(sizes) > 1 and len(found) == len(sources)


@pytest.mark.parametrize(("kind", "count"), [("cpu", 40), ("cuda", 32)])
def test_batches_on_a_gpu_are_powers_of_two(tagger: Tagger, kind: str, count: int) -> None:
    other = copy.copy(tagger)
    other.device, other.batch_pixels = torch.device(kind), 40 * 448 * 352 + 1
    assert other.images_at_once((448, 352)) == count
    assert other.images_at_once((448 * 2, 352 * 3)) == 6, "filled up to eight either way"
    assert other.images_at_once((4480, 3520)) == 1
