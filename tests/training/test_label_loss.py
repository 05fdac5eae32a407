from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from jeans_udf.models.outputs import output_names
from jeans_udf.training.label_loss import MOST_WEIGHT, BinaryLoss, GroupLoss, rarity_weights
from jeans_udf.vocabulary import parse_vocabulary

VOCABULARY = parse_vocabulary(
    {
        "categories": ["jeans", "shorts"],
        "groups": {
            "wash": {"exclusive": True, "labels": ["light", "medium", "dark"]},
            "details": {"exclusive": False, "labels": ["cuffed", "cargo"]},
            "fit": {"exclusive": True, "labels": ["slim", "wide"]},
        },
    },
    "test",
)
NAMES = output_names(VOCABULARY)
WASH, DETAILS, FIT, VERDICT = slice(0, 3), slice(3, 5), slice(5, 7), slice(7, 10)


def _targets(*rows: str) -> torch.Tensor:
    """Multi-hot rows of names, ``jeans`` and so on being the verdict's."""
    wanted = [
        {name if name in NAMES else f"category:{name}" for name in row.split()} for row in rows
    ]
    assert all(names <= set(NAMES) for names in wanted)
    return torch.tensor([[float(name in names) for name in NAMES] for names in wanted])


def _logits(rows: int) -> torch.Tensor:
    return torch.randn(rows, len(NAMES), generator=torch.Generator().manual_seed(0))


def test_the_outputs_stand_where_the_test_thinks() -> None:
    assert NAMES[WASH] == ("light", "medium", "dark") and NAMES[FIT] == ("slim", "wide")
    assert NAMES[VERDICT] == ("category:none", "category:jeans", "category:shorts")


def test_a_labelled_row_by_hand() -> None:
    """Even logits: the log of 3 for wash, of 2 for fit, of 3 for the verdict, half of 0.69 twice.

    Details weigh a quarter of their number, 2: half of their mean, the log of 2.
    """
    loss = GroupLoss(VOCABULARY, smoothing=0.0)
    found = loss(torch.zeros(1, 10), _targets("dark cuffed slim jeans"))
    assert float(found) == pytest.approx(2 * np.log(3) + 1.5 * np.log(2))
    sure = torch.tensor([[-9.0, -9, 9, 9, -9, 9, -9, -9, 9, -9]])
    assert float(loss(sure, _targets("dark cuffed slim jeans"))) < 1e-3
    assert float(loss(-sure, _targets("dark cuffed slim jeans"))) > 30


def test_the_parts_are_torchs_own_losses() -> None:
    logits = _logits(3)
    rows = "dark cuffed slim jeans", "light wide shorts", "medium cuffed cargo slim jeans"
    targets = _targets(*rows)
    expected = (
        cross_entropy(logits[:, WASH], torch.tensor([2, 0, 1]), label_smoothing=0.1)
        + cross_entropy(logits[:, FIT], torch.tensor([0, 1, 0]), label_smoothing=0.1)
        + cross_entropy(logits[:, VERDICT], torch.tensor([1, 2, 1]), label_smoothing=0.1)
        + 0.5 * binary_cross_entropy_with_logits(logits[:, DETAILS], targets[:, DETAILS])
    )
    torch.testing.assert_close(GroupLoss(VOCABULARY, 0.1)(logits, targets), expected)
    as_bool = GroupLoss(VOCABULARY, 0.1)(logits, targets.bool())
    torch.testing.assert_close(as_bool, expected)


def _counted(targets: torch.Tensor) -> list[list[int]]:
    """For each row the outputs that a change of would change the loss."""
    logits = _logits(len(targets)).requires_grad_()
    GroupLoss(VOCABULARY, 0.0)(logits, targets).backward()
    assert logits.grad is not None
    return [row.nonzero().flatten().tolist() for row in logits.grad]


def test_what_is_unknown_does_not_count() -> None:
    named = "dark jeans", "slim jeans", "cargo shorts", "jeans", "none", "dark", ""
    rows = _counted(_targets(*named))
    wash, details, fit, verdict = [0, 1, 2], [3, 4], [5, 6], [7, 8, 9]
    assert rows == [
        wash + details + verdict,  # no fit: unknown
        details + fit + verdict,
        details + verdict,
        verdict,  # the category alone: nobody looked at the labels
        verdict,  # no garment has labels
        wash + details,  # the category is unknown
        details,  # nothing is known but that no detail was seen
    ]


