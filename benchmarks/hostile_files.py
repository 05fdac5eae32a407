"""Thousands of broken image files through the job: every key comes back, with a reason or rows.

    python -m benchmarks.hostile_files [--count 5000] [--seed 6] [--also DIR]

Draws pictures, stores them as JPEG, PNG and WebP, and mutates the bytes: flipped bits, cut ends,
overwritten, doubled, removed and swapped stretches, lying headers. ``--also`` adds a folder's
files. Prints the outcomes by reason, the slowest file to decode, the largest memory of a worker
and of its models' process, and how many of those crashed.
"""

from __future__ import annotations

import argparse
import io
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from benchmarks.memory_watch import MemoryWatch
from jeans_udf import tables
from jeans_udf.bundle import open_bundle
from jeans_udf.config import load_config
from jeans_udf.drawing import draw_dataset
from jeans_udf.errors import Rejected
from jeans_udf.images import decode_image
from jeans_udf.ingest import Reading, ingest
from jeans_udf.listing import list_folder
from jeans_udf.session import build_session
from jeans_udf.table_names import parse_output, parse_table
from jeans_udf.tagging import run_tagging

SIDE = 160
"""Longest side of the pictures, in pixels: bytes to mutate, not pixels to look at."""


def whole_files(folder: Path) -> list[tuple[str, bytes]]:
    """A few pictures in each format and its main variants: (ending, bytes)."""
    draw_dataset(folder, 6, seed=6)
    variants: list[tuple[str, dict[str, object]]] = [
        ("jpg", {"format": "JPEG"}), ("jpg", {"format": "JPEG", "progressive": True}),
        ("png", {"format": "PNG"}), ("webp", {"format": "WEBP"}),
        ("webp", {"format": "WEBP", "lossless": True}),
    ]  # fmt: skip
    files = []
    for path in sorted((folder / "photos").iterdir()):
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
        picture.thumbnail((SIDE, SIDE))
        for ending, options in variants:
            store = io.BytesIO()
            picture.save(store, **options)  # type: ignore[arg-type]
            files.append((ending, store.getvalue()))
        palette = io.BytesIO()
        picture.quantize(64).save(palette, "PNG")
        files.append(("png", palette.getvalue()))
    return files


def flip_bits(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 4, 40))):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def lie_in_header(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 8)):
        data[chance.randrange(min(len(data), 64))] = chance.choice((0, 1, 127, 255))


def cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data)) :]


def overwrite(data: bytearray, chance: random.Random) -> None:
    start, length = chance.randrange(len(data)), chance.randint(1, 400)
    end = min(start + length, len(data))
    data[start:end] = chance.choice((bytes, chance.randbytes))(end - start)


def double(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data))
    data[start:start] = data[start : start + chance.randint(1, 2000)] * chance.randint(1, 20)


def remove(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data))
    del data[start : start + chance.randint(1, 400)]


def swap(data: bytearray, chance: random.Random) -> None:
    first, second = sorted(chance.randrange(len(data)) for _ in range(2))
    data[:] = data[second:] + data[first:second] + data[:first]


MUTATIONS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    flip_bits, lie_in_header, cut, overwrite, double, remove, swap,
)  # fmt: skip


def mutated(files: list[tuple[str, bytes]], count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of ``count`` files; the same ones for the same seed."""
    chance = random.Random(seed)
    for number in range(count):
        ending, whole = chance.choice(files)
        data = bytearray(whole)
        for mutate in chance.choices(MUTATIONS, k=chance.randint(1, 3)):
            if data:
                mutate(data, chance)
        yield f"{number:05}.{ending}", bytes(data)


def slowest(folder: Path) -> tuple[float, str]:
    """Seconds and name of the file that takes longest to decode or to reject."""
    limits = load_config().images
    times = []
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        data = file.read_bytes()
        start = time.perf_counter()
        try:
            decode_image(data, limits)
        except Rejected:
            pass
        times.append((time.perf_counter() - start, file.name))
    return max(times)


def through_the_job(spark: SparkSession, images: Path, work: Path) -> None:
    source, output = parse_table(f"{work}/product_images"), parse_output(f"{work}/tags")
    ingest(spark, source, list_folder(images).files, Reading())
    with MemoryWatch() as watch:
        run = run_tagging(spark, source, output, open_bundle("default"), load_config())
    keys = tables.read_table(spark, source).select("image_id")
    status = tables.read_table(spark, output.table("image_status"))
    lost = keys.exceptAll(status.select("image_id")).count()
    more = status.select("image_id").exceptAll(keys).count()
    print(f"keys: {keys.count()} in, {status.count()} out, {lost} lost, {more} that came from "
          f"nowhere; {run.wall_seconds:.0f} s")  # fmt: skip
    counts = status.groupBy("status", "reason").count().orderBy(F.desc("count"))
    for row in counts.collect():
        print(f"  {row['count']:6} {row.status} {row.reason or ''}")
    lost_processes = run.reasons["worker_crashed"] + run.reasons["timed_out"]
    print(f"crashes of the models' process: {lost_processes}")
    print(watch.told())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--also", type=Path, action="append", default=[], metavar="DIR")
    args = parser.parse_args()
    spark = build_session("hostile_files")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        fuzzed = work / "fuzzed"
        fuzzed.mkdir()
        for name, data in mutated(whole_files(work / "drawn"), args.count, args.seed):
            (fuzzed / name).write_bytes(data)
        for number, images in enumerate([fuzzed, *args.also]):
            print(f"{images.name}:", flush=True)
            seconds, name = slowest(images)
            print(f"slowest file to decode: {name}, {seconds * 1000:.0f} ms")
            through_the_job(spark, images, work / f"tables{number}")


if __name__ == "__main__":
    main()
