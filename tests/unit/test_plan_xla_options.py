"""Which options programs ask XLA for, and where they say so."""

from __future__ import annotations

from pathlib import Path

import pytest

import trxc
from trxc.plan.xla_options import FUSION, NO_UNROLLING

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
    ("part", "target", "options"),
    [
        (DENSE, "cpu", [NO_UNROLLING, FUSION]),
        (DENSE, "gpu", []),
        (ONCE, "cpu", [NO_UNROLLING, FUSION]),
        (TWICE, "cpu", [NO_UNROLLING]),
        (CONVOLUTION, "cpu", [NO_UNROLLING]),
    ],
)
def test_what_xla_is_asked_for(part: tuple[str, str], target: str, options: list[str]) -> None:
    shape, line = part
    program = trxc.compile(PROGRAM.format(shape=shape, line=line), filename="case.trx", target=target)
    assert program.manifest["xla_options"] == options
    said = f"\nXLA_FLAGS=--xla_backend_extra_options={','.join(options)}\n"
    assert (said in program.source) is bool(options)


def test_a_model_alone_asks_for_nothing() -> None:
    shape, line = DENSE
    program = trxc.compile(PROGRAM.format(shape=shape, line=line), filename="case.trx", name="M")
    assert program.manifest["xla_options"] == []


def test_the_runtime_knows_the_same_options() -> None:
    runtime = (Path(__file__).parents[2] / "runtime" / "trxc_runtime" / "xla_options.py").read_text()
    assert f'FUSION = "{FUSION}"' in runtime
    assert f'OPTIONS = ("{NO_UNROLLING}", FUSION)' in runtime
