"""Checks one version of a text and keeps what the check has found out.

It is the check of the command line, with an observer, and with a memory of what earlier versions had right.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from ..diagnostics import Diagnostic
from ..diagnostics.internal import InternalError
from ..driver import RECURSION_LIMIT, CompileError, check_causality, phase
from ..elaborate.program import Checked, check_unit
from .index import Index
from .pauses import collecting_later
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
    found = reading.library.diagnostics
    extra: list[Diagnostic] = []
    try:
        with phase("check", reading.source), collecting_later():
            checked = check_unit(reading.unit, reading.library, {}, index, reading.earlier.memory)
            if not found.failed:
                check_causality(checked, found)
            _remember(reading, checked, index)
    except CompileError as error:
        extra = error.diagnostics
    except InternalError as error:
        print(f"trxc: {error}", file=sys.stderr)
    return Analysis(version, reading, (*found, *extra), index)


def _remember(reading: Reading, checked: Checked, index: Index) -> None:
    """Takes over what earlier versions have found, and keeps what the next may take over."""
    earlier = reading.earlier
    index.done()
    if earlier.index is not None:
        index.reuse(earlier.index, checked.unchanged)
    earlier.memory.keep(reading.unit, checked.diagnostics)
    if not checked.diagnostics.failed:
        earlier.index = index


def allow_deep_trees() -> None:
    """Lets walks go as deep as the language's trees may be."""
    sys.setrecursionlimit(max(sys.getrecursionlimit(), RECURSION_LIMIT))
