from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from jeans_udf.drawing import draw_dataset
from jeans_udf.training.augment import Jitter
from jeans_udf.training.coco import Photo, read_coco
from jeans_udf.training.examples import Examples, Sampling, repeat_factors
from jeans_udf.vocabulary import load_vocabulary

CATEGORIES = load_vocabulary("conf/vocabulary.yaml").categories


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Photo]:
    drawn = draw_dataset(tmp_path_factory.mktemp("drawn"), 12, seed=5, negatives=0.3)
    return read_coco(drawn / "photos", drawn / "annotations/instances.json", CATEGORIES)


def _photo(*classes: int) -> Photo:
    return Photo(Path("x.jpg"), 1, 9, 9, tuple(range(len(classes))), classes, ())


def test_rare_categories_are_repeated_by_the_rule_of_lvis() -> None:
    """Class 0 is on three of four photos, class 1 on one: sqrt(0.5 / 0.25) = 1.414."""
    photos = [_photo(0), _photo(0), _photo(0), _photo(1)]
    np.testing.assert_allclose(repeat_factors(photos, 0.5), [1, 1, 1, 2**0.5])
    np.testing.assert_allclose(repeat_factors(photos, 0.0), [1, 1, 1, 1])
    # A photo takes the factor of its rarest garment.
    np.testing.assert_allclose(repeat_factors([_photo(0), _photo(0, 1)], 2.0), [2**0.5, 2])


def test_the_same_seed_and_epoch_give_the_same_batches(photos: list[Photo]) -> None:
    def images(epoch: int, seed: int = 1) -> list[torch.Tensor]:
        sampling = Sampling(batch_size=2, paste=0.5, seed=seed)
        examples = Examples(photos, Jitter(64), sampling)
        return [x["image"] for batch in examples.batches(epoch) for x in batch]

    first, again = images(0), images(0)
    assert len(first) == len(again) > 4
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert any(a.shape != b.shape or not torch.equal(a, b)
               for a, b in zip(first, images(1), strict=True))  # fmt: skip
    assert any(a.shape != b.shape or not torch.equal(a, b)
               for a, b in zip(first, images(0, 2), strict=True))  # fmt: skip


def test_an_epoch_holds_every_garment_photo_and_a_share_of_the_others(photos: list[Photo]) -> None:
    examples = Examples(photos, Jitter(160), Sampling(batch_size=1, negatives=0.25))
    made = [x for batch in examples.batches(0) for x in batch]
    positives = sum(bool(photo.classes) for photo in photos)
    assert len(made) == examples.steps == positives + round(0.25 * positives)
    assert sum(len(x["instances"]) > 0 for x in made) == positives
    for each in made:
        assert each["image"].dtype == torch.uint8
        assert tuple(each["image"].shape[1:]) == each["instances"].image_size


def test_photos_of_like_size_share_a_batch(photos: list[Photo]) -> None:
    examples = Examples(photos * 4, Jitter(96), Sampling(batch_size=4, negatives=0))
    areas = [[x["image"].shape[1] * x["image"].shape[2] for x in batch]
             for batch in examples.batches(0)]  # fmt: skip
    together = sum(max(batch) * len(batch) for batch in areas)
    shuffled = np.random.default_rng(0).permutation(np.concatenate(areas)).reshape(-1, 4)
    assert together < 0.9 * (shuffled.max(axis=1) * 4).sum(), "less of a canvas is padding"


def test_proposals_go_with_their_photo(photos: list[Photo]) -> None:
    whole = {p.path: (np.array([[0, 0, p.width, p.height]], np.float32), np.zeros(1, np.float32))
             for p in photos}  # fmt: skip
    jitter = Jitter(64, scale=(0.9, 0.9), rotate=0)
    examples = Examples(photos, jitter, Sampling(batch_size=2, paste=1.0), whole)
    for batch in examples.batches(0):
        for each in batch:
            height, width = each["image"].shape[1:]
            box = each["proposals"].proposal_boxes.tensor.numpy()
            np.testing.assert_allclose(box, [[0, 0, width, height]], atol=1)
            assert each["proposals"].image_size == (height, width)
