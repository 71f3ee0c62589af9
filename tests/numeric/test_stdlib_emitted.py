"""The library's layers as compiled JAX programs, all passes run, against the reference interpreter."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from stdlib_models import MODELS, case_text

from trxc.compilation import compile
from trxc.ir import Function
from trxc.ops.definition import Array
from trxc.reference import Reference, init_parameters, init_states

SIZES = {"batch": 3, "seq": 5, "time": 5, "height": 6, "width": 6, "depth": 4, "items": 4, "n": 7, "heads": 2}


def inputs_of(function: Function) -> dict[str, Array]:
    """Random inputs by name, of the sizes above."""
    rng = np.random.default_rng(0)
    made: dict[str, Array] = {}
    for value in function.inputs:
        shape = tuple(size.evaluate(SIZES) for size in value.type.sizes)
        kind = value.type.dtype.kind
        drawn = rng.normal(size=shape) if kind == "float" else rng.integers(0, 5 if kind == "int" else 2, shape)
        made[str(value.name)] = drawn.astype(bool) if kind == "bool" else drawn
    return made


def single(tree: Any) -> Any:
    """A tree with its float64 arrays in float32."""
    return jax.tree.map(lambda a: a.astype(np.float32) if a.dtype == np.float64 else a, tree)


@pytest.mark.parametrize(("case", "model"), MODELS)
def test_compiled_as_the_reference_has_it(case, model):
    program = compile(case_text(case), filename=f"{case}.trx", name=model)
    module = program.unoptimised
    function = module.functions[module.roles["apply"]]
    params, state = init_parameters(module, 0, function.name), init_states(module, 0, function.name)
    inputs = inputs_of(function)
    expected, _ = Reference(module).run(function.name, params, state, list(inputs.values()))
    namespace: dict[str, Any] = {"__name__": "program"}
    exec(program.source, namespace)
    found = jax.jit(namespace["apply"])(single(params), single(state), single(inputs))
    assert found.keys() == set(function.output_names)
    for name, wanted in zip(function.output_names, expected, strict=True):
        np.testing.assert_allclose(found[name], wanted, rtol=2e-5, atol=2e-5, err_msg=name)
