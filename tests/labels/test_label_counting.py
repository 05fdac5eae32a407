"""Rows by label, as a person reads them."""

from __future__ import annotations

from label_files import VOCABULARY

from jeans_udf.labels.counting import counts_table, label_counts
from jeans_udf.labels.labelled import Labelled


def test_labels_and_groups_are_counted_in_each_part() -> None:
    train = [Labelled(f"{n}.jpg", None, "jeans", ("dark", "cuffed", "faded"), n) for n in range(12)]
    train += [Labelled("0.jpg", 1, "shorts", ("faded",), 20), Labelled("b.jpg", 1, None, (), 21)]
    assert label_counts(train, VOCABULARY)["faded"] == 13
    lines = counts_table({"train": train, "val": train[:10]}, VOCABULARY).splitlines()
    table = {tuple(line.split()[:-2]): line.split()[-2:] for line in lines if "*" not in line}
    assert lines[0].split() == ["train", "val"]
    assert table[("category", "jeans")] == ["12", "10"]
    assert table[("wash",)] == table[("dark",)] == ["12", "10"]
    assert table[("details",)] == table[("faded",)] == ["13", "10"]
    assert table[("no", "label")] == ["1", "0"] and table[("rows",)] == ["14", "10"]
    assert table[("photos",)] == ["13", "10"]
    rare = [line.split() for line in lines if line.endswith(" *")]
    assert rare == [["shorts", "1", "0", "*"], ["light", "0", "0", "*"], ["fit", "0", "0", "*"],
                    ["skinny", "0", "0", "*"], ["wide", "0", "0", "*"],
                    ["cargo", "0", "0", "*"]]  # fmt: skip
