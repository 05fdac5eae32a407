"""JSON files that every reader takes: NaN, which is no JSON, is null."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def write_json(file: Path, values: Mapping[str, Any]) -> None:
    """Write ``values`` in one rename: a crash leaves the old file or the new one."""
    fresh = file.with_name(file.name + ".new")
    fresh.write_text(json_text(values, indent=1) + "\n", encoding="utf-8")
    fresh.replace(file)


def json_text(values: Any, indent: int | None = None) -> str:
    """``values`` as strict JSON; numbers that cannot be told are null."""
    return json.dumps(_strict(values), indent=indent, allow_nan=False)


def _strict(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _strict(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_strict(inner) for inner in value]
    return value
