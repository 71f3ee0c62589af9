"""What elaboration tells an observer, and which of several elaborations the index shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from lsp_documents import PROJECT, opened

from trxc.diagnostics import Diagnostics
from trxc.elaborate.program import check_unit
from trxc.elaborate.values import Size
from trxc.ir import Value
from trxc.lsp.documents import Document
from trxc.lsp.index import Index
from trxc.lsp.show import value_text
from trxc.lsp.weights import flops_of, weights_at, weights_of
from trxc.resolve import Library
from trxc.source import Source
from trxc.syntax import ast

FILES = sorted((PROJECT / "examples").glob("*.trx")) + sorted((PROJECT / "stdlib").glob("*.trx"))

TWICE = """layer Wide(factor: int = 2) {
  input x: float[batch, f]
  y = x |> Dense(factor * f)
  output y
}

layer Unused {
  input x: float[batch, f]
  z = concat([x, x], along = -1)
  output z
}

model M {
  input x: float[batch, 5]
  output x |> Wide >> Wide(factor = 3) |> repeat(4, Dense(30))
}
"""


def seen(document: Document, piece: str) -> str | None:
    start = document.text.index(piece)
    found = document.value(start, start + len(piece))
    return value_text(found.value, found.body) if found is not None else None


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_check_that_is_watched_finds_the_same(path: Path) -> None:
    def found(index: bool) -> list[str]:
        diagnostics = Diagnostics()
        library = Library(diagnostics, path.parent)
        source = Source(path.name, path.read_text(encoding="utf-8").replace("heads", "haeds", 1))
        unit = library.program(source, path)
        assert unit.file is not None
        check_unit(unit, library, {}, Index(source, unit.file) if index else None)
        return [str(item) for item in diagnostics]

    assert found(True) == found(False)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_binding_of_the_projects_files_has_a_shape(path: Path) -> None:
    """But for those in branches, which may not be taken."""
    document = opened(path.read_text(encoding="utf-8"), path=path)
    layers = [item for item in document.reading.file.items if isinstance(item, ast.Layer)]
    bound = [node for layer in layers for node in layer.body or () if isinstance(node, ast.Bind)]
    names = [name.span for node in bound for name in node.names]
    assert [span.text for span in names if document.value(span.start, span.end) is None] == []


def test_the_first_use_decides_and_what_nobody_uses_keeps_its_symbols() -> None:
    document = opened(TWICE)
    assert seen(document, "x |> Dense(factor * f)") == "float[batch, 10]"
    assert seen(document, "concat([x, x], along = -1)") == "float[batch, 2 * f]"
    body = document.body("Wide")
    assert body is not None
    factor = body.variables["factor"]
    assert isinstance(factor, Size)
    assert factor.known == 2


def test_a_layer_by_itself_is_not_seen_as_one_that_uses_it_sees_it() -> None:
    text = TWICE.partition("\nmodel")[0] + "\nlayer User {\n  input x: float[a, 7]\n  output x |> Wide(9)\n}\n"
    assert seen(opened(text), "x |> Dense(factor * f)") == "float[batch, f * factor]"


def test_weights_are_counted_where_a_layer_is_applied() -> None:
    document = opened(TWICE)
    start = document.text.index("repeat(4, Dense(30))")
    application = document.application(start, start + len("repeat(4, Dense(30))"))
    assert application is not None
    assert isinstance(application.result, Value)
    weights = weights_at(application)
    assert weights is not None
    assert weights.count.value == 4 * (30 * 30 + 30)
    body = document.body("M")
    assert body is not None
    total = weights_of(body)
    assert total is not None
    assert total.count.value == (5 * 10 + 10) + (10 * 30 + 30) + 4 * (30 * 30 + 30)
    assert total.stored.value == 4 * total.count.value


def test_flops_count_products_twice_and_loops_by_their_turns() -> None:
    text = "model M {\n  input x: float[3, 5]\n  output x |> repeat(4, Dense(5, bias = false))\n}\n"
    body = opened(text).body("M")
    assert body is not None
    flops = flops_of(body)
    assert flops is not None
    assert flops.value == 4 * (2 * 3 * 5 * 5)


def test_a_layer_that_takes_several_attempts_is_seen_in_the_last() -> None:
    lines = ("input x: float[b, f]", "require f % n == 0", "parts = split(x, n, along = -1)", "output parts[0]")
    text = "\n  ".join(("layer A(n: int = 3) {", *lines)) + "\n}\n"
    document = opened(text)
    (place,) = {o.span for o in document.reading.table.ordered if o.key.name == "parts" and o.defines}
    found = document.value(place.start, place.end)
    assert found is not None
    assert value_text(found.value, found.body) == "(float[b, f / 3], float[b, f / 3], float[b, f / 3])"
