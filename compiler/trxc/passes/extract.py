"""Any value of the graph out or in: specialises the functions on the way to it.

Before, asked for `blocks[1].scores`::

    function block(x) { …; yield y }
    function gpt(x) -> (y) {
      y = repeat(x) {count=3, path=("blocks",)} do (x) { y = call(x) {callee="block", path=()}; yield y }
      yield y
    }

After::

    function block_2(x) { …; yield y, scores }
    function gpt_2(x) -> (y, blocks[1].scores) {
      %0 = repeat(x) {count=1, path=("blocks",), first=0, of=3} do …
      %1, %2 = repeat(%0) {count=1, path=("blocks",), first=1, of=3, collected=1} do …callee="block_2"…
      %3 = take_index(%2) {index=0, along=0}
      y = repeat(%1) {count=1, path=("blocks",), first=2, of=3} do …
      yield y, %3
    }

A value that is fed is a further argument of every function on the way. What it makes unnecessary goes, inputs of the
model among it; weights keep their names and their place in storage. Other roles than `apply` stay as they are.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..diagnostics import Diagnostic
from ..dims import dim
from ..ir import Function, Module, Op, Region, Value
from ..ir.clone import call_renaming, clone_region
from ..ir.parameters import READS, Trees, storage_key
from ..ir.walk import call_order, callee, placed_ops, reachable, repeat_count
from ..ir.walk import replace as replace_values
from ..types import Axis, TensorType
from .places import Names, Place, Step, UnknownValueError, outward_type
from .prune import Pruner


@dataclass(frozen=True, eq=False)
class Request:
    """A value that is wanted, or given, and the steps that are left to where it is."""

    name: str
    place: Place
    fed: bool
    steps: tuple[Step, ...]

    def inner(self) -> Request:
        """The same for the region that the first step leads into."""
        return replace(self, steps=self.steps[1:])

    @property
    def short(self) -> str:
        """What the value is called in the layer that it stands in."""
        return self.name.rpartition(".")[2]

    @property
    def index(self) -> int | None:
        """The iteration that it is for, where the first step leads into a loop."""
        return self.steps[0].index


def extract(module: Module, fetch: Iterable[str], feed: Iterable[str]) -> str:
    """Makes `apply` give the values `fetch` beside its outputs, and take the values `feed` as inputs, by their names.

    Where values are both fed and fetched, a part of the model is run: outputs that need inputs which nothing fetched
    needs are left out.

    Args:
        module: as it was elaborated; other roles are not changed.
        fetch: names of values; see :mod:`trxc.passes.places`.
        feed: names of values, likewise. A value in a loop is the same in every iteration, if the name says none.

    Returns:
        The name of the function that plays `apply` now.

    Raises:
        UnknownValueError: there is no such value, or one is fed twice.
    """
    root = module.role("apply")
    wanted, given = list(dict.fromkeys(fetch)), list(dict.fromkeys(feed))
    names = Names(module, root)
    requests = [Request(n, p, False, p.steps) for n in wanted for p in names.find(n)[-1:] if n not in root.output_names]
    requests += [Request(n, p, True, p.steps) for n in given for p in names.find(n)]
    _refuse_twice([request for request in requests if request.fed])
    kept = _kept_outputs(module, root, requests, [name for name in wanted if name in root.output_names])
    built = _Builder(module, root, requests, kept)
    _refuse_clash(built.root)
    module.functions.update(built.functions)
    module.roles["apply"] = built.root.name
    order, alive = call_order(module), reachable(module)
    module.functions = {name: module.functions[name] for name in order if name in alive}
    return built.root.name


def _refuse_twice(fed: Sequence[Request]) -> None:
    """A value can be given by one name only."""
    for at, first in enumerate(fed):
        for second in fed[at + 1 :]:
            same = first.place.at == second.place.at and len(first.steps) == len(second.steps)
            if same and first.name != second.name and all(map(_meet, first.steps, second.steps)):
                message = f"`{second.name}` is fed twice, as `{first.name}` as well"
                raise UnknownValueError(Diagnostic("TRX0707", message, None))


def _meet(left: Step, right: Step) -> bool:
    return left.position == right.position and (left.index == right.index or None in (left.index, right.index))


def _refuse_clash(root: Function) -> None:
    names = [value.name for value in root.inputs]
    for name in names:
        if name is not None and names.count(name) > 1:
            message = f"`{name}` is fed, and an input that is needed as well has the same name"
            help_ = f"say which `{name}` is fed by its number: `{name}#1`, `{name}#2`"
            raise UnknownValueError(Diagnostic("TRX0707", message, None, helps=(help_,)))


def _kept_outputs(module: Module, root: Function, requests: list[Request], wanted: list[str]) -> list[str]:
    """The model's outputs, without those that need inputs which nothing that is fetched does."""
    outputs = root.output_names
    fetched = bool(wanted) or any(not request.fed for request in requests)
    if not fetched or not any(request.fed for request in requests):
        return outputs
    needed = _Builder(module, root, requests, wanted).inputs
    return [n for n in outputs if n in wanted or _Builder(module, root, requests, [*wanted, n]).inputs <= needed]


