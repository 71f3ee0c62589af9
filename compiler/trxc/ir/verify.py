"""Checks that a module is well-formed: what every pass may rely on and must leave so.

Not exported from the package, as the op table, which it needs, needs the package.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..diagnostics.internal import InternalError
from ..ops import OPS
from ..ops.control import CONTROL, same_type
from ..ops.definition import Attributes, Instance, OpDefinition, TypeFault
from ..source import Span
from ..types import DType, TensorType
from .ir import Function, Module, Op, Path, Region, Value
from .parameters import READS, Found, Trees, storage_key
from .walk import SLICED, Placed, call_order, callees, placed_ops, slice_names


@dataclass(frozen=True)
class Problem:
    """What is wrong, and the place in the source that the op came from."""

    text: str
    span: Span | None = None


def verify(module: Module) -> list[str]:
    """What is wrong with a module, in order; nothing, if it is well-formed."""
    return [problem.text for problem in find_problems(module)]


def verify_or_raise(module: Module, phase: str) -> None:
    """Checks a module.

    Args:
        module: the module.
        phase: the part of the compiler that made it, for the message.

    Raises:
        InternalError: it is not well-formed; the message names the first few problems.
    """
    problems = find_problems(module)
    if problems:
        more = f"\n… and {len(problems) - 5} more" if len(problems) > 5 else ""
        text = "\n".join(problem.text for problem in problems[:5])
        raise InternalError(phase, text + more, next((p.span for p in problems if p.span), None))


def find_problems(module: Module) -> list[Problem]:
    """What is wrong with a module, and where."""
    found = [Problem(text) for text in _module_problems(module)]
    for function in module.functions.values():
        found += (_inside(function, problem) for problem in _function(function, module))
    if not found:  # parameters are found by walking what has just been checked
        trees = Trees(module)
        for function in module.functions.values():
            found += (_inside(function, problem) for problem in _parameters(function, trees))
    return found


def _inside(function: Function, problem: Problem) -> Problem:
    return Problem(f"{function.name}: {problem.text}", problem.span or function.span)


def _module_problems(module: Module) -> Iterator[str]:
    for role, name in module.roles.items():
        if name not in module.functions:
            yield f"the role `{role}` is played by `{name}`, which is not there"
    for name, function in module.functions.items():
        if name != function.name:
            yield f"the function `{function.name}` is listed as `{name}`"
    try:
        call_order(module)
    except ValueError as error:
        yield str(error)
        return
    seen: set[str] = set()
    for name, function in module.functions.items():
        seen.add(name)
        later = [called for called in callees(function) if called in module.functions and called not in seen]
        yield from (f"`{name}` calls `{called}`, which is defined after it" for called in later)


def _function(function: Function, module: Module) -> Iterator[Problem]:
    if len(function.output_names) > len(function.results):  # new carries of a cell are results without a name
        yield Problem(f"{len(function.output_names)} output names for {len(function.results)} results")
    for path, parameter in function.parameters.items():
        if not path or path != parameter.path:
            yield Problem(f"the parameter `{parameter.name}` is listed as `{'.'.join(path)}`")
    yield from _Body(module).region(function.body, set())


def _parameters(function: Function, trees: Trees) -> Iterator[Problem]:
    """Whether the parameters of a function fit together, and what it reads is there."""
    reached, problems = trees.of(function.name)
    yield from map(Problem, problems)
    for placed in placed_ops(function):
        yield from (Problem(f"`{placed.op.kind}`: {text}", placed.op.span) for text in _read(reached, placed))
        if placed.op.kind == SLICED and slice_names(placed.op) and any(loop.names for loop in placed.loops):
            yield Problem("`repeat`: slices with names of their own are inside others that have them", placed.op.span)
    yield from map(Problem, _slices(reached))


def _slices(reached: Mapping[Path, Found]) -> Iterator[str]:
    """Whether every slice of a stack has a name, and no two weights the same."""
    named: dict[str, Path] = {}
    for key, found in reached.items():
        names = found.bound().names.values() if any(stack.names for stack in found.stacks) else ()
        for name in names or [found.bound().name]:
            if name in named:
                yield f"`{name}` is stored twice, at `{'.'.join(named[name])}` and `{'.'.join(key)}`"
            named[name] = key


def _read(reached: Mapping[Path, Found], placed: Placed) -> Iterator[str]:
    """Whether what is read or written is there: the function's own, or (`table.w`) that of a layer it calls."""
    op = placed.op
    if op.kind not in READS:
        return
    found = reached.get(tuple(map(storage_key, placed.path)))
    name = ".".join(placed.path)
    if found is None:
        yield f"there is no `{name}` in the function or what it calls"
        return
    if found.stack != tuple(loop.count for loop in placed.loops):
        yield f"`{name}` is in other loops where it is declared or read elsewhere"
    parameter = found.parameter
    if parameter.trainable != (op.kind == "parameter"):
        yield f"`{name}` is a {'weight' if parameter.trainable else 'state'}"
    for value in (*op.operands, *op.results):
        if not same_type(value.type, parameter.type):
            yield f"`{name}` is {parameter.type}, not {value.type}"


