"""How far two sets of arrays are apart, and the row of the table that says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ..ops.arrays import Array

FLOOR = 1e-2
"""Errors are relative to an array's largest number, plus this: what cancels to nothing is not compared to nothing."""


@dataclass(frozen=True)
class Check:
    """One row: what was compared with what, on how many inputs, the worst error, and what is allowed.

    `inputs` is 0 where nothing could be compared; `note` says why, or where a difference is. `error` is relative to the
    largest number of the array; None where there is no number for it.
    """

    what: str
    against: str
    inputs: int
    error: float | None
    tolerance: float | None
    ok: bool
    note: str = ""


@dataclass
class Tally:
    """A row under way: the worst error so far, and the first place that differs by more than is allowed."""

    what: str
    against: str
    tolerance: float
    inputs: int = 0
    worst: float = 0.0
    note: str = ""
    ok: bool = True
    notes: dict[str, None] = field(default_factory=dict[str, None])

    def compare(self, wanted: Mapping[str, Array], found: Mapping[str, Array]) -> None:
        """Another input: the arrays by name as the oracle has them, and as they were computed."""
        self.inputs += 1
        if missing := [name for name in wanted if name not in found]:
            self.fail(f"`{missing[0]}` is not computed")
        for name in wanted:
            if name in found:
                self._one(name, np.asarray(wanted[name]), np.asarray(found[name]))

    def number(self, error: float, note: str) -> None:
        """An error that was found otherwise; `note` is told where it is more than is allowed."""
        self.worst = max(self.worst, error) if error == error else float("inf")
        if not error <= self.tolerance:
            self.fail(note)

    def fail(self, note: str) -> None:
        """It is not the same; the first reason is kept."""
        self.note = self.note or note
        self.ok = False

    def remark(self, note: str) -> None:
        """Something to know that is no difference."""
        self.notes[note] = None

    def check(self) -> Check:
        """The row."""
        error = self.worst if np.isfinite(self.worst) and self.inputs else None
        note = "; ".join(filter(None, [self.note, *self.notes]))
        return Check(self.what, self.against, self.inputs, error, self.tolerance, self.ok, note)

    def _one(self, name: str, wanted: Array, found: Array) -> None:
        if wanted.shape != found.shape:
            self.fail(f"`{name}` has shape {list(found.shape)} instead of {list(wanted.shape)}")
            return
        exact = wanted.dtype.kind in "biu"
        left, right = wanted.astype(np.float64), found.astype(np.float64)
        errors = _errors(left, right, exact)
        if not np.isfinite(left).all():
            self.remark(f"`{name}` has numbers that are not finite")
        if errors.size:
            at = np.unravel_index(int(np.argmax(errors)), errors.shape)
            place = name + (f"[{', '.join(map(str, at))}]" if at else "")
            told = f"input {self.inputs}: `{place}` is {right[at]:.7g} instead of {left[at]:.7g}"
            self.number(float(errors[at]), told)


def _errors(wanted: Array, found: Array, exact: bool) -> Array:
    """The error of each number, relative to the largest; infinite where one is not finite, or has to be exact."""
    finite = np.isfinite(wanted)
    with np.errstate(invalid="ignore"):
        same = (wanted == found) | (np.isnan(wanted) & np.isnan(found))
        if exact:
            return np.where(same, 0.0, np.inf)
        scale = np.max(np.abs(wanted), initial=0.0, where=finite) + FLOOR
        errors = np.abs(wanted - found) / scale
    return np.where(same, 0.0, np.where(finite & np.isfinite(found), errors, np.inf))


def skipped(what: str, against: str, note: str) -> Check:
    """A row for what is not compared, and why."""
    return Check(what, against, 0, None, None, True, note)


def passed(checks: Iterable[Check]) -> bool:
    """Whether nothing differs."""
    return all(check.ok for check in checks)
