"""Options of XLA's by which training steps gain on CPUs: asked for, and where one does harm, given up.

XLA reads them from `XLA_FLAGS` when jax first compiles, for all that a process compiles. One of them, multi-output
fusion, is turned off again for all but the training step: it has a fault that ends the process
(``trxc.plan.xla_options`` says which), so that nothing here may rely on an exception. While a training step is
compiled, Python's handler of fatal signals writes to a mark in the cache folder. A process that finds one that was
written to compiles that program without the option, and a small one beside this says what happened. Whoever stops a
process, by Ctrl-C or `kill -9`, leaves nothing there.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from .artifact import Artifact
from .compile_cache import cache_folder, private_folder
from .untyped import jax

FLAG = "--xla_backend_extra_options="
FUSION = "xla_cpu_use_multi_output_fusion"
OPTIONS = ("xla_cpu_disable_loop_unrolling", FUSION)
"""Those that a manifest may ask for: it may come from a stranger."""

PASS = "cpu_multi_output_fusion"
"""What XLA calls the pass where passes are turned off."""

ENDED = """\
error: XLA ended the process while it compiled the training step
  = note: that is a fault of XLA's, in an option that makes steps faster, `xla_cpu_use_multi_output_fusion`
  = help: {}
"""
AGAIN = "the same command again compiles without it"
YOURS = "it is in your `XLA_FLAGS`: leave it out there"
_asked: set[str] = set()
"""The programs, by their hash, for which this process has asked for fusion; else it is the user's choice."""

_BESIDE = """\
import os, sys
if not sys.stdin.buffer.read(1) and os.path.exists(sys.argv[1]) and os.path.getsize(sys.argv[1]):
    sys.stderr.write(sys.argv[2])
"""


def use_xla_options(artifact: Artifact, say: Callable[[str], None]) -> None:
    """Asks for the options that suit the program; before anything is compiled.

    The user's own choice of such options stays. ``say`` is told of a program that does without fusion since XLA ended
    a process.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if FLAG in flags:
        return
    asked = artifact.manifest.get("xla_options")
    wanted = [option for option in OPTIONS if isinstance(asked, list) and option in asked]
    if FUSION in wanted:
        mark = _mark(artifact)
        ended = mark is not None and mark.exists() and mark.stat().st_size > 0
        if mark is None or ended:
            wanted.remove(FUSION)
        if ended:
            say(f"steps are compiled without multi-output fusion: XLA ended a process over it (`{mark}`)")
    if FUSION in wanted:
        _asked.add(artifact.sha256)
    if wanted:
        os.environ["XLA_FLAGS"] = f"{flags} {FLAG}{','.join(wanted)}".strip()


def without_fusion(function: Callable[..., Any], **options: Any) -> Any:
    """`jax.jit` for all but the training step: the option is off."""
    return _jitted(function, {}, options)


def for_once(function: Callable[..., Any], **options: Any) -> Any:
    """The same for what is run once, such as the drawing of first weights: on CPUs LLVM optimises it less.

    At level 1 of 3 XLA compiles that of w4_gpt in 0.75 s for 1.86, of w2_resnet in 1.4 s for 2.9, and it gives the
    same numbers in the same time (two cores of an x86-64 server, jax 0.10.2).
    """
    return _jitted(function, {"xla_backend_optimization_level": 1}, options)


def _jitted(function: Callable[..., Any], wanted: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    if jax.default_backend() == "cpu":
        compiler = {**wanted, **({"xla_disable_hlo_passes": PASS} if _used() else {})}
        options = {**options, **({"compiler_options": compiler} if compiler else {})}
    return jax.jit(function, **options)


@contextlib.contextmanager
def compiling(artifact: Artifact) -> Generator[None, None, None]:
    """While the training step is compiled: should XLA end the process, that is said, and known to the next one."""
    mark = _mark(artifact) if _used() else None
    file = _opened(mark) if mark else None
    if mark is None or file is None:
        yield
        return
    before = faulthandler.is_enabled()
    try:
        with file, _beside(mark, ENDED.format(AGAIN if artifact.sha256 in _asked else YOURS)):
            faulthandler.enable(file, all_threads=False)
            try:
                yield
            finally:
                faulthandler.disable()
    finally:
        if before:
            faulthandler.enable()
        with contextlib.suppress(OSError):
            mark.unlink()


def _opened(mark: Path) -> IO[str] | None:
    try:
        return mark.open("w", encoding="utf-8")
    except OSError:
        return None


@contextlib.contextmanager
def _beside(mark: Path, ended: str) -> Generator[None, None, None]:
    """A process that is told when all went well, and speaks up if it never is and the mark was written to."""
    command = [sys.executable, "-I", "-S", "-c", _BESIDE, str(mark), ended]
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    except OSError:
        yield
        return
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            process.communicate(b"\n")


def _used() -> bool:
    return FUSION in os.environ.get("XLA_FLAGS", "")


def _mark(artifact: Artifact) -> Path | None:
    """The file that marks this program, with this jaxlib; None where there is no folder for it."""
    folder = private_folder(cache_folder() / "compiling")
    return folder / f"{artifact.sha256}-{version('jaxlib')}" if folder else None
