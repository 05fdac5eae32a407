from __future__ import annotations

import json

import numpy as np
import pytest

from jeans_udf.evaluation.attributes import attributes_markdown, judge_attributes
from jeans_udf.evaluation.labels import attribute_figures, decisions
from jeans_udf.vocabulary import Vocabulary, load_vocabulary, parse_vocabulary


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return parse_vocabulary(
        {
            "categories": ["jeans", "shorts"],
            "groups": {
                "wash": {"exclusive": True, "labels": ["light", "dark"], "applies_to": ["jeans"]},
                "details": {"exclusive": False, "labels": ["cuffed", "raw_hem"]},
            },
        },
        "test",
    )


THRESHOLDS = {"wash": 0.6, "dark": 0.8, "cuffed": 0.5, "raw_hem": 0.5}
CATEGORIES = ["jeans", "jeans", "jeans", "jeans", "shorts"]
# The labels' and, last, a verdict's that is not read.
SCORES = np.array([
    [0.9, 0.1, 0.7, 0.1, 0.9],  # light, cuffed: so it is
    [0.3, 0.7, 0.2, 0.1, 0.9],  # dark, but not sure enough
    [0.65, 0.35, 0.6, 0.1, 0.9],  # light, cuffed: in truth dark alone
    [0.1, 0.9, 0.55, 0.2, 0.9],  # dark, cuffed: cuffed it is, the wash is unknown
    [0.0, 0.9, 0.4, 0.2, 0.9],  # nothing: in truth cuffed shorts
])  # fmt: skip
TRUTH = np.array([[1, 0, 1, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0]], dtype=bool)


def test_figures_by_hand(vocabulary: Vocabulary) -> None:
    found = judge_attributes(SCORES, TRUTH, CATEGORIES, vocabulary, THRESHOLDS)
    labels = found.pop("labels")
    assert labels["light"] == pytest.approx({
        "precision": 1 / 2, "recall": 1.0, "f1": 2 / 3, "support": 1,
        "threshold": 0.6, "average_precision": 1.0,
    })  # fmt: skip
    # The fourth's 0.9, the surest of all, is not held against dark.
    assert labels["dark"] == pytest.approx({
        "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 2,
        "threshold": 0.8, "average_precision": 1.0,
    })  # fmt: skip
    # By score: right, wrong, right, right, wrong.
    assert labels["cuffed"]["average_precision"] == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    assert labels["cuffed"]["f1"] == pytest.approx(2 / 3)
    assert labels["raw_hem"]["average_precision"] is None
    assert found.pop("groups") == {
        "wash": {"answered_right": 1 / 2, "abstained": pytest.approx(1 / 3), "known": 3}
    }
    assert found == pytest.approx({
        "micro_precision": 3 / 5, "micro_recall": 3 / 6, "micro_f1": 6 / 11,
        "macro_f1": (2 / 3 + 0 + 2 / 3) / 3,
        "macro_f1_common": None, "common_labels": 0,
        "f_beta": (1 + 0 + 0 + 1 + 0) / 5,
        "accuracy_multi": 11 / 16,  # of 20 decisions four are on an unknown wash
        "mean_average_precision": (1 + 1 + 29 / 36) / 3,
    })  # fmt: skip


def test_f_beta_weighs_recall(vocabulary: Vocabulary) -> None:
    # Of two labels one is found, and nothing else said: precision 1, recall 1/2.
    found = judge_attributes(
        np.array([[0.9, 0.1, 0.1, 0.1]]), TRUTH[:1], ["jeans"], vocabulary, THRESHOLDS
    )
    assert found["f_beta"] == pytest.approx(5 * 1 * 0.5 / (4 * 1 + 0.5))


