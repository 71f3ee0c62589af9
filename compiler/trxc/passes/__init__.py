"""The passes, in order. Each is one file; the command line names them by `name`."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..ir import Module
from ..plan.sharding import Rules
from ..plan.targets import DEFAULT, TARGETS, Target
from .base import Pass, Remark, Remarks
from .inline import InlineSmall
from .merge import MergeFunctions
from .precision import Precision
from .shard import Shard
from .simplify import Simplify

REQUIRED = frozenset({"precision"})
"""Passes that cannot be left out: the emitter wants exact dtypes."""


def pipeline(
    *, compute: str = "f32", model: tuple[str, ...] = (), rules: Rules = (), target: Target = TARGETS[DEFAULT]
) -> tuple[Pass, ...]:
    """The passes of a compilation, in order.

    Args:
        compute: the dtype of the model's maths.
        model: the names of the model's own functions, in inference and in training.
        rules: what a mesh record says.
        target: what the program is compiled for.
    """
    return (
        Simplify(),
        InlineSmall(),
        Simplify(),
        Precision(compute, model),
        Simplify(),
        Shard(rules),
        MergeFunctions(),  # last: a rule for one of two dims makes functions differ that were the same
    )


PASS_NAMES: tuple[str, ...] = tuple(dict.fromkeys(item.name for item in pipeline()))
"""The names of all passes, in order of their first turn."""


def run_passes(
    module: Module,
    passes: Iterable[Pass],
    *,
    disabled: frozenset[str] = frozenset(),
    after: Callable[[str, Module], None] | None = None,
    remarks: Remarks | None = None,
) -> None:
    """Runs passes in order; `after` is told of each that ran, `remarks` takes what they have to say."""
    remarks = Remarks() if remarks is None else remarks
    for item in passes:
        if item.name in disabled and item.name not in REQUIRED:
            continue
        item.run(module, remarks)
        if after is not None:
            after(item.name, module)


__all__ = ["PASS_NAMES", "REQUIRED", "Pass", "Remark", "Remarks", "pipeline", "run_passes"]
