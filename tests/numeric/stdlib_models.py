"""The models of tests/cases/stdlib, elaborated and run by the reference interpreter on random numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from trxc.diagnostics import Diagnostics
from trxc.elaborate.body import Session
from trxc.elaborate.model import elaborate_model
from trxc.ir import Module
from trxc.ops.definition import Array
from trxc.reference import Reference, Tree, init_parameters, init_states
from trxc.resolve import Library
from trxc.source import Source

CASES = Path(__file__).parents[1] / "cases" / "stdlib"
MODELS = [
    (path.stem, line.split()[1])
    for path in sorted(CASES.glob("*.trx"))
    for line in path.read_text(encoding="utf-8").splitlines()
    if line.startswith("model ")
]
"""Every model of the case files: (file, name)."""


@dataclass
class Run:
    """What a model gave: its outputs by name, from these weights and states."""

    outputs: dict[str, Array]
    params: Any
    state: Any
    new_state: Any

    @property
    def output(self) -> Array:
        """The only output."""
        (value,) = self.outputs.values()
        return value


def elaborated(text: str, name: str, *, training: bool = False) -> tuple[Module, Diagnostics]:
    """A model of a program's text as a module whose role `apply` is the model, and what was found wrong."""
    diagnostics = Diagnostics()
    library = Library(diagnostics)
    unit = library.program(Source("case.trx", text))
    session = Session(library, diagnostics, training=training)
    root = elaborate_model(session, unit.items[name]) if name in unit.items else None
    functions = {record.function.name: record.function for record in session.functions.values()}
    if root is not None:
        functions[root.function.name] = root.function
    return Module(name, functions, {"apply": root.function.name} if root else {}), diagnostics


@cache
def case_text(case: str) -> str:
    """The text of a case file."""
    return (CASES / f"{case}.trx").read_text(encoding="utf-8")


def run(case: str, model: str, *inputs: Array, training: bool = False, seed: int = 0) -> Run:
    """A model of a case file on inputs, with random weights."""
    module, diagnostics = elaborated(case_text(case), model, training=training)
    assert not list(diagnostics), [d.message for d in diagnostics]
    params: Tree = init_parameters(module, seed)
    state: Tree = init_states(module, seed)
    name = module.roles["apply"]
    results, new_state = Reference(module).run(name, params, state, inputs, np.random.default_rng(seed))
    return Run(dict(zip(module.functions[name].output_names, results, strict=True)), params, state, new_state)


def numbers(*shape: int, seed: int = 1) -> Array:
    """Normal random numbers."""
    return np.random.default_rng(seed).normal(size=shape)


def check(found: Array, expected: Array) -> None:
    """Equal to about twelve digits, in shape too."""
    assert found.shape == np.shape(expected)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)
