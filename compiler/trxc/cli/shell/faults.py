"""Faults of ours: said to be ours, with the phase, and the traceback in a file."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Iterator

from ... import __version__
from ...diagnostics.harmless import harmless
from ...diagnostics.internal import InternalError
from .output import say
from .status import OUR_FAULT, RUN_FAILED


def report(error: BaseException) -> int:
    """Say what happened and where its traceback is; the exit status to leave with."""
    if isinstance(error, MemoryError):
        say("error: out of memory")
        return RUN_FAILED
    said = error.message if isinstance(error, InternalError) else _one_line(error)
    near = f", near {error.span}" if isinstance(error, InternalError) and error.span else ""
    say(f"internal error in phase `{phase_of(error)}`{harmless(near)}: {harmless(said)}")
    say("  = note: this is a fault of trxc, not of your program")
    say("  = help: " + ask_to_report(error))
    return OUR_FAULT


def ask_to_report(error: BaseException) -> str:
    """The request to report ``error``, with the file that its traceback was written to."""
    place = save_traceback(error)
    kept = f"{place}, which has the traceback" if place else "what is said here; the traceback could not be written"
    return f"please report it, with the .trx file and {kept}"


def phase_of(error: BaseException) -> str:
    """The part of trxc that an exception came from: the innermost one on its way, or what it says itself."""
    if isinstance(error, InternalError) and error.__cause__ is None:
        return error.phase
    parts = [name.split(".") for name in _modules(error.__cause__ or error)]
    named = [part[1] if part[0] == "trxc" and len(part) > 1 else part[0] for part in parts]
    return next(reversed(named), "start")


def save_traceback(error: BaseException) -> str | None:
    """The path of a new file in the temp folder with the traceback and the versions; None if it cannot be written."""
    trace = "".join(traceback.format_exception(error))
    about = f"trxc {__version__}, Python {platform.python_version()}, {platform.platform()}\n"
    command = f"command: {' '.join(sys.argv[1:2])}\n\n"
    try:
        handle, path = tempfile.mkstemp(prefix="trxc-fault-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(about + command + trace)
    except OSError:
        return None
    return path


def _modules(error: BaseException) -> Iterator[str]:
    """The modules of ours that the exception passed through, outermost first."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        name = str(frame.f_globals.get("__name__", ""))
        if name.partition(".")[0] in ("trxc", "trxc_runtime"):
            yield name


def _one_line(error: BaseException) -> str:
    text = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
