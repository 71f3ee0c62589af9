"""Checks one version of a text and keeps what the check has found out."""

from __future__ import annotations

import gc
import sys
from dataclasses import dataclass

from ..diagnostics import Diagnostic
from ..diagnostics.internal import InternalError
from ..driver import RECURSION_LIMIT, CompileError, check_causality, phase
from ..elaborate.program import check_unit
from .index import Index
from .reading import Reading


@dataclass(frozen=True)
class Analysis:
    """The diagnostics of a version, and its index, which is empty where the text could not be parsed."""

    version: int
    reading: Reading
    diagnostics: tuple[Diagnostic, ...]
    index: Index

    @property
    def failed(self) -> bool:
        """Whether there is an error."""
        return any(item.severity == "error" for item in self.diagnostics)


def analyse(reading: Reading, version: int) -> Analysis:
    """Checks a text that has been read, once. Never raises: a fault of ours gives what was found until then."""
    index = Index(reading.source, reading.file)
    extra: list[Diagnostic] = []
    collecting = gc.isenabled()
    gc.disable()  # hardly anything that a check makes is garbage before its end
    try:
        with phase("check", reading.source):
            checked = check_unit(reading.unit, reading.library, {}, index)
            if not reading.library.diagnostics.failed:
                check_causality(checked, reading.library.diagnostics)
    except CompileError as error:
        extra = error.diagnostics
    except InternalError as error:
        print(f"trxc: {error}", file=sys.stderr)
    finally:
        if collecting:
            gc.enable()
    return Analysis(version, reading, (*reading.library.diagnostics, *extra), index)


def allow_deep_trees() -> None:
    """Lets walks go as deep as the language's trees may be."""
    sys.setrecursionlimit(max(sys.getrecursionlimit(), RECURSION_LIMIT))
