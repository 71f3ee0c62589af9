"""Texts of every kind end in diagnostics, in time. `python -m tests.fuzz.text` checks as many as one likes."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.fuzz.text import MAKERS, Record, generate, judge, recorded, run


def test_texts_of_every_kind_end_in_diagnostics():
    assert [problem for seed in range(8 * len(MAKERS)) if (problem := judge(seed)) is not None] == []


def test_a_seed_is_a_text():
    assert [generate(seed) for seed in range(24)] == [generate(seed) for seed in range(24)]
    assert len({generate(seed) for seed in range(24)}) == 24


def test_a_run_goes_on_from_its_record(tmp_path: Path):
    path = tmp_path / "record.json"
    record = Record(0, 130)
    record.add(range(100), ["7: 3.0 s"], 1_000, 2.5)
    record.keep(path)
    again = recorded(path, 0, 130)
    assert again == record
    run(again, 1, path)
    assert (again.done, again.failed) == (130, ["7: 3.0 s"])
    assert recorded(path, 0, 130) == again
    with pytest.raises(ValueError, match="130 texts from seed 0"):
        recorded(path, 0, 131)
