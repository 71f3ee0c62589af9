"""The table of all ops: each family's, by name."""

from __future__ import annotations

from . import (
    attention,
    convolution,
    convolution_forms,
    creation,
    cumulative,
    elementwise,
    indexing,
    joining,
    kept,
    linear,
    losses,
    ordering,
    patterns,
    placement,
    pooling,
    random,
    reductions,
    shape,
    softmax,
)
from .definition import REQUIRED, Attributes, Instance, OpDefinition, Operand, Setting, TypeFault

FAMILIES: tuple[tuple[OpDefinition, ...], ...] = (
    creation.OPS,
    elementwise.OPS,
    reductions.OPS,
    cumulative.OPS,
    softmax.OPS,
    linear.OPS,
    convolution.OPS,
    convolution_forms.OPS,
    pooling.OPS,
    joining.OPS,
    shape.OPS,
    indexing.OPS,
    kept.OPS,
    ordering.OPS,
    patterns.OPS,
    placement.OPS,
    random.OPS,
    attention.OPS,
    losses.OPS,
)

OPS: dict[str, OpDefinition] = {definition.name: definition for family in FAMILIES for definition in family}
"""Every op by its name."""


def op(name: str) -> OpDefinition:
    """The op of that name.

    Raises:
        KeyError: there is none.
    """
    return OPS[name]


__all__ = [
    "FAMILIES",
    "OPS",
    "REQUIRED",
    "Attributes",
    "Instance",
    "OpDefinition",
    "Operand",
    "Setting",
    "TypeFault",
    "op",
]
