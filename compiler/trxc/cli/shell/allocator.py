"""The process's allocator, arranged for training on CPUs.

XLA asks for and gives back large buffers at every step. glibc returns them to the kernel each time and gets them anew,
page fault by page fault: a third of a small model's step. Two things keep the pages:

- tcmalloc, where the system has it.
- glibc's own with one arena, no mmap and no trimming, and huge pages, of which there are fewer. All four settings are
  needed together.

tcmalloc comes first, for its threads do not wait for each other where XLA compiles, and large blocks need no huge pages
that are filled with zeros: steps ÷ those with glibc's settings, two processes by turns on two cores of an x86-64
server, 7 to 9 rounds, are 0.76 (0.55 to 1.01) on w2_resnet, 0.94 (0.85 to 1.08) on w5_deep, 0.96 (0.91 to 1.13) on
w8_translator and 0.98 to 1.02 on the other workloads; first steps take 0.6 to 0.9 of the time, and the process has 0.7
to 0.98 of the memory.

Either is for the environment before `main`, so the process starts itself once more; it keeps its number, its streams
and its arguments. `benchmarks/allocator.py` measures the effect.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from ...plan.targets import CPU

SETTINGS = dict(CPU.environment)
"""Those of glibc's allocator."""
PRELOAD = "LD_PRELOAD"
LIBRARIES = ("libtcmalloc_minimal.so.4", "libtcmalloc.so.4")
"""gperftools' names for tcmalloc, alone and with its profilers; the number is its interface's."""
LIBRARY_SETTINGS = {"TCMALLOC_RELEASE_RATE": "0", "TCMALLOC_LARGE_ALLOC_REPORT_THRESHOLD": "0"}
"""No page goes back to the kernel, and no line is printed where more than a gigabyte is asked for."""
MARK = "TRXC_ALLOCATOR"
"""`arranged` in the process that has the settings. A user's `system` leaves all as it is, `glibc` takes no library."""

COMMANDS = frozenset({"bench", "train"})


def arranged_environment(environment: Mapping[str, str], library: Path | None = None) -> dict[str, str] | None:
    """The environment to start anew with; None where the user has settings of their own, or it was done already.

    ``library`` is the tcmalloc to use, None for glibc's allocator with settings.
    """
    choice, preloaded = environment.get(MARK), environment.get(PRELOAD, "")
    if choice not in (None, "glibc") or "malloc" in preloaded or any(name in environment for name in SETTINGS):
        return None
    if library is None or choice == "glibc":
        return {**environment, **SETTINGS, MARK: "arranged"}
    preload = {PRELOAD: f"{library}:{preloaded}" if preloaded else str(library)}
    return {**LIBRARY_SETTINGS, **environment, **preload, MARK: "arranged"}


def arrange(arguments: list[str]) -> None:
    """Starts the process anew where that pays: what trains on Linux with glibc."""
    if not arguments or arguments[0] not in COMMANDS or {"-h", "--help"} & set(arguments):
        return
    if not has_choice():
        return
    environment = arranged_environment(os.environ, tcmalloc())
    if environment is not None:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def has_choice() -> bool:
    """Whether a process here can have another allocator than the one it starts with."""
    return sys.platform == "linux" and platform.libc_ver()[0] == "glibc"


def tcmalloc(folders: Iterable[Path] | None = None) -> Path | None:
    """The system's, or that of Python's own environment, for the same processor as Python; None without one."""
    ours = machine(Path(sys.executable))
    for folder in library_folders() if folders is None else folders:
        for path in (folder / name for name in LIBRARIES):
            # Colons and spaces part the names in LD_PRELOAD.
            if not {":", " "} & set(str(path)) and ours and machine(path) == ours:
                return path
    return None


def library_folders() -> list[Path]:
    """Where the loader looks on the common systems, after Python's own environment, which may be conda's."""
    several = sorted(Path("/usr/lib").glob("*-linux-gnu"))
    return [Path(sys.prefix, "lib"), Path("/usr/local/lib"), *several, Path("/usr/lib64"), Path("/usr/lib")]


def machine(path: Path) -> bytes:
    """What the header of an ELF file says of its processor; empty for any other file."""
    try:
        with path.open("rb") as file:
            head = file.read(20)
    except OSError:
        return b""
    # The class, the order of bytes, and the processor: System V ABI, chapter 4.
    return head[4:6] + head[18:20] if head.startswith(b"\x7fELF") and len(head) == 20 else b""
