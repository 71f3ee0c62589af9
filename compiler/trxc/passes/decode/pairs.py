"""Pairs of places: scores of queries and keys, and whatever is done to them until the keys are summed up again.

In the step a value of pairs has the chunk's places along one axis, and all places that are kept along another. Those
later than the chunk's are there as well, and hold what earlier sequences left: so it is shown op by op that what they
hold is a known number, -inf before a softmax or a maximum, and 0 before a product or a sum. Where it is not, the model
looks ahead if :mod:`.seen` finds a later key that is used; else it is only not known how to go on.
"""

from __future__ import annotations

from ...ir import Op, Value
from ...ops import OPS, Attributes
from ...types import Axis
from ..attention_terms import PRODUCTS, product_of
from .indices import LENGTHS, indexed, sized_attributes
from .kinds import Fixed, Indexed, Pairs, RefusedError, Role, Timed
from .later import later
from .places import BEGINS, TOGETHER, instance
from .scope import Scope
from .seen import certainly_seen

REDUCED_AT: dict[str, float] = {
    "sum": 0.0,
    "max": float("-inf"),
    "min": float("inf"),
    "logsumexp": float("-inf"),
    "prod": 1.0,
    "any": 0.0,
    "all": 1.0,
}
"""What later keys have to hold so that a reduction over all keys is one over those seen."""

NORMALISED: dict[str, float] = {"softmax": 0.0, "log_softmax": float("-inf")}
"""What later keys hold after a normalisation over all keys, if they held -inf before."""

OF_LENGTH = frozenset({"mean", "variance", "reverse", "roll", "sort", "argsort"})
"""What depends on how many keys there are, whatever later ones hold."""


def is_of_pairs(scope: Scope, op: Op) -> bool:
    """Whether an op is given pairs of places, or makes them."""
    known = [scope.of(value) for value in op.operands]
    if any(isinstance(each, Pairs) for each in known):
        return True
    return any(isinstance(each, Timed) for each in known) and any(is_square(scope, value) for value in op.results)


def is_square(scope: Scope, value: Value) -> bool:
    """Whether a value has two axes of places."""
    return len(_time_axes(scope, value)) == 2


def translate(scope: Scope, op: Op) -> None:
    """Puts what an op with pairs is for a chunk's queries into the step.

    Raises:
        RefusedError: later keys would play a part, or it is not known that they do not.
    """
    if OPS[op.kind].random or len(op.results) != 1:
        raise RefusedError(f"`{op.kind}` of pairs of places is not known place by place", op.span)
    over = _summed(scope, op)
    if over is not None:
        _sum_up(scope, op, *over)
        return
    query, key = _axes(scope, op)
    operands = [_operand(scope, op, number, query, key) for number in range(len(op.operands))]
    value = _emit(scope, op, operands, {query: "query", key: "key"})
    scope.known[op.result] = Pairs(value, query, key, later(scope, op.result, query, key))


# -------------------------------------------------------------------------------- which axes


def _time_axes(scope: Scope, value: Value) -> list[int]:
    """The axes whose size speaks of the sequence's length."""
    sizes = enumerate(value.type.sizes)
    return [at for at, size in sizes if scope.target.time in {symbol.name for symbol in size.symbols}]


def _axes(scope: Scope, op: Op) -> tuple[int, int]:
    """The axes of queries and keys of a result."""
    found: list[tuple[int, int]] = []
    for number, value in enumerate(op.operands):
        known = scope.of(value)
        if isinstance(known, Pairs):
            found.append((_moved(op, number, known.query), _moved(op, number, known.key)))
    if found:
        if any(each != found[0] for each in found):
            raise RefusedError("pairs of places are brought together with their opposites", op.span)
        return found[0]
    first, second = _time_axes(scope, op.result)
    return (second, first) if _keys_come_first(scope, op.result, first, second) else (first, second)


def _moved(op: Op, number: int, axis: int) -> int:
    """Where an axis of an operand is in the result."""
    along = OPS[op.kind].along(instance(op), number, axis)
    if along is None or along.back != 0:
        raise (
            _not_known(op) if op.kind not in OF_LENGTH else RefusedError(f"`{op.kind}` {TOGETHER}", op.span, ahead=True)
        )
    return along.axis


def _keys_come_first(scope: Scope, value: Value, first: int, second: int) -> bool:
    """Whether what is summed up later on, the keys, is the first of two axes; the last, where nothing tells."""
    todo = [(value, first, second)]
    for held, one, other in todo:
        for op in scope.region.ops if scope.region else ():
            for number in [at for at, operand in enumerate(op.operands) if operand is held]:
                gone = _gone(op, number)
                if (one in gone) != (other in gone):
                    return one in gone
                definition = OPS.get(op.kind)
                moved = [definition.along(instance(op), number, at) for at in (one, other)] if definition else [None]
                if all(along is not None for along in moved) and len(op.results) == 1:
                    one_after, other_after = (along.axis for along in moved if along is not None)
                    todo.append((op.result, one_after, other_after))
    return False


def _gone(op: Op, number: int) -> set[int]:
    """The axes of an operand that an op sums up, or normalises over."""
    if "over" in op.attributes and op.kind in OPS:
        over = op.attributes["over"]
        return {over} if isinstance(over, int) else set(Attributes(op.attributes).axes("over"))
    product = product_of(op)
    if product is None:
        return set()
    names = (product.left, product.right)[number].names
    return {at for at, name in enumerate(names) if name not in product.result}


# ------------------------------------------------------------------------------ op by op


