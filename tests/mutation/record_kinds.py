"""Recipes, data, meshes and settings that say what is not there, or not all that they must."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from trxc.elaborate.fields import CHECKPOINT, EVALUATE, LOG, RECORDS
from trxc.syntax import ast

from .facts import sizes
from .program import Edit, Kinds, Placed, Program
from .words import misspelt

KINDS = Kinds()

FREE = frozenset({"metrics", "split", "fields"})
INNER = {"evaluate": EVALUATE, "checkpoint": CHECKPOINT, "log": LOG}


def _fields(program: Program, kind: str | None = None) -> Iterator[Placed]:
    """The fields of records, those of records within records left out."""
    for placed in program.of(ast.Field, ast.SubRecord):
        around = placed.around[-1]
        if isinstance(around, ast.Record) and around.kind != "mesh" and kind in (None, around.kind):
            yield placed


def _name(placed: Placed) -> Any:
    return placed.node.path[0] if isinstance(placed.node, ast.Field) else placed.node.name


def _values(program: Program, **wanted: str) -> Iterator[Placed]:
    """The fields called so in the records of a kind: `train = "batch"`."""
    for kind, names in wanted.items():
        for placed in _fields(program, kind):
            if isinstance(placed.node, ast.Field) and _name(placed).name in names.split():
                yield placed


def _value(placed: Placed, new: str) -> Edit:
    span = placed.node.value.span
    return Edit(span.start, span.end, new, placed.statement)


@KINDS("misspelt field")
def misspelt_field(program: Program, rng: Random) -> Iterator[Edit]:
    """No record has a field of this name."""
    for placed in _fields(program):
        name = _name(placed)
        yield Edit(name.span.start, name.span.end, misspelt(name.name, program, rng), placed.statement)


@KINDS("misspelt field within a field")
def misspelt_inner(program: Program, rng: Random) -> Iterator[Edit]:
    """No record has a field of this name. Metrics, splits and declared fields are left out: they are called freely."""
    for placed in program.of(ast.Field):
        around = placed.around[-1]
        if isinstance(around, ast.SubRecord) and around.name.name not in FREE:
            name = placed.node.path[0]
            yield Edit(name.span.start, name.span.end, misspelt(name.name, program, rng), placed.statement)


@KINDS("field of another record")
def others_field(program: Program, rng: Random) -> Iterator[Edit]:
    """The record's kind has no such field, though another has."""
    for placed in program.of(ast.Record):
        kind = placed.node.kind
        if kind not in RECORDS or not placed.node.fields or kind == "weights":
            continue
        own = {spec.name for spec in RECORDS[kind]}
        others = sorted({s.name for specs in RECORDS.values() for s in specs if s.kind == "int"} - own)
        at = placed.node.fields[-1].span.end
        yield Edit(at, at, f"\n  {rng.choice(others)} = 4", (at, at))


@KINDS("misspelt axis of a mesh")
def misspelt_mesh_axis(program: Program, rng: Random) -> Iterator[Edit]:
    """The mesh has no axis of this name."""
    for placed in program.of(ast.Rule):
        target = placed.node.target
        if placed.item.kind == "mesh" and isinstance(target, ast.Name):
            yield Edit(target.span.start, target.span.end, misspelt(target.name, program, rng), placed.statement)


@KINDS("misspelt dim of a mesh")
def misspelt_mesh_dim(program: Program, rng: Random) -> Iterator[Edit]:
    """No dim of the program is called so, and a recipe uses the mesh."""
    for placed in program.of(ast.Rule):
        if placed.item.kind == "mesh":
            key = rng.choice(placed.node.keys)
            yield Edit(key.span.start, key.span.end, misspelt(key.span.text, program, rng), placed.statement)


@KINDS("misspelt metric")
def misspelt_metric(program: Program, rng: Random) -> Iterator[Edit]:
    """The recipe has no metric of this name."""
    for placed in program.of(ast.Field):
        value = placed.node.value
        if placed.node.path[0].name == "best" and isinstance(value, ast.Call):
            span = value.arguments[0].span
            yield Edit(span.start, span.end, misspelt(span.text, program, rng), placed.statement)


@KINDS("misspelt record or model")
def misspelt_record(program: Program, rng: Random) -> Iterator[Edit]:
    """Nothing in the file is called so."""
    for placed in _values(program, train="data mesh", evaluate="data"):
        yield _value(placed, misspelt(placed.node.value.span.text, program, rng))
    for placed in program.of(ast.Record):
        subject = placed.node.subject
        if subject is not None and placed.node.kind != "weights":
            span = subject.span
            yield Edit(span.start, span.end, misspelt(subject.name, program, rng), placed.statement)


