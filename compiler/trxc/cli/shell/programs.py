"""From a FILE and a NAME on the command line to a compiled program."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .files import ProgramFile, UnreadableError, read_program
from .output import say_diagnostics
from .status import PROGRAM_WRONG
from .usage import did_you_mean, listed

if TYPE_CHECKING:
    from ... import Program

_WORDS = {"train": "`train` recipe", "model": "model"}
"""What the kinds of items that can be compiled are called."""


def open_program(argument: str) -> ProgramFile:
    """The program that an argument names; one that cannot be read ends the command."""
    try:
        return read_program(argument)
    except UnreadableError as error:
        say_diagnostics([error.diagnostic])
        raise click.exceptions.Exit(error.status) from None


def compile_program(file: ProgramFile, **options: Any) -> Program:
    """The compiled program, its warnings said; a wrong one ends the command with its diagnostics."""
    import trxc

    try:
        program = trxc.compile(file.path or file.text, filename=None if file.path else file.name, **options)
    except trxc.CompileError as error:
        say_diagnostics(error.diagnostics)
        raise click.exceptions.Exit(PROGRAM_WRONG) from None
    except trxc.UsageError as error:
        raise click.UsageError(str(error), _context()) from None
    say_diagnostics(program.warnings)
    return program


def choose(file: ProgramFile, name: str | None, kinds: Sequence[str]) -> str | None:
    """The NAME to compile: the one given, or the file's only item of the first of ``kinds`` that it has any of.

    None where the file cannot be parsed: compiling it says why. Raises :class:`click.UsageError`.
    """
    items = _items(file)
    if items is None:
        return name
    if name is not None:
        return _known(file, name, items, kinds)
    for kind in kinds:
        found = [item for item, its in items.items() if its == kind]
        if len(found) > 1:
            raise click.UsageError(f"{file.name} has several {_WORDS[kind]}s, name one: {listed(found)}", _context())
        if found:
            return found[0]
    raise click.UsageError(f"{file.name} has no {_words(kinds)}", _context())


def _known(file: ProgramFile, name: str, items: dict[str, str], kinds: Sequence[str]) -> str:
    known = [item for item, kind in items.items() if kind in kinds]
    if name in known:
        return name
    what = f"there is no `{name}`"
    if name in items:
        kind = items[name]
        what = f"`{name}` is a {_WORDS.get(kind, kind)}, not a {_words(kinds)},"
    near = did_you_mean(name, known) or (f"; there is {listed(known)}" if known else "")
    raise click.UsageError(f"{what} in {file.name}{near}", _context())


def _items(file: ProgramFile) -> dict[str, str] | None:
    """The models and recipes of a file, by name, with their kinds; None where it does not parse."""
    from ...diagnostics import Diagnostics
    from ...source import Source
    from ...syntax import ast, parse

    found = Diagnostics()
    tree = parse(Source(file.name, file.text), found)
    if found.failed:
        return None
    return {item.name.name: item.kind for item in tree.items if isinstance(item, ast.Layer | ast.Record)}


def _words(kinds: Sequence[str]) -> str:
    return " or ".join(_WORDS[kind] for kind in kinds)


def _context() -> click.Context | None:
    return click.get_current_context(silent=True)


@contextlib.contextmanager
def saved(program: Program) -> Generator[Path, None, None]:
    """A folder that holds the program's artifact while the context lasts."""
    with tempfile.TemporaryDirectory(prefix="trxc-") as folder:
        artifact = Path(folder) / "artifact"
        program.save(artifact)
        yield artifact
