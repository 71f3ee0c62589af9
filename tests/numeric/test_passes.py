"""Every pass, every prefix of the pipeline, and all of it leave what a program computes as it was.

The oracle is the reference interpreter in float64 on the module before any pass. In mixed precision a cast is the
identity there, so what is compared is the structure: which values are cast, the dtype tests below check.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trxc
from trxc.ir import Module
from trxc.ir.clone import clone_module
from trxc.ir.printer import to_text
from trxc.ir.reader import from_text
from trxc.ir.verify import verify
from trxc.passes import PASS_NAMES, Pass, Remarks, pipeline
from trxc.reference import Reference, init_parameters, init_states
from trxc.storage import restored

CASES = Path(__file__).parents[1] / "cases" / "passes" / "programs"
PROGRAMS = ["gpt", "digits", "lstm"]


def compiled(name: str, **settings: Any) -> trxc.Program:
    """A case, compiled with every pass verified."""
    return trxc.compile(CASES / f"{name}.trx", verify_each=True, **settings)


def batch_of(module: Module, role: str) -> list[np.ndarray[Any, Any]]:
    """Random inputs for a role: 2 examples, sequences of 5."""
    rng = np.random.default_rng(7)
    sizes = {"batch": 2, "seq": 5}
    arrays: list[np.ndarray[Any, Any]] = []
    for value in module.role(role).inputs:
        shape = tuple(size.evaluate(sizes) for size in value.type.sizes)
        whole = value.type.dtype.kind == "int"
        arrays.append(rng.integers(0, 3, shape) if whole else rng.normal(size=shape))
    return arrays


def outcome(module: Module, original: Module | None = None) -> list[np.ndarray[Any, Any]]:
    """Results and new states of all roles that take a batch, in the reference interpreter.

    Weights and states are those of the `original` module, if it is another.
    """
    first = original or module
    found: list[np.ndarray[Any, Any]] = []
    for role in ("apply", "loss", "measure"):
        before = init_parameters(first, 3, first.roles[role]), init_states(first, 4, first.roles[role])
        params, state = (restored(first, module, role, tree) for tree in before)
        results, after = Reference(module).run(module.roles[role], params, state, batch_of(module, role))
        found += [*results, *leaves(restored(module, first, role, after, missing=before[1]))]
    return found


def leaves(tree: Any) -> list[np.ndarray[Any, Any]]:
    """The arrays of a nested dict, by name."""
    if isinstance(tree, dict):
        return [leaf for key in sorted(tree) for leaf in leaves(tree[key])]
    return [tree]


def assert_same(left: list[np.ndarray[Any, Any]], right: list[np.ndarray[Any, Any]]) -> None:
    """Equal to 1e-9 of each array's scale."""
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-9 * (1 + np.max(np.abs(one), initial=0)))


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("precision", ["f32", "mixed_bf16"])
def test_every_prefix_of_the_pipeline(name: str, precision: str) -> None:
    program = compiled(name, set={"tiny.precision": precision})
    wanted = outcome(program.unoptimised)
    module = clone_module(program.unoptimised)
    for item in passes_of(program, precision):
        item.run(module, Remarks())
        assert verify(module) == [], item.name
        assert_same(wanted, outcome(module, program.unoptimised))


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_pass_alone(name: str) -> None:
    program = compiled(name)
    wanted = outcome(program.unoptimised)
    for item in passes_of(program, "f32"):
        module = clone_module(program.unoptimised)
        item.run(module, Remarks())
        assert verify(module) == [], item.name
        assert_same(wanted, outcome(module, program.unoptimised))


def passes_of(program: trxc.Program, precision: str) -> tuple[Pass, ...]:
    """The pipeline, with a mesh so that the shard pass has something to do."""
    model = program.unoptimised.roles["apply"]
    compute = {"mixed_bf16": "bf16"}.get(precision, "f32")
    return pipeline(compute=compute, model=(model, f"{model}_train"), rules=(("batch", ("data",)),))


@pytest.mark.parametrize("name", PROGRAMS)
def test_text_of_every_stage_reads_back(name: str) -> None:
    program = compiled(name, print_after=PASS_NAMES)
    assert [stage for stage, _ in program.printed] == [f"after {item.name}" for item in pipeline()]
    for _, text in program.printed:
        assert to_text(from_text(text)) == text


