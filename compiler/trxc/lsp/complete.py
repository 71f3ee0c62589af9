"""The words that may stand at a place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..elaborate.builtins import BUILTINS
from ..elaborate.fields import RECORDS, FieldSpec
from ..elaborate.records import MODULES
from ..resolve import ItemRef, standard_modules
from ..syntax import ast
from ..types import DTYPES
from .answers import Completion
from .callees import Callee, callee_at
from .declared import CONSTANTS, PUBLIC_OPS, names_of
from .documents import Document
from .hover import DTYPE_DOCS, field_text
from .members import members
from .positions import Position
from .show import first_paragraph, op_doc, op_signature, signature_of, value_text
from .situation import Situation, situation_at

ITEMS = {
    "use": "brings in names of the library or of another file", "const": "a named value",
    "fn": "a layer without weights",
    "layer": "a function of tensors that may own weights", "model": "a layer that can be trained or run by itself",
    "extern": "something in Python", "data": "where examples come from", "train": "how a model is trained",
    "evaluate": "what is measured of a trained model", "generate": "how a model writes", "mesh": "the devices",
    "weights": "what another file calls the weights",
}  # fmt: skip
STATEMENTS = {
    "input": "what the layer takes", "output": "what the layer gives", "param": "a weight",
    "state": "a weight that training updates without gradients", "carry": "a value that `recur` hands on",
    "dim": "a name for a size", "require": "a condition on sizes", "next": "the following value of a carry or state",
    "if": "a choice at compile time",
}  # fmt: skip
WORDS = {
    "true": "bool",
    "false": "bool",
    "none": "nothing",
    "if": "a choice at compile time",
    "fn": "a layer without a name",
}
TYPES = ("layer", "string", "list", "dtype", "initializer", "axis", "axes", "number")
NEAR, HERE, FILE, LIBRARY, LANGUAGE = range(5)


def complete(document: Document, position: Position) -> list[Completion]:
    """What may stand at a position, the likeliest first."""
    offset = document.lines.offset(position)
    here = situation_at(document.reading.source, offset)
    found: dict[str, Completion] = {}
    for entry in _offers(_Maker(document, here, offset)):
        found.setdefault(entry.label, entry)
    return sorted(found.values(), key=lambda entry: (entry.order, entry.label))


class _Maker:
    """Makes completions for one place."""

    def __init__(self, document: Document, here: Situation, offset: int) -> None:
        self.document, self.here, self.offset = document, here, offset
        self.range = document.lines.range(here.start, here.end)

    def entry(self, label: str, kind: str, detail: str, doc: str, order: int, suffix: str = "") -> Completion:
        """A word; `suffix` is inserted behind it."""
        return Completion(label, kind, detail, doc, label + suffix, self.range, order)

    def item(self, item: ItemRef, order: int) -> Completion:
        """An item."""
        signature = signature_of(item)
        return self.entry(item.name, item.kind, signature.text, signature.doc, order)


def _offers(make: _Maker) -> Iterator[Completion]:
    here = make.here
    if here.silent:
        return
    before = here.inner.tokens[-1].text if here.inner.tokens else ""
    if here.kind == "use":
        yield from _used(make)
    elif before == ".":
        yield from members(make.document, here, make.entry)
    elif before == ":" and _wants_type(here):
        yield from _types(make)
    elif before in ("for", "train", "evaluate", "generate") and len(here.levels) == 1:
        yield from _models(make)
    elif _begins_item(make):
        yield from (make.entry(word, "keyword", "", doc, HERE, " ") for word, doc in ITEMS.items())
    elif here.kind in (*RECORDS, "mesh") and here.inner.bracket == "{":
        yield from _record(make)
    else:
        yield from _expression(make)


def _begins_item(make: _Maker) -> bool:
    text = make.document.text
    begins = make.here.start == 0 or text[make.here.start - 1] in "\r\n"
    return begins and (len(make.here.levels) == 1 or not make.here.levels[-1].tokens)


def _wants_type(here: Situation) -> bool:
    return here.inner.bracket != "["


# ------------------------------------------------------------------------ use


def _used(make: _Maker) -> Iterator[Completion]:
    here, library = make.here, make.document.reading.library
    words = [token.text for token in here.head]
    inside = here.inner.bracket == "("
    if not inside and words[-1:] == ["use"]:
        yield make.entry("std", "module", "the standard library", "", HERE, ".")
    elif not inside and words[-2:] == ["std", "."]:
        for module in standard_modules():
            unit = library.standard(module)
            yield make.entry(module, "module", f"std.{module}", unit.source.text.split("\n", 1)[0].lstrip("# "), HERE)
    elif inside:
        modules = [token.text for token in here.inner.before if token.text in standard_modules()]
        unit = library.standard(modules[-1]) if modules else None
        if unit is not None:
            taken = {token.text for token in here.inner.tokens}
            items = (unit.own(name) for name in unit.public_names() if name not in taken)
            yield from (make.item(item, HERE) for item in items if item is not None)
        else:
            yield from _used_file(make)


def _used_file(make: _Maker) -> Iterator[Completion]:
    """The items of a user's file that is named before the bracket."""
    strings = [token.text.strip('"') for token in make.here.inner.before if token.type == "STRING"]
    for unit in make.document.reading.library.files.values():
        if strings and unit.source.name == strings[-1]:
            yield from (make.item(item, HERE) for name in list(unit.names()) if (item := unit.own(name)) is not None)


