"""Tables of what `benchmarks/training.py` printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.trainers.tables import read, table

SAID = {"workload": "w4_gpt", "settings": {}}


def step(trainer: str, seconds: float, **others: Any) -> dict[str, Any]:
    return {
        **SAID, "trainer": trainer, "measured": "steps", "step_seconds": seconds, "ratio": 0.4312,
        "spread": [0.38, 1.2049], "first_seconds": 12.04, "temporaries_mb": 515.06, "peak_mb": 1240, **others,
    }  # fmt: skip


def first(trainer: str) -> dict[str, Any]:
    return {
        **SAID, "trainer": trainer, "measured": "first", "first_seconds": 20.0, "second_seconds": 5.25,
        "ratio": 0.5, "spread": [0.4, 0.6], "second_ratio": 0.25, "second_spread": [0.2, 0.3],
    }  # fmt: skip


def test_a_row_says_what_was_measured() -> None:
    lines = table([step("trxc", 0.44), step("PyTorch, eager", 1.2345, temporaries_mb=None)]).splitlines()
    assert lines[2:] == [
        "| w4_gpt | trxc | 440.00 |  |  | 12.0 | 515 | 1,240 |",
        "| w4_gpt | PyTorch, eager | 1,234.50 | 0.43 | 0.38–1.20 | 12.0 |  | 1,240 |",
    ]
    assert {line.count("|") for line in lines} == {9}


def test_rows_of_gpus_say_rates() -> None:
    rates = {"kind": "gpu", "items": "tokens", "items_per_second": 123_456.7, "reached": 0.456}
    steps, gpu = table([step("trxc", 0.44), step("trxc", 0.05, **rates)]).split("\n\n")
    assert "a second" not in steps
    assert gpu.splitlines()[2] == "| w4_gpt | trxc | 50.00 |  |  | 123,457 tokens | 46 % | 12.0 | 515 | 1,240 |"


def test_first_steps_have_a_table_of_their_own() -> None:
    steps, firsts = table([first("trxc"), step("trxc", 1.0), first("Flax NNX")]).split("\n\n")
    assert len(steps.splitlines()) == 3
    assert firsts.splitlines()[2:] == [
        "| w4_gpt | trxc | 20.0 |  |  | 5.2 |  |  |",
        "| w4_gpt | Flax NNX | 20.0 | 0.50 | 0.40–0.60 | 5.2 | 0.25 | 0.20–0.30 |",
    ]


def test_later_lines_count_and_settings_tell_workloads_apart(tmp_path: Path) -> None:
    old, new = tmp_path / "old.jsonl", tmp_path / "new.jsonl"
    shallow = step("trxc", 3.0, settings={"GPT.layers": "6"})
    old.write_text(f"{json.dumps(step('trxc', 1.0))}\n\n{json.dumps(shallow)}\n")
    new.write_text(json.dumps(step("trxc", 2.0)) + "\n")
    rows = read([old, new])
    assert [row["step_seconds"] for row in rows] == [2.0, 3.0]
    assert "| w4_gpt `GPT.layers = 6` | trxc | 3,000.00 |" in table(rows)
