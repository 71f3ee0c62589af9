"""Ops for all positions of a sequence at once: how each works on operands that have one more axis.

A rule takes an op of a loop's body, some of whose operands have become sequences (the loop's axis stands in them at
`at`), and gives the ops that compute its results as sequences, with the axis at the same place. The other operands
do not depend on the position. Where the axis cannot be put there without moving data, there is no rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..dims import dim
from ..ir import Attribute, Op, Value
from ..ops import OPS
from ..ops.contraction import ELLIPSIS, Pattern, Term, parse_pattern
from ..ops.cumulative import Cumulative
from ..ops.definition import Attributes
from ..ops.reductions import ArgReduction, Reduction
from ..ops.softmax import Softmax
from ..types import Axis, TensorType


@dataclass(frozen=True)
class Extra:
    """The axis of a loop's sequences, and its place in them."""

    at: int
    axis: Axis

    def type(self, type_: TensorType) -> TensorType:
        """The type of all elements of a type, side by side."""
        return type_.with_axes((*type_.axes[: self.at], self.axis, *type_.axes[self.at :]))

    def past(self, axis: int) -> int:
        """Where an axis of an element is in the sequence."""
        return axis + (axis >= self.at)


@dataclass(frozen=True)
class Elementary:
    """An op with its new operands: `sequences` says which of them have the extra axis."""

    op: Op
    operands: tuple[Value, ...]
    sequences: tuple[bool, ...]
    extra: Extra

    @property
    def at(self) -> int:
        """The place of the extra axis."""
        return self.extra.at

    @property
    def attributes(self) -> Attributes:
        """The op's own."""
        return Attributes(self.op.attributes)

    def rank(self, index: int) -> int:
        """The rank that an operand has in the loop's body."""
        return self.op.operands[index].type.rank

    def made(self, operands: tuple[Value, ...] | None = None, **changes: Attribute) -> Op:
        """The op on its new operands, with some attributes changed."""
        return self.of_kind(self.op.kind, self.operands if operands is None else operands, self.op.attributes | changes)

    def of_kind(self, kind: str, operands: tuple[Value, ...], attributes: Mapping[str, Attribute]) -> Op:
        """An op of another kind that gives the op's results as sequences."""
        results = [Value(self.extra.type(value.type), value.name, value.lent) for value in self.op.results]
        return Op(kind, list(operands), dict(attributes), results, span=self.op.span)


Rule = Callable[[Elementary], "list[Op] | None"]


def over_sequences(op: Op, new: Mapping[Value, Value], extra: Extra) -> list[Op] | None:
    """The ops that compute an op's results for all positions; the last gives them.

    Args:
        op: an op of a loop's body.
        new: what those of its operands that depend on the position are as sequences.
        extra: the axis of the sequences.
    """
    rule = _rule(op.kind)
    values = (*op.operands, *op.results)
    if rule is None or any(v.type.rank < extra.at for v in values if v in new or v in op.results):
        return None
    operands = tuple(new.get(value, value) for value in op.operands)
    return rule(Elementary(op, operands, tuple(value in new for value in op.operands), extra))


def _rule(kind: str) -> Rule | None:
    definition = OPS.get(kind)
    if definition is None or definition.random:
        return None
    if definition.elementwise:
        return _elementwise
    if isinstance(definition, Reduction):
        return _reduction
    if isinstance(definition, ArgReduction):
        return _arg_reduction
    if isinstance(definition, Cumulative):
        return _cumulative
    return _softmax if isinstance(definition, Softmax) else _RULES.get(kind)


# -------------------------------------------------------------- elementwise


def _elementwise(use: Elementary) -> list[Op] | None:
    """Operands are aligned on the right: each must have the extra axis, or a 1, as far from there as the result."""
    ops: list[Op] = []
    operands: list[Value] = []
    rank = use.op.result.type.rank
    for index, value in enumerate(use.operands):
        missing = rank - use.rank(index)
        if use.sequences[index]:
            if missing and use.at:
                return None  # the extra axis would have to move to the left of others
            operands.append(_with_ones(value, use.at + 1, missing, ops, use.op))
        else:
            place = use.rank(index) - (rank - use.at)  # axes of its own that stand left of the extra one
            operands.append(_with_ones(value, place, 1 if place > 0 else 0, ops, use.op))
    return [*ops, use.made(tuple(operands))]


