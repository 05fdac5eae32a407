"""The pass over the pixels on one device, as a library without Spark, in several processes.

Rows: (a) the models over pictures that are decoded already; (b) decode, detect, cut and classify;
(c) the whole pass of the job, `Tagger.tag`, which also encodes crops and masks. As Spark's tasks
would, the processes share the device. Rounds alternate; medians. How busy an NVIDIA GPU is is what
nvidia-smi says five times a second: the share of time in which at least one kernel runs.

    python benchmarks/gpu_pass.py --images DIR --processes 1,8 --precision fp32,fp16
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

KINDS = ("models", "loop", "pass")


@dataclass(frozen=True)
class Settings:
    """What one group of processes runs with; ``repeat`` is how often each goes over its files."""

    bundle: str
    precision: str
    batch_pixels: int
    crops: int
    repeat: int


def serve(connection: Connection, files: list[str], settings: Settings) -> None:
    """One process: opens the models, then runs what it is told and answers (seconds, garments)."""
    import torch

    from jeans_udf.bundle import open_bundle
    from jeans_udf.config import load_config
    from jeans_udf.tagger import Tagger

    torch.set_num_threads(1)
    config = load_config(overrides=[
        f"device.precision={settings.precision}", f"device.batch_pixels={settings.batch_pixels}",
        f"device.crops_per_batch={settings.crops}", "device.threads=1",
    ])  # fmt: skip
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    tagger = Tagger(open_bundle(settings.bundle), config, device)
    opened = time.perf_counter()
    share = Share(tagger, files, settings.repeat)
    for kind in KINDS:  # kernels are chosen and memory is set aside at the first call
        share.run(kind)
        print(f"  {os.getpid()} {kind}: first time after {time.perf_counter() - opened:.1f} s",
              flush=True)  # fmt: skip
    connection.send(str(device))
    while (kind := connection.recv()) is not None:
        start = time.perf_counter()
        garments = share.run(kind)
        connection.send((time.perf_counter() - start, garments))


class Share:
    """The photos of one process."""

    def __init__(self, tagger: Any, files: list[str], repeat: int) -> None:
        self.tagger, self.repeat = tagger, repeat
        self.data = [Path(file).read_bytes() for file in files]
        self.ready = [self._decoded(data) for data in self.data]
        self.kinds: dict[str, Callable[[], int]] = {
            "models": self._models, "loop": self._loop, "pass": self._pass,
        }  # fmt: skip

    def run(self, kind: str) -> int:
        return self.kinds[kind]()

    def _decoded(self, data: bytes) -> tuple[Any, Any]:
        from jeans_udf.images import decode_image

        pixels = decode_image(data, self.tagger.config.images)
        return pixels, self.tagger.detector.prepare(pixels)

    def _models(self) -> int:
        return self._batched(item for _ in range(self.repeat) for item in self.ready)

    def _loop(self) -> int:
        return self._batched(self._decoded(data) for _ in range(self.repeat) for data in self.data)

    def _pass(self) -> int:
        from jeans_udf.source_image import SourceImage

        images = (SourceImage(str(n), None, data, None)
                  for _ in range(self.repeat) for n, data in enumerate(self.data))  # fmt: skip
        return sum(row["garments"] for row in self.tagger.tag(images))

    def _batched(self, pictures: Any) -> int:
        garments, waiting = 0, {}
        for pixels, canvas in pictures:
            group = waiting.setdefault(canvas.shape, [])
            group.append((pixels, canvas))
            if len(group) >= self.tagger.images_at_once(canvas.shape):
                garments += self._flush(waiting.pop(canvas.shape))
        return garments + sum(self._flush(group) for group in waiting.values())

    def _flush(self, group: list[Any]) -> int:
        results = self.tagger.detector.detect([canvas for _, canvas in group])
        found = [self.tagger.cut(pixels, r) for (pixels, _), r in zip(group, results, strict=True)]
        self.tagger.classify([garment for garments in found for garment in garments])
        return sum(len(self.tagger.kept(garments)) for garments in found)


class Busy:
    """What nvidia-smi says while the block runs: how busy, 0 to 1, and the most memory in use.

    Nothing without an NVIDIA GPU.
    """

    def __enter__(self) -> Busy:
        self.seen: list[float] = []
        self.most_bytes: int | None = None
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()

    def _look(self) -> None:
        if shutil.which("nvidia-smi") is None:
            return
        command = ["nvidia-smi", "--query-gpu=utilization.gpu,memory.used",
                   "--format=csv,noheader,nounits"]  # fmt: skip
        while not self.over.wait(0.2):
            answer = subprocess.run(command, capture_output=True, text=True)
            if answer.returncode == 0:
                try:
                    utilisation, megabytes = map(float, answer.stdout.splitlines()[0].split(","))
                except ValueError:  # part of a GPU (MIG) tells no utilisation
                    continue
                self.seen.append(utilisation / 100)
                self.most_bytes = max(self.most_bytes or 0, int(megabytes) << 20)

    @property
    def share(self) -> float | None:
        # The first looks still cover the time before.
        return statistics.mean(self.seen[2:]) if len(self.seen) > 2 else None


def measure(files: list[str], processes: int, settings: Settings, rounds: int) -> list[dict]:
    """A row for each of `KINDS`."""
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in range(processes)]
    workers = [
        context.Process(target=serve, args=(theirs, files[n::processes], settings), daemon=True)
        for n, (_, theirs) in enumerate(pipes)
    ]
    start = time.perf_counter()
    for worker in workers:
        worker.start()
    for _, theirs in pipes:
        theirs.close()  # so that a process that dies is heard of
    device = [ours.recv() for ours, _ in pipes][0]
    opened = time.perf_counter() - start
    images = len(files) * settings.repeat
    rates: dict[str, list[float]] = {kind: [] for kind in KINDS}
    busy: dict[str, list[float | None]] = {kind: [] for kind in KINDS}
    garments = {}
    for _ in range(rounds):
        for kind in KINDS:
            with Busy() as look:
                began = time.perf_counter()
                for ours, _ in pipes:
                    ours.send(kind)
                answers = [ours.recv() for ours, _ in pipes]
                seconds = time.perf_counter() - began
            rates[kind].append(images / seconds)
            busy[kind].append(look.share)
            garments[kind] = sum(answer[1] for answer in answers)
    for ours, _ in pipes:
        ours.send(None)
    return [
        {"name": kind, "device": device, "processes": processes, "precision": settings.precision,
         "images_per_second": rates[kind], "median": statistics.median(rates[kind]),
         "busy": busy[kind], "garments": garments[kind], "seconds_to_open": opened}
        for kind in KINDS
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", required=True, type=Path)
    parser.add_argument("--bundle", default="default")
    parser.add_argument("--processes", default="1,8", help="as 1,8: how many share the device")
    parser.add_argument("--precision", default="fp32,fp16", help="as fp32,bf16,fp16")
    parser.add_argument("--batch-pixels", type=int, default=0, help="0: as suits the device")
    parser.add_argument("--crops", type=int, default=64, help="garments of a classifier's batch")
    parser.add_argument("--repeat", type=int, default=1, help="passes over the photos in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--output", type=Path, help="a JSON file; written after every group")
    args = parser.parse_args()
    files = [str(p) for p in sorted(args.images.iterdir()) if p.is_file()][: args.limit]
    rows = []
    for processes in map(int, args.processes.split(",")):
        for precision in args.precision.split(","):
            settings = Settings(args.bundle, precision, args.batch_pixels, args.crops, args.repeat)
            for row in measure(files, processes, settings, args.rounds):
                busy = [share for share in row["busy"] if share is not None]
                print(f"{row['name']:8} {row['device']} {processes:2} processes {precision}: "
                      f"{row['median']:8.1f} images/s, busy "
                      f"{statistics.mean(busy) if busy else float('nan'):.2f}, "
                      f"{row['garments']} garments", flush=True)  # fmt: skip
                rows.append(row)
            if args.output:
                args.output.write_text(json.dumps({"cpus": os.cpu_count(), "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
