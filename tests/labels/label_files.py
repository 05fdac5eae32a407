"""Label files for tests, written as people write them."""

from __future__ import annotations

from pathlib import Path

from jeans_udf.labels.labelled import LabelFile
from jeans_udf.vocabulary import parse_vocabulary

VOCABULARY = parse_vocabulary(
    {
        "categories": ["jeans", "shorts"],
        "groups": {
            "wash": {"exclusive": True, "labels": ["light", "dark"], "applies_to": ["jeans"]},
            "fit": {"exclusive": True, "labels": ["skinny", "wide"]},
            "details": {"exclusive": False, "labels": ["cuffed", "cargo", "faded"]},
        },
    },
    "test",
)
WIDE = "file_path,annotation_id,category,wash,fit,details\n"


def write(folder: Path, content: str | bytes, name: str = "labels.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def codes(file: LabelFile) -> list[tuple[str, int]]:
    """Code and row of each fault, in order."""
    return [(fault.code, fault.row) for fault in file.faults]
