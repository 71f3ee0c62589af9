"""What backward computes again: `jax.checkpoint` around the inner function of a loop, or around a call."""

from __future__ import annotations

import ast

from ..ir import Op
from .expressions import parse
from .scope import ProgramContext


def checkpoint_decorator(program: ProgramContext, op: Op, *, scanned: bool) -> str:
    """The decorator of an inner function whose values are computed again, as the `remat` of `op` says.

    In a scan nothing can be merged with the first computation, which is another loop, so the barriers that would
    prevent that are left out.
    """
    keywords = _keywords(program, op) + (["prevent_cse=False"] if scanned else [])
    return f"functools.partial(jax.checkpoint, {', '.join(keywords)})" if keywords else "jax.checkpoint"


def checkpointed_call(program: ProgramContext, op: Op, call: ast.Call) -> ast.Call:
    """`jax.checkpoint(f)(x)` for `f(x)`. Keywords are sizes, which must stay numbers and not be traced."""
    function = call.func
    if call.keywords:
        function = ast.Call(parse("functools.partial"), [function], call.keywords)
    keywords = [ast.keyword(*_split(text)) for text in _keywords(program, op)]
    return ast.Call(ast.Call(parse("jax.checkpoint"), [function], keywords), call.args, [])


def _keywords(program: ProgramContext, op: Op) -> list[str]:
    return [f"policy={program.use('keep_products')}"] if op.attributes["remat"] == "dots" else []


def _split(text: str) -> tuple[str, ast.expr]:
    name, _, value = text.partition("=")
    return name, parse(value)