class _Builder:
    """The specialised functions for some requests; the module is only read."""

    def __init__(self, module: Module, root: Function, requests: list[Request], outputs: Sequence[str]) -> None:
        self.module = module
        self.functions: dict[str, Function] = {}
        self.moved: dict[Value, Value] = {}
        self._origins: dict[str, Function] = {}
        self.root = self._copy(root)
        body = self.root.body
        fed: dict[str, Value] = {}
        for request in requests:
            if request.fed and request.name not in fed:
                type_ = outward_type(module, root.body, request.place, fed=True, steps=request.steps)
                fed[request.name] = Value(type_, request.name)
        found = self.wire(root.body, body, requests, fed)
        body.arguments.extend(fed.values())
        given = [(name, body.results[root.output_names.index(name)]) for name in outputs]
        given += [(request.name, found[request]) for request in requests if not request.fed]
        self.root.output_names = [name for name, _ in given]
        body.results[:] = [value for _, value in given]
        Pruner(self.functions, self.root).run()
        self._own_what_is_read()

    @property
    def inputs(self) -> set[str]:
        """The names of the inputs that are needed."""
        return {value.name or "" for value in self.root.inputs}

    def _copy(self, function: Function) -> Function:
        """A copy with a name of its own, of which there is one call."""
        number = 2
        while f"{function.name}_part_{number - 1}" in {**self.module.functions, **self.functions}:
            number += 1
        name = f"{function.name}_part_{number - 1}"
        body = clone_region(function.body, {})
        names = list(function.output_names)
        copy = replace(function, name=name, body=body, parameters=dict(function.parameters), output_names=names)
        self.functions[name] = copy
        self._origins[name] = function
        return copy

    def _own_what_is_read(self) -> None:
        """A weight of a layer that is not called any more belongs to who still reads it."""
        now = Module(self.module.name, {**self.module.functions, **self.functions})
        before, trees = Trees(self.module), Trees(now)
        for name in call_order(now, [self.root.name]):
            if name not in self.functions:
                continue
            function = self.functions[name]
            known, reached = before.of(self._origins[name].name)[0], trees.of(name)[0]
            for placed in placed_ops(function):
                key = tuple(map(storage_key, placed.path)) if placed.op.kind in READS else ()
                if key and key not in reached:
                    owned = known[key]
                    function.parameters[owned.path] = replace(owned.parameter, path=owned.path)

    def wire(
        self, old: Region, new: Region, requests: Sequence[Request], fed: Mapping[str, Value]
    ) -> dict[Request, Value]:
        """Puts what is fed in its place in `new`, a copy of `old`, and finds what is fetched, as values of `new`."""
        ops = list(new.ops)
        here = {request: _value(new, request.place.at) for request in requests if not request.steps}
        below: dict[int, list[Request]] = {}
        found: dict[Request, Value] = {}
        for request in requests:
            if request.steps and request.place.weight and not request.fed and not self._in_repeat(old, request.steps):
                found[request] = self._read(old, new, request)
            elif request.steps:
                below.setdefault(request.steps[0].position, []).append(request)
        given = {value: fed[request.name] for request, value in here.items() if request.fed}
        replace_values(new, given)
        found |= {request: given.get(value, value) for request, value in here.items() if not request.fed}
        for position, inside in below.items():
            through = {"call": self._call, "repeat": self._repeat, "recur": self._recur}[ops[position].kind]
            found |= through(old.ops[position], ops[position], new, inside, fed)
        return {request: self.moved.get(value, value) for request, value in found.items()}

    def _in_repeat(self, region: Region, steps: tuple[Step, ...]) -> bool:
        for step in steps:
            op = region.ops[step.position]
            if op.kind == "repeat":
                return True
            region = self.module.functions[callee(op)].body if op.kind == "call" else op.regions[0]
        return False

    def _read(self, old: Region, new: Region, request: Request) -> Value:
        """A weight that stands in a layer below: it can be read from here."""
        type_ = outward_type(self.module, old, request.place, fed=False, steps=request.steps)
        region, path = old, list[str]()
        for step in request.steps:
            op = region.ops[step.position]
            path += op.path()
            region = self.module.functions[callee(op)].body if op.kind == "call" else op.regions[0]
        source = region.ops[request.place.at[0]]
        result = Value(type_)
        new.ops.append(Op(source.kind, [], {"path": (*path, *source.path())}, [result], span=source.span))
        return result

    # ------------------------------------------------------------- on the way

    def _call(
        self, old: Op, op: Op, region: Region, requests: Sequence[Request], fed: Mapping[str, Value]
    ) -> dict[Request, Value]:
        """The callee's copy takes what is fed as further arguments, and gives what is fetched as further results."""
        source = self.module.functions[callee(op)]
        target = self._copy(source)
        renaming = call_renaming(source, op.operands)
        inner = {request: request.inner() for request in requests}
        arguments: dict[str, Value] = {}
        for request in inner.values():
            if request.fed and request.name not in arguments:
                type_ = outward_type(self.module, source.body, request.place, fed=True, steps=request.steps)
                arguments[request.name] = Value(type_, request.name)
        values = self.wire(source.body, target.body, list(inner.values()), arguments)
        target.body.arguments.extend(arguments.values())
        op.operands.extend(fed[name] for name in arguments)
        op.attributes["callee"] = target.name
        found: dict[Request, Value] = {}
        for request, within in inner.items():
            if not request.fed:
                target.body.results.append(values[within])
                found[request] = Value(renaming.type(values[within].type), request.short)
                op.results.append(found[request])
        return found

    def _recur(
        self, old: Op, op: Op, region: Region, requests: Sequence[Request], fed: Mapping[str, Value]
    ) -> dict[Request, Value]:
        """What is fed is one more sequence (a weight is the same at every step); what is fetched one more output."""
        inside, axis, count = op.regions[0], op.attributes["axis"], op.attributes["sequences"]
        assert isinstance(axis, int) and isinstance(count, int)
        carries = len(op.operands) - count
        inner = {request: request.inner() for request in requests}
        steps: dict[str, Value] = {}
        for request in inner.values():
            if request.fed:
                type_ = outward_type(self.module, old.regions[0], request.place, fed=True, steps=request.steps)
                element = fed[request.name] if request.place.weight else Value(type_, request.name)
                steps.setdefault(request.name, element)
        values = self.wire(old.regions[0], inside, list(inner.values()), steps)
        walked = [name for name, value in steps.items() if value is not fed[name]]
        op.operands[count:count] = [fed[name] for name in walked]
        inside.arguments[count:count] = [steps[name] for name in walked]
        op.attributes["sequences"] = count + len(walked)
        length = op.operands[0].type.axes[axis]
        found: dict[Request, Value] = {}
        for request, within in inner.items():
            if not request.fed:
                type_ = values[within].type
                found[request] = Value(type_.with_axes((*type_.axes[:axis], length, *type_.axes[axis:])), request.short)
                inside.results.insert(len(inside.results) - carries, values[within])
                op.results.insert(len(op.results) - carries, found[request])
        return found

    def _repeat(
        self, old: Op, op: Op, region: Region, requests: Sequence[Request], fed: Mapping[str, Value]
    ) -> dict[Request, Value]:
        """The loop is cut where one iteration is meant, and each part has its own copy of the region."""
        total, at = repeat_count(op), region.ops.index(op)
        parts: list[Op] = []
        collected: dict[Request, list[Value]] = {}
        operands = op.operands
        for first, last in _cuts(total, [request.index for request in requests]):
            part = self._part(op, operands, first, last)
            asked = [r for r in requests if r.index is None or first <= r.index < last]
            inner = {request: request.inner() for request in asked}
            values = self.wire(old.regions[0], part.regions[0], list(inner.values()), fed)
            parts.append(part)
            for request, within in inner.items():
                if not request.fed:
                    collected.setdefault(request, []).append(_collect(part, request, values[within]))
            operands = part.results[: len(op.operands)]
        ends = dict(zip(op.results, operands, strict=True))
        for before, after in ends.items():
            after.name, after.lent = before.name, before.lent
        joins: list[Op] = []
        found = {request: _joined(request, values, joins) for request, values in collected.items()}
        region.ops[at : at + 1] = [*parts, *joins]
        replace_values(region, ends)
        self.moved |= ends
        return found

    @staticmethod
    def _part(op: Op, operands: list[Value], first: int, last: int) -> Op:
        inside = clone_region(op.regions[0], {})
        attributes = {**op.attributes, "count": last - first}
        if last - first < repeat_count(op):
            attributes |= {"first": first, "of": repeat_count(op)}
        return Op(op.kind, list(operands), attributes, [Value(v.type) for v in op.operands], [inside], op.span)


