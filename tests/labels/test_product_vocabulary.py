"""The 60 product labels go all the way: file, network, decisions, table, steps of training.

No code knows them: they are a vocabulary like any other.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from jeans_udf.labels.dropping import load_labels
from jeans_udf.labels.splits import split_rows
from jeans_udf.models.attributes import decide
from jeans_udf.models.classifier import build_classifier
from jeans_udf.models.outputs import group_probabilities, output_names
from jeans_udf.schemas import garments_schema
from jeans_udf.training.label_loss import GroupLoss
from jeans_udf.vocabulary import load_vocabulary

PRODUCTS = load_vocabulary("conf/vocabularies/products.yaml")
ROWS = """\
file_path,label
a.jpg,541 athletic taper flex
b.jpg,501 straight original
c.jpg,warp stretch skinny 510
d.jpg,559 relaxed big tall
"""


def test_there_are_sixty_labels_and_one_category() -> None:
    assert len(PRODUCTS.labels) == len(set(PRODUCTS.labels)) == 60
    assert PRODUCTS.categories == ("jeans",)
    assert {group.name for group in PRODUCTS.groups if group.exclusive} == {"number", "fit", "rise"}
    assert PRODUCTS.labels[0] == "501" and "flex" in PRODUCTS.labels


def test_labels_files_are_read_with_them(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(ROWS)
    file = load_labels(tmp_path / "labels.csv", PRODUCTS)
    assert [row.labels for row in file.rows] == [
        ("541", "athletic", "taper", "flex"),
        ("501", "straight", "original"),
        ("510", "skinny", "stretch", "warp"),
        ("559", "relaxed", "big", "tall"),
    ]
    assert {row.category for row in file.rows} == {"jeans"}
    split = split_rows(file.rows)
    assert len(split.train) == 3 and len(split.val) == 1
    # A column of numbers beside empty cells is one of floats to pandas, and no less read.
    wide = ",".join(group.name for group in PRODUCTS.groups)
    (tmp_path / "wide.csv").write_text(f"file_path,{wide}\na.jpg,541.0,athletic,taper,,,flex\n")
    assert load_labels(tmp_path / "wide.csv", PRODUCTS).rows == file.rows[:1]


def test_scores_become_answers_and_columns() -> None:
    torch.manual_seed(0)
    model = build_classifier("test_resnet", PRODUCTS).eval()
    with torch.no_grad():
        logits = model(torch.rand(2, 3, 64, 64))
    assert logits.shape == (2, 62) and len(output_names(PRODUCTS)) == 62
    logits[0, :60] = -8.0
    for label in ("541", "athletic", "taper", "flex"):
        logits[0, PRODUCTS.labels.index(label)] = 8.0
    scores = group_probabilities(logits, PRODUCTS).numpy()
    for name in ("number", "fit", "rise"):
        np.testing.assert_allclose(scores[:, PRODUCTS.spans()[name]].sum(1), 1, rtol=1e-5)
    thresholds = {
        name: 0.5 for group in PRODUCTS.groups
        for name in ([group.name] if group.exclusive else group.labels)
    }  # fmt: skip
    answers = decide(scores[0], "jeans", PRODUCTS, thresholds)
    assert answers.exclusive == {"number": "541", "fit": "athletic", "rise": None}
    assert answers.multiple == {"leg": ["taper"], "size": [], "build": ["flex"]}
    assert len(answers.scores) == 60
    fields = {field.name: field.dataType.simpleString() for field in garments_schema(PRODUCTS)}
    assert len(fields) == len(garments_schema(PRODUCTS).names)
    assert fields["number"] == fields["fit"] == "string" and fields["rise_score"] == "float"
    assert fields["build"] == fields["leg"] == "array<string>" and "wash" not in fields


def test_a_few_steps_of_training_learn_from_them(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(ROWS)
    names = output_names(PRODUCTS)
    targets = torch.zeros(4, len(names))
    for number, row in enumerate(load_labels(tmp_path / "labels.csv", PRODUCTS).rows):
        for name in (*row.labels, f"category:{row.category}"):
            targets[number, names.index(name)] = 1
    torch.manual_seed(0)
    model, pixels = build_classifier("test_resnet", PRODUCTS), torch.rand(4, 3, 64, 64)
    loss, optimizer = GroupLoss(PRODUCTS, 0.0), torch.optim.AdamW(model.parameters(), 1e-3)
    losses = []
    for _ in range(4):
        optimizer.zero_grad()
        value = loss(model(pixels), targets)
        value.backward()
        optimizer.step()
        losses.append(float(value.detach()))
    assert losses[-1] < losses[0] and np.isfinite(losses).all()
