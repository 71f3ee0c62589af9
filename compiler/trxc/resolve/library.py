"""Where names come from: the file's own items, what it uses, and the standard library.

A library file is only indexed (a scan for item headers); an item is parsed when something names it. So a check
pays for the part of the library that a program touches.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ..diagnostics import Diagnostic, Diagnostics, Edit, Label
from ..frozen import Frozen
from ..resources import stdlib_folder
from ..source import Source, Span
from ..syntax import ItemChunk, Trees, ast, parse, parse_item, scan_items, split_items
from ..syntax.parse import MAX_CHARACTERS

MAX_FILES = 200
METHOD = re.compile(r"^fn[ \t]+\w+\([ \t]*\w+[ \t]*:[ \t]*layer\b", re.MULTILINE)


class ItemRef(Frozen):
    """An item and the unit that it stands in; equal if it is the same item of the same file."""

    unit: Unit = field(repr=False)
    item: ast.Item = field(compare=False, repr=False)
    name: str

    @property
    def kind(self) -> str:
        """`layer`, `model`, `fn`, `const`, a record's kind, or what an extern declares."""
        item = self.item
        if isinstance(item, ast.Extern):
            return item.kind.name
        if isinstance(item, ast.Layer | ast.Record):
            return item.kind
        return type(item).__name__.lower()

    @property
    def name_span(self) -> Span:
        """Where its name stands."""
        assert not isinstance(self.item, ast.Use)
        return self.item.name.span


@dataclass(eq=False)
class Unit:
    """One file: its items by name (library items still unparsed), and what it uses."""

    source: Source
    library: bool
    diagnostics: Diagnostics
    chunks: dict[str, ItemChunk] = field(default_factory=dict[str, ItemChunk])
    items: dict[str, ItemRef] = field(default_factory=dict[str, ItemRef])
    used: dict[str, tuple[Unit, str]] = field(default_factory=dict[str, "tuple[Unit, str]"])
    spaces: dict[str, Unit] = field(default_factory=dict[str, "Unit"])
    file: ast.File | None = None

    def own(self, name: str) -> ItemRef | None:
        """The item of this name that the file itself defines."""
        if name not in self.items and name in self.chunks:
            item = parse_item(self.source, self.chunks[name], self.diagnostics)
            if item is not None and not isinstance(item, ast.Use):
                self.items[name] = ItemRef(self, item, name)
        return self.items.get(name)

    def public_names(self) -> list[str]:
        """The names that others may say: all but methods, which are reached through their layer (`table.attend`)."""
        text = self.source.text
        return [name for name, chunk in self.chunks.items() if not METHOD.search(text, chunk.start, chunk.end)]

    def names(self) -> Iterable[str]:
        """Every name that the file defines."""
        return {**self.chunks, **self.items}.keys()


@dataclass
class Standard:
    """The standard library as far as it has been read. It is the same for all programs, which may share one."""

    units: dict[str, Unit] = field(default_factory=dict[str, "Unit"])
    prelude: dict[str, str] | None = None