@KINDS("misspelt choice")
def misspelt_choice(program: Program, rng: Random) -> Iterator[Edit]:
    """The field is one of a few words, and this is none of them."""
    for placed in _values(program, train="precision remat"):
        yield _value(placed, misspelt(placed.node.value.span.text, program, rng))
    for placed in _values(program, train="batch"):
        at = placed.node.span.end
        word = misspelt(rng.choice(("mixed_bf16", "f16")), program, rng)
        if not any(_name(p).name == "precision" for p in _fields(program, "train")):
            yield Edit(at, at, f"\n  precision = {word}", (at, at))


@KINDS("unknown field of the data in a loss")
def unknown_data_field(program: Program, rng: Random) -> Iterator[Edit]:
    """Neither the model's outputs nor the data's fields are called so."""
    for placed in program.of(ast.Name):
        field = placed.nearest(ast.Field)
        record = placed.item
        if field is None or not isinstance(record, ast.Record) or not isinstance(placed.around[-1], ast.Argument):
            continue
        outer = placed.around[2] if isinstance(placed.around[2], ast.Field) else placed.around[2].name
        name = outer.path[0].name if isinstance(outer, ast.Field) else outer.name
        argument = placed.around[-1].name
        if name in ("loss", "metrics") and (argument is None or argument.name != "over"):
            yield Edit(placed.node.span.start, placed.node.span.end, misspelt(placed.node.name, program, rng),
                       placed.statement)  # fmt: skip


@KINDS("misspelt input or output to generate from")
def misspelt_generate(program: Program, rng: Random) -> Iterator[Edit]:
    """The model has no input, or no output, of this name."""
    for placed in _values(program, generate="prompt from"):
        yield _value(placed, misspelt(placed.node.value.span.text, program, rng))


@KINDS("missing field")
def missing_field(program: Program, rng: Random) -> Iterator[Edit]:
    """The record must have the field. There is no better place to point at than the record's head."""
    for placed in _fields(program):
        record = placed.around[-1]
        spec = next((s for s in RECORDS[record.kind] if s.name == _name(placed).name), None)
        if spec is not None and spec.required:
            start, end = placed.node.span.start, placed.node.span.end
            end += len(program.text[end:]) - len(program.text[end:].lstrip())
            yield Edit(start, end, "", (record.span.start, placed.node.span.end))


@KINDS("field given twice")
def field_twice(program: Program, rng: Random) -> Iterator[Edit]:
    """A field has one value."""
    for placed in program.of(ast.Field):
        if placed.item.kind != "mesh" and len(placed.node.path) == 1:
            at = placed.node.span.end
            yield Edit(at, at, f"\n  {placed.node.span.text}", (placed.node.span.start, at))


@KINDS("two units of one thing")
def two_units(program: Program, rng: Random) -> Iterator[Edit]:
    """A recipe says in steps or in epochs how long it trains, and not in both."""
    for placed in _values(program, train="steps epochs"):
        other = "epochs" if _name(placed).name == "steps" else "steps"
        at = placed.node.span.end
        yield Edit(at, at, f"\n  {other} = {rng.randint(2, 50)}", placed.statement)


@KINDS("wrong unit")
def wrong_unit(program: Program, rng: Random) -> Iterator[Edit]:
    """Steps, batches and tokens are counted: a share or a fraction of one is no number of them."""
    for placed in _values(program, train="steps epochs batch accumulate", generate="limit"):
        yield _value(placed, rng.choice(("0.5", "2.5", "1e-3")))
    for placed in program.of(ast.Field):
        if placed.node.path[0].name in ("every", "keep") and isinstance(placed.node.value, ast.Number):
            yield _value(placed, "0.25")


@KINDS("count of none")
def count_of_none(program: Program, rng: Random) -> Iterator[Edit]:
    """The field is a number of at least 1."""
    for placed in _values(program, train="steps epochs batch accumulate", generate="limit"):
        yield _value(placed, rng.choice(("0", "-1", "-100")))


@KINDS("string for a count")
def string_for_count(program: Program, rng: Random) -> Iterator[Edit]:
    """The field is an int, and a string is none."""
    for placed in _values(program, train="steps epochs batch accumulate", generate="limit"):
        yield _value(placed, f'"{placed.node.value.span.text}"')


@KINDS("another kind of thing in a field")
def other_thing(program: Program, rng: Random) -> Iterator[Edit]:
    """The field is an optimizer, a source or a sampler, and a number, a string or a schedule is none of these."""
    for placed in _values(program, train="optimizer", data="source", generate="sample"):
        yield _value(placed, rng.choice(("3", '"adam"', "constant_rate(1.0)", "true")))


