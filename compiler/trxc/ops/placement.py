"""Ops that say where values live, and change nothing about them."""

from __future__ import annotations

from collections.abc import Sequence

from ..dims import Dim, dim
from ..ir import Attribute
from ..types import TensorType
from .arrays import Array
from .definition import Along, Environment, Example, Instance, OpDefinition, Operand, Sample, Scope, TypeFault


class Constrain(OpDefinition):
    """`constrain(x) {spec}`: `x`, with dims split over axes of the mesh.

    `spec` has an entry for each dim: an axis of the mesh, several, or None.
    """

    name = "constrain"
    keeps = "nothing"
    public = False
    slots = (Operand("x"),)
    examples = (Example((Sample((3, 4)),), {"spec": (None, None)}),)

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The operand's type."""
        (x,) = use.operands
        if len(_spec(use)) != x.rank:
            raise TypeFault("TRX0208", f"a placement of {len(_spec(use))} dims does not fit {x.show()}", operand=0)
        return (x,)

    def flops(self, use: Instance) -> Dim:
        """None."""
        return dim(0)

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """Place by place."""
        return Along(axis)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`constrain` of the prelude."""
        axes = "".join(f", {entry!r}" for entry in _spec(use))
        return f"{scope.prelude(self.name)}({operands[0]}{axes})"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """The operand."""
        return operands[0]


def _spec(use: Instance) -> tuple[Attribute, ...]:
    spec = use.attributes["spec"]
    assert isinstance(spec, tuple)
    return spec


OPS: tuple[OpDefinition, ...] = (Constrain(),)
