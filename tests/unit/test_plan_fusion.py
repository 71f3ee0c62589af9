"""Which programs ask XLA for multi-output fusion, and where they say so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import trxc
from trxc.plan.fusion import XLA_FLAG

PROGRAM = """
model M {{
  input x: float[batch, {shape}]
  input places: int[batch]
  param rows: float[8, 4] = zeros
  param more: float[8, 4] = zeros
  {line}
}}

data d {{
  source = arrays()
  fields {{ x = float[{shape}], places = int }}
}}

train t for M {{
  data = d
  loss = mean(y)
  optimizer = sgd(0.1)
  batch = 4
  steps = 1
}}
"""
DENSE = ("4", "output y: float[batch, 2] = x |> Dense(2)")
ONCE = ("4", "output y: float[8, 4] = scatter_add(rows, places, x) + more")
TWICE = ("4", "output y: float[8, 4] = scatter_add(rows, places, x) * scatter_add(more, places, x)")
CONVOLUTION = ("8, 8, 3", "output y: float[batch, 8, 8, 2] = x |> Conv(2)")


@pytest.mark.parametrize(
    ("part", "target", "fuses"),
    [
        (DENSE, "cpu", True),
        (DENSE, "gpu", False),
        (ONCE, "cpu", True),
        (TWICE, "cpu", False),
        (CONVOLUTION, "cpu", False),
    ],
)
def test_what_xla_is_asked_for(part: tuple[str, str], target: str, fuses: bool) -> None:
    shape, line = part
    program = trxc.compile(PROGRAM.format(shape=shape, line=line), filename="case.trx", target=target)
    assert program.manifest["multi_output_fusion"] is fuses
    assert (XLA_FLAG in program.source) is fuses


def test_a_model_alone_asks_for_nothing() -> None:
    shape, line = DENSE
    program = trxc.compile(PROGRAM.format(shape=shape, line=line), filename="case.trx", name="M")
    assert program.manifest["multi_output_fusion"] is False


def test_the_runtime_knows_the_same_option() -> None:
    runtime = Path(__file__).parents[2] / "runtime" / "trxc_runtime" / "fusion.py"
    flag = re.search(r'^FLAG = "(.*)"$', runtime.read_text(), re.MULTILINE)
    assert flag is not None
    assert flag[1] == XLA_FLAG
