from __future__ import annotations

import numpy as np
import pytest
import torch

from jeans_udf.errors import ConfigError
from jeans_udf.models.attributes import decide
from jeans_udf.models.classifier import Classifier, build_classifier
from jeans_udf.models.mirrored import Mirrored
from jeans_udf.models.outputs import group_probabilities, output_names
from jeans_udf.vocabulary import Vocabulary, parse_vocabulary


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return parse_vocabulary(
        {
            "categories": ["jeans", "shorts"],
            "groups": {
                "wash": {"exclusive": True, "labels": ["light", "dark"], "applies_to": ["jeans"]},
                "details": {"exclusive": False, "labels": ["cuffed", "cargo"]},
            },
        },
        "test",
    )


THRESHOLDS = {"wash": 0.6, "cuffed": 0.5, "cargo": 0.3}


def test_decide_answers_and_abstains(vocabulary: Vocabulary) -> None:
    sure = decide(np.array([0.2, 0.8, 0.6, 0.1]), "jeans", vocabulary, THRESHOLDS)
    assert sure.exclusive == {"wash": "dark"} and sure.multiple == {"details": ["cuffed"]}
    assert sure.labels == ["dark", "cuffed"]
    unsure = decide(np.array([0.45, 0.55, 0.1, 0.3]), "jeans", vocabulary, THRESHOLDS)
    assert unsure.exclusive == {"wash": None} and unsure.labels == ["cargo"]
    assert unsure.group_score(vocabulary.group("wash")) == pytest.approx(0.55)


def test_the_label_that_exceeds_its_threshold_most_is_the_answer(vocabulary: Vocabulary) -> None:
    own = THRESHOLDS | {"light": 0.2, "dark": 0.6}
    # 0.3 / 0.2 = 1.5 is more than 0.7 / 0.6 = 1.17; 0.1 / 0.2 = 0.5 is less than 0.9 / 0.6 = 1.5.
    rare = decide(np.array([0.3, 0.7, 0.0, 0.0]), "jeans", vocabulary, own)
    assert rare.exclusive == {"wash": "light"}
    assert rare.group_score(vocabulary.group("wash")) == pytest.approx(0.3), "the answer's own"
    usual = decide(np.array([0.1, 0.9, 0.0, 0.0]), "jeans", vocabulary, own)
    assert usual.exclusive == {"wash": "dark"}
    neither = decide(np.array([0.19, 0.5, 0.0, 0.0]), "jeans", vocabulary, own)
    assert neither.exclusive == {"wash": None}
    nought = decide(np.zeros(4), "jeans", vocabulary, dict.fromkeys(own, 0.0))
    assert nought.multiple == {"details": ["cuffed", "cargo"]}


def test_without_a_category_every_group_applies(vocabulary: Vocabulary) -> None:
    answer = decide(np.array([0.0, 1.0, 0.9, 0.9]), None, vocabulary, THRESHOLDS)
    assert answer.exclusive == {"wash": "dark"}


def test_a_group_that_does_not_apply_has_no_answer_and_no_score(vocabulary: Vocabulary) -> None:
    answer = decide(np.array([0.0, 1.0, 0.9, 0.9]), "shorts", vocabulary, THRESHOLDS)
    assert answer.exclusive == {"wash": None}
    assert answer.group_score(vocabulary.group("wash")) is None
    assert set(answer.scores) == {"cuffed", "cargo"}


def test_scores_are_a_softmax_in_exclusive_groups_and_sigmoids_elsewhere(
    vocabulary: Vocabulary,
) -> None:
    logits = torch.tensor([[0.0, np.log(3.0), 0.0, -np.log(3.0), 0.0, np.log(2.0), 0.0]])
    scores = group_probabilities(logits, vocabulary)
    assert scores[0].tolist() == pytest.approx([0.25, 0.75, 0.5, 0.25, 0.25, 0.5, 0.25])


def test_outputs_are_the_labels_and_then_the_verdict(vocabulary: Vocabulary) -> None:
    assert output_names(vocabulary) == (
        "light", "dark", "cuffed", "cargo", "category:none", "category:jeans", "category:shorts",
    )  # fmt: skip


