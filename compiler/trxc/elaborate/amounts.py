"""Amounts of memory, as records say them: a text with a number and a unit."""

from __future__ import annotations

import re

from ..resolve import nearest
from ..syntax import ast
from . import evaluate as evaluation
from .body import Body
from .faults import Fault
from .fields import FieldSpec
from .values import describe

UNITS = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
"""Units of memory, in bytes."""

_AMOUNT = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?([A-Za-z]+)")


def read_bytes(spec: FieldSpec, value: ast.Expr, body: Body) -> object:
    """`"8 GB"` in bytes.

    Raises:
        Fault: it is no such text.
    """
    text = value.value if isinstance(value, ast.String) else None
    found = _AMOUNT.fullmatch(text) if text is not None else None
    if found is None:
        given = f"`{text}`" if text is not None else describe(evaluation.evaluate(value, body))
        help_ = f'`{spec.name} = "8 GB"`'
        raise Fault("TRX0505", f"`{spec.name}` is a number with a unit, and this is {given}", value.span, helps=[help_])
    if found[2] not in UNITS:
        near = nearest(found[2], UNITS) or (f"units: {', '.join(UNITS)}",)
        raise Fault("TRX0506", f"`{found[2]}` is no unit of memory", value.span, helps=near)
    amount = int(float(found[1]) * UNITS[found[2]])
    if amount < 1:
        raise Fault("TRX0506", f"`{spec.name}` is more than nothing", value.span)
    return amount
