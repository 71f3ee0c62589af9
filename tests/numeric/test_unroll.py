"""Loops over layers written out compute what a scan does; their gradients are joined once, whatever the depth."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from recipes import PROGRAMS, assert_close, batch_of, compiled, namespace, outcome, weights_of
from tests.fuzz.emitted import Emitted, largest_difference, run

import trxc
from trxc.emit.prelude import PRELUDE
from trxc.ir import Op, Region
from trxc.ir.clone import clone_module, clone_op
from trxc.ir.walk import repeat_count, replace
from trxc.passes import pipeline

SCAN = ("unroll-layers",)


@functools.cache
def scanned(name: str) -> list[Any]:
    return outcome(compiled(name, disable=SCAN))


@pytest.mark.parametrize("name", ["tower", "gpt"])
def test_written_out_is_a_scan(name: str) -> None:
    """With state, random keys and weights: the same values, from the same draws."""
    program = compiled(name)
    assert "= layer_by_layer(" in program.source and "= jax.lax.scan" not in program.source
    assert_close(scanned(name), outcome(program), 2e-6)


def test_values_of_every_layer_and_parts_of_a_loop() -> None:
    """`fetch` cuts a loop in parts: a first slice, and values collected over iterations."""
    names = ("encoder_blocks.x", "encoder_blocks[1].x")
    results = []
    for disable in ((), SCAN):
        program = compiled("gpt", fetch=names, disable=disable)
        emitted = namespace(program)
        params, state = weights_of(emitted)
        results.append(emitted["apply"](params, state, {"tokens": batch_of(program)["tokens"]}))
    for name in names:
        np.testing.assert_allclose(results[0][name], results[1][name], rtol=1e-5, atol=1e-6)
    assert set(results[0]) == {*names, "logits"}


@pytest.mark.parametrize("passes", [False, True], ids=["scan", "written out"])
def test_parts_of_a_loop_keep_the_states_of_all_layers(passes: bool) -> None:
    """Each part gives new states of its own layers only; the others' stay."""
    whole = trxc.compile(PROGRAMS["tower"].replace("width, 0.2", "width, 0.0"), filename="case.trx").unoptimised
    parts = clone_module(whole)
    cuts = [cut(op, function.body) for function in parts.functions.values() for op in list(function.body.ops)]
    assert sum(cuts) == 2, "in training and in inference"
    both = {name: Emitted(module, passes=passes) for name, module in (("parts", parts), ("whole", whole))}
    both["parts"].original = whole  # whose weights both have
    found = run(both)
    off, where = largest_difference(found["whole", True], found["parts", True])
    assert off <= 1e-12, where


def cut(op: Op, region: Region) -> bool:
    """Cuts a loop in two, whose second has one layer."""
    if op.kind != "repeat":
        return False
    count = repeat_count(op)
    last = clone_op(op, dict(zip(op.operands, op.results, strict=True)))
    op.attributes |= {"count": count - 1, "of": count}
    last.attributes |= {"count": 1, "of": count, "first": count - 1}
    replace(region, dict(zip(op.results, last.results, strict=True)))
    region.ops.insert(region.ops.index(op) + 1, last)
    last.operands[:] = op.results
    return True


def equations(jaxpr: Any) -> list[str]:
    """The primitives of a computation, those of inner ones included."""
    found = []
    for equation in jaxpr.eqns:
        found.append(equation.primitive.name)
        for value in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda v: hasattr(v, "eqns")):
            found += equations(value) if hasattr(value, "eqns") else []
    return found


def test_the_gradient_of_a_stack_is_joined_once() -> None:
    """No gradient of a slice is padded to the size of the stack and added there."""
    names: dict[str, Any] = {"jax": jax, "jnp": jnp}
    for entry in ("unstacked", "layer_by_layer"):
        exec(PRELUDE[entry].source, names)

    def loss(w: Any) -> Any:
        step = lambda x, w: (jnp.tanh(x @ w), None)  # noqa: E731 - as the emitter writes it, but short
        return jnp.sum(names["layer_by_layer"](step, jnp.ones((2, 3)), names["unstacked"](w, 5))[0])

    primitives = equations(jax.make_jaxpr(jax.grad(loss))(jnp.ones((5, 3, 3))).jaxpr)
    assert primitives.count("concatenate") == 1
    assert not {"pad", "dynamic_update_slice", "scatter-add"} & set(primitives)
    assert primitives.count("optimization_barrier") >= 5 * 2 - 1, "forward and backward"


def test_lines_do_not_grow_with_the_depth() -> None:
    sources = [compiled("gpt", set={"M.layers": layers}).source for layers in (2, 4)]
    assert sources[0].count("\n") == sources[1].count("\n")


def test_deep_models_stay_loops() -> None:
    program = compiled("gpt", set={"M.layers": 60})
    assert "jax.lax.scan" in program.source and "layer_by_layer" not in program.source
    assert [r.kind for r in program.remarks if r.source == "unroll-layers"] == ["missed"]


def test_what_is_computed_again_stays_a_loop() -> None:
    source = compiled("gpt", set={"t.remat": "full"}).source
    assert "@functools.partial(jax.checkpoint, prevent_cse=False)" in source
    assert source.count("= jax.lax.scan(") == 1 and source.count("= layer_by_layer(") == 1, "loss, and inference"


def test_only_what_takes_layers_apart_comes_after_it() -> None:
    assert [item.name for item in pipeline()[-2:]] == ["unroll-layers", "split-layers"]
