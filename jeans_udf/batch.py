"""What the stream does with a batch of changes: plan, tag and stage, commit, count."""

from __future__ import annotations

import time

from pyspark.sql import DataFrame

from jeans_udf import changes, commit, folders, staging, tables
from jeans_udf.changes import Again, Planned
from jeans_udf.checkpoints import Work
from jeans_udf.commit import Batch, Catalog
from jeans_udf.config import Batches
from jeans_udf.logs_ahead import logs_read_ahead
from jeans_udf.progress import Display
from jeans_udf.runs import Run
from jeans_udf.spreading import spread
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
        again: Again,
    ) -> None:
        self.catalog, self.run, self.tag, self.vocabulary = catalog, run, tag, vocabulary
        self.batches, self.work, self.display, self.again = batches, work, display, again
        self.counts_down = False
        """Whether the display's total is all of the source: less what need not be tagged."""
        self.error: BaseException | None = None
        self.planning = True
        """Whether what changed is still being read: faults of the tables written come later."""

    def __call__(self, changed: DataFrame, number: int) -> None:
        """A batch of the stream of changes."""
        query = changed.sparkSession.sparkContext.getLocalProperty("sql.streaming.queryId")
        try:
            self.process(changed, number, str(query), f"{self.work.staging}/{self.work.key}/stream")
        except BaseException as error:
            # The stream would only pass on its text.
            self.error = error
            raise

    def process(self, changed: DataFrame, number: int, app: str, staging_folder: str) -> None:
        """Bring the tables up to ``changed``; ``app`` and ``number`` mark the commits."""
        spark = changed.sparkSession
        spark.sparkContext.setJobDescription(self._says(f"batch {number}: what changed"))
        status = tables.read_table(spark, self.catalog.image_status)
        # Where nothing is known yet there is nothing to compare pixels with: they stay unread.
        newest = changes.newest_changes(changed, with_pixels=not self.run.began_empty)
        plan = changes.decide_actions(newest, status, self.run.model_version, self.again)
        plan = plan.persist()
        try:
            self.planning = True
            planned = changes.sum_up(plan)
            self.planning = False
            self.run.read(planned.version_from, planned.version_to)
            self._expect(planned)
            folder = f"{staging_folder}/{number}"
            if planned.count("tag", "relabel", "delete"):
                self._tag_and_commit(changed, plan, planned, app, number, folder)
            # Also when nothing is left to do: a run may have died between its last commit and here.
            folders.delete(spark, folder)
            self.planning = True
        finally:
            plan.unpersist()

    def _tag_and_commit(
        self,
        changed: DataFrame,
        plan: DataFrame,
        planned: Planned,
        app: str,
        number: int,
        folder: str,
    ) -> None:
        spark = changed.sparkSession
        begin = time.monotonic()
        with logs_read_ahead(spark, self.catalog):
            staged = self._stage(changed, plan, planned, number, folder)
        batch = Batch(
            plan=plan,
            planned=planned,
            staged=staged.rows if staged else None,
            garments=staged.tally.garments if staged else 0,
            files=staged.files if staged else 1,
            vocabulary=self.vocabulary,
            model_version=self.run.model_version,
            detector=self.run.detector,
            run_id=self.run.run_id,
            app=app,
            number=number,
            began_empty=self.run.began_empty,
        )
        spark.sparkContext.setJobDescription(self._says(f"batch {number}: commit"))
        commit.commit(spark, self.catalog, batch)
        self.run.deleted += planned.count("delete")
        if staged is not None:
            self.run.add(staged.tally, time.monotonic() - begin)

    def _stage(
        self, changed: DataFrame, plan: DataFrame, planned: Planned, number: int, folder: str
    ) -> Staged | None:
        count = planned.count("tag")
        if not count:
            return None
        spark = changed.sparkSession
        spark.sparkContext.setJobDescription(self._says(f"batch {number}: tag {count} images"))
        images = changes.images_to_tag(changed, plan, planned)
        if not staging.is_staged(spark, folder):
            images = spread(images, count, self.batches)
        known = None
        if planned.seen_before:
            known = tables.read_table(spark, self.catalog.image_detections)
        images = changes.with_known(images, known, self.run.detector, plan, planned)
        return staging.stage(images, planned, self.tag, folder, self.vocabulary)

    def _says(self, text: str) -> str:
        """What Spark's UI says of a job: the run, and what it is doing."""
        return f"run {self.run.run_id}, {text}"

    def _expect(self, planned: Planned) -> None:
        if self.display is None:
            return
        if self.counts_down:
            skipped = sum(planned.counts.values()) - planned.count("tag")
            self.display.total = (self.display.total or 0) - skipped
        else:
            self.display.total = (self.display.total or 0) + planned.count("tag")
