"""The library by itself: every item is documented, every layer is right for all sizes, every example compiles."""

from __future__ import annotations

import re
import textwrap

import pytest

from trxc.diagnostics import Diagnostics
from trxc.elaborate.body import Session
from trxc.elaborate.model import check_layer, elaborate_model
from trxc.resolve import Library
from trxc.resolve.library import EXPLICIT, standard_modules
from trxc.source import Source
from trxc.syntax import ast

MODULES = sorted({*standard_modules()} - {"data", "sample"})
LIBRARY = Library(Diagnostics())
ITEMS = [(module, name) for module in MODULES for name in LIBRARY.standard(module).names()]
LAYERS = [(module, name) for module, name in ITEMS if isinstance(LIBRARY.standard(module).own(name).item, ast.Layer)]
WANTED_LOCALLY = (
    "x y z h c q k v i mask scores weights loss logits targets mixed heads head hidden gate up down memory out"
)
INPUTS = """\
  input x: float[batch, seq, 16], image: float[batch, 8, 8, 3], tokens: int[batch, seq], mask: bool[batch, seq]
  input lengths: int[batch], memory: float[batch, items, 16], memory_mask: bool[batch, items]
"""


def example_of(doc: str) -> str:
    """The indented lines of a doc comment."""
    return "\n".join(line for line in doc.splitlines() if line.startswith("    "))


EXAMPLES = [(module, name) for module, name in ITEMS if example_of(LIBRARY.standard(module).own(name).item.doc)]


@pytest.mark.parametrize(("module", "name"), ITEMS)
def test_every_item_begins_with_one_sentence_on_one_line(module, name):
    first = LIBRARY.standard(module).own(name).item.doc.partition("\n")[0]
    assert first.endswith(".") and (first[0] in "`0123456789" or first[0].isupper())


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("module", "name"), LAYERS)
def test_every_layer_is_right_for_all_sizes(module, name, training):
    diagnostics = Diagnostics()
    library = Library(diagnostics)
    check_layer(Session(library, diagnostics, training=training), library.standard(module).own(name))
    assert [d.message for d in diagnostics] == []


def program_of(module: str, name: str, example: str) -> str:
    """An example's statements in a model that has some inputs to work on."""
    bound = re.findall(r"^(\w+)(?:, \w+)* = ", textwrap.dedent(example), re.MULTILINE)[-1]
    use = f"use std.{module} ({name})\n" if module in EXPLICIT else ""
    statements = textwrap.indent(textwrap.dedent(example), "  ")
    return f"{use}model Example {{\n{INPUTS}{statements}\n  output result = {bound}\n}}\n"


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("module", "name"), EXAMPLES)
def test_every_example_compiles_and_uses_its_item(module, name, training):
    example = example_of(LIBRARY.standard(module).own(name).item.doc)
    assert re.search(rf"\b{name}\b", example)
    diagnostics = Diagnostics()
    library = Library(diagnostics)
    unit = library.program(Source("example.trx", program_of(module, name, example)))
    session = Session(library, diagnostics, training=training)
    root = elaborate_model(session, unit.items["Example"])
    assert [d.message for d in diagnostics] == []
    assert root is not None and root.function.body.ops


def test_layers_that_users_name_have_examples():
    shown = {name for _, name in EXAMPLES}
    missing = {name for module, name in LAYERS if not name.endswith("Cell")} - shown
    assert not missing


def test_no_name_that_users_want_for_a_local_is_taken():
    taken = {name for module, name in ITEMS if module not in EXPLICIT}
    assert taken.isdisjoint(WANTED_LOCALLY.split())


def test_no_two_modules_that_need_no_use_define_one_name():
    names = [name for module, name in ITEMS if module not in EXPLICIT]
    assert len(names) == len(set(names))


MISTAKES = {
    "kernel sizes for too few dims": ("image |> Conv(4, kernel = [3, 3, 3])", "TRX0405"),
    "heads that do not divide": ("x |> SelfAttention(5, rotary = true)", "TRX0420"),
    "an odd head under rotary positions": ("x[:, :, :12] |> SelfAttention(4, rotary = true)", "TRX0420"),
    "a mask of other positions": ("x |> SelfAttention(4, mask = memory_mask)", "TRX0204"),
    "a mask of numbers": ("x |> EncoderBlock(4, mask = tokens)", "TRX0206"),
    "groups that do not divide": ("image |> GroupNorm(groups = 2)", "TRX0420"),
    "a place that a tuple lacks": ("x |> branch(relu, gelu) >> select(2)", "TRX0209"),
    "targets of another shape": ("cross_entropy(x, lengths)", "TRX0204"),
}


@pytest.mark.parametrize(("expression", "code"), MISTAKES.values(), ids=list(MISTAKES))
def test_one_mistake_in_using_the_library_is_one_error(expression, code):
    diagnostics = Diagnostics()
    library = Library(diagnostics)
    unit = library.program(Source("mistake.trx", f"model M {{\n{INPUTS}  output y = {expression}\n}}\n"))
    assert elaborate_model(Session(library, diagnostics), unit.items["M"]) is None
    assert [d.code for d in diagnostics] == [code]