def _value(region: Region, at: tuple[int, int]) -> Value:
    position, index = at
    return region.arguments[index] if position < 0 else region.ops[position].results[index]


def _cuts(total: int, indices: Sequence[int | None]) -> list[tuple[int, int]]:
    """The parts of a loop, so that each iteration that is meant by itself is one."""
    bounds = {0, total}
    for index in indices:
        if index is not None:
            bounds |= {index, index + 1}
    ordered = sorted(bounds)
    return list(itertools.pairwise(ordered))


def _collect(part: Op, request: Request, value: Value) -> Value:
    """One more result of a loop: a value of its region, stacked over the iterations."""
    before = part.attributes.get("collected", 0)
    assert isinstance(before, int)
    part.attributes["collected"] = before + 1
    part.regions[0].results.append(value)
    stacked = TensorType(value.type.dtype, (Axis(dim(repeat_count(part))), *value.type.axes))
    part.results.append(Value(stacked, request.short))
    return part.results[-1]


def _joined(request: Request, values: list[Value], ops: list[Op]) -> Value:
    """What all parts of a loop have collected: one after the other, or the one iteration that was asked for."""
    type_ = values[0].type
    if request.index is not None:
        one = type_.with_axes(type_.axes[1:])
        ops.append(Op("take_index", values, {"index": (dim(0), None), "along": 0}, [Value(one)]))
    elif len(values) > 1:
        count = sum((value.type.sizes[0] for value in values), dim(0))
        whole = type_.with_axes((Axis(count), *type_.axes[1:]))
        ops.append(Op("concat", values, {"along": 0}, [Value(whole)]))
    else:
        return values[0]
    return ops[-1].result


__all__ = ["Request", "UnknownValueError", "extract"]
