"""Copies of ops, regions and functions, with values, sizes and axis names replaced; inlining."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..dims import Dim
from ..types import Axis, TensorType
from .binding import bind_sizes
from .ir import Attribute, Function, Module, Op, Path, Region, Value
from .walk import callee, placed_ops, regions
from .walk import replace as replace_values


@dataclass(frozen=True)
class Renaming:
    """What becomes of sizes (by symbol) and of axis names in a copy."""

    sizes: Mapping[str, Dim] = field(default_factory=dict[str, Dim])
    names: Mapping[str, str] = field(default_factory=dict[str, str])

    def axis(self, axis: Axis) -> Axis:
        """An axis of the copy."""
        name = None if axis.name is None else self.names.get(axis.name, axis.name)
        return Axis(axis.size.substitute(self.sizes), name)

    def type(self, type_: TensorType) -> TensorType:
        """A type of the copy."""
        return type_.with_axes([self.axis(axis) for axis in type_.axes])

    def attribute(self, value: Attribute) -> Attribute:
        """An attribute of the copy; a pair of a size and a name is renamed as an axis is."""
        match value:
            case Dim():
                return value.substitute(self.sizes)
            case (Dim() as size, (str() | None) as name):
                axis = self.axis(Axis(size, name))
                return (axis.size, axis.name)
            case tuple():
                return tuple(map(self.attribute, value))
            case _:
                return value


SAME = Renaming()


def clone_op(op: Op, values: dict[Value, Value], renaming: Renaming = SAME) -> Op:
    """A copy of an op. `values` says what its operands become (others stay) and learns what its results became."""
    operands = [values.get(value, value) for value in op.operands]
    inner = [clone_region(region, values, renaming) for region in op.regions]
    attributes = {name: renaming.attribute(value) for name, value in op.attributes.items()}
    return Op(op.kind, operands, attributes, [_define(value, values, renaming) for value in op.results], inner, op.span)


def clone_region(region: Region, values: dict[Value, Value], renaming: Renaming = SAME) -> Region:
    """A copy of a region with arguments of its own. `values` as in :func:`clone_op`."""
    arguments = [_define(value, values, renaming) for value in region.arguments]
    ops = [clone_op(op, values, renaming) for op in region.ops]
    return Region(arguments, ops, [values.get(value, value) for value in region.results])


def clone_function(function: Function, name: str | None = None, renaming: Renaming = SAME) -> Function:
    """A copy of a function, by another name if one is given."""
    return Function(
        name=function.name if name is None else name,
        body=clone_region(function.body, {}, renaming),
        parameters={
            path: replace(parameter, type=renaming.type(parameter.type))
            for path, parameter in function.parameters.items()
        },
        output_names=list(function.output_names),
        doc=function.doc,
        title=function.title,
        span=function.span,
    )


def clone_module(module: Module) -> Module:
    """A copy of a module that shares no function with it."""
    functions = {name: clone_function(function) for name, function in module.functions.items()}
    return Module(module.name, functions, dict(module.roles))


def _define(value: Value, values: dict[Value, Value], renaming: Renaming) -> Value:
    values[value] = Value(renaming.type(value.type), value.name, value.lent)
    return values[value]


def call_renaming(target: Function, operands: list[Value]) -> Renaming:
    """What the symbols and axis names of a function are for its caller.

    Raises:
        BindingError: the operands do not fit.
    """
    inputs = [value.type for value in target.inputs]
    sizes = bind_sizes(inputs, [value.type.sizes for value in operands])
    names: dict[str, str] = {}
    for declared, given in zip(inputs, operands, strict=True):
        for inner, outer in zip(declared.axes, given.type.axes, strict=True):
            if inner.name is not None and outer.name is not None:
                names.setdefault(inner.name, outer.name)
    return Renaming(sizes, names)


def inline_call(module: Module, function: Function, call: Op) -> list[Op]:
    """Puts the body of its callee in place of a call in `function`, which then owns the callee's own parameters.

    Parameters keep their names. Draws keep their paths, and so their distribution, but not their keys, as the key is
    no longer folded once for the call and once for the op.

    Returns:
        The ops that stand in the call's place.

    Raises:
        BindingError: the operands do not fit the callee.
        ValueError: `call` is not in `function`.
    """
    target = module.functions[callee(call)]
    renaming = call_renaming(target, call.operands)
    values = dict(zip(target.inputs, call.operands, strict=True))
    ops = [clone_op(op, values, renaming) for op in target.body.ops]
    _prefix_paths(ops, call.path())
    prefix = _place_of(function, call)
    for parameter in target.parameters.values():
        path = prefix + parameter.path
        function.parameters.setdefault(path, replace(parameter, path=path, type=renaming.type(parameter.type)))
    _substitute(function.body, call, ops)
    results = [values.get(value, value) for value in target.results]
    replace_values(function.body, dict(zip(call.results, results, strict=True)))
    return ops


def _place_of(function: Function, call: Op) -> Path:
    for placed in placed_ops(function):
        if placed.op is call:
            return placed.path
    raise ValueError(f"the call is not in `{function.name}`")


def _substitute(body: Region, call: Op, ops: list[Op]) -> None:
    for region in regions(body):
        if call in region.ops:
            at = region.ops.index(call)
            region.ops[at : at + 1] = ops


def _prefix_paths(ops: list[Op], prefix: Path) -> None:
    """Puts a prefix before every path that is relative to the function's root.

    A loop's regions are relative to the loop's own path, which gets it; those of a `cond` without one need it each.
    """
    for op in ops:
        if "path" in op.attributes:
            op.attributes["path"] = prefix + op.path()
        else:
            for region in op.regions:
                _prefix_paths(region.ops, prefix)
