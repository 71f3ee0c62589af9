"""What backward computes again changes no value; the estimate of memory is held against XLA's own figures."""

from __future__ import annotations

import functools
from typing import Any

import jax
import optax
import pytest
from recipes import PROGRAMS, QUICK, assert_close, batch_of, compiled, namespace, outcome, weights_of

import trxc
from trxc.passes.remat import layers_of
from trxc.plan.memory import Step, estimate, in_units
from trxc.plan.optimizers import COPIES, copies

SCAN = ("unroll-layers",)


@functools.cache
def plainly(name: str, disable: tuple[str, ...] = (), precision: str = "f32") -> list[Any]:
    """The outcome of a recipe in which nothing is computed again."""
    program = compiled(name, set={"t.precision": precision}, disable=disable, target="gpu")
    assert "jax.checkpoint" not in program.source
    return outcome(program)


@pytest.mark.parametrize(
    ("name", "remat", "disable"),
    [
        ("tower", "dots", SCAN),
        ("tower", "full", SCAN),
        ("sequence", "dots", ()),
        ("gpt", "full", SCAN),
        ("gpt", "dots", SCAN),
        ("lstm", "full", ()),
    ],
)
def test_remat_changes_no_value(name: str, remat: str, disable: tuple[str, ...]) -> None:
    again = compiled(name, set={"t.remat": remat}, disable=disable, target="gpu")
    assert "jax.checkpoint" in again.source
    assert_close(plainly(name, disable), outcome(again), 2e-6)


def test_remat_works_in_mixed_precision() -> None:
    again = compiled("gpt", set={"t.precision": "mixed_bf16", "t.remat": "dots"})
    assert_close(plainly("gpt", (), "mixed_bf16"), outcome(again), 0.05)


def residuals(program: trxc.Program) -> int:
    """The elements that stay between the halves of a step, weights and inputs left out."""
    names = namespace(program)
    params, state = weights_of(names)
    batch = batch_of(program, 64)

    def forward(params: Any) -> Any:
        return names["loss"](params, state, batch, jax.random.key(2))[0]

    _, backward = jax.eval_shape(lambda p: jax.vjp(forward, p), params)
    return sum(leaf.size for leaf in jax.tree.leaves(backward))


@pytest.mark.parametrize("name", PROGRAMS)
def test_less_stays_for_backward(name: str) -> None:
    none, dots, full = (
        residuals(compiled(name, set={"t.remat": remat}, target="gpu")) for remat in ("none", "dots", "full")
    )
    assert full < dots < none


def test_no_layers_is_said() -> None:
    text = PROGRAMS["tower"].replace("repeat(4, Block(width, 0.2))", "Dense(width) >> relu")
    program = trxc.compile(text, filename="case.trx", set={"t.remat": "full"})
    assert [r.kind for r in program.remarks if r.source == "remat"] == ["missed"]
    assert "checkpoint" not in program.source


# ------------------------------------------------------------------- memory


def auto(memory: str) -> trxc.Program:
    return compiled("gpt", set={"t.remat": "auto", "t.memory": f'"{memory}"', "t.batch": 64})


def said(program: trxc.Program) -> list[str]:
    return [remark.message for remark in program.remarks if remark.source == "remat"]


def test_auto_takes_the_least_that_fits() -> None:
    assert said(auto("1 GB"))[0].startswith("`none` is chosen: a step needs about ")
    program = compiled("gpt", set={"t.batch": 64})
    step = Step({"batch": 64, "seq": 7}, 2)
    needs = {
        remat: estimate(program.ir, step, layers_of(program.ir), remat).total for remat in ("none", "dots", "full")
    }
    assert needs["full"] < needs["dots"] < needs["none"]
    for wanted, budget in (("none", needs["none"]), ("dots", needs["none"] - 1), ("full", needs["dots"] - 1)):
        chosen = auto(f"{budget / 1000} kB")
        assert said(chosen)[0].startswith(f"`{wanted}` is chosen")
        assert chosen.warnings == []
        assert ("policy=keep_products" in chosen.source) == (wanted == "dots")


def test_what_does_not_fit_is_warned_of() -> None:
    (warning,) = auto("10 kB").warnings
    assert warning.code == "TRX0515"
    assert "and there are 10 kB" in warning.message
    assert "values kept for backward" in warning.notes[0]
    (warning,) = compiled("gpt", set={"t.memory": '"10 kB"'}).warnings
    assert warning.helps[0].startswith("`remat = auto`")


def test_layers_are_written_out_where_that_fits() -> None:
    """On CPUs, where a loop that is not written out keeps products alone."""

    def given(memory: int) -> trxc.Program:
        return compiled("gpt", set={"t.memory": f'"{memory / 1000} kB"', "t.batch": 64})

    program, step = compiled("gpt", set={"t.batch": 64}), Step({"batch": 64, "seq": 7}, 2)
    none, dots = (estimate(program.ir, step, layers_of(program.ir), remat).total for remat in ("none", "dots"))
    assert "layer_by_layer" in given(none).source
    for memory in (none - 1, dots):
        assert "policy=keep_products" in given(memory).source
        assert given(memory).warnings == []
    (warning,) = given(dots - 1).warnings
    assert warning.message.startswith(f"a step needs about {in_units(dots)}")


@pytest.mark.parametrize("remat", ["none", "full"])
def test_the_estimate_is_near_what_xla_allots(remat: str) -> None:
    """Within a factor of two of the temporaries of a step that is large enough for them to matter."""
    settings = {"M.embed": 64, "M.layers": 4, "M.context": 64, "t.batch": 32, "t.remat": remat}
    text = PROGRAMS["gpt"].replace("int[7]", "int[64]")
    program = trxc.compile(text, filename="case.trx", set=settings, disable=SCAN)
    found = estimate(program.ir, Step({"batch": 32, "seq": 64}, 2), layers_of(program.ir), remat)
    names = namespace(program)
    params, state = weights_of(names)
    held = (params, state, names["optimizer"]().init(params), batch_of(program, 32), jax.random.key(0))
    step = names["train_step"].lower(*held).compile(compiler_options=QUICK)
    allotted = step.memory_analysis().temp_size_in_bytes
    ours = found.gradients + found.kept + found.working
    assert allotted / 2 < ours < allotted * 2, (in_units(ours), in_units(allotted))
    assert found.weights == 4 * sum(leaf.size for leaf in jax.tree.leaves(params))


LARGE = {"w": (256, 256), "v": (512, 256)}


@pytest.mark.parametrize("name", COPIES)
def test_optimizers_keep_what_the_table_says(name: str) -> None:
    function = getattr(optax, name, None) or getattr(optax.contrib, name)
    weights = {key: jax.numpy.zeros(shape) for key, shape in LARGE.items()}
    arguments = [] if name in ("centralize", "zero_nans", "prodigy") else [0.1]
    cases: list[dict[str, Any]] = [{}]
    cases += [{"momentum": 0.9}] if name in ("sgd", "rmsprop", "adafactor") else []
    cases += [{"centered": True}] if name == "rmsprop" else []
    for keywords in cases:
        kept = sum(leaf.size for leaf in jax.tree.leaves(function(*arguments, **keywords).init(weights)))
        whole = sum(leaf.size for leaf in jax.tree.leaves(weights))
        assert copies(f"optax:{name}", keywords) == pytest.approx(kept / whole, abs=0.02)
