"""A driver process to be killed: the tagging run with a stub for the models. Says so in its name.

    python stub_driver.py FOLDER RUN_ID

reads FOLDER/source, writes FOLDER/out, and leaves a file in FOLDER/calls for each image. Of the
environment: STUB_MASTER (Spark's master) and STUB_SECONDS (how long an image takes).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pyspark.sql import SparkSession
from stub_tagger import VOCABULARY, stub_tag_images

from jeans_udf.config import TaggingConfig
from jeans_udf.runs import Run
from jeans_udf.session import build_session
from jeans_udf.sources import open_source
from jeans_udf.table_names import parse_output, parse_table
from jeans_udf.tagging import carry_out

CONFIG = TaggingConfig(batch={"max_files": 3, "images_per_task": 10})  # type: ignore[arg-type]


def tag(spark: SparkSession, folder: Path, run_id: str, seconds: float = 0.0) -> None:
    """The run of the driver, in this process."""
    source = parse_table(f"{folder}/source")
    run = Run(str(source), "m1", "sha", CONFIG, run_id)
    carry_out(
        spark, open_source(spark, source), parse_output(f"{folder}/out"), run,
        lambda images: stub_tag_images(
            images, folder / "calls", model_version="m1", seconds=seconds
        ),
        VOCABULARY,
    )  # fmt: skip


def main() -> None:
    folder, run_id = Path(sys.argv[1]), sys.argv[2]
    master = os.environ.get("STUB_MASTER", "local[2,4]")
    seconds = float(os.environ.get("STUB_SECONDS", "0"))
    spark = build_session("crash", {"spark.sql.shuffle.partitions": "2"}, master=master)
    print("started", flush=True)
    tag(spark, folder, run_id, seconds)
    print("finished", flush=True)
    spark.stop()


if __name__ == "__main__":
    main()
