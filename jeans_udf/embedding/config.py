"""The embedding job's configuration; see conf/embedding.yaml."""

from __future__ import annotations

import hashlib
from string import Formatter
from typing import Literal

from pydantic import Field, field_validator

from jeans_udf.config import Section
from jeans_udf.models.text_reading import Reading, TokenVectors

PACKAGED = "packaged"
"""The encoder that comes as a package: all-MiniLM-L6-v2, of BERT's architecture, 384 numbers."""

TEMPLATE = "{title} {category} {wash} {fit} {length} {details} {description}"
"""What was seen before the description: a long one is cut at max_tokens."""


class EmbeddingConfig(Section):
    """Everything `jobs/embed_products.py` can be told."""

    encoder: str = PACKAGED
    """`packaged`, a directory with an encoder, or with allow_hub a name on the hub."""
    allow_hub: bool = False
    """Whether the encoder may be fetched over the network."""
    template: str = Field(TEMPLATE, min_length=1, max_length=2000)
    """A product's text; names in braces are columns of `product_attributes`, title, description."""
    special_tokens: bool = True
    """Whether [CLS] and [SEP] count in the mean over a text's tokens."""
    segment: Literal[0, 1] = 0
    """The segment that all tokens are said to be of."""
    commas_as_spaces: bool = False
    """Whether commas are taken for spaces."""
    max_tokens: int = Field(256, ge=3, le=4096)
    """Longest text in tokens; what comes after is left out."""
    token_vectors: TokenVectors = "none"
    """`product_token_embeddings`: the last four layers side by side, or their sum."""
    tokens_per_batch: int = Field(8192, ge=64)
    """Most tokens of one batch of the encoder, padding included."""
    neighbours: int = Field(10, ge=1, le=1000)
    """Similar products that are kept of each product."""
    index: Literal["exact", "hnsw"] = "exact"
    """How they are found: all pairs, or an approximate index for large catalogs."""
    block_texts: int = Field(4096, ge=1)
    """Distinct texts of one block of the exact comparison."""

    @field_validator("template")
    @classmethod
    def _parses(cls, template: str) -> str:
        try:
            names = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
        except ValueError as error:
            raise ValueError(f"not a template: {error}") from None
        if not all(name.isidentifier() for name in names):
            raise ValueError("braces want a column's name, as {description}")
        if not names:
            raise ValueError("no column in braces: every product would have the same text")
        return template

    @property
    def reading(self) -> Reading:
        return Reading(
            self.special_tokens, self.segment, self.commas_as_spaces, self.max_tokens
        )

    def identity(self, encoder_digest: str) -> str:
        """What ``embedder`` in the tables says: equal only where vectors can be compared."""
        reading = self.reading
        how = f"{encoder_digest} {reading!r}"
        if not reading.special_tokens:
            how += " unknown words count"  # they did not at first
        return f"{self.encoder_name}-{hashlib.sha256(how.encode()).hexdigest()[:12]}"

    @property
    def encoder_name(self) -> str:
        """The encoder's name without its folders."""
        if self.encoder == PACKAGED:
            return "all-minilm-l6-v2"
        return self.encoder.rstrip("/").rpartition("/")[2]
