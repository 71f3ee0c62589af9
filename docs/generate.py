"""Writes the generated parts of the documentation: those between `<!-- generated: NAME -->` and `<!-- end -->`.

`python docs/generate.py` writes them; with `--check` it fails where one is out of date.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import trxc
from trxc.diagnostics import Diagnostics
from trxc.diagnostics.codes import CODES
from trxc.diagnostics.explain import Page, explain
from trxc.diagnostics.terminal import render
from trxc.dims import MAX_TERMS
from trxc.elaborate import body, builtins, declared, evaluate, operators
from trxc.elaborate.fields import RECORDS, FieldSpec
from trxc.ops import FAMILIES, REQUIRED, OpDefinition, Operand
from trxc.passes import Pass, pipeline
from trxc.resolve import Library, library
from trxc.syntax import ast, literals, recover
from trxc.syntax.parse import MAX_CHAIN, MAX_CHARACTERS, MAX_NESTING
from trxc.types import DType

DOCS = Path(__file__).resolve().parent
PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

# ------------------------------------------------------------------------------------------------- records

KINDS = {
    "bytes": "a size, `\"8 GB\"`",
    "int": "int", "float": "number", "flag": "`true` or `false`", "text": "string", "tensor": "expression",
    "tensors": "record of expressions", "optimizer": "optimizer", "source": "source",
    "pipeline": "tokenizer and transforms", "sampler": "sampler", "search": "search", "tokenizer": "tokenizer",
    "shares": "record",
    "types": "record of types", "fields": "record", "best": "`min(…)` or `max(…)`", "patterns": "list of strings",
    "texts": "list of strings", "paths": "list of strings", "name": "name",
}  # fmt: skip


def records() -> Iterator[str]:
    """A table for each kind of record, then one for each record within it."""
    for kind, specs in RECORDS.items():
        yield from _table(f"`{kind}`", specs)
        for spec in specs:
            if spec.fields:
                yield from _table(f"`{spec.name}` within `{kind}`", spec.fields)


def _table(title: str, specs: tuple[FieldSpec, ...]) -> Iterator[str]:
    yield from (f"### {title}", "", "| field | is | default | for |", "|---|---|---|---|")
    for spec in specs:
        yield f"| `{spec.name}` | {_kind(spec)} | {_default(spec)} | {spec.doc} |"
    yield ""


def _kind(spec: FieldSpec) -> str:
    if spec.kind == "record":
        return f"name of a `{spec.choices[0]}` record"
    if spec.kind == "word":
        return ", ".join(f"`{choice}`" for choice in spec.choices)
    return KINDS[spec.kind] + (", 0 or more" if spec.kind == "int" and spec.least == 0 else "")


def _default(spec: FieldSpec) -> str:
    return "**required**" if spec.required else "" if spec.default is None else f"`{_literal(spec.default)}`"


def _literal(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return "none" if value is None else str(value).lower()
    if isinstance(value, DType):
        return value.name
    return str(value)


# ----------------------------------------------------------------------------------------------------- ops

TITLES = {
    "creation": "Creation", "elementwise": "Elementwise", "reductions": "Reductions", "cumulative": "Cumulative",
    "softmax": "Softmax", "linear": "Products", "convolution": "Convolutions", "pooling": "Pools",
    "joining": "Joining and parting",
    "shape": "Shapes",
    "indexing": "Indexing", "ordering": "Order", "patterns": "Patterns", "random": "Randomness",
}  # fmt: skip
CALL = re.compile(r"(`[^`]+`(?:, `[^`]+`)*): (.*)", re.DOTALL)


def ops() -> Iterator[str]:
    """A list for each family of ops that a program can say."""
    for family in FAMILIES:
        public = [op for op in family if op.public]
        if public:
            module = type(public[0]).__module__.rpartition(".")[2]
            yield from (f"### {TITLES.get(module, module.capitalize())}", "", *map(_op, public), "")


def _op(op: OpDefinition) -> str:
    doc = " ".join((op.__doc__ or "").split())
    called = CALL.fullmatch(doc)
    if called and op.name in called[1]:
        return f"- {called[1]}: {called[2]}"
    slots = ", ".join(
        slot.name
        if isinstance(slot, Operand) or slot.default is REQUIRED
        else f"{slot.name} = {_literal(slot.default)}"
        for slot in op.slots
    )
    return f"- `{op.name}({slots})`: {doc}"


# ------------------------------------------------------------------------------------------------- library


def standard() -> Iterator[str]:
    """A list for each module of the standard library, with what its doc comments say first."""
    loaded = Library(Diagnostics())
    for module in library.standard_modules():
        unit = loaded.standard(module)
        note = f" (`use std.{module} (…)`)" if module == "attention" else ""
        yield from (f"### `std.{module}`{note}", "", _first_paragraph(_head(unit.source.text)), "")
        refs = (unit.own(name) for name in unit.names())
        yield from (_item(ref.item) for ref in refs if ref is not None)
        yield ""


def _head(text: str) -> str:
    """The comment that a file begins with."""
    lines = text[: text.index("\n\n")].splitlines()
    return "\n".join(line.lstrip("#").strip() for line in lines if line.startswith("#"))


def _item(item: ast.Item) -> str:
    assert isinstance(item, ast.Layer | ast.Fn | ast.Extern)
    shown = ", ".join(" ".join(parameter.span.text.split()) for parameter in item.parameters)
    call = f"{item.name.name}({shown})" if shown or not isinstance(item, ast.Layer) else item.name.name
    kind = f"{item.kind.name} " if isinstance(item, ast.Extern) else ""
    yields = f" → {', '.join(s.span.text for s in item.yields)}" if isinstance(item, ast.Extern) and item.yields else ""
    return f"- {kind}`{call}`{f' gives `{yields[3:]}`' if yields else ''}: {_first_paragraph(item.doc)}"


def _first_paragraph(doc: str) -> str:
    return " ".join(doc.strip().partition("\n\n")[0].split())


# -------------------------------------------------------------------------------------------------- limits

LIMITS = (
    ("characters of a file", MAX_CHARACTERS),
    ("brackets and blocks within each other", MAX_NESTING),
    ("operators in a row in one expression", MAX_CHAIN),
    ("digits of a number", literals.MAX_DIGITS),
    ("syntax errors that are reported of one file", recover.MAX_ERRORS),
    ("files of a program", library.MAX_FILES),
    ("layers and fns within each other", body.MAX_DEPTH),
    ("operations of a program, every `repeat` that is one loop counted once", body.MAX_OPS),
    ("turns of `repeat`", body.MAX_OPS),
    ("turns of `repeat` that differ from each other", body.MAX_UNROLL),
    ("items of a list that `for` goes over", evaluate.MAX_LIST),
    ("items of `range`", builtins.MAX_RANGE),
    ("items of a list and of the lists in it", evaluate.MAX_WEIGHT),
    ("characters of a string that `+` makes", operators.MAX_STRING),
    ("layers of a composition", evaluate.MAX_LIST),
    ("stages of a chain of optimizers, transforms or samplers", declared.MAX_CHAINED),
    ("consts that are each defined by the next", evaluate.MAX_CONSTS),
    ("applications of layers and fns to work through", body.MAX_STEPS),
    ("terms of a symbolic size", MAX_TERMS),
)


def limits() -> Iterator[str]:
    """What is bounded, and by how much."""
    yield from ("| at most | of |", "|---:|---|")
    yield from (f"| {most:,} | {what} |" for what, most in LIMITS)


# --------------------------------------------------------------------------------------------------- codes

GROUPS = {
    "01": "Syntax", "02": "Dims and types", "03": "Names", "04": "Values, calls and bounds", "05": "Records",
    "06": "Weights and generation", "07": "Files and environment", "09": "Faults of the compiler",
}  # fmt: skip


def codes() -> Iterator[str]:
    """Every diagnostic with a link to its page."""
    for number, title in GROUPS.items():
        found = [code for code in CODES.values() if code.code[3:5] == number]
        if not found:
            continue
        yield from (f"## {title}", "")
        for code in found:
            page = f"../compiler/trxc/diagnostics/pages/{code.code}.md"
            mark = "" if code.severity == "error" else f" ({code.severity})"
            yield f"- [{code.code}]({page}): {code.title}{mark}"
        yield ""


def example() -> Iterator[str]:
    """The wrong example of a diagnostic's page, and what is said of it."""
    program = Page(explain("TRX0204")).block("Wrong", "trx")
    assert program is not None, "every page has a wrong example"
    said = "\n\n".join(render(found, colour=False) for found in trxc.check(program, filename="example.trx"))
    yield f"```trx fragment\n{program}```\n\n```text\n{said}\n```"


