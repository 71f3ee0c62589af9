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
WANTED_LOCALLY = "x y z h c q k v i mask scores weights loss logits targets mixed heads head hidden gate up down memory out"
INPUTS = """\
  input x: float[batch, seq, 16], image: float[batch, 8, 8, 3], tokens: int[batch, seq], mask: bool[batch, seq]
  input lengths: int[batch], memory: float[batch, items, 16], memory_mask: bool[batch, items]
"""


def example_of(doc: str) -> str:
    """The indented lines of a doc comment."""
    return "\n".join(line for line in doc.splitlines() if line.startswith("    "))


EXAMPLES = [
    (module, name) for module, name in ITEMS if example_of(LIBRARY.standard(module).own(name).item.doc)
]


@pytest.mark.parametrize(("module", "name"), ITEMS)
def test_every_item_says_what_it_is(module, name):
    doc = LIBRARY.standard(module).own(name).item.doc
    first = doc.partition("\n")[0]
    assert first and first[0] in "`0123456789" or first[0].isupper(), "a sentence, or its formula"
    assert not first.startswith(" ")


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
