from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jeans_udf.models.combination import Combination
from jeans_udf.rows import Found
from jeans_udf.training.coco import Photo, read_coco
from jeans_udf.training.combining import (
    LEAST_SCORE,
    START,
    Opinions,
    fit_combination,
    hear_opinions,
)
from jeans_udf.vocabulary import parse_vocabulary
from tests.training.stub_detector import CATEGORIES, GARMENT, draw_photo, write_coco

VOCABULARY = parse_vocabulary(
    {"categories": list(CATEGORIES), "groups": {"wash": {"exclusive": True, "labels": ["dark"]}}},
    "test",
)


def _opinions(weights: Combination, count: int, seed: int = 0) -> Opinions:
    """Opinions by chance, whose truth is drawn with the chances that ``weights`` give."""
    rng = np.random.default_rng(seed)
    class_scores = rng.dirichlet(np.full(3, 0.7), count)[:, 1:]
    verdicts = rng.dirichlet(np.full(3, 0.7), count)
    chances = weights.chances(class_scores, verdicts)
    truth = (rng.random((count, 1)) > chances.cumsum(axis=1)).sum(axis=1)
    return Opinions(class_scores, verdicts, truth.astype(np.int64))


@pytest.mark.parametrize("weights", [(0.5, 1.2, 0.8), (1.0, 0.3, -1.0), (1.0, 1.0, 0.0)])
def test_the_weights_that_made_the_truth_are_found(weights: tuple[float, float, float]) -> None:
    spec = fit_combination(_opinions(Combination(*weights), 8000))
    assert (spec.detector, spec.classifier, spec.none_bias) == pytest.approx(weights, abs=0.1)
    assert spec.least_score == LEAST_SCORE


def test_a_model_that_guesses_gets_no_weight() -> None:
    opinions = _opinions(Combination(1.0, 0.0, 0.0), 4000)
    assert fit_combination(opinions).classifier == pytest.approx(0, abs=0.06)
    # One that is always wrong would get a negative weight; it must not.
    against = _opinions(Combination(0.0, 1.0, 0.0), 4000)
    wrong = Opinions(against.class_scores, 1 - against.verdicts, against.truth)
    assert fit_combination(wrong).classifier == 0


def test_the_fit_is_no_worse_than_the_models_as_they_are() -> None:
    opinions = _opinions(Combination(0.4, 1.5, -0.5), 500, seed=3)
    spec = fit_combination(opinions)

    def loss(weights: Combination) -> float:
        chances = weights.chances(opinions.class_scores, opinions.verdicts)
        return float(-np.log(chances[np.arange(len(opinions)), opinions.truth]).mean())

    fitted = Combination(spec.detector, spec.classifier, spec.none_bias)
    assert loss(fitted) < loss(Combination(*START))
    for other in (*0.05 * np.eye(3), *-0.05 * np.eye(3)):
        values = np.add((spec.detector, spec.classifier, spec.none_bias), other)
        assert loss(fitted) <= loss(Combination(*values))


@pytest.mark.parametrize("count", [0, 20])
def test_without_any_garment_both_stay_as_they_are(count: int) -> None:
    rng = np.random.default_rng(0)
    nothing = Opinions(rng.dirichlet(np.ones(3), count)[:, 1:], rng.dirichlet(np.ones(3), count),
                       np.zeros(count, dtype=np.int64))  # fmt: skip
    spec = fit_combination(nothing)
    assert (spec.detector, spec.classifier, spec.none_bias) == START


def test_certain_models_and_only_garments_give_finite_weights() -> None:
    """Nothing is ever wrong, so that no weight is large enough: they stop at their bounds."""
    truth = np.array([1, 2] * 10)
    sure = np.eye(3)[truth]
    spec = fit_combination(Opinions(sure[:, 1:], sure, truth))
    assert 0 <= spec.detector <= 4 and 0 <= spec.classifier <= 4 and -6 <= spec.none_bias <= 6


class StubTagger:
    """In place of a tagger: says of every photo what it was given, and runs no model."""

    vocabulary = VOCABULARY

    def __init__(self, *found: tuple[tuple[float, ...], int, tuple[float, float]]) -> None:
        self.found = found

    def look(self, image: np.ndarray) -> list[Found]:
        return [
            Found(
                number=k, category=CATEGORIES[category], score=max(scores),
                class_scores=np.array(scores), box=np.array(box), mask=None,
                cut_box=np.array(box), whole=None,
                square=image[:1, :1], verdict=np.array([0.1 * (k + 1), 0.5, 0.5 - 0.1 * (k + 1)]),
            )
            for k, (box, category, scores) in enumerate(self.found)
        ]  # fmt: skip


@pytest.fixture
def photos(tmp_path: Path) -> list[Photo]:
    """Two photos, jeans in the middle of the first."""
    for name in ("a.png", "b.png"):
        draw_photo(tmp_path / name)
    return read_coco(
        tmp_path, write_coco(tmp_path / "coco.json", {"a.png": [1], "b.png": []}), CATEGORIES
    )


def test_a_detection_shows_the_garment_that_it_overlaps_best_first(photos: list[Photo]) -> None:
    tagger: Any = StubTagger(
        ((10, 20, 38, 40), 1, (0.1, 0.6)),  # 20 of 28 rows: it shows the jeans, called shorts
        (GARMENT, 0, (0.5, 0.3)),  # a second one of the same
        ((10, 20, 38, 30), 0, (0.7, 0.1)),  # 10 of 28 rows: shows none
        (GARMENT, 0, (LEAST_SCORE - 0.001, 0.0)),  # never shown to the classifier
    )
    opinions = hear_opinions(tagger, photos)
    assert len(opinions) == 6
    # Best score first within a photo; the second photo shows nothing.
    assert opinions.class_scores.tolist() == [[0.7, 0.1], [0.1, 0.6], [0.5, 0.3]] * 2
    assert opinions.truth.tolist() == [0, 1, 0, 0, 0, 0]
    np.testing.assert_allclose(opinions.verdicts[:, 0], [0.3, 0.1, 0.2] * 2)
    assert opinions.truth.dtype == np.int64


def test_no_detections_and_no_photos(photos: list[Photo]) -> None:
    nothing: Any = StubTagger()
    for opinions in (hear_opinions(nothing, photos), hear_opinions(nothing, [])):
        assert opinions.class_scores.shape == (0, 2) and opinions.verdicts.shape == (0, 3)
        assert len(opinions) == 0 and opinions.truth.dtype == np.int64
        assert fit_combination(opinions).detector == START[0]
