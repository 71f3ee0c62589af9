"""Every miscompilation that is made on purpose is noticed: `python -m tests.fuzz.injections` finds the seeds."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace

import pytest
from tests.fuzz.injections import CAUGHT, INJECTIONS, Injection, trial

SEEDS: dict[str, int] = json.loads(CAUGHT.read_text())


@pytest.mark.parametrize("injection", INJECTIONS, ids=lambda item: f"{item.part}: {item.name}")
def test_a_broken_compiler_is_noticed(injection: Injection) -> None:
    seed = SEEDS[f"{injection.part}: {injection.name}"]
    assert trial(injection, seed).divergence is not None


@pytest.mark.parametrize("injection", INJECTIONS[::8], ids=lambda item: f"{item.part}: {item.name}")
def test_the_compiler_itself_passes_where_broken_ones_do_not(injection: Injection) -> None:
    """What is noticed are the injections, not the programs."""
    unbroken = replace(injection, breaks=contextlib.nullcontext)
    assert trial(unbroken, SEEDS[f"{injection.part}: {injection.name}"]).divergence is None
