"""Random programs: no pass changes what they compute. `python -m tests.fuzz.run` tries more of them, and larger."""

from __future__ import annotations

import pytest
from tests.fuzz.generate import generate
from tests.fuzz.harmless import judge
from tests.fuzz.shrink import shrink

SEEDS, PART = 200, 10


@pytest.mark.parametrize("first", range(0, SEEDS, PART))
def test_the_passes_leave_random_programs_as_they_were(first: int) -> None:
    refused: list[str] = []
    for seed in range(first, first + PART):
        text = generate(seed, statements=5).text
        verdict = judge(text, read_all=seed % PART == 0)
        assert verdict.divergence is None, f"seed {seed}: {verdict.divergence}\n{text}"
        if verdict.refused:
            refused.append(f"seed {seed}: {verdict.refused}")
    assert not refused, "right programs by construction"


def test_a_seed_is_a_program() -> None:
    assert generate(3).text == generate(3).text != generate(4).text


def test_what_fails_is_made_small() -> None:
    text = next(text for seed in range(100) if "sigmoid(v" in (text := generate(seed).text))
    small = shrink(text, lambda smaller: "sigmoid(v" in smaller)
    assert "sigmoid(v" in small
    assert len(small.splitlines()) < len(text.splitlines())
