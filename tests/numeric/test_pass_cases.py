"""Each pass by itself on texts: `tests/cases/passes/PASS/CASE.ir` becomes `CASE.expected`, and computes the same.

A case begins with comments; `# options: compute = bf16, target = gpu, batch -> data` are those of the pipeline (with
the choices of a target, `merged_width = 1.5`), and
`# sizes: n = 4` of its symbols (others are 3). The expected text has the remarks first. `TRXC_UPDATE_CASES=1` writes
what is there now: read what changed.
"""

from __future__ import annotations

import os
import re
from ast import literal_eval
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trxc.ir import Module
from trxc.ir.printer import to_text
from trxc.ir.reader import from_text
from trxc.ir.verify import verify
from trxc.ir.walk import symbols
from trxc.passes import Pass, Remarks, pipeline
from trxc.plan.targets import DEFAULT, TARGETS, Target
from trxc.reference import Reference, init_parameters, init_states
from trxc.storage import restored

FOLDER = Path(__file__).parents[1] / "cases" / "passes"
CASES = sorted(path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.glob("*/*.ir"))
UPDATE = os.environ.get("TRXC_UPDATE_CASES") == "1"
Arrays = list[np.ndarray[Any, Any]]


def head_and_text(case: str) -> tuple[str, str]:
    """The comments that a case begins with, and the module below them."""
    lines = (FOLDER / f"{case}.ir").read_text().split("\n")
    head = [line[1:].strip() for line in lines if line.startswith("#")]
    return "\n".join(head), "\n".join(line for line in lines if not line.startswith("#"))


def pass_of(case: str, head: str) -> Pass:
    """The pass that the case's folder names, with the options of its head; the last of several of that name."""
    found = re.search(r"^options: (.*)$", head, re.M)
    options: dict[str, Any] = {}
    for part in found[1].split(",") if found else ():
        if "->" in part:
            name, axis = (text.strip() for text in part.split("->"))
            options["rules"] = (*options.get("rules", ()), (name, (axis,)))
            continue
        name, value = (text.strip() for text in part.split("="))
        several = {"model": tuple(value.split()), "patterns": (value,), "optimizer": (value,)}
        options[name] = {"target": TARGETS.get(value), **several}.get(name, value)
    chosen = {field.name: options.pop(field.name) for field in fields(Target) if field.name in options}
    target = options.get("target", TARGETS[DEFAULT])
    options["target"] = replace(target, **{name: literal_eval(value) for name, value in chosen.items()})
    return [item for item in pipeline(**options) if item.name == case.split("/")[0]][-1]


def outcome(module: Module, head: str, original: Module | None = None) -> Arrays:
    """Results and new states of every role, for weights and inputs that depend on names and shapes alone.

    Weights are drawn for the `original` module, if it is another, and its are the states that are compared.
    """
    first = original or module
    sizes = dict.fromkeys(symbols(module), 3)
    said = re.search(r"^sizes: (.*)$", head, re.M)
    sizes |= {name: int(size) for name, size in re.findall(r"(\w+) = (\d+)", said[1] if said else "")}
    found: Arrays = []
    for role, name in module.roles.items():
        before = init_parameters(first, 3, first.roles[role]), init_states(first, 4, first.roles[role], sizes)
        params, state = (restored(first, module, role, tree) for tree in before)
        rng = np.random.default_rng(7)
        inputs = [drawn(value.type, sizes, rng) for value in module.functions[name].inputs]
        results, after = Reference(module).run(name, params, state, inputs)
        found += [*results, *leaves(restored(module, first, role, after, missing=before[1]))]
    return found


def drawn(type_: Any, sizes: dict[str, int], rng: np.random.Generator) -> np.ndarray[Any, Any]:
    shape = tuple(size.evaluate(sizes) for size in type_.sizes)
    kinds = {"int": rng.integers(0, 3, shape), "bool": rng.random(shape) < 0.6, "float": rng.normal(size=shape)}
    return np.asarray(kinds[type_.dtype.kind])


def leaves(tree: Any) -> Arrays:
    return [leaf for key in sorted(tree) for leaf in leaves(tree[key])] if isinstance(tree, dict) else [tree]


@pytest.mark.parametrize("case", CASES)
def test_a_pass_gives_the_expected_text_and_computes_the_same(case: str) -> None:
    head, text = head_and_text(case)
    module = from_text(text)
    assert verify(module) == []
    wanted = outcome(module, head)
    item, remarks = pass_of(case, head), Remarks()
    item.run(module, remarks)
    assert verify(module) == []
    after = "".join(f"# {remark}\n" for remark in remarks) + to_text(module)
    expected = FOLDER / f"{case}.expected"
    if UPDATE:
        expected.write_text(after)
    assert after == expected.read_text()
    for one, other in zip(wanted, outcome(module, head, from_text(text)), strict=True):
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-9 * (1 + np.max(np.abs(one), initial=0)))
    again = to_text(module)
    item.run(module, Remarks())
    assert to_text(module) == again, "a second turn finds nothing more to do"
