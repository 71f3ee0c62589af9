"""What a program is compiled for: the choices of lowering that differ by backend, each with what put it there.

A program compiled for one target is right on all of them, only perhaps not the fastest. Figures are ratios of step
time, with ÷ without, from ``benchmarks/passes.py`` on the machine that its results name; a choice without a figure is
what the backend's documentation recommends, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """The choices for one backend."""

    name: str


TARGETS: dict[str, Target] = {target.name: target for target in (Target("cpu"), Target("gpu"), Target("tpu"))}
"""All targets by name."""

DEFAULT = "cpu"
"""The target where none is named: compiling the same file gives the same program on every machine."""
