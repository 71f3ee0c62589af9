"""What `trxc verify` compares, without jax: the compiled program is played by interpreters, right and wrong ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

import trxc
from trxc.ir import Module
from trxc.ir.reader import from_text
from trxc.passes import PASS_NAMES, Remarks
from trxc.passes.inline import InlineSmall
from trxc.reference import Tree, init_parameters, init_states, map_tree
from trxc.verification import verify
from trxc.verification.comparison import Check, Tally
from trxc.verification.jumps import jumping_results
from trxc.verification.samples import (
    UnverifiableError,
    draw_inputs,
    draws,
    interpret,
    leaves,
    moved,
    small_sizes,
    smallest_table,
)
from trxc.verification.verify import Report, verify_program

MODEL = """
model M(classes: int = 3) {
  input x: float[batch, seq, 4]
  h = x |> LayerNorm >> Dense(5) >> tanh
  output logits: float[batch, classes] = mean(h, over = seq) |> BODY Dense(classes)
}

data random {
  source = arrays()
  fields { x = float[5, 4], label = int }
}

train tiny for M {
  data = random
  loss = cross_entropy(logits, label)
  metrics { accuracy = accuracy(logits, label) }
  optimizer = sgd(0.1)
  batch = 4
  steps = 2
}
"""


def single(array: Any) -> Any:
    return array.astype(np.float32)


class Interpreted:
    """Plays the compiled program: an interpreter of a module, with slopes instead of gradients."""

    def __init__(self, module: Module, spoil: Callable[[str, Any], Any] = lambda what, value: value) -> None:
        self.module, self.spoil = module, spoil

    def initial(self, seed: int) -> tuple[Tree, Tree]:
        weights, states = init_parameters(self.module, seed), init_states(self.module, seed)
        return map_tree(single, weights), map_tree(single, states)

    def results(self, role: str, params: Tree, state: Tree, inputs: Mapping[str, Any]) -> tuple[dict[str, Any], Tree]:
        results, after = interpret(self.module, role, params, state, dict(inputs))
        return self.spoil(role, results), after

    def gradient(self, role: str, params: Tree, state: Tree, inputs: Mapping[str, Any]) -> Tree:
        wide = map_tree(lambda array: np.array(array, np.float64), params)
        found = map_tree(np.zeros_like, wide)
        for (_, weight), (_, slope) in zip(leaves(wide), leaves(found), strict=True):
            for at in np.ndindex(weight.shape):
                ends: list[float] = []
                for step in (1e-6, -2e-6):
                    weight[at] += step
                    ends.append(float(interpret(self.module, role, wide, state, dict(inputs))[0]["loss"]))
                weight[at] += 1e-6
                slope[at] = (ends[0] - ends[1]) / 2e-6
        return self.spoil("gradient", found)


def compiled(body: str = "", **settings: Any) -> trxc.Program:
    text = MODEL.replace("BODY", f"{body} >>" if body else "")
    return trxc.compile(text, filename="m.trx", print_after=PASS_NAMES, set=settings or None)


def verified(
    program: trxc.Program, spoil: Callable[[str, Any], Any] = lambda what, value: value, *, passes: bool = False
) -> Report:
    return verify_program(program, Interpreted(program.ir, spoil), inputs=2, passes=passes)


def row(report: Report, start: str) -> Check:
    (found,) = [check for check in report.checks if check.what.startswith(start)]
    return found


def test_a_right_program_has_a_row_for_everything() -> None:
    program = compiled()
    report = verified(program, passes=True)
    assert report.ok, report.checks
    stages = [check.what for check in report.checks if check.what.startswith("IR after pass ")]
    names = [stage.removeprefix("after ") for stage, _ in program.printed]
    assert stages == [f"IR after pass {at}, {name}" for at, name in enumerate(names, 1)]
    rest = [check.what for check in report.checks if check.what not in stages]
    assert rest == [
        "printed IR", "IR after all passes", "apply: logits", "loss", "measure: loss, accuracy",
        "summarize: loss, accuracy", "gradient of loss",
    ]  # fmt: skip
    assert {check.inputs for check in report.checks} == {2}


def test_a_pass_that_swaps_operands_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    right = InlineSmall.run

    def swapping(self: InlineSmall, module: Module, remarks: Remarks) -> None:
        right(self, module, remarks)
        for function in module.functions.values():
            for op in function.body.walk():
                if op.kind == "subtract":
                    op.operands.reverse()

    monkeypatch.setattr(InlineSmall, "run", swapping)
    report = verified(compiled(), passes=True)
    first = next(check for check in report.checks if not check.ok)
    assert first.what == "IR after pass 2, inline-small"
    assert "input 1: `apply.logits[" in first.note
    assert not row(report, "IR after all passes").ok
    assert not row(report, "apply").ok


@pytest.mark.parametrize(
    ("what", "start", "factor"),
    [("apply", "apply", 1.001), ("loss", "loss", 1.001), ("summarize", "summarize", 1.001), ("gradient", "grad", 1.01)],
)
def test_a_program_that_computes_something_else_is_told(what: str, start: str, factor: float) -> None:
    def spoil(role: str, tree: Any) -> Any:
        return map_tree(lambda array: np.asarray(array) * factor, tree) if role == what else tree

    report = verified(compiled(), spoil)
    assert [check.what for check in report.checks if not check.ok] == [row(report, start).what]
    assert "instead of" in row(report, start).note


def test_one_weight_without_a_gradient_is_told() -> None:
    def spoil(role: str, tree: Any) -> Any:
        if role != "gradient":
            return tree
        return {**tree, "layer_norm": map_tree(np.zeros_like, tree["layer_norm"])}

    assert not row(verified(compiled(), spoil), "gradient").ok


def test_a_loss_that_draws_is_replaced_by_the_measured_one() -> None:
    report = verified(compiled("Dropout(0.5)"))
    assert report.ok
    assert row(report, "loss").inputs == 0
    assert "draws random numbers" in row(report, "loss").note
    assert row(report, "gradient of measure's loss").inputs == 2


def test_where_gradients_are_stopped_slopes_say_nothing() -> None:
    report = verified(compiled("stop_gradient"))
    assert "stop_gradient" in row(report, "gradient").note


def test_an_accuracy_is_compared_in_32_bits_only() -> None:
    program = compiled(**{"tiny.precision": "mixed_bf16"})
    assert jumping_results(program.unoptimised, "measure") == {"accuracy"}
    report = verified(program)
    assert row(report, "measure").what == "measure: loss"
    assert "accuracy" in row(report, "measure").note


def test_an_ir_that_reads_back_differently_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "from_text", lambda text: from_text(text.replace("= tanh(", "= exp(")))
    found = row(verified(compiled()), "printed IR")
    assert not found.ok
    assert "as written reads back to another text" in found.note
    assert "= tanh(" in found.note


REQUIRING = """
module m
role apply = f
function f(x: f32[n, k], ids: i32[n], table: f32[4, 2]) -> (y)
{
  require() {operator="<=", left=([n], none), right=([LIMIT], none), message="n is small"}
  a: f32[n, 2] = gather(table, ids) {along=0}
  y: f32[2] = sum(a) {over=(0,), keep=false}
  yield y
}
"""


def module_of(limit: int) -> Module:
    return from_text(REQUIRING.replace("LIMIT", str(limit)))


def test_sizes_are_distinct_where_the_program_takes_them() -> None:
    assert small_sizes(module_of(9), "apply", {}, {}) == {"n": 2, "k": 5}


def test_sizes_are_what_the_program_requires() -> None:
    assert small_sizes(module_of(1), "apply", {}, {}) == {"n": 1, "k": 1}


def test_a_program_that_takes_no_size_is_told() -> None:
    with pytest.raises(UnverifiableError, match="n is small"):
        small_sizes(module_of(0), "apply", {}, {})


def test_ids_are_those_of_the_smallest_table() -> None:
    module = module_of(9)
    assert smallest_table(module) == 4
    drawn = draw_inputs(module, "apply", {"n": 200, "k": 1}, np.random.default_rng(0))
    assert set(np.unique(drawn["ids"])) == {0, 1, 2, 3}


def test_weights_leave_zero_and_variances_stay_positive() -> None:
    tree: Tree = {"b": np.zeros(50, np.float32), "n": np.array([1, 2])}
    off = moved(tree, np.random.default_rng(0), up=True)
    assert np.all(np.asarray(off["b"]) > 0)
    np.testing.assert_array_equal(np.asarray(off["n"]), [1, 2])
    assert np.any(np.asarray(moved(tree, np.random.default_rng(0))["b"]) < 0)


def test_dropout_of_nothing_draws_nothing() -> None:
    assert draws(compiled("Dropout(0.5)").unoptimised, "loss")
    assert not draws(compiled("Dropout(0.0)").unoptimised, "loss")


@pytest.mark.parametrize(
    ("wanted", "found", "ok"),
    [
        (np.array([1.0, np.nan, -np.inf]), np.array([1.0, np.nan, -np.inf]), True),
        (np.array([1.0, 2.0]), np.array([1.0, np.nan]), False),
        (np.array([1.0, np.inf]), np.array([1.0, -np.inf]), False),
        (np.array([1.0, np.inf]), np.array([1.0, 3.0]), False),
        (np.array([1000.0, 0.0]), np.array([1000.0, 0.05]), True),
        (np.array([1.0, 0.0]), np.array([1.0, 0.05]), False),
        (np.array([3, 4]), np.array([3, 5]), False),
        (np.zeros((2, 1)), np.zeros(2), False),
        (np.zeros(0), np.zeros(0), True),
    ],
)
def test_what_counts_as_the_same(wanted: Any, found: Any, ok: bool) -> None:
    tally = Tally("a", "b", 1e-4)
    tally.compare({"y": wanted}, {"y": found})
    assert tally.check().ok is ok


def test_a_result_that_is_missing_is_told() -> None:
    tally = Tally("a", "b", 1e-4)
    tally.compare({"y": np.zeros(1)}, {})
    assert (tally.check().ok, tally.check().note) == (False, "`y` is not computed")
