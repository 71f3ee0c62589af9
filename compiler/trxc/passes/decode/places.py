"""Ops of which some operand has places: place by place, with places before, or refused.

What an op says of itself (:meth:`trxc.ops.definition.OpDefinition.along`) decides: place by place it is done to the
chunk; a sum of all places so far begins with that of the chunks before; a window of places is put before the chunk.
"""

from __future__ import annotations

from functools import partial

from ...dims import dim
from ...ir import Attribute, Op, Value
from ...ops import OPS, Attributes, Instance
from ...ops.definition import Along
from ...types import INT, Axis, TensorType
from .indices import indexed
from .kinds import Fixed, Indexed, Prefix, RefusedError, Role, Timed
from .look_back import looked_up
from .scope import CHUNK, Scope

BEGINS: dict[str, tuple[str, float]] = {
    "cumsum": ("add", 0.0),
    "cumprod": ("multiply", 1.0),
    "cummax": ("maximum", float("-inf")),
    "cummin": ("minimum", float("inf")),
}
"""How a running result goes on from that of the chunks before, and where it begins."""

TOGETHER = "takes all places of the sequence together, later ones too"


def instance(op: Op) -> Instance:
    """A use of an op with its types."""
    return Instance(tuple(v.type for v in op.operands), Attributes(op.attributes), tuple(v.type for v in op.results))


def along_time(scope: Scope, op: Op) -> Along:
    """How an op runs along the time axes of its operands.

    Raises:
        RefusedError: it does not, or two operands have their places along different axes of the result.
    """
    definition, use = OPS[op.kind], instance(op)
    found: set[Along] = set()
    for number, value in enumerate(op.operands):
        known = scope.of(value)
        if not isinstance(known, Timed):
            continue
        along = definition.along(use, number, known.axis)
        if along is None and _takes_first(op, known.axis):
            raise RefusedError("the first place is used at later ones", op.span)
        if along is None:
            raise RefusedError(f"`{op.kind}` {TOGETHER}", op.span, ahead=True)
        found.add(along)
    if len(found) > 1:
        raise RefusedError(f"`{op.kind}` brings every place together with every other", op.span)
    return found.pop()


def _takes_first(op: Op, axis: int) -> bool:
    """Whether an op takes the first place of the sequence alone, which no later one plays a part in."""
    attributes = Attributes(op.attributes)
    if op.kind == "take_index":
        return attributes.size("index").size == dim(0)
    if op.kind != "slice":
        return False
    start, stop = (attributes.sizes(name)[axis].size for name in ("starts", "stops"))
    return (start, stop) == (dim(0), dim(1))


def translate(scope: Scope, op: Op) -> None:
    """Puts what an op with timed operands is for a chunk into the step.

    Raises:
        RefusedError: a place would need later ones.
    """
    if _moved_on(scope, op) or _cut(scope, op) or looked_up(scope, op):
        return
    along = along_time(scope, op)
    for value in op.results:
        others = {at for at, axis in enumerate(value.type.axes) if scope.target.time in _symbols(axis)} - {along.axis}
        if others:
            raise RefusedError(f"`{op.kind}` brings every place together with every other", op.span)
    if along.back == 0:
        _place_by_place(scope, op, along.axis)
    elif along.back is None:
        _running(scope, op, along.axis)
    else:
        _window(scope, op, along.axis, along.back)


def _symbols(axis: Axis) -> set[str]:
    return {symbol.name for symbol in axis.size.symbols}


def operand(scope: Scope, op: Op, number: int, axis: int) -> Value:
    """An operand in the step, with places along `axis` of the result."""
    value = op.operands[number]
    known = scope.of(value)
    if isinstance(known, Timed):
        return known.value
    if isinstance(known, Prefix):
        raise RefusedError("places are left out at the end, and nothing is put before them", op.span)
    roles: dict[int, Role] = {}
    for at in known.axes if isinstance(known, Indexed) else ():
        along = OPS[op.kind].along(instance(op), number, at)
        if along is None or along.axis != axis or along.back != 0:
            raise RefusedError(f"`{op.kind}` {TOGETHER}", op.span, ahead=True)
        roles[at] = "query"
    return indexed(scope, value, roles, op.span)


def _place_by_place(scope: Scope, op: Op, axis: int) -> None:
    operands = [operand(scope, op, number, axis) for number in range(len(op.operands))]
    results = [Value(scope.chunked(value.type), value.name) for value in op.results]
    attributes = {name: scope.renaming.attribute(value) for name, value in op.attributes.items()}
    scope.step.ops.append(Op(op.kind, operands, attributes, results, span=op.span))
    for old, new in zip(op.results, results, strict=True):
        scope.known[old] = Timed(new, axis)


# --------------------------------------------------------------------------------- running


def _running(scope: Scope, op: Op, axis: int) -> None:
    """A cumulative op: what the chunk gives, and what was there before it."""
    if op.kind not in BEGINS:
        raise RefusedError(f"`{op.kind}` {TOGETHER}", op.span, ahead=True)
    join, begin = BEGINS[op.kind]
    _place_by_place(scope, op, axis)
    chunk = scope.of(op.result)
    assert isinstance(chunk, Timed)
    type_ = chunk.value.type
    one = type_.with_axes([Axis(dim(1), a.name) if at == axis else a for at, a in enumerate(type_.axes)])
    first = partial(_filled, scope, one, begin, op)
    old, write = scope.carried(op.result.name or op.kind, one, op.span, first, total=True)
    total = scope.emit(join, [old, chunk.value], type_, op.span, name=op.result.name)
    write(last_places(scope, total, axis, 1, op))
    scope.known[op.result] = Timed(total, axis)


