"""What a call calls, from the tokens before its bracket: for completion of arguments, and help with them."""

from __future__ import annotations

from ..elaborate.records import MODULES
from ..elaborate.values import LayerInstance
from ..frozen import Frozen
from ..resolve import ItemRef
from ..syntax import ast
from .answers import Help
from .declared import PUBLIC_OPS, methods_of, parameters
from .documents import Document
from .positions import Position
from .show import Signature, flat, op_signature, signature_of
from .situation import Level, Situation, situation_at

BUILTIN_ARGUMENTS: dict[str, tuple[str, ...]] = {
    "repeat": ("count", "layer"), "recur": ("cell", "over", "reverse"), "cond": ("predicate", "then", "otherwise"),
    "length": ("list",),
}  # fmt: skip


class Callee(Frozen):
    """What is called: its signature, its arguments by name as they are declared, and how many are given before it."""

    name: str
    signature: Signature
    keywords: dict[str, str]
    skipped: int = 0


def callee_at(document: Document, call: Level, here: Situation) -> Callee | None:
    """What the call calls."""
    words = [token.text for token in call.callee if token.text != "."]
    if len(words) == 2:
        return _member(document, words[0], words[1], here)
    name = words[-1] if words else ""
    item = _item(document, name, here)
    if item is not None:
        return _of_item(item)
    if name in PUBLIC_OPS:
        signature = op_signature(PUBLIC_OPS[name])
        return Callee(name, signature, dict(zip(signature.names, signature.parameters, strict=True)))
    if name in BUILTIN_ARGUMENTS:
        names = BUILTIN_ARGUMENTS[name]
        return Callee(name, Signature(name, names, names, ""), dict(zip(names, names, strict=True)))
    return None


def _item(document: Document, name: str, here: Situation) -> ItemRef | None:
    unit, library = document.reading.unit, document.reading.library
    found = unit.own(name)
    for module in MODULES.get(here.kind, ()):
        found = found or library.standard(module).own(name)
    found = found or library.lookup(unit, name)
    return found if found is not None and isinstance(found.item, ast.Layer | ast.Fn | ast.Extern) else None


def _of_item(item: ItemRef, skipped: int = 0) -> Callee:
    declared = {p.name.name: flat(p.span) for p in parameters(item.item)[skipped:]}
    return Callee(item.name, signature_of(item), declared, skipped)


def _member(document: Document, owner: str, name: str, here: Situation) -> Callee | None:
    space = document.reading.unit.spaces.get(owner)
    if space is not None:
        item = space.own(name)
        return _of_item(item) if item is not None else None
    layer = instance_of(document, owner, here)
    method = methods_of(layer).get(name) if layer is not None else None
    return _of_item(method, 1) if method is not None else None


def instance_of(document: Document, name: str, here: Situation) -> ItemRef | None:
    """The layer that a local is an instance of."""
    body = document.body(here.name)
    value = body.variables.get(name) if body is not None else None
    return value.item if isinstance(value, LayerInstance) else None


def signature_help(document: Document, position: Position) -> Help | None:
    """The call around a position: what it may be given, and which of that is being written."""
    here = situation_at(document.reading.source, document.lines.offset(position))
    call = here.call
    callee = callee_at(document, call, here) if call is not None and not here.silent else None
    if call is None or callee is None:
        return None
    signature = callee.signature
    ranges: list[tuple[int, int]] = []
    at = len(signature.head) + 1
    for parameter in signature.parameters:
        ranges.append((at, at + len(parameter)))
        at += len(parameter) + len(", ")
    return Help(signature.text, tuple(ranges), _active(call, callee), signature.doc)


def _active(call: Level, callee: Callee) -> int | None:
    """The parameter that is being written: by its name where it has one, else by its place."""
    written = call.argument
    names = callee.signature.names
    if len(written) > 1 and written[1].type == "EQUAL":
        return names.index(written[0].text) if written[0].text in names else None
    at = call.commas + callee.skipped
    last = len(names) - 1
    if at > last and callee.signature.parameters and callee.signature.parameters[-1].startswith("..."):
        return last
    return at if at <= last else None
