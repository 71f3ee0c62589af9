"""What a pass is: a frozen dataclass with a name, whose fields are its options, that changes a module in place.

A pass may say what it did, and what it nearly did and why not, as remarks: `trxc compile --remarks` shows them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from ..diagnostics import Diagnostic
from ..diagnostics.allowed import is_allowed
from ..ir import Module
from ..source import Span

RemarkKind = Literal["done", "missed"]


@dataclass(frozen=True)
class Remark:
    """One thing that a pass did (`done`), or did not do though it looked like it (`missed`), with the reason.

    `message` is a sentence without a full stop that a user of the language understands: "attention written as
    softmax(q k) v becomes one op", "the mask is filled with -1e9, not -inf: no block can be skipped".
    """

    kind: RemarkKind
    source: str
    message: str
    span: Span | None = None

    def __str__(self) -> str:
        where = f"{self.span.source.key}:{self.span.line}:{self.span.column}: " if self.span else ""
        return f"{where}{self.source}{'' if self.kind == 'done' else ', not done'}: {self.message}"


@dataclass
class Remarks:
    """The remarks of a compilation, in order, each once; and what users are warned of even if they do not ask."""

    found: dict[Remark, None] = field(default_factory=dict[Remark, None])
    warnings: list[Diagnostic] = field(default_factory=list[Diagnostic])

    def done(self, source: str, message: str, span: Span | None = None) -> None:
        """A pass changed something; `source` is its name."""
        self.found.setdefault(Remark("done", source, message, span))

    def missed(self, source: str, message: str, span: Span | None = None) -> None:
        """A pass left something as it was, for a reason that the user may want to know."""
        self.found.setdefault(Remark("missed", source, message, span))

    def warn(self, warning: Diagnostic) -> None:
        """A pass sees that the program will not do what its recipe says; the file may allow it."""
        if not is_allowed(warning.code, warning.span):
            self.warnings.append(warning)

    def __iter__(self):
        return iter(self.found)


@dataclass(frozen=True)
class Pass:
    """The base of all passes. `name` is what the command line calls it."""

    name: ClassVar[str] = ""

    def run(self, module: Module, remarks: Remarks) -> None:
        """Changes the module; what it computes stays the same."""
        raise AssertionError(f"the pass {self.name} does nothing")