# ---------------------------------------------------------------------- types


def _types(make: _Maker) -> Iterator[Completion]:
    for name, dtype in DTYPES.items():
        yield make.entry(name, "dtype", "dtype", DTYPE_DOCS.get(name, f"{dtype.bits} bits"), HERE)
    yield from (make.entry(name, "dtype", "kind of argument", "", FILE) for name in TYPES)


def _models(make: _Maker) -> Iterator[Completion]:
    items = make.document.reading.unit.items.values()
    yield from (make.item(item, HERE) for item in items if item.kind == "model")


# -------------------------------------------------------------------- records


def _record(make: _Maker) -> Iterator[Completion]:
    here = make.here
    specs = RECORDS.get(here.kind, ())
    for name in here.fields:
        specs = next((spec.fields for spec in specs if spec.name == name), ())
    written = here.inner.argument
    if not written:
        taken = here.inner.given
        yield from (_field(make, spec) for spec in specs if spec.name not in taken)
        if here.kind == "mesh":
            yield from _dims_of_file(make)
        return
    spec = next((spec for spec in specs if spec.name == written[0].text), None)
    if spec is not None:
        yield from _value(make, spec)
        if spec.kind in ("word", "record", "name", "flag"):
            return
    yield from _expression(make)


def _field(make: _Maker, spec: FieldSpec) -> Completion:
    suffix = " { " if spec.kind in ("fields", "tensors", "shares", "types") else " = "
    order = NEAR if spec.required else HERE
    return make.entry(spec.name, "field", field_text(spec), spec.doc, order, suffix)


def _value(make: _Maker, spec: FieldSpec) -> Iterator[Completion]:
    if spec.kind == "word":
        yield from (make.entry(word, "enum", spec.name, "", NEAR) for word in spec.choices)
    elif spec.kind == "flag":
        yield from (make.entry(word, "enum", spec.name, "", NEAR) for word in ("true", "false"))
    elif spec.kind == "record":
        items = make.document.reading.unit.items.values()
        yield from (make.item(item, NEAR) for item in items if item.kind in spec.choices)
    elif spec.kind == "name":
        kinds = {"prompt": ("input",), "from": ("output",)}.get(spec.name, ())
        yield from (entry for entry in _of_model(make) if entry.kind in kinds)
    elif spec.kind in ("optimizer", "source", "pipeline", "sampler", "tokenizer"):
        kinds = {"pipeline": ("transform", "tokenizer")}.get(spec.kind, (spec.kind,))
        for module in MODULES.get(make.here.kind, ()):
            unit = make.document.reading.library.standard(module)
            items = (unit.own(name) for name in unit.public_names())
            yield from (make.item(item, NEAR) for item in items if item is not None and item.kind in kinds)


