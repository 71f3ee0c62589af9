"""Ops that hold the program together: literals, parameters, calls, loops and branches.

Users do not call them by name, and the emitter writes them itself. Their types do not follow from operands alone, so
the verifier asks each of them with :meth:`ControlOp.verify_op`, which sees the whole op and its module.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence

from ..dims import Dim, dim
from ..ir import Attribute, Module, Op, Region, Value
from ..ir.binding import BindingError, bind_sizes
from ..ir.walk import callee, collected_count, first_slice, repeat_count, stack_count
from ..types import INT, Axis, TensorType
from .arrays import Array, np
from .definition import Environment, Instance, OpDefinition
from .slices import name_problems

COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def same_type(left: TensorType, right: TensorType) -> bool:
    """Whether dtype and sizes are equal; axes may have other names."""
    return left.dtype == right.dtype and left.same_sizes(right)


class ControlOp(OpDefinition):
    """An op whose form the verifier checks as a whole."""

    public = False
    differentiable = True

    def flops(self, use: Instance) -> Dim:
        """None of its own."""
        return dim(0)

    def verify_op(self, op: Op, module: Module) -> list[str]:
        """What is wrong with a use of the op."""
        return list(self.problems(op, module))

    def problems(self, op: Op, module: Module) -> Iterator[str]:
        """What is wrong with a use of the op; the parts of `op` may be missing or of any kind."""
        raise AssertionError(f"{self.name} declares no check")


class Constant(ControlOp):
    """`constant {value}`: a number or truth value as a scalar."""

    name = "constant"

    def problems(self, op: Op, module: Module) -> Iterator[str]:
        """Result: a scalar of a kind that can hold the value."""
        yield from _form(op, operands=0, results=1, regions=0)
        value = op.attributes.get("value")
        if isinstance(value, bool):
            kinds = {"bool"}
        elif isinstance(value, int):
            kinds = {"int", "float"}
        elif isinstance(value, float):
            kinds = {"float"}
        else:
            yield "`value` is no number or truth value"
            return
        for result in op.results:
            if result.type.rank or result.type.dtype.kind not in kinds:
                yield f"the value {value!r} is no {result.type}"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """The value."""
        value = use.attributes["value"]
        assert isinstance(value, int | float)
        return np.asarray(value, env.dtype(use.result.dtype))


class Size(ControlOp):
    """`size {size}`: a size as a number."""

    name = "size"

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """An int scalar."""
        return (TensorType(INT),)

    def problems(self, op: Op, module: Module) -> Iterator[str]:
        """Result: a scalar int. `size` is a pair of a size and a name."""
        yield from _form(op, operands=0, results=1, regions=0)
        match op.attributes.get("size"):
            case (Dim(), str() | None):
                pass
            case _:
                yield "`size` is no pair of a size and a name"
        for result in op.results:
            if result.type.rank or result.type.dtype.kind != "int":
                yield f"a size is no {result.type}"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """The size's value."""
        return np.asarray(env.size(use.attributes.size("size").size), env.dtype(use.result.dtype))


class ParameterRead(ControlOp):
    """`parameter {path}`: the weight at a path below the current root."""

    name = "parameter"

    def problems(self, op: Op, module: Module) -> Iterator[str]:
        """One result; whether the function owns such a parameter is checked with the function."""
        yield from _form(op, operands=0, results=1, regions=0)
        yield from _path(op)


class StateRead(ParameterRead):
    """`state {path}`: the state at a path below the current root, as it was when the step began."""

    name = "state"


class StateWrite(ControlOp):
    """`set_state(x) {path}`: `x` is what the state at a path will be in the next step."""

    name = "set_state"

    def problems(self, op: Op, module: Module) -> Iterator[str]:
        """One operand, no result."""
        yield from _form(op, operands=1, results=0, regions=0)
        yield from _path(op)


class Require(ControlOp):
    """`require() {operator, left, right, message}`: a condition on sizes, checked while the program is traced."""

    name = "require"

    def problems(self, op: Op, module: Module) -> Iterator[str]:
        """No operands, no results; both sides are sizes."""
        yield from _form(op, operands=0, results=0, regions=0)
        if op.attributes.get("operator") not in COMPARISONS or not isinstance(op.attributes.get("message"), str):
            yield "`operator` is no comparison, or `message` no text"
        for side in ("left", "right"):
            match op.attributes.get(side):
                case (Dim(), str() | None):
                    pass
                case _:
                    yield f"`{side}` is no pair of a size and a name"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> tuple[Array, ...]:
        """Nothing, where the condition holds.

        Raises:
            ValueError: it does not hold.
        """
        left, right = (env.size(use.attributes.size(side).size) for side in ("left", "right"))
        if not COMPARISONS[use.attributes.text("operator")](left, right):
            raise ValueError(use.attributes.text("message"))
        return ()


