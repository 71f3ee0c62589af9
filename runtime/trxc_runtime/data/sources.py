"""Sources of text."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .columns import Strings
from .errors import DataError
from .project import MAX_BYTES, Project, read_text
from .stage import Source
from .table import Table

_NOT_LIBRARY = {"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__"}


@dataclass(frozen=True)
class Text(Source):
    """Documents, one a file that matches ``path``. Yields ``text``."""

    path: str

    def load(self, project: Project) -> Table:
        documents: list[str] = []
        left = MAX_BYTES
        for path in project.files(self.path):
            documents.append(read_text(path, left))
            left -= len(documents[-1])
        if not any(document.strip() for document in documents):
            raise DataError(f'"{self.path}" holds no text: {_counted(documents, "file")}, all empty')
        return Table({"text": Strings(documents)})


@dataclass(frozen=True)
class PythonSource(Source):
    """The running Python's own standard library, one document a file, sorted by path. Yields ``text``.

    Its tests are left out, and so is what is not UTF-8. With ``limit_bytes`` it is the first files that fit.
    """

    limit_bytes: int | None = None

    def load(self, project: Project) -> Table:
        del project
        documents = list(self._documents())
        if not documents:
            raise DataError(
                "this Python has no sources of its standard library within the limit", "raise `limit_bytes`"
            )
        return Table({"text": Strings(documents)})

    def _documents(self) -> Iterator[str]:
        left = MAX_BYTES if self.limit_bytes is None else self.limit_bytes
        for path in _library_files():
            size = path.stat().st_size
            if size > left:
                return
            try:
                document = path.read_text(encoding="utf-8")
            except (UnicodeDecodeError, OSError):
                continue
            if document:
                left -= size
                yield document


@dataclass(frozen=True)
class Lines(Source):
    """Examples, one a line of the files that match ``path``; empty lines are left out. Yields ``text``."""

    path: str

    def load(self, project: Project) -> Table:
        lines = [line for path in project.files(self.path) for line in _lines(path) if line.strip()]
        if not lines:
            raise DataError(f'"{self.path}" holds no text')
        return Table({"text": Strings(lines)})


@dataclass(frozen=True)
class Parallel(Source):
    """Pairs of lines, line ``n`` of one file with line ``n`` of the other. Yields ``source`` and ``target``."""

    source: str
    target: str

    def load(self, project: Project) -> Table:
        sources, targets = (list(_lines(project.file(path))) for path in (self.source, self.target))
        if len(sources) != len(targets):
            raise DataError(f'"{self.source}" has {len(sources)} lines, "{self.target}" {len(targets)}')
        if not sources:
            raise DataError(f'"{self.source}" and "{self.target}" hold no text')
        return Table({"source": Strings(sources), "target": Strings(targets)})


def _lines(path: Path) -> Sequence[str]:
    """A file's lines without their ends; only line feeds (and the carriage returns before them) end one."""
    lines = read_text(path).split("\n")
    return [line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1])]


def _library_files() -> list[Path]:
    library = Path(sysconfig.get_paths()["stdlib"])
    found: list[Path] = []
    for folder, inner, files in os.walk(library):
        inner[:] = [name for name in inner if name not in _NOT_LIBRARY]
        found += [Path(folder, name) for name in files if name.endswith(".py")]
    return sorted(found)


def _counted(things: Sequence[object], noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"
