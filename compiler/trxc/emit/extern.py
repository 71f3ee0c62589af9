"""Calls of the Python functions that `extern` layers name: `mykernels.flash(q, k, window=4)`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from ..ir import Module, Op
from ..ops import Attributes
from .errors import EmitError
from .expressions import literal, parse

_DOTTED = r"[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z][A-Za-z0-9_]*)*"
_TARGET = re.compile(rf"({_DOTTED}):({_DOTTED})")
_TAKEN = frozenset({"jnp", "np", "P", "checkpoint_name"})
"""Names that an emitted program gives to other modules."""


def extern_modules(module: Module) -> tuple[str, ...]:
    """The Python modules that a program calls into, each once, in order.

    Raises:
        EmitError: an `extern` layer names something else than a function of a module.
    """
    ops = [op for function in module.functions.values() for op in function.body.walk() if op.kind == "extern"]
    return tuple(sorted({_target(op)[0] for op in ops}))


def top_levels(modules: Iterable[str]) -> list[str]:
    """`kernels` of `kernels.attention`: what is imported first, and so what a user has to trust."""
    return sorted({name.split(".")[0] for name in modules})


def extern_call(op: Op, operands: Iterable[str]) -> ast.Call:
    """The call on names: the inputs in order, then the layer's arguments by name."""
    module, function = _target(op)
    keywords = [ast.keyword(name, parse(literal(value))) for name, value in _keywords(op)]
    return ast.Call(parse(f"{module}.{function}"), [ast.Name(name, ast.Load()) for name in operands], keywords)


def _target(op: Op) -> tuple[str, str]:
    target = Attributes(op.attributes).text("target")
    match = _TARGET.fullmatch(target)
    if match is None:
        raise EmitError(f"`{target}` is not `module:function`", op.span)
    if match[1].split(".")[0] in _TAKEN:
        raise EmitError(f"a module called `{match[1]}` cannot be told from one that every program imports", op.span)
    return match[1], match[2]


def _keywords(op: Op) -> list[tuple[str, object]]:
    pairs = op.attributes["keywords"]
    assert isinstance(pairs, tuple)
    return [(str(pair[0]), pair[1]) for pair in pairs if isinstance(pair, tuple)]
