"""A project's files: the only ones that data may come from, found and read within bounds.

A recipe may come from a stranger, so that every path is relative to the project's folder and stays inside it,
symbolic links included, and nothing is read that is larger than the bounds below.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath, PureWindowsPath

from .columns import Array
from .errors import DataError, nearest

MAX_BYTES = 8 << 30
"""The most that one file, or all files of one source, may hold once unpacked."""
MAX_FILES = 200_000
"""The most files that one pattern may match."""


@dataclass(frozen=True)
class Project:
    """Where a recipe's data come from: its folder, and arrays handed over; ``cache`` keeps what is slow to remake."""

    root: Path
    cache: Path | None = None
    arrays: Mapping[str, Array] = field(default_factory=dict[str, Array])

    def file(self, path: str) -> Path:
        """The file at ``path`` under the project's folder; :class:`DataError` if it is outside, or not there."""
        found = self._inside(self.root / _relative(path), path)
        if not found.is_file():
            siblings = islice(found.parent.iterdir(), MAX_FILES) if found.parent.is_dir() else ()
            near = nearest(found.name, (sibling.name for sibling in siblings))
            kind = "is a folder, not a file" if found.is_dir() else "does not exist"
            raise DataError(f'"{path}" {kind}', *near, f"paths are relative to {self.root}")
        return found

    def files(self, pattern: str) -> list[Path]:
        """The files that match ``pattern``, sorted; :class:`DataError` if there is none, or if one is outside."""
        relative = _relative(pattern)
        if not any(char in pattern for char in "*?["):
            return [self.file(pattern)]
        if relative.parts.count("**") > 1:
            raise DataError(f'"{pattern}" has more than one `**`', "each would search all folders again")
        try:
            matches = list(islice(self.root.glob(str(relative)), MAX_FILES + 1))
        except (ValueError, NotImplementedError) as error:
            raise DataError(f'"{pattern}" is no pattern of file names: {error}') from None
        if len(matches) > MAX_FILES:
            raise DataError(f'"{pattern}" matches more than {MAX_FILES:,} files')
        found = [self._inside(match, pattern) for match in sorted(matches) if match.is_file()]
        if not found:
            raise DataError(f'no file matches "{pattern}"', f"paths are relative to {self.root}")
        return found

    def _inside(self, path: Path, written: str) -> Path:
        try:
            resolved = path.resolve()
        except (OSError, ValueError, RuntimeError) as error:
            raise DataError(f'"{written}" cannot be read: {_reason(error)}') from None
        if not resolved.is_relative_to(self.root.resolve()):
            raise _outside(written)
        return resolved


def _relative(path: str) -> PurePosixPath:
    relative = PurePosixPath(path)
    if relative.is_absolute() or PureWindowsPath(path).is_absolute() or PureWindowsPath(path).drive:
        raise _outside(path)
    if ".." in relative.parts or not relative.parts or "\0" in path:
        raise _outside(path)
    return relative


def _outside(path: str) -> DataError:
    hint = "data are read only from the folder of the `.trx` file and those in it; copy them there"
    return DataError(f"{path!r} leads outside the project", hint)


def read_bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    """A file's contents, unpacked if its name ends in ``.gz``; :class:`DataError` if unreadable or too large."""
    try:
        if path.suffix == ".gz":
            with gzip.open(path) as packed:
                content = packed.read(limit + 1)
        else:
            with path.open("rb") as plain:
                content = plain.read(min(limit, path.stat().st_size) + 1)
    except (OSError, EOFError, zlib.error, MemoryError) as error:
        raise DataError(f"{path.name} cannot be read: {_reason(error)}") from None
    if len(content) > limit:
        raise DataError(f"{path.name} holds more than {limit:,} bytes")
    return content


def read_text(path: Path, limit: int = MAX_BYTES) -> str:
    """A UTF-8 file's text, without a byte order mark; :class:`DataError` naming the byte that is not UTF-8."""
    content = read_bytes(path, limit)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        byte = f"byte {error.start} is 0x{content[error.start]:02x}"
        raise DataError(f"{path.name} is not UTF-8 text: {byte}", "convert it to UTF-8, or leave it out") from None


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
