"""How many tokens one call of a compiled loop draws: more where they are quick, for Python between them costs time."""

from __future__ import annotations

import pytest

from trxc_runtime import stepping


@pytest.mark.parametrize(
    ("pace", "seconds", "next_"),
    [
        (16, 0.01, 80),
        (16, 0.05, 16),
        (16, 3.0, 16),
        (80, 0.03, 133),
        (133, 0.01, stepping.LONGEST_BURST),
        (16, 0.0, stepping.LONGEST_BURST),
    ],
)
def test_bursts_get_as_long_as_is_drawn_in_time(pace: int, seconds: float, next_: int) -> None:
    assert stepping._longer(pace, seconds) == next_
