from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from jeans_udf.evaluation.calibration import calibration_error
from jeans_udf.evaluation.temperature import (
    calibration_bins,
    calibration_figures,
    expected_calibration_error,
    fit_temperatures,
)
from jeans_udf.models.outputs import (
    divisors,
    exclusive_spans,
    group_probabilities,
    output_names,
)
from jeans_udf.vocabulary import Vocabulary, load_vocabulary, parse_vocabulary


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return parse_vocabulary(
        {
            "categories": ["jeans"],
            "groups": {
                "wash": {"exclusive": True, "labels": ["light", "dark"]},
                "details": {"exclusive": False, "labels": ["cuffed"]},
            },
        },
        "test",
    )


TRUE = {"wash": 2.0, "fit": 0.5, "length": 1.5, "details": 3.0, "category": 0.7}


def _drawn(rows: int, temperatures: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """Logits and targets of the shipped vocabulary that ``temperatures`` tell the truth of."""
    rng = np.random.default_rng(0)
    shipped = load_vocabulary("conf/vocabulary.yaml")
    spans = shipped.spans() | {"category": slice(25, 31)}
    logits = rng.normal(0, 3, (rows, 31)).astype(np.float32)
    targets = np.zeros((rows, 31), dtype=bool)
    for name, span in spans.items():
        scaled = logits[:, span] / temperatures[name]
        if name == "details":
            targets[:, span] = rng.random(scaled.shape) < 1 / (1 + np.exp(-scaled))
        else:
            # The largest of logits plus Gumbel noise is a draw from their softmax.
            answers = (scaled + rng.gumbel(size=scaled.shape)).argmax(1)
            targets[np.arange(rows), span.start + answers] = True
    targets[targets[:, 25], :25] = False
    for name in ("wash", "fit", "length"):
        targets[np.ix_(rng.random(rows) < 0.2, range(*spans[name].indices(31)))] = False
    return logits, targets


def test_divisors_by_hand(vocabulary: Vocabulary) -> None:
    given = divisors(vocabulary, {"wash": 2.0, "category": 4.0}, verdict=True)
    assert given.tolist() == [2, 2, 1, 4, 4] and given.dtype == torch.float32
    assert divisors(vocabulary, {"details": 0.5}, verdict=False).tolist() == [1, 1, 0.5]


def test_logits_are_divided_before_scores_are_made(vocabulary: Vocabulary) -> None:
    three = np.log(3.0)
    logits = torch.tensor([[0.0, 2 * three, three, 4 * three, 0.0]], dtype=torch.float32)
    temperatures = {"wash": 2.0, "category": 4.0}
    scores = group_probabilities(logits, vocabulary, temperatures=temperatures)
    assert scores[0].tolist() == pytest.approx([0.25, 0.75, 0.75, 0.75, 0.25])
    each = group_probabilities(logits, vocabulary, "sigmoid", temperatures)
    assert each[0].tolist() == pytest.approx([0.5, 0.75, 0.75, 0.75, 0.5])
    labels = group_probabilities(logits[:, :3], vocabulary, "groups", {"details": 0.5})
    assert labels[0].tolist() == pytest.approx([0.1, 0.9, 0.9])
    for none in (None, {}):
        assert torch.equal(
            group_probabilities(logits, vocabulary, "groups", none),
            group_probabilities(logits, vocabulary),
        )


def test_the_temperatures_that_labels_were_drawn_with_are_found() -> None:
    logits, targets = _drawn(3000, TRUE)
    fitted = fit_temperatures(logits, targets, load_vocabulary("conf/vocabulary.yaml"), "groups")
    assert fitted == pytest.approx(TRUE, rel=0.1)


def test_of_sigmoids_each_label_counts(vocabulary: Vocabulary) -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 4, (400, 3)).astype(np.float32)
    targets = np.zeros((400, 3), dtype=bool)
    targets[np.arange(400), (logits[:, :2] + rng.gumbel(0, 3, (400, 2))).argmax(1)] = True
    found = fit_temperatures(logits, targets, vocabulary, "sigmoid")["wash"]

    def loss(temperature: float) -> float:
        given = torch.tensor(logits[:, :2]).double() / temperature
        return float(binary_cross_entropy_with_logits(given, torch.tensor(targets[:, :2]).double()))

    assert 1.1 < found < 4.9
    assert loss(found) < min(loss(found * 0.98), loss(found * 1.02))


