"""A whole program: every model and layer checked, every record read, and the recipe that is to be compiled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from ..diagnostics import Diagnostics
from ..resolve import ItemRef, Library, Unit, nearest
from ..source import Source
from ..syntax import ast
from .body import Session
from .contradictions import warn_of_greedy
from .evaluate import item_value
from .faults import Fault, Silent
from .mentions import read_items
from .mesh import read_mesh
from .model import check_layer
from .named_twice import check_named_twice
from .observe import Observer
from .pipeline import data_fields
from .records import read_record, record_body
from .remembered import Memory
from .settings import read_settings
from .subject import Checked, Elaborated, Subject, find_subject
from .train import Recipe, check_evaluation, generate_record
from .unreached import check_unreached
from .unused import warn_unused
from .values import Chain, Declared

Models: TypeAlias = dict[str, Subject]


def check_program(source: Source, path: Path | None, settings: dict[str, str], diagnostics: Diagnostics) -> Checked:
    """Checks everything in a file."""
    library = Library(diagnostics, path.resolve().parent if path else None)
    unit = library.program(source, path.resolve() if path else None)
    return check_unit(unit, library, settings)


def check_unit(
    unit: Unit, library: Library, settings: dict[str, str], observer: Observer | None = None,
    memory: Memory | None = None,
) -> Checked:  # fmt: skip
    """Checks everything in a file that has been read; with a memory (and no settings), only what may have changed.

    Syntax errors end it early: what stands beside them is not known for certain.
    """
    diagnostics = library.diagnostics
    check_named_twice(unit, diagnostics)
    checked = Checked(diagnostics, unit, library, {}, Session(library, diagnostics, observer=observer))
    if diagnostics.failed:
        return checked
    checked.overrides = read_settings(settings, unit, diagnostics)
    if diagnostics.failed:
        return checked
    checked.unchanged = memory.unchanged(unit, library) if memory is not None else frozenset()
    models = {ref.name: Subject(checked, ref) for ref in unit.items.values() if ref.kind == "model"}
    items = [ref for ref in unit.items.values() if ref.name not in checked.unchanged]
    for ref in items:
        if observer is not None:
            observer.checking(ref.name)
        if isinstance(ref.item, ast.Layer) and ref.kind == "layer":
            check_layer(checked.session(), ref)
        elif ref.kind in _CHECKS:
            _CHECKS[ref.kind](checked, ref, models)
    read = [] if diagnostics.failed else read_items(items)
    check_unreached(unit, read, library, memory.dims(checked.unchanged) if memory is not None else set())
    if not diagnostics.failed:
        warn_unused(read, diagnostics)
    return checked


def _model(checked: Checked, ref: ItemRef, models: Models) -> None:
    elaborated = models[ref.name].alone()
    if elaborated is not None:
        elaborated.generate = generate_record(checked, models[ref.name])
        checked.elaborated[ref.name] = elaborated


def _train(checked: Checked, ref: ItemRef, models: Models) -> None:
    elaborated = Recipe(checked, ref, models).elaborate()
    if elaborated is not None:
        checked.elaborated[ref.name] = elaborated


def _mesh(checked: Checked, ref: ItemRef, models: Models) -> None:
    read_mesh(checked.session(), ref)


def _data(checked: Checked, ref: ItemRef, models: Models) -> None:
    session = checked.session()
    data_fields(session, read_record(session, ref))


def _evaluate(checked: Checked, ref: ItemRef, models: Models) -> None:
    check_evaluation(checked, ref, models)


def _weights(checked: Checked, ref: ItemRef, models: Models) -> None:
    """A weight map may stand in a file without its model, as a library of maps does: then nothing is checked by it."""
    session = checked.session()
    read_record(session, ref)
    record = ref.item
    assert isinstance(record, ast.Record)
    if record.subject is not None and checked.library.lookup(checked.unit, record.subject.name) is None:
        name = record.subject.name
        message = f"nothing here is called `{name}`: the names of its weights cannot be checked"
        session.warn("TRX0516", message, record.subject.span)


def _const(checked: Checked, ref: ItemRef, models: Models) -> None:
    session = checked.session()
    try:
        item_value(ref, record_body(session, ref), ref.name_span)
    except Fault as fault:
        session.report(fault)
    except Silent:
        pass


EXCLUDING = ("trxc_runtime.sample.exclusions:", "trxc_runtime.sample.constraint:")
"""The runtime's stages that leave scores as they are and only exclude tokens, so that a search can go by them."""


def _only_excludes(sample: object) -> bool:
    parts = sample.parts if isinstance(sample, Chain) else (sample,)
    return all(isinstance(part, Declared) and part.target.startswith(EXCLUDING) for part in parts)


def _generate(checked: Checked, ref: ItemRef, models: Models) -> None:
    session = checked.session()
    record = read_record(session, ref)
    if "sample" in record.spans and "search" in record.spans and not _only_excludes(record.values["sample"]):
        labels = [(record.spans["sample"], "first here")]
        helps = [
            "a token is drawn by `sample`, or the best of many continuations is looked for by `search`",
            "stages that only exclude tokens, as `matching` and `forbid` do, go with both",
        ]
        message = "both `sample` and `search` are given"
        session.report(Fault("TRX0502", message, record.spans["search"], labels=labels, helps=helps))
    warn_of_greedy(session, record.values.get("sample"))
    model = find_subject(checked, ref, models)
    roots = model.roots() if model else None
    if roots is None:
        return
    apply = roots[0]
    inputs = [v.name or "" for v in apply.function.inputs]
    for name, known, what in (("prompt", inputs, "input"), ("from", apply.function.output_names, "output")):
        ident = record.values.get(name)
        if isinstance(ident, ast.Ident) and ident.name not in known:
            helps = nearest(ident.name, known) or (f"{what}s: {', '.join(known)}",)
            session.report(Fault("TRX0512", f"the model has no {what} `{ident.name}`", ident.span, helps=helps))


_CHECKS: dict[str, Callable[[Checked, ItemRef, Models], None]] = {
    "model": _model, "train": _train, "mesh": _mesh, "data": _data, "evaluate": _evaluate, "weights": _weights,
    "generate": _generate, "const": _const,
}  # fmt: skip

__all__ = ["Checked", "Elaborated", "check_program", "check_unit"]