RECOMPUTED = ("dots", "full")
"""What the attribute `remat` of a call or `repeat` may be: backward computes its inner values again, but for products
with weights (`dots`), or all of them (`full`)."""


class Call(ControlOp):
    """`call(inputs) {callee, path}`: another function of the module, with the parameters below a path.

    `remat` says what of its inner values backward computes again; it changes no value.
    """

    name = "call"

    def problems(self, op: Op, module: Module) -> Iterator[str]:
        """Operands and results are those of the callee, with its symbols bound by the operands' sizes."""
        yield from _form(op, regions=0)
        yield from _path(op)
        yield from _remat(op)
        target = module.functions.get(callee(op))
        if target is None:
            yield f"there is no function `{callee(op)}`"
            return
        declared = [value.type for value in target.inputs]
        try:
            sizes = bind_sizes(declared, [value.type.sizes for value in op.operands])
        except BindingError as error:
            yield f"the call of `{target.name}` does not fit: {error}"
            return
        for at, (wanted, given) in enumerate(zip(declared, op.operands, strict=True)):
            if wanted.dtype != given.type.dtype:
                yield f"operand {at} of the call of `{target.name}` is {given.type.dtype}, not {wanted.dtype}"
        results = [_substituted(value.type, sizes) for value in target.results]
        yield from _agree("result", [value.type for value in op.results], f"the callee `{target.name}`", results)


class Repeat(ControlOp):
    """`repeat(carries) {count, path} do (carries) {…}`: a region *count* times, each with a slice of the parameters.

    Iteration *i* has slice *i* of the arrays below `path`; what it yields are the carries of the next. With `first` and
    `of`, a part of a longer loop: iteration *i* has slice *first + i* of *of*. With `collected`, the region yields so
    many values after the carries, which are results stacked along a new first axis.

    `names` are names of the slices' own (:func:`trxc.ir.walk.slice_names`): weights are called, and random keys made,
    as if each iteration stood by itself.

    `unrolled` says that its iterations are written out, `apart` that their slices are arrays of their own and no stack,
    `remat` what of their inner values backward computes again; none of them changes a value.
    """

    name = "repeat"

    def problems(self, op: Op, module: Module) -> Iterator[str]:
        """Operands, the region's arguments and results, and the op's results have the same types."""
        yield from _form(op, regions=1)
        yield from _path(op)
        yield from _remat(op)
        for flag in ("unrolled", "apart"):
            if not isinstance(op.attributes.get(flag, False), bool):
                yield f"`{flag}` is no truth value"
        if not _is_count(op.attributes.get("count")):
            yield "`count` is no int above 0"
            return
        if not _is_part(op):
            yield "`first`, `of` and `collected` must be ints not below 0, and the part inside of the whole"
            return
        yield from name_problems(op)
        carries = _types(op.operands)
        for region in op.regions:
            kept = max(len(region.results) - collected_count(op), 0)
            stacked = [_stacked(value.type, repeat_count(op)) for value in region.results[kept:]]
            yield from _agree("argument", _types(region.arguments), "the operands", carries)
            yield from _agree("yielded value", _types(region.results[:kept]), "the operands", carries)
            yield from _agree("result", _types(op.results), "what the region yields", carries + stacked)


class Recur(ControlOp):
    """`recur(sequences, carries) {path, axis, reverse, sequences, carries} do (elements, carries) {…}`: a scan.

    The region is run for every position of `axis` of the sequences, from the last backwards if `reverse`. It yields
    the outputs of the step, then the new carries. Results: the outputs stacked along `axis`, then the last carries.
    The parameters below `path` are the same at every step.
    """

    name = "recur"

    def problems(self, op: Op, module: Module) -> Iterator[str]:
        """Elements are the sequences without `axis`; results are the outputs with it."""
        yield from _form(op, regions=1)
        yield from _path(op)
        axis, count = op.attributes.get("axis"), op.attributes.get("sequences")
        if not _is_count(count) or not isinstance(axis, int) or not isinstance(op.attributes.get("reverse"), bool):
            yield "`sequences` must be an int above 0, `axis` an int, `reverse` a truth value"
            return
        assert isinstance(count, int)
        sequences, carries = _types(op.operands[:count]), _types(op.operands[count:])
        if len(sequences) < count or any(not 0 <= axis < type_.rank for type_ in sequences):
            yield f"not every one of {count} sequences has an axis {axis}"
            return
        if len({type_.sizes[axis] for type_ in sequences}) > 1:
            yield "the sequences differ in length"
        elements = [type_.with_axes(type_.axes[:axis] + type_.axes[axis + 1 :]) for type_ in sequences]
        for region in op.regions:
            yield from _agree("argument", _types(region.arguments), "the sequences and carries", elements + carries)
            yield from self._yields(op, region, axis, carries)

    def _yields(self, op: Op, region: Region, axis: int, carries: list[TensorType]) -> Iterator[str]:
        outputs = len(region.results) - len(carries)
        if outputs < 0 or any(value.type.rank < axis for value in region.results[:outputs]):
            yield f"the region does not yield the carries, or an output has no place for axis {axis}"
            return
        walked = op.operands[0].type.axes[axis]
        stacked = [
            type_.with_axes((*type_.axes[:axis], walked, *type_.axes[axis:]))
            for type_ in _types(region.results[:outputs])
        ]
        yield from _agree("yielded carry", _types(region.results[outputs:]), "the operands", carries)
        yield from _agree("result", _types(op.results), "what the region yields", stacked + carries)