# -------------------------------------------------------------------------------------------------- passes


def passes() -> Iterator[str]:
    """Every pass in the order of its first turn, with what its module says of it."""
    turns = [item.name for item in pipeline()]
    first: dict[str, Pass] = {}
    for item in pipeline():
        first.setdefault(item.name, item)
    for item in first.values():
        again = f" ({turns.count(item.name)} turns)" if turns.count(item.name) > 1 else ""
        module = sys.modules[type(item).__module__]
        text = inspect.cleandoc(module.__doc__ or "")
        yield from (f"### {item.name}{again}", "", _markdown(text), "")


def _markdown(text: str) -> str:
    """A docstring as Markdown: indented blocks after `::` as code, references as their names."""
    text = re.sub(r":\w+:`[~.]*([^`]*)`", r"`\1`", text).replace("``", "`")
    blocks = re.split(r"::\n\n((?:(?: {4}.*)?\n)+)", f"{text}\n\n")
    parts = [f":\n\n```text\n{inspect.cleandoc(part)}\n```\n\n" if at % 2 else part for at, part in enumerate(blocks)]
    return "".join(parts).strip()


# ------------------------------------------------------------------------------------------------- writing

PARTS = {
    "records": records, "ops": ops, "library": standard, "limits": limits, "codes": codes, "example": example,
    "passes": passes,
}  # fmt: skip


def generated(text: str) -> str:
    """A page with its generated parts as they should be."""

    def replace(found: re.Match[str]) -> str:
        return found[1] + "\n" + "\n".join(PARTS[found[2]]()).strip() + "\n\n" + found[3]

    return PART.sub(replace, text)


def main(arguments: list[str]) -> int:
    """Writes or checks every page; the exit status."""
    stale = False
    for page in sorted(DOCS.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        if (new := generated(text)) == text:
            continue
        if "--check" in arguments:
            print(f"{page.name} is out of date: `python docs/generate.py` writes it", file=sys.stderr)
            stale = True
        else:
            page.write_text(new, encoding="utf-8")
            print(f"wrote {page.name}")
    return int(stale)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
