"""The page: facts that must be on it, hostile text, exact masks, bounds."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from report_pages import (
    GROUPS,
    HOSTILE,
    MOMENT,
    ROOT,
    Page,
    full_card,
    garment_row,
    image_row,
    maker,
    noise,
    photo_bytes,
    report_of,
    square_mask,
)

from jeans_udf.errors import UsageError
from jeans_udf.png import encode_png_rgba
from jeans_udf.report.data import (
    Attribute,
    Chart,
    GarmentCard,
    RejectedCard,
    RunSummary,
    Sample,
)
from jeans_udf.report.page import plain_text, render_page, script_hash, write_page
from jeans_udf.report.pictures import CROP_SIDE, PHOTO_SIDE, RIM_PIXELS, Album, shrink, tint
from jeans_udf.report.queries import example_queries
from jeans_udf.views.groups import Groups


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
    text = Page(render_page(report_of(runs=(run,), drift=run))).text
    assert "limit 0.25): fit 0.02, wash 0.41." in text
    assert "Over the limit: wash." in text and "--rollback r-7" in text
    calm = replace(run, drift={"wash": 0.1})
    idle = replace(run, run_id="r-8", drift={})
    text = Page(render_page(report_of(runs=(idle, calm), drift=calm))).text
    assert "wash 0.10." in text and "Over the limit" not in text
    assert "Drift" not in Page(render_page(report_of(runs=(idle,)))).text


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
    page = Page(render_page(replace(report, queries=example_queries(report.output, GROUPS))))
    # The page's own, and no other.
    assert page.tags.count(("script", {})) == len(page.all("script")) == 1
    assert HOSTILE in page.text
    assert not [a for _, a in page.tags for name in a if name.startswith("on")]
    assert all((image["src"] or "").startswith("data:image/") for image in page.all("img"))
    assert len(page.all("style")) == 1


def test_the_page_loads_nothing() -> None:
    page = Page(render_page(report_of((full_card(),))))
    assert not {"link", "iframe", "object", "embed"} & {tag for tag, _ in page.tags}
    assert page.all("script") == [{}]
    loads = [a[name] or "" for _, a in page.tags for name in ("src", "href", "srcset") if name in a]
    assert loads and all(load.startswith(("data:image/", "#")) for load in loads)
    for file in ("style.css", "theme.css"):
        style = (ROOT / "jeans_udf/report/templates" / file).read_text()
        assert "url(" not in style and "@import" not in style
    policy = policy_of(page)
    assert policy.startswith("default-src 'none'; img-src data:;") and "connect-src" not in policy


def policy_of(page: Page) -> str:
    (policy,) = (m for m in page.all("meta") if "http-equiv" in m)
    return policy["content"] or ""


def test_the_policy_lets_the_pages_own_script_run_and_no_other() -> None:
    html = render_page(report_of((full_card(),)))
    (text,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    (allowed,) = re.findall(r"script-src ([^;]+);", policy_of(Page(html)))
    assert allowed == f"'{script_hash(text)}'"
    # What browsers compute of the text: openssl dgst -sha256 -binary | base64
    assert script_hash("alert(1)") == "sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI="
    assert "<!--" not in text and "<script" not in text


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
    folder = "\n".join(query.text for query in example_queries("/d/it's", GROUPS))
    assert "delta.`/d/it's/garments`" in folder and "delta_scan('/d/it''s/garments')" in folder
    named = example_queries("shop.tags", GROUPS)
    assert {query.language for query in named} == {"Spark SQL"}
    assert "FROM shop.tags.garments" in named[0].text and "SELECT category, wash" in named[0].text
    assert "array_contains(details, 'distressed')" in named[2].text
    shoes = example_queries("/d/shoes", Groups(("heel",), ()))
    assert [query.title for query in shoes] == [
        "How often is each heel?", "What was rejected, and why?"
    ]  # fmt: skip


def test_the_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    file = write_page(report_of((full_card(),)), tmp_path / "new" / "page.html")
    assert file.read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert [path.name for path in file.parent.iterdir()] == ["page.html"]
    with pytest.raises(UsageError, match="cannot be written"):
        write_page(report_of(), tmp_path / "new" / "page.html" / "below.html")
