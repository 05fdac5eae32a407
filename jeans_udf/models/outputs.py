"""A classifier's outputs: what each logit is of, and how scores are made of them.

One logit for each label of the vocabulary; after them, if there is one, the verdict: ``none`` (the
crop shows no garment) and the categories.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch

from jeans_udf.vocabulary import NO_GARMENT, Vocabulary

Scoring = Literal["groups", "sigmoid"]
"""How scores come from logits: a softmax within each exclusive group and the verdict and sigmoids
elsewhere, or a sigmoid everywhere."""


def output_names(vocabulary: Vocabulary, *, verdict: bool = True) -> tuple[str, ...]:
    """Names of the logits, in order: the labels, then ``category:none``, ``category:jeans``, …

    A classifier without ``verdict`` has the labels alone.
    """
    if not verdict:
        return vocabulary.labels
    verdicts = (f"category:{name}" for name in (NO_GARMENT, *vocabulary.categories))
    return (*vocabulary.labels, *verdicts)


def exclusive_spans(vocabulary: Vocabulary, *, verdict: bool = True) -> list[slice]:
    """Where the softmaxes of the output stand: exclusive groups, and the verdict (if any) last."""
    spans = [s for n, s in vocabulary.spans().items() if vocabulary.group(n).exclusive]
    if verdict:
        spans.append(slice(len(vocabulary.labels), len(output_names(vocabulary))))
    return spans


def divisors(
    vocabulary: Vocabulary, temperatures: Mapping[str, float], *, verdict: bool
) -> torch.Tensor:
    """What each logit is divided by, ``(outputs,) float32``.

    ``temperatures`` are above 0, by the name of the group, and ``category`` for the verdict; one
    that is absent is 1.
    """
    values: list[float] = []
    for group in vocabulary.groups:
        values += [temperatures.get(group.name, 1.0)] * len(group.labels)
    if verdict:
        values += [temperatures.get("category", 1.0)] * (1 + len(vocabulary.categories))
    return torch.tensor(values, dtype=torch.float32)


def group_probabilities(
    logits: torch.Tensor,
    vocabulary: Vocabulary,
    scoring: Scoring = "groups",
    temperatures: Mapping[str, float] | None = None,
) -> torch.Tensor:
    """Logits (N, outputs) to scores, as `Scoring` says; the verdict may be absent from them.

    They are divided by `divisors` first: a temperature above 1 makes scores less sure.
    """
    verdict = logits.shape[1] > len(vocabulary.labels)
    if temperatures:
        logits = logits / divisors(vocabulary, temperatures, verdict=verdict).to(logits)
    scores = torch.sigmoid(logits)
    if scoring == "groups":
        for span in exclusive_spans(vocabulary, verdict=verdict):
            scores[:, span] = torch.softmax(logits[:, span], dim=1)
    return scores


