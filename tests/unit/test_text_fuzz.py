"""Texts of every kind end in diagnostics, in time. `python -m tests.fuzz.text` checks as many as one likes."""

from __future__ import annotations

from tests.fuzz.text import MAKERS, generate, judge


def test_texts_of_every_kind_end_in_diagnostics():
    assert [problem for seed in range(8 * len(MAKERS)) if (problem := judge(seed)) is not None] == []


def test_a_seed_is_a_text():
    assert [generate(seed) for seed in range(24)] == [generate(seed) for seed in range(24)]
    assert len({generate(seed) for seed in range(24)}) == 24
