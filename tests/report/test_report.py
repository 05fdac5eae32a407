"""The page: facts that must be on it, hostile text, exact masks, bounds; then out of tables."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pyspark.sql import SparkSession

from jeans_udf.config import ImageLimits
from jeans_udf.errors import TableError, UsageError
from jeans_udf.geometry import encode_rle
from jeans_udf.images import encode_png_rgba
from jeans_udf.report.cards import CardMaker, Groups, with_crops
from jeans_udf.report.data import (
    Attribute,
    Chart,
    GarmentCard,
    PhotoCard,
    RejectedCard,
    Report,
    RunSummary,
    Sample,
)
from jeans_udf.report.page import plain_text, render_page, write_page
from jeans_udf.report.pictures import CROP_SIDE, PHOTO_SIDE, RIM_PIXELS, Album, shrink, tint
from jeans_udf.report.queries import example_queries
from jeans_udf.report.read import ReportOptions, read_report
from jeans_udf.schemas import GARMENT_CROPS, IMAGE_STATUS, PRODUCT_IMAGES, TAGGING_RUNS
from jeans_udf.schemas import garments_schema as schema_of_garments
from jeans_udf.table_names import parse_output, parse_table
from jeans_udf.vocabulary import load_vocabulary

ROOT = Path(__file__).resolve().parents[1]
MOMENT = datetime(2026, 5, 4, 13, 37, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>"
GROUPS = Groups(("wash", "fit", "length"), ("details",))


class Page(HTMLParser):
    """What a browser would see: tags with their attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += " ".join(data.split()) + " "

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def classes(self, name: str) -> int:
        return sum(name in (a.get("class") or "").split() for _, a in self.tags)


def photo_bytes(height: int, width: int, colour: tuple[int, int, int] = (90, 120, 160)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "PNG")
    return buffer.getvalue()


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (height, width, 3), dtype=np.uint8)


def image_row(data: bytes | None, **values: Any) -> dict[str, Any]:
    digest = None if data is None else hashlib.sha256(data).hexdigest()
    row = {
        "image_id": "P1/front.png", "product_id": "P1", "title": "Blue jeans", "image": data,
        "path": None, "reason": None, "detail": None, "width": 60, "height": 80,
        "image_sha256": digest,
    }  # fmt: skip
    return row | values


def garment_row(region: np.ndarray | None, /, **values: Any) -> dict[str, Any]:
    rle = None
    if region is not None:
        coded = encode_rle(region)
        rle = {"height": region.shape[0], "width": region.shape[1], "counts": coded["counts"]}
    row = {
        "garment_id": "g1", "garment_no": 0, "category": "jeans", "score": 0.97,
        "box": {"x_min": 10.0, "y_min": 20.0, "x_max": 40.0, "y_max": 70.0}, "mask": rle,
        "wash": "dark", "wash_score": 0.91, "fit": "slim", "fit_score": 0.52,
        "length": None, "length_score": 0.31, "details": ["faded"],
        "attribute_scores": {"dark": 0.91, "slim": 0.52, "faded": 0.74},
    }  # fmt: skip
    return row | values


def square_mask(height: int = 80, width: int = 60) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[20:70, 10:40] = True
    return mask


def report_of(
    photos: tuple[PhotoCard, ...] = (),
    blank: tuple[PhotoCard, ...] = (),
    rejected: tuple[RejectedCard, ...] = (),
    /,
    **values: Any,
) -> Report:
    found = {"tagged": len(photos), "no_garment": len(blank), "rejected": len(rejected)}
    plain: dict[str, Any] = dict(
        title="Spring catalog",
        source="/data/product_images",
        output="/data/tags",
        made_at=MOMENT,
        model_version="default-0123456789ab",
        statuses={status: count for status, count in found.items() if count},
        garments=sum(len(card.garments) for card in photos),
        runs=(),
        charts=(),
        tagged=Sample(photos, len(photos)),
        blank=Sample(blank, len(blank)),
        rejected=Sample(rejected, len(rejected)),
        queries=example_queries("/data/tags"),
    )
    return Report(**plain | values)


def maker(album: Album | None = None) -> CardMaker:
    return CardMaker(GROUPS, ImageLimits(), album)


def full_card() -> PhotoCard:
    making = maker(Album())
    card = making.photo(image_row(photo_bytes(80, 60)), [garment_row(square_mask())])
    crop = np.zeros((50, 30, 4), np.uint8)
    crop[5:, 5:] = (90, 120, 160, 255)
    assert making.album is not None
    return with_crops(card, {"g1": making.album.crop(encode_png_rgba(crop))})


