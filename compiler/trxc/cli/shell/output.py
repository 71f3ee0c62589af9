"""What commands write: results on stdout, everything else on stderr, colour only where a person reads it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from ...diagnostics.harmless import harmless
from .status import PROGRAM_WRONG, USAGE_WRONG, CommandError

if TYPE_CHECKING:
    from ...diagnostics import Diagnostic


def coloured(stream: TextIO) -> bool:
    """Whether ``stream`` is a terminal that shows colours, and the user has not said no (https://no-color.org)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


def write(text: str, *, end: str = "\n") -> bool:
    """Write a result on stdout; False once its reader is gone, after which nothing more is written there."""
    return _put(sys.stdout, text + end)


def say(text: str) -> None:
    """Say something beside the result: a line on stderr."""
    _put(sys.stderr, text + "\n")


def note(text: str) -> None:
    """Say what is worth knowing and no error."""
    say(f"note: {text}")


def say_error(error: CommandError) -> None:
    """The error's line and its hints, on stderr."""
    first, *rest = error.message.split("\n")
    colour = coloured(sys.stderr)
    word = "\x1b[1;31merror\x1b[0m" if colour else "error"
    hints = (f"  = help: {harmless(hint)}" for hint in error.hints)
    say("\n".join([f"{word}: {harmless(first)}", *map(harmless, rest), *hints]))


def say_diagnostics(diagnostics: Iterable[Diagnostic]) -> None:
    """Diagnostics for a person, on stderr; nothing where there are none."""
    if found := list(diagnostics):
        from ...diagnostics.terminal import render_all

        say(render_all(found, colour=coloured(sys.stderr)))


def refuse_existing(paths: Iterable[Path], force: bool) -> None:
    """Raise :class:`CommandError` if one of ``paths`` is there and ``--force`` was not given."""
    for path in paths:
        if path.is_dir():
            raise CommandError(f"`{path}` is a folder", status=USAGE_WRONG)
        if not force and os.path.lexists(path):
            raise CommandError(f"`{path}` is already there", status=USAGE_WRONG, hints=("`--force` overwrites it",))


def write_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; its folder is made if need be. Raises :class:`CommandError`."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(content)
        beside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise CommandError(f"cannot write `{path}`: {reason(error)}", status=PROGRAM_WRONG) from None


def reason(error: OSError) -> str:
    """Why the system refused, in lower case, without the number and the path."""
    text = error.strerror or str(error)
    return text[:1].lower() + text[1:]


def _put(stream: TextIO, text: str) -> bool:
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        _silence(stream)
        return False
    return True


def _silence(stream: TextIO) -> None:
    """Nobody reads any more: what is still written, at exit too, goes nowhere."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
