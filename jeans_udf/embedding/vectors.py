"""Distinct texts to vectors: `mapInPandas` around `models.embedder.Embedder`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
from pyspark import TaskContext
from pyspark.sql import DataFrame
from pyspark.sql import types as T

from jeans_udf.embedding.config import EmbeddingConfig

TOKEN = T.StructType(
    [
        T.StructField("token_no", T.IntegerType()),
        T.StructField("token", T.StringType()),
        T.StructField("vector", T.ArrayType(T.FloatType())),
    ]
)
VECTORS = T.StructType(
    [
        T.StructField("text_sha256", T.StringType()),
        T.StructField("embedding", T.ArrayType(T.FloatType())),
        T.StructField("tokens", T.ArrayType(TOKEN)),
    ]
)
"""A distinct text: its vector, null without a token that counts; its tokens, null if not asked."""

_EMBEDDERS: dict[tuple[str, str, str | None], Any] = {}
"""This Python worker's encoder, by all that decides its answers and its GPU: opened once."""

SENTENCES, TOKENS = 1024, 64
"""Texts that are embedded at a time: with 4,096 numbers a token, 64 texts of 256 are 268 MB."""


def embed_texts(texts: DataFrame, config: EmbeddingConfig, digest: str) -> DataFrame:
    """``text_sha256, text`` to rows of `VECTORS`.

    The executors open the encoder by the same name and check that its files have ``digest``.
    """

    size = SENTENCES if config.token_vectors == "none" else TOKENS

    def embed(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for frame in frames:
            for start in range(0, len(frame), size):
                part = frame.iloc[start : start + size]
                # Here: a task without a text opens no encoder.
                found = _embedder(config, digest).embed(list(part.text))
                rows = [
                    (key, one.sentence, _tokens(one))
                    for key, one in zip(part.text_sha256, found, strict=True)
                ]
                yield pd.DataFrame(rows, columns=VECTORS.names)

    return texts.select("text_sha256", "text").mapInPandas(embed, VECTORS)


def _tokens(one: Any) -> list[dict[str, Any]] | None:
    if one.token_vectors is None:
        return None
    return [
        {"token_no": number, "token": token, "vector": vector}
        for number, (token, vector) in enumerate(zip(one.tokens, one.token_vectors, strict=True))
    ]


def _embedder(config: EmbeddingConfig, digest: str) -> Any:
    from jeans_udf.embedding.encoders import open_embedder

    context = TaskContext.get()
    given = context.resources().get("gpu") if context is not None else None
    # Never CUDA because it is there: on a cluster only what Spark has given to this task.
    gpu = given.addresses[0] if given else None
    key = (config.model_dump_json(), digest, gpu)
    if key not in _EMBEDDERS:
        # Of an executor's several GPUs a worker may meet each in turn: all stay open.
        for other in [other for other in _EMBEDDERS if other[:-1] != key[:-1]]:
            del _EMBEDDERS[other]
        _EMBEDDERS[key] = open_embedder(config, digest, gpu)
    return _EMBEDDERS[key]