def test_a_photo_a_cut_out_and_the_attributes_are_on_the_page() -> None:
    page = Page(render_page(report_of((full_card(),))))
    alts = [image["alt"] for image in page.all("img")]
    assert alts == [
        "Photo P1/front.png of product P1; found: jeans", "", "Cut-out of jeans, dark, slim, faded"
    ]  # fmt: skip
    for text in ("Blue jeans", "jeans 97%", "dark 91%", "slim 52%", "faded 74%", "1 shown"):
        assert text in page.text, text
    # One in the legend, one chip of the garment; length is answered by nobody.
    assert page.classes("unsure") == 2 and page.classes("abstained") == 2
    (box,) = (a for _, a in page.tags if (a.get("class") or "") == "overlay box")
    assert box["style"] == (
        "left:16.67%;top:25.00%;width:50.00%;height:62.50%;border-color:#c2410c"
    )


def test_the_counts_on_the_page_add_up() -> None:
    run = RunSummary("r-7", MOMENT, MOMENT, 12_345, 4, 11_020, 5, 8.43, 1464.0, "default-01", 3)
    idle = replace(run, run_id="r-8", images=0, images_per_second=None)
    report = report_of(
        statuses={"tagged": 12_000, "no_garment": 340, "rejected": 5},
        garments=11_020,
        runs=(idle, run),
        charts=(Chart("Category", (("jeans", 11_000), ("shorts", 20)), coloured=True),),
        tagged=Sample((full_card(),), 12_000),
    )
    assert report.images == 12_345 and report.run == run
    text = Page(render_page(report)).text
    for words in ("12,345 images", "11,020 garments", "12,000 with garments", "5 rejected"):
        assert words in text, words
    for words in ("8.4 images a second", "1 of 12,000 shown", "2026-05-04 13:37 UTC"):
        assert words in text, words
    assert "24 min 24 s" in text


def test_drift_of_the_last_run_is_told() -> None:
    run = RunSummary("r-7", MOMENT, MOMENT, 500, 0, 500, 0, 8.0, 60.0, "m", 3,
                     drift={"wash": 0.41, "fit": 0.02}, max_drift=0.25)  # fmt: skip
    text = Page(render_page(report_of(runs=(run,)))).text
    assert "limit 0.25): fit 0.02, wash 0.41." in text
    assert "Over the limit: wash." in text and "--rollback r-7" in text
    calm = Page(render_page(report_of(runs=(replace(run, drift={"wash": 0.1}),)))).text
    assert "wash 0.10." in calm and "Over the limit" not in calm
    assert "Drift" not in Page(render_page(report_of(runs=(replace(run, drift={}),)))).text


def test_bars_are_as_long_as_their_counts() -> None:
    chart = Chart("Wash", (("dark", 40), ("light", 10)))
    html = render_page(report_of((full_card(),), charts=(chart,)))
    assert re.findall(r'class="bar"><span style="width:([\d.]+)%', html) == ["100.0", "25.0"]


def test_hostile_text_stays_text() -> None:
    nasty_id = '"><img src=x onerror=alert(2)>'
    card = replace(full_card(), title=HOSTILE, image_id=nasty_id, product_id="\u202e</b>")
    bad = RejectedCard(HOSTILE, "'><svg/onload=alert(3)>", HOSTILE, "not_an_image", HOSTILE)
    attribute = Attribute("details", '"><script>', 0.9)
    garment = replace(card.garments[0], category="x;}</style><script>", attributes=(attribute,))
    card = replace(card, garments=(*card.garments, garment))
    report = report_of((card,), (card,), (bad,), title=HOSTILE, output="/x'`</code><script>")
    page = Page(render_page(replace(report, queries=example_queries(report.output))))
    assert not page.all("script")
    assert HOSTILE in page.text
    assert not [a for _, a in page.tags for name in a if name.startswith("on")]
    assert all((image["src"] or "").startswith("data:image/") for image in page.all("img"))
    assert len(page.all("style")) == 1


def test_the_page_loads_nothing() -> None:
    page = Page(render_page(report_of((full_card(),))))
    assert not {"script", "link", "iframe", "object", "embed"} & {tag for tag, _ in page.tags}
    loads = [a[name] or "" for _, a in page.tags for name in ("src", "href", "srcset") if name in a]
    assert loads and all(load.startswith(("data:image/", "#")) for load in loads)
    style = (ROOT / "jeans_udf/report/templates/style.css").read_text()
    assert "url(" not in style and "@import" not in style
    (policy,) = (m for m in page.all("meta") if "http-equiv" in m)
    assert (policy["content"] or "").startswith("default-src 'none'; img-src data:;")


