"""The walk over the op table: each op's inference, emission, gradients and reference are checked against each other."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from op_runner import (
    SEED,
    ReferenceEnvironment,
    Symbols,
    arrays,
    as_list,
    compiled,
    function_of,
    in_bits,
    instance_of,
    jax_dtype,
    numeric_gradient,
    reference_of,
    source_of,
)

from trxc.dims import dim
from trxc.ops import FAMILIES, OPS
from trxc.ops.definition import Example, Instance, OpDefinition, TypeFault
from trxc_runtime.safety import check_program

pytestmark = pytest.mark.core

CASES = [
    pytest.param(definition, example, id=f"{name}-{at}")
    for name, definition in OPS.items()
    for at, example in enumerate(definition.examples)
]
EXACT = [case for case in CASES if not case.values[0].random]
RANDOM = [case for case in CASES if case.values[0].random]
DRAWS = 4000
IMPORTS = """\
import functools
import math
import zlib

import jax
import jax.numpy as jnp
import numpy as np

"""


def concrete(definition: OpDefinition, example: Example):
    return function_of(definition, example, Symbols())


def check_close(found: Any, expected: Any, tolerance: float) -> None:
    finite = np.abs(expected[np.isfinite(expected)]) if expected.dtype.kind == "f" else np.abs(expected * 1.0)
    scale = max(1.0, float(np.max(finite, initial=0.0)))
    np.testing.assert_allclose(np.asarray(found, np.float64), expected * 1.0, rtol=0, atol=tolerance * scale)


def check_types(found: list[Any], definition: OpDefinition, example: Example, bits: int) -> None:
    results = instance_of(concrete(definition, example)).results
    assert [tuple(r.shape) for r in found] == [tuple(s.evaluate({}) for s in t.sizes) for t in results]
    wanted = [jax_dtype(t.dtype, bits) for t in results]
    if bits == 64:  # some functions of jax give 32-bit indices whatever the width of ints is
        assert [str(r.dtype).replace("int32", "int64") for r in found] == wanted
    else:
        assert [str(r.dtype) for r in found] == wanted


def test_every_op_is_in_the_table_once():
    assert len(OPS) == sum(map(len, FAMILIES))


@pytest.mark.parametrize("name", OPS)
def test_every_op_has_a_document_and_examples(name: str):
    definition = OPS[name]
    assert definition.name == name
    assert definition.__doc__ and definition.__doc__ != OpDefinition.__doc__
    assert definition.examples


@pytest.mark.parametrize(("definition", "example"), CASES)
def test_emitted_text_is_let_through_by_the_runtime(definition: OpDefinition, example: Example):
    check_program(IMPORTS + source_of(concrete(definition, example), 32))


def with_gradients(f: Any, operands: list[Any], floats: list[int], cotangents: list[Any]) -> tuple[list[Any], Any]:
    """Results, and gradients of the operands at `floats`, in one jitted function."""

    def total(*given: Any):
        results = as_list(f(*given))
        return sum((r * c).sum() for r, c in zip(results, cotangents, strict=True)), results

    if not floats:
        return as_list(jax.jit(f)(*operands)), ()
    (_, found), gradients = jax.jit(jax.value_and_grad(total, argnums=tuple(floats), has_aux=True))(*operands)
    return found, gradients


@pytest.mark.parametrize(("definition", "example"), EXACT)
def test_value_and_gradients(definition: OpDefinition, example: Example):
    """In 64 bits, then in 32: what XLA calls for convolutions and products differs between the two."""
    function, operands = concrete(definition, example), arrays(example)
    expected = reference_of(function, operands, ReferenceEnvironment())
    rng = np.random.default_rng(SEED)
    cotangents = [rng.uniform(0.5, 1.5, r.shape) if r.dtype.kind == "f" else np.zeros(r.shape) for r in expected]
    floats = [at for at, x in enumerate(operands) if x.dtype.kind == "f"] if definition.differentiable else []
    with jax.enable_x64(True):
        found, gradients = with_gradients(compiled(source_of(function, 64)), operands, floats, cotangents)
        check_types(found, definition, example, 64)
        for one, other in zip(found, expected, strict=True):
            check_close(one, other, 1e-9)
        for at, gradient in zip(floats, gradients, strict=True):
            check_close(gradient, numeric_gradient(function, operands, at, cotangents), 1e-5)
    narrow, cotangents = list(map(jnp.asarray, in_bits(operands, 32))), in_bits(cotangents, 32)
    found, narrow_gradients = with_gradients(compiled(source_of(function, 32)), narrow, floats, cotangents)
    check_types(found, definition, example, 32)
    for one, other in zip(found, expected, strict=True):
        check_close(one, other, 2e-5)
    for one, other in zip(narrow_gradients, gradients, strict=True):
        check_close(one, np.asarray(other), 1e-4)


@pytest.mark.parametrize(("definition", "example"), RANDOM)
def test_draws_have_the_distribution_of_the_reference(definition: OpDefinition, example: Example):
    function, operands = concrete(definition, example), arrays(example)
    f = compiled(source_of(function, 32))
    keys = jax.random.split(jax.random.key(SEED), DRAWS)
    found = np.asarray(jax.jit(jax.vmap(lambda key: f(*in_bits(operands, 32), key=key)))(keys), np.float64)
    env = ReferenceEnvironment()
    expected = np.stack([reference_of(function, operands, env)[0] for _ in range(DRAWS)]).astype(np.float64)
    for power in (1, 2):
        one, other = found**power, expected**power
        error = np.sqrt((one.var(axis=0) + other.var(axis=0)) / DRAWS)
        assert np.all(np.abs(one.mean(axis=0) - other.mean(axis=0)) <= 6 * error + 1e-6)


@pytest.mark.parametrize(("definition", "example"), RANDOM)
def test_draws_depend_on_the_key_alone(definition: OpDefinition, example: Example):
    f, operands = compiled(source_of(concrete(definition, example), 32)), in_bits(arrays(example), 32)
    one, again = (as_list(f(*operands, key=jax.random.key(SEED))) for _ in range(2))
    check_types(one, definition, example, 32)
    np.testing.assert_array_equal(np.asarray(one[0]), np.asarray(again[0]))
    others = [np.asarray(f(*operands, key=jax.random.key(seed))) for seed in range(20)]
    silent = definition.name == "dropout" and example.attributes["rate"] == 0
    assert silent == all(np.array_equal(np.asarray(one[0]), other) for other in others)


@pytest.mark.parametrize(("definition", "example"), CASES)
def test_inference_over_symbols_agrees_with_inference_over_numbers(definition: OpDefinition, example: Example):
    """Each size in turn becomes a symbol; an op may need to know some of its sizes, but not all of them."""
    expected = instance_of(concrete(definition, example))
    sizes = {n for x in arrays(example) for n in x.shape if n > 1}
    unknown = [v for v in sizes if agrees_over_symbol(definition, example, v, expected)]
    assert unknown or not sizes or definition.name in NEEDS_ALL_SIZES


NEEDS_ALL_SIZES = frozenset({"reshape"})
"""Ops that compare products of sizes, which one unknown size alone leaves open."""


def agrees_over_symbol(definition: OpDefinition, example: Example, size: int, expected: Instance) -> bool:
    """Whether the op can be typed with that size unknown; fails where it is typed otherwise than with it known."""
    symbols = Symbols(frozenset({size}))
    try:
        function = function_of(definition, example, symbols)
    except TypeFault:
        return False
    known = {name: dim(value) for name, value in symbols.values().items()}
    use = instance_of(function)
    assert [t.dtype for t in use.results] == [t.dtype for t in expected.results]
    assert [[s.substitute(known) for s in t.sizes] for t in use.results] == [list(t.sizes) for t in expected.results]
    assert definition.flops(use).substitute(known) == definition.flops(expected)
    check_symbolic_emission(definition, example, function)
    return True


def check_symbolic_emission(definition: OpDefinition, example: Example, function: Any) -> None:
    """Where sizes are written into the program, the program with the symbol computes the same."""
    plain, operands = concrete(definition, example), in_bits(arrays(example), 32)
    if source_of(function, 32).rpartition("return")[2] == source_of(plain, 32).rpartition("return")[2]:
        return
    key = jax.random.key(SEED)
    one = as_list(compiled(source_of(function, 32))(*operands, key=key))
    other = as_list(compiled(source_of(plain, 32))(*operands, key=key))
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(np.asarray(left), np.asarray(right))


def test_the_gradient_of_dropout_is_the_mask_that_was_drawn():
    (example, _) = OPS["dropout"].examples
    f, (x,) = compiled(source_of(concrete(OPS["dropout"], example), 32)), in_bits(arrays(example), 32)
    y, pull = jax.vjp(lambda x: f(x, key=jax.random.key(2)), x)
    (gradient,) = pull(np.ones_like(x))
    assert 0 < np.count_nonzero(y) < x.size
    np.testing.assert_allclose(gradient, np.asarray(y) / x, rtol=1e-6)
