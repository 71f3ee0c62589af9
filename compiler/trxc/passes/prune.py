"""Removes, across calls and loops, what the results of one function do not need: ops, arguments, results, carries.

Before, where nobody uses what `f` gives second::

    function f(x, y) { %0 = exp(x); %1 = exp(y); yield %0, %1 }
    %2, %3 = call(a, b) {callee="f"}

After::

    function f(x) { %0 = exp(x); yield %0 }
    %2 = call(a) {callee="f"}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..ir import Function, Op, Region, Value
from ..ir.walk import attribute_symbols, callee, captures, repeat_count, type_symbols, uses

CHECKS = "require"
"""Conditions on sizes: they stay where what they are about does."""


@dataclass(frozen=True)
class Pruner:
    """Prunes `root` and the functions below it that it may change: those of which there is only one call."""

    functions: Mapping[str, Function]
    root: Function

    def run(self) -> None:
        """To a fixed point. Inputs of the root go, unless the sizes of others are known by them alone."""
        changed = True
        while changed:
            changed = False
            for function in self.functions.values():
                changed |= self._sweep(function.body)
            for value in list(self.root.inputs):
                changed |= _drop_argument(self.root, value)

    def _sweep(self, region: Region) -> bool:
        """Whether anything is gone from a region or what it calls."""
        live, kept, changed = set(region.results), list[Op](), False
        for op in reversed(region.ops):
            if op.kind != CHECKS and live.isdisjoint(op.results):
                changed = True
                continue
            kept.append(op)
            changed |= self._shrink(op, live, kept)
            live.update(op.operands, *map(captures, op.regions))
        region.ops[:] = kept[::-1]
        return changed

    def _shrink(self, op: Op, live: set[Value], kept: list[Op]) -> bool:
        before = _size(op)
        if op.kind == "call" and callee(op) in self.functions:
            _shrink_call(op, self.functions[callee(op)], live)
        elif op.kind == "repeat":
            _shrink_repeat(op, live)
            kept += _stand_ins(op)
        elif op.kind == "recur":
            _shrink_recur(op, live)
        inside = [self._sweep(region) for region in op.regions]
        return any(inside) or _size(op) != before


def _size(op: Op) -> tuple[int, int]:
    return len(op.operands), len(op.results)


def _keep(items: list[Any], wanted: Iterable[int]) -> None:
    """Leaves only the items at some places."""
    items[:] = [items[at] for at in sorted(wanted)]


def _shrink_call(op: Op, target: Function, live: set[Value]) -> None:
    wanted = [at for at, value in enumerate(op.results) if value in live]
    named = [at for at in wanted if at < len(target.output_names)]
    _keep(op.results, wanted)
    _keep(target.body.results, wanted)
    _keep(target.output_names, named)
    for value in list(target.inputs):
        at = target.inputs.index(value)
        if _drop_argument(target, value):
            del op.operands[at]


def _drop_argument(function: Function, value: Value) -> bool:
    """Whether an argument could go: nothing uses it, and no size is known by it alone."""
    body = function.body
    if value in uses(body):
        return False
    others = [argument for argument in body.arguments if argument is not value]
    lost = _plain([value]) - _plain(others)
    if lost & _spoken(body, others):
        return False
    body.arguments.remove(value)
    body.ops[:] = [op for op in body.ops if op.kind != CHECKS or not lost & _op_symbols(op)]
    return True


def _plain(values: Iterable[Value]) -> set[str]:
    """The symbols that are the size of a dim by themselves."""
    return {size.symbol.name for value in values for size in value.type.sizes if size.symbol}


def _spoken(body: Region, arguments: Iterable[Value]) -> set[str]:
    """The symbols that a function needs to know."""
    found = {name for value in arguments for name in type_symbols(value.type)}
    for op in body.walk():
        if op.kind != CHECKS:
            found |= _op_symbols(op)
    return found


def _op_symbols(op: Op) -> set[str]:
    found = {name for value in op.results for name in type_symbols(value.type)}
    return found.union(*map(attribute_symbols, op.attributes.values()))


# ------------------------------------------------------------------- loops


def needed(region: Region, wanted: Iterable[Value]) -> set[Value]:
    """Everything that some values of a region are computed from."""
    live = set(wanted)
    for op in reversed(region.ops):
        if not live.isdisjoint(op.results):
            live.update(op.operands, *map(captures, op.regions))
    return live


def _live_carries(region: Region, alive: set[int], outputs: list[Value], carries: range, shift: int) -> set[int]:
    """The carries that are wanted at last, or that those, or the outputs, are computed from.

    `carries` are the places of the carries among the results; among the arguments, they are `shift` further on.
    """
    while True:
        used = needed(region, [*outputs, *(region.results[at] for at in alive)])
        more = {at for at in carries if region.arguments[at + shift] in used} | alive
        if more == alive:
            return alive
        alive = more


def _shrink_repeat(op: Op, live: set[Value]) -> None:
    region, count = op.regions[0], len(op.operands)
    wanted = {at for at, value in enumerate(op.results) if value in live}
    last = {at for at in wanted if at < count}
    collected = sorted(wanted - last)
    outputs = [region.results[at] for at in collected]
    if repeat_count(op) == 1:  # nothing is carried on: a carry that is only read stays as it is
        used = needed(region, [*outputs, *(region.results[at] for at in last)])
        read = {at for at in range(count) if region.arguments[at] in used} - last
        for at in read:
            region.results[at] = region.arguments[at]
        alive = last | read
    else:
        alive = _live_carries(region, last, outputs, range(count), 0)
    for items in (op.operands, region.arguments):
        _keep(items, alive)
    for items in (op.results, region.results):
        _keep(items, [*alive, *collected])
    if "collected" in op.attributes:
        op.attributes["collected"] = len(collected)


def _shrink_recur(op: Op, live: set[Value]) -> None:
    region, count = op.regions[0], op.attributes["sequences"]
    assert isinstance(count, int)
    outputs = len(op.results) - (len(op.operands) - count)
    wanted = {at for at, value in enumerate(op.results) if value in live}
    given = sorted(at for at in wanted if at < outputs)
    carries = range(outputs, len(op.results))
    shift = count - outputs
    alive = _live_carries(region, wanted - set(given), [region.results[at] for at in given], carries, shift)
    used = needed(region, [region.results[at] for at in [*given, *alive]])
    walked = [at for at in range(count) if region.arguments[at] in used] or [0]
    for items in (op.operands, region.arguments):
        _keep(items, [*walked, *(at + shift for at in alive)])
    for items in (op.results, region.results):
        _keep(items, [*given, *alive])
    names = op.attributes["carries"]
    assert isinstance(names, tuple)
    op.attributes |= {"sequences": len(walked), "carries": tuple(names[at - outputs] for at in sorted(alive))}


def _stand_ins(op: Op) -> list[Op]:
    """Something of the right type for carries that a loop sets before it reads them: what they begin with is nothing.

    A value that the loop needs anyway is best; else zeros, made before the loop.
    """
    region, made = op.regions[0], list[Op]()
    around = captures(region)
    used = needed(region, region.results)
    for at, operand in enumerate(op.operands):
        if region.arguments[at] in used or operand in around:
            continue
        type_ = operand.type
        same = [value for value in around if (value.type.dtype, value.type.sizes) == (type_.dtype, type_.sizes)]
        if not same:
            sizes = tuple((axis.size, axis.public_name) for axis in type_.axes)
            number = 0.0 if type_.dtype.kind == "float" else 0
            zeros = Value(type_)
            made.append(Op("full", [], {"sizes": sizes, "value": number, "dtype": type_.dtype}, [zeros], span=op.span))
            same = [zeros]
        op.operands[at] = same[0]
    return made
