"""The declaration lines of data.trx against the classes that they name."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest
from data_recipes import MODULES

from trxc.diagnostics.diagnostic import Diagnostics
from trxc.source import Source
from trxc.syntax.parse import parse, parse_expression
from trxc_runtime.data.stage import Source as DataSource
from trxc_runtime.data.stage import Step
from trxc_runtime.data.tokenizers import TokenizerRecipe

LIBRARY = Path(__file__).parents[2] / "stdlib" / "data.trx"
KINDS = {"source": DataSource, "transform": Step, "tokenizer": TokenizerRecipe}


def declarations():
    said = Diagnostics()
    file = parse(Source("data.trx", LIBRARY.read_text(encoding="utf-8")), said)
    assert not list(said)
    return file.items


DECLARATIONS = declarations()


def target(item):
    module, name = item.target.value.split(":")
    return getattr(import_module(module), name)


def default(parameter):
    value = getattr(parameter.default, "value", None)
    return parameter.default is not None, value


@pytest.mark.parametrize("item", DECLARATIONS, ids=lambda item: item.name.name)
def test_line_and_class_agree(item):
    made = target(item)
    assert issubclass(made, KINDS[item.kind.name])
    written = {parameter.name.name: default(parameter) for parameter in item.parameters}
    meant = {
        name: (
            parameter.default is not parameter.empty,
            None if parameter.default is parameter.empty else parameter.default,
        )
        for name, parameter in inspect.signature(made).parameters.items()
    }
    assert written == meant


@pytest.mark.parametrize("item", DECLARATIONS, ids=lambda item: item.name.name)
def test_line_has_an_example_that_parses(item):
    examples = re.findall(rf"`((?:\w+\(\) >> )?\b{item.name.name}\([^`]*)`", item.doc)
    assert examples
    for example in examples:
        said = Diagnostics()
        assert parse_expression(Source("example", example), said) is not None
        assert not list(said)


def test_every_class_has_its_line():
    declared = {target(item) for item in DECLARATIONS}
    for module in MODULES:
        for name, found in vars(module).items():
            ours = inspect.isclass(found) and found.__module__ == module.__name__ and not name.startswith("_")
            if ours and issubclass(found, tuple(KINDS.values())) and not inspect.isabstract(found):
                assert found in declared or name == "Tokenize", f"{name} has no line in data.trx"
