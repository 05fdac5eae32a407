"""Pictures scaled as fastai's ``aug_transforms(size=…)`` scales them for validation."""

from __future__ import annotations

import torch
from torch.nn import functional


def resize_as_fastai(pictures: torch.Tensor, size: int) -> torch.Tensor:
    """(N, 3, S, S) float to (N, 3, size, size), bilinear between the corners' centres.

    More than twice too large, they are first reduced to twice the size by area, so that no pixel
    is passed over. fastai: ``vision/augment.py``, ``_grid_sample`` with an identity matrix.
    """
    reduction = pictures.shape[-1] / size / 2
    if reduction > 1:
        pictures = functional.interpolate(
            pictures, scale_factor=1 / reduction, mode="area", recompute_scale_factor=True
        )
    return functional.interpolate(pictures, (size, size), mode="bilinear", align_corners=True)