def _operand(scope: Scope, op: Op, number: int, query: int, key: int | None) -> Value:
    """An operand in the step: with the chunk's places along the axis of queries, all places along that of keys."""
    value = op.operands[number]
    known = scope.of(value)
    if isinstance(known, Pairs | Fixed):
        return known.value if isinstance(known, Pairs) else scope.fixed(value, op.span)
    if isinstance(known, Timed):
        at = _moved(op, number, known.axis)
        return known.value if at == query else scope.all_places(known.value, known.axis, op.span)
    if not isinstance(known, Indexed):
        raise RefusedError("places are left out at the end, and nothing is put before them", op.span)
    roles: dict[int, Role] = {at: "query" if _moved(op, number, at) == query else "key" for at in known.axes}
    return indexed(scope, value, roles, op.span)


def _emit(scope: Scope, op: Op, operands: list[Value], roles: dict[int, Role]) -> Value:
    """The op in the step, its result with these places along its axes."""
    axes = [Axis(LENGTHS[roles[at]], a.name) if at in roles else a for at, a in enumerate(op.result.type.axes)]
    type_ = op.result.type.with_axes(axes)
    return scope.emit(op.kind, operands, type_, op.span, sized_attributes(scope, op, type_, roles), op.result.name)


# ------------------------------------------------------------------------------- summing up


def _summed(scope: Scope, op: Op) -> tuple[int, float] | None:
    """The number of the operand whose keys an op takes together, and what later ones then have to hold."""
    for number, value in enumerate(op.operands):
        known = scope.of(value)
        if not isinstance(known, Pairs):
            continue
        gone = _gone(op, number)
        if known.query in gone and op.kind not in BEGINS:
            raise RefusedError(f"`{op.kind}` {TOGETHER}", op.span, ahead=True)
        if known.key in gone:
            return number, _wanted(scope, op, number)
    return None


def _wanted(scope: Scope, op: Op, number: int) -> float:
    """What later keys have to hold in an operand whose keys an op takes together."""
    if op.kind in PRODUCTS:
        return 0.0
    if op.kind in NORMALISED:
        return float("-inf")
    if op.kind in REDUCED_AT:
        return REDUCED_AT[op.kind]
    kept = op.result.type.rank == op.operands[number].type.rank and not op.attributes.get("keep")
    if op.kind in OF_LENGTH or (not kept and _seen(scope, op, number)):
        raise RefusedError(f"`{op.kind}` {TOGETHER}", op.span, ahead=True)
    raise _not_known(op)


def _not_known(op: Op) -> RefusedError:
    return RefusedError(f"`{op.kind}` of pairs of places is not known place by place", op.span)


def _seen(scope: Scope, op: Op, number: int) -> bool:
    """Whether an operand of pairs certainly holds something of a later key."""
    pairs = scope.of(op.operands[number])
    return isinstance(pairs, Pairs) and certainly_seen(scope, op.operands[number], pairs.query, pairs.key)


def _sum_up(scope: Scope, op: Op, number: int, wanted: float) -> None:
    pairs = scope.of(op.operands[number])
    assert isinstance(pairs, Pairs)
    if pairs.hidden != wanted:
        raise _sees_later(op, pairs.hidden, wanted, certain=pairs.hidden is not None or _seen(scope, op, number))
    if op.kind in NORMALISED:
        value = _emit(scope, op, [pairs.value], {pairs.query: "query", pairs.key: "key"})
        scope.known[op.result] = Pairs(value, pairs.query, pairs.key, NORMALISED[op.kind])
        return
    operands = [pairs.value]
    if op.kind in PRODUCTS:
        operands = _factors(scope, op, number, pairs)
        query = _moved(op, number, pairs.query)
    else:
        query = pairs.query - sum(at < pairs.query for at in _gone(op, number)) * (not op.attributes.get("keep"))
    value = _emit(scope, op, operands, {query: "query"})
    scope.known[op.result] = Timed(value, query)


def _factors(scope: Scope, op: Op, number: int, pairs: Pairs) -> list[Value]:
    """The operands of a product over keys: the other one has all places there, or the chunk's where queries are."""
    product = product_of(op)
    assert product is not None
    terms = (product.left, product.right)
    key, query = terms[number].names[pairs.key], terms[number].names[pairs.query]
    other = op.operands[1 - number]
    known, names = scope.of(other), terms[1 - number].names
    roles: dict[str, Role] = {key: "key", query: "query"}
    if isinstance(known, Timed) and names[known.axis] in roles:
        whole = roles[names[known.axis]] == "key"
        value = scope.all_places(known.value, known.axis, op.span) if whole else known.value
    elif isinstance(known, Indexed) and all(names[at] in roles for at in known.axes):
        value = indexed(scope, other, {at: roles[names[at]] for at in known.axes}, op.span)
    elif isinstance(known, Fixed):
        value = scope.fixed(other, op.span)
    else:
        raise RefusedError(f"`{op.kind}` brings every place together with every other", op.span)
    return [pairs.value, value] if number == 0 else [value, pairs.value]


def _sees_later(op: Op, hidden: float | None, wanted: float, *, certain: bool) -> RefusedError:
    """What is wrong where later keys are not hidden; `certain`: one is seen. Otherwise that is only not shown."""
    if not certain:
        reason = f"`{op.kind}` takes keys of all places, and that later ones are hidden from it could not be shown"
        return RefusedError(reason, op.span)
    if hidden is None:
        reason = f"`{op.kind}` takes keys of all places, also of later ones: no causal mask hides them"
        return RefusedError(reason, op.span, ahead=True)
    reason = f"`{op.kind}` takes keys of all places, and later ones hold {hidden:g}, which does not leave them out"
    help_ = f"they have to hold {wanted:g}, as `where(mask, …, {wanted:g})` gives them"
    return RefusedError(reason, op.span, ahead=True, help=help_)
