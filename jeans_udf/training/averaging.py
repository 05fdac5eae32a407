"""The mean of several trainings' weights.

Networks that were trained from the same weights often lie in one valley of the loss; their mean is
about as good as all of them asked together, at the cost of one ("model soups", Wortsman et al.,
2022).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch


def mean_weights(members: Sequence[Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Name by name; whole numbers (counters of batch norms) are the last one's."""
    last = members[-1]
    return {
        name: (sum((m[name].float() for m in members), torch.zeros(())) / len(members))
        .to(value.dtype).contiguous()
        if value.is_floating_point()
        else value
        for name, value in last.items()
    }  # fmt: skip
