"""The C library's allocator, arranged for training on CPUs.

XLA asks for and gives back large buffers at every step. glibc returns them to the kernel each time and gets them anew,
page fault by page fault: a third of a small model's step. With one arena, no mmap and no trimming the pages stay, and
huge ones are fewer. All four settings are needed together, and glibc reads them before `main`, so the process starts
itself once more; it keeps its number, its streams and its arguments. `benchmarks/allocator.py` measures the effect.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping

from ...plan.targets import CPU

SETTINGS = dict(CPU.environment)
MARK = "TRXC_ALLOCATOR"
"""Set to `arranged` in the process that has the settings; a user's own `TRXC_ALLOCATOR=system` leaves all as it is."""

COMMANDS = frozenset({"bench", "train"})


def arranged_environment(environment: Mapping[str, str]) -> dict[str, str] | None:
    """The environment to start anew with; None where the user has settings of their own, or it was done already."""
    if MARK in environment or any(name in environment for name in SETTINGS):
        return None
    return {**environment, **SETTINGS, MARK: "arranged"}


def arrange(arguments: list[str]) -> None:
    """Starts the process anew where that pays: what trains on Linux with glibc."""
    if not arguments or arguments[0] not in COMMANDS or {"-h", "--help"} & set(arguments):
        return
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return
    environment = arranged_environment(os.environ)
    if environment is not None:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)
