"""Convolutions of random shapes and settings: values against the reference, gradients in 32 bits against 64.

What XLA calls for a convolution depends on all of them, and on the width of its numbers.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from op_runner import ReferenceEnvironment, Symbols, arrays, compiled, function_of, in_bits, reference_of, source_of

from trxc.ops import OPS
from trxc.ops.definition import Example, Sample, TypeFault


@st.composite
def settings_of(draw: st.DrawFn, name: str) -> Example:
    """A use of `conv` or `conv_transpose`: padding of up to 4 places, wider than most kernels reach."""
    rank = draw(st.integers(1, 3))
    low, high = (3, 7) if rank < 3 else (2, 4)
    spatial = draw(st.tuples(*[st.integers(low, high)] * rank))
    plain = draw(st.booleans())  # of such, XLA has most forms
    kernel = (3,) * rank if plain else draw(st.tuples(*[st.integers(1, 3)] * rank))
    steps = st.just((1,) * rank) if plain else st.tuples(*[st.integers(1, 3)] * rank)
    sides = st.tuples(*[st.tuples(st.integers(0, 4), st.integers(0, 4))] * rank)
    padding = draw(st.one_of(sides, sides, sides, st.sampled_from(OPS[name].words)))
    given: dict[str, Any] = {"stride": draw(steps), "padding": padding, "dilation": draw(steps)}
    ins, outs = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    if name == "conv":
        given["groups"] = 1 if plain else draw(st.integers(1, 2))
    groups = given.get("groups", 1)
    x = Sample((draw(st.integers(1, 2)), *spatial, ins * groups))
    return Example((x, Sample((*kernel, ins, outs * groups))), given)


def gradients(function: Any, operands: list[Any], bits: int) -> list[Any]:
    """The value, and the gradients of a sum of its sines."""
    f = compiled(source_of(function, bits))

    def total(*given: Any) -> Any:
        value = f(*given)
        return jnp.sin(value).sum(), value

    (_, value), found = jax.jit(jax.value_and_grad(total, argnums=(0, 1), has_aux=True))(*in_bits(operands, bits))
    return [np.asarray(array, np.float64) for array in (value, *found)]


@pytest.mark.parametrize("name", ["conv", "conv_transpose"])
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_in_both_widths(name: str, data: st.DataObject) -> None:
    example = data.draw(settings_of(name))
    try:
        function = function_of(OPS[name], example, Symbols())
    except TypeFault:
        assume(False)
        raise
    operands = arrays(example)
    (expected,) = reference_of(function, operands, ReferenceEnvironment())
    with jax.enable_x64(True):
        wide = gradients(function, operands, 64)
    np.testing.assert_allclose(wide[0], expected, rtol=0, atol=1e-9 * max(1.0, float(np.abs(expected).max())))
    for one, other in zip(gradients(function, operands, 32), wide, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-4 * max(1.0, float(np.abs(other).max())))
