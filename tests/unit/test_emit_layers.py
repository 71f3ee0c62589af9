"""Functions that are written alike stand in the program once, and everything that is said of them stays true."""

from __future__ import annotations

import ast
from typing import Any

import jax
import numpy as np
import pytest

import trxc
from trxc.emit.layers import common_shape, common_title
from trxc.reference import Reference, init_parameters
from trxc_runtime.safety import check_program

TOWER = """
model Tower() {
  input x: float[batch, 8]
  output y = x |> Dense(32) >> relu >> Dense(32) >> relu >> Dense(4)
}
"""

TOWERS = """
layer Wide(width: int, slope: float = 0.5) {
  input x: float[..., n]
  output y = relu(x |> Dense(width)) * slope
}

model Net() {
  input x: float[batch, 6]
  output y = x |> Wide(12) >> Wide(10) >> Wide(10, slope = 0.25) >> Dense(3)
}
"""

IMAGES = """
model Net() {
  input image: float[batch, 8, 8, 3]
  output y = image |> Conv(4, 3) >> BatchNorm() >> relu >> Conv(6, 3) >> BatchNorm() >> relu
    >> Conv(5, 3, stride = 2) >> mean(over = (1, 2)) >> Dense(2)
}
"""

RANKS = """
model Net() {
  input rows: float[batch, seq, 8]
  output y = rows |> Dense(16) >> mean(over = seq) >> Dense(16) >> Dense(2)
}
"""


def functions(source: str) -> dict[str, str]:
    """The text of each function of a program, by its name."""
    found = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    return {node.name: ast.get_source_segment(source, node) or "" for node in found}


def named(source: str, stem: str) -> list[str]:
    return [name for name in functions(source) if name.startswith(stem)]


@pytest.mark.parametrize(
    ("source", "name", "shape"),
    [(TOWER, "x", (5, 8)), (TOWERS, "x", (5, 6)), (IMAGES, "image", (2, 8, 8, 3)), (RANKS, "rows", (2, 7, 8))],
)
def test_programs_give_what_their_modules_say(source: str, name: str, shape: tuple[int, ...]) -> None:
    compiled = trxc.compile(source, filename="m.trx", verify_each=True)
    check_program(compiled.source)
    program: dict[str, Any] = {"__name__": "program"}
    exec(compile(compiled.source, "program.py", "exec"), program)
    given = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    state = program["init_state"]()
    tree = init_parameters(compiled.unoptimised, 3)
    shapes = jax.tree.map(np.shape, program["init"](jax.random.key(0)))
    assert jax.tree.map(np.shape, tree) == shapes
    results, _ = Reference(compiled.unoptimised).run(
        compiled.unoptimised.roles["apply"], tree, jax.tree.map(np.asarray, state), [given]
    )
    np.testing.assert_allclose(program["apply"](tree, state, {name: given})["y"], results[0], rtol=1e-4, atol=1e-5)


def test_one_function_for_weights_of_any_shape() -> None:
    source = trxc.compile(TOWER, filename="m.trx").source
    assert named(source, "dense") == ["dense"]
    assert functions(source)["tower"].count("dense(params[") == 3


def test_comments_name_what_all_have() -> None:
    text = functions(trxc.compile(TOWER, filename="m.trx").source)["dense"]
    assert "# f32[batch, _]" in text
    assert "32" not in text.replace("f32", "") and "# f32[batch, 4]" not in text


def test_comments_stay_where_the_text_differs() -> None:
    found = functions(trxc.compile(RANKS, filename="m.trx").source)
    assert "# f32[batch, seq, 16]" in found["dense"], "rows are collapsed there"
    assert "# f32[batch, _]" in found["dense_2"]
    assert 'dense_2(params["dense_3"], dense_2(params["dense_2"]' in found["net"]


def test_docstrings_name_what_all_have() -> None:
    found = functions(trxc.compile(TOWERS, filename="m.trx").source)
    wide = [text for name, text in found.items() if name.startswith("wide")]
    assert len(wide) == 2, "a slope is written in the text"
    assert '"""Wide(slope = 0.5)."""' in wide[0]
    assert '"""Wide(width = 10, slope = 0.25)."""' in wide[1]


def test_other_steps_are_other_functions() -> None:
    found = functions(trxc.compile(IMAGES, filename="m.trx").source)
    assert sum(name.startswith("conv") and "params" in text for name, text in found.items()) == 2
    assert [name for name in found if name.startswith("batch_norm")] == ["batch_norm"]


def test_equal_text_of_other_layers_stays_apart() -> None:
    source = """
layer One(n: int) {
  input x: float[..., d]
  param w: float[d, n] = normal(0.1)
  output y = x @ w
}

layer Two(n: int) {
  input x: float[..., d]
  param w: float[d, n] = normal(0.1)
  output y = x @ w
}

model Net() {
  input x: float[batch, 8]
  output y = (x |> Two(3) >> sum(over = -1)) + (x |> One(2) >> sum(over = -1)) + (x |> One(4) >> sum(over = -1))
}
"""
    compiled = trxc.compile(source, filename="m.trx")
    assert sorted(named(compiled.source, "one") + named(compiled.source, "two")) == ["one", "two"]


def test_lines_still_lead_to_their_source() -> None:
    compiled = trxc.compile(IMAGES, filename="m.trx")
    lines = compiled.source.split("\n")
    places = {at: (key, line) for at, key, line in compiled.manifest["lines"]}
    starts = [at for at, text in enumerate(lines, 1) if text.startswith("def batch_norm(")]
    assert [places[at][0] for at in starts] == ["std/norm.trx"]


@pytest.mark.parametrize(("first", "second", "both"), [
    ("f32[batch, 32]", "f32[batch, 32]", "f32[batch, 32]"),
    ("f32[batch, 32, 64]", "f32[batch, 16, 64]", "f32[batch, _, 64]"),
    ("f32[batch, _]", "f32[batch, 16]", "f32[batch, _]"),
    ("f32[8]", "f32[batch, 8]", ""),
    ("f32[8]", "bf16[8]", ""),
    ("f32[8]", "", ""),
    ("", "", ""),
])  # fmt: skip
def test_common_shape(first: str, second: str, both: str) -> None:
    assert common_shape(first, second) == both
    assert common_shape(second, first) == both


@pytest.mark.parametrize(("first", "second", "both"), [
    ("As its author said.", "As its author said.", "As its author said."),
    ("Block(a = 1, b = 2).", "Block(a = 3, b = 2).", "Block(b = 2)."),
    ("Block(a = 1).", "Block(a = 3).", "Block."),
    ("Block(a = 1), without its last projection.", "Block(a = 1).", ""),
    ("Block(a = 1).", "Other(a = 1).", ""),
    ("Block.", "Block(a = 1).", ""),
])  # fmt: skip
def test_common_title(first: str, second: str, both: str) -> None:
    assert common_title(first, second) == both
