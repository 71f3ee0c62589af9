"""Options of XLA's that are off by default and make training steps faster, and the programs that they suit.

Steps with ÷ without, two processes by turns on two cores of an x86-64 server, jax 0.10.2, 7 to 13 rounds:

- Without unrolling, LLVM writes loops over arrays as they are, only as vectors: w1_mlp 0.97 (0.86 to 1.04), w2_resnet
  0.98 (0.96 to 1.06), w3_lstm 0.99 (0.96 to 1.03), w4_gpt 0.98 (0.90 to 1.00), w5_deep 0.99 (0.95 to 1.08), w6_head
  0.99 (0.97 to 1.24), w8_translator 1.00 (0.92 to 1.47). XLA compiles w4_gpt in 0.70 to 0.86 of the time, w8_translator
  in 0.88 and 0.97.
- With multi-output fusion, loops over the same values become one kernel with several results: there are fewer to
  compile, and values are read once. w4_gpt 0.94 (0.90 to 1.05), w8_translator 0.96 (0.86 to 0.99), w3_lstm 0.94 (0.72
  to 0.99), w5_deep 0.98 (0.88 to 1.15), w1_mlp 1.00 (0.91 to 1.20), w6_head 1.01 (0.96 to 1.06), but w2_resnet 1.10
  (1.08 to 1.11). XLA compiles w4_gpt in 0.45 of the time.

Multi-output fusion has a fault: two scatters into given arrays, with the same indices, become a kernel that XLA cannot
write, and it ends the process (openxla/xla#47367). So it is asked for where a program scatters once at most, the
runtime has it for the training step alone, and a program with which a process ended is compiled without it from then
on (``trxc_runtime.xla_options``).
"""

from __future__ import annotations

from collections.abc import Sequence

from ..ir import Module
from .targets import TARGETS

NO_UNROLLING = "xla_cpu_disable_loop_unrolling"
FUSION = "xla_cpu_use_multi_output_fusion"
CONVOLUTIONS = frozenset({"conv", "conv_transpose", "winograd_conv", "strided_conv"})


def xla_options(module: Module, target: str) -> list[str]:
    """The options that the training step of a module is to be compiled with."""
    if not TARGETS[target].xla_options:
        return []
    kinds = [op.kind for function in module.functions.values() for op in function.body.walk()]
    fuses = CONVOLUTIONS.isdisjoint(kinds) and kinds.count("scatter_add") <= 1
    return [NO_UNROLLING, *([FUSION] if fuses else [])]


def xla_flags(options: Sequence[str]) -> dict[str, str]:
    """The environment variable, as it has to be when jax first compiles; empty without options."""
    return {"XLA_FLAGS": f"--xla_backend_extra_options={','.join(options)}"} if options else {}
