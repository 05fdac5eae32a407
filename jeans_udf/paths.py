"""Image files that a row of the source names by path, and nothing else on the machine.

A path is data from outside. It is resolved first (``..``, links, a ``file:`` URL's percent
escapes) and must then lie below one of the declared roots; the file is opened folder by folder
from that root without following links, so that a link put in place meanwhile leads nowhere.
A hard link is a file like any other: who may write below a root decides what it holds.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from urllib.parse import unquote

from jeans_udf.config import ImageLimits
from jeans_udf.errors import Rejected

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_PASS_THROUGH = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Not blocking: opening a named pipe without a writer would otherwise never return.
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC


def read_image_file(path: str, limits: ImageLimits) -> bytes:
    """The bytes of the regular file at ``path``, if it lies below one of ``limits.roots``.

    ``path`` is absolute, a ``file:`` URL, or relative to the first root. Percent escapes are
    undone in URLs only, once. Raises `Rejected`: `forbidden_path` for what the rules refuse
    (outside the roots, another scheme, a folder, pipe or device), `missing_file` for what the
    machine cannot give (not there, no permission, a failing disk), `too_many_bytes` without
    reading further than ``limits.max_bytes``. No detail holds the path, which may carry a secret
    such as a signed URL's, or anything of the file.
    """
    if not limits.roots:
        raise Rejected("forbidden_path", "no folder may be read; declare images.roots")
    roots = [os.path.realpath(root) for root in limits.roots]
    root, parts = _below_a_root(_local_path(path), roots)
    try:
        descriptor = _open_regular(root, parts)
        with open(descriptor, "rb") as file:
            # Told by reading, not by the size alone: a file may grow, and some state no size.
            data = file.read(limits.max_bytes + 1)
    except OSError as error:
        raise Rejected("missing_file", f"cannot be read: {error.strerror}") from None
    if len(data) > limits.max_bytes:
        raise Rejected("too_many_bytes", f"a file above images.max_bytes={limits.max_bytes}")
    return data


def _local_path(text: str) -> str:
    """The path on this machine that ``text`` means; not resolved yet."""
    if not text:
        raise Rejected("missing_file", "the path is empty")
    scheme = _SCHEME.match(text)
    if scheme is None:
        path = text
    elif scheme[1].lower() == "file":
        path = _path_of_url(text[scheme.end() :])
    else:
        raise Rejected(
            "forbidden_path",
            "a URL: only local files are read (a file name with a colon is written ./name)",
        )
    try:
        encoded = os.fsencode(path)
    except UnicodeEncodeError:
        raise Rejected("forbidden_path", "the path is not valid text") from None
    if b"\0" in encoded:
        raise Rejected("forbidden_path", "the path holds a NUL byte")
    return path


def _path_of_url(rest: str) -> str:
    """``/dir/name`` of ``/dir/name``, ``///dir/name`` or ``//localhost/dir/name``.

    ``?`` and ``#`` stay part of the name: Spark writes them unescaped, and a file has no query.
    """
    host = ""
    if rest.startswith("//"):
        host, slash, rest = rest[2:].partition("/")
        rest = slash + rest
    if host not in ("", "localhost") or not rest.startswith("/"):
        raise Rejected("forbidden_path", "a file: URL of another machine, or without a path")
    return unquote(rest, errors="surrogateescape")


def _below_a_root(path: str, roots: Sequence[str]) -> tuple[str, list[str]]:
    """The root that ``path`` lies in once resolved, and the names that lead there from it."""
    real = os.path.realpath(os.path.join(roots[0], path))
    for root in roots:
        if os.path.commonpath((root, real)) == root:
            parts = os.path.relpath(real, root).split(os.sep)
            return root, parts
    # The same answer whether or not it exists, so that rows cannot explore the machine.
    raise Rejected("forbidden_path", "outside images.roots")


def _open_regular(root: str, parts: Sequence[str]) -> int:
    """A descriptor of the regular file; raises OSError, or `Rejected` for anything else."""
    folder = os.open(root, _PASS_THROUGH)
    try:
        for name in parts[:-1]:
            inner = os.open(name, _PASS_THROUGH, dir_fd=folder)
            os.close(folder)
            folder = inner
        # Looked at before it is opened: opening alone can set a device going.
        _check_regular(os.stat(parts[-1], dir_fd=folder, follow_symlinks=False))
        descriptor = os.open(parts[-1], _READ, dir_fd=folder)
    finally:
        os.close(folder)
    try:
        _check_regular(os.fstat(descriptor))
    except Rejected:
        os.close(descriptor)
        raise
    return descriptor


def _check_regular(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise Rejected("forbidden_path", "a folder, link, pipe or device, not a regular file")
