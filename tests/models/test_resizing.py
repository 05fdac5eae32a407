"""Scaling in plain torch against fastai itself."""

from __future__ import annotations

import pytest
import torch
from fastai.torch_core import TensorImage
from fastai.vision.augment import AffineCoordTfm, aug_transforms

from jeans_udf.models.resizing import resize_as_fastai

VALIDATION = 1
"""fastai's ``split_idx``: what is random is left out."""


@pytest.fixture
def pictures() -> torch.Tensor:
    """Noise, where a passed-over pixel shows, over a slope, where a shift does."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(2, 3, 460, 460, generator=generator)
    slope = torch.linspace(0, 1, 460).view(1, 1, 1, -1)
    # Rounded places in the photo, 1e-5 pixels, must not show.
    return 0.2 * noise + 0.8 * slope


@pytest.mark.parametrize(
    ("before", "after"),
    [(460, 224), (256, 128), (320, 224), (224, 224), (457, 97), (64, 96), (33, 32), (300, 2)],
)
def test_it_scales_as_fastai_does_for_validation(
    pictures: torch.Tensor, before: int, after: int
) -> None:
    given = pictures[:, :, :before, :before]
    ours = resize_as_fastai(given, after)
    assert ours.shape == (2, 3, after, after)
    theirs = AffineCoordTfm(size=after, align_corners=True)(TensorImage(given), VALIDATION)
    torch.testing.assert_close(ours, theirs.as_subclass(torch.Tensor), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("before", "after"), [(460, 224), (256, 128), (320, 224)])
def test_it_scales_as_the_notebooks_transforms_do(
    pictures: torch.Tensor, before: int, after: int
) -> None:
    given = pictures[:, :, :before, :before]
    theirs = TensorImage(given)
    for transform in aug_transforms(size=after, flip_vert=True, max_warp=0.0):
        theirs = transform(theirs, split_idx=VALIDATION)
    torch.testing.assert_close(
        resize_as_fastai(given, after), theirs.as_subclass(torch.Tensor), atol=1e-5, rtol=0
    )


def test_values_of_bytes_scale_as_values_of_0_to_1(pictures: torch.Tensor) -> None:
    """The tagger scales before it divides by 255, fastai after."""
    small = pictures[:, :, :80, :80]
    torch.testing.assert_close(
        resize_as_fastai(small * 255, 32) / 255, resize_as_fastai(small, 32), atol=1e-5, rtol=0
    )


def test_no_pictures_are_none() -> None:
    assert resize_as_fastai(torch.zeros(0, 3, 64, 64), 32).shape == (0, 3, 32, 32)
