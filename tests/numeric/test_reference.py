"""The reference interpreter against the same computations written by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from trxc.ir import Module, from_text
from trxc.ir.clone import clone_module, inline_call
from trxc.ir.merge import merge_equal_functions
from trxc.ir.parameters import parameter_tree
from trxc.ir.verify import verify
from trxc.reference import EvaluationError, Reference, Tree, init_parameters, init_states

Floats = NDArray[np.float64]

NESTED = """
module m
role apply = main
function dense(x: float[batch, e=3]) -> (y)
  weight w: float[e=3, 3] = normal() from "i:normal"
  weight b: float[3] = zeros() from "i:zeros"
{
  w: float[e=3, 3] = parameter() {path=("w",)}
  b: float[3] = parameter() {path=("b",)}
  p: float[batch, 3] = matmul(x, w)
  y: float[batch, 3] = add(p, b)
  yield y
}
function main(x: float[batch, e=3]) -> (y)
  weight stages.gain: float[] = ones() from "i:ones"
{
  two: float[] = constant() {value=2}
  y: float[batch, e=3] = repeat(x) {count=2, path=("stages",)} do (a: float[batch, e=3]) {
    b: float[batch, e=3] = repeat(a) {count=4, path=("inner", "layers")} do (c: float[batch, e=3]) {
      d: float[batch, e=3] = call(c) {callee="dense", path=("dense",)}
      t: float[batch, e=3] = tanh(d)
      u: float[batch, e=3] = multiply(t, two)
      yield u
    }
    g: float[] = parameter() {path=("gain",)}
    h: float[batch, e=3] = multiply(b, g)
    yield h
  }
  yield y
}
"""

LSTM = """
module m
role apply = lstm
function cell(x: float[batch, 2], h: float[batch, 3], c: float[batch, 3]) -> (h, c)
  weight wx: float[2, 12] = normal() from "i:normal"
  weight wh: float[3, 12] = normal() from "i:normal"
{
  wx: float[2, 12] = parameter() {path=("wx",)}
  wh: float[3, 12] = parameter() {path=("wh",)}
  px: float[batch, 12] = matmul(x, wx)
  ph: float[batch, 12] = matmul(h, wh)
  gates: float[batch, 12] = add(px, ph)
  i: float[batch, 3], f: float[batch, 3], g: float[batch, 3], o: float[batch, 3] = split(gates) {parts=4, along=1}
  si: float[batch, 3] = sigmoid(i)
  sf: float[batch, 3] = sigmoid(f)
  tg: float[batch, 3] = tanh(g)
  so: float[batch, 3] = sigmoid(o)
  kept: float[batch, 3] = multiply(sf, c)
  new: float[batch, 3] = multiply(si, tg)
  c2: float[batch, 3] = add(kept, new)
  tc: float[batch, 3] = tanh(c2)
  h2: float[batch, 3] = multiply(so, tc)
  yield h2, c2
}
function lstm(x: float[batch, seq, 2], h: float[batch, 3], c: float[batch, 3]) -> (hs, h, c) {
  hs: float[batch, seq, 3], hn: float[batch, 3], cn: float[batch, 3] = recur(x, h, c) {
    path=("cell",), axis=1, reverse=false, sequences=1
  } do (xt: float[batch, 2], ht: float[batch, 3], ct: float[batch, 3]) {
    h2: float[batch, 3], c2: float[batch, 3] = call(xt, ht, ct) {callee="cell", path=()}
    yield h2, h2, c2
  }
  yield hs, hn, cn
}
"""


def module_of(text: str) -> Module:
    module = from_text(text)
    assert verify(module) == []
    return module


def tree(entry: object) -> Tree:
    assert isinstance(entry, dict)
    return entry  # pyright: ignore[reportUnknownVariableType]  # a subtree


def leaf(entry: object) -> Floats:
    assert isinstance(entry, np.ndarray)
    return entry


def run(module: Module, function: str, params: Tree, *inputs: Floats) -> list[Floats]:
    return Reference(module).run(function, params, {}, list(inputs))[0]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_nested_repeats_take_slices_of_slices(rng: np.random.Generator):
    module = module_of(NESTED)
    params = init_parameters(module, 1)
    stages = tree(params["stages"])
    dense = tree(tree(tree(stages["inner"])["layers"])["dense"])
    w, b, gain = leaf(dense["w"]), leaf(dense["b"]), leaf(stages["gain"])
    assert (w.shape, b.shape, gain.shape) == ((2, 4, 3, 3), (2, 4, 3), (2,))
    x = rng.normal(size=(5, 3))
    expected = x
    for stage in range(2):
        for layer in range(4):
            expected = 2 * np.tanh(expected @ w[stage, layer] + b[stage, layer])
        expected = expected * gain[stage]
    np.testing.assert_allclose(run(module, "main", params, x)[0], expected, rtol=1e-12)


def test_inlining_into_a_loop_changes_nothing(rng: np.random.Generator):
    module = module_of(NESTED)
    inlined = clone_module(module)
    main = inlined.functions["main"]
    inline_call(inlined, main, next(op for op in main.body.walk() if op.kind == "call"))
    assert verify(inlined) == []
    assert ("stages", "inner", "layers", "dense", "w") in main.parameters
    names = {bound.name: bound.stack for bound in parameter_tree(module, "main")}
    assert names == {bound.name: bound.stack for bound in parameter_tree(inlined, "main")}
    params, x = init_parameters(module, 1), rng.normal(size=(5, 3))
    np.testing.assert_array_equal(run(module, "main", params, x)[0], run(inlined, "main", params, x)[0])


@pytest.mark.parametrize("reverse", [False, True])
def test_recur_carries_along_the_sequence(reverse: bool, rng: np.random.Generator):
    module = module_of(LSTM.replace("reverse=false", f"reverse={str(reverse).lower()}"))
    params = init_parameters(module, 2)
    cell = tree(params["cell"])
    wx, wh = leaf(cell["wx"]), leaf(cell["wh"])
    x, h, c = rng.normal(size=(2, 5, 2)), rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
    hs, hn, cn = run(module, "lstm", params, x, h, c)
    expected = np.zeros((2, 5, 3))
    for t in reversed(range(5)) if reverse else range(5):
        i, f, g, o = np.split(x[:, t] @ wx + h @ wh, 4, axis=1)
        c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
        h = np.tanh(c) / (1 + np.exp(-o))
        expected[:, t] = h
    np.testing.assert_allclose(hs, expected, rtol=1e-12)
    np.testing.assert_allclose(hn, h, rtol=1e-12)
    np.testing.assert_allclose(cn, c, rtol=1e-12)


@pytest.mark.parametrize("flag", [True, False])
def test_cond_takes_one_branch(flag: bool):
    module = module_of("""
    module m
    function f(flag: bool[], x: float[n]) weight w: float[] = ones() from "i:ones" {
      y: float[n] = cond(flag) do () {
        w: float[] = parameter() {path=("w",)}
        a: float[n] = multiply(x, w)
        yield a
      } do () { b: float[n] = negate(x) yield b }
      yield y
    }
    """)
    x = np.array([1.0, -2.0])
    (y,) = run(module, "f", {"w": np.array(3.0)}, np.array(flag), x)
    np.testing.assert_array_equal(y, 3 * x if flag else -x)


def test_equal_paths_share_and_different_ones_do_not():
    module = module_of("""
    module m
    role apply = main
    function scale(x: float[n]) weight w: float[] = ones() from "i:ones" {
      w: float[] = parameter() {path=("w",)}
      y: float[n] = multiply(x, w)
      yield y
    }
    function main(x: float[n]) {
      a: float[n] = call(x) {callee="scale", path=("blocks[0]",)}
      b: float[n] = call(a) {callee="scale", path=("blocks[0]",)}
      c: float[n] = call(b) {callee="scale", path=("blocks[1]",)}
      yield c
    }
    """)
    bound = parameter_tree(module, "main")
    assert [entry.path for entry in bound] == [("blocks_0", "w"), ("blocks_1", "w")]
    assert [entry.name for entry in bound] == ["blocks[0].w", "blocks[1].w"]
    (y,) = run(module, "main", {"blocks_0": {"w": np.array(2.0)}, "blocks_1": {"w": np.array(5.0)}}, np.array([1.0]))
    assert y == [20.0]
    with pytest.raises(EvaluationError, match="there is no parameter `w`"):
        run(module, "main", {"blocks_0": {"w": np.array(2.0)}}, np.array([1.0]))


def test_states_are_read_as_they_were_and_written_slice_by_slice():
    module = module_of("""
    module m
    role apply = main
    function count(x: float[]) state n: float[] = zeros() from "i:zeros" {
      n: float[] = state() {path=("n",)}
      m: float[] = add(n, x)
      set_state(m) {path=("n",)}
      again: float[] = state() {path=("n",)}
      yield again
    }
    function main(x: float[]) {
      one: float[] = constant() {value=1}
      y: float[] = repeat(x) {count=3, path=("counters",)} do (a: float[]) {
        n: float[] = call(a) {callee="count", path=()}
        b: float[] = add(a, one)
        yield b
      }
      yield y
    }
    """)
    assert leaf(tree(init_states(module, 0)["counters"])["n"]).shape == (3,)
    before = {"counters": {"n": np.array([10.0, 20.0, 30.0])}}
    (y,), after = Reference(module).run("main", {}, before, [np.array(1.0)])
    assert y == 4.0
    np.testing.assert_array_equal(leaf(tree(after["counters"])["n"]), [11.0, 22.0, 33.0])
    np.testing.assert_array_equal(before["counters"]["n"], [10.0, 20.0, 30.0])
    (read,), _ = Reference(module).run("count", {}, {"n": np.array(5.0)}, [np.array(1.0)])
    assert read == 5.0


SIZES = """
module m
role apply = main
function length(x: float[batch, seq]) -> (n) { n: int[] = size() {size=([seq + 1], none)} yield n }
function main(x: float[batch, 2 * half], y: float[batch, other]) -> (a, b, c) {
  a: int[] = call(x) {callee="length", path=()}
  b: int[] = call(y) {callee="length", path=()}
  c: int[] = size() {size=([half], none)}
  yield a, b, c
}
"""


def test_sizes_come_from_the_inputs():
    module = module_of(SIZES)
    a, b, c = run(module, "main", {}, np.zeros((1, 6)), np.zeros((1, 9)))
    assert (a, b, c) == (7, 10, 3)
    with pytest.raises(EvaluationError, match="do not fit: a size is 2 where 1 is declared"):
        run(module, "main", {}, np.zeros((1, 6)), np.zeros((2, 9)))
    with pytest.raises(EvaluationError, match="the inputs of `main` do not fit"):
        run(module, "main", {}, np.zeros((1, 7)), np.zeros((1, 9)))


def test_a_result_of_another_shape_is_refused():
    wrong = SIZES.replace(
        "n: int[] = size() {size=([seq + 1], none)}", "n: float[batch] = sum(x) {over=(0,), keep=false}"
    )
    with pytest.raises(EvaluationError, match=r"`sum` gives shape \(6,\)"):
        run(from_text(wrong), "length", {}, np.zeros((1, 6)))


def test_merging_equal_functions_changes_nothing(rng: np.random.Generator):
    dense = NESTED[NESTED.index("function dense") : NESTED.index("function main")]
    other = dense.replace("function dense", "function other").replace("batch", "rows")
    called = NESTED.replace("= tanh(d)", '= call(d) {callee="other", path=("other",)}')
    text = called.replace("function main", other + "function main")
    module = module_of(text)
    merged = clone_module(module)
    assert merge_equal_functions(merged) == 1
    assert verify(merged) == [] and list(merged.functions) == ["dense", "main"]
    params, x = init_parameters(module, 3), rng.normal(size=(2, 3))
    np.testing.assert_array_equal(run(module, "main", params, x)[0], run(merged, "main", params, x)[0])


def test_draws_come_from_the_generator(rng: np.random.Generator):
    module = module_of("""
    module m
    function f(x: float[n]) { y: float[n] = dropout(x) {rate=0.25, path=("drop",)} yield y }
    """)
    (y,), _ = Reference(module).run("f", {}, {}, [np.ones(10_000)], rng)
    assert set(np.unique(y)) == {0.0, 1 / 0.75}
    assert abs(np.mean(y) - 1) < 0.05


def test_floats_are_double_and_ints_long():
    module = module_of("module m function f(x: bf16[], n: u8[]) { yield x, n }")
    x, n = run(module, "f", {}, np.asarray(0.1, np.float32), np.asarray(3, np.uint8))
    assert (x.dtype, n.dtype) == (np.float64, np.int64)
