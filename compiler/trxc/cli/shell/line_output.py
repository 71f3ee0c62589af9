"""Lines that come one after another, on stdout or in a file: each is there as soon as it is written."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import TextIO

from .output import reason, refuse_existing, write
from .status import RUN_FAILED, CommandError

Writer = Callable[[Iterable[str]], bool]
"""Writes lines; False once nobody reads any more."""


@contextlib.contextmanager
def line_output(path: str | None, *, force: bool = False) -> Generator[Writer]:
    """What writes lines to a new file, or to stdout without one; raises :class:`CommandError` where it cannot.

    The file is made with the first of them, so that what fails before leaves none.
    """
    if path is None:
        yield _to_stdout
        return
    refuse_existing([Path(path)], force)
    with contextlib.ExitStack() as open_files:
        files: list[TextIO] = []

        def to_file(lines: Iterable[str]) -> bool:
            with _told(path):
                if not files:
                    files.append(Path(path).open("w", encoding="utf-8", newline="\n"))  # noqa: SIM115 - closed below
                    open_files.callback(_close, files[0])
                files[0].writelines(line + "\n" for line in lines)
                files[0].flush()
            return True

        yield to_file


def _close(file: TextIO) -> None:
    with contextlib.suppress(OSError):  # what could not be written was told of
        file.close()


def _to_stdout(lines: Iterable[str]) -> bool:
    with _told("<stdout>"):
        return all(write(line) for line in lines)


@contextlib.contextmanager
def _told(name: str) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise CommandError(f"cannot write `{name}`: {reason(error)}", status=RUN_FAILED) from None
