"""What this machine has, one finding at a time."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ... import __version__
from .allocator import PRELOAD, arranged_environment, has_choice, tcmalloc
from .output import coloured, reason
from .requirements import EXTRAS, Requirement, requirements

NEEDED_TO_CHECK = ("lark", "click", "numpy", "rich")
LITTLE_MEMORY = 2 * 2**30
LITTLE_DISK = 2 * 2**30

_DEVICES = """
import json, jax
found = [{"platform": d.platform, "kind": d.device_kind,
          "memory": (d.memory_stats() or {}).get("bytes_limit") if d.platform != "cpu" else None}
         for d in jax.devices()]
print("\\n" + json.dumps(found))
"""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; a "fault" keeps training from working, a "note" only from more."""

    subject: str
    state: Literal["ok", "note", "fault"]
    text: str
    advice: str = ""


def examine(timeout: float) -> Iterator[Finding]:
    """All findings; ``timeout`` in seconds is what the accelerators have to answer in."""
    yield Finding("trxc", "ok", f"{__version__}, in {Path(__file__).resolve().parents[2]}")
    yield _python()
    every = requirements()
    yield from map(_package, every)
    if any(item.package == "jax" and item.installed for item in every):
        yield from _devices(timeout)
    yield _memory()
    yield from _allocator()
    yield from _folders()
    yield _terminal()


def _python() -> Finding:
    version = f"{platform.python_version()} ({platform.python_implementation()}), {platform.platform()}"
    return Finding("Python", "ok", version)


def _package(item: Requirement) -> Finding:
    version = item.installed
    name = f'"trxc[{item.extra}]"' if item.extra else f'"{item.package}{item.versions}"'
    if version is None:
        if item.extra:
            text = f"not installed; it would bring {EXTRAS[item.extra]}"
            return Finding(item.package, "note", text, f"pip install {name}")
        needed = "anything" if item.package in NEEDED_TO_CHECK else "training and running"
        return Finding(item.package, "fault", f"not installed; {needed} needs it", f"pip install {name}")
    if not item.allows(version):
        return Finding(item.package, "note", f"{version}, and {item.versions} was tested", f"pip install {name}")
    return Finding(item.package, "ok", version)


def _devices(timeout: float) -> Iterator[Finding]:
    """Asked in a process of its own, as a driver that hangs would hang us too."""
    try:
        ran = subprocess.run(
            [sys.executable, "-c", _DEVICES], capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        advice = "`JAX_PLATFORMS=cpu` works without the accelerator; look at its driver, or for another process on it"
        yield Finding("devices", "fault", f"jax gave no answer within {timeout:g} s", advice)
        return
    except OSError as error:
        yield Finding("devices", "fault", f"cannot start {sys.executable}: {reason(error)}")
        return
    found = _last_json(ran.stdout) if ran.returncode == 0 else None
    if found is None:
        said = (ran.stderr.strip().split("\n") or [""])[-1]
        yield Finding(
            "devices", "fault", f"jax does not start: {said}", "`python -c 'import jax; jax.devices()'` says more"
        )
        return
    yield from _named(found)


def _named(found: list[dict[str, Any]]) -> Iterator[Finding]:
    for number, device in enumerate(found):
        memory = f", {_size(device['memory'])}" if device.get("memory") else ""
        yield Finding(f"device {number}", "ok", f"{device['kind']} ({device['platform']}){memory}")
    if all(device["platform"] == "cpu" for device in found) and shutil.which("nvidia-smi"):
        text = "there is an NVIDIA driver, and jax uses the CPU alone"
        yield Finding("accelerator", "note", text, 'pip install "jax[cuda12]" lets it use the GPU')


def _last_json(text: str) -> list[dict[str, Any]] | None:
    """The list on the last line: a plugin may have said something before."""
    try:
        found: list[dict[str, Any]] = json.loads(text.strip().split("\n")[-1])
    except ValueError:
        return None
    return found


def _memory() -> Finding:
    try:
        page = os.sysconf("SC_PAGE_SIZE")
        whole, free = page * os.sysconf("SC_PHYS_PAGES"), page * os.sysconf("SC_AVPHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return Finding("memory", "ok", f"unknown on this system; {os.cpu_count()} CPU cores")
    text = f"{_size(whole)}, {_size(free)} of it unused; {os.cpu_count()} CPU cores"
    if whole < LITTLE_MEMORY:
        return Finding("memory", "note", text, "little for training: try small models and batches")
    return Finding("memory", "ok", text)


def _allocator() -> Iterator[Finding]:
    """That of processes that train."""
    if not has_choice():
        return
    environment = arranged_environment(os.environ, library := tcmalloc())
    if environment is None:
        yield Finding("allocator", "ok", "as your environment has it")
    elif library and environment.get(PRELOAD, "").startswith(str(library)):
        yield Finding("allocator", "ok", f"tcmalloc, {library}")
    elif library:
        yield Finding("allocator", "ok", "glibc's with settings, as `TRXC_ALLOCATOR` wants it")
    else:
        advice = "tcmalloc trains with less memory and starts sooner: `apt install libtcmalloc-minimal4`"
        yield Finding("allocator", "note", "glibc's with settings", advice)


def _folders() -> Iterator[Finding]:
    base = os.environ.get("XDG_CACHE_HOME", "")
    cache = (Path(base) if Path(base).is_absolute() else Path("~/.cache").expanduser()) / "trxc"
    yield _writable(
        "cache folder", cache, "note", "without it, every run compiles anew; `XDG_CACHE_HOME` names another"
    )
    yield _writable(
        "this folder", Path.cwd(), "note", "runs are written into `runs/` here; go to another, or `--run DIR`"
    )
    yield _writable("temp folder", Path(tempfile.gettempdir()), "fault", "`TMPDIR` names another")


def _writable(subject: str, folder: Path, state: Literal["note", "fault"], advice: str) -> Finding:
    try:
        there = next(path for path in (folder, *folder.parents) if path.exists())
        with tempfile.TemporaryFile(dir=there):
            free = shutil.disk_usage(there).free
    except OSError as error:
        return Finding(subject, state, f"{folder} cannot be written: {reason(error)}", advice)
    if free < LITTLE_DISK:
        return Finding(subject, "note", f"{folder}, {_size(free)} free", "little room for checkpoints")
    return Finding(subject, "ok", f"{folder}, {_size(free)} free")


def _terminal() -> Finding:
    encoding = (sys.stdout.encoding or "unknown").lower()
    kind = "a terminal" if sys.stdout.isatty() else "no terminal"
    text = f"{kind}, {'colours' if coloured(sys.stdout) else 'no colours'}, {encoding}"
    if encoding.replace("-", "") != "utf8":
        return Finding("output", "note", text, "`PYTHONUTF8=1` shows the frames of messages as they are meant")
    return Finding("output", "ok", text)


def _size(count: float) -> str:
    return f"{count / 2**30:,.1f} GiB"
