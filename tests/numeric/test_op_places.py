"""Which places of a result depend on which places of an operand: every op's `along` against what its reference does.

For each example, operand and axis: one place of the operand is changed, and the results may change only where `along`
says that they can.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from op_runner import ReferenceEnvironment, Symbols, arrays, as_list, function_of, instance_of

from trxc.ops import OPS
from trxc.ops.definition import Example, Instance, OpDefinition

pytestmark = pytest.mark.core

CASES = [
    pytest.param(definition, example, id=f"{name}-{at}")
    for name, definition in OPS.items()
    for at, example in enumerate(definition.examples)
    if not definition.random
]


def results(
    definition: OpDefinition, use: Instance, operands: list[Any], environment: Any
) -> list[np.ndarray[Any, Any]]:
    return [np.asarray(x, np.float64) for x in as_list(definition.reference(use, operands, environment))]


def other(x: np.ndarray[Any, Any], rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """Values that are different from `x` everywhere."""
    if x.dtype.kind == "b":
        return ~x
    return x + (1 if x.dtype.kind == "i" else rng.uniform(0.25, 0.75, x.shape))


@pytest.mark.parametrize(("definition", "example"), CASES)
def test_results_depend_on_places_as_declared(definition: OpDefinition, example: Example) -> None:
    use = instance_of(function_of(definition, example, Symbols()))
    operands, rng = arrays(example), np.random.default_rng(5)
    environment = ReferenceEnvironment()
    before = results(definition, use, operands, environment)
    for number, operand in enumerate(operands):
        changed = other(np.asarray(operand), rng)
        for axis in range(np.ndim(operand)):
            said = definition.along(use, number, axis)
            for place in range(np.shape(operand)[axis]) if said else ():
                mixed = np.array(operand)
                at = (slice(None),) * axis + (place,)
                mixed[at] = changed[at]
                given = [*operands[:number], mixed, *operands[number + 1 :]]
                for one, two in zip(before, results(definition, use, given, environment), strict=True):
                    moved = np.where(~((one == two) | (np.isnan(one) & np.isnan(two))))[said.axis]
                    last = np.shape(one)[said.axis] - 1 if said.back is None else place + said.back
                    assert all(place <= there <= last for there in moved), (number, axis, place, said)


def test_what_is_said_is_not_nothing() -> None:
    silent = {name for name, definition in OPS.items() if type(definition).along is OpDefinition.along}
    assert silent <= {
        "full", "iota", "random_normal", "random_uniform", "bernoulli", "categorical", "scatter_add", "conv_transpose",
        "max_pool", "avg_pool", "attention", "attention_dropout", "chunk_attention", "linear_cross_entropy",
    }  # fmt: skip
