"""BERT's vectors of texts: one of a sentence, and those of its tokens; knows no Spark.

The strategies are those of the notebook that the project grew out of, after Devlin et al., 2019
(section 5.3, feature-based approach): a sentence is the mean of the last layer over its tokens, a
token the last four layers side by side or their sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from jeans_udf.errors import ConfigError
from jeans_udf.models.text_reading import Reading, TokenVectors

LAYERS = 4
"""How many layers, from the last, make a token's vector."""


@dataclass(frozen=True)
class Embedded:
    """A text's ``sentence (hidden,) float32``; its ``tokens`` and their vectors, if asked for.

    ``token_vectors`` are (tokens, hidden) or (tokens, 4 * hidden) float32. A text without a token
    that counts has no sentence.
    """

    sentence: np.ndarray | None
    tokens: tuple[str, ...] = ()
    token_vectors: np.ndarray | None = None


class Embedder:
    """An encoder ready to run: texts in any order and number, each by itself."""

    def __init__(
        self,
        folder: str,
        device: torch.device,
        *,
        reading: Reading | None = None,
        token_vectors: TokenVectors = "none",
        tokens_per_batch: int = 8192,
    ) -> None:
        """``folder``: as transformers' ``save_pretrained`` writes it, the weights as safetensors.

        Raises `ConfigError` for one that cannot be opened.
        """
        self.reading = reading or Reading()
        self.device, self.strategy = device, token_vectors
        self.tokens_per_batch = tokens_per_batch
        self.tokenizer, self.model = _open(folder)
        # [UNK] stands for a word of the text, and counts like one.
        unknown = self.tokenizer.unk_token_id
        self.frame = frozenset(self.tokenizer.all_special_ids) - {unknown}
        self.model = self.model.eval().to(device)
        longest = int(getattr(self.model.config, "max_position_embeddings", 512))
        self.max_tokens = min(self.reading.max_tokens, longest)

    @property
    def size(self) -> int:
        """Numbers of a sentence's vector."""
        return int(self.model.config.hidden_size)

    def embed(self, texts: Sequence[str]) -> list[Embedded]:
        """One answer a text, in their order; texts of about one length share a batch."""
        ids = [self._ids(text) for text in texts]
        found: dict[int, Embedded] = {}
        for batch in self._batches(ids):
            found.update(zip(batch, self._run([ids[place] for place in batch]), strict=True))
        return [found[place] for place in range(len(texts))]

    def _ids(self, text: str) -> list[int]:
        if self.reading.commas_as_spaces:
            text = text.replace(",", " ")
        ids: list[int] = self.tokenizer(
            text, truncation=True, max_length=self.max_tokens, add_special_tokens=True
        )["input_ids"]
        return ids

    def _batches(self, ids: Sequence[Sequence[int]]) -> Iterator[list[int]]:
        """Places of texts of about one length: padding is computed with like any token."""
        batch: list[int] = []
        for place in sorted(range(len(ids)), key=lambda place: len(ids[place])):
            if batch and (len(batch) + 1) * len(ids[place]) > self.tokens_per_batch:
                yield batch
                batch = []
            batch.append(place)
        if batch:
            yield batch

    @torch.inference_mode()
    def _run(self, batch: Sequence[Sequence[int]]) -> Iterable[Embedded]:
        longest = max(len(ids) for ids in batch)
        padded = torch.full((len(batch), longest), self.tokenizer.pad_token_id or 0)
        mask = torch.zeros_like(padded)
        for row, ids in enumerate(batch):
            padded[row, : len(ids)] = torch.tensor(ids)
            mask[row, : len(ids)] = 1
        output = self.model(
            input_ids=padded.to(self.device),
            attention_mask=mask.to(self.device),
            token_type_ids=(mask * self.reading.segment).to(self.device),
            output_hidden_states=self.strategy != "none",
        )
        last = output.last_hidden_state.float().cpu()
        tokens = None if self.strategy == "none" else self._token_vectors(output.hidden_states)
        for row, ids in enumerate(batch):
            counted = [place for place, token in enumerate(ids) if self._counts(token)]
            yield Embedded(
                last[row, counted].mean(0).numpy() if counted else None,
                tuple(self.tokenizer.convert_ids_to_tokens([ids[place] for place in counted])),
                None if tokens is None else tokens[row, counted].numpy(),
            )

    def _counts(self, token: int) -> bool:
        return self.reading.special_tokens or token not in self.frame

    def _token_vectors(self, layers: Sequence[torch.Tensor]) -> torch.Tensor:
        last = [layer.float().cpu() for layer in layers[-LAYERS:]]
        if self.strategy == "sum":
            return torch.stack(last).sum(0)
        # The last layer first, as the notebook lays them.
        return torch.cat(last[::-1], dim=-1)


def _open(folder: str) -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **options)
        # Eager attention: the fused kernels' sums depend on how much padding a batch has.
        model = AutoModel.from_pretrained(
            folder, use_safetensors=True, attn_implementation="eager", **options
        )
    except Exception as error:  # what transformers raises of a bad folder is of many kinds
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ConfigError(
            f"encoder {folder}: cannot be opened: {first[:300]}; wanted a BERT with config.json, "
            "tokenizer.json and model.safetensors"
        ) from None
    return tokenizer, model