def test_it_holds_what_attribute_figures_says(vocabulary: Vocabulary) -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((50, 4)) < 0.4
    truth[:, 1] &= ~truth[:, 0]
    scores = rng.random((50, 4))
    found = judge_attributes(scores, truth, ["jeans"] * 50, vocabulary, THRESHOLDS)
    said = decisions(scores, ["jeans"] * 50, vocabulary, THRESHOLDS)
    for key, value in attribute_figures(truth, said, vocabulary).items():
        if key == "labels":
            for label, figures in value.items():
                assert figures.items() <= found["labels"][label].items()
        else:
            assert found[key] == value


def test_common_labels_have_ten_garments(vocabulary: Vocabulary) -> None:
    truth = np.zeros((20, 4), dtype=bool)
    truth[:10, 0] = truth[10:19, 1] = truth[:, 2] = True
    scores = truth.astype(float)
    scores[5:10, 0] = 0.0
    found = judge_attributes(scores, truth, ["jeans"] * 20, vocabulary, THRESHOLDS)
    # Dark has nine. Light is found five times of ten.
    assert found["common_labels"] == 2
    assert found["macro_f1_common"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 1 + 1) / 3)


def test_old_thresholds_have_no_labels_of_exclusive_groups(vocabulary: Vocabulary) -> None:
    old = {"wash": 0.6, "cuffed": 0.5, "raw_hem": 0.5}
    found = judge_attributes(SCORES, TRUTH, CATEGORIES, vocabulary, old)
    assert found["labels"]["dark"]["threshold"] == 0.6
    assert found["groups"]["wash"] == {
        "answered_right": pytest.approx(2 / 3), "abstained": 0.0, "known": 3,
    }  # fmt: skip


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_what_cannot_be_told_is_none(vocabulary: Vocabulary, rows: int) -> None:
    truth = np.zeros((rows, 4), dtype=bool)
    found = judge_attributes(SCORES[:rows], truth, CATEGORIES[:rows], vocabulary, THRESHOLDS)
    json.dumps(found, allow_nan=False)
    assert found["groups"]["wash"] == {"answered_right": None, "abstained": None, "known": 0}
    assert found["macro_f1"] is found["mean_average_precision"] is None
    assert (found["f_beta"] is None) == (found["accuracy_multi"] is None) == (rows == 0)
    table = attributes_markdown(found, vocabulary).splitlines()
    assert table[2] == "| `light` | – | – | – | 0 | 0.600 |"
    assert table[-1] == "| all labels | – | – | – | 0 | – |"


def test_the_table_is_githubs(vocabulary: Vocabulary) -> None:
    found = judge_attributes(SCORES, TRUTH, CATEGORIES, vocabulary, THRESHOLDS)
    assert attributes_markdown(found, vocabulary) == (
        "| label | precision | recall | F1 | support | threshold |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: |\n"
        "| `light` | 0.500 | 1.000 | 0.667 | 1 | 0.600 |\n"
        "| `dark` | 0.000 | 0.000 | 0.000 | 2 | 0.800 |\n"
        "| `cuffed` | 0.667 | 0.667 | 0.667 | 3 | 0.500 |\n"
        "| `raw_hem` | – | – | – | 0 | 0.500 |\n"
        "| all labels | 0.600 | 0.500 | 0.545 | 6 | – |\n"
    )


def test_the_shipped_vocabulary_without_a_mistake() -> None:
    shipped = load_vocabulary("conf/vocabulary.yaml")
    count = len(shipped.labels)
    truth = np.eye(count, dtype=bool)
    thresholds = dict.fromkeys((*shipped.labels, "wash", "fit", "length"), 0.5)
    found = judge_attributes(np.eye(count), truth, ["jeans"] * count, shipped, thresholds)
    for key in ("micro_f1", "macro_f1", "f_beta", "accuracy_multi", "mean_average_precision"):
        assert found[key] == pytest.approx(1.0), key
    assert {name: group["known"] for name, group in found["groups"].items()} == {
        "wash": 7, "fit": 7, "length": 3,
    }  # fmt: skip
    assert len(attributes_markdown(found, shipped).splitlines()) == count + 3
