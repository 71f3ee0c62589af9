"""Softmax and its logarithm."""

from __future__ import annotations

from collections.abc import Sequence

from ..dims import Dim
from ..types import TensorType
from .arrays import Array, np
from .definition import Along, Environment, Example, Instance, OpDefinition, Operand, Sample, Scope, Setting
from .reductions import check_axes

SCORES = Sample((2, 3, 4), low=-3.0, high=3.0)


class Softmax(OpDefinition):
    """`softmax(x, over = -1)`: exp(x) divided by its sum over the axes `over`.

    The largest element is subtracted first, so that nothing overflows. Elements at `-inf` get 0; where every
    element over the axes is `-inf`, the result is nan, as there is nothing to divide.
    """

    name = "softmax"
    keeps = "result"
    slots = (Operand("x", "float"), Setting("over", "axes", -1))
    cost = 8
    examples = (
        Example((SCORES,), {"over": (2,)}),
        Example((SCORES,), {"over": (0,)}),
        Example((SCORES,), {"over": (1, 2)}),
        Example((SCORES,), {"over": (0, 1, 2)}),
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The operand's type."""
        check_axes(self.name, use.operands[0], use.attributes.axes("over"))
        return (use.operands[0],)

    def flops(self, use: Instance) -> Dim:
        """`cost` an element: the largest, its difference, the exponential, the sum, the quotient."""
        return use.result.elements * self.cost

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """The axes that are not normalised over."""
        return None if axis in use.attributes.axes("over") else Along(axis)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`jax.nn.softmax` or `jax.nn.log_softmax`."""
        axes = use.attributes.axes("over")
        only = -1 if axes == (use.result.rank - 1,) else axes[0] if len(axes) == 1 else axes
        return f"jax.nn.{self.name}({operands[0]}, axis={only})"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """By the definition."""
        axes = use.attributes.axes("over")
        powers = np.exp(operands[0] - np.max(operands[0], axis=axes, keepdims=True))
        return powers / np.sum(powers, axis=axes, keepdims=True)


class LogSoftmax(Softmax):
    """`log_softmax(x, over = -1)`: log(softmax(x)), exact where softmax(x) would be rounded to 0."""

    name = "log_softmax"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """x - log(sum(exp(x)))."""
        axes = use.attributes.axes("over")
        shifted = operands[0] - np.max(operands[0], axis=axes, keepdims=True)
        return shifted - np.log(np.sum(np.exp(shifted), axis=axes, keepdims=True))


OPS: tuple[OpDefinition, ...] = (Softmax(), LogSoftmax())