def test_what_is_left_out_is_left_out() -> None:
    kept = compiled("gpt", disable=("simplify", "inline-small"))
    assert sum(1 for _ in walk(kept.ir)) > sum(1 for _ in walk(compiled("gpt").ir))


def walk(module: Module) -> Any:
    """All ops of a module."""
    return (op for function in module.functions.values() for op in function.body.walk())


# ---------------------------------------------------------------- precision


def test_mixed_precision_computes_products_in_bf16_and_statistics_in_f32() -> None:
    program = compiled("gpt", set={"tiny.precision": "mixed_bf16"})
    dtypes: dict[str, set[str]] = {}
    model = {"attention", "layer_norm", "gpt", "positions", "embedding"}
    for name in model & program.ir.functions.keys():
        for op in program.ir.functions[name].body.walk():
            for value in op.operands:
                dtypes.setdefault(op.kind, set()).add(value.type.dtype.name)
    assert dtypes["einsum"] == {"bf16"}
    assert dtypes["attention"] == {"bf16"}, "which computes its softmax in f32"
    assert dtypes["mean"] == dtypes["variance"] == {"f32"}


def test_weights_outputs_and_loss_stay_f32() -> None:
    program = compiled("digits", set={"tiny.precision": "mixed_bf16"})
    assert {p["dtype"] for p in program.manifest["parameters"]} == {"f32"}
    assert {s["dtype"] for s in program.manifest["state"]} == {"f32"}
    assert {o["dtype"] for o in program.manifest["outputs"]} == {"f32"}
    loss = program.ir.role("loss")
    assert {v.type.dtype.name for v in loss.results} == {"f32"}


def test_no_generic_dtype_is_left() -> None:
    for name in PROGRAMS:
        for op in walk(compiled(name).ir):
            assert not any(value.type.dtype.generic for value in op.results), op.kind


# ----------------------------------------------------------------- simplify


def test_simplify_removes_neutral_operations_and_repeats() -> None:
    module = from_text(
        """
module m
role apply = f
function f(x: float[n]) -> (y)
{
  zero: float[] = constant() {value=0.0}
  a: float[n] = add(x, zero)
  b: float[n] = exp(a)
  c: float[n] = exp(x)
  d: float[n] = sin(x)
  y: float[n] = multiply(b, c)
  yield y
}
"""
    )
    pipeline()[0].run(module, Remarks())
    assert [op.kind for op in module.functions["f"].body.ops] == ["exp", "multiply"]


def test_draws_are_never_merged() -> None:
    module = from_text(
        """
module m
role apply = f
function f(x: float[n]) -> (y)
{
  a: float[n] = dropout(x) {path=("dropout",), rate=0.5}
  b: float[n] = dropout(x) {path=("dropout_2",), rate=0.5}
  y: float[n] = add(a, b)
  yield y
}
"""
    )
    pipeline()[0].run(module, Remarks())
    assert [op.kind for op in module.functions["f"].body.ops] == ["dropout", "dropout", "add"]


def test_an_integer_and_a_float_constant_are_not_the_same() -> None:
    module = from_text(
        """
module m
role apply = f
function f(x: float[n]) -> (y)
{
  one: int[] = constant() {value=1}
  unit: float[] = constant() {value=1.0}
  a: float[n] = add(x, unit)
  y: float[n] = subtract(a, one)
  yield y
}
"""
    )
    pipeline()[0].run(module, Remarks())
    kinds = {op.kind: op for op in module.functions["f"].body.ops}
    assert set(kinds) == {"constant", "add", "subtract"}
    assert kinds["subtract"].operands[1].type.dtype.name == "int"


def test_a_call_that_changes_state_is_kept_though_nobody_reads_it() -> None:
    program = compiled("digits")
    loss = program.ir.role("loss")
    reached = {op.attributes["callee"] for op in loss.body.walk() if op.kind == "call"}
    assert "net_train" in reached
    train = program.ir.functions["batch_norm_train"]
    assert sum(op.kind == "set_state" for op in train.body.walk()) == 2


def test_statistics_are_not_narrowed_before_they_are_used() -> None:
    """The derivative of `rsqrt` at a small variance does not fit 16 bits: gradients were NaN in f16."""
    program = compiled("gpt", set={"tiny.precision": "f16"})
    found = [op for op in walk(program.ir) if op.kind == "rsqrt"]
    assert found
    assert {value.type.dtype.name for op in found for value in [*op.operands, op.result]} == {"f32"}
