"""The passes of a compilation, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..ir import Module
from ..plan.memory import Step
from ..plan.sharding import Rules
from ..plan.targets import DEFAULT, TARGETS, Target
from .base import Pass, Remarks
from .convolution_forms import ConvolutionForms
from .decode import DeriveDecoding
from .fuse_attention import FuseAttention
from .fuse_loss import FuseLoss
from .hoist import HoistLoopInvariants
from .inline import InlineSmall
from .merge import MergeFunctions
from .merge_projections import MergeProjections
from .precision import Precision
from .recurrent_weight_gradient import RecurrentWeightGradient
from .remat import Remat
from .roll_layers import RollLayers
from .shard import Shard
from .simplify import Simplify
from .split_layers import SplitLayers
from .unroll import UnrollLayers

REQUIRED = frozenset({"precision"})
"""Passes that cannot be left out: the emitter wants exact dtypes."""


def pipeline(
    *,
    compute: str = "f32",
    model: tuple[str, ...] = (),
    rules: Rules = (),
    target: Target = TARGETS[DEFAULT],
    remat: str = "none",
    step: Step | None = None,
    patterns: tuple[str, ...] = (),
    optimizer: tuple[str, ...] = (),
    generate: tuple[str, str] = ("", ""),
) -> tuple[Pass, ...]:
    """The passes of a compilation, in order.

    Args:
        compute: the dtype of the model's maths.
        model: the names of the model's own functions, in inference and in training.
        rules: what a mesh record says.
        target: what the program is compiled for.
        remat: which values of layers backward computes again; see :mod:`.remat`.
        step: what the recipe says of sizes and memory.
        generate: the input and the output of the model along whose places it generates.
        patterns: those of weights that the recipe treats apart, as `freeze` does.
        optimizer: what the optimizer is made of, as "module:attribute".
    """
    return (
        Simplify(),
        InlineSmall(),
        Simplify(),
        RollLayers(target, patterns, optimizer),
        FuseAttention(),
        DeriveDecoding(*generate, rules),
        HoistLoopInvariants(target),
        MergeProjections(rules, target),
        Precision(compute, model),
        HoistLoopInvariants(target),  # casts of weights, and weights that have become one
        RecurrentWeightGradient(target),
        Simplify(),
        FuseLoss(rules, target),
        Remat(remat, step, target),
        Shard(rules),
        MergeFunctions(),  # last: a rule for one of two dims makes functions differ that were the same
        ConvolutionForms(rules, target),
        UnrollLayers(target),
        SplitLayers(target),
    )


PASS_NAMES: tuple[str, ...] = tuple(dict.fromkeys(item.name for item in pipeline()))
"""The names of all passes, in order of their first turn."""


def run_passes(
    module: Module,
    passes: Iterable[Pass],
    *,
    disabled: frozenset[str] = frozenset(),
    before: Callable[[str, Module], None] | None = None,
    after: Callable[[str, Module], None] | None = None,
    remarks: Remarks | None = None,
) -> None:
    """Runs passes in order; `before` and `after` are told of each that runs, `remarks` takes what they have to say."""
    remarks = Remarks() if remarks is None else remarks
    for item in passes:
        if item.name in disabled and item.name not in REQUIRED:
            continue
        if before is not None:
            before(item.name, module)
        item.run(module, remarks)
        if after is not None:
            after(item.name, module)
