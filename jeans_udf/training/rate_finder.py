"""Learning-rate range test (Smith, "Cyclical Learning Rates", 2017): a plot and a proposal."""

from __future__ import annotations

import copy
import itertools
import math
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402

from jeans_udf.errors import ConfigError  # noqa: E402
from jeans_udf.training.examples import Examples  # noqa: E402
from jeans_udf.training.progress import Progress  # noqa: E402
from jeans_udf.training.recipe import Recipe  # noqa: E402
from jeans_udf.training.steps import Trainer  # noqa: E402

LOWEST, HIGHEST = 1e-6, 1e-1
DIVERGED = 4.0
"""The test ends where the smoothed loss is this many times its least."""


def find_rate(
    model: nn.Module,
    examples: Examples,
    recipe: Recipe,
    device: torch.device,
    plot: Path,
    steps: int = 80,
) -> float:
    """A learning rate for ``model``, which stays as it was: a tenth of where the loss is least.

    The rate grows by the same factor each step from 1e-6 to 0.1, on a copy of the model. Writes
    ``plot`` (PNG): the loss, smoothed, over the rate.
    """
    trainer = Trainer(copy.deepcopy(model), recipe, device)
    batches = (batch for epoch in itertools.count() for batch in examples.batches(epoch))
    progress = Progress(steps, "photos", examples.sampling.batch_size)
    rates: list[float] = []
    smoothed: list[float] = []
    mean = 0.0
    for number, batch in zip(range(steps), batches, strict=False):
        rate = LOWEST * (HIGHEST / LOWEST) ** (number / max(1, steps - 1))
        loss = trainer.step(batch, rate)
        if not math.isfinite(loss):
            break
        mean = 0.9 * mean + 0.1 * loss
        rates.append(rate)
        smoothed.append(mean / (1 - 0.9 ** (number + 1)))
        progress.update(number + 1, f"rate {rate:.1e} loss {loss:.3f}")
        if smoothed[-1] > DIVERGED * min(smoothed):
            break
    if not rates:
        raise ConfigError(
            "learning-rate finder: the loss was not finite from the first step on; check --weights "
            "and the annotations, or use --precision float32"
        )
    proposal = proposed_rate(rates, smoothed)
    _plot(rates, smoothed, proposal, plot)
    return proposal


def proposed_rate(rates: list[float], losses: list[float]) -> float:
    """A tenth of the rate at which the smoothed loss is least; the first steps are noise."""
    first = min(len(rates) // 5, len(rates) - 1)
    best = min(range(first, len(rates)), key=lambda index: losses[index])
    return rates[best] / 10


def _plot(rates: list[float], losses: list[float], proposal: float, path: Path) -> None:
    figure, axes = plt.subplots(figsize=(6, 4))
    axes.semilogx(rates, losses)
    axes.axvline(proposal, linestyle="--", color="grey", label=f"proposed {proposal:.1e}")
    axes.set(xlabel="learning rate", ylabel="training loss, smoothed")
    axes.legend()
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
