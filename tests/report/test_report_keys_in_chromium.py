"""The page in a real browser for a keyboard, a dark room and a small screen."""

from __future__ import annotations

import pytest
from chromium import Tab
from six_images import STANDING, said


def test_a_keyboard_reaches_every_control(tab: Tab) -> None:
    focused = "document.activeElement.id || document.activeElement.getAttribute('href') || " \
              "document.activeElement.type || document.activeElement.tagName"  # fmt: skip
    reached = []
    for _ in range(22):
        tab.press("Tab", 9)
        reached.append(tab.evaluate(focused))
    controls = ["q", "status", "by-category", "by-wash", "by-fit", "by-length", "by-details",
                "from", "to", "reset", "view-photos", "overlays"]  # fmt: skip
    assert reached[0] == "#gallery"
    assert reached[1:6] == ["#counts", "#gallery", "#similar", "#queries", "#runs"]
    assert reached[6:18] == controls


def test_keys_work_the_controls(tab: Tab) -> None:
    outlined = "getComputedStyle(document.activeElement).outlineStyle"
    tab.press("Tab", 9)
    assert tab.evaluate(outlined) == "solid"
    assert tab.evaluate("document.activeElement.getBoundingClientRect().top >= 0")
    tab.press("Enter", 13, "\r")
    assert tab.evaluate("location.hash") == "#gallery"
    place = "document.getElementById('gallery').getBoundingClientRect().top"
    assert abs(tab.evaluate(place)) < 9
    tab.evaluate("document.getElementById('q').focus()")
    for letter in "vase":
        tab.press(letter, ord(letter.upper()), letter)
    # Enter would send a form.
    tab.press("Enter", 13, "\r")
    assert tab.evaluate(STANDING) == "E" and tab.evaluate("location.hash") == "#q=vase"
    tab.evaluate("document.querySelector('button[type=reset]').focus()")
    tab.press("Enter", 13, "\r")
    tab.wait_for(f"({STANDING}) === 'ABCDEF'")
    tab.evaluate("document.getElementById('to').focus()")
    tab.press("ArrowLeft", 37)
    assert said(tab) == "4 of 6 images shown" and tab.evaluate("location.hash") == "#to=99"
    tab.evaluate("document.getElementById('view-photos').focus()")
    tab.press("ArrowRight", 39)
    assert said(tab) == "5 cut-outs in 4 of 6 images shown"


@pytest.mark.parametrize(
    ("scheme", "ground", "ink"),
    [("light", "rgb(246, 247, 249)", "rgb(28, 36, 48)"),
     ("dark", "rgb(16, 21, 28)", "rgb(230, 234, 240)")],
)  # fmt: skip
def test_the_scheme_is_the_readers(tab: Tab, scheme: str, ground: str, ink: str) -> None:
    feature = {"name": "prefers-color-scheme", "value": scheme}
    tab.send("Emulation.setEmulatedMedia", features=[feature])
    style = "getComputedStyle(document.body)"
    assert tab.evaluate(f"[{style}.backgroundColor, {style}.color]") == [ground, ink]


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_is_wider_than_the_screen(tab: Tab, width: int) -> None:
    tab.resize(width, 844)
    assert tab.evaluate("document.documentElement.scrollWidth") == width
