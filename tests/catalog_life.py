"""A source and an output through their life, with a stub for the models; tests note each step.

What the tables should hold is worked out here, from the stub's rules, not by a second run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession
from stub_tagger import VOCABULARY, expected_status, looked_at, stub_tag_images

from jeans_udf import commit, pipeline, tables
from jeans_udf.config import TaggingConfig
from jeans_udf.pipeline import PLAIN, Refresh
from jeans_udf.runs import Run
from jeans_udf.schemas import PRODUCT_IMAGES
from jeans_udf.sources import open_source
from jeans_udf.table_names import Output, Table, parse_output, parse_table
from jeans_udf.tagging import carry_out

TABLES = ("image_status", "garments", "garment_crops")

Images = dict[str, tuple[str | None, bytes | None]]
"""image_id -> product_id and bytes."""


@dataclass
class Step:
    """What one run left behind."""

    run: Run
    looked_at: list[str]
    versions: list[int]
    rows: dict[str, tuple[Any, ...]]
    garments: dict[str, str]
    crops: set[str]


@dataclass
class Life:
    """A source and an output, and the notes of each step."""

    spark: SparkSession
    folder: Path
    steps: dict[str, Step] = field(default_factory=dict)

    @property
    def source(self) -> Table:
        return parse_table(f"{self.folder}/source")

    def put(self, images: dict[str, tuple[str | None, bytes | None]]) -> None:
        rows = [(key, *value, None, None, None, None) for key, value in images.items()]
        columns = ["image_id", "product_id", "image", "path", "title", "description", "updated_at"]
        frame = self.spark.createDataFrame(rows, PRODUCT_IMAGES)
        assert frame.columns == columns
        tables.append(frame.coalesce(1), self.source)

    def sql(self, text: str) -> None:
        self.spark.sql(text.format(self.source.sql))

    @property
    def output(self) -> Output:
        return parse_output(f"{self.folder}/out")

    def run(
        self, name: str, model: str = "m1", refresh: Refresh = PLAIN, **settings: Any
    ) -> Step:
        """A run that ends, noted under a name."""
        calls = self.folder / "calls"
        run = Run(str(self.source), model, "sha", TaggingConfig(**settings), name)
        source = open_source(self.spark, self.source)
        carry_out(
            self.spark, source, self.output, run,
            lambda images: stub_tag_images(images, calls, model_version=model),
            VOCABULARY, refresh,
        )  # fmt: skip
        return self.note(name, run)

    def note(self, name: str, run: Run) -> Step:
        """What the tables hold now, under a name."""
        calls = self.folder / "calls"
        three = [DeltaTable(f"{self.output.text}/{table}") for table in TABLES]
        status, garments, crops = (list(t.to_pandas().itertuples()) for t in three)
        assert len({row.image_id for row in status}) == len(status)
        assert len({row.garment_id for row in garments}) == len(garments)
        self.steps[name] = Step(
            run=run,
            looked_at=looked_at(calls),
            versions=[t.version() for t in three],
            rows={r.image_id: (r.product_id, r.status, r.garments, r.model_version)
                  for r in status},
            garments={r.garment_id: f"{r.image_id} {r.product_id} {r.wash} {r.model_version}"
                      for r in garments},
            crops={r.garment_id for r in crops},
        )  # fmt: skip
        return self.steps[name]

    def crash_after_batches(self, batches: int, **options: Any) -> None:
        """A run that dies before the commits of a later batch."""
        done = 0
        commit_crops = commit.commit_crops

        def fail(*arguments: Any) -> None:
            nonlocal done
            if done == batches:
                raise RuntimeError("crash before a later batch")
            done += 1
            commit_crops(*arguments)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(commit, "commit_crops", fail)
            with pytest.raises(RuntimeError, match="crash before"):
                self.run("crashed", **options)

    def crash(self, at: str, **options: Any) -> None:
        """A run that dies just before one of the steps of a batch."""

        def fail(*_: object) -> None:
            raise RuntimeError(f"crash before {at}")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(commit if at.startswith("commit") else pipeline.folders, at, fail)
            with pytest.raises(RuntimeError, match="crash before"):
                self.run("crashed", **options)


def check(step: Step, images: Images, model: str) -> None:
    """The three tables agree with the source, image by image and garment by garment."""
    wanted = {key: expected_status(*image) for key, image in images.items()}
    assert step.rows == {
        key: (image[0], *wanted[key], model) for key, image in images.items()
    }
    washes = sorted(
        f"{key} {product} {data.decode().split()[1]} {model}"
        for key, (product, data) in images.items() if data is not None
        for _ in range(wanted[key][1])
    )  # fmt: skip
    assert sorted(step.garments.values()) == washes
    assert step.crops == set(step.garments)
