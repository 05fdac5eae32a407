"""The bare loops: what the models cost alone, the limit for every framework around them.

`bare_loop` reads and decodes its photos and forms its batches before the clock starts.
`decoding_loop` reads and decodes while the clock runs, on the job's threads that decode ahead.
Nothing is encoded or written, and no process knows of another one.
"""

from __future__ import annotations

import multiprocessing
from dataclasses import asdict
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier

from benchmarks.side_by_side.outcome import Clock, Outcome, Outputs
from benchmarks.side_by_side.workload import Workload

LONGEST_START = 600.0
"""Seconds until every process must have its models."""


def bare_loop(work: Workload) -> Outcome:
    """The models over batches that lie decoded in memory."""
    return _measure(work, decoded_before=True)


def decoding_loop(work: Workload) -> Outcome:
    """The same from the files' bytes on."""
    return _measure(work, decoded_before=False)


def _measure(work: Workload, *, decoded_before: bool) -> Outcome:
    context = multiprocessing.get_context("spawn")
    count = work.split.processes
    start, done = context.Barrier(count + 1), context.Queue()
    files = work.files()
    processes = [
        context.Process(target=_share, args=(work, files[n::count], decoded_before, start, done),
                        daemon=True)
        for n in range(count)
    ]  # fmt: skip
    for process in processes:
        process.start()
    start.wait(LONGEST_START)
    clock = Clock()
    outputs: Outputs = {}
    for _ in processes:
        outputs |= done.get()
    seconds = clock.seconds()
    for process in processes:
        process.join()
    return Outcome(seconds, clock.ready_at, outputs, asdict(work.split))


def _share(
    work: Workload, files: list[str], decoded_before: bool, start: Barrier, done: Queue
) -> None:
    """One process's photos."""
    from benchmarks.side_by_side import passes

    try:
        tagger = passes.open_tagger(work)
        decoded = passes.decode_files(tagger, work, files)
        batches = passes.batches(decoded, tagger.batch_pixels)
        ready = list(batches) if decoded_before else batches
    except BaseException:
        start.abort()
        raise
    start.wait(LONGEST_START)
    outputs: Outputs = {}
    for batch in ready:
        for image, found in zip(batch, passes.find(tagger, batch), strict=True):
            outputs[image.source.image_id] = passes.compared(found)
    done.put(outputs)
