"""The texts that an editor has open, and the project around them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..elaborate.body import Body
from ..resolve import Standard
from ..resolve.library import read_file
from ..resources import stdlib_folder
from ..syntax.parse import MAX_CHARACTERS
from .analysis import Analysis, allow_deep_trees
from .edits import Change, History, between
from .index import Application, Index, Place, Seen
from .positions import Lines
from .reading import Earlier, Reading, home_of, read

MAX_PROJECT_FILES = 500
"""Files of the folders of a project that are searched for names."""

_HIDDEN = ("node_modules", "__pycache__")


@dataclass
class _Snapshot:
    """An index of an older version, and what has changed since."""

    version: int
    index: Index
    since: History = field(default_factory=History)


class Document:
    """One text: its newest version, and what was found out about this one or older ones."""

    def __init__(self, name: str, text: str, version: int, path: Path | None, workspace: Workspace) -> None:
        self.name, self.text, self.version, self.path = name, text, version, path
        self.workspace = workspace
        self.earlier = Earlier()
        self._reading: Reading | None = None
        self._latest: _Snapshot | None = None
        self._good: _Snapshot | None = None
        self._log: list[tuple[int, Change]] = []
        self.analysis: Analysis | None = None

    @property
    def reading(self) -> Reading:
        """The newest version, read."""
        if self._reading is None:
            self._reading = self.workspace.read(self)
        return self._reading

    @property
    def lines(self) -> Lines:
        """The lines of the newest version."""
        return self.reading.lines

    def change(self, changes: Iterable[Change], version: int) -> None:
        """Makes the next version. The changes come one after another, each in the text that the one before left."""
        for change in changes:
            self.text = change.apply(self.text)
            self._log.append((version, change))
            for snapshot in self._snapshots():
                snapshot.since.add(change)
        self.version, self._reading = version, None

    def replace(self, text: str, version: int) -> None:
        """Makes the next version out of a whole text."""
        self.change([between(self.text, text)], version)

    def adopt(self, analysis: Analysis) -> bool:
        """Takes what was found out about a version; False where something newer is known already."""
        if self.analysis is not None and analysis.version < self.analysis.version:
            return False
        if self.analysis is not None and self.analysis.reading is not analysis.reading:
            self.analysis.reading.give_way(analysis.reading)
        self.analysis = analysis
        self._log = [(version, change) for version, change in self._log if version > analysis.version]
        if not analysis.index.empty:
            snapshot = _Snapshot(analysis.version, analysis.index)
            for _, change in self._log:
                snapshot.since.add(change)
            self._latest = snapshot
            if not analysis.failed:
                self._good = snapshot
        return True

    def refresh(self) -> None:
        """Forgets what was read, for a file that it uses has changed."""
        self._reading = None

    # ------------------------------------------------------------------ facts

    def value(self, start: int, end: int) -> Seen | None:
        """What stands between two offsets is worth, as far as an elaboration has got there."""
        for index, place in self._earlier(start, end):
            found = index.value(*place)
            if found is not None:
                return found
        return None

    def application(self, start: int, end: int) -> Application | None:
        """What the layer between two offsets is applied to."""
        for index, place in self._earlier(start, end):
            found = index.application(*place)
            if found is not None:
                return found
        return None

    def body(self, item: str) -> Body | None:
        """The elaborated body of an item."""
        found = (snapshot.index.body(item) for snapshot in self._snapshots())
        return next((body for body in found if body is not None), None)

    def _earlier(self, start: int, end: int) -> Iterator[tuple[Index, Place]]:
        for snapshot in self._snapshots():
            place = snapshot.since.earlier(start, end)
            if place is not None:
                yield snapshot.index, place

    def _snapshots(self) -> list[_Snapshot]:
        both = [self._latest, self._good if self._good is not self._latest else None]
        return [snapshot for snapshot in both if snapshot is not None]


class Workspace:
    """All open documents by their names (URIs, for a server), and the folders of the project."""

    def __init__(self, folders: Iterable[Path] = ()) -> None:
        allow_deep_trees()
        self.folders = [folder.resolve() for folder in folders]
        self.documents: dict[str, Document] = {}
        self.standard = Standard()
        self._closed: dict[Path, tuple[tuple[int, int], Document]] = {}

    def open(self, name: str, text: str, version: int = 0, path: Path | None = None) -> Document:
        """Opens a text; with a path, it is that file, which others may use."""
        document = Document(name, text, version, path.resolve() if path else None, self)
        self.documents[name] = document
        return document

    def close(self, name: str) -> None:
        """Closes a text."""
        self.documents.pop(name, None)

    def read(self, document: Document) -> Reading:
        """Reads a document's newest version, anew."""
        shown = document.path.name if document.path else document.name
        return read(
            shown, document.text, document.path, standard=self.standard, open_file=self._text_of,
            earlier=document.earlier,
        )  # fmt: skip

    def _text_of(self, path: Path) -> str:
        opened = next((d for d in list(self.documents.values()) if d.path == path), None)
        return opened.text if opened is not None else read_file(path)

    # ---------------------------------------------------------------- project

    def at(self, home: str) -> Document | None:
        """The document of a symbol's home: open, or read from the disk; None where there is none."""
        path = stdlib_folder() / home.removeprefix("std/") if home.startswith("std/") else Path(home)
        for document in self.documents.values():
            if (document.path is not None and home_of(document.path) == home) or document.name == home:
                return document
        return self._from_disk(path) if path.is_absolute() else None

    def project(self) -> Iterator[Document]:
        """The open documents, then the project's other files."""
        yield from list(self.documents.values())
        known = {document.path for document in self.documents.values()}
        for path in self._files():
            document = self._from_disk(path) if path not in known else None
            if document is not None:
                yield document

    def _files(self) -> list[Path]:
        found: list[Path] = []
        waiting = list(self.folders)
        while waiting and len(found) < MAX_PROJECT_FILES:
            try:
                entries = sorted(waiting.pop().iterdir())
            except OSError:
                continue
            found.extend(entry for entry in entries if entry.suffix == ".trx" and entry.is_file())
            waiting.extend(e for e in entries if e.is_dir() and not e.is_symlink() and not _is_hidden(e))
        return found[:MAX_PROJECT_FILES]

    def _from_disk(self, path: Path) -> Document | None:
        try:
            stat = path.stat()
            stamp = stat.st_mtime_ns, stat.st_size
            known = self._closed.get(path)
            if known is None or known[0] != stamp:
                text = read_file(path)
                self._closed[path] = stamp, Document(path.as_uri(), text[:MAX_CHARACTERS], 0, path, self)
        except (OSError, UnicodeDecodeError):
            return None
        return self._closed[path][1]


def _is_hidden(folder: Path) -> bool:
    return folder.name.startswith(".") or folder.name in _HIDDEN
