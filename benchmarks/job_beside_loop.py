"""The tagging job beside a bare loop of the same models over the same photos, in the same run.

The loop is what the models alone cost: as many processes as Spark runs tasks, one thread each;
decode, detect in batches, cut, classify; nothing is encoded or written. Rounds alternate; medians.
Start-up (Spark, loading the models) is left out of both.

    python benchmarks/job_beside_loop.py --images DIR [--rounds 3] [--limit 300]
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import time
from pathlib import Path

import torch

from jeans_udf.bundle import open_bundle
from jeans_udf.config import load_config
from jeans_udf.images import decode_image


def loop_share(files: list[str], bundle: str, ready, start, done) -> None:
    """One process of the bare loop."""
    from jeans_udf.geometry import cutout
    from jeans_udf.tagger import load_classifier, load_detector

    torch.set_num_threads(1)
    opened, config, device = open_bundle(bundle), load_config(), torch.device("cpu")
    detector, classifier = load_detector(opened, config, device), load_classifier(opened, device)
    ready.put(1)
    start.wait()
    garments, waiting = 0, {}

    def flush(group: list) -> int:
        squares, categories = [], []
        results = detector.detect([canvas for _, canvas in group])
        for (pixels, _), found in zip(group, results, strict=True):
            masks = found.full_masks(*pixels.shape[:2])
            for index in range(len(found)):
                crop = cutout(pixels, None if masks is None else masks[index], found.boxes[index])
                squares.append(classifier.prepare(crop))
                categories.append(opened.vocabulary.categories[found.classes[index]])
        classifier.classify(squares, categories)
        return len(squares)

    for file in files:
        pixels = decode_image(Path(file).read_bytes(), config.images)
        canvas = detector.prepare(pixels)
        group = waiting.setdefault(canvas.shape, [])
        group.append((pixels, canvas))
        if (len(group) + 1) * canvas.shape[0] * canvas.shape[1] > config.device.batch_pixels:
            garments += flush(waiting.pop(canvas.shape))
    garments += sum(flush(group) for group in waiting.values())
    done.put(garments)


def bare_loop(files: list[str], bundle: str, processes: int) -> tuple[float, int]:
    """(seconds, garments) of one round, models loaded before."""
    context = multiprocessing.get_context("spawn")
    ready, done, start = context.Queue(), context.Queue(), context.Event()
    workers = [
        context.Process(target=loop_share, args=(files[n::processes], bundle, ready, start, done))
        for n in range(processes)
    ]
    for worker in workers:
        worker.start()
    for _ in workers:
        ready.get()
    began = time.perf_counter()
    start.set()
    garments = sum(done.get() for _ in workers)
    seconds = time.perf_counter() - began
    for worker in workers:
        worker.join()
    return seconds, garments


def job_round(spark, source: Path, output: Path, bundle: str) -> tuple[float, int]:
    """(seconds, garments) of one full run of the job; the workers are warm from the one before."""
    from jeans_udf.pipeline import tag_catalog

    shutil.rmtree(output, ignore_errors=True)
    began = time.perf_counter()
    run = tag_catalog(spark, str(source), str(output), load_config(overrides=[f"bundle={bundle}"]))
    return time.perf_counter() - began, run.garments


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", required=True, type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=int, default=300)
    parser.add_argument("--bundle", default="default")
    parser.add_argument("--work", type=Path, default=Path("build/benchmark"))
    args = parser.parse_args()
    raise SystemExit(run(args))


if __name__ == "__main__":
    main()
