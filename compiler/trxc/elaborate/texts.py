"""Lists of texts, as records say them: names of weights, and what ends a generated text."""

from __future__ import annotations

from ..syntax import ast
from . import evaluate as evaluation
from .body import Body
from .faults import Fault
from .fields import FieldSpec
from .values import Sequence


def read_patterns(spec: FieldSpec, value: ast.Expr, body: Body) -> object:
    """Names in which `*` stands for anything.

    Raises:
        Fault: they are no strings.
    """
    if isinstance(value, ast.Name | ast.Attribute):
        help_ = f'`{spec.name} = ["{value.span.text}*"]`'
        raise Fault("TRX0505", f"`{spec.name}` is a list of strings", value.span, helps=[help_])
    return _strings(spec, value, body)


def read_texts(spec: FieldSpec, value: ast.Expr, body: Body) -> object:
    """Texts of at least one character.

    Raises:
        Fault: they are no strings, or one is empty.
    """
    texts = _strings(spec, value, body)
    if "" in texts:
        raise Fault("TRX0506", f"a text of `{spec.name}` has at least one character", value.span)
    return texts


def _strings(spec: FieldSpec, value: ast.Expr, body: Body) -> tuple[str, ...]:
    """One string, or a list of them."""
    found = evaluation.evaluate(value, body)
    items = found.items if isinstance(found, Sequence) else (found,)
    if not all(isinstance(item, str) for item in items):
        raise Fault("TRX0505", f"`{spec.name}` is a list of strings", value.span)
    return tuple(item for item in items if isinstance(item, str))


__all__ = ["read_patterns", "read_texts"]
