"""Training and validation photos: parted by chance with a seed, or given and checked."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from jeans_udf.annotations.checked import Checked, CheckedPhoto
from jeans_udf.annotations.faults import FaultLog
from jeans_udf.annotations.products import Products

SPLITS = ("train", "val")


@dataclass(frozen=True)
class Splitting:
    """How photos are parted."""

    by_product: bool = False
    """Keep the photos of a product together; else each photo by itself."""
    val_share: float = 0.15
    """Share of the photos that goes to validation."""
    seed: int = 0
    """Another seed parts them otherwise."""


def add_products(checked: Checked, products: Products, needed: bool, log: FaultLog) -> None:
    """Tell each photo its product; where one is ``needed``, a photo without is a fault."""
    for number, photo in enumerate(checked.photos):
        product = products.product_of(photo.file.name)
        is_missing = product is None and needed
        if is_missing:
            log.add("no_product", photo.listed.place, f"{photo.file.name!r}: no product; add it to "
                    "--products, mend --product-pattern or give --split-by photo")  # fmt: skip
        checked.photos[number] = replace(
            photo, product_id=product, faulty=photo.faulty or is_missing
        )


def check_given_splits(checked: Checked, by_product: bool, log: FaultLog) -> None:
    """No photo, and with ``by_product`` no product, is in both splits that were given.

    The one in validation is at fault, and left out: what is learnt must not be asked for.
    """
    _leave_out_shared(checked, "photo_in_two_splits", _sha256, log)
    if by_product:
        _leave_out_shared(checked, "product_in_two_splits", _product, log)


def split_photos(photos: Sequence[CheckedPhoto], splitting: Splitting) -> list[CheckedPhoto]:
    """The photos, each with its split; the same photos and seed give the same, in any order.

    The same picture bytes always fall in the same split, the photos of a product with
    ``by_product``. Validation gets about its share of each category, the rarest first; what is too
    small to be parted is made up for by the next one.
    """
    groups = _groups(photos, splitting.by_product)
    ordered = sorted(groups.values(), key=lambda group: _chance(group, splitting.seed))
    chosen = _choose(ordered, splitting.val_share)
    return [
        replace(photo, split="val" if number in chosen else "train")
        for number, group in enumerate(ordered)
        for photo in group
    ]


def _choose(groups: list[list[CheckedPhoto]], share: float) -> set[int]:
    """Numbers of the groups that go to validation."""
    counts = Counter(name for group in groups for photo in group for name in photo.categories)
    strata = [_rarest(group, counts) for group in groups]
    order = [*sorted(set(strata) - {""}, key=lambda name: (strata.count(name), name)), ""]
    chosen: set[int] = set()
    wanted, taken = 0.0, 0
    for stratum in order:
        members = [number for number, name in enumerate(strata) if name == stratum]
        wanted += share * sum(len(groups[number]) for number in members)
        for number in members:
            # Taken if that comes nearer to the share than leaving it; a group is never parted.
            if taken + len(groups[number]) / 2 <= wanted:
                chosen.add(number)
                taken += len(groups[number])
    with_garment = [number for number, name in enumerate(strata) if name]
    return _both_have_one(chosen, with_garment)


def _both_have_one(chosen: set[int], with_garment: list[int]) -> set[int]:
    """Neither split is left without a garment, as far as there are two groups that have one."""
    if len(with_garment) >= 2 and not chosen & set(with_garment):
        chosen.add(with_garment[0])
    if len(with_garment) >= 2 and chosen >= set(with_garment):
        chosen.remove(with_garment[-1])
    return chosen


def _rarest(group: Sequence[CheckedPhoto], counts: Counter[str]) -> str:
    """The group's category that the fewest photos show; empty for a group of negatives."""
    names = {name for photo in group for name in photo.categories}
    return min(names, key=lambda name: (counts[name], name), default="")


def _groups(
    photos: Sequence[CheckedPhoto], by_product: bool
) -> dict[str, list[CheckedPhoto]]:
    """Photos that must stay together, each group sorted by name."""
    parents: dict[str, str] = {}

    def find(key: str) -> str:
        while parents.setdefault(key, key) != key:
            parents[key] = parents[parents[key]]
            key = parents[key]
        return key

    for photo in photos:
        parents[find(_product(photo) if by_product else _sha256(photo))] = find(_sha256(photo))
    groups: dict[str, list[CheckedPhoto]] = {}
    for photo in sorted(photos, key=_name):
        groups.setdefault(find(_sha256(photo)), []).append(photo)
    return groups


def _chance(group: Sequence[CheckedPhoto], seed: int) -> str:
    """A number by chance that hangs on the seed and the group's first photo alone."""
    return hashlib.sha256(f"{seed} {_sha256(group[0])}".encode()).hexdigest()


def _leave_out_shared(
    checked: Checked, code: str, key: Callable[[CheckedPhoto], str], log: FaultLog
) -> None:
    training = {key(photo): photo for photo in checked.photos if photo.split == "train"}
    for number, photo in enumerate(checked.photos):
        other = training.get(key(photo)) if photo.split == "val" else None
        if other is not None:
            log.add(code, photo.listed.place,
                    f"{photo.file.name!r} in val; in train: {other.listed.place}")  # fmt: skip
            checked.photos[number] = replace(photo, faulty=True)


def _sha256(photo: CheckedPhoto) -> str:
    return "bytes " + photo.file.sha256


def _product(photo: CheckedPhoto) -> str:
    return f"product {photo.product_id}" if photo.product_id is not None else _sha256(photo)


def _name(photo: CheckedPhoto) -> tuple[str, str]:
    return str(photo.folder), photo.file.name
