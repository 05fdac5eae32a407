from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from jeans_udf.evaluation.speed import PHOTOS, measure_speed
from jeans_udf.models.canvas import Canvas, prepare_canvas

CPU = torch.device("cpu")


def _canvas(height: int, width: int) -> Canvas:
    return prepare_canvas(np.zeros((height, width, 3), dtype=np.uint8), 64)


def test_photos_a_second_of_batches_of_one_canvas() -> None:
    tall, wide = _canvas(64, 32), _canvas(32, 64)
    batches: list[int] = []

    def run(batch: Sequence[Canvas]) -> None:
        assert {canvas.shape for canvas in batch} == {tall.shape}
        batches.append(len(batch))
        time.sleep(0.004)

    speed = measure_speed(run, [wide, tall, tall, tall], CPU, repeats=2)
    assert batches.count(8) == 3 * PHOTOS // 8, "a warm-up and two passes"
    assert batches.count(1) == 3 * PHOTOS
    # A call takes four milliseconds whatever its size, so eight at once are eight times faster.
    assert 60 < speed.photos_per_second[1] < 250
    ratio = speed.photos_per_second[8] / speed.photos_per_second[1]
    assert ratio == pytest.approx(8, rel=0.5)
    told = speed.as_dict()
    assert told["device"] == "cpu" and told["threads"] == torch.get_num_threads()
    assert told["canvas"] == [64, 32] and told["batch_8"] == speed.photos_per_second[8]


def test_the_first_pass_does_not_count() -> None:
    calls = 0

    def run(batch: Sequence[Canvas]) -> None:
        nonlocal calls
        calls += 1
        time.sleep(0.3 if calls == 1 else 0.001)

    speed = measure_speed(run, [_canvas(64, 64)], CPU, batches=(16,), repeats=1)
    assert speed.photos_per_second[16] > 16 / 0.05
