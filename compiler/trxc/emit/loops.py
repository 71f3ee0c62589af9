"""Loops and branches: an inner function for the region, and `jax.lax.scan` or `jax.lax.cond` over it.

A `repeat` that is `unrolled` walks over its layers in Python instead: the same inner function, written out by tracing.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..ir import Op, Path, Region, Value
from ..ir.walk import captures, collected_count, first_slice, repeat_count, slice_names, stack_count
from ..types import ANY
from .dtypes import shape_comment
from .expressions import flat, parse
from .loop_weights import write_loop_weights
from .needs import Needs
from .pending import Pending, named
from .region import RegionWriter
from .remat import checkpoint_decorator
from .scope import FOREVER, Frame, Names, keys_of
from .slices import SliceKeys, stacked_keys
from .state import StateView, subscript


@dataclass
class Loop:
    """What the inner function of a scan takes and gives beside the values."""

    needs: Needs
    path: Path
    leaves: tuple[Path, ...]
    carried: list[ast.expr] = field(default_factory=list[ast.expr])
    walked: list[ast.expr] = field(default_factory=list[ast.expr])


def _name(text: str) -> ast.Name:
    return ast.Name(text, ast.Load())


def _group(parts: Sequence[ast.expr]) -> ast.expr:
    """One thing, a tuple of several, or `None`."""
    if len(parts) == 1:
        return parts[0]
    return ast.Tuple(list(parts), ast.Load()) if parts else ast.Constant(None)


def _target(names: Sequence[str]) -> str:
    if all(name == "_" for name in names):
        return "_"
    return names[0] if len(names) == 1 else f"({', '.join(names)})"


def _loop(writer: RegionWriter, op: Op) -> Loop:
    needs = writer.context.program.needs
    own = needs.op(op)
    leaves = [leaf for region in op.regions for leaf in needs.region_leaves(region)]
    path = op.path() if "path" in op.attributes else ()
    return Loop(own, path, tuple(dict.fromkeys(leaves)) if own.changes else ())


def _inner_names(writer: RegionWriter, regions: Sequence[Region]) -> Names:
    """The names of an inner function: none that it needs from the outside."""
    fixed = set(writer.names.fixed)
    for region in regions:
        for value in captures(region):
            item = writer.context.items.get(writer.context.uses.of(value))
            if item is not None:
                fixed |= {node.id for node in ast.walk(item.tree()) if isinstance(node, ast.Name)}
    fixed |= {node.id for node in _state_names(writer) if isinstance(node, ast.Name)}
    return Names(writer.names.reserved, fixed)


def _state_names(writer: RegionWriter) -> list[ast.AST]:
    return [node for value in writer.frame.state.changed.values() for node in ast.walk(value)]


def _keys(writer: RegionWriter, op: Op, path: Path, count: str) -> ast.expr:
    program = writer.context.program
    key = flat(writer.frame.key_at(program, path))
    return parse(f"{program.use('keys')}({key}, {count})")


def _header(writer: RegionWriter, op: Op, wanted: str, parameters: str) -> str:
    """The lines that begin an inner function, a blank one before them."""
    name = writer.names.take(wanted, writer.now, writer.now, beside=True)
    before = writer.context.lines[-1].code if writer.context.lines else ""
    if before and not before.endswith(":"):
        writer.line("")
    if "remat" in op.attributes:
        scanned = not op.attributes.get("unrolled", False)
        writer.line(f"@{checkpoint_decorator(writer.context.program, op, scanned=scanned)}", op.span)
    writer.line(f"def {name}({parameters}):", op.span)
    return name


def _argument_names(inner: RegionWriter, outer: RegionWriter, op: Op, arguments: Sequence[Value]) -> list[str]:
    """Names for the arguments of a region: their own, else those of what they begin with."""
    names: list[str] = []
    for at, value in enumerate(arguments):
        if value not in inner.context.uses.sites:
            names.append("_")
            continue
        item = outer.context.items.get(outer.context.uses.of(op.operands[at]))
        outside = item.template.id if item and isinstance(item.template, ast.Name) else "x"
        names.append(inner.names.take(value.name or outside, -1, inner.until(value), beside=True))
        inner.context.items[value] = named(names[-1], value)
    return names


def _unpack(inner: RegionWriter, op: Op, names: Sequence[str], group: str) -> tuple[str, str]:
    """A parameter that holds some values: its name, and the statement that unpacks it, if one is needed."""
    if all(name == "_" for name in names):
        return "_", ""
    if len(names) == 1:
        return names[0], ""
    packed = inner.names.take(group, -1, -1, beside=True)
    return packed, f"{', '.join(names)} = {packed}"


def _results(inner: RegionWriter, values: Sequence[Value], offset: int) -> tuple[list[ast.expr], dict[str, Pending]]:
    marks = [f"_{offset + at}" for at in range(len(values))]
    items = [inner.strong_item(value) for value in values]
    return [_name(mark) for mark in marks], dict(zip(marks, items, strict=True))


def _new_state(inner: RegionWriter, leaves: Sequence[Path], path: Path = ()) -> ast.expr:
    """The new state as a name or a part of the old; one that is put together gets a statement."""
    tree = inner.frame.state.new(path, leaves)
    if isinstance(tree, ast.Dict):
        name = inner.names.take("new_state", inner.now, FOREVER, beside=True)
        inner.emit(f"{name} = ", Pending(tree, ANY), inner.context.function.span)
        tree = _name(name)
    return tree


def write_repeat(writer: RegionWriter, op: Op) -> None:
    """`repeat`: a scan over slices of stacked weights and states, and a key for each iteration; or all written out."""
    loop, region, context = _loop(writer, op), op.regions[0], writer.context
    path = keys_of(loop.path)
    slices: dict[str, ast.expr] = {}
    if loop.needs.params:
        slices["params"] = _part(op, subscript(writer.frame.params, path))
    if loop.needs.state:
        slices["state"] = _part(op, writer.frame.state.old(path))
    keys: SliceKeys | None = None
    if loop.needs.key and slice_names(op):
        walked, keys = stacked_keys(context, op, writer.frame)
        slices["key"] = _part(op, walked)
    elif loop.needs.key:
        slices["key"] = _range(op, _keys(writer, op, loop.path, str(stack_count(op))))
    frame = Frame(_name("params"), StateView(_name("state")), _name("key"), keys)
    inner = RegionWriter(context, region, frame, _inner_names(writer, op.regions), writer.indent + 4)
    carries = _argument_names(inner, writer, op, region.arguments)
    carry, unpack_carry = _unpack(inner, op, carries, "carry")
    slice_, unpack_slice = _unpack(inner, op, list(slices) or ["_"], "layer")
    step = _header(
        writer, op, f"{path[-1]}_step" if path else "step", f"{carry}, {slice_}" if carry != slice_ else "_, __"
    )
    for text in (unpack_carry, unpack_slice):
        if text:
            inner.line(text, op.span)
    inner.write()
    parts, operands = _results(inner, region.results, 0)
    carried = len(parts) - collected_count(op)
    state = [_new_state(inner, loop.leaves)] if loop.needs.changes else []
    given = _group([*state, *parts[carried:]])
    inner.finish("return ", ast.Tuple([_group(parts[:carried]), given], ast.Load()), operands)
    writer.line("")
    if op.attributes.get("apart", False):
        _scan(writer, op, writer.context.program.use("each_layer"), step, [_apart(writer, op, slices)], [], loop)
        return
    if op.attributes.get("unrolled", False):
        _scan(writer, op, "layer_by_layer", step, [_layers(writer, op, list(slices.values()))], [], loop)
        return
    length = [] if slices else [("length", str(repeat_count(op)))]
    _scan(writer, op, "jax.lax.scan", step, list(slices.values()), length, loop)


def _layers(writer: RegionWriter, op: Op, stacked: list[ast.expr]) -> ast.expr:
    """What each iteration of a loop that is written out has; `range(6)` where that is nothing."""
    writer.context.program.use("layer_by_layer")
    if not stacked:
        return parse(f"range({repeat_count(op)})")
    name = writer.context.program.use("unstacked")
    return ast.Call(parse(name), [_group(stacked), ast.Constant(repeat_count(op))], [])


def _apart(writer: RegionWriter, op: Op, slices: dict[str, ast.expr]) -> ast.expr:
    """What each layer has, where weights and states are lists already."""
    if not slices:
        return parse(f"range({repeat_count(op)})")
    if "key" in slices:
        slices["key"] = ast.Call(
            parse(writer.context.program.use("unstacked")), [slices["key"], ast.Constant(repeat_count(op))], []
        )
    parts = list(slices.values())
    return parts[0] if len(parts) == 1 else ast.Call(parse("zip"), parts, [])


def _range(op: Op, slices: ast.expr) -> ast.expr:
    """The slices that a loop uses, of an array of them."""
    first, count = first_slice(op), repeat_count(op)
    if count == stack_count(op):
        return slices
    return parse(f"{flat(slices)}[{first}:{first + count}]")


def _part(op: Op, tree: ast.expr) -> ast.expr:
    """The slices that a loop uses, of every array of a tree."""
    if repeat_count(op) == stack_count(op):
        return tree
    return parse(f"jax.tree.map(lambda w: {flat(_range(op, _name('w')))}, {flat(tree)})")


def _scan(
    writer: RegionWriter,
    op: Op,
    scan: str,
    step: str,
    walked: list[ast.expr],
    keywords: list[tuple[str, str]],
    loop: Loop,
) -> None:
    items = [writer.strong_item(value) for value in op.operands]
    marks = [f"_{at}" for at in range(len(items))]
    template = ast.Call(
        parse(scan),
        [_name(step), _group([_name(mark) for mark in marks]), *([_group(walked)] if walked else [])],
        [ast.keyword(name, parse(text)) for name, text in keywords],
    )
    targets = [writer.target(op, value) for value in op.results]
    carried = targets[: len(items)] or ["_"]
    given, path, state = targets[len(items) :], keys_of(loop.path), ""
    if loop.needs.changes:
        state = writer.names.take(f"{path[-1]}_state" if path else "new_state", writer.now, FOREVER, beside=True)
        given.insert(0, state)
    item = Pending(template, ANY, dict(zip(marks, items, strict=True)))
    writer.emit(f"{_target(carried)}, {_target(given or ['_'])} = ", item, op.span)
    if state:
        if op.kind == "repeat" and repeat_count(op) != stack_count(op):
            _put_back(writer, op, loop, state)
        writer.frame.state.replace(path, _name(state), loop.leaves)


def _put_back(writer: RegionWriter, op: Op, loop: Loop, state: str) -> None:
    """The new states of some layers of a stack among those of all."""
    every = writer.frame.state.new(keys_of(loop.path), loop.leaves)
    put = parse(writer.context.program.use("with_layers"))
    whole = ast.Call(put, [every, ast.Constant(first_slice(op)), _name(state)], [])
    writer.emit(f"{state} = ", Pending(whole, ANY), op.span)


def write_recur(writer: RegionWriter, op: Op) -> None:
    """`recur`: a scan along an axis of the sequences."""
    count, axis = op.attributes["sequences"], op.attributes["axis"]
    assert isinstance(count, int) and isinstance(axis, int)
    loop, region, context = _loop(writer, op), op.regions[0], writer.context
    path = keys_of(loop.path)
    sequences = [writer.strong_item(value).tree() for value in op.operands[:count]]
    walked = [parse(f"jnp.moveaxis({flat(tree)}, {axis}, 0)") if axis else tree for tree in sequences]
    if loop.needs.key:
        length = context.size(op.operands[0].type.sizes[axis])
        walked.append(_keys(writer, op, loop.path, length))
    weights = list(write_loop_weights(writer, op))
    walked += [parts for _, _, parts in weights]
    view = StateView(writer.frame.state.old(path))
    key = _name("key") if loop.needs.key else writer.frame.key
    frame = Frame(subscript(writer.frame.params, path), view, key)
    inner = RegionWriter(context, region, frame, _inner_names(writer, op.regions), writer.indent + 4)
    arguments = _argument_names(inner, writer, op, region.arguments)
    carried = arguments[count:] + (["_"] if loop.needs.changes else [])
    carry, unpack_carry = _unpack(inner, op, carried or ["_"], "carry")
    elements = arguments[:count] + (["key"] if loop.needs.key else [])
    for product, part, _ in weights:
        elements.append(context.parts.setdefault(id(product), inner.names.take(part, -1, FOREVER, beside=True)))
    element, unpack_element = _unpack(inner, op, elements, "inputs")
    parameters = f"{carry}, {element}" if (carry, element) != ("_", "_") else "_, __"
    step = _header(writer, op, f"{path[-1]}_step" if path else "step", parameters)
    for text in (unpack_carry, unpack_element):
        if text:
            inner.line(text, op.span)
    inner.write()
    _recur_return(inner, region, len(op.operands) - count, loop)
    writer.line("")
    _recur_scan(writer, op, step, walked, loop, axis)


def _recur_return(inner: RegionWriter, region: Region, carries: int, loop: Loop) -> None:
    outputs = len(region.results) - carries
    given, operands = _results(inner, region.results[:outputs], 0)
    carried, more = _results(inner, region.results[outputs:], outputs)
    if loop.needs.changes:
        carried.append(_new_state(inner, loop.leaves))
    inner.finish("return ", ast.Tuple([_group(carried), _group(given)], ast.Load()), operands | more)


def _recur_scan(writer: RegionWriter, op: Op, step: str, walked: list[ast.expr], loop: Loop, axis: int) -> None:
    count = op.attributes["sequences"]
    assert isinstance(count, int)
    begins = [writer.strong_item(value).tree() for value in op.operands[count:]]
    carries = len(begins)
    outputs = len(op.results) - carries
    path = keys_of(loop.path)
    if loop.needs.changes:
        begins.append(writer.frame.state.new(path, loop.leaves))
    reverse = [ast.keyword("reverse", ast.Constant(True))] if op.attributes.get("reverse") else []
    template = ast.Call(parse("jax.lax.scan"), [_name(step), _group(begins), _group(walked)], reverse)
    after = [writer.target(op, value) for value in op.results[outputs:]]
    given = [writer.target(op, value) for value in op.results[:outputs]]
    if loop.needs.changes:
        after.append(writer.names.take(f"{path[-1]}_state" if path else "new_state", writer.now, FOREVER, beside=True))
        writer.frame.state.replace(path, _name(after[-1]), loop.leaves)
    writer.emit(f"{_target(after or ['_'])}, {_target(given or ['_'])} = ", Pending(template, ANY), op.span)
    for name, value in zip(given, op.results[:outputs], strict=True):
        if axis and name != "_":
            item = Pending(parse(f"jnp.moveaxis({name}, 0, {axis})"), ANY)
            writer.emit(f"{name} = ", item, op.span, shape_comment(value.type))


def write_cond(writer: RegionWriter, op: Op) -> None:
    """`cond`: two functions without arguments, of which one is run."""
    loop = _loop(writer, op)
    path = keys_of(loop.path)
    branches: list[str] = []
    for wanted, region in zip(("then", "otherwise"), op.regions, strict=True):
        keys = writer.frame.keys.below(loop.path) if writer.frame.keys else None
        plain = loop.needs.key and keys is None
        key = writer.context.program.key_at(writer.frame.key, loop.path) if plain else writer.frame.key
        frame = Frame(subscript(writer.frame.params, path), writer.frame.state.below(path), key, keys)
        inner = RegionWriter(writer.context, region, frame, _inner_names(writer, [region]), writer.indent + 4)
        branches.append(_header(writer, op, wanted, ""))
        inner.write()
        parts, operands = _results(inner, region.results, 0)
        if loop.needs.changes:
            parts.append(_new_state(inner, loop.leaves))
        inner.finish("return ", _group(parts), operands)
        writer.line("")
    predicate = writer.strong_item(op.operands[0]).tree()
    template = ast.Call(parse("jax.lax.cond"), [predicate, *map(_name, branches)], [])
    targets = [writer.target(op, value) for value in op.results]
    if loop.needs.changes:
        state = writer.names.take(f"{path[-1]}_state" if path else "new_state", writer.now, FOREVER, beside=True)
        writer.frame.state.replace(path, _name(state), loop.leaves)
        targets.append(state)
    writer.emit(f"{', '.join(targets)} = ", Pending(template, ANY), op.span)


RegionWriter.controls.update(repeat=write_repeat, recur=write_recur, cond=write_cond)
