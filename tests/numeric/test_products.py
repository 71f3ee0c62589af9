"""Products with weights that emitted programs bring along: those written for CPUs give what the plain ones do."""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from trxc.emit.prelude import entry, needed


def prelude(name: str, target: str) -> Any:
    """A function as programs for a target have it."""
    names: dict[str, Any] = {"jax": jax, "jnp": jnp, "math": math, "functools": functools}
    exec("\n\n".join(entry(part, target).source for part in needed([name], target)), names)
    return names[name]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(("rows", "columns"), [(12, 4), (4, 12), (5, 5)], ids=["tall", "wide", "square"])
@pytest.mark.parametrize("name", ["linear", "contract"])
def test_values_and_gradients(name: str, rows: int, columns: int, dtype: str) -> None:
    """To the last bit but one in f32, as the sums are the same in another order; in 16 bits to theirs."""
    rng = np.random.default_rng(0)
    x, w, dy = (
        jnp.asarray(rng.normal(size=shape), dtype) for shape in ((2, 3, rows), (rows, columns), (2, 3, columns))
    )

    def outcome(target: str) -> list[Any]:
        value, backward = jax.vjp(prelude(name, target), x, w)
        return [value, *backward(dy)]

    assert "turned_in_backward" in "".join(entry(part, "cpu").source for part in needed([name], "cpu"))
    for ours, plain in zip(outcome("cpu"), outcome("gpu"), strict=True):
        assert ours.dtype == plain.dtype == dtype
        near = 1e-6 if dtype == "float32" else 2e-2
        np.testing.assert_allclose(np.float32(ours), np.float32(plain), rtol=near, atol=near)


def test_the_gradient_of_a_tall_weight_is_turned_behind_a_barrier() -> None:
    """XLA would write it as it is in the plain form otherwise."""

    def total(w: Any) -> Any:
        return prelude("linear", "cpu")(jnp.ones((2, 3, w.shape[0])), w).sum()

    for shape, barriers in (((12, 4), 1), ((4, 12), 0)):
        text = jax.jit(jax.grad(total)).lower(jnp.ones(shape)).as_text()
        assert text.count("stablehlo.optimization_barrier") == barriers


def test_a_weight_in_a_loop_is_turned_once_before_it() -> None:
    """Inside of the backward loop it would be turned at each step."""
    names: dict[str, Any] = {"jax": jax, "jnp": jnp, "math": math, "functools": functools}
    parts = needed(["loop_product", "loop_weight"], "cpu")
    exec("\n\n".join(entry(part, "cpu").source for part in parts), names)

    def total(w: Any, xs: Any) -> Any:
        weight, weight_parts = names["loop_weight"](w, (5, 2))

        def step(h: Any, given: Any) -> Any:
            x, part = given
            return jnp.tanh(names["loop_product"](h + x, weight, part)), None

        return jax.lax.scan(step, jnp.zeros((2, 3)), (xs, weight_parts))[0].sum()

    def plain(w: Any, xs: Any) -> Any:
        return jax.lax.scan(lambda h, x: (jnp.tanh((h + x) @ w), None), jnp.zeros((2, 3)), xs)[0].sum()

    rng = np.random.default_rng(0)
    given = (jnp.asarray(rng.normal(size=(3, 3))), jnp.asarray(rng.normal(size=(5, 2, 3))))
    for ours, theirs in zip(jax.grad(total, (0, 1))(*given), jax.grad(plain, (0, 1))(*given), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    outside = [equation.primitive.name for equation in jax.make_jaxpr(jax.grad(total))(*given).eqns]
    assert outside.count("optimization_barrier") == 1
    loops = [str(e) for e in jax.make_jaxpr(jax.grad(total))(*given).eqns if e.primitive.name == "scan"]
    assert len(loops) == 2
    assert not any("optimization_barrier" in loop for loop in loops)