class _Body:
    """Checks a function's code; knows what it has met."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.defined: set[Value] = set()
        self.ops: set[Op] = set()

    def region(self, region: Region, outer: set[Value]) -> Iterator[Problem]:
        """A region that sees the values `outer`."""
        visible = set(outer)
        yield from self.define(region.arguments, visible, None)
        for op in region.ops:
            if op in self.ops:
                yield Problem(f"`{op.kind}` stands in two places", op.span)
            self.ops.add(op)
            yield from self.use(op.operands, visible, op)
            for inner in op.regions:
                yield from self.region(inner, visible)
            yield from self.define(op.results, visible, op)
            yield from (Problem(f"`{op.kind}`: {text}", op.span) for text in op_problems(op, self.module))
        yield from self.use(region.results, visible, None)

    def define(self, values: list[Value], visible: set[Value], op: Op | None) -> Iterator[Problem]:
        """New values, each to be defined once in the function."""
        for value in values:
            if value in self.defined:
                yield Problem(f"{_at(op)}defines {value!r} again", op.span if op else None)
            self.defined.add(value)
            visible.add(value)

    def use(self, values: list[Value], visible: set[Value], op: Op | None) -> Iterator[Problem]:
        """Values that must have been defined before, here or in a region around."""
        for value in values:
            if value not in visible:
                known = "cannot be seen from here" if value in self.defined else "is not defined before"
                yield Problem(f"{_at(op)}uses {value!r}, which {known}", op.span if op else None)


def _at(op: Op | None) -> str:
    return f"`{op.kind}` " if op else "a region "


def op_problems(op: Op, module: Module) -> list[str]:
    """What is wrong with an op by itself: its kind, its form, its results' types."""
    if op.kind in CONTROL:
        return CONTROL[op.kind].verify_op(op, module)
    if op.kind in OPS:
        return list(_inferred(op, OPS[op.kind]))
    return ["there is no such op"]


def _inferred(op: Op, definition: OpDefinition) -> Iterator[str]:
    if op.regions:
        yield "it has regions"
    if definition.random and "path" not in op.attributes:
        yield "it draws, and has no `path` to name its key"
    operands, results = tuple(v.type for v in op.operands), tuple(v.type for v in op.results)
    use = Instance(operands, Attributes(op.attributes), results)
    try:
        types = definition.infer(use)
    except TypeFault as fault:
        yield fault.message
        return
    except (KeyError, IndexError, ValueError, TypeError, AssertionError) as error:
        yield f"its operands or attributes do not fit ({type(error).__name__}: {error})"
        return
    yield from _same_results(op, types)


def _same_results(op: Op, types: tuple[TensorType, ...]) -> Iterator[str]:
    if len(types) != len(op.results):
        yield f"it has {len(op.results)} results, not {len(types)}"
        return
    for value, type_ in zip(op.results, types, strict=True):
        if not _fixes(value.type.dtype, type_.dtype) or not value.type.same_sizes(type_):
            yield f"its result is {value.type}, not {type_}"


def _fixes(actual: DType, inferred: DType) -> bool:
    """Whether a dtype is the inferred one, or what a pass has made of a generic one."""
    return actual == inferred or (inferred.generic and actual.kind == inferred.kind)
