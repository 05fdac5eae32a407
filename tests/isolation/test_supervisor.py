"""Images that crash, hang or bloat the process that looks at them cost themselves alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from stub_group import open_broken_group, open_nothing, open_stub_group

from jeans_udf.config import Isolation
from jeans_udf.errors import JeansError, Rejected
from jeans_udf.isolation.supervisor import WINDOW_IMAGES, Supervisor
from jeans_udf.source_image import SourceImage

LIMITS = Isolation(max_seconds_per_image=1.0, max_memory_bytes=600_000_000)
PATIENT = Isolation(max_seconds_per_image=60.0, max_memory_bytes=600_000_000)
"""A process that eats memory on a busy machine may be silent for longer than a second."""
SOUND = SourceImage("sound", None, b"ok", None)


def lost(image: SourceImage, error: Rejected) -> dict[str, Any]:
    return {"image_id": image.image_id, "status": error.reason, "detail": error.detail}


def images(*kinds: str) -> list[SourceImage]:
    return [SourceImage(f"{n} {kind}", None, kind.encode(), None) for n, kind in enumerate(kinds)]


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(partial(open_stub_group, str(tmp_path)), LIMITS, lost, SOUND)
    yield supervisor
    supervisor.close()


def work(folder: Path) -> list[str]:
    return (folder / "log").read_text().splitlines()


@pytest.mark.parametrize(
    ("poison", "reason", "detail"),
    [
        ("segfault", "worker_crashed", "died of SIGSEGV"),
        ("abort", "worker_crashed", "died of SIGABRT"),
        ("exit", "worker_crashed", "ended with status 9"),
        ("eat", "worker_crashed", "MB of memory, above isolation.max_memory_bytes"),
        ("memory error", "worker_crashed", "ran out of memory"),
        ("hang", "timed_out", "gave no sign of life for 1 s"),
    ],
)
def test_one_poisoned_image_costs_itself_alone(
    supervisor: Supervisor, tmp_path: Path, poison: str, reason: str, detail: str
) -> None:
    supervisor.limits = LIMITS if poison == "hang" else PATIENT
    source = images(*["ok"] * 5, poison, *["ok"] * 60)
    rows = list(supervisor.tag(source))
    assert sorted(row["image_id"] for row in rows) == sorted(image.image_id for image in source)
    bad = [row for row in rows if row["status"] != "ok"]
    assert [(row["image_id"], row["status"]) for row in bad] == [(f"5 {poison}", reason)]
    assert detail in bad[0]["detail"]
    # Looked at in the stream, then alone and once more; its neighbours once more at the most.
    seen = work(tmp_path)
    assert seen.count(f"5 {poison}") == 3
    assert max(seen.count(image.image_id) for image in source if image.data == b"ok") == 2


def test_rows_stream_while_images_still_come(supervisor: Supervisor) -> None:
    given = 0

    def source() -> Iterator[SourceImage]:
        nonlocal given
        for image in images(*["ok"] * 300):
            given += 1
            yield image

    rows = supervisor.tag(source())
    next(rows)
    assert given < 3 * WINDOW_IMAGES
    assert len(list(rows)) == 299


def test_one_process_serves_every_group(supervisor: Supervisor, tmp_path: Path) -> None:
    first = list(supervisor.tag(images("ok", "ok")))
    second = list(supervisor.tag(images("ok")))
    assert {row["pid"] for row in first + second} == {first[0]["pid"]}
    assert list(supervisor.tag([])) == []
    assert work(tmp_path).count("opened") == 1


def test_an_image_that_meets_anothers_crash_is_not_blamed(supervisor: Supervisor) -> None:
    rows = list(supervisor.tag(images("ok", "odd", "ok")))
    assert [row["status"] for row in rows] == ["ok"] * 3


def test_many_poisoned_images_in_a_row(supervisor: Supervisor) -> None:
    rows = list(supervisor.tag(images("segfault", "abort", "exit", "ok", "segfault")))
    assert [row["status"] for row in rows] == [
        "worker_crashed", "worker_crashed", "worker_crashed", "ok", "worker_crashed",
    ]  # fmt: skip


def test_a_slow_leak_is_nobodys_fault(supervisor: Supervisor, tmp_path: Path) -> None:
    rows = list(supervisor.tag(images(*["leak"] * 12)))
    assert [row["status"] for row in rows] == ["ok"] * 12
    assert work(tmp_path).count("opened") > 1


def test_an_error_of_the_pass_itself_is_no_images_fault(supervisor: Supervisor) -> None:
    with pytest.raises(JeansError, match="a mistake in the pass itself"):
        list(supervisor.tag(images("ok", "raise")))
    assert [row["status"] for row in supervisor.tag(images("ok"))] == ["ok"]


def test_models_that_crash_on_a_sound_image_stop_the_task(tmp_path: Path) -> None:
    broken = Supervisor(partial(open_broken_group, str(tmp_path)), LIMITS, lost, SOUND)
    with pytest.raises(JeansError, match="crash on a sound image, too .*SIGSEGV.*no image is to"):
        list(broken.tag(images("ok", "ok")))


def test_models_that_cannot_be_opened_stop_the_task(tmp_path: Path) -> None:
    closed = Supervisor(partial(open_nothing, str(tmp_path)), LIMITS, lost, SOUND)
    with pytest.raises(JeansError, match="cannot be opened in this worker.*status 3"):
        list(closed.tag(images("ok")))


def test_a_reader_that_stops_early_leaves_no_half_done_group(supervisor: Supervisor) -> None:
    rows = supervisor.tag(images(*["ok"] * 50))
    next(rows)
    rows.close()
    assert [row["image_id"] for row in supervisor.tag(images("ok"))] == ["0 ok"]


def test_the_child_dies_with_its_parent(tmp_path: Path) -> None:
    program = (
        f"import sys; sys.path[:0] = [{str(Path(__file__).parent)!r}]\n"
        "from functools import partial\n"
        "from stub_group import open_stub_group\n"
        "from test_supervisor import LIMITS, SOUND, images, lost\n"
        "from jeans_udf.isolation.supervisor import Supervisor\n"
        f"one = Supervisor(partial(open_stub_group, {str(tmp_path)!r}), LIMITS, lost, SOUND)\n"
        "print(list(one.tag(images('ok')))[0]['pid'], flush=True)\n"
        "list(one.tag(images('hang')))\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    for _ in range(100):
        if not _lives(child):
            return
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    raise AssertionError("the child outlived its parent")


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
