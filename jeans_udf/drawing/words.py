"""Product titles and descriptions for what a picture shows."""

from __future__ import annotations

from jeans_udf.drawing.noise import Rng
from jeans_udf.drawing.plan import Plan

_NOUNS: dict[str, tuple[str, ...]] = {
    "jeans": ("jeans", "denim jeans", "five-pocket jeans"),
    "denim_shorts": ("denim shorts", "jean shorts"),
    "trousers": ("trousers", "pants", "chinos"),
    "shorts": ("shorts", "casual shorts"),
    "leggings": ("leggings", "stretch leggings"),
}
_WASHES = {
    "light": "light wash", "medium": "mid-blue wash", "dark": "dark wash", "black": "black",
    "grey": "grey", "white": "white", "colored": "garment-dyed",
}  # fmt: skip
_FITS = {"wide": "wide-leg", "flare": "flared", "slim": "slim tapered", "straight": "straight-leg"}
_DETAILS = {
    "distressed": "ripped knees", "faded": "faded thighs", "cuffed": "turn-up hems",
    "raw_hem": "raw-cut hems", "cargo": "cargo pockets", "drawstring": "a drawstring waist",
    "patterned": "an all-over print", "embellished": "decorative trims",
}  # fmt: skip
_OTHERS = {
    "t_shirt": "Cotton t-shirt", "shirt": "Button-down shirt", "jacket": "Denim jacket",
    "hoodie": "Hooded sweatshirt", "dress": "Summer dress", "skirt": "A-line skirt",
    "shoes": "Pair of shoes", "hat": "Brimmed hat", "bag": "Shoulder bag",
    "blanket": "Woven throw", "empty": "Image coming soon", "dress_worn": "Day dress",
    "skirt_worn": "Skirt and top",
}  # fmt: skip
_CARE = (
    "Machine wash cold.", "Wash inside out with like colours.", "Model is 178 cm tall.",
    "True to size.", "New season.", "Soft, durable cloth.", "Last sizes.",
)  # fmt: skip


def words(rng: Rng, kind: str, plans: tuple[Plan, ...]) -> tuple[str, str]:
    """Title and description; they say what the labels say, as a shop would."""
    care = _CARE[int(rng.integers(len(_CARE)))]
    if not plans:
        title = _OTHERS.get(kind, kind.replace("_", " ").capitalize())
        return title, f"{title}. {care}"
    titles = [_title(rng, plan) for plan in plans]
    sentences = [_sentence(plan) for plan in plans]
    return " + ".join(titles), " ".join([*sentences, care])


def _title(rng: Rng, plan: Plan) -> str:
    nouns = _NOUNS[plan.category]
    fit = _FITS.get(plan.fit, plan.fit) if plan.fit else ""
    parts = [fit, nouns[int(rng.integers(len(nouns)))]]
    if plan.length == "cropped":
        parts.insert(0, "cropped")
    title = " ".join(part for part in parts if part)
    if plan.wash:
        title += f", {_WASHES[plan.wash]}"
    return title[0].upper() + title[1:]


def _sentence(plan: Plan) -> str:
    fit = f" in a {_FITS.get(plan.fit, plan.fit)} fit" if plan.fit else ""
    extras = [_DETAILS[name] for name in plan.details]
    joined = " and ".join([", ".join(extras[:-1]), extras[-1]] if len(extras) > 1 else extras)
    return f"{_NOUNS[plan.category][0].capitalize()}{fit}{f' with {joined}' if joined else ''}."
