"""What the stream does with a batch of changes: plan, tag and stage, commit, count."""

from __future__ import annotations

import time

from pyspark.sql import DataFrame

from jeans_udf import changes, commit, folders, staging, tables
from jeans_udf.changes import Planned
from jeans_udf.checkpoints import Work
from jeans_udf.commit import Batch, Catalog
from jeans_udf.config import Batches
from jeans_udf.progress import Display
from jeans_udf.runs import Run
from jeans_udf.schemas import staged_schema
from jeans_udf.staging import Staged, Tag
from jeans_udf.vocabulary import Vocabulary


class BatchTagger:
    """What the stream does with each batch of changes."""

    def __init__(
        self,
        catalog: Catalog,
        run: Run,
        tag: Tag,
        vocabulary: Vocabulary,
        batches: Batches,
        work: Work,
        display: Display | None,
        fresh: bool,
    ) -> None:
        self.catalog, self.run, self.tag, self.vocabulary = catalog, run, tag, vocabulary
        self.batches, self.work, self.display, self.fresh = batches, work, display, fresh
        self.error: BaseException | None = None

    def __call__(self, changed: DataFrame, number: int) -> None:
        try:
            self._process(changed, number)
        except BaseException as error:
            # The stream would only pass on its text.
            self.error = error
            raise

    def _process(self, changed: DataFrame, number: int) -> None:
        spark = changed.sparkSession
        spark.sparkContext.setJobDescription(f"batch {number}: what changed")
        status = tables.read_table(spark, self.catalog.image_status)
        newest = changes.newest_changes(changed)
        plan = changes.decide_actions(newest, status, self.run.model_version).persist()
        try:
            planned = changes.sum_up(plan)
            self.run.read(planned.version_from, planned.version_to)
            self._expect(planned)
            folder = f"{self.work.staging}/{self.work.key}/{number}"
            if planned.count("tag", "relabel", "delete"):
                self._tag_and_commit(changed, plan, planned, number, folder)
            # Also when nothing is left to do: a run may have died between its last commit and here.
            folders.delete(spark, folder)
        finally:
            plan.unpersist()

    def _tag_and_commit(
        self, changed: DataFrame, plan: DataFrame, planned: Planned, number: int, folder: str
    ) -> None:
        spark = changed.sparkSession
        begin = time.monotonic()
        staged = self._stage(changed, plan, planned, number, folder)
        seconds = time.monotonic() - begin
        batch = Batch(
            plan=plan,
            planned=planned,
            staged=staged.rows if staged else None,
            garments=staged.tally.garments if staged else 0,
            vocabulary=self.vocabulary,
            model_version=self.run.model_version,
            run_id=self.run.run_id,
            app=str(spark.sparkContext.getLocalProperty("sql.streaming.queryId")),
            number=number,
        )
        spark.sparkContext.setJobDescription(f"batch {number}: commit")
        commit.commit_crops(spark, self.catalog.garment_crops, batch)
        commit.commit_garments(spark, self.catalog.garments, batch)
        commit.commit_status(spark, self.catalog.image_status, batch)
        self.run.deleted += planned.count("delete")
        if staged is not None:
            self.run.add(staged.tally, seconds)

    def _stage(
        self, changed: DataFrame, plan: DataFrame, planned: Planned, number: int, folder: str
    ) -> Staged | None:
        count = planned.count("tag")
        if not count:
            return None
        context = changed.sparkSession.sparkContext
        context.setJobDescription(f"batch {number}: tag {count} images")
        tasks = staging.task_count(count, self.batches.images_per_task, context.defaultParallelism)
        return staging.stage(
            changes.images_to_tag(changed, plan, planned),
            planned,
            self.tag,
            folder,
            staged_schema(self.vocabulary),
            tasks,
        )

    def _expect(self, planned: Planned) -> None:
        if self.display is None:
            return
        if self.fresh:
            # The total is the source's rows: less what need not be tagged again.
            skipped = sum(planned.counts.values()) - planned.count("tag")
            self.display.total = (self.display.total or 0) - skipped
        else:
            self.display.total = (self.display.total or 0) + planned.count("tag")
