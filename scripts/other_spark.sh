#!/usr/bin/env bash
# The tests on another version of Spark: everything of .venv but pyspark and delta-spark.
#   scripts/other_spark.sh 4.0.4 4.0.1                 all tests
#   scripts/other_spark.sh 4.1.4 4.3.1 tests/views     some of them
set -euo pipefail
cd "$(dirname "$0")/.."

[ $# -ge 2 ] || { echo "usage: scripts/other_spark.sh SPARK DELTA [TESTS...]" >&2; exit 2; }
spark=$1 delta=$2
shift 2
VENV="$(cd "${VENV:-.venv}" && pwd)"
other="build/spark-$spark-delta-$delta"

[ -x "$other/bin/python" ] || "$VENV/bin/python" -m venv --without-pip "$other"
folder="$("$other/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
main="$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
# The folder itself comes first on the path, so its own two packages stand before those of .venv.
printf '%s\n%s\n' "$main" "$PWD" > "$folder/jeans_udf_environment.pth"
"$VENV/bin/python" -m pip --python "$other/bin/python" install --disable-pip-version-check --quiet \
    --no-deps --upgrade "pyspark==$spark" "delta-spark==$delta"
"$other/bin/python" scripts/resolve_jars.py
"$other/bin/python" - <<'PYTHON'
import delta, pyspark
print("pyspark", pyspark.__version__, "in", pyspark.__path__[0])
PYTHON
exec "$other/bin/python" -m pytest -q "${@:-tests}"