def test_a_row_counts_where_its_truth_is_known() -> None:
    shipped = load_vocabulary("conf/vocabulary.yaml")
    logits, targets = _drawn(400, dict.fromkeys(TRUE, 1.5))
    fitted = fit_temperatures(logits, targets, shipped, "groups")
    garments = ~targets[:, 25]
    of_garments = fit_temperatures(logits[garments], targets[garments], shipped, "groups")
    changed = {name for name in fitted if fitted[name] != of_garments[name]}
    assert changed == {"category"}, "a crop without a garment has no labels, but a verdict"

    unknown = ~targets[:, :7].any(axis=1)
    assert (unknown & garments).any()
    wild = logits.copy()
    wild[unknown, :7] *= -9
    assert fit_temperatures(wild, targets, shipped, "groups") == fitted

    judged, untold = targets.copy(), garments & (np.arange(400) < 100)
    judged[untold, 25:] = False
    without = fit_temperatures(logits, judged, shipped, "groups")
    assert (
        without["category"]
        == fit_temperatures(logits[~untold], targets[~untold], shipped, "groups")["category"]
    )
    assert without | {"category": fitted["category"]} == fitted


@pytest.mark.parametrize(
    ("rows", "wanted"), [(0, 1.0), (1, 5 ** (-1 / 20)), (10, 5**-0.5), (20, 0.2), (40, 0.2)]
)
def test_few_rows_are_drawn_to_1(vocabulary: Vocabulary, rows: int, wanted: float) -> None:
    # All are right: the surer, the better.
    logits = np.tile(np.array([0.5, -0.5, 0.5], dtype=np.float32), (rows, 1))
    targets = np.tile(np.array([True, False, True]), (rows, 1))
    fitted = fit_temperatures(logits, targets, vocabulary, "groups")
    assert fitted == pytest.approx({"wash": wanted, "details": wanted}, rel=1e-3)


def test_a_group_of_one_label_is_left_alone() -> None:
    single = {"exclusive": True, "labels": ["blue"]}
    vocabulary = parse_vocabulary({"categories": ["jeans"], "groups": {"colour": single}}, "test")
    logits, targets = np.ones((30, 1), dtype=np.float32), np.ones((30, 1), dtype=bool)
    assert fit_temperatures(logits, targets, vocabulary, "groups") == {"colour": 1.0}


def test_error_by_hand() -> None:
    scores, right = np.array([0.95, 0.95, 0.15]), np.array([True, False, False])
    assert expected_calibration_error(scores, right) == pytest.approx((2 * 0.45 + 0.15) / 3)
    assert expected_calibration_error(scores, right, bins=1) == pytest.approx(2.05 / 3 - 1 / 3)
    assert math.isnan(expected_calibration_error(scores[:0], right[:0]))


