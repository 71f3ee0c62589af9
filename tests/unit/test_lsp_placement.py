"""Hovering tells where the mesh of a recipe places a value."""

from __future__ import annotations

import pytest
from lsp_documents import at, opened

from trxc.lsp.hover import hover

TEXT = """
layer Up(out: int) {
  input x: float[batch, features]
  dim mlp = out
  param w: float[features, mlp] = normal(0.02)
  output x @ w
}

model M(hidden: int = 64) {
  input x: float[batch, 4]
  h = x |> Up(hidden)
  g = relu(h)
  mean = sum(g, over = batch)
  output y: float[batch, 3] = g - mean |> Dense(3)
}

mesh pod { data = 2, model = 8, batch -> data, mlp -> model }
mesh idle { data = 4, batch -> data }

data d { source = csv("d.csv", columns = ["x"]) }

train t for M {
  data      = d
  loss      = mean(y)
  mesh      = pod
  optimizer = adamw(1e-3)
  batch     = 8
  steps     = 1
}
"""


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("x: float[batch, 4]", "`batch` split over `data` (2)"),
        ("h = x", "`batch` split over `data` (2), `mlp` split over `model` (8), 8 on each"),
        ("w: float", "`mlp` split over `model` (8), 8 on each"),
        ("y: float[batch, 3]", "`batch` split over `data` (2)"),
    ],
)
def test_what_the_program_places_is_told(place: str, told: str):
    document = opened(TEXT)
    found = hover(document, at(document, place))
    assert found is not None
    assert found.text.splitlines()[-1] == f"on mesh `pod`: {told}"
    assert found.text.count("numbers,") == 1


def test_what_xla_places_is_told_apart():
    document = opened(TEXT)
    split, whole = (hover(document, at(document, name)) for name in ("g = relu", "mean = sum"))
    assert split is not None
    assert whole is not None
    assert "8 on each, unless XLA finds better" in split.text
    assert "`mlp` split over `model` (8), 8 on each, unless" in whole.text
    assert "`batch`" not in whole.text.rpartition("on mesh")[2]


def test_dims_that_do_not_divide_and_values_that_are_copied():
    document = opened(TEXT.replace("hidden: int = 64", "hidden: int = 60"))
    found = hover(document, at(document, "w: float"))
    assert found is not None
    assert found.text.endswith("`mlp` whole, as `model` (8) does not divide 60")
    document = opened(TEXT.replace("mlp -> model", "features -> model").replace("batch -> data, ", ""))
    found = hover(document, at(document, "h = x"))
    assert found is not None
    assert found.text.endswith("on mesh `pod`: a copy on every device")


def test_without_a_mesh_nothing_is_told():
    document = opened(TEXT.replace("  mesh      = pod\n", ""))
    found = hover(document, at(document, "h = x"))
    assert found is not None
    assert "mesh" not in found.text
