"""A pickle as data: what it says is told, nothing of it runs, and no claim of it takes memory."""

from __future__ import annotations

import io
import os
import pickle
import time
import tracemalloc
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest

from jeans_udf.training.inert_pickle import Made, Name, OtherKey, Unreadable, read_inert


def _read(content: Any, protocol: int = 2) -> Any:
    return read_inert(io.BytesIO(pickle.dumps(content, protocol)))


class Thing:
    """Made by a class, with attributes."""

    def __init__(self) -> None:
        self.size, self.parts = 3, {"a": [1.5, None, True]}


class Calls:
    """What an attacker pickles: ``function`` is called when it is opened."""

    def __init__(self, *reduced: Any) -> None:
        self.reduced = reduced

    def __reduce__(self) -> Any:
        return self.reduced


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_are_read_as_pickle_reads_them(protocol: int) -> None:
    shared = [1, "text", "größer", 2**70, -3, 0.25, True, False, None]
    content = {"list": shared, "same": shared, "tuples": ((), (1,), (1, 2), (1, 2, 3), (1,) * 5),
               "ordered": OrderedDict(b=1, a=2)}  # fmt: skip
    read = _read(content, protocol)
    assert read == content and list(read["ordered"]) == ["b", "a"]
    assert read["list"] is read["same"]


@pytest.mark.parametrize("protocol", range(6))
def test_objects_are_told_and_not_made(protocol: int) -> None:
    read = _read(Thing(), protocol)
    assert isinstance(read, Made)
    assert read.state == {"size": 3, "parts": {"a": [1.5, None, True]}}
    if protocol > 1:  # the older ones reconstruct by a function of copyreg
        assert read.kind == f"{__name__}.Thing"
    named = _read(Path, protocol)
    assert isinstance(named, Name) and named.full in ("pathlib.Path", "pathlib._local.Path")


def test_keys_that_are_no_text_are_kept_apart() -> None:
    (key,) = _read({(1, 2): "value"})
    assert isinstance(key, OtherKey) and key.key == (1, 2)


def _touch(_: Any, file: str) -> None:
    Path(file).touch()


def _evil(marker: Path) -> dict[str, Any]:
    command = f"touch {marker}"
    return {
        "a call": Calls(os.system, (command,)),
        "an expression": Calls(eval, (f"__import__('os').system({command!r})",)),
        "a state": Calls(Thing, (), {"__class__": Calls(os.system, (command,))}),
        "a setter of states": Calls(Thing, (), str(marker), None, None, _touch),
        "items": Calls(list, (), None, iter([Calls(os.system, (command,))])),
        "entries": Calls(dict, (), None, None, iter([("k", Calls(os.system, (command,)))])),
    }


@pytest.mark.parametrize("kind", _evil(Path("x")))
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_nothing_that_a_pickle_names_is_called(tmp_path: Path, kind: str, protocol: int) -> None:
    marker = tmp_path / "marker"
    evil = pickle.dumps(_evil(marker)[kind], protocol)
    read_inert(io.BytesIO(evil))
    assert not marker.exists()
    try:
        pickle.loads(evil)
    except Exception:
        pass  # some calls end in nonsense, after the harm is done
    assert marker.exists(), "or this test could not fail"


def test_a_call_is_told_with_its_arguments() -> None:
    read = _read(Calls(os.system, ("touch x",)))
    assert (read.kind, read.arguments) == ("posix.system", ("touch x",))


HUGE = {
    "a place in the memo": b"\x80\x04Nr\xff\xff\xff\xff.",
    "bytes": b"\x80\x04\x8e" + (2**62).to_bytes(8, "little") + b".",
    "a text": b"\x80\x04\x8d" + (2**62).to_bytes(8, "little") + b".",
    "an array of bytes": b"\x80\x05\x96" + (2**62).to_bytes(8, "little") + b".",
    "a number": b"\x80\x04\x8b" + (2**31 - 1).to_bytes(4, "little") + b".",
    "a frame": b"\x80\x04\x95" + (2**62).to_bytes(8, "little") + b"N.",
}


@pytest.mark.parametrize("kind", HUGE)
def test_claims_of_size_take_no_memory(kind: str) -> None:
    tracemalloc.start()
    try:
        read_inert(io.BytesIO(HUGE[kind]))
    except Unreadable:
        pass
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_depth_and_keys_without_end_are_no_trouble() -> None:
    deep = b"\x80\x02)" + b"\x85" * 300_000 + b"."
    assert isinstance(read_inert(io.BytesIO(deep)), tuple)
    # As a key its hash would overflow the stack of C.
    assert len(read_inert(io.BytesIO(b"\x80\x02}" + deep[2:-1] + b"Ns."))) == 1
    # Each tuple holds the one before twice: 2 ** 60 leaves to hash, or to walk.
    start = time.perf_counter()
    doubling = b"\x80\x02})" + b"2\x86" * 60 + b"Ns."
    assert len(read_inert(io.BytesIO(doubling))) == 1
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no readable pickle"),
        (b"\x80\x02.", "is no readable pickle"),
        (b"\x80\x02]", "is no readable pickle"),
        (b"\xff", "is no readable pickle"),
        (b"\x80\x02\x85.", "its stack is empty"),
        (b"\x80\x02NNa.", "appends to what is no list"),
        (b"\x80\x02NNNs.", "fills what is no dictionary"),
        (b"\x80\x02h\x07.", "is no readable pickle"),
        (b"\x80\x02(.", "is no readable pickle"),
        (b"\x80\x02\x82\x01.", "EXT1, which no such file needs"),
        (b"\x80\x02NQ.", "persistent ids"),
    ],
)
def test_damaged_pickles_are_told(content: bytes, message: str) -> None:
    with pytest.raises(Unreadable, match=message):
        read_inert(io.BytesIO(content))


def test_a_pickle_of_too_many_steps_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jeans_udf.training.inert_pickle.MOST_STEPS", 50)
    with pytest.raises(Unreadable, match="of over 50 steps"):
        read_inert(io.BytesIO(b"\x80\x02" + b"N0" * 30 + b"N."))