def _filled(scope: Scope, type_: TensorType, value: float, op: Op) -> Value:
    """A tensor of one number, in what is done before; ints have no infinity, but a smallest."""
    if type_.dtype.kind == "int":
        value = {float("-inf"): -(2**31), float("inf"): 2**31 - 1}.get(value, int(value))
    sizes = tuple((axis.size, axis.name) for axis in type_.axes)
    return scope.emit_before("full", [], type_, op.span, {"sizes": sizes, "value": value, "dtype": type_.dtype})


def last_places(scope: Scope, value: Value, axis: int, count: int, op: Op) -> Value:
    """The last `count` of the real places of a chunk, before which there are as many more as `value` is longer."""
    extra = (value.type.axes[axis].size - dim(CHUNK)).value
    assert extra is not None
    type_ = value.type.with_axes(
        [Axis(dim(count), a.name) if at == axis else a for at, a in enumerate(value.type.axes)]
    )  # fmt: skip
    at = scope.target.count
    if extra != count:
        shift = scope.number(extra - count)
        at = scope.emit("add", [at, shift], TensorType(INT), op.span)
    return scope.emit("read_at", [value, at], type_, op.span, {"along": axis, "size": (dim(count), None)})


# --------------------------------------------------------------------------------- windows


def with_places_before(scope: Scope, op: Op, chunk: Value, axis: int, back: int, begin: Value | None) -> Value:
    """The chunk behind the `back` places before it, which are kept; at the beginning they are `begin`, or zeros."""
    sized = [Axis(dim(back), a.name) if at == axis else a for at, a in enumerate(chunk.type.axes)]
    type_ = chunk.type.with_axes(sized)
    first = partial(_filled, scope, type_, 0.0, op) if begin is None else lambda: begin
    old, write = scope.carried(chunk.name or op.kind, type_, op.span, first)
    longer = [Axis(a.size + back, None) if at == axis else a for at, a in enumerate(chunk.type.axes)]
    whole = scope.emit("concat", [old, chunk], chunk.type.with_axes(longer), op.span, {"along": axis})
    write(last_places(scope, whole, axis, back, op))
    return whole


def _window(scope: Scope, op: Op, axis: int, back: int) -> None:
    """A causal convolution over one spatial axis."""
    if op.kind != "conv" or op.operands[0].type.rank != 3:
        raise RefusedError(f"`{op.kind}` is not known in parts of a sequence", op.span)
    chunk = scope.of(op.operands[0])
    assert isinstance(chunk, Timed)
    whole = with_places_before(scope, op, chunk.value, axis, back, None)
    kernel = operand(scope, op, 1, axis)
    attributes: dict[str, Attribute] = {**op.attributes, "padding": "valid"}
    result = Value(scope.chunked(op.result.type), op.result.name)
    scope.step.ops.append(Op("conv", [whole, kernel], attributes, [result], span=op.span))
    scope.known[op.result] = Timed(result, axis)


def _cut(scope: Scope, op: Op) -> bool:
    """`x[:, :-n]`, to be moved on."""
    if op.kind != "slice":
        return False
    known = scope.of(op.operands[0])
    if not isinstance(known, Timed):
        return False
    lost = (op.operands[0].type.sizes[known.axis] - op.result.type.sizes[known.axis]).value
    starts = Attributes(op.attributes).sizes("starts")
    sizes = zip(op.operands[0].type.sizes, op.result.type.sizes, strict=True)
    changed = [at for at, (whole, left) in enumerate(sizes) if whole != left]
    if changed != [known.axis] or not lost or starts[known.axis].size != dim(0):
        return False
    scope.known[op.result] = Prefix(known, lost)
    return True


def _moved_on(scope: Scope, op: Op) -> bool:
    """`concat([begin, x[:, :-n]])` or `pad(x[:, :-n], before)`: each place holds an earlier one."""
    if op.kind == "concat" and len(op.operands) == 2:
        begin, rest = (scope.of(value) for value in op.operands)
        if isinstance(rest, Prefix) and isinstance(begin, Fixed):
            axis = rest.whole.axis
            fits = op.operands[0].type.sizes[axis] == dim(rest.missing) and op.attributes["along"] == axis
            if fits:
                _shifted(scope, op, rest, scope.before(op.operands[0]))
                return True
    if op.kind == "pad":
        known = scope.of(op.operands[0])
        if isinstance(known, Prefix) and _pads_front(op, known.whole.axis, known.missing):
            _shifted(scope, op, known, None)
            return True
    return False


def _pads_front(op: Op, axis: int, count: int) -> bool:
    attributes, rank = Attributes(op.attributes), op.operands[0].type.rank
    given = [attributes.ints(name) for name in ("before", "after")]
    before, after = (widths * rank if len(widths) == 1 else widths for widths in given)
    wanted = tuple(count if at == axis else 0 for at in range(rank))
    return before == wanted and not any(after) and attributes.number("value") == 0


def _shifted(scope: Scope, op: Op, prefix: Prefix, begin: Value | None) -> None:
    chunk, axis = prefix.whole.value, prefix.whole.axis
    whole = with_places_before(scope, op, chunk, axis, prefix.missing, begin)
    zeros = tuple((dim(0), None) for _ in chunk.type.axes)
    stops = tuple((a.size, a.name) for a in chunk.type.axes)
    type_ = chunk.type
    result = scope.emit("slice", [whole], type_, op.span, {"starts": zeros, "stops": stops}, op.result.name)
    scope.known[op.result] = Timed(result, axis)
