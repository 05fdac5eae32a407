#!/usr/bin/env bash
# Builds the environment of this checkout. Ends at once when nothing it depends on has changed.
set -euo pipefail
cd "$(dirname "$0")/.."

VENV="${VENV:-.venv}"
STAMP="$VENV/share/jeans_udf/setup.stamp"
MINIMUM_JAVA=17
# Not the newest: pip 26 refuses Detectron2's source package, one of whose extras names a URL.
PIP=23.2.1
STEPS=6
step=0

fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }
begin() { step=$((step + 1)); started=$SECONDS; printf '[%d/%d] %s\n' "$step" "$STEPS" "$1"; }
finish() { printf '      done, %d s\n' "$((SECONDS - started))"; }

digest() {
    cat requirements.lock setup.py scripts/setup.sh scripts/build_detectron2.py scripts/resolve_jars.py \
        | sha256sum | cut -d' ' -f1
}

java_command() {
    if [ -n "${JAVA_HOME:-}" ]; then echo "$JAVA_HOME/bin/java"; else command -v java || true; fi
}

java_version() {  # major number, or 0 where no Java runs
    local java version
    java="$(java_command)"
    [ -n "$java" ] || { echo 0; return; }
    version="$("$java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -1)"
    echo "${version:-0}"
}

if [ "$(cat "$STAMP" 2>/dev/null || true)" = "$(digest)" ]; then
    # The stamp speaks for files only; Java may have left the machine since.
    [ "$(java_version)" -ge "$MINIMUM_JAVA" ] && exit 0
fi

begin "Python 3.11 environment in $VENV"
if [ ! -x "$VENV/bin/python" ]; then
    python="${PYTHON:-$(command -v python3.11 || true)}"
    [ -n "$python" ] || fail "python3.11 is not on the PATH. Install it (Debian/Ubuntu: python3.11 and" \
        "python3.11-venv; or pyenv install 3.11), or name one with PYTHON=/path/to/python3.11 make setup."
    "$python" -m venv "$VENV" || fail "$python could not make a venv in $VENV; on Debian/Ubuntu install python3.11-venv."
fi
found="$("$VENV/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
case "$found" in 3.11|3.12) ;; *) fail "$VENV holds Python $found; wanted 3.11 or 3.12. Remove $VENV and run make setup." ;; esac
if [ "$("$VENV/bin/python" -c 'import pip; print(pip.__version__)')" != "$PIP" ]; then
    "$VENV/bin/python" -m pip install --disable-pip-version-check --quiet "pip==$PIP"
fi
finish

begin "Java $MINIMUM_JAVA or newer (Spark runs on it)"
if [ "$(java_version)" -lt "$MINIMUM_JAVA" ]; then
    [ -z "${JAVA_HOME:-}" ] || fail "JAVA_HOME=$JAVA_HOME holds Java $(java_version) (0 = none runs); wanted" \
        "$MINIMUM_JAVA or newer. Point JAVA_HOME at one, or unset it to use the java on the PATH."
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq && apt-get install -y -qq --no-install-recommends openjdk-17-jre-headless
    fi
    [ "$(java_version)" -ge "$MINIMUM_JAVA" ] || fail "no Java $MINIMUM_JAVA was found. Install a JRE" \
        "(Debian/Ubuntu: openjdk-17-jre-headless; macOS: brew install openjdk@17) and run make setup again."
fi
finish

begin "Python packages of requirements.lock (the first time some minutes)"
# Source packages are built with the lock's own setuptools and wheel, so those come first.
tools="$(grep -E '^(setuptools|wheel)==' requirements.lock)"
# shellcheck disable=SC2086
"$VENV/bin/python" -m pip install --disable-pip-version-check --quiet --no-deps $tools
"$VENV/bin/python" -m pip install --disable-pip-version-check --no-deps --no-build-isolation \
    -r requirements.lock | { grep -v '^Requirement already satisfied' || true; }
finish

begin "Detectron2, a pure-Python wheel of its v0.6"
"$VENV/bin/python" scripts/build_detectron2.py || fail "Detectron2 is missing; the lines above say why."
finish

begin "this project, editable"
"$VENV/bin/python" -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
finish

begin "Delta's jars for Spark"
mkdir -p "$(dirname "$STAMP")"
log="$VENV/share/jeans_udf/jars.log"
"$VENV/bin/python" scripts/resolve_jars.py 2>"$log" || { tail -n 5 "$log" >&2; fail "the whole log is in $log."; }
finish

digest > "$STAMP"
printf 'ready in %d s\n' "$SECONDS"