def test_neighbours_do_not_change_scores(vocabulary: Vocabulary) -> None:
    torch.manual_seed(0)
    model = build_classifier("tf_efficientnet_lite0", vocabulary)
    classifier = Classifier(
        model,
        vocabulary,
        size=64,
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        thresholds=THRESHOLDS,
        device=torch.device("cpu"),
    )
    rng = np.random.default_rng(1)
    squares = [rng.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(5)]
    together = classifier.scores(squares)
    alone = np.concatenate([classifier.scores([square]) for square in squares])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert classifier.judge([]) == []
    labels = len(vocabulary.labels)
    for judged, row in zip(classifier.judge(squares), together, strict=True):
        assert judged.verdict is not None and judged.verdict.sum() == pytest.approx(1, abs=1e-5)
        np.testing.assert_allclose(judged.scores, row[:labels], atol=1e-5)
        np.testing.assert_allclose(judged.verdict, row[labels:], atol=1e-5)


def test_mirrored_is_the_mean_of_the_crop_and_its_mirror_image(vocabulary: Vocabulary) -> None:
    torch.manual_seed(0)
    settings = dict(size=32, mean=(0.5,) * 3, std=(0.5,) * 3, thresholds=THRESHOLDS,
                    device=torch.device("cpu"))  # fmt: skip
    model = build_classifier("resnet18", vocabulary)
    plain = Classifier(model, vocabulary, **settings)
    both = Classifier(Mirrored(model), vocabulary, **settings)
    square = np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    one, other = plain.logits([square]), plain.logits([np.ascontiguousarray(square[:, ::-1])])
    assert (one - other).abs().max() > 1e-3
    torch.testing.assert_close(both.logits([square]), (one + other) / 2)
    torch.testing.assert_close(both.logits([square[:, ::-1]]), both.logits([square]))


def test_a_classifier_without_verdict_answers_labels_alone(vocabulary: Vocabulary) -> None:
    assert output_names(vocabulary, verdict=False) == ("light", "dark", "cuffed", "cargo")
    logits = torch.tensor([[0.0, np.log(3.0), 0.0, -np.log(3.0)]])
    assert group_probabilities(logits, vocabulary)[0].tolist() == pytest.approx(
        [0.25, 0.75, 0.5, 0.25]
    )
    each = group_probabilities(logits, vocabulary, "sigmoid")
    assert each[0].tolist() == pytest.approx([0.5, 0.75, 0.5, 0.25])


class Fixed(torch.nn.Module):
    """Says the same of every picture."""

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return torch.tensor([[0.4, 1.0, 2.0, -2.0]]).expand(len(pictures), -1)


def test_sigmoids_within_an_exclusive_group_give_the_best_label_or_none(
    vocabulary: Vocabulary,
) -> None:
    def attributes(wash: float) -> tuple:
        classifier = Classifier(
            Fixed(), vocabulary, size=8, mean=(0.0,) * 3, std=(1.0,) * 3,
            thresholds={"wash": wash, "cuffed": 0.5, "cargo": 0.5},
            device=torch.device("cpu"), verdict=False, scoring="sigmoid",
        )  # fmt: skip
        (judged,) = classifier.judge([np.zeros((8, 8, 3), np.uint8)])
        assert judged.verdict is None
        answer = classifier.decide(judged, "jeans")
        return answer.exclusive["wash"], answer.multiple["details"]

    # 1 / (1 + exp(-1)) = 0.731; the softmax of 0.4 and 1.0 would say 0.646.
    assert attributes(0.73) == ("dark", ["cuffed"])
    assert attributes(0.74) == (None, ["cuffed"])


@pytest.mark.parametrize("head", ["linear", "fastai"])
def test_heads_have_the_outputs_that_are_asked_for(vocabulary: Vocabulary, head: str) -> None:
    pictures = torch.zeros(2, 3, 64, 64)
    for verdict, outputs in ((True, 7), (False, 4)):
        net = build_classifier("resnet18", vocabulary, 0.0, head, verdict=verdict).eval()
        assert net(pictures).shape == (2, outputs)


@pytest.mark.parametrize("name", ["hf-hub:someone/resnet18", "local-dir:/tmp/x", "resnet9000", ""])
def test_a_backbone_is_one_that_timm_brings_along(vocabulary: Vocabulary, name: str) -> None:
    with pytest.raises(ConfigError, match=f"backbone '{name}': no such network in timm"):
        build_classifier(name, vocabulary)
    with pytest.raises(ConfigError, match="did you mean resnet18"):
        build_classifier("resnet_18", vocabulary, head="fastai")
