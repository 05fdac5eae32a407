"""Where the pass over the pixels spends its time, step by step, without Spark.

One process with one thread looks at the photos, and the processor's time is taken: of each part of
the models that an engine runs (backbone, heads), of what Detectron2 does around them (anchors,
suppression, pooling), and of decoding, cutting and encoding. Milliseconds an image; medians of the
rounds. ``whole pass`` is `Tagger.tag`, measured apart: what it takes beyond the steps' sum is the
pass's own work.

    python -m benchmarks.profile_pass --images DIR [--limit 200] [--set device.engine=torch]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from benchmarks.side_by_side.passes import batches
from jeans_udf import loading
from jeans_udf.ahead import Decoded
from jeans_udf.bundle import open_bundle
from jeans_udf.config import load_config
from jeans_udf.engines import parts
from jeans_udf.rows import tagged_row
from jeans_udf.source_image import SourceImage
from jeans_udf.tagger import Tagger


class Steps:
    """Processor seconds by step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        # Of the process, not the thread: an engine may compute on a thread of its own.
        start = time.process_time()
        try:
            yield
        finally:
            self.seconds[name] += time.process_time() - start

    def watched(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            with self.step(name):
                return call(*arguments, **named)

        return run


def watch_parts(steps: Steps) -> None:
    """Every part that is handed to an engine from now on is watched under its name."""
    handed = parts.handed

    def watched(net: Any, engine: Any, name: str, inputs: Any, any_size: bool) -> Any:
        part = handed(net, engine, name, inputs, any_size)
        part.run = steps.watched(name, part.run)
        return part

    parts.handed = loading.handed = watched


def watch_pooling(steps: Steps, tagger: Tagger) -> None:
    """The boxes' features are cut by RoIAlign, which no engine runs."""
    heads = getattr(tagger.detector.model, "roi_heads", None)
    for name in ("box_pooler", "mask_pooler"):
        pooler = getattr(heads, name, None)
        if pooler is not None:
            pooler.forward = steps.watched("roi_align", pooler.forward)


def one_round(tagger: Tagger, steps: Steps, sources: list[SourceImage]) -> dict[str, float]:
    """Milliseconds an image by step."""
    steps.seconds.clear()
    ahead = tagger.decode_ahead()
    ahead.prepare = steps.watched("prepare", ahead.prepare)
    decoded: list[Decoded] = []
    with steps.step("decode"):
        decoded += [image for image in ahead(sources) if image.rejected is None]
    for batch in batches(decoded, tagger.batch_pixels):
        with steps.step("detect"):
            detections = tagger.detector.detect([i.canvas for i in batch if i.canvas])
        with steps.step("cut"):
            found = [
                tagger.cut(image.pixels, one, image.canvas.original)
                for image, one in zip(batch, detections, strict=True)
                if image.pixels is not None and image.canvas is not None
            ]
        with steps.step("classify"):
            tagger.classify([garment for garments in found for garment in garments])
        with steps.step("encode"):
            for image, garments in zip(batch, found, strict=True):
                tagged_row(image, tagger.kept(garments), "m", tagger.vocabulary, {},
                           detected=garments)  # fmt: skip
    with steps.step("whole pass"):
        for _ in tagger.tag(sources):
            pass
    seconds = dict(steps.seconds)
    whole = seconds.pop("whole pass")
    # The whole pass has been through the same parts once more.
    for name in seconds.keys() - {"decode", "detect", "cut", "classify", "encode"}:
        seconds[name] /= 2
    seconds["decode"] -= seconds["prepare"]
    inside = sum(seconds[n] for n in seconds if n in DETECTING)
    seconds["detectron2"] = seconds["detect"] - inside
    seconds["classify, around"] = seconds["classify"] - seconds.get("classifier", 0.0)
    return {n: s * 1000 / len(decoded) for n, s in (seconds | {"whole pass": whole}).items()}


DETECTING = ("backbone", "rpn_head", "dense_head", "box_head", "map_head", "mask_layers",
             "roi_align", "proposer_backbone", "proposer_rpn_head")  # fmt: skip
SHOWN = ("decode", "prepare", *DETECTING, "detectron2", "cut", "classifier", "classify, around",
         "encode", "whole pass")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", required=True, type=Path, help="folder of photos")
    parser.add_argument("--bundle", default="default")
    parser.add_argument("--limit", type=int, default=200, help="photos, spread over the folder")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                        help="as of jobs/tag_catalog.py")  # fmt: skip
    parser.add_argument("--output", type=Path, help="a JSON file")
    args = parser.parse_args()
    torch.set_num_threads(1)
    config = load_config(overrides=["device.threads=1", *args.set])
    steps = Steps()
    watch_parts(steps)
    tagger = Tagger(open_bundle(args.bundle), config, torch.device("cpu"))
    watch_pooling(steps, tagger)
    files = sorted(path for path in args.images.iterdir() if path.is_file())
    files = files[:: max(1, len(files) // args.limit)][: args.limit]
    sources = [SourceImage(file.name, None, file.read_bytes(), None) for file in files]
    one_round(tagger, steps, sources[:16])
    rounds = [one_round(tagger, steps, sources) for _ in range(args.rounds)]
    medians = {n: statistics.median(r[n] for r in rounds) for n in SHOWN if n in rounds[0]}
    print(f"{len(files)} photos, {args.rounds} rounds, one thread; {' '.join(args.set)}")
    for name, value in medians.items():
        print(f"  {name:18} {value:7.2f} ms")
    if args.output:
        args.output.write_text(json.dumps({"photos": len(files), "rounds": rounds}, indent=1))


if __name__ == "__main__":
    main()
