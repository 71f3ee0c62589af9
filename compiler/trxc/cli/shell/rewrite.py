"""Files of the user that are given new content."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from .output import reason
from .status import CommandError


def rewrite(path: Path, content: bytes) -> None:
    """Give a file that is there new content, whole or not at all; its permissions stay, and a link stays a link.

    Raises :class:`CommandError`, and leaves the file as it was.
    """
    try:
        target = path.resolve(strict=True)
        if not os.access(target, os.W_OK):  # which a new file in its place would not ask
            raise PermissionError(13, "it is read-only")
        _replace(target, content)
    except OSError as error:
        raise CommandError(f"cannot write `{path}`: {reason(error)}") from None


def _replace(target: Path, content: bytes) -> None:
    before = target.stat()
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if hasattr(os, "chown"):
            with contextlib.suppress(OSError):  # only its owner's group, or root, may
                os.chown(name, before.st_uid, before.st_gid)
        Path(name).chmod(before.st_mode & 0o7777)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
