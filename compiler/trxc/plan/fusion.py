"""Multi-output fusion: an option of XLA's on CPUs that is off by default, and the programs that it suits.

With it, loops over the same values become one kernel with several results: there are fewer to compile, and values are
read once. Steps with ÷ without, two processes by turns on two cores of an x86-64 server, jax 0.10.2, 7 to 13 rounds:
w4_gpt 0.94 (0.90 to 1.05), w8_translator 0.96 (0.86 to 0.99), w3_lstm 0.94 (0.72 to 0.99), w5_deep 0.98 (0.88 to 1.15),
w1_mlp 1.00 (0.91 to 1.20), w6_head 1.01 (0.96 to 1.06), but w2_resnet 1.10 (1.08 to 1.11). XLA compiles w4_gpt in 0.45
of the time.

The pass has a fault: two scatters with the same indices become a kernel that XLA cannot write, and it ends the process
(openxla/xla#47367). So it is asked for where the training step of a program scatters once at most, the runtime has it
for that step alone, and a program with which a process ended is compiled without it from then on
(``trxc_runtime.fusion``).
"""

from __future__ import annotations

from ..ir import Module
from .targets import TARGETS

XLA_FLAG = "--xla_backend_extra_options=xla_cpu_use_multi_output_fusion"
"""What the environment variable `XLA_FLAGS` has to hold when jax first compiles."""

CONVOLUTIONS = frozenset({"conv", "conv_transpose", "winograd_conv", "strided_conv"})


def has_multi_output_fusion(module: Module, target: str) -> bool:
    """Whether the training step of a module is to be compiled with it."""
    kinds = [op.kind for function in module.functions.values() for op in function.body.walk()]
    return TARGETS[target].multi_output_fusion and CONVOLUTIONS.isdisjoint(kinds) and kinds.count("scatter_add") <= 1
