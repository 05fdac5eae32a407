#!/bin/bash
# Init script of every node: the package and what it needs, beside the runtime's Spark and Delta.
set -euo pipefail

pip=/databricks/python/bin/pip
files="${JEANS_UDF_FILES:?databricks.yml sets it to the folder of the deployed files}"

# Not from the package's own metadata: that names pyspark and delta-spark, which the runtime has.
"$pip" install --quiet -r "$files/deploy/databricks/requirements.txt"
# A copy: pip builds within the folder that it is given.
source="$(mktemp -d)"
cp -r "$files/setup.py" "$files/pyproject.toml" "$files/jeans_udf" "$source"
"$pip" install --quiet --no-deps "$source"
rm -rf "$source"