def _with_ones(value: Value, at: int, count: int, ops: list[Op], origin: Op) -> Value:
    """A value with `count` axes of size 1 put in at a place, by ops that are appended."""
    for _ in range(count):
        axes = (*value.type.axes[:at], Axis(dim(1)), *value.type.axes[at:])
        wider = Value(value.type.with_axes(axes))
        ops.append(Op("expand_dims", [value], {"at": at}, [wider], span=origin.span))
        value = wider
    return value


# ----------------------------------------------------------------- products


def _matmul(use: Elementary) -> list[Op] | None:
    """The extra axis is a row of `x` where `w` is one matrix for all, else a batch."""
    (x, w), at = (use.rank(0), use.rank(1)), use.at
    match use.sequences:
        case (True, False) if w <= 2 and at < x:
            return [use.made()]
        case (True, False) if 2 < w <= x and at <= x - 2:
            return _batched(use, batches_left=w - 2 - (x - 2 - at))
        case (False, True) if w == 1 and x == 2:
            return [use.of_kind("einsum", use.operands, {"pattern": "o i, s i -> s o"})]
        case (False, True) if x == 2 and w >= 2 and at <= w - 2:
            return [use.made()]
        case (True, True) if x == w >= 2 and at <= x - 2:
            return [use.made()]
        case _:
            return None


def _batched(use: Elementary, batches_left: int) -> list[Op]:
    """A product with matrices of which so many batches stand left of the extra axis."""
    ops: list[Op] = []
    w = _with_ones(use.operands[1], batches_left, 1 if batches_left > 0 else 0, ops, use.op)
    return [*ops, use.made((use.operands[0], w))]


def _einsum(use: Elementary) -> list[Op] | None:
    """A name of its own for the extra axis, in the terms of the sequences and in the result."""
    pattern = parse_pattern(use.attributes.text("pattern"), len(use.operands))
    spare = [use.rank(index) - len(term) + 1 for index, term in enumerate(pattern.terms)]
    name = next(n for n in ("s", "t", "step", "position", "sequence") if n not in pattern.names)
    widest = max((n for n, term in zip(spare, pattern.terms, strict=True) if ELLIPSIS in term), default=0)
    terms = [
        _named(term, count, name, use.at) if sequence else term
        for term, count, sequence in zip(pattern.terms, spare, use.sequences, strict=True)
    ]
    result = _named(pattern.result, widest, name, use.at)
    if result is None or None in terms:
        return None
    text = _text(Pattern(tuple(term for term in terms if term is not None), result))
    return [use.made(pattern=text)]


def _named(term: Term, under_ellipsis: int, name: str, at: int) -> Term | None:
    """A term with a name put in at axis `at`, unless that is among the axes under `...`."""
    dots = term.index(ELLIPSIS) if ELLIPSIS in term else len(term)
    if at > dots:
        at -= under_ellipsis - 1
        if at <= dots:
            return None
    return (*term[:at], name, *term[at:])


def _text(pattern: Pattern) -> str:
    return f"{', '.join(' '.join(term) for term in pattern.terms)} -> {' '.join(pattern.result)}"


# ---------------------------------------------------------------- reductions


def _reduction(use: Elementary) -> list[Op] | None:
    over = use.attributes.axes("over")
    if not use.attributes.flag("keep") and any(axis < use.at for axis in over):
        return None
    return [use.made(over=tuple(map(use.extra.past, over)))]


def _arg_reduction(use: Elementary) -> list[Op] | None:
    over = use.attributes.axis("over")
    return [use.made(over=over + 1)] if over >= use.at else None


def _cumulative(use: Elementary) -> list[Op] | None:
    return [use.made(over=use.extra.past(use.attributes.axis("over")))]


def _softmax(use: Elementary) -> list[Op] | None:
    return [use.made(over=tuple(map(use.extra.past, use.attributes.axes("over"))))]


