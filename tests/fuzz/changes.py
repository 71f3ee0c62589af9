"""The small errors that :mod:`.injections` makes: in an op that a pass wrote, or in a function of the compiler."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from trxc.ir import Op, Region, Value
from trxc.ops.definition import Along
from trxc.passes import rewrites

from . import breaking

# ------------------------------------------------------------------------- what is done to ops


def window(op: Op, region: Region) -> None:
    if isinstance(window := op.attributes.get("window"), int):
        op.attributes["window"] = window + 1


def backwards(op: Op, region: Region) -> None:
    op.attributes["reverse"] = not op.attributes["reverse"]


def names(turned: Any) -> breaking.Change:
    """Gives slices that have names of their own those of others."""

    def change(op: Op, region: Region) -> None:
        names = op.attributes.get("names", ())
        assert isinstance(names, tuple)
        nested = bool(names) and isinstance(names[0], tuple)
        if nested:  # the first of each says where a member is stored
            op.attributes["names"] = tuple((member[0], *turned(member[1:])) for member in names)
        else:
            op.attributes["names"] = turned(names)

    return change


def last_lost(op: Op, region: Region) -> None:
    count = op.attributes["count"]
    if isinstance(count, int) and count > 1:
        op.attributes.setdefault("of", count)
        op.attributes["count"] = count - 1


def carry_hoisted(op: Op, region: Region) -> None:
    """What depends on a carry is computed from its first value."""
    count = op.attributes["sequences"]
    assert isinstance(count, int)
    for argument, start in zip(op.regions[0].arguments[count:], op.operands[count:], strict=True):
        for inner in op.regions[0].ops[:3]:
            inner.operands[:] = [start if value is argument else value for value in inner.operands]


def parts_turned(op: Op, region: Region) -> None:
    types = [value.type.sizes for value in op.results]
    if all(type_ == types[0] for type_ in types):
        op.results.reverse()


def turned(op: Op, region: Region) -> None:
    op.operands.reverse()


def branches(op: Op, region: Region) -> None:
    op.regions.reverse()


def other_weight(op: Op, region: Region) -> None:
    """Reads another weight of the same type."""
    others = [o for o in region.ops if o.kind == "parameter" and o is not op and o.result.type == op.result.type]
    if others:
        op.attributes["path"] = others[0].attributes["path"]


def from_first(at: int) -> breaking.Change:
    """Has an operand that tells a place be 0."""

    def change(op: Op, region: Region) -> None:
        if at < len(op.operands) and not op.operands[at].type.rank:
            first = Op("constant", [], {"value": 0}, [Value(op.operands[at].type)], span=op.span)
            region.ops.insert(region.ops.index(op), first)
            op.operands[at] = first.result

    return change


def left_out(op: Op, region: Region) -> None:
    region.ops.remove(op)


def first_place(op: Op, region: Region) -> None:
    """Numbers of a chunk's places that begin at 0: `start + iota(chunk)`."""
    if any(value.name == "start" for value in op.operands):
        from_first(next(at for at, value in enumerate(op.operands) if value.name == "start"))(op, region)


# ------------------------------------------------------------------- functions of the compiler


def wrong_order(op: Op, known: Any) -> Any:
    inner = known.maker(op.operands[0], "transpose")
    if op.kind != "transpose" or inner is None:
        return None
    first, second = (order(each) for each in (inner, op))
    order = tuple(second[at] for at in first)  # the wrong way round
    sizes = tuple(inner.operands[0].type.sizes[at] for at in order)
    if sizes != op.result.type.sizes:
        return None
    op.operands[:], op.attributes["order"] = [inner.operands[0]], order
    return rewrites.Changed()


def order(op: Op) -> tuple[int, ...]:
    """The order of a transpose."""
    order = op.attributes["order"]
    assert isinstance(order, tuple)
    return tuple(at for at in order if isinstance(at, int))


def undoes(op: Op, known: Any) -> Value | None:
    inner = known.maker(op.operands[0], op.kind)
    return None if inner is None else inner.operands[0]


def narrowed(op: Op, known: Any) -> Value | None:
    inner = known.maker(op.operands[0], "cast")
    return inner.operands[0] if inner is not None and inner.operands[0].type.dtype == op.attributes["dtype"] else None


def key_without_attributes(key: Any) -> Any:
    def wrong(op: Op) -> object:
        found = key(op)
        if op.kind in ("parameter", "state", "constant", "size", "iota") or found is None:
            return found
        return (op.kind, tuple(id(value) for value in op.operands), str(op.result.type))

    return wrong


def without_axes(text_of: Any) -> Any:
    return lambda function: re.sub(
        r"\{over=\(\d,\)", "{over=(0,)", re.sub(r"value=[-\d.e]+", "value=0", text_of(function))
    )


def in_place(along: Any) -> Any:
    """An axis that is normalised over taken for one that goes place by place."""
    return lambda self, use, operand, axis: Along(axis)


def without_numbers(key: Any) -> Any:
    def wrong(written: Any) -> object:
        body = [replace(line, code=re.sub(r"\d+", "0", line.code)) for line in written.body]
        return key(replace(written, body=body))

    return wrong
