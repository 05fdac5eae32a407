"""Crops as fastai's loaders give them to a network, augmented and normalised."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from fastai.data.block import DataBlock, MultiCategoryBlock
from fastai.data.core import DataLoaders
from fastai.data.transforms import IndexSplitter, Normalize
from fastai.vision.augment import aug_transforms
from fastai.vision.data import ImageBlock

from jeans_udf.models.outputs import output_names
from jeans_udf.training.classifier_recipe import ClassifierRecipe
from jeans_udf.training.crop_folder import Crop
from jeans_udf.vocabulary import Vocabulary


@dataclass(frozen=True)
class CropSets:
    """Crops to learn from and to be judged on, and what they may be called."""

    train: Sequence[Crop]
    valid: Sequence[Crop]
    vocabulary: Vocabulary
    mean: tuple[float, float, float]
    """Of the network's input, RGB, 0 to 1; what its backbone was pretrained with."""
    std: tuple[float, float, float]


def make_loaders(sets: CropSets, recipe: ClassifierRecipe, side: int) -> DataLoaders:
    """Batches of pictures (B, 3, ``side``, ``side``) and multi-hot targets (B, outputs).

    Training crops come shuffled and augmented, validation ones in order, scaled at most.
    """
    smaller = {"size": side} if side < recipe.cut_size else {}
    augment = aug_transforms(**recipe.augment.arguments(), **smaller)
    normalize = Normalize.from_stats(sets.mean, sets.std, cuda=torch.cuda.is_available())
    names = set(outputs(sets.vocabulary, recipe))
    block = DataBlock(
        blocks=(
            ImageBlock,
            MultiCategoryBlock(vocab=list(outputs(sets.vocabulary, recipe))),
        ),
        get_x=partial(_picture, judged={crop.file for crop in sets.valid}),
        get_y=lambda crop: [name for name in crop.targets if name in names],
        splitter=IndexSplitter(range(len(sets.train), len(sets.train) + len(sets.valid))),
        batch_tfms=[*augment, normalize],
    )
    # fastai leaves out a last batch that is not full: of few crops that would be all of them.
    size = min(recipe.batch_size, len(sets.train))
    return block.dataloaders([*sets.train, *sets.valid], bs=size, num_workers=0)


def _picture(crop: Crop, judged: Collection[Path]) -> Path:
    """The view that is judged; in training, half of the time another one."""
    if crop.file in judged or not crop.others or random.random() < 0.5:
        return crop.file
    return random.choice(crop.others)


def outputs(vocabulary: Vocabulary, recipe: ClassifierRecipe) -> tuple[str, ...]:
    """Names of the network's logits."""
    return output_names(vocabulary, verdict=recipe.has_verdict)


def targets(
    crops: Sequence[Crop], vocabulary: Vocabulary, recipe: ClassifierRecipe
) -> np.ndarray:
    """(N, outputs) bool: what the network should say of each crop."""
    names = outputs(vocabulary, recipe)
    rows = [[name in wanted for name in names] for wanted in (set(c.targets) for c in crops)]
    return np.array(rows, dtype=bool).reshape(len(crops), len(names))


def pictures_of_batch(loaders: DataLoaders, sets: CropSets) -> tuple[np.ndarray, np.ndarray]:
    """A training batch as seen: (B, size, size, 3) uint8 RGB, and its targets (B, outputs) bool."""
    pixels, wanted = loaders.train.one_batch()
    mean = torch.tensor(sets.mean).view(3, 1, 1)
    std = torch.tensor(sets.std).view(3, 1, 1)
    shown = (pixels.cpu().as_subclass(torch.Tensor) * std + mean).clamp(0, 1) * 255
    return (
        shown.round().byte().permute(0, 2, 3, 1).numpy(),
        wanted.cpu().as_subclass(torch.Tensor).bool().numpy(),
    )
