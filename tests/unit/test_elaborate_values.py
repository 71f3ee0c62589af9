"""Compile-time values: what numbers, names, lists and conditions come to, said by `require` in the program itself."""

from __future__ import annotations

import pytest
from elaboration import codes, model, output, problem

from trxc.elaborate import body

TRUE = [
    "7 // 2 == 3",
    "-7 // 2 == -4",
    "7 % 3 == 1",
    "-7 % 3 == 2",
    "8 / 2 == 4",
    "2 ^ 10 == 1_024",
    "2 ^ 3 ^ 2 == 512",
    "-2 ^ 2 == -4",
    "2 ^ -1 == 0.5",
    "1 / 4.0 == 0.25",
    "7.5 // 2 == 3.0",
    "1e-3 * 1_000 == 1.0",
    "1 == 1.0",
    "3 * (4 + 5) - 1 == 26",
    "2 + 3 * 4 == 14",
    "sqrt(16.0) == 4.0",
    "maximum(3, 5) == 5",
    "abs(-3) == 3",
    "exp(0.0) == 1.0",
    "not (1 > 2)",
    "1 < 2 and 2 < 3",
    "1 > 2 or 2 < 3",
    "true or 1 / 0 == 1",
    "not (false and 1 / 0 == 1)",
    "none == none",
    "none != 3",
    '"a" + "b" == "ab"',
    "length([1, 2, 3]) == 3",
    "[1, 2, 3][0] == 1",
    "[1, 2, 3][-1] == 3",
    "length([1, 2, 3][1:]) == 2",
    "length(range(5)) == 5",
    "range(2, 5)[0] == 2",
    "length([i for i in range(10) if i % 2 == 0]) == 5",
    "[i * i for i in range(4)][3] == 9",
    "length(x.shape) == 3",
    "x.rank == 3",
    "x.shape[2] == 6",
    "(if 1 < 2 { 10 } else { 1 / 0 }) == 10",
    "width == 6",
    "double(4) == 8",
    "scale == 0.5",
    "sizes[1] == 4",
    "twice_width == 12",
    "pi > 3.14 and pi < 3.15",
    "inf > 1e30",
    "n == 3",
    "n * width == 18",
]

PROGRAM = """
const width = 6
const scale = 1 / 2.0
const sizes = [2, width - 2]
const twice_width = double(width)
fn double(n: int) = 2 * n
model M(n: int = 3) {{
  input x: float[batch, seq, 6]
  require {condition}
  output x * n
}}
"""


@pytest.mark.parametrize("condition", TRUE)
def test_a_true_condition_is_silent(condition: str):
    assert codes(PROGRAM.format(condition=condition)) == []


@pytest.mark.parametrize("condition", TRUE)
def test_its_opposite_is_an_error(condition: str):
    assert problem(PROGRAM.format(condition=f"not ({condition})")).code == "TRX0420"


NO_VALUE = {
    "7 / 2": "TRX0210",
    "1 / 0": "TRX0212",
    "1 // 0": "TRX0212",
    "1 % 0": "TRX0212",
    "1.0 / 0": "TRX0212",
    "10.0 ^ 400": "TRX0212",
    "(-1.0) ^ 0.5": "TRX0212",
    "9 ^ 99": "TRX0212",
    "1 + true": "TRX0206",
    '1 + "a"': "TRX0206",
    "-true": "TRX0206",
    "1 and true": "TRX0206",
    "[1, 2][2]": "TRX0209",
    "[1, 2][-3]": "TRX0209",
    "3[0]": "TRX0403",
    "3 @ 4": "TRX0206",
    "missing_name": "TRX0301",
    "[i for i in 3]": "TRX0403",
    "length(3)": "TRX0405",
    "range(1.5)": "TRX0405",
    "(3).shape": "TRX0403",
    "x.size": "TRX0403",
    "range()": "TRX0412",
    "range(1, 2, 3)": "TRX0410",
    "double(1, 2)": "TRX0410",
    "double(m = 1)": "TRX0409",
    "3(4)": "TRX0403",
    "if 3 { 1 } else { 2 }": "TRX0406",
    "x.shape.rank": "TRX0403",
}