def test_control_and_direction_characters_are_taken_out() -> None:
    assert plain_text("a\u202eb\u2066c\0d\ne") == "abc d e"
    assert plain_text("x" * 900, 10) == "xxxxxxxxx…"
    assert plain_text("Größe 32 – café 👖") == "Größe 32 – café 👖"


def test_the_mask_tints_its_pixels_and_no_other() -> None:
    mask = square_mask()
    layer = tint(80, 60, [mask], [(194, 65, 12)])
    assert layer.shape == (80, 60, 4) and layer.dtype == np.uint8
    assert np.array_equal(layer[..., 3] > 0, mask)
    assert (layer[mask][:, :3] == (194, 65, 12)).all() and not layer[~mask].any()
    # The middle is thin, so that the cloth is seen; the rim is as wide as it says.
    row = layer[40, :, 3]
    assert row[25] < row[10] == row[10 + RIM_PIXELS - 1] and row[10 + RIM_PIXELS] == row[25]


def test_of_two_masks_the_better_one_is_seen() -> None:
    first, second = np.zeros((2, 40, 40), bool)
    first[:30, :30] = True
    second[10:, 10:] = True
    layer = tint(40, 40, [first, second], [(255, 0, 0), (0, 0, 255)])
    assert (layer[first][:, 0] == 255).all()
    assert (layer[second & ~first][:, 2] == 255).all()
    assert np.array_equal(layer[..., 3] > 0, first | second)


def test_a_mask_shrinks_with_its_photo() -> None:
    layer = tint(40, 30, [square_mask()], [(0, 0, 255)])
    expected = np.zeros((40, 30), bool)
    expected[10:35, 5:20] = True
    assert np.array_equal(layer[..., 3] > 0, expected)
    assert not tint(40, 30, [], []).any()


def test_the_overlay_has_the_photos_size_and_alpha() -> None:
    card = full_card()
    assert card.picture is not None and card.overlay is not None
    assert (card.overlay.width, card.overlay.height) == (card.picture.width, card.picture.height)
    with Image.open(io.BytesIO(card.overlay.data)) as overlay:
        alpha = np.asarray(overlay.convert("RGBA"))[..., 3]
    assert np.array_equal(alpha > 0, square_mask())


def test_a_cut_out_keeps_its_transparency() -> None:
    crop = full_card().garments[0].crop
    assert crop is not None
    with Image.open(io.BytesIO(crop.data)) as image:
        alpha = np.asarray(image.convert("RGBA"))[..., 3]
    assert alpha[0, 0] == 0 and alpha[30, 20] == 255
    assert "conic-gradient" in render_page(report_of((full_card(),)))


