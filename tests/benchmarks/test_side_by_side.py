"""The pure parts of the benchmark: choice of split, comparison, figures, table, gate, rows."""

from __future__ import annotations

import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import growth
from benchmarks.side_by_side import gate
from benchmarks.side_by_side.chart import draw
from benchmarks.side_by_side.compare import compare
from benchmarks.side_by_side.figures import row_figures, table
from benchmarks.side_by_side.outcome import Outcome, outputs_of, read_outputs
from benchmarks.side_by_side.registry import ROWS, choose_rows
from benchmarks.side_by_side.splits import fastest, splits, try_splits
from benchmarks.side_by_side.workload import Split, Workload, read_workload, spread
from jeans_udf.errors import ConfigError

JEANS = ["jeans", "dark", "full", "skinny"]
SHORTS = ["shorts", "short"]


def a_round(seconds: float, garments: int = 3) -> dict[str, object]:
    return {"seconds": seconds, "start_up": 5.0, "whole": seconds + 6, "garments": garments,
            "settings": {"processes": 2, "threads": 1, "batch_size": 32},
            "further": {"whole_run": seconds + 1}}  # fmt: skip


def test_splits_use_every_core() -> None:
    assert splits(1) == [Split(1, 1)]
    assert splits(6) == [Split(6, 1), Split(3, 2), Split(2, 3), Split(1, 6)]


def test_the_fastest_split_is_by_median_and_the_first_of_equal_ones() -> None:
    seconds = {Split(2, 1): [9.0, 1.0, 5.0], Split(1, 2): [4.0, 4.0, 30.0]}
    assert fastest(seconds) == Split(1, 2)
    assert fastest({Split(2, 1): [3.0], Split(1, 2): [3.0]}) == Split(2, 1)


def test_trials_alternate() -> None:
    asked: list[Split] = []

    def measure(split: Split) -> float:
        asked.append(split)
        return float(len(asked))

    found = try_splits(2, 2, measure)
    assert asked == [Split(2, 1), Split(1, 2)] * 2
    assert found == {Split(2, 1): [1.0, 3.0], Split(1, 2): [2.0, 4.0]}


def test_equal_garments_in_another_order_are_equal() -> None:
    difference = compare({"a": [SHORTS, JEANS], "b": []}, {"b": [], "a": [JEANS, SHORTS]})
    assert (difference.differing, str(difference)) == (0, "equal")


def test_differences_are_counted_by_their_kind() -> None:
    reference = {"count": [JEANS], "category": [JEANS], "labels": [JEANS], "gone": [], "same": []}
    outputs = {"count": [JEANS, JEANS], "category": [SHORTS], "labels": [["jeans", "light"]],
               "same": [], "new": [JEANS]}  # fmt: skip
    difference = compare(outputs, reference)
    assert (difference.missing, difference.other_count) == (2, 1)
    assert (difference.other_categories, difference.other_labels) == (1, 1)
    assert str(difference) == ("5 of 6 images differ: 2 in one only, 1 other count, "
                               "1 other category, 1 other labels")  # fmt: skip
    assert "gone: got no row, wanted no garment" in difference.examples


def test_figures_are_rates_of_every_round_and_their_median() -> None:
    row = row_figures("job", "this job", 60, [a_round(s) for s in (10.0, 30.0, 20.0)], "-")
    assert (row["name"], row["garments"]) == ("job", 3)
    assert row["images_per_second"] == [6.0, 2.0, 3.0]
    assert row["median"] == 3.0
    assert row["further_seconds"] == {"whole_run": 21.0}


def test_the_table_has_a_line_a_row_and_shares_of_the_loop() -> None:
    rows = [row_figures("bare_loop", "bare loop", 60, [a_round(10.0)], "equal"),
            row_figures("job", "this job", 60, [a_round(12.0)], "-")]  # fmt: skip
    header, loop, job = table(rows).splitlines()
    assert header.startswith("row")
    assert loop.split()[2:5] == ["6.00", "6.00-6.00", "100%"]
    assert "5.00" in job and "83%" in job and "2 x 1, batch 32" in job
    assert table(rows[1:]).splitlines()[1].split()[4] == "-"