class Library:
    """Loads units and answers what a name means in one.

    `standard` is what other programs have read of the standard library; `read` gives the text of a file, which an
    editor has in a newer state than the disk; `trees` are those of the main file's version before.
    """

    def __init__(
        self, diagnostics: Diagnostics, root: Path | None = None, *, standard: Standard | None = None,
        read: Callable[[Path], str] | None = None, trees: Trees | None = None,
    ) -> None:  # fmt: skip
        self.diagnostics, self.root = diagnostics, root
        self._shared = standard or Standard()
        self._read = read or read_file
        self._trees = trees
        self._files: dict[Path, Unit] = {}
        self._loading: list[Path] = []

    # ------------------------------------------------------------ loading

    def program(self, source: Source, path: Path | None = None) -> Unit:
        """The unit of a user's file, parsed whole, with its `use`s followed."""
        unit = Unit(source, library=False, diagnostics=self.diagnostics)
        unit.file = parse(source, self.diagnostics, None if self._files else self._trees)
        if path is not None:
            self._files[path] = unit
            self._loading.append(path)
        for item in unit.file.items:
            if isinstance(item, ast.Use):
                self._use(unit, item)
            else:
                self._define(unit, item)
        if path is not None:
            self._loading.pop()
        return unit

    def _define(self, unit: Unit, item: ast.Const | ast.Fn | ast.Layer | ast.Extern | ast.Record) -> None:
        name = item.name.name
        if name in unit.items:
            first = unit.items[name].name_span
            self._error("TRX0302", f"`{name}` is defined twice", item.name.span, labels=((first, "first here"),))
        elif name in unit.used:
            self._error("TRX0302", f"`{name}` is already brought in by a `use`", item.name.span)
        else:
            unit.items[name] = ItemRef(unit, item, name)

    def _use(self, unit: Unit, use: ast.Use) -> None:
        target = self._file_unit(unit, use) if isinstance(use.path, str) else self._standard_unit(use)
        if target is None:
            return
        if not use.names:
            stem = Path(use.path).stem if isinstance(use.path, str) else use.path[-1]
            unit.spaces[use.alias.name if use.alias else stem] = target
            return
        for name in use.names:
            if name.name not in target.names():
                near = nearest(name.name, target.names())
                self._error("TRX0303", f"`{target.source.name}` has no `{name.name}`", name.span, helps=near)
                continue
            bound = use.alias.name if use.alias and len(use.names) == 1 else name.name
            unit.used[bound] = (target, name.name)

    def _standard_unit(self, use: ast.Use) -> Unit | None:
        path = use.path
        known = [f"std.{name}" for name in standard_modules()]
        if path[0] != "std" or len(path) != 2 or path[1] not in standard_modules():
            dotted = ".".join(path)
            self._error("TRX0303", f"there is no library `{dotted}`", use.span, helps=nearest(dotted, known))
            return None
        return self.standard(path[1])

    def _file_unit(self, unit: Unit, use: ast.Use) -> Unit | None:
        assert isinstance(use.path, str)
        path = self._inside_root(unit, use)
        if path is None:
            return None
        if path in self._loading:
            chain = " -> ".join(p.name for p in [*self._loading[self._loading.index(path) :], path])
            self._error("TRX0306", f"files use each other in a circle: {chain}", use.span)
            return None
        if path not in self._files:
            if len(self._files) >= MAX_FILES:
                self._error("TRX0305", f"a program uses more than {MAX_FILES} files", use.span)
                return None
            try:
                text = self._read(path)
            except (OSError, UnicodeDecodeError) as error:
                reason = (error.strerror or str(error)) if isinstance(error, OSError) else "it is not UTF-8 text"
                self._error("TRX0305", f"`{use.path}` cannot be read: {reason}", use.span)
                return None
            root = self.root.resolve() if self.root else path.parent
            self.program(Source(use.path, text, path.relative_to(root).as_posix()), path)
        return self._files[path]

    def _inside_root(self, unit: Unit, use: ast.Use) -> Path | None:
        if self.root is None:
            self._error("TRX0305", "a program that is not a file cannot use files", use.span)
            return None
        here = self._loading[-1].parent if self._loading else self.root
        try:
            path = (here / str(use.path)).resolve()
        except (OSError, ValueError, RuntimeError):  # a NUL, a name that is too long, links in a circle
            self._error("TRX0305", f"no file can be called `{use.path}`", use.span)
            return None
        if not path.is_relative_to(self.root.resolve()):
            self._error("TRX0305", f"`{use.path}` is outside the project", use.span)
            return None
        return path

    def standard(self, name: str) -> Unit:
        """The unit of a library module, indexed but not parsed."""
        if name not in self._shared.units:
            text = (stdlib_folder() / f"{name}.trx").read_text(encoding="utf-8")
            source = Source(f"std/{name}.trx", text)
            unit = Unit(source, library=True, diagnostics=self.diagnostics, chunks=scan_items(source))
            self._shared.units[name] = unit
            for chunk in split_items(source):
                item = parse_item(source, chunk, self.diagnostics) if not chunk.name else None
                if isinstance(item, ast.Use):
                    self._use(unit, item)
        return self._shared.units[name]

    @property
    def prelude(self) -> dict[str, str]:
        """The library names that need no `use`: name to module."""
        if self._shared.prelude is None:
            found: dict[str, str] = {}
            for module in standard_modules():
                if module not in EXPLICIT:
                    found.update(dict.fromkeys(self.standard(module).public_names(), module))
            self._shared.prelude = found
        return self._shared.prelude

    def is_standard(self, source: Source) -> bool:
        """Whether a text is one of the library's own."""
        return any(unit.source is source for unit in self.standard_units)

    @property
    def standard_units(self) -> Iterable[Unit]:
        """The units of the library that have been read so far."""
        return self._shared.units.values()

    @property
    def files(self) -> dict[Path, Unit]:
        """The units of the user's files, by their resolved paths."""
        return self._files

    def sources(self) -> dict[str, str]:
        """The texts of all files of the program, by their paths from the folder of the main one."""
        return {unit.source.key: unit.source.text for unit in self._files.values()}

    # ----------------------------------------------------------- answering

    def lookup(self, unit: Unit, name: str) -> ItemRef | None:
        """What `name` means at the top level of `unit`: its own item, one it uses, else the library's."""
        own = unit.own(name)
        if own is not None:
            return own
        if name in unit.used:
            target, original = unit.used[name]
            return target.own(original)
        if name in self.prelude:
            return self.standard(self.prelude[name]).own(name)
        return None

    def offers(self, name: str) -> tuple[str, ...]:
        """A help for a name that is the library's, where a file must ask for it."""
        modules = [module for module in sorted(EXPLICIT) if name in self.standard(module).public_names()]
        return tuple(f"`use std.{module} ({name})` brings it in" for module in modules[:1])

    def visible(self, unit: Unit) -> set[str]:
        """Every top-level name that can be said in `unit`."""
        return {*unit.names(), *unit.used, *unit.spaces, *self.prelude}

    def _error(
        self, code: str, message: str, span: Span, *, labels: tuple[tuple[Span, str], ...] = (),
        helps: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        places = tuple(Label(place, text) for place, text in labels)
        self.diagnostics.add(Diagnostic(code, message, span, labels=places, helps=helps, edits=respelt(span, helps)))


def read_file(path: Path) -> str:
    """The text of a file, no longer than what the parser needs to refuse it.

    Raises:
        OSError: it cannot be read, or is none, such as a pipe, which might never end.
        UnicodeDecodeError: it is not UTF-8.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError("it is not a file")
    with path.open(encoding="utf-8") as file:
        return file.read(MAX_CHARACTERS + 1)


EXPLICIT = frozenset({"attention", "data", "optim", "sample"})
"""Library modules whose names are common words: a file says when it wants them, or (the last three) a record does."""


def standard_modules() -> list[str]:
    """The names of the library's modules."""
    return sorted(path.stem for path in stdlib_folder().glob("*.trx"))


def nearest(name: str, candidates: Iterable[str]) -> tuple[str, ...]:
    """A did-you-mean help, or nothing where nothing is near."""
    pool = sorted(set(candidates))
    folded = {c.lower(): c for c in pool}
    if name.lower() in folded and folded[name.lower()] != name:
        return (f"did you mean `{folded[name.lower()]}`?",)
    found = difflib.get_close_matches(name, pool, n=1, cutoff=0.7)
    return (f"did you mean `{found[0]}`?",) if found else ()


def nearest_of_few(name: str, candidates: Iterable[str], what: str) -> tuple[str, ...]:
    """A did-you-mean help for one of a few names; where none is near, `what` with all of them.

    A name that is a part of the one that is given, or has it as a part, is near: `kernel_size` is `kernel`.
    """
    pool = sorted(set(candidates) - {""})
    if near := nearest(name, pool):
        return near
    parts = [c for c in pool if f"_{c}_" in f"_{name}_" or f"_{name}_" in f"_{c}_"]
    if len(parts) == 1:
        return (f"did you mean `{parts[0]}`?",)
    return (f"{what}: {', '.join(f'`{c}`' for c in pool)}",) if pool else ()


_MEANT = re.compile(r"did you mean `([A-Za-z_][\w.]*)`\?")
_NAME = re.compile(r"[A-Za-z_][\w.]*")


def respelt(span: Span, helps: Iterable[str]) -> tuple[Edit, ...]:
    """The edit of a did-you-mean help for what stands at `span`; none where that is more than a name."""
    meant = next((found for text in helps if (found := _MEANT.fullmatch(text))), None)
    return (Edit(span, meant[1]),) if meant is not None and _NAME.fullmatch(span.text) else ()