class Cond(ControlOp):
    """`cond(predicate) do () {…} do () {…}`: the first region where the predicate holds, else the second."""

    name = "cond"

    def problems(self, op: Op, module: Module) -> Iterator[str]:
        """Both regions take nothing and yield the types of the results; the predicate is a scalar bool."""
        yield from _form(op, operands=1, regions=2)
        if "path" in op.attributes:
            yield from _path(op)
        for value in op.operands:
            if value.type.rank or value.type.dtype.kind != "bool":
                yield f"the predicate is a {value.type}, not a truth value"
        for region in op.regions:
            if region.arguments:
                yield "a region has arguments"
            yield from _agree("yielded value", _types(region.results), "the results", _types(op.results))


class Extern(ControlOp):
    """`extern(inputs) {target, keywords}`: a Python function, `module:function`, on arrays.

    What it gives is what the layer's declaration says; nothing here can check that.
    """

    name = "extern"

    def problems(self, op: Op, module: Module) -> Iterator[str]:
        """At least one result; `target` is a text, `keywords` are pairs of a name and a plain value."""
        yield from _form(op, regions=0)
        if not op.results:
            yield "it has no result"
        if not isinstance(op.attributes.get("target"), str):
            yield "`target` is no text"
        pairs = op.attributes.get("keywords")
        if not isinstance(pairs, tuple) or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs):
            yield "`keywords` are no pairs"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> tuple[Array, ...]:
        """Nothing: the interpreter runs no Python of the user's.

        Raises:
            ValueError: always.
        """
        raise ValueError(f"`{use.attributes.text('target')}` is Python code, which is not run here")


def _form(op: Op, *, operands: int | None = None, results: int | None = None, regions: int) -> Iterator[str]:
    expected = (("operands", operands, op.operands), ("results", results, op.results), ("regions", regions, op.regions))
    for what, wanted, given in expected:
        if wanted is not None and len(given) != wanted:
            yield f"it has {len(given)} {what}, not {wanted}"


def _path(op: Op) -> Iterator[str]:
    path: Attribute = op.attributes.get("path")
    if not isinstance(path, tuple) or not all(isinstance(part, str) and part for part in path):
        yield "`path` is no path"


def _remat(op: Op) -> Iterator[str]:
    if "remat" in op.attributes and op.attributes["remat"] not in RECOMPUTED:
        yield f"`remat` is none of {', '.join(RECOMPUTED)}"


def _is_count(value: Attribute) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_part(op: Op) -> bool:
    numbers = [op.attributes.get(name, 0) for name in ("first", "of", "collected")]
    if not all(isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in numbers):
        return False
    return first_slice(op) + repeat_count(op) <= stack_count(op)


def _stacked(type_: TensorType, count: int) -> TensorType:
    return type_.with_axes((Axis(dim(count)), *type_.axes))


def _types(values: Sequence[Value]) -> list[TensorType]:
    return [value.type for value in values]


def _substituted(type_: TensorType, sizes: dict[str, Dim]) -> TensorType:
    return type_.with_axes([type(axis)(axis.size.substitute(sizes), axis.name) for axis in type_.axes])


def _agree(what: str, given: Sequence[TensorType], whose: str, wanted: Sequence[TensorType]) -> Iterator[str]:
    if len(given) != len(wanted):
        yield f"{len(given)} {what}s where {whose} ask for {len(wanted)}"
        return
    for at, (left, right) in enumerate(zip(given, wanted, strict=True)):
        if not same_type(left, right):
            yield f"{what} {at} is {left}, where {whose} ask for {right}"


CONTROL: dict[str, ControlOp] = {
    definition.name: definition
    for definition in (
        Constant(),
        Size(),
        ParameterRead(),
        StateRead(),
        StateWrite(),
        Require(),
        Call(),
        Repeat(),
        Recur(),
        Cond(),
        Extern(),
    )
}
"""The control ops by name. They are not in the table of ops, whose entries users can call and tests can try alone."""
