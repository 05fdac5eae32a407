"""Others at the tables while a refresh is at work: OPTIMIZE, VACUUM, readers, other writers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from catalog_life import Images, Life, check
from delta.exceptions import ConcurrentAppendException
from delta.tables import DeltaTable
from deltalake import DeltaTable as OtherReader
from pyspark.sql import SparkSession

from jeans_udf import tables
from jeans_udf.conflicts import ATTEMPTS, WriteConflict, retry_conflicts
from jeans_udf.schemas import PRODUCT_IMAGES

BEFORE: Images = {f"i{n}": ("p", b"2 dark") for n in range(12)}
AFTER: Images = {key: ("p", b"1 light") for key in BEFORE}


class Again(threading.Thread):
    """Does something again and again; ``times`` it could. Its error is raised at the end.

    With a moment between, so that what it is at work beside has some of the machine as well.
    """

    def __init__(self, what: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self.what, self.times = what, 0
        self.ended = threading.Event()
        self.error: BaseException | None = None

    def run(self) -> None:
        while not self.ended.is_set():
            try:
                self.what()
                self.times += 1
            except WriteConflict:
                pass
            except BaseException as error:
                self.error = error
                return
            self.ended.wait(0.3)

    def end(self) -> None:
        self.ended.set()
        self.join()
        if self.error is not None:
            raise self.error


def test_optimize_vacuum_and_readers_during_a_refresh(spark: SparkSession, tmp_path: Path) -> None:
    life = Life(spark, tmp_path)
    (tmp_path / "calls").mkdir()
    tables.ensure_table(spark, life.source, PRODUCT_IMAGES, "images", hint="")
    life.put(BEFORE)
    life.run("first")
    for rest in range(3):  # three commits, so that the refresh has batches
        life.sql("UPDATE {} SET image = CAST('1 light' AS binary) "
                 f"WHERE CAST(substring(image_id, 2) AS int) % 3 = {rest}")  # fmt: skip
    out = tmp_path / "out"

    def maintain() -> None:
        for name in ("garment_crops", "garments", "image_status"):
            table = DeltaTable.forPath(spark, str(out / name))
            table.optimize().executeCompaction()
            table.vacuum()

    def read() -> None:
        garments = OtherReader(str(out / "garments")).to_pandas()
        states = set(garments.groupby("image_id").wash.agg(lambda w: " ".join(w)))
        assert states <= {"dark dark", "light"}, "an image between two states"
        assert set(garments.image_id) == set(BEFORE), "an image that is gone for a while"
        status = OtherReader(str(out / "image_status")).to_pandas()
        assert sorted(status.image_id) == sorted(BEFORE)

    others = [Again(maintain), Again(read)]
    for other in others:
        other.start()
    step = life.run("refresh", batch={"max_files": 1})
    for other in others:
        other.end()
    assert all(other.times for other in others)
    check(step, AFTER, "m1")
    assert step.looked_at == sorted(AFTER)


def test_conflicts_are_retried_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jeans_udf.conflicts.time.sleep", lambda _: None)
    tries: list[int] = []

    def conflict_until(number: int) -> str:
        tries.append(1)
        if len(tries) < number:
            raise ConcurrentAppendException("somebody was first")
        return "written"

    assert retry_conflicts(lambda: conflict_until(ATTEMPTS)) == "written"
    assert len(tries) == ATTEMPTS
    with pytest.raises(ConcurrentAppendException):
        retry_conflicts(lambda: conflict_until(3 * ATTEMPTS))
    assert len(tries) == 2 * ATTEMPTS
