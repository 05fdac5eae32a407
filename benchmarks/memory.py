"""Memory of a task when photos of 200 to 6,000 pixels and files of 20 MB come in one catalog.

    python -m benchmarks.memory [--count 120] [--set decoding.longest_side=0]

Drawn pictures, enlarged with noise to sizes between the two, as JPEG, PNG and WebP in turn; among
them JPEGs and PNGs of 20 MB and more. Prints what came of them, and the largest memory of Spark's
Python worker and of its models' process: a task has one of each.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.memory_watch import MemoryWatch
from jeans_udf.bundle import open_bundle
from jeans_udf.config import load_config
from jeans_udf.drawing import draw_dataset
from jeans_udf.ingest import Reading, ingest
from jeans_udf.listing import list_folder
from jeans_udf.session import build_session
from jeans_udf.table_names import parse_output, parse_table
from jeans_udf.tagging import run_tagging

SIDES = (200, 6000)
FORMATS = ("JPEG", "PNG", "WEBP")
HEAVY_EACH = 15
"""One picture in so many is a file of 20 MB."""


def pictures(folder: Path, count: int) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of ``count`` files, small and large mixed; the same ones each time."""
    draw_dataset(folder, 8, seed=7)
    drawn = sorted((folder / "photos").iterdir())
    noise = np.random.default_rng(7)
    for number in range(count):
        with Image.open(drawn[number % len(drawn)]) as opened:
            picture = opened.convert("RGB")
        # Far steps, so that large and small ones alternate.
        share = (number * 37 % count) / max(1, count - 1)
        side = round(SIDES[0] * (SIDES[1] / SIDES[0]) ** share)
        heavy = number % HEAVY_EACH == HEAVY_EACH - 1
        kind = FORMATS[number // HEAVY_EACH % 2] if heavy else FORMATS[number % 3]
        # A PNG of noise takes three bytes a pixel, a JPEG at quality 95 about one.
        side = {"PNG": 2700, "JPEG": SIDES[1]}[kind] if heavy else side
        scale = side / max(picture.size)
        picture = picture.resize((round(picture.width * scale), round(picture.height * scale)))
        pixels = np.asarray(picture).astype(np.int16)
        pixels += noise.integers(-60 if heavy else -3, 61 if heavy else 4, pixels.shape, np.int16)
        store = io.BytesIO()
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(
            store, kind, **({"quality": 95} if kind == "JPEG" else {})
        )
        yield f"{number:04}.{kind.lower()}", store.getvalue()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                        help="the tagging configuration, as of tag_catalog.py")  # fmt: skip
    options = parser.parse_args(arguments)
    config = load_config(overrides=options.set)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "files").mkdir()
        sizes = []
        for name, data in pictures(work / "drawn", options.count):
            (work / "files" / name).write_bytes(data)
            sizes.append(len(data))
        print(f"{len(sizes)} files, {sum(sizes) / 1e6:,.0f} MB, largest {max(sizes) / 1e6:.1f}; "
              f"{sum(size > 20e6 for size in sizes)} above 20 MB", flush=True)  # fmt: skip
        spark = build_session("memory")
        try:
            source = parse_table(f"{work}/product_images")
            ingest(spark, source, list_folder(work / "files").files, Reading())
            with MemoryWatch() as watch:
                run = run_tagging(spark, source, parse_output(f"{work}/tags"),
                                  open_bundle(config.bundle), config)  # fmt: skip
        finally:
            spark.stop()
    print(f"{dict(run.statuses)} {dict(run.reasons)}, {run.garments} garments, "
          f"{run.wall_seconds:.0f} s")  # fmt: skip
    print(watch.told())
    return 0


if __name__ == "__main__":
    sys.exit(main())
