"""Sibling projections: products of one value with weights that could stand side by side in one weight.

A product is linear in its weight, and an axis that only the weight has comes out in the result as it went in. So
weights whose other axes agree can be joined along it, and the joint result be cut at the same places.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from ..ir import Function, Module, Op, Region, Value
from ..ir.binding import BindingError
from ..ir.clone import SAME, Renaming, call_renaming
from ..ir.walk import callee
from ..ops import OPS
from ..ops.contraction import ELLIPSIS, Pattern, expand_pattern, parse_pattern
from ..source import Span
from ..types import TensorType

SMALL = 8
"""The most ops that a function may have to be written out for a product in it; weights and numbers do not count."""


@dataclass(frozen=True)
class Form:
    """What siblings share: op, which operand is the weight, and the pattern with its names counted in order."""

    kind: str
    weight_at: int
    terms: tuple[tuple[int, ...], ...]
    result: tuple[int, ...]
    free: tuple[int, ...]
    """The axes of the weight that it alone has, and the result."""

    @property
    def weight_term(self) -> tuple[int, ...]:
        """The numbers of the weight's axes."""
        return self.terms[self.weight_at]

    def result_axis(self, axis: int) -> int:
        """Where axis `axis` of the weight is in the result."""
        return self.result.index(self.weight_term[axis])

    @property
    def contracted(self) -> tuple[int, ...]:
        """The axes of the weight that are summed over."""
        return tuple(at for at, name in enumerate(self.weight_term) if name not in self.result)


@dataclass(frozen=True)
class Product:
    """A product of `x` with the weight that `weight` reads; `op` stands in the callee of `call`, if there is one."""

    op: Op
    x: Value
    weight: Op
    type: TensorType
    form: Form
    call: Op | None = None

    @property
    def name(self) -> str:
        """The weight, as users write it, from where it is read."""
        return ".".join((*(self.call.path() if self.call else ()), *self.weight.path()))

    @property
    def span(self) -> Span | None:
        """Where the user wrote it: the call of the layer that it stands in, if there is one."""
        return self.op.span if self.call is None else self.call.span

    def wide(self) -> int | None:
        """How many columns the weight has as a matrix, where that is known."""
        return _known(self.type, self.form.free)

    def deep(self) -> int | None:
        """How many rows the weight has as a matrix, where that is known."""
        return _known(self.type, self.form.contracted)


def _known(type_: TensorType, axes: Sequence[int]) -> int | None:
    sizes = [type_.axes[at].size.value for at in axes]
    return prod(size for size in sizes if size is not None) if None not in sizes else None


def form_of(op: Op, weight_at: int) -> Form | None:
    """The form of a product of two operands, if its weight has an axis of its own."""
    pattern = _pattern(op)
    if pattern is None or any(len(set(term)) < len(term) for term in pattern.terms):
        return None
    number = {name: at for at, name in enumerate(pattern.names)}
    weight, other = pattern.terms[weight_at], pattern.terms[1 - weight_at]
    free = tuple(
        at
        for at, name in enumerate(weight)
        if name not in other and name in pattern.result and not name.startswith(ELLIPSIS)
    )
    terms = tuple(tuple(number[name] for name in term) for term in pattern.terms)
    return Form(op.kind, weight_at, terms, tuple(number[name] for name in pattern.result), free) if free else None


def _pattern(op: Op) -> Pattern | None:
    """The pattern of a product of two operands, with a name for every axis."""
    if op.kind == "einsum" and len(op.operands) == 2:
        text = op.attributes["pattern"]
        assert isinstance(text, str)
        return expand_pattern(parse_pattern(text, 2), [value.type for value in op.operands])
    if op.kind != "matmul" or op.operands[1].type.rank > 2:
        return None
    left, right = (value.type.rank for value in op.operands)
    rows = tuple(f"row{at}" for at in range(left - 1))
    columns = ("column",) * (right - 1)
    return Pattern(((*rows, "inner"), ("inner", *columns)), (*rows, *columns))


def products(module: Module, region: Region, weights: Mapping[Value, Op]) -> Iterator[Product]:
    """The products with a weight in a region itself, and those in small functions that it calls.

    Args:
        module: the module.
        region: the region.
        weights: the ops that read a weight, by their result, of all that the region sees.
    """
    for op in region.ops:
        if op.kind in ("matmul", "einsum"):
            yield from _product(op, weights)
        elif op.kind == "call" and callee(op) not in module.roles.values() and is_small(module.functions[callee(op)]):
            yield from _called(module.functions[callee(op)], op)


def _product(op: Op, weights: Mapping[Value, Op]) -> Iterator[Product]:
    at = next((at for at in (1, 0) if at < len(op.operands) and op.operands[at] in weights), None)
    form = None if at is None else form_of(op, at)
    if at is not None and form is not None:
        yield Product(op, op.operands[1 - at], weights[op.operands[at]], op.operands[at].type, form)


def _called(function: Function, call: Op) -> Iterator[Product]:
    """The products of the inputs of a function with weights, as its caller sees them."""
    try:
        renaming = call_renaming(function, call.operands)
    except BindingError:
        return
    given = dict(zip(function.inputs, call.operands, strict=True))
    weights = {op.result: op for op in function.body.ops if op.kind == "parameter"}
    for op in function.body.ops:
        if op.kind in ("matmul", "einsum"):
            yield from (_outside(found, given, renaming, call) for found in _product(op, weights) if found.x in given)


def _outside(found: Product, given: Mapping[Value, Value], renaming: Renaming, call: Op) -> Product:
    type_ = found.type if renaming is SAME else renaming.type(found.type)
    return Product(found.op, given[found.x], found.weight, type_, found.form, call)


def is_small(function: Function) -> bool:
    """Whether a function is a few plain ops: no draws, states, calls or regions."""
    ops = [op for op in function.body.ops if op.kind not in ("parameter", "constant", "size")]
    return len(ops) <= SMALL and all(op.kind in OPS and not OPS[op.kind].random for op in ops)
