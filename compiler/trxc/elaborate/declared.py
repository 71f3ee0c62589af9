"""Declared things: what an `extern` line of the library names, given its arguments.

Initializers, optimizers, schedules, sources, transforms, tokenizers and samplers are never run by the compiler;
they are carried, checked and complete, into the program and the manifest.
"""

from __future__ import annotations

from dataclasses import replace

from ..ir import Attribute, Initializer
from ..source import Span
from ..syntax import ast
from . import evaluate as evaluation
from .body import Body
from .faults import Fault, as_float
from .values import Chain, CValue, Declared, DeclaredRef, Sequence, Size, describe

CHAINABLE = {"optimizer", "transform", "tokenizer", "sampler", "source"}
PIPELINE = {"source", "tokenizer", "transform"}
MAX_CHAINED = 1_000


def is_declared(value: CValue) -> bool:
    """Whether a value is a declared thing, with or without its arguments."""
    return isinstance(value, Declared | DeclaredRef | Chain)


def kind_of(value: CValue) -> str:
    """Its kind: `optimizer`, `schedule`, …"""
    return (
        value.item.kind if isinstance(value, DeclaredRef) else value.kind if isinstance(value, Declared | Chain) else ""
    )


def declare(ref: DeclaredRef, arguments: tuple[ast.Argument, ...], body: Body, span: Span) -> Declared:
    """A declared thing with its arguments: each checked, defaults filled in, names mapped to the target's."""
    from .calls import bind
    from .statements import require

    item = ref.item.item
    assert isinstance(item, ast.Extern)
    inner = body.child(ref.item.unit, body.namer)
    inner.modules = body.modules
    if "total_steps" in body.variables:
        inner.variables["total_steps"] = body.variables["total_steps"]
    with body.session.within(f"`{ref.item.name}`", span):
        given = bind(item.parameters, arguments, body, inner, ref.item.name, span)
        for name, value in given.items():
            inner.variables[name] = _complete(value, body, span)
        for node in item.body:
            if isinstance(node, ast.Require):
                require(node, inner)
    values = {name: inner.variables[name] for name in given}
    passed = values
    if item.arguments is not None:
        passed = {_keyword(a): evaluation.evaluate(a.value, inner) for a in item.arguments}
    return Declared(
        ref.item.kind, ref.item.name, item.target.value, tuple(passed.items()), tuple(values.items()), item.yields, span
    )


def _keyword(argument: ast.Argument) -> str:
    if argument.name is None:
        raise Fault("TRX0403", "the arguments of an `extern`'s target are named", argument.span)
    return argument.name.name


def _complete(value: CValue, body: Body, span: Span) -> CValue:
    return complete(value, body, span) if isinstance(value, DeclaredRef) else value


def complete(value: CValue, body: Body, span: Span) -> Declared | Chain:
    """A declared thing; one that is named without arguments gets its defaults."""
    if isinstance(value, DeclaredRef):
        return declare(value, (), body, span)
    assert isinstance(value, Declared | Chain)
    return value


def as_chain(parts: list[tuple[CValue, Span]]) -> Chain:
    """`a >> b` of declared things: optimizers chain, tokenizers and transforms form a pipeline, samplers stages."""
    flat: list[Declared] = []
    for value, span in parts:
        if isinstance(value, Chain):
            flat.extend(value.parts)
        elif isinstance(value, Declared) and value.kind in CHAINABLE:
            flat.append(replace(value, span=span))
        elif isinstance(value, DeclaredRef):
            raise Fault("TRX0405", f"`{value.item.name}` is given its arguments here: `{value.item.name}()`", span)
        else:
            raise Fault("TRX0405", f"`>>` joins layers, optimizers or data stages, and this is {describe(value)}", span)
    if len(flat) > MAX_CHAINED:
        raise Fault("TRX0402", f"a chain of more than {MAX_CHAINED:,} parts", parts[-1][1])
    kinds = {part.kind for part in flat}
    if len(kinds) > 1 and not kinds <= PIPELINE:
        raise Fault("TRX0405", f"`>>` cannot join {' and '.join(sorted(kinds))}", parts[-1][1])
    return Chain("transform" if kinds <= PIPELINE else flat[0].kind, tuple(flat))


def initializer(value: CValue, body: Body, span: Span) -> Initializer:
    """A weight's initializer: declared, or a number.

    Raises:
        Fault: it is neither.
    """
    if isinstance(value, float):
        return Initializer("constant", "jax.nn.initializers:constant", (("value", value),))
    if isinstance(value, Size) and value.known is not None:
        return Initializer("constant", "jax.nn.initializers:constant", (("value", as_float(value.known, span)),))
    if is_declared(value) and kind_of(value) == "initializer":
        declared = complete(value, body, span)
        assert isinstance(declared, Declared)
        arguments = tuple((name, _plain(item, span)) for name, item in declared.arguments)
        return Initializer(declared.name, declared.target, arguments)
    raise Fault("TRX0405", f"a weight starts from an initializer or a number, and this is {describe(value)}", span)


def _plain(value: CValue, span: Span) -> Attribute:
    if isinstance(value, Size) and value.known is not None:
        return value.known
    if isinstance(value, Sequence):
        return tuple(_plain(item, span) for item in value.items)
    if value is None or isinstance(value, bool | float | str):
        return value
    raise Fault("TRX0405", f"an initializer's argument is a number, and this is {describe(value)}", span)


__all__ = ["as_chain", "complete", "declare", "initializer", "is_declared", "kind_of"]