@KINDS("value for a record")
def value_for_record(program: Program, rng: Random) -> Iterator[Edit]:
    """The field is a record with fields of its own."""
    for placed in program.of(ast.SubRecord):
        node = placed.node
        yield Edit(node.span.start, node.span.end, f"{node.name.name} = {rng.randint(1, 9)}",
                   (node.span.start, node.span.end))  # fmt: skip


@KINDS("loss that is not one number")
def not_one_number(program: Program, rng: Random) -> Iterator[Edit]:
    """The model's output has a batch dim, and a loss has none."""
    outputs = {p.item.name.name: p.node.name.name for p in program.of(ast.Output)
               if p.node.name is not None and p.item.kind == "model"}  # fmt: skip
    for placed in _values(program, train="loss"):
        subject = placed.around[-1].subject
        if subject is not None and subject.name in outputs:
            yield _value(placed, f"{outputs[subject.name]} * 2.0")


@KINDS("split that is not there")
def no_split(program: Program, rng: Random) -> Iterator[Edit]:
    """The data are not split so."""
    for placed in program.of(ast.SubRecord):
        if placed.node.name.name == "evaluate":
            at = placed.node.fields[-1].span.end
            yield Edit(at, at, f", split = {misspelt('valid', program, rng)}", (at, at))


@KINDS("shares of more than all")
def too_much(program: Program, rng: Random) -> Iterator[Edit]:
    """Shares of a whole add up to no more than the whole, and one of them is nearly all of it."""
    for placed in program.of(ast.SubRecord):
        values = [field.value for field in placed.node.fields if isinstance(field, ast.Field)]
        if placed.node.name.name == "split" and sum(getattr(v, "value", 0) for v in values[:-1]) > 0.05:
            last = placed.node.fields[-1]
            if not all(isinstance(getattr(v, "value", None), float) for v in values):
                continue
            edit = (last.value.span.start, last.value.span.end, "0.95")
            yield Edit(*edit, (placed.node.span.start, placed.node.span.end))


WIDTHS = {"digits": (8, 8, 1), "breast_cancer": (30,)}


@KINDS("input that the data do not fit")
def unfit_input(program: Program, rng: Random) -> Iterator[Edit]:
    """The source says what sizes its examples have, and the model's input says another number."""
    sources = {p.node.value.function.name for p in _values(program, data="source")
               if isinstance(p.node.value, ast.Call) and isinstance(p.node.value.function, ast.Name)}  # fmt: skip
    for placed in program.of(ast.Signature):
        if not sources & WIDTHS.keys() or placed.item.kind != "model":
            continue
        for dim in placed.node.type.dims:
            if isinstance(dim, ast.Number):
                new = str(dim.value + rng.randint(1, 5))
                yield Edit(dim.span.start, dim.span.end, new, placed.statement)
            elif isinstance(dim, ast.Name) and isinstance(sizes(placed.item).get(dim.name), int):
                default = next(p.default for p in placed.item.parameters if p.name.name == dim.name)
                new = str(default.value + rng.randint(1, 5))
                yield Edit(default.span.start, default.span.end, new, placed.statement)


@KINDS("setting of nothing")
def unknown_setting(program: Program, rng: Random) -> Iterator[Edit]:
    """`--set` names a record or a model, and a field or a parameter of it; one of the two is misspelt."""
    for path, value in _settable(program):
        head, _, tail = path.partition(".")
        whole = (f"{misspelt(head, program, rng)}.{tail}", f"{head}.{misspelt(tail, program, rng)}")
        yield Edit(0, 0, "", (0, 0), settings=((rng.choice(whole), value),))


@KINDS("setting of another kind")
def wrong_setting(program: Program, rng: Random) -> Iterator[Edit]:
    """What is set is an int, and this is none."""
    for path, _ in _settable(program):
        yield Edit(0, 0, "", (0, 0), settings=((path, rng.choice(('"many"', "2.5", "[1, 2]"))),))


def _settable(program: Program) -> Iterator[tuple[str, str]]:
    for item in program.tree.items:
        if isinstance(item, ast.Layer) and item.kind == "model":
            for parameter in item.parameters:
                if isinstance(parameter.default, ast.Number):
                    yield f"{item.name.name}.{parameter.name.name}", str(parameter.default.value)
    for placed in _values(program, train="steps batch", generate="limit"):
        yield f"{placed.around[-1].name.name}.{_name(placed).name}", "4"
