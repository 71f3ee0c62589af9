"""`trxc fmt`: files in the one layout."""

from __future__ import annotations

import difflib
import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..diagnostics.harmless import harmless
from ..frozen import Frozen
from .shell.declare import declare
from .shell.files import UnreadableError, decode_program, read_bytes
from .shell.output import coloured, say, say_diagnostics, say_error, write
from .shell.status import DONE, PROGRAM_WRONG, USAGE_WRONG, CommandError

if TYPE_CHECKING:
    from ..diagnostics import Diagnostic

_COLOURS = {"+": "32", "-": "31", "@": "36"}


class _Formatted(Frozen):
    """A file as it is, and as it should be."""

    argument: str
    name: str
    before: bytes
    after: bytes
    regular: bool
    """Whether it is a file that can be written."""

    @property
    def changed(self) -> bool:
        """Whether the layout is another."""
        return self.before != self.after


class _BrokenError(Exception):
    """What is in a file is no program."""

    def __init__(self, diagnostics: list[Diagnostic]) -> None:
        super().__init__(*map(str, diagnostics))
        self.diagnostics = diagnostics


@declare("Check and compile", "trxc fmt model.trx\ntrxc fmt --check --diff .")
@click.argument("paths", metavar="FILE|FOLDER...", nargs=-1, required=True)
@click.option("--check", is_flag=True, help="Change nothing: list the files that would change; status 1 if any would.")
@click.option("--diff", is_flag=True, help="Change nothing: show what would change; status 1 if anything would.")
def command(paths: tuple[str, ...], check: bool, diff: bool) -> int:
    """Give FILEs, and all `.trx` files in FOLDERs, the one layout.

    `-` reads stdin and writes to stdout. A file that cannot be read is left as it is, and its errors are told.
    Status 1 if there is such a file, or one that `--check` or `--diff` would change.
    """
    if paths.count("-") > 1:
        raise click.UsageError("stdin can be formatted only once")
    status, same, changed = DONE, 0, 0
    for argument in _files(paths):
        try:
            file = _formatted(argument)
            status = max(status, _tell(file, diff) if check or diff else _apply(file))
            same, changed = same + (not file.changed), changed + file.changed
        except UnreadableError as error:
            say_diagnostics([error.diagnostic])
            status = max(status, error.status)
        except _BrokenError as error:
            say_diagnostics(error.diagnostics)
            status = max(status, PROGRAM_WRONG)
        except CommandError as error:
            say_error(error)
            status = max(status, error.status)
    if paths != ("-",):
        say(_summary(same, changed, would=check or diff))
    return status


def _files(paths: tuple[str, ...]) -> Iterator[str]:
    """The files to format, each once: those of folders sorted, without those whose names begin with a dot."""
    seen: set[str] = set()
    for path in paths:
        for argument in _within(path) if path != "-" and Path(path).is_dir() else [path]:
            key = argument if argument == "-" else os.path.realpath(argument)
            if key not in seen:
                seen.add(key)
                yield argument


def _within(folder: str) -> list[str]:
    found: list[str] = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [str(Path(place, name)) for name in sorted(names) if name.endswith(".trx") and name[0] != "."]
    if not found:
        raise CommandError(f"there is no .trx file in `{folder}`", status=USAGE_WRONG)
    return found


def _formatted(argument: str) -> _Formatted:
    """Raises :class:`UnreadableError` and :class:`_BrokenError`."""
    from ..diagnostics import Diagnostics
    from ..formatter import format_source
    from ..source import Source

    before = read_bytes(argument)
    program = decode_program(argument, before)
    diagnostics = Diagnostics()
    gc.disable()  # hardly anything that is made is garbage before its end
    try:
        text = format_source(Source(program.name, program.text), diagnostics)
    finally:
        gc.enable()
    if text is None:
        raise _BrokenError(list(diagnostics))
    return _Formatted(argument, program.name, before, text.encode(), program.path is not None)


def _apply(file: _Formatted) -> int:
    if file.argument == "-":
        write(file.after.decode(), end="")
    elif file.changed:
        if not file.regular:
            raise CommandError(f"cannot write `{file.name}`: it is no regular file", status=USAGE_WRONG)
        from .shell.rewrite import rewrite

        rewrite(Path(file.argument), file.after)
        say(f"formatted {harmless(file.name)}")
    return DONE


def _tell(file: _Formatted, diff: bool) -> int:
    """Says that, or how, a file would change."""
    if not file.changed:
        return DONE
    if diff:
        write("".join(_diff(file)), end="")
    else:
        write(harmless(file.name))
    return PROGRAM_WRONG


def _diff(file: _Formatted) -> Iterator[str]:
    """The lines of a unified diff, which `patch` takes; on a terminal coloured, and unable to drive it."""
    before, after = (data.decode("utf-8").splitlines(keepends=True) for data in (file.before, file.after))
    for line in difflib.unified_diff(before, after, file.name, f"{file.name} (formatted)"):
        ended = line if line.endswith("\n") else line + "\n\\ No newline at end of file\n"
        if sys.stdout.isatty():
            ended = "".join(harmless(part) + "\n" for part in ended.splitlines())
        colour = _COLOURS.get(line[0]) if coloured(sys.stdout) else None
        yield f"\x1b[{colour}m{ended[:-1]}\x1b[0m\n" if colour else ended


def _summary(same: int, changed: int, *, would: bool) -> str:
    """`1 file changed, 2 left as they were`."""
    files = f"{changed} file{'' if changed == 1 else 's'}"
    left = f"{same} left as {'it was' if same == 1 else 'they were'}"
    return f"{files} would change, {same} would not" if would else f"{files} changed, {left}"
