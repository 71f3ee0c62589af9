"""What a program is compiled for: the choices of lowering that differ by backend, each with what put it there.

A program compiled for one target is right on all of them, only perhaps not the fastest. Figures are ratios of step
time, with ÷ without, from ``benchmarks/passes.py`` on the machine that its results name; a choice without a figure is
what the backend's documentation recommends, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """The choices for one backend.

    Attributes:
        name: as `--target` says it.
        unrolled_layers: up to so many layers of a loop are written out, with a barrier between; more are a scan. On
            CPUs, processor time of a step, written out ÷ scan: w4_gpt (6 layers) 0.93, best of 12 rounds 0.95; w5_deep
            with 6 layers 0.99, with 12 1.02, with 24 1.12; XLA compiles 6 layers 1.8 times as long. Without barriers
            1.03 of that with them (w5_deep, 6 layers). Measured on two cores of an x86-64 server that other work
            shared, jax 0.10.2: single rounds lie from 0.36 to 3. On other targets all are scans, as MaxText has them
            (`scan_layers`), for the sake of compile time; not measured.
        unrolled_gain: what that brings, for a remark.
    """

    name: str
    unrolled_layers: int = 0
    unrolled_gain: str = ""
    remat_in_sequence: bool = True
    """Whether layers outside of loops can be computed again. On CPUs XLA merges that with the first computation: the
    temporaries of three different blocks of w4_gpt are 216 MB with `remat = full` and without; those of a scan of six
    fall from 453 to 112 MB, and not at all where they are written out. For gpu and tpu as `jax.checkpoint` says."""
    roll_from: int = 4
    """From how many equal layers on `roll-layers` makes one loop of them.

    No step time depends on it: `unrolled_layers` says which loops are written out again. Four is our recommendation:
    fewer are read as easily one by one, and compile as fast.
    """
    projects_sequences: bool = True
    """Whether `hoist-loop-invariants` computes what a cell does with its input alone for all positions at once.

    Processor time of a step of one thread, the smallest of 9 to 15 by turns on a busy machine (two cores of an x86-64
    server, jax 0.10.2): 0.85 on `w3_lstm` (two LSTMs of 256), 0.88 on `char_lstm`, 0.82 on a GRU of 256. Beside
    `gradients_after_loops`, which takes the gradient of the same weight out of the loop: 1.00, 1.05, 0.95. For gpu and
    tpu a recommendation, not measured: that of Appleyard, Kocisky and Blunsom (2016), Optimizing Performance of
    Recurrent Neural Networks on GPUs, whose form cuDNN has.
    """
    gradients_after_loops: bool = True
    """Whether `recurrent-weight-gradient` has the gradient of a weight in a loop as one product after the loop.

    Beside `projects_sequences`, measured as that: 0.89 on `w3_lstm`, 0.93 on `char_lstm`, 0.90 on a GRU of 256; both
    together against neither 0.76, 0.81 and 0.74. It keeps 8 to 20 MB more there. For gpu and tpu a recommendation, not
    measured: cuDNN has the gradients of weights in a call of their own, after those of data
    (`cudnnRNNBackwardWeights`).
    """
    merged_width: float = 0.0
    """Up to how many columns `merge-projections` puts side by side, as a multiple of the rows, for each product saved.

    0 is never. The copies that merging makes grow with the columns, what it saves with the rows and the number of
    products; the batch is in both. A layer and its gradients, two cores of an x86-64 server, jax 0.10.2, 256 to 1,024
    tokens of 256 or 512 features, in processor seconds as the machine was shared, medians of 25 rounds by turns: at 0.1
    (three heads of 1/16) 0.64 to 0.75, at 0.75 (q, k, v with a quarter of the heads in k, v) 0.96 to 1.03, at 1.5
    (q, k, v) 1.00 to 1.06, at 2 (k, v) 1.00 to 1.05, at 5.5 (gate, up) 1.03 to 1.06. On the clock, the fastest steps of
    w4_gpt, its layers written out, were 0.83 with q, k, v merged. XLA merges small products on a GPU by itself (its
    pass `dot-merger`): 0 there is a recommendation, as for a TPU; neither was measured.
    """
    fused_classes: int = 4096
    """From how many classes on `fuse-loss` computes a projection and its cross-entropy in blocks of tokens.

    Not chosen for time alone, which it costs nowhere measured: w6_head, jax 0.10.2, two cores under other load, ratio
    and spread of 5 rounds: 0.93 (0.82–0.97) at 1,024 classes, 0.91 (0.44–1.44) at 4,096; of 3 rounds 0.90 at 50,257.
    Temporaries halve at 1,024 and 4,096 classes, and fall from 1,647 to 262 MB at 50,257. Below 4,096, what is saved is
    not worth a program that is longer to read. No figure for GPU or TPU.
    """
    loss_block: int = 2**24
    """About how many logits such a block has: 64 MiB in float32. No other size was measured in whole steps."""


CPU = Target(
    "cpu",
    remat_in_sequence=False,
    merged_width=1.5,
    unrolled_layers=6,
    unrolled_gain="0.93 to 0.99 of the time of a scan on CPUs; a scan would compile in half the time",
)

TARGETS: dict[str, Target] = {target.name: target for target in (CPU, Target("gpu"), Target("tpu"))}
"""All targets by name."""

DEFAULT = "cpu"
"""The target where none is named: compiling the same file gives the same program on every machine."""
