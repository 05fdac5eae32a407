"""Embed what is said and seen of each product with BERT, and find similar products."""

from __future__ import annotations

import argparse
import os
import sys
import time
import uuid
from collections.abc import Sequence
from importlib.util import find_spec

from jeans_udf.config import load_section
from jeans_udf.embedding.config import PACKAGED, EmbeddingConfig
from jeans_udf.embedding.encoders import check_encoder, encoder_digest, local_folder
from jeans_udf.embedding.refresh import refresh_embeddings
from jeans_udf.embedding.texts import product_texts
from jeans_udf.errors import EXIT_OK, ConfigError, carried_out
from jeans_udf.session import build_session, stop_session
from jeans_udf.sources import open_source
from jeans_udf.table_names import parse_output, parse_table
from jeans_udf.views.publishing import Publication, create_views, garments_of

MORE = """\
A product's text is put together from its title and description in the source and its attributes in
the view product_attributes, as the template in the configuration says. Each distinct text is
embedded once; run it again after every tag_catalog.py: only new texts are read.

tables written to the output:
  product_embeddings         one row per product: text, vector, encoder
  similar_products           the nearest products of each by the cosine of these vectors
  product_token_embeddings   with token_vectors=concat or sum: one row per token of each text

examples:
  python jobs/embed_products.py --source build/tables/product_images --output build/tables
  python jobs/embed_products.py --source shop.product_images --output shop \\
      --config conf/embedding.yaml --set index=hnsw --set neighbours=20
  python jobs/embed_products.py --source shop.product_images --output shop \\
      --config conf/embedding_notebook.yaml --set encoder=/models/bert-large-uncased

exit codes: 0 fine; 1 failed, run the same command again; 2 bad configuration, encoder or table;
            4 another embed_products.py is at work on this output, and nothing was done
"""


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="embed_products.py",
        description=__doc__,
        epilog=MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--source", required=True, metavar="TABLE",
        help="product_images: a directory (with a slash) or a name")  # fmt: skip
    add("--output", required=True, metavar="DIR_OR_SCHEMA",
        help="where tag_catalog.py has written its tables")  # fmt: skip
    add("--config", metavar="FILE", help="YAML; its keys are explained in conf/embedding.yaml")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="stronger than the file")
    add("--without-similar", action="store_true", help="leave similar_products as it is")
    add("--run-id", metavar="ID", help="what run_id in the rows says (default: a new one)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    return carried_out("embed_products", lambda: embed(options))


def embed(options: argparse.Namespace) -> int:
    config = load_section(EmbeddingConfig, options.config, options.set)
    source, output = parse_table(options.source), parse_output(options.output)
    if config.encoder != PACKAGED and os.path.isdir(config.encoder):
        # Executors have other working directories.
        config = config.model_copy(update={"encoder": os.path.abspath(config.encoder)})
    folder = local_folder(config.encoder, config.allow_hub)
    check_encoder(folder)
    digest = encoder_digest(folder)
    if config.index == "hnsw" and find_spec("faiss") is None:
        raise ConfigError(
            "index: hnsw wants faiss, here and on every executor: pip install faiss-cpu; or give "
            "index: exact"
        )
    started = time.monotonic()
    spark = build_session("embed_products")
    try:
        images = open_source(spark, source).read(spark)
        garments = garments_of(spark, output)
        create_views(spark, output, garments, Publication(temporary=True))
        products = product_texts(images, spark.table("product_attributes"), config.template)
        done = refresh_embeddings(
            spark, products, output, config, digest, options.run_id or uuid.uuid4().hex,
            with_similar=not options.without_similar,
        )  # fmt: skip
    finally:
        stop_session(spark)
    similar = "as they were" if done.similar_rows is None else f"{done.similar_rows} rows"
    print(
        f"Embedded with {done.embedder}\n"
        f"      {done.products} products with {done.distinct_texts} distinct texts, "
        f"{done.new_texts} of them new, {done.changed_products} products written, "
        f"{done.deleted_products} removed, similar products {similar}, "
        f"{time.monotonic() - started:.1f} s\n"
        f"      Tables     {output.text}/ product_embeddings, similar_products"
    )
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