@pytest.mark.parametrize(("expression", "code"), NO_VALUE.items())
def test_what_has_no_value_is_an_error(expression: str, code: str):
    assert problem(PROGRAM.format(condition=f"({expression}) == 1")).code == code


def test_an_unknown_name_is_told_with_the_nearest():
    found = problem(PROGRAM.format(condition="widht == 6"))
    assert found.helps == ("did you mean `width`?",)
    assert found.span is not None
    assert found.span.text == "widht"


def test_constants_that_need_each_other_are_one_error():
    assert problem("const a = b + 1\nconst b = a + 1\n" + model("input x: float[n]\noutput x * a")).code == "TRX0404"


def test_a_wrong_constant_is_one_error_wherever_it_is_used():
    assert problem("const a = 1 / 3\nconst b = a\n" + model("input x: float[n]\noutput x * a + b")).code == "TRX0210"


BOUNDS = {
    "list": ("[i for i in range(20_000)]", "TRX0402"),
    "range": ("range(1_000_000_000)", "TRX0402"),
    "lists of lists": ("[[i for i in range(9_000)] for j in range(9_000)]", "TRX0402"),
    "digits": ("10 ^ 63", "TRX0212"),
    "depth": ("deep(1)", "TRX0401"),
}


@pytest.mark.parametrize(("expression", "code"), BOUNDS.values(), ids=BOUNDS)
def test_expansion_is_bounded(expression: str, code: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(body, "MAX_STEPS", 3_000)
    text = "fn deep(n: int) = deep(n + 1)\n" + model(f"input x: float[n]\ny = {expression}\noutput x")
    assert problem(text).code == code


@pytest.mark.parametrize("bound", ["MAX_STEPS", "MAX_OPS"])
def test_expansion_of_operations_is_bounded(bound: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(body, bound, 1_000)
    layer = "layer Wide(f: layer) {\n input x: float[n]\n output x |> f |> f |> f |> f |> f |> f |> f |> f\n}\n"
    nested = "relu"
    for _ in range(7):
        nested = f"Wide({nested})"
    assert problem(layer + model(f"input x: float[n]\noutput x |> {nested}")).code == "TRX0402"


def test_fns_that_double_at_every_level_are_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(body, "MAX_STEPS", 1_000)
    fns = "".join(f"fn f{i}(n: int) = f{i + 1}(n) + f{i + 1}(n)\n" for i in range(50)) + "fn f50(n: int) = n\n"
    assert problem(fns + model("input x: float[n]\nrequire f0(1) == 3\noutput x")).code == "TRX0402"


def test_copies_that_differ_are_bounded():
    text = model("input x: float[batch, 4]\noutput x |> repeat(1_001, fn(i) => Dense(4 + i)) |> Dense(4)")
    assert problem(text).code == "TRX0402"


def test_a_huge_repeat_of_equal_layers_is_one_loop():
    assert codes(model("input x: float[batch, 4]\noutput x |> repeat(100_000, Dense(4))")) == []
    found = problem(model("input x: float[batch, 4]\noutput x |> repeat(1_000_000_000, Dense(4))"))
    assert found.code == "TRX0402"


@pytest.mark.parametrize(
    ("order", "expected"),
    [("[2, 0, 1]", "float[4, rows, keys]"), ("[1, 0, -1]", "float[keys, rows, 4]"),
     ("[keys, 2, rows]", "float[keys, 4, rows]")],
)  # fmt: skip
def test_an_order_of_dims_is_kept_as_it_is_written(order: str, expected: str):
    assert output(model(f"input x: float[rows, keys, 4]\noutput transpose(x, {order})")) == expected
