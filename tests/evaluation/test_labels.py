from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from jeans_udf.evaluation.labels import (
    attribute_figures,
    decisions,
    judged,
    label_figures,
)
from jeans_udf.vocabulary import Vocabulary, parse_vocabulary


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


def test_figures_by_hand() -> None:
    truth = np.array([True, True, False, False])
    predicted = np.array([True, False, True, False])
    assert label_figures(truth, predicted) == {
        "precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2,
    }  # fmt: skip
    nothing = np.zeros(4, dtype=bool)
    assert label_figures(nothing, nothing)["f1"] == 0.0


def test_figures_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truth, predicted = rng.random((2, 200, 4)) > 0.6
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, zero_division=0
    )
    for column in range(4):
        mine = label_figures(truth[:, column], predicted[:, column])
        assert mine["precision"] == pytest.approx(precision[column])
        assert mine["recall"] == pytest.approx(recall[column])
        assert mine["f1"] == pytest.approx(f1[column])
        assert mine["support"] == support[column]


def test_an_unknown_exclusive_group_is_not_judged(vocabulary: Vocabulary) -> None:
    truth = np.array([[1, 0, 0], [0, 0, 1]], dtype=bool)
    assert judged(truth, vocabulary).tolist() == [[True, True, True], [False, False, True]]
    predicted = np.array([[1, 0, 0], [0, 1, 1]], dtype=bool)
    figures = attribute_figures(truth, predicted, vocabulary)
    assert figures["micro_f1"] == 1.0, "the wash of the second garment is unknown"
    assert figures["labels"]["dark"]["support"] == 0
    assert figures["macro_f1"] == 1.0


def test_a_groups_threshold_stands_where_a_label_has_none(vocabulary: Vocabulary) -> None:
    scores = np.array([[0.55, 0.45, 0.0], [0.45, 0.55, 0.0]])
    both = ["jeans", "jeans"]
    old = {"wash": 0.5, "cuffed": 0.5}
    assert decisions(scores, both, vocabulary, old)[:, :2].tolist() == [[1, 0], [0, 1]]
    assert not decisions(scores, both, vocabulary, old | {"wash": 0.6}).any()
    own = {"wash": 0.5, "dark": 0.6, "cuffed": 0.5}
    assert decisions(scores, both, vocabulary, own)[:, :2].tolist() == [[1, 0], [0, 0]]
    at = old | {"wash": 0.9, "dark": 0.55}
    assert decisions(scores, both, vocabulary, at)[:, :2].tolist() == [[0, 0], [0, 1]]
