#!/usr/bin/env bash
# A second environment for the benchmark's peers: everything of .venv, and benchmarks/requirements.txt.
# Nothing is installed into .venv, and nothing here may stand before a package of it.
set -euo pipefail
cd "$(dirname "$0")/.."

VENV="$(cd "${VENV:-.venv}" && pwd)"
PEERS="${PEERS:-.venv-benchmark}"
STAMP="$PEERS/setup.stamp"
REQUIREMENTS=benchmarks/requirements.txt

digest() { { cat "$REQUIREMENTS" benchmarks/setup.sh; echo "$VENV $PWD"; } | sha256sum | cut -d' ' -f1; }
[ "$(cat "$STAMP" 2>/dev/null || true)" != "$(digest)" ] || exit 0

echo "benchmark environment in $PEERS (the first time a minute or two)"
[ -x "$PEERS/bin/python" ] || "$VENV/bin/python" -m venv --without-pip "$PEERS"
folder="$("$PEERS/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
main="$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
# Spark's and Ray's workers start this Python too: a path file reaches them, a variable might not.
printf '%s\n%s\n' "$main" "$PWD" > "$folder/jeans_udf_environment.pth"
"$VENV/bin/python" -m pip --python "$PEERS/bin/python" install --disable-pip-version-check \
    --quiet --no-deps -r "$REQUIREMENTS"
# Delta's jars are looked for beside the Python that runs.
mkdir -p "$PEERS/share"
ln -sfn "$VENV/share/jeans_udf" "$PEERS/share/jeans_udf"
"$PEERS/bin/python" - "$folder" "$main" <<'PYTHON'
import sys
from importlib.metadata import distributions

own, main = ({d.metadata["Name"].lower(): d.version for d in distributions(path=[p])}
             for p in sys.argv[1:])
shadowed = sorted(set(own) & set(main))
if shadowed:
    sys.exit(f"benchmark setup: {', '.join(shadowed)} would stand before .venv's; take them out of "
             "benchmarks/requirements.txt and remove .venv-benchmark")
PYTHON
digest > "$STAMP"
