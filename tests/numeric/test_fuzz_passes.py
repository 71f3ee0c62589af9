"""Random programs: no pass changes what they compute. `python -m tests.fuzz.run` tries more of them, and larger."""

from __future__ import annotations

import pytest
from tests.fuzz.emitted import judge_emitted_module
from tests.fuzz.generate import generate
from tests.fuzz.harmless import judge, judge_module
from tests.fuzz.modules import make_module
from tests.fuzz.shrink import shrink, shrink_module

from trxc.ir import Module
from trxc.ir.printer import to_text
from trxc.ir.verify import verify

PROGRAMS, MODULES, PART = 50, 150, 10


@pytest.mark.parametrize("first", range(0, PROGRAMS, PART))
def test_the_passes_leave_random_programs_as_they_were(first: int) -> None:
    refused: list[str] = []
    for seed in range(first, first + PART):
        text = generate(seed, statements=5).text
        verdict = judge(text, read_all=seed % PART == 0)
        assert verdict.divergence is None, f"seed {seed}: {verdict.divergence}\n{text}"
        if verdict.refused:
            refused.append(f"seed {seed}: {verdict.refused}")
    assert not refused, "right programs by construction"


@pytest.mark.parametrize("first", range(0, MODULES, PART))
def test_the_passes_leave_random_modules_as_they_were(first: int) -> None:
    for seed in range(first, first + PART):
        verdict = judge_module(make_module(seed), read_all=seed % PART == 0)
        assert verdict.divergence is None, f"seed {seed}: {verdict.divergence}"


@pytest.mark.parametrize("seed", range(3))
def test_emitted_modules_compute_the_same_with_all_passes_and_none(seed: int) -> None:
    verdict = judge_emitted_module(make_module(seed, smooth=True))
    assert verdict.divergence is None, f"seed {seed}: {verdict.divergence}"


def test_a_seed_is_a_program() -> None:
    assert generate(3).text == generate(3).text != generate(4).text
    assert to_text(make_module(3)) == to_text(make_module(3)) != to_text(make_module(4))


def test_what_fails_is_made_small() -> None:
    text = next(text for seed in range(100) if "sigmoid(v" in (text := generate(seed).text))
    small = shrink(text, lambda smaller: "sigmoid(v" in smaller)
    assert "sigmoid(v" in small
    assert len(small.splitlines()) < len(text.splitlines())


def test_a_module_that_fails_is_made_small() -> None:
    def has_softmax(module: Module) -> bool:
        return any(op.kind == "softmax" for op in module.role("apply").body.walk())

    module = next(module for seed in range(100) if has_softmax(module := make_module(seed)))
    small = shrink_module(module, has_softmax)
    assert has_softmax(small)
    assert verify(small) == []
    assert len(to_text(small)) < len(to_text(module)) / 2
