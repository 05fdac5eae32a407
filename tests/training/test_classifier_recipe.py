from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
from fastai.callback import schedule  # noqa: F401  (gives a Learner these methods)
from fastai.learner import Learner
from fastai.vision.augment import aug_transforms

from jeans_udf.errors import ConfigError
from jeans_udf.training.classifier_recipe import (
    FOLDER,
    Augmentation,
    ClassifierRecipe,
    Phase,
    read_classifier_recipe,
)

SOUND = "about: a test\nphases:\n  - {epochs: 1, size: 64, rate: 1e-2}\n"


def _defaults(function: Callable[..., Any]) -> dict[str, Any]:
    return {name: p.default for name, p in inspect.signature(function).parameters.items()}


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_recipe_that_comes_along_is_sound(file: Path) -> None:
    recipe = read_classifier_recipe(file.stem)
    assert recipe == read_classifier_recipe(file)
    assert recipe.about and timm.is_model(recipe.backbone)
    # Arguments that fastai takes, whatever their values.
    assert aug_transforms(**recipe.augment.arguments())


def test_progressive_is_the_first_notebooks() -> None:
    recipe = read_classifier_recipe("progressive")
    assert [(p.epochs, p.size, p.frozen) for p in recipe.phases] == [
        (8, 128, True), (8, 128, False), (5, 256, True), (5, 256, False),
    ]  # fmt: skip
    head, whole = recipe.phases[0::2], recipe.phases[1::2]
    assert all((p.rate, p.divide, p.lowest) == ("find", 1, None) for p in head)
    # slice(1e-5, lr/5)
    assert all((p.rate, p.divide, p.lowest) == ("found", 5, 1e-5) for p in whole)
    augment = recipe.augment
    assert (augment.flip, augment.flip_vert) == (True, True)
    assert (augment.max_lighting, augment.max_zoom, augment.max_warp) == (0.1, 1.05, 0)
    assert (recipe.threshold, recipe.loss, recipe.head) == (0.2, "binary", "fastai")
    assert not recipe.has_verdict


def test_fine_tune_is_what_fastai_does_in_fine_tune_4_3e_2() -> None:
    """``freeze_epochs`` at ``slice(lr)``; then at half of it, ``slice(lr / lr_mult, lr)``."""
    recipe, theirs = read_classifier_recipe("fine_tune"), _defaults(Learner.fine_tune)
    frozen, whole = recipe.phases
    rate = 3e-2
    assert (frozen.frozen, whole.frozen) == (True, False)
    assert (frozen.epochs, whole.epochs) == (theirs["freeze_epochs"], 4)
    assert (frozen.rate, frozen.lowest, frozen.divide) == (rate, None, 1)
    assert whole.rate == pytest.approx(rate / 2) and whole.divide == 1
    assert whole.lowest == pytest.approx(rate / 2 / theirs["lr_mult"])
    assert (whole.pct_start, whole.div) == (theirs["pct_start"], theirs["div"])
    # These two stand in fine_tune's body alone.
    source = inspect.getsource(Learner.fine_tune)
    assert f"pct_start={frozen.pct_start}, **" in source and "base_lr /= 2" in source
    assert frozen.div == _defaults(Learner.fit_one_cycle)["div"]
    assert recipe.cut_size == 460 and {p.size for p in recipe.phases} == {224}


def test_what_a_recipe_leaves_out_is_fastais_own_default() -> None:
    theirs = _defaults(aug_transforms)
    for name, value in Augmentation().arguments().items():
        assert value == theirs[name], name
    phase, cycle = Phase(epochs=1, size=8, rate=0.1), _defaults(Learner.fit_one_cycle)
    assert (phase.pct_start, phase.div) == (cycle["pct_start"], cycle["div"])


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(SOUND)
    recipe = read_classifier_recipe(file)
    # YAML takes 1e-2 for a text.
    assert recipe.phases[0].rate == 0.01 and recipe.has_verdict
    assert read_classifier_recipe(str(file)) == recipe


def _with(text: str) -> str:
    return SOUND + text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (_with("bach_size: 3\n"), "unknown key 'bach_size'; did you mean 'batch_size'"),
        (_with("augment: {max_zom: 1}\n"), "'augment.max_zom'; did you mean 'max_zoom'"),
        (SOUND.replace("size", "sise"), "unknown key 'phases.0.sise'; did you mean 'size'"),
        (SOUND.replace("epochs: 1, ", ""), "phases.0.epochs: Field required"),
        (_with("loss: grups\n"), "loss: got 'grups', wanted: .*'groups' or 'binary'"),
        (_with("view: mask\n"), "view: got 'mask', wanted: .*'masked', 'dimmed', 'context', 'box"),
        (SOUND.replace("1e-2", "found"), "phase 1: rate: found, but no phase before says find"),
        (SOUND.replace("64", "225"), "phase 1: size 225 is above cut_size 224"),
        (SOUND.replace("1e-2", "-1"), "phases.0.rate: got '-1', .*greater than 0 or .*'find'"),
        (SOUND.replace("1e-2", ".nan"), "phases.0.rate: got 'nan', .*finite"),
        (SOUND.replace("1e-2", ".inf"), "phases.0.rate: got 'inf', .*finite"),
        (SOUND.replace("1e-2", "fined"), "phases.0.rate: got 'fined'"),
        (SOUND.replace("epochs: 1", "epochs: 0"), "phases.0.epochs: got '0'"),
        (_with("weight_decay: .inf\n"), "weight_decay: got 'inf', wanted: .*finite"),
        (_with("augment:\n"), "augment: got 'None'"),
        ("about: x\nphases: []\n", "phases: got '\\[\\]', wanted: .*at least 1"),
        ("", "wanted a mapping"),
        ("- about\n", "wanted a mapping"),
        ("1: 2\n", "keywords must be strings"),
        ("about: [\n", "not valid YAML"),
        ("[" * 5000, "not valid YAML"),
        ("about: 2001-13-01\n", "not valid YAML"),
        ("about: !!python/object/apply:os.getcwd []\n", "not valid YAML"),
        ("about: \udcff\n", "not valid YAML"),
    ],
)
def test_a_faulty_recipe_is_one_clear_error(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match=f"recipe {re.escape(str(file))}: .*({message})"):
        read_classifier_recipe(file)


def test_found_may_follow_find_at_any_distance() -> None:
    find = Phase(epochs=1, size=8, rate="find")
    found = Phase(epochs=1, size=8, rate="found")
    fixed = Phase(epochs=1, size=8, rate=0.1)
    assert len(ClassifierRecipe(about="x", phases=(find, fixed, found, found)).phases) == 4
    with pytest.raises(ValueError, match="phase 2: rate: found"):
        ClassifierRecipe(about="x", phases=(fixed, found, find))


def test_an_unknown_name_tells_the_near_miss(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'progresive': did you mean 'progressive'"):
        read_classifier_recipe("progresive")
    with pytest.raises(ConfigError, match="gone.yaml: cannot be read"):
        read_classifier_recipe(tmp_path / "gone.yaml")