def test_the_chart_is_a_png(tmp_path: Path) -> None:
    rows = [row_figures("job", "this job", 60, [a_round(12.0), a_round(10.0)], "-")]
    draw(rows, "60 photos", tmp_path / "charts" / "latest.png")
    assert (tmp_path / "charts" / "latest.png").read_bytes().startswith(b"\x89PNG")


def test_outputs_are_read_from_parquet_whatever_the_order(tmp_path: Path) -> None:
    garments = [{"category": "shorts", "labels": ["short"]},
                {"category": "jeans", "labels": ["skinny", "dark", "full"]}]  # fmt: skip
    rows = [{"image_id": "a", "garments": garments}, {"image_id": "b", "garments": []}]
    (tmp_path / "out").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "out" / "part-0.parquet")
    (tmp_path / "out" / "_SUCCESS").touch()
    outputs = read_outputs(tmp_path / "out")
    assert outputs == {"a": [JEANS, SHORTS], "b": []} == outputs_of(rows)
    assert Outcome(1.0, 0.0, outputs).garments == 2


def test_rows_are_chosen_by_name_and_letter_in_the_tables_order() -> None:
    assert choose_rows(["job", "a", "b"]) == ["bare_loop", "decoding_loop", "job"]
    with pytest.raises(ConfigError, match="did you mean 'job'"):
        choose_rows(["jop"])


def test_a_row_without_its_framework_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="ray_data needs ray.*make benchmark"):
        choose_rows(["ray_data", "job"])
    assert choose_rows(["job"]) == ["job"]
    assert all(row.includes for row in ROWS.values())


def test_a_workload_comes_back_from_its_file(tmp_path: Path) -> None:
    work = Workload(str(tmp_path), "default", ("device.kind=cpu",), Split(2, 1), 16, 40)
    work.write(tmp_path / "work.json")
    assert read_workload(tmp_path / "work.json") == work
    assert work.config().device.kind == "cpu"


def test_every_worker_gets_two_batches(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(10):
        (tmp_path / "photos" / str(number)).touch()
    work = Workload(str(tmp_path), "default", (), Split(2, 1))
    assert (work.batch(32), work.batch(2)) == (3, 2)
    assert Workload(str(tmp_path), "default", (), Split(2, 1), batch_size=16).batch(32) == 16


def test_photos_are_taken_evenly() -> None:
    assert spread(["a", "b", "c", "d", "e", "f"], 3) == ["a", "c", "e"]
    assert spread(["a", "b"], 5) == ["a", "b"]


def test_the_gate_opens_when_the_last_worker_is_there(tmp_path: Path) -> None:
    folder = gate.open_gate(tmp_path / "gate")
    first = threading.Thread(target=gate.wait_for_all, args=(folder, 2))
    first.start()
    first.join(0.1)
    assert first.is_alive()
    gate.wait_for_all(folder, 2)
    first.join(5)
    assert not first.is_alive()
    late = max(float(file.read_text()) for file in folder.iterdir())
    assert gate.opened_at(folder, 2) == late
    with pytest.raises(RuntimeError, match="2 workers loaded the models, wanted 3"):
        gate.opened_at(folder, 3)
    with pytest.raises(TimeoutError, match="3 of 4 workers"):
        gate.wait_for_all(folder, 4, longest=0.0)


def test_growth_compares_with_fewer_images_and_fewer_tasks(tmp_path: Path) -> None:
    def point(seconds: float) -> list[dict[str, float]]:
        return [{"seconds": seconds + 9, "run_seconds": seconds + 2, "tagging_seconds": seconds,
                 "garments": 7}]  # fmt: skip

    rows = [growth.row_of(500, 1, point(50.0)), growth.row_of(1000, 1, point(100.0)),
            growth.row_of(500, 2, point(26.0))]  # fmt: skip
    assert rows[1]["images_per_second"] == 10.0
    lines = growth.table(rows).splitlines()
    assert lines[2].split()[-2:] == ["x", "2.00"]
    assert lines[3].split()[-2:] == ["x", "0.52"]
    growth.draw(rows, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")