def _two_photos() -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Garments of two photos by turns, all sure that they are light: one's are, the other's not."""
    logits = np.tile(np.array([2.0, 0.0, -30.0], dtype=np.float32), (40, 1))
    targets = np.zeros((40, 3), dtype=bool)
    targets[0::2, 0] = targets[1::2, 1] = True
    return logits, targets, ["right", "wrong"] * 20


def test_a_photo_is_judged_by_the_temperatures_of_others(vocabulary: Vocabulary) -> None:
    logits, targets, photos = _two_photos()
    found = calibration_figures(logits, targets, vocabulary, "groups", photos, folds=2)

    def score(temperature: float) -> float:
        return 1 / (1 + np.exp(-2 / temperature))

    # The right ones are scored at 5, which is best for the wrong ones, and these at 1/5.
    after = 0.5 * (1 - score(5)) + 0.5 * score(0.2)
    assert found["wash"]["ece_before"] == pytest.approx(score(1) - 0.5)
    assert found["wash"]["ece_after"] == pytest.approx(after, abs=1e-3)
    assert found["details"] == pytest.approx(
        {"ece_before": 0.0, "ece_after": 0.0, "rows": 40}, abs=1e-9
    )
    # As many scores of details again, without an error.
    assert found["all"]["ece_after"] == pytest.approx(after / 2, abs=1e-3)
    assert found["wash"]["rows"] == found["all"]["rows"] == 40
    assert list(found) == ["wash", "details", "all"]


def test_of_details_every_labels_score_is_judged() -> None:
    shipped = load_vocabulary("conf/vocabulary.yaml")
    targets = np.zeros((4, 25), dtype=bool)
    targets[:, 17] = targets[0, 18:22] = True
    logits = np.zeros((4, 25), dtype=np.float32)
    found = calibration_figures(logits, targets, shipped, "groups", ["a"] * 4)["details"]
    assert found == {"ece_before": 0.5 - 8 / 32, "ece_after": 0.5 - 8 / 32, "rows": 4}


def test_one_photo_alone_has_no_others(vocabulary: Vocabulary) -> None:
    logits, targets, _ = _two_photos()
    found = calibration_figures(logits, targets, vocabulary, "groups", ["a"] * 40)
    assert found["wash"]["ece_before"] == found["wash"]["ece_after"]


def test_scores_that_are_too_sure_are_mended() -> None:
    shipped = load_vocabulary("conf/vocabulary.yaml")
    logits, targets = _drawn(1500, dict.fromkeys(TRUE, 3.0))
    photos = [f"photo {row // 2}" for row in range(len(logits))]
    found = calibration_figures(logits, targets, shipped, "groups", photos)
    assert list(found) == ["wash", "fit", "length", "details", "category", "all"]
    for name, figures in found.items():
        assert figures["ece_before"] > 0.1, name
        assert figures["ece_after"] < 0.05, name
    assert found["all"]["rows"] == found["category"]["rows"] == 1500
    assert found["wash"]["rows"] == targets[:, :7].any(1).sum() < found["details"]["rows"]
    assert found["details"]["rows"] == 1500 - targets[:, 25].sum()
    # Where a row stands changes nothing.
    order = np.random.default_rng(3).permutation(1500)
    again = calibration_figures(
        logits[order], targets[order], shipped, "groups", [photos[row] for row in order]
    )
    for name in found:
        assert again[name] == pytest.approx(found[name], abs=1e-6)


@pytest.mark.parametrize("rows", [0, 1])
@pytest.mark.parametrize("scoring", ["groups", "sigmoid"])
def test_no_row_and_one_are_told_without_nan(vocabulary: Vocabulary, rows: int, scoring) -> None:
    logits = np.zeros((rows, 5), dtype=np.float32)
    targets = np.zeros((rows, 5), dtype=bool)
    targets[:, 4] = True
    found = calibration_figures(logits, targets, vocabulary, scoring, ["a"] * rows)
    json.dumps(found, allow_nan=False)
    assert found["wash"] == {"ece_before": None, "ece_after": None, "rows": 0}
    assert found["category"]["ece_after"] == (0.5 if rows else None)
    fitted = fit_temperatures(logits, targets, vocabulary, scoring)
    assert fitted == {"wash": 1.0, "details": 1.0, "category": 1.0}


def test_bins_are_of_what_the_figures_tell_of_all() -> None:
    rng = np.random.default_rng(4)
    vocabulary = load_vocabulary("conf/vocabulary.yaml")
    names = output_names(vocabulary)
    logits = rng.normal(0, 2, (60, len(names))).astype(np.float32)
    targets = np.zeros(logits.shape, dtype=bool)
    for span in exclusive_spans(vocabulary):
        targets[np.arange(60), rng.integers(span.start, span.stop, 60)] = True
    given = (logits, targets, vocabulary, "groups", [f"{k // 2}" for k in range(60)])
    bins = calibration_bins(*given)
    figures = calibration_figures(*given)["all"]
    errors = [calibration_error(each) for each in bins]
    assert errors == pytest.approx([figures["ece_before"], figures["ece_after"]])
    assert sum(each.count for each in bins[0]) == sum(each.count for each in bins[1]) > 240
