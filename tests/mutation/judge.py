"""What the compiler says of a wrong program, held against what it should say."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import trxc
from trxc.diagnostics import Diagnostic
from trxc.diagnostics.order import in_source_order
from trxc.source import Span

from .program import Mutant

NAME = "main.trx"


@dataclass(frozen=True)
class Verdict:
    """Whether a mutant is refused, at the mistake, with one error and nothing else, and after how many seconds.

    `named`: the first error points at the mistake, or a second place that it shows does.
    """

    kind: str
    program: str
    refused: bool
    placed: bool
    named: bool
    single: bool
    seconds: float
    said: tuple[str, ...]


def judge(mutant: Mutant) -> Verdict:
    """Checks a mutant, in a folder of its own where it has files beside it."""
    begun = time.process_time()  # of this process alone: what else the machine does, is no matter
    found = in_source_order(_checked(mutant))
    seconds = time.process_time() - begun
    errors = [item for item in found if item.severity == "error"]
    first = errors[0] if errors else None
    placed = first is not None and at_the_mistake(first.span, mutant)
    named = first is not None and any(at_the_mistake(label.span, mutant) for label in first.labels)
    said = tuple(f"{item} [{_text(item.span)}]" for item in found)
    return Verdict(mutant.kind, mutant.program, bool(errors), placed, placed or named, len(found) == 1, seconds, said)


def _text(span: Span | None) -> str:
    return span.text[:60] if span else ""


def _checked(mutant: Mutant) -> Sequence[Diagnostic]:
    settings = dict(mutant.settings) or None
    if not mutant.files:
        return trxc.check(mutant.text, filename=NAME, set=settings)
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (*mutant.files, (NAME, mutant.text)):
            (Path(folder) / name).write_text(text, encoding="utf-8")
        return trxc.check(Path(folder) / NAME, set=settings)


def at_the_mistake(span: Span | None, mutant: Mutant) -> bool:
    """Whether a place is in the statement of the mutated text, or in what was set or stands beside it."""
    if span is None:
        return False
    if mutant.settings:
        return span.source.name.startswith("--set")
    name = Path(span.source.name).name
    start, end = mutant.statement
    return name in dict(mutant.files) or (name == NAME and span.start <= end and span.end >= start)