def test_a_row_changes_nothing_for_the_others_mean() -> None:
    """The mean is over the rows where a group is known: a crop of nothing does not dilute it."""
    logits = _logits(2)
    one = GroupLoss(VOCABULARY, 0.0)(logits[:1], _targets("dark cuffed slim"))
    both = GroupLoss(VOCABULARY, 0.0)(logits, _targets("dark cuffed slim", "none"))
    verdict = cross_entropy(logits[1:, VERDICT], torch.tensor([0]))
    torch.testing.assert_close(both, one + verdict)


def test_a_batch_of_which_nothing_is_known_is_zero_and_can_be_learnt_from() -> None:
    logits = _logits(2)[:, :7].requires_grad_()
    plain = parse_vocabulary(
        {"categories": ["jeans"], "groups": {"fit": {"exclusive": True, "labels": ["a", "b"]}}}, "t"
    )
    loss = GroupLoss(plain, 0.0)(logits[:, :4], torch.zeros(2, 4))
    loss.backward()
    assert float(loss.detach()) == 0 and logits.grad is not None and not logits.grad.any()


def test_weights_multiply_each_labels_positives() -> None:
    weights = torch.linspace(0.5, 2.0, len(NAMES))
    logits, targets = _logits(2), _targets("dark cuffed slim jeans", "light wide shorts")
    expected = (
        cross_entropy(logits[:, WASH], torch.tensor([2, 0]), weight=weights[WASH])
        + cross_entropy(logits[:, FIT], torch.tensor([0, 1]), weight=weights[FIT])
        + cross_entropy(logits[:, VERDICT], torch.tensor([1, 2]), weight=weights[VERDICT])
        + 0.5 * binary_cross_entropy_with_logits(
            logits[:, DETAILS], targets[:, DETAILS], pos_weight=weights[DETAILS])
    )  # fmt: skip
    torch.testing.assert_close(GroupLoss(VOCABULARY, 0.0, weights)(logits, targets), expected)


def test_the_binary_loss_takes_what_is_not_given_for_absent() -> None:
    logits, targets = _logits(2)[:, :7], _targets("dark jeans", "")[:, :7]
    chances = torch.sigmoid(logits.double())
    by_hand = -torch.where(targets > 0, chances.log(), (1 - chances).log()).mean()
    torch.testing.assert_close(BinaryLoss()(logits, targets).double(), by_hand, atol=1e-6, rtol=0)
    weights = torch.arange(1.0, 8.0)
    weighted = -torch.where(targets > 0, weights * chances.log(), (1 - chances).log()).mean()
    torch.testing.assert_close(
        BinaryLoss(weights)(logits, targets.bool()).double(), weighted, atol=1e-6, rtol=0
    )


def test_rare_labels_weigh_more_and_the_mean_over_positives_is_one() -> None:
    targets = np.zeros((16, 2), dtype=bool)
    targets[:, 0], targets[:1, 1] = True, True
    # (16/16)^0.5 = 1 and (16/1)^0.5 = 4; over 16 positives and 1 their mean is 20/17.
    weights = rarity_weights(targets, 0.5)
    assert weights is not None and weights.dtype == torch.float32
    assert weights.tolist() == pytest.approx([0.85, 3.4])
    assert float((weights * torch.tensor([16.0, 1.0])).sum() / 17) == pytest.approx(1)


def test_a_label_that_nobody_has_does_not_shift_the_others() -> None:
    targets = np.zeros((16, 3), dtype=bool)
    targets[:, 0], targets[:1, 1] = True, True
    weights = rarity_weights(targets, 0.5)
    assert weights is not None and weights.tolist() == pytest.approx([0.85, 3.4, 3.4])


def test_no_weight_is_above_the_most() -> None:
    targets = np.zeros((10_000, 2), dtype=bool)
    targets[:, 0], targets[:1, 1] = True, True
    weights = rarity_weights(targets, 1.0)
    assert weights is not None and float(weights[1]) == MOST_WEIGHT


def test_without_balance_or_positives_there_are_no_weights() -> None:
    assert rarity_weights(np.ones((3, 2), dtype=bool), 0.0) is None
    assert rarity_weights(np.zeros((3, 2), dtype=bool), 0.5) is None
    assert rarity_weights(np.zeros((0, 2), dtype=bool), 0.5) is None
