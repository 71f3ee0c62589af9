"""Warnings about what has no effect, and the comments that allow them."""

from __future__ import annotations

import pytest
from elaboration import codes, diagnostics, model

from trxc.diagnostics.allowed import is_allowed
from trxc.source import Source, Span

HEAD = "model M(width: int = 4) {\n  input x: float[batch, 4]\n"

QUIET = {
    "a binding that is used": "  y = x * width\n  output y",
    "a name that is meant to be unused": "  _y = x * 2.0\n  output x * width",
    "one of several": "  y, z = split(x * width, 2, along = -1)\n  output y",
    "bound anew of itself": "  y = x * width\n  y = y + 1.0\n  output y",
    "a layer whose weight is used": "  t = Dense(width)\n  y = x |> t\n  output y @ t.w",
    "in an axis": "  y: float[rows, columns] = x * width\n  output sum(y, over = columns)",
    "bound in both branches": "  if width > 2 {\n    y = x\n  } else {\n    y = -x\n  }\n  output y",
    "a dim in a type": "  dim n = width\n  y: float[batch, n] = x\n  output y",
    "a condition that names something": "  output if width > 3 or false { x } else { -x }",
}
WARNED = {
    "a binding": ("  y = x * width\n  output x", "TRX0307"),
    "all of several": ("  y, z = split(x * width, 2, along = -1)\n  output x", "TRX0307"),
    "the last of two": ("  y = x * width\n  z = y\n  y = z + 1.0\n  output z", "TRX0307"),
    "a dim": ("  dim n = width\n  output x", "TRX0307"),
    "a weight": ("  param w: float[width] = zeros\n  output x", "TRX0307"),
    "a parameter": ("  output x", "TRX0308"),
    "a branch": ("  output if not true { x * width } else { x }", "TRX0421"),
    "a branch of statements": (
        "  if width > 9 and false {\n    y = x\n  } else {\n    y = -x\n  }\n  output y",
        "TRX0421",
    ),
}


@pytest.mark.parametrize("body", QUIET.values(), ids=list(QUIET))
def test_what_has_an_effect_is_not_warned_of(body: str):
    assert codes(f"{HEAD}{body}\n}}\n") == []


@pytest.mark.parametrize(("body", "code"), WARNED.values(), ids=list(WARNED))
def test_what_has_none_is(body: str, code: str):
    assert [(item.code, item.severity) for item in diagnostics(f"{HEAD}{body}\n}}\n")] == [(code, "warning")]


def test_inputs_and_parameters_of_fns():
    assert codes(model("input x: float[batch, 4], y: float[batch, 4]\noutput x")) == ["TRX0307"]
    assert codes(model("input x: float[batch, 4], like: float[n, 4]\noutput x * n")) == []
    assert codes("fn f(x: float[...], by: float) = x") == ["TRX0308"]


def test_nothing_is_warned_of_beside_an_error():
    assert codes(model("input x: float[batch, 4]\ny = x\noutput z")) == ["TRX0301"]


ALLOWED = (
    "  y = x * 2.0  # allow: TRX0307",
    "  # allow: TRX0307\n  y = x * 2.0",
    "  # meant so  # allow: TRX0213, TRX0307\n  y = x * 2.0",
)


@pytest.mark.parametrize("line", ALLOWED)
def test_a_comment_allows_a_warning(line: str):
    assert codes(f"model M {{\n  input x: float[batch, 4]\n{line}\n  output x\n}}\n") == []


def test_a_comment_allows_its_own_line_and_code_only():
    other = "model M {\n  input x: float[batch, 4]  # allow: TRX0307\n  y = x * 2.0\n  output x\n}\n"
    assert codes(other) == ["TRX0307"]
    assert codes(other.replace("  y", "  # allow: TRX0308\n  y")) == ["TRX0307"]


def test_an_error_cannot_be_allowed():
    assert codes("model M {\n  input x: float[batch, 4]\n  output z  # allow: TRX0301\n}\n") == ["TRX0301"]


def test_a_warning_without_a_place_is_not_allowed():
    source = Source("a.trx", "# allow: TRX0515\n")
    assert not is_allowed("TRX0515", None)
    assert is_allowed("TRX0515", Span(source, 0, 1))
