"""How the compiler is broken on purpose: what a pass writes is changed, a function replaced, emitted text altered."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from trxc import passes
from trxc.emit import prelude
from trxc.emit.prelude import PreludeFunction
from trxc.ir import Module, Op, Region
from trxc.ir.walk import regions
from trxc.ops import OPS

from . import chunks

Change = Callable[[Op, Region], "bool | None"]
Breaks = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True)
class Injection:
    """A miscompilation: its name, the part of the compiler that it breaks, and what shows it.

    That are random modules, in the interpreter (`ir`) or under jax (`jax`), or models of which decoding is derived:
    causal ones (`decoding`), or such as look ahead (`ahead`).
    """

    name: str
    part: str
    shown_by: str
    breaks: Breaks


def pass_classes() -> dict[str, type[passes.Pass]]:
    """The passes by name."""
    return {item.name: type(item) for item in passes.pipeline()}


def after(part: str, kind: str, change: Change, *, every: bool = False) -> Breaks:
    """Changes the ops of a kind that a pass has written, or written anew; with `every`, all that are there."""

    @contextlib.contextmanager
    def broken() -> Generator[None]:
        owner = pass_classes()[part]
        run = owner.run

        def wrong(self: Any, module: Module, remarks: Any) -> None:
            before = {id(op): _seen(op) for op in _ops(module)}
            held = list(_ops(module))  # so that no id is used again
            run(self, module, remarks)
            for function in module.functions.values():
                for region in list(regions(function.body)):
                    for op in list(region.ops):
                        if op.kind == kind and (every or before.get(id(op)) != _seen(op)):
                            change(op, region)
            del held

        with mock.patch.object(owner, "run", wrong):
            yield

    return broken


def deriving(kind: str, change: Change) -> Breaks:
    """Changes the ops of a kind in what decoding is derived to be."""

    def wrong(derive: Any) -> Any:
        def derived(module: Module, *given: Any, **options: Any) -> None:
            before = set(module.functions)
            derive(module, *given, **options)
            for name in module.functions.keys() - before:
                for region in list(regions(module.functions[name].body)):
                    for op in [op for op in region.ops if op.kind == kind]:
                        change(op, region)

        return derived

    return replaced(chunks, "derive_decoding", wrong)


def _ops(module: Module) -> list[Op]:
    return [op for function in module.functions.values() for op in function.body.walk()]


def _seen(op: Op) -> tuple[object, ...]:
    """What an op is, without what it stands next to."""
    return (op.kind, tuple(map(id, op.operands)), repr(op.attributes))


def setting(**values: object) -> Change:
    """Gives attributes other values."""

    def change(op: Op, region: Region) -> None:
        op.attributes.update({name: value for name, value in values.items() if name in op.attributes})

    return change


def swapping(first: int, second: int) -> Change:
    """Swaps two operands of one type."""

    def change(op: Op, region: Region) -> None:
        if max(first, second) < len(op.operands) and op.operands[first].type.sizes == op.operands[second].type.sizes:
            op.operands[first], op.operands[second] = op.operands[second], op.operands[first]

    return change


def dropping(flag: str, at: int) -> Change:
    """Leaves out an optional operand, and says so with its flag."""

    def change(op: Op, region: Region) -> None:
        if op.attributes.get(flag):
            del op.operands[at if flag == "masked" else -1]
            op.attributes[flag] = False

    return change


def replaced(target: Any, name: str, wrong: Any) -> Breaks:
    """A function, or an entry of a table, replaced by one made of it."""

    @contextlib.contextmanager
    def broken() -> Generator[None]:
        if isinstance(target, dict):
            with mock.patch.dict(target, {name: wrong(target.get(name))}):
                yield
        else:
            with mock.patch.object(target, name, wrong(getattr(target, name))):
                yield

    return broken


def emitting(kind: str, old: str, new: str) -> Breaks:
    """Other text emitted for an op."""

    def wrong(emit: Any) -> Any:
        return lambda self, use, operands, scope: (
            emit(self, use, operands, scope).replace(old, new)
            if self.name == kind
            else emit(self, use, operands, scope)
        )

    return replaced(type(OPS[kind]), "emit", wrong)


def wrapping(kind: str, text: str) -> Breaks:
    """The emitted expression of an op inside another."""

    def wrong(emit: Any) -> Any:
        return lambda self, use, operands, scope: (
            text.format(emit(self, use, operands, scope)) if self.name == kind else emit(self, use, operands, scope)
        )

    return replaced(type(OPS[kind]), "emit", wrong)


def written(entry: str, old: str, new: str) -> Breaks:
    """Other text of a function of the prelude.

    Raises:
        LookupError: the text to be replaced is not there: the prelude has changed.
    """

    def wrong(function: PreludeFunction) -> PreludeFunction:
        if old not in function.source:
            raise LookupError(f"`{old}` is not in `{entry}`")
        return PreludeFunction(function.source.replace(old, new), function.needs)

    return replaced(prelude.PRELUDE, entry, wrong)
