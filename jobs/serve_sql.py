"""Serve a tagged catalog's tables and views over JDBC and ODBC, by Spark's Thrift server."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace

from pyspark.sql import SparkSession

from jeans_udf import tables
from jeans_udf.errors import EXIT_OK, ConfigError, carried_out
from jeans_udf.session import build_session, stop_session
from jeans_udf.table_names import Output, parse_output
from jeans_udf.views.publishing import create_views, garments_of, remembered

MORE = """\
Whatever speaks to HiveServer2 can connect: beeline, DBeaver, Tableau, Power BI, PyHive. Tables and
views have their plain names, whether the output is a directory or a schema:

  beeline -u jdbc:hive2://127.0.0.1:10000/ -e "SELECT wash, count(*) FROM garments GROUP BY wash"

Only this machine can connect (--host 127.0.0.1) and nobody is asked for a password: before other
machines may, set Spark's authentication (hive.server2.authentication) with --conf. Whoever connects
may read and change all that this process may: start it as a user who can only read the output.

examples:
  python jobs/serve_sql.py --output ./catalog/tags
  python jobs/serve_sql.py --output shop --port 10001

exit codes: 0 stopped by Ctrl-C or SIGTERM; 1 failed; 2 bad table or port, nothing was started
"""

NAMES = (
    "image_status", "garments", "garment_crops", "tagging_runs", "attribute_overrides",
    "image_detections", "product_embeddings", "product_token_embeddings", "similar_products",
    "product_images",
)  # fmt: skip


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="serve_sql.py",
        description=__doc__,
        epilog=MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--output", required=True, metavar="DIR_OR_SCHEMA",
        help="where tag_catalog.py has written its tables")  # fmt: skip
    add("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    add("--port", type=int, default=10000, help="port to listen on (default 10000)")
    add("--conf", action="append", default=[], metavar="KEY=VALUE",
        help="a setting of the server, as hive.server2.authentication=LDAP")  # fmt: skip
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    return carried_out("serve_sql", lambda: serve(options))


def serve(options: argparse.Namespace) -> int:
    output = parse_output(options.output)
    if not 0 < options.port < 65536:
        raise ConfigError(f"--port {options.port}: wanted 1 to 65535")
    server = {
        "hive.server2.thrift.bind.host": options.host,
        "hive.server2.thrift.port": str(options.port),
    }
    for text in options.conf:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--conf {text!r}: wanted key=value")
        server[key] = value
    settings = {f"spark.hadoop.{key}": value for key, value in server.items()}
    # Clients see the names that are made here only in the same session.
    settings["spark.sql.hive.thriftServer.singleSession"] = "true"
    settings |= tables.PICTURES
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    spark = build_session("serve_sql", settings)
    try:
        names = name_tables(spark, output)
        started = start_server(spark)
        print(f"jdbc:hive2://{options.host}:{options.port}/ serves {', '.join(names)}", flush=True)
        over.wait()
        started.stop()
    finally:
        stop_session(spark)
    return EXIT_OK


def name_tables(spark: SparkSession, output: Output) -> list[str]:
    """Give tables and views their plain names in the session."""
    garments = garments_of(spark, output)
    names = [name for name in NAMES if tables.table_exists(spark, output.table(name))]
    for name in names:
        # By statement, not from a frame: each query then sees the table as it is by then.
        rows = f"SELECT * FROM {output.table(name).sql}"
        spark.sql(f"CREATE OR REPLACE TEMPORARY VIEW {name} AS {rows}")
    # As they were published: with their threshold, and what model_diff compares with.
    publication = replace(remembered(spark, output), temporary=True)
    return names + create_views(spark, output, garments, publication)


def start_server(spark: SparkSession):  # type: ignore[no-untyped-def]
    """Spark's Thrift server within this session's driver."""
    server = spark._jvm.org.apache.spark.sql.hive.thriftserver.HiveThriftServer2
    return server.startWithContext(spark._jsparkSession.sqlContext())


if __name__ == "__main__":
    sys.exit(main())
