#!/bin/bash
# Init script of every node: the package and what it needs, beside the runtime's Spark and Delta.
set -euo pipefail

pip=/databricks/python/bin/pip
files="${JEANS_UDF_FILES:?databricks.yml sets it to the folder of the deployed files}"

# Not from the package's own metadata: that names pyspark and delta-spark, which the runtime has.
"$pip" install --quiet -r "$files/deploy/databricks/requirements.txt"
# A copy: pip builds within the folder that it is given.
source="$(mktemp -d)"
for part in setup.py pyproject.toml MANIFEST.in LICENSE THIRD_PARTY_NOTICES.md jeans_udf jobs conf; do
    cp -r "$files/$part" "$source"
done
"$pip" install --quiet --no-deps "$source"
rm -rf "$source"
