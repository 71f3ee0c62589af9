"""Files that the user names: read whole, bounded, and what is wrong with them said in one line."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

from ...diagnostics import Diagnostic
from ...frozen import Frozen
from ...syntax.parse import MAX_CHARACTERS
from .output import reason
from .status import PROGRAM_WRONG, USAGE_WRONG, CommandError
from .usage import did_you_mean

STDIN = "<stdin>"
_MOST_BYTES = 4 * MAX_CHARACTERS + 1
"""More than any program may have, so that a longer one is still refused by the compiler, with its diagnostic."""


class ProgramFile(Frozen):
    """A `.trx` file: its name as the user gave it, its text, and its path, by which the files it uses are found."""

    name: str
    text: str
    path: Path | None

    @property
    def folder(self) -> Path:
        """The folder that relative paths in the file start from."""
        return self.path.parent if self.path else Path.cwd()


class UnreadableError(Exception):
    """A file that cannot be read: the diagnostic, and the exit status."""

    def __init__(self, diagnostic: Diagnostic, status: int) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic, self.status = diagnostic, status


def read_program(argument: str) -> ProgramFile:
    """The program that an argument names, ``-`` for stdin. Raises :class:`UnreadableError`."""
    return decode_program(argument, read_bytes(argument))


def read_bytes(argument: str) -> bytes:
    """What is in the file that an argument names, ``-`` for stdin. Raises :class:`UnreadableError`."""
    path, name = _place(argument)
    return _bytes(path, name)


def decode_program(argument: str, data: bytes) -> ProgramFile:
    """The program that an argument names, from what is in its file. Raises :class:`UnreadableError`."""
    path, name = _place(argument)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableError(
            Diagnostic(
                "TRX0704",
                f"`{name}` is not UTF-8 text: byte {error.start + 1:,} is 0x{data[error.start]:02x}",
                None,
                helps=("save it as UTF-8 in your editor",),
            ),
            PROGRAM_WRONG,
        ) from None
    regular = path is not None and path.is_file()  # a pipe can be read only once, and has no folder of its own
    return ProgramFile(name, text.replace("\r\n", "\n"), path if regular else None)


def read_text(argument: str) -> str:
    """The text of any file, ``-`` for stdin. Raises :class:`CommandError`."""
    try:
        return read_program(argument).text
    except UnreadableError as error:
        raise CommandError(error.diagnostic.message, status=error.status, hints=error.diagnostic.helps) from None


def _place(argument: str) -> tuple[Path | None, str]:
    return (None, STDIN) if argument == "-" else (Path(argument), argument)


def _bytes(path: Path | None, name: str) -> bytes:
    try:
        if path is None:
            return sys.stdin.buffer.read(_MOST_BYTES)
        if stat.S_ISDIR(path.stat().st_mode):
            found = sorted(path.glob("*.trx"))
            helps = (f"did you mean `{found[0]}`?",) if found else ()
            raise _unreadable(name, "it is a folder", helps)
        with path.open("rb") as file:
            return file.read(_MOST_BYTES)
    except FileNotFoundError:
        raise _unreadable(name, "there is no such file", _similar(path)) from None
    except OSError as error:
        raise _unreadable(name, reason(error), ()) from None
    except ValueError:  # a path with a NUL in it
        raise _unreadable(name, "no file can have this name", ()) from None


def _unreadable(name: str, why: str, helps: tuple[str, ...]) -> UnreadableError:
    return UnreadableError(Diagnostic("TRX0703", f"cannot read `{name}`: {why}", None, helps=helps), USAGE_WRONG)


def _similar(path: Path | None) -> tuple[str, ...]:
    """A hint with the `.trx` file beside it whose name is nearest."""
    if path is None:
        return ()
    try:
        names = [found.name for found in path.parent.glob("*.trx")]
    except OSError:
        return ()
    mean = did_you_mean(path.name, names).removeprefix("; ")
    return (mean.replace("`", f"`{path.parent}/", 1) if mean and path.parent != Path() else mean,) if mean else ()