# ------------------------------------------------------------------ movement


def _split(use: Elementary) -> list[Op] | None:
    return [use.made(along=use.extra.past(use.attributes.axis("along")))]


def _concat(use: Elementary) -> list[Op] | None:
    return _split(use) if all(use.sequences) else None


def _new_axis(use: Elementary, name: str) -> int | None:
    """The place of an axis that an op puts in, where that is right of the extra one."""
    place = use.attributes.int_(name) % (use.rank(0) + 1)
    return place + 1 if place >= use.at else None


def _stack(use: Elementary) -> list[Op] | None:
    place = _new_axis(use, "along")
    return None if place is None or not all(use.sequences) else [use.made(along=place)]


def _expand_dims(use: Elementary) -> list[Op] | None:
    place = _new_axis(use, "at")
    return None if place is None else [use.made(at=place)]


def _squeeze(use: Elementary) -> list[Op] | None:
    over = use.attributes.axes("over")
    return None if any(axis < use.at for axis in over) else [use.made(over=tuple(axis + 1 for axis in over))]


def _slice(use: Elementary) -> list[Op] | None:
    starts, stops = use.attributes["starts"], use.attributes["stops"]
    assert isinstance(starts, tuple) and isinstance(stops, tuple)
    size, at = use.extra.axis.size, use.at
    return [
        use.made(
            starts=(*starts[:at], (dim(0), None), *starts[at:]),
            stops=(*stops[:at], (size, None), *stops[at:]),
        )
    ]


def _along_behind(use: Elementary) -> list[Op] | None:
    along = use.attributes.axis("along")
    return [use.made(along=along + 1)] if along >= use.at else None


def _gather(use: Elementary) -> list[Op] | None:
    match use.sequences:
        case (True, False):
            return _along_behind(use)
        case (False, True) if use.attributes.axis("along") == 0:
            return [use.made()]
        case _:
            return None


def _take_along(use: Elementary) -> list[Op] | None:
    ops: list[Op] = []
    pairs = zip(use.operands, use.sequences, strict=True)
    operands = tuple(v if sequence else _with_ones(v, use.at, 1, ops, use.op) for v, sequence in pairs)
    return [*ops, use.made(operands, along=use.extra.past(use.attributes.axis("along")))]


def _transpose(use: Elementary) -> list[Op] | None:
    order = [use.extra.past(axis) for axis in use.attributes.axes("order")]
    return [use.made(order=(*order[: use.at], use.at, *order[use.at :]))]


def _swap(use: Elementary) -> list[Op] | None:
    first, second = (use.extra.past(use.attributes.axis(name)) for name in ("first", "second"))
    return [use.made(first=first, second=second)]


def _flatten(use: Elementary) -> list[Op] | None:
    first, last = use.attributes.axis("first"), use.attributes.axis("last")
    return [use.made(first=first + 1, last=last + 1)] if first >= use.at else None


def _resized(use: Elementary) -> list[Op] | None:
    """Where all axes left of the extra one stay as they are."""
    x, result, at = use.op.operands[0].type, use.op.result.type, use.at
    sizes = use.op.attributes["sizes"]
    if x.sizes[:at] != result.sizes[:at] or (use.op.kind == "broadcast" and x.rank != result.rank):
        return None
    assert isinstance(sizes, tuple)
    axis = use.extra.axis
    return [use.made(sizes=(*sizes[:at], (axis.size, axis.name), *sizes[at:]))]


def _same(use: Elementary) -> list[Op] | None:
    return [use.made()]


_RULES: dict[str, Rule] = {
    "broadcast": _resized, "concat": _concat, "einsum": _einsum, "expand_dims": _expand_dims, "flatten": _flatten,
    "gather": _gather, "matmul": _matmul, "one_hot": _same, "reshape": _resized, "slice": _slice, "split": _split,
    "squeeze": _squeeze, "stack": _stack, "swap": _swap, "take_along": _take_along, "take_index": _along_behind,
    "transpose": _transpose,
}  # fmt: skip
