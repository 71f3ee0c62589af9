"""How many tokens one call of a compiled loop draws: more where they are quick, for Python between them costs time."""

from __future__ import annotations

import pytest

from trxc_runtime import stepping


@pytest.mark.parametrize(
    ("pace", "seconds", "next_"),
    [
        (16, 0.01, 160),
        (16, 0.1, 16),
        (16, 3.0, 16),
        (80, 0.05, 160),
        (160, 0.01, stepping.LONGEST_BURST),
        (16, 0.0, stepping.LONGEST_BURST),
    ],
)
def test_bursts_get_as_long_as_is_drawn_in_time(pace: int, seconds: float, next_: int) -> None:
    assert stepping._longer(pace, seconds) == next_
