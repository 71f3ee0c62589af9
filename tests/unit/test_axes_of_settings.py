"""`over = experts`, where `experts` is a setting of the layer, is the dim that it is the size of, and no position."""

from __future__ import annotations

import pytest

import trxc

PROGRAM = """
layer Gate(experts: int) {{
  input x: float[batch, width]
  param w: float[width, experts] = normal(0.5)
  output {0}
}}

model M {{
  input x: float[batch, 3]
  output y = x |> Gate({1})
}}
"""


def axes(text: str, kind: str) -> list[object]:
    """What each op of a kind is done over."""
    module = trxc.compile(text, filename="m.trx").unoptimised
    ops = [op for function in module.functions.values() for op in function.body.walk()]
    return [op.attributes["over"] for op in ops if op.kind == kind]


@pytest.mark.parametrize("experts", [1, 2, 4])
def test_it_is_the_dim_of_that_size(experts: int) -> None:
    assert axes(PROGRAM.format("softmax(x @ w, over = experts)", experts), "softmax") == [(1,)]


def test_it_is_the_dim_that_another_layer_made_of_it() -> None:
    text = PROGRAM.replace("param w: float[width, experts] = normal(0.5)\n  ", "")
    assert axes(text.format("x |> Dense(experts) |> softmax(over = experts)", 2), "softmax") == [(1,)]


def test_several_dims_of_that_size_are_told_apart_by_the_user() -> None:
    text = PROGRAM.format("softmax((x @ w)[:, none, :] * full([1, 4, 1], 1.0), over = experts)", 4)
    (found,) = trxc.check(text, filename="m.trx")
    assert found.code == "TRX0208"
    assert "several axes of [batch, 4, 4] are of that size" in found.message


def test_a_number_by_another_name_is_a_position() -> None:
    text = """
layer Mean {
  input x: float[batch, width]
  last = 1
  output mean(x, over = last)
}

model M {
  input x: float[batch, 3]
  output y = x |> Mean
}
"""
    assert axes(text, "mean") == [(1,)]
