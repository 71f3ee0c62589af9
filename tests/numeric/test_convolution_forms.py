"""Forms of convolutions against XLA's own: values, gradients, and what loops keep for backward."""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.ad_checkpoint import checkpoint_name
from recipes import namespace

import trxc
from trxc.emit.prelude import entry, needed

PASS = "convolution-forms"

PROGRAM = """
layer Unit {
  input x: float[batch, 12, 9, width]
  output relu(x + (x |> Conv(width, 3, bias = false)))
}
model Net {
  input image: float[batch, 12, 9, 3]
  x = image |> Conv(64, 3) >> LAYERS >> Conv(16, 3, stride = 2)
  output y: float[batch, 10] = x |> mean(over = [1, 2]) >> Dense(10)
}
data random {
  source = arrays()
  fields { image = float[12, 9, 3], label = int }
}
train run for Net {
  data      = random
  loss      = cross_entropy(y, label)
  optimizer = sgd(0.1)
  batch     = 4
  steps     = 1
}
"""


def compiled(layers: str, **options: Any) -> trxc.Program:
    """A network of 3x3 convolutions of 64 channels, `layers` of them in a row."""
    return trxc.compile(PROGRAM.replace("LAYERS", layers), filename="case.trx", **options)


def step(program: trxc.Program) -> list[Any]:
    """Metrics, weights and statistics after one step."""
    names = namespace(program)
    params, state = names["init"](jax.random.key(0)), names["init_state"]()
    rng = np.random.default_rng(0)
    batch = {
        "image": jnp.asarray(rng.normal(size=(4, 12, 9, 3)), jnp.float32),
        "label": jnp.asarray(rng.integers(0, 10, 4), jnp.int32),
    }
    optimizer_state = names["optimizer"]().init(params)
    after = names["train_step"](params, state, optimizer_state, batch, jax.random.key(1))
    return jax.tree.leaves((after[0], after[1], after[-1]))


@pytest.mark.parametrize("layers", ["Unit >> Unit", "repeat(8, Unit)"], ids=["in a row", "in a scan"])
def test_a_step_of_training(layers: str) -> None:
    """In f32 to 1e-5, as any other order of sums; in a scan, whose backward sums windows up again, too."""
    fewer, plain = compiled(layers), compiled(layers, disable=(PASS,))
    for form in ("winograd_conv(", "strided_conv("):
        assert form in fewer.source and form not in plain.source
    assert "jax.lax.scan" in fewer.source or "repeat" not in layers
    for ours, theirs in zip(step(fewer), step(plain), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5 * max(1e-2, float(jnp.abs(theirs).max())))


def prelude(name: str) -> Any:
    """A function as programs for CPUs have it."""
    names: dict[str, Any] = {"jax": jax, "jnp": jnp, "np": np, "math": math, "functools": functools}
    names["checkpoint_name"] = checkpoint_name
    exec("\n\n".join(entry(part, "cpu").source for part in needed([name], "cpu")), names)
    return names[name]


WINOGRAD, STRIDED = prelude("winograd_conv"), prelude("strided_conv")


def direct(x: Any, w: Any, strides: Any, padding: Any) -> Any:
    """XLA's convolution."""
    return jax.lax.conv_general_dilated(x, w, strides, padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def check(form: Any, plain: Any, shapes: tuple[Any, Any], seed: int) -> None:
    """Values and gradients of a form, to f32."""
    rng = np.random.default_rng(seed)
    x, w = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes)
    (theirs, plain_backward), (ours, backward) = jax.vjp(plain, x, w), jax.vjp(form, x, w)
    dy = jnp.asarray(rng.normal(size=theirs.shape), jnp.float32)
    for got, wanted in zip((ours, *backward(dy)), (theirs, *plain_backward(dy)), strict=True):
        assert got.shape == wanted.shape and got.dtype == wanted.dtype
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=2e-5 * float(jnp.abs(wanted).max()))


paddings = st.tuples(st.integers(0, 2), st.integers(0, 3))
"""Before and after. Before, none is wider than a kernel of 3 reaches: the emitter pads what is over by itself."""


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(4, 12), st.integers(4, 12)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.one_of(st.sampled_from(["SAME", "VALID"]), st.tuples(paddings, paddings)),
    seed=st.integers(0, 2**16),
)
def test_larger_steps(shape: Any, kernel: Any, strides: Any, padding: Any, seed: int) -> None:
    """Any kernel, steps and padding, places at the end that no window reaches: values and gradients."""

    def form(x: Any, w: Any) -> Any:
        return STRIDED(x, w, strides, padding)

    check(form, lambda x, w: direct(x, w, strides, padding), ((*shape, 3), (*kernel, 3, 2)), seed)


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(3, 18), st.integers(3, 18)),
    channels=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    padding=st.tuples(paddings, paddings),
    seed=st.integers(0, 2**16),
)
def test_any_shape(shape: tuple[int, ...], channels: tuple[int, int], padding: Any, seed: int) -> None:
    """Odd sides, uneven padding, few windows (which are left to XLA): values and gradients, to f32."""

    def form(x: Any, w: Any) -> Any:
        return WINOGRAD(x, w, padding)

    check(form, lambda x, w: direct(x, w, (1, 1), padding), ((*shape, channels[0]), (3, 3, *channels)), seed)


def test_few_windows_are_left_to_xla() -> None:
    """63 of them are, 64 are not."""
    for width, expected in ((126, True), (128, False)):
        shapes = (jnp.ones((1, 2, width, 4)), jnp.ones((3, 3, 4, 4)))
        text = str(jax.make_jaxpr(lambda x, w: WINOGRAD(x, w, ((1, 1), (1, 1))))(*shapes))
        assert ("conv_general_dilated" in text) is expected


def test_what_a_loop_keeps(capsys: pytest.CaptureFixture[str]) -> None:
    """The result by its name, and none of the 16 products nor the sums of windows."""
    names = namespace(compiled("repeat(16, Unit)"))

    def layer(x: Any, w: Any) -> Any:
        return jnp.sum(jnp.tanh(names["winograd_conv"](x, w, ((1, 1), (1, 1)))))

    again = jax.checkpoint(layer, policy=names["keep_products"])
    jax.ad_checkpoint.print_saved_residuals(again, jnp.ones((4, 12, 12, 64)), jnp.ones((3, 3, 64, 64)))
    kept = capsys.readouterr().out.splitlines()
    assert len(kept) == 3 and sum("from the argument" in line for line in kept) == 2
    assert "f32[4,12,12,64] named 'convolution'" in kept[-1]