def test_pictures_are_small() -> None:
    album = Album()
    photo = album.photo(noise(900, 1200))
    crop = album.crop(encode_png_rgba(np.full((900, 300, 4), 200, np.uint8)))
    assert photo is not None and (photo.height, photo.width) == (PHOTO_SIDE * 3 // 4, PHOTO_SIDE)
    assert crop is not None and (crop.height, crop.width) == (CROP_SIDE, 67)
    assert album.used == len(photo.data) + len(crop.data)
    assert shrink(noise(20, 10), 480).shape == (20, 10, 3)
    assert "data=" not in repr(photo)


def test_a_full_page_takes_no_more_pictures() -> None:
    making = maker(Album(limit=150_000))
    buffer = io.BytesIO()
    Image.fromarray(noise(400, 300)).save(buffer, "PNG")
    row = image_row(buffer.getvalue(), width=300, height=400)
    cards = tuple(making.photo(row | {"image_id": f"i{n}"}) for n in range(6))
    assert making.album is not None and making.album.used <= 150_000
    missing = [card for card in cards if card.picture is None]
    assert 0 < len(missing) < 6 and making.album.left_out == len(missing)
    html = render_page(report_of((), cards))
    assert len(html) < 150_000 * 4 / 3 + 30_000 and "the page has reached its size" in html


@pytest.mark.parametrize("data", [None, b"", b"not a PNG", photo_bytes(8, 8)[:40]])
def test_a_damaged_cut_out_is_left_out(data: bytes | None) -> None:
    assert Album().crop(data) is None


def test_a_changed_photo_is_shown_without_masks() -> None:
    row = image_row(photo_bytes(80, 60), image_sha256="0" * 64)
    card = maker(Album()).photo(row, [garment_row(square_mask())])
    assert card.picture is not None and card.overlay is None
    page = Page(render_page(report_of((card,))))
    assert "changed after it was tagged" in page.text and not page.classes("box")


def test_a_mask_of_another_size_is_never_decoded() -> None:
    row = garment_row(None, mask={"height": 100_000, "width": 100_000, "counts": "0"})
    card = maker(Album()).photo(image_row(photo_bytes(80, 60)), [row])
    assert card.picture is not None and card.overlay is None and card.note is None


def test_a_photo_that_left_the_source_keeps_its_card() -> None:
    card = maker(Album()).photo(image_row(None, title=None), [garment_row(square_mask())])
    assert card.picture is None and card.note is not None
    page = Page(render_page(report_of((card,))))
    assert "no image bytes" in page.text and "jeans 97%" in page.text
    assert page.classes("missing") == 1


def test_without_pictures_no_pixel_is_on_the_page() -> None:
    card = maker(None).photo(image_row(photo_bytes(80, 60)), [garment_row(square_mask())])
    assert card.picture is None and card.overlay is None
    page = Page(render_page(report_of((card,), with_pictures=False)))
    assert not page.all("img") and "dark 91%" in page.text


@pytest.mark.parametrize(
    ("data", "shown"),
    [(photo_bytes(8, 8), True), (photo_bytes(80, 60)[:60], False), (b"<p>", False), (None, False)],
)
def test_rejected_images_show_what_can_be_read(data: bytes | None, shown: bool) -> None:
    row = image_row(data, reason="too_small", detail="8 x 8; images.min_side=16")
    card = maker(Album()).rejected(row)
    assert (card.picture is not None) == shown
    page = Page(render_page(report_of((), (), (card,))))
    assert "too_small" in page.text and "8 x 8; images.min_side=16" in page.text
    assert len(page.all("img")) == shown and page.classes("missing") == (not shown)


def test_a_file_outside_the_roots_is_not_read_for_the_page(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(photo_bytes(80, 60))
    row = image_row(None, path=str(tmp_path / "secret.png"), reason="forbidden_path", detail="no")
    assert maker(Album()).rejected(row).picture is None


def test_a_group_that_does_not_apply_is_not_mentioned() -> None:
    row = garment_row(None, wash=None, wash_score=None, details=[], attribute_scores=None)
    (garment,) = maker(None).photo(image_row(None), [row]).garments
    assert [name for name, _ in garment.groups()] == ["fit", "length"]


def test_an_empty_catalog_makes_a_page() -> None:
    text = Page(render_page(report_of(model_version=None))).text
    for words in ("0 images", "No garment was found", "every image could be read", "unknown"):
        assert words in text, words


def test_more_garments_than_room_are_counted() -> None:
    card = full_card()
    garments = tuple(GarmentCard(str(n), "jeans", 0.9, (0, 0, 9, 9)) for n in range(7))
    text = Page(render_page(report_of((replace(card, garments=garments),)))).text
    assert "and 3 more in this photo" in text


def test_queries_name_the_tables_quoted() -> None:
    folder = "\n".join(query.text for query in example_queries("/d/it's"))
    assert "delta.`/d/it's/garments`" in folder and "delta_scan('/d/it''s/garments')" in folder
    assert {query.language for query in example_queries("shop.tags")} == {"Spark SQL"}
    assert "FROM shop.tags.garments" in example_queries("shop.tags")[0].text


def test_the_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    file = write_page(report_of((full_card(),)), tmp_path / "new" / "page.html")
    assert file.read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert [path.name for path in file.parent.iterdir()] == ["page.html"]
    with pytest.raises(UsageError, match="cannot be written"):
        write_page(report_of(), tmp_path / "new" / "page.html" / "below.html")


# Out of Delta tables.


@pytest.fixture(scope="module")
def tables(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tagged photos, one without a garment, five rejected of two reasons."""
    folder = tmp_path_factory.mktemp("tags")
    garments_schema = schema_of_garments(load_vocabulary(ROOT / "conf" / "vocabulary.yaml"))
    data = {f"P{n}/a.png": photo_bytes(80, 60, (n * 20, 90, 90)) for n in range(1, 5)}
    data |= {f"P{n}/a.png": b"" for n in range(5, 10)}
    common = {"run_id": "r1", "model_version": "default-01", "tagged_at": MOMENT}

    def status(image_id: str, number: int) -> dict[str, Any]:
        name = "tagged" if number < 4 else "no_garment" if number == 4 else "rejected"
        reason = None if number < 5 else "empty" if number < 9 else "truncated"
        row = image_row(data[image_id], image_id=image_id, product_id=f"P{number}")
        return row | common | {"status": name, "reason": reason, "garments": int(number < 4)}

    rows = [status(image_id, n) for n, image_id in enumerate(data, start=1)]
    garments = [
        garment_row(square_mask(), garment_id=f"g{n}", **common)
        | {"image_id": f"P{n}/a.png", "product_id": f"P{n}", "mask_area": 1500}
        | {"attributes": ["dark", "slim", "faded"], "image_sha256": "0"}
        for n in (1, 2, 3)
    ]
    png = encode_png_rgba(np.full((50, 30, 4), 255, np.uint8))
    crops = [{"garment_id": f"g{n}", "crop": png, "width": 30, "height": 50} for n in (1, 2, 3)]
    run = {
        "run_id": "r1", "started_at": MOMENT, "ended_at": MOMENT, "images": 9, "garments": 3,
        "status_counts": {"tagged": 3, "rejected": 5}, "images_per_second": 4.5, "exit_code": 0,
        "model_version": "default-01",
    }  # fmt: skip
    contents: list[tuple[str, Any, list[dict[str, Any]]]] = [
        ("product_images", PRODUCT_IMAGES, rows),
        ("image_status", IMAGE_STATUS, rows),
        ("garments", garments_schema, garments),
        ("garment_crops", GARMENT_CROPS, [c | {"image_id": "-"} for c in crops]),
        ("tagging_runs", TAGGING_RUNS, [run]),
    ]
    for name, schema, values in contents:
        tuples = [tuple(value.get(column) for column in schema.names) for value in values]
        frame = spark.createDataFrame(tuples, schema, verifySchema=False)
        frame.coalesce(1).write.format("delta").save(str(folder / name))
    return folder


@pytest.fixture
def read(spark: SparkSession, tables: Path) -> Callable[..., Report]:
    def read(**options: Any) -> Report:
        source, output = parse_table(f"{tables}/product_images"), parse_output(f"{tables}/")
        return read_report(spark, source, output, ImageLimits(), ReportOptions(**options))

    return read


def test_tables_become_a_page(read: Callable[..., Report]) -> None:
    report = read()
    assert report.statuses == {"rejected": 5, "tagged": 3, "no_garment": 1}
    assert report.images == 9 and report.garments == 3 and report.run is not None
    assert report.run.images_per_second == 4.5 and report.run.rejected == 5
    assert {chart.title: dict(chart.counts) for chart in report.charts} == {
        "Category": {"jeans": 3}, "Wash": {"dark": 3}, "Fit": {"slim": 3}, "Length": {},
        "Details": {"faded": 3}, "Rejected": {"empty": 4, "truncated": 1},
    }  # fmt: skip
    assert {card.image_id for card in report.tagged.cards} == {f"P{n}/a.png" for n in (1, 2, 3)}
    for card in report.tagged.cards:
        assert card.title == "Blue jeans" and card.note is None
        assert card.picture is not None and card.overlay is not None
        assert card.garments[0].crop is not None
    # Of each reason, but not all of the many.
    assert sorted(card.reason for card in report.rejected.cards) == ["empty"] * 3 + ["truncated"]
    assert report.rejected.total == 5 and report.blank.cards[0].image_id == "P4/a.png"
    text = Page(render_page(report)).text
    assert "4 of 5 shown" in text and "all 3 shown" in text


def test_a_smaller_sample_is_part_of_a_larger_one(read: Callable[..., Report]) -> None:
    some, again = read(samples=2), read(samples=2, with_pictures=False)
    assert [c.image_id for c in some.tagged.cards] == [c.image_id for c in again.tagged.cards]
    assert len(some.tagged.cards) == 2 and some.tagged.total == 3
    assert all(card.picture is None and not card.overlay for card in again.tagged.cards)


def test_a_missing_table_is_named(spark: SparkSession, tables: Path, tmp_path: Path) -> None:
    source, output = parse_table(f"{tables}/product_images"), parse_output(f"{tmp_path}/")
    with pytest.raises(TableError, match="image_status"):
        read_report(spark, source, output, ImageLimits(), ReportOptions())


def test_the_queries_on_the_page_run(spark: SparkSession, read: Callable[..., Report]) -> None:
    washes, rejected = (q.text for q in read().queries if q.language == "Spark SQL")
    assert [tuple(row) for row in spark.sql(washes).collect()] == [("jeans", "dark", 3, 0.91)]
    assert len(spark.sql(rejected).collect()) == 5
