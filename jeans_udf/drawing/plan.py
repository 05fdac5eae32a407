"""What a garment is before it is drawn: its labels, and the choices that no label names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from jeans_udf.drawing.colours import Colour, accent_colour, cloth_colour
from jeans_udf.drawing.noise import Rng

CATEGORIES: dict[str, float] = {
    "jeans": 0.34,
    "denim_shorts": 0.13,
    "trousers": 0.26,
    "shorts": 0.14,
    "leggings": 0.13,
}
"""The vocabulary's categories, in its order, and how often each is drawn."""

WASHES = {
    "light": 0.2, "medium": 0.24, "dark": 0.22, "black": 0.12, "grey": 0.08, "white": 0.06,
    "colored": 0.08,
}  # fmt: skip
FITS: dict[str, dict[str, float]] = {
    "jeans": {
        "skinny": 0.2, "slim": 0.2, "straight": 0.2, "relaxed": 0.12, "bootcut": 0.1,
        "flare": 0.09, "wide": 0.09,
    },
    "trousers": {
        "skinny": 0.08, "slim": 0.2, "straight": 0.22, "relaxed": 0.26, "bootcut": 0.06,
        "flare": 0.05, "wide": 0.13,
    },
    "leggings": {"skinny": 0.84, "slim": 0.1, "straight": 0.06},
}  # fmt: skip
LENGTHS: dict[str, dict[str, float]] = {
    "jeans": {"full": 0.84, "cropped": 0.16},
    "trousers": {"full": 0.8, "cropped": 0.2},
    "leggings": {"full": 0.82, "cropped": 0.18},
    "shorts": {"short": 1.0},
    "denim_shorts": {"short": 1.0},
}
DETAILS: dict[str, dict[str, float]] = {
    "jeans": {
        "distressed": 0.2, "faded": 0.36, "cuffed": 0.18, "raw_hem": 0.12, "cargo": 0.06,
        "drawstring": 0.08, "patterned": 0.04, "embellished": 0.08,
    },
    "denim_shorts": {
        "distressed": 0.28, "faded": 0.38, "cuffed": 0.34, "raw_hem": 0.34, "cargo": 0.05,
        "drawstring": 0.1, "patterned": 0.05, "embellished": 0.08,
    },
    "trousers": {
        "distressed": 0.01, "cuffed": 0.15, "raw_hem": 0.02, "cargo": 0.13, "drawstring": 0.36,
        "patterned": 0.24, "embellished": 0.12,
    },
    "shorts": {
        "cuffed": 0.14, "raw_hem": 0.02, "cargo": 0.15, "drawstring": 0.55, "patterned": 0.36,
        "embellished": 0.16,
    },
    "leggings": {"drawstring": 0.22, "patterned": 0.34, "embellished": 0.08},
}  # fmt: skip
DETAIL_ORDER = (
    "distressed", "faded", "cuffed", "raw_hem", "cargo", "drawstring", "patterned", "embellished",
)  # fmt: skip
DENIM = frozenset({"jeans", "denim_shorts"})

PATTERNS = ("stripes", "checks", "dots", "floral", "camouflage", "geometric", "leopard")
EMBELLISHMENTS = ("studs", "embroidery", "side_stripes", "patches")


@dataclass(frozen=True)
class Plan:
    """One garment to be drawn. ``fit`` of shorts steers nothing; ``colour`` is RGB in 0..1."""

    category: str
    wash: str | None
    fit: str | None
    length: str
    details: tuple[str, ...]
    view: str
    colour: Colour
    accent: Colour
    pattern: str | None
    embellishment: str | None
    style: str
    back: bool

    def attributes(self) -> dict[str, str | tuple[str, ...]]:
        """Group to label; groups that do not apply are absent, ``details`` is always there."""
        groups: dict[str, str | tuple[str, ...]] = {}
        if self.wash is not None:
            groups["wash"] = self.wash
        if self.fit is not None:
            groups["fit"] = self.fit
        groups["length"] = self.length
        groups["details"] = self.details
        return groups


def choose(rng: Rng, weights: Mapping[str, float]) -> str:
    """One name, by weight; one draw of ``rng`` whatever the names."""
    names = list(weights)
    shares = np.cumsum([weights[name] for name in names])
    return names[int(np.searchsorted(shares, rng.random() * shares[-1], side="right"))]


def make_plan(rng: Rng, category: str, view: str, wishes: Mapping[str, Any]) -> Plan:
    """Draw the labels and looks; a wish replaces what chance would have chosen."""
    denim = category in DENIM
    wash = choose(rng, WASHES)
    fit = choose(rng, FITS.get(category, FITS["jeans"]))
    length = choose(rng, LENGTHS[category])
    wash, fit, length = (
        wishes.get(key) or value
        for key, value in (("wash", wash), ("fit", fit), ("length", length))
    )
    details = _details(rng, category, wash)
    if wishes.get("details") is not None:
        details = tuple(d for d in DETAIL_ORDER if d in set(wishes["details"]))
    style = _style(rng, category, details)
    colour_rng, accent_rng = (np.random.default_rng(rng.integers(2**62)) for _ in range(2))
    colour = cloth_colour(colour_rng, category, wash if denim else None, style)
    pattern = str(rng.choice(PATTERNS))
    embellishment = choose(
        rng,
        {"studs": 0.3, "embroidery": 0.45, "side_stripes": 0.1, "patches": 0.15}
        if denim
        else {"side_stripes": 0.7, "embroidery": 0.15, "studs": 0.08, "patches": 0.07},
    )
    back = bool(rng.random() < 0.12) and denim and view == "flat"
    plan = Plan(
        category=category,
        wash=wash if denim else None,
        fit=fit if category in FITS else None,
        length=length,
        details=details,
        view=view,
        colour=colour,
        accent=accent_colour(accent_rng, colour),
        pattern=pattern if "patterned" in details else None,
        embellishment=embellishment if "embellished" in details else None,
        style=style,
        back=back and "drawstring" not in details,
    )
    if wishes.get("fabric") is not None:
        red, green, blue = (float(c) / 255 for c in wishes["fabric"])
        plan = replace(plan, colour=(red, green, blue))
    return plan


def _details(rng: Rng, category: str, wash: str) -> tuple[str, ...]:
    chances = DETAILS[category]
    drawn = {name for name, chance in chances.items() if rng.random() < chance}
    if "cuffed" in drawn:
        drawn.discard("raw_hem")
    if wash == "white":
        drawn.discard("faded")
    if "patterned" in drawn:
        drawn -= {"faded", "distressed"}
    kept: Sequence[str] = [name for name in DETAIL_ORDER if name in drawn]
    while len(kept) > 3:
        kept = [name for name in kept if name != kept[int(rng.integers(len(kept)))]]
    return tuple(kept)


def _style(rng: Rng, category: str, details: tuple[str, ...]) -> str:
    """The build that no label names: it steers pockets, crease and sheen."""
    pick = rng.random()
    if category in DENIM:
        return "denim"
    if category == "leggings":
        return "stretch"
    if "drawstring" in details:
        return "jersey" if pick < 0.7 else "light"
    if "cargo" in details:
        return "chino"
    return "chino" if pick < 0.55 else "dress"
