"""Fetch Delta's jars once, through Spark's own Ivy, into a folder of the environment.

A session started with `spark.jars.packages` asks the package repositories again at every start: it
needs the network and logs each look-up that fails behind a firewall. Local jars need neither;
`jeans_udf.session` looks for them in this folder.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

REPOSITORY_ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY_ROOT))  # setup runs this before the project itself is installed

from jeans_udf.session import DEFAULT_JAR_FOLDER, delta_jars  # noqa: E402


def resolve(folder: Path) -> list[Path]:
    """Start a throw-away session that makes Ivy fetch the jars, and keep the jars in `folder`."""
    from delta import configure_spark_with_delta_pip
    from pyspark.sql import SparkSession

    with tempfile.TemporaryDirectory(prefix="jeans-ivy-") as ivy:
        builder = SparkSession.builder.master("local[1]").appName("resolve-jars")
        # An Ivy folder of our own: what else the user's ~/.ivy2 holds stays off the class path.
        builder = builder.config("spark.jars.ivy", ivy).config("spark.ui.enabled", "false")
        for key in ("spark.driver.host", "spark.driver.bindAddress"):
            builder = builder.config(key, "127.0.0.1")
        configure_spark_with_delta_pip(builder).getOrCreate().stop()
        found = sorted((Path(ivy) / "jars").glob("*.jar"))
        # Filled beside the target and moved whole: an interrupted setup leaves no half a folder.
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for jar in found:
            shutil.copy2(jar, partial / jar.name)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return sorted(folder.glob("*.jar"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=DEFAULT_JAR_FOLDER, help="folder of the jars")
    folder: Path = parser.parse_args().to
    jars = delta_jars(folder)
    if jars:
        print(f"Delta's jars are already in {folder}: {len(jars)} files")
        return 0
    try:
        resolve(folder)
    except Exception as error:  # Ivy fails in many kinds, all with the same next step
        print(
            f"Delta's jars could not be fetched into {folder}: {type(error).__name__}. Wanted: "
            "Maven Central reachable. Next: check the network, then run make setup again.",
            file=sys.stderr,
        )
        return 1
    jars = delta_jars(folder)
    if not jars:
        print(f"Ivy left no delta-spark in {folder}; remove it, run make setup.", file=sys.stderr)
        return 1
    print(f"Delta's jars: {len(jars)} files in {folder}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