def _of_model(make: _Maker) -> Iterator[Completion]:
    """The names of the model that a record is for."""
    words = [token.text for token in make.here.head]
    models = [ref for ref in make.document.reading.unit.items.values() if ref.kind == "model"]
    named = [ref for ref in models if ref.name in words] or (models if len(models) == 1 else [])
    for ref in named:
        for name, kind in names_of(ref.item).items():
            yield make.entry(name, kind, f"{kind} of {ref.name}", "", NEAR)


def _dims_of_file(make: _Maker) -> Iterator[Completion]:
    for ref in make.document.reading.unit.items.values():
        for name, kind in names_of(ref.item).items():
            if kind == "dim":
                yield make.entry(name, "dim", f"dim of {ref.name}", "", FILE, " -> ")


# ---------------------------------------------------------------- expressions


def _expression(make: _Maker) -> Iterator[Completion]:
    here, document = make.here, make.document
    call = here.call
    if call is not None and call is here.inner:
        callee = callee_at(document, call, here)
        if callee is not None and _begins_argument(here):
            yield from _arguments(make, callee, call.given)
    if here.inner.bracket == "{" and not here.inner.argument and here.kind in ("layer", "model", "extern"):
        yield from (make.entry(word, "keyword", "", doc, HERE, " ") for word, doc in STATEMENTS.items())
    yield from _locals(make)
    if here.kind in RECORDS:
        yield from _of_model(make)
    yield from _globals(make)


def _begins_argument(here: Situation) -> bool:
    return not here.inner.argument


def _arguments(make: _Maker, callee: Callee, given: set[str]) -> Iterator[Completion]:
    for name, declared in callee.keywords.items():
        if name not in given:
            yield make.entry(name, "argument", declared, f"an argument of `{callee.name}`", NEAR, " = ")


def _locals(make: _Maker) -> Iterator[Completion]:
    document, owner = make.document, make.here.name
    body = document.body(owner)
    for symbol in document.reading.table.locals(owner, make.offset):
        name = symbol.key.name
        value = body.variables.get(name) if body is not None else None
        detail = value_text(value, body) if value is not None else None
        yield make.entry(name, symbol.kind, detail or symbol.kind, "", HERE)


def _globals(make: _Maker) -> Iterator[Completion]:
    reading = make.document.reading
    unit, library = reading.unit, reading.library
    own = (item for name in list(unit.names()) if (item := unit.own(name)) is not None)
    yield from (make.item(item, FILE) for item in own if not isinstance(item.item, ast.Record))
    used = (target.own(original) for target, original in list(unit.used.values()))
    yield from (make.item(item, FILE) for item in used if item is not None)
    yield from (make.entry(name, "module", "", "", FILE) for name in unit.spaces)
    modules = MODULES.get(make.here.kind, ())
    names: Iterable[tuple[str, str]] = [(n, m) for m in modules for n in library.standard(m).public_names()]
    for name, module in [*names, *library.prelude.items()]:
        item = library.standard(module).own(name)
        if item is not None:
            yield make.item(item, LIBRARY)
    yield from _language(make)


def _language(make: _Maker) -> Iterator[Completion]:
    for name, op in PUBLIC_OPS.items():
        yield make.entry(name, "op", op_signature(op).text, first_paragraph(op_doc(op)), LANGUAGE)
    for name, build in BUILTINS.items():
        yield make.entry(name, "builtin", "", (build.__doc__ or "").strip(), LANGUAGE)
    yield from (make.entry(name, "constant", doc, "", LANGUAGE) for name, doc in CONSTANTS.items())
    yield from (make.entry(name, "keyword", doc, "", LANGUAGE) for name, doc in WORDS.items())
    yield from (make.entry(name, "dtype", "dtype", "", LANGUAGE) for name in DTYPES)
