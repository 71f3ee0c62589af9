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
            CPUs, step time written out ÷ a scan that keeps products alone (`scans_keep_products`), with XLA's options
            (:mod:`trxc.plan.xla_options`), 7 to 13 rounds by turns on two cores of x86-64 servers, jax 0.10.2: w4_gpt
            (6 layers) 0.85 (0.65 to 1.00), w5_deep with 12 layers 0.88 (0.79 to 1.50), on another machine 0.89 (0.81
            to 1.35), with 24 0.88 (0.69 to 2.49). XLA compiles 12 layers in 1.2 to 1.6 of the time, 24 in 2.1 to 2.2;
            temporaries are 236 MB for 120, and 469 for 222. Twelve are where the time is nearly free. On other targets
            all are scans, as MaxText has them (`scan_layers`), for the sake of compile time; not measured.
        unrolled_gain: what that brings, for a remark.
    """

    name: str
    unrolled_layers: int = 0
    unrolled_gain: str = ""
    remat_in_sequence: bool = True
    """Whether layers outside of loops can be computed again. On CPUs XLA merges that with the first computation: the
    temporaries of three different blocks of w4_gpt are 216 MB with `remat = full` and without; those of a scan of six
    fall from 453 to 112 MB, and not at all where they are written out. For gpu and tpu as `jax.checkpoint` says."""
    scans_keep_products: bool = False
    """Whether backward computes again what is in a scan over layers, all but products and attention, were it for speed.

    On CPUs: what a scan keeps is written into arrays of all layers, which are filled with zeros before and copied
    after. `w5_deep` (24 layers), 13 rounds by turns on two cores of an x86-64 server, jax 0.10.2: 0.92 of the time
    (0.30 to 0.97) and 218 MB of temporaries where there were 509. For gpu and tpu it is a choice of the recipe.
    """
    split_layers: int = 96
    """Up to how many layers of derived decoding are written out, with weights and caches of their own, not of a stack.

    Six layers of 384 features, one row, room for 256 places: 0.34 of the time a token (0.31 to 0.36, 9 rounds by turns
    on two cores of an x86-64 server, jax 0.10.2). What it costs is compiling, once for a loop of tokens, and a second
    copy of these weights while tokens are drawn. For gpu and tpu a recommendation, not measured.
    """
    roll_from: int = 4
    """From how many equal layers on `roll-layers` makes one loop of them.

    No step time depends on it: `unrolled_layers` says which loops are written out again. Four is our recommendation:
    fewer are read as easily one by one, and compile as fast.
    """
    projects_sequences: bool = True
    """Whether `hoist-loop-invariants` computes what a cell does with its input alone for all positions at once.

    Not on CPUs: beside `gradients_after_loops` it costs time and memory. `w3_lstm` (two LSTMs of 256), 20 rounds by
    turns on two cores of an x86-64 server, jax 0.10.2, against neither: this alone 0.92 (0.80 to 1.07), gradients after
    loops alone 0.82 (0.71 to 1.19), both 0.88 (0.62 to 1.45); temporaries 97, 110 and 117 MB against 72. For gpu and
    tpu a recommendation, not measured: that of Appleyard, Kocisky and Blunsom (2016), Optimizing Performance of
    Recurrent Neural Networks on GPUs, whose form cuDNN has.
    """
    gradients_after_loops: bool = True
    """Whether `recurrent-weight-gradient` has the gradient of a weight in a loop as one product after the loop.

    0.82 of the time of `w3_lstm`, measured as `projects_sequences` is. For gpu and tpu a recommendation, not measured:
    cuDNN has the gradients of weights in a call of their own, after those of data (`cudnnRNNBackwardWeights`).
    """
    merged_width: float = 0.0
    """Up to how many columns `merge-projections` puts side by side, as a multiple of the rows, for each product saved.

    0 is never. The copies that merging makes grow with the columns, what it saves with the rows and the number of
    products; the batch is in both. A layer and its gradients, two cores of an x86-64 server, jax 0.10.2, 256 to 1,024
    tokens of 256 or 512 features, processor seconds, medians of 25 rounds by turns: at 0.1 (three heads of 1/16) 0.64
    to 0.75, at 0.75 (q, k, v with a quarter of the heads in k, v) 0.96 to 1.03, at 1.5 (q, k, v) 1.00 to 1.06, at 2 (k
    and v) 1.00 to 1.05, at 5.5 (gate, up) 1.03 to 1.06. Whole steps with q, k, v merged: 1.02 on w4_gpt, 1.00 on
    w8_translator.
    XLA merges small products on a GPU by itself (its pass `dot-merger`): 0 there is a recommendation, as for a TPU;
    neither was measured.
    """
    winograd_channels: int = 0
    """From how many channels in and out on `convolution-forms` has 3x3 kernels take fewer products; 0 is never.

    On CPUs, forward and gradients ÷ those of XLA's own: 0.47 to 0.65 from 64 channels on, 0.9 at 32, 1.4 at 16
    (:mod:`trxc.emit.prelude_convolution` has the measurement). 0 for gpu and tpu, not measured: cuDNN chooses such
    algorithms by itself.
    """
    strided_channels: int = 0
    """From how many channels in on `convolution-forms` has the gradient of a kernel that moves in larger steps be one
    product of two matrices; 0 is never.

    On CPUs, forward and gradients ÷ those of XLA's own: 0.71 to 0.90 from 16 channels on, 1.0 at 3 and 8. 0 for gpu and
    tpu, not measured.
    """
    fused_classes: int = 4096
    """From how many classes on `fuse-loss` computes a projection and its cross-entropy in blocks of tokens.

    It is for memory: temporaries halve at 1,024 and 4,096 classes, and fall from 1,647 to 314 MB at 50,257 (w6_head).
    The time is that of the whole; below 4,096 classes what is saved is not worth a program that is longer to read. No
    figure for GPU or TPU.
    """
    environment: tuple[tuple[str, str], ...] = ()
    """The environment variables that a process on Linux with glibc should start with where it trains.

    `trxc train` arranges them (:mod:`trxc.cli.shell.allocator` says why), and `program.py` names them;
    `benchmarks/allocator.py` measures what they bring.
    """
    xla_options: bool = False
    """Whether XLA has options that make training steps faster (:mod:`trxc.plan.xla_options` has them)."""
    loss_block: int = 2**25
    """About how many logits such a block has: 128 MiB in float32. Step time of w6_head against the whole, 9 rounds by
    turns on two cores of an x86-64 server, jax 0.10.2, and temporaries: 2**22 1.42 and 223 MB, 2**23 1.16 and 236 MB,
    2**24 1.02 and 262 MB, 2**25 0.97 and 314 MB, 2**26 0.96 and 521 MB."""


CPU = Target(
    "cpu",
    remat_in_sequence=False,
    scans_keep_products=True,
    projects_sequences=False,
    merged_width=0.5,
    winograd_channels=64,
    strided_channels=16,
    unrolled_layers=12,
    environment=(
        ("MALLOC_ARENA_MAX", "1"),
        ("MALLOC_MMAP_MAX_", "0"),
        ("MALLOC_TRIM_THRESHOLD_", "17179869184"),
        ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"),
    ),
    xla_options=True,
    unrolled_gain="0.85 to 0.89 of the time of a scan on CPUs; a scan would compile faster, and keep less",
)

TARGETS: dict[str, Target] = {target.name: target for target in (CPU, Target("gpu"), Target("tpu"))}
"""All targets by name."""

DEFAULT = "cpu"
"""The target where none is named: compiling the same file gives the same program on every machine."""
