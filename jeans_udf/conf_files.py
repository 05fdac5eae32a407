"""The configuration files that come with the product: ``conf`` of a checkout, or of the wheel."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
# setup.py puts the checkout's folder into the wheel, inside the package.
CONF = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parent / "conf"


def conf_file(name: str) -> str:
    """The path of ``conf/<name>``, wherever a job is started."""
    return str(CONF / name)
