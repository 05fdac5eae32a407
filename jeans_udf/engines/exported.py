"""Models exported for an engine, kept on disk by what they were made from.

The folder is ``$XDG_CACHE_HOME/jeans_udf/engines`` (else ``~/.cache/…``), or one of this user in
the system's folder for temporary files where there is no such home, as on some executors. A file
appears whole or not at all: several workers of a machine may export the same part at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

KEPT_SECONDS = 30 * 86_400
FORMAT = 1
"""To be raised when parts are cut otherwise: what older code has kept is not read then."""


class Exported:
    """Folders of exported parts of one model.

    ``model`` is a digest of all that the model is made from (its bundle's), ``engine`` the engine's
    name and version and whatever else the exported form depends on.
    """

    def __init__(self, model: str, engine: Sequence[str]) -> None:
        text = "\0".join((str(FORMAT), model, *engine))
        self.key = hashlib.sha256(text.encode()).hexdigest()[:32]

    def folder(self, part: str, export: Callable[[Path], None]) -> Path:
        """Where the exported ``part`` lies; ``export(folder)`` writes it if it is not there."""
        home = cache_folder()
        wanted = home / self.key / part
        if wanted.is_dir():
            os.utime(wanted.parent)
            return wanted
        _forget_unused(home)
        wanted.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{part}-", dir=wanted.parent))
        try:
            export(draft)
            draft.rename(wanted)
        except OSError:
            # Another worker was first.
            if not wanted.is_dir():
                raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return wanted

    def forget(self, part: str) -> None:
        """Remove an exported part that cannot be read."""
        shutil.rmtree(cache_folder() / self.key / part, ignore_errors=True)


def _forget_unused(home: Path) -> None:
    """Remove models that nobody has opened for `KEPT_SECONDS`: every bundle leaves one."""
    for model in home.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - model.stat().st_mtime > KEPT_SECONDS:
                shutil.rmtree(model, ignore_errors=True)


def cache_folder() -> Path:
    """This user's folder for exported models; made if it is not there."""
    home = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    folder = Path(home) / "jeans_udf" / "engines"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    shared = Path(tempfile.gettempdir()) / f"jeans_udf-{os.getuid()}"
    shared.mkdir(mode=0o700, exist_ok=True)
    # Anyone may write to the folder above: whoever made this one could change our models.
    found = shared.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        return Path(tempfile.mkdtemp(prefix="jeans_udf-"))
    return shared
