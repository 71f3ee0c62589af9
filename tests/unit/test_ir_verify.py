"""The verifier: a good module passes, and every way to spoil it is told."""

from __future__ import annotations

import pytest

from trxc.diagnostics.internal import InternalError
from trxc.dims import dim
from trxc.ir import Function, Module, Op, Region, Value, from_text
from trxc.ir.clone import clone_module
from trxc.ir.verify import verify, verify_or_raise
from trxc.types import FLOAT, INT, TensorType, axis

GOOD = """
module m
role apply = main
function scale(x: float[batch, n]) -> (y)
  weight w: float[] = ones() from "jax.nn.initializers:ones"
  state seen: float[] = zeros() from "jax.nn.initializers:zeros"
{
  w: float[] = parameter() {path=("w",)}
  s: float[] = state() {path=("seen",)}
  t: float[] = add(s, w)
  set_state(t) {path=("seen",)}
  y: float[batch, n] = multiply(x, w)
  yield y
}
function main(x: float[batch, seq, embed=4], flag: bool[]) -> (out)
  weight blocks.shift: float[] = zeros() from "jax.nn.initializers:zeros"
{
  f: float[batch, embed=4] = sum(x) {over=(1,), keep=false}
  z: float[batch, embed=4] = repeat(f) {count=3, path=("blocks",)} do (c: float[batch, embed=4]) {
    p: float[] = parameter() {path=("shift",)}
    d: float[batch, embed=4] = call(c) {callee="scale", path=("scale",)}
    e: float[batch, embed=4] = add(d, p)
    yield e
  }
  o: float[batch, seq, embed=4], h: float[batch, embed=4] = recur(x, z) {
    path=("cell",), axis=1, reverse=false, sequences=1
  } do (u: float[batch, embed=4], v: float[batch, embed=4]) {
    n: float[batch, embed=4] = add(u, v)
    yield n, n
  }
  q: float[batch, embed=4] = cond(flag) do () { yield h } do () { yield z }
  one: float[] = constant() {value=1}
  size: int[] = size() {size=([2 * seq], none)}
  noise: float[batch, embed=4] = dropout(q) {rate=0.5, path=("drop",)}
  yield noise
}
"""


def test_a_good_module_has_no_problems():
    module = from_text(GOOD)
    assert verify(module) == []
    verify_or_raise(module, "test")
    assert verify(clone_module(module)) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("role apply = main", "role apply = nobody", "the role `apply` is played by `nobody`"),
        ("add(s, w)", "adds(s, w)", "scale: `adds`: there is no such op"),
        ("t: float[] = add", "t: float[2] = add", "scale: `add`: its result is float[2], not float[]"),
        ("t: float[] = add", "t: int[] = add", "scale: `add`: its result is int[], not float[]"),
        ("{over=(1,), keep=false}", "{keep=false}", "`sum`: its operands or attributes do not fit (KeyError: 'over')"),
        ("rate=0.5, path", "rate=0.5, pth", "`dropout`: it draws, and has no `path`"),
        ('-> (out)', '-> (out, more)', "2 output names for 1 results"),
        ('parameter() {path=("w",)}', 'parameter() {path=("v",)}', "there is no `v` in the function or what it calls"),
        ('parameter() {path=("w",)}', "parameter() {path=3}", "`path` is no path"),
        ('parameter() {path=("w",)}', 'parameter() {path=("seen",)}', "`seen` is a state"),
        ('state() {path=("seen",)}', 'state() {path=("w",)}', "`w` is a weight"),
        ("weight w: float[]", "weight w: float[1]", "`w` is float[1], not float[]"),
        ('set_state(t) {', 'set_state(x) {', "`seen` is float[], not float[batch, n]"),
        ('set_state(t) {', 'set_state(t, t) {', "it has 2 operands, not 1"),
        ('parameter() {path=("shift",)}', 'parameter() {path=("blocks", "shift")}', "no `blocks.blocks.shift`"),
        ('callee="scale"', 'callee="scales"', "there is no function `scales`"),
        ('callee="scale", ', "", "there is no function ``"),
        ('callee="scale"', 'callee="main"', "`main` calls itself: main -> main"),
        ("call(c)", "call(p)", "operand 0 has 0 axes where 2 are declared"),
        ("d: float[batch, embed=4] = call", "d: float[batch, embed=5] = call", "result 0 is float[batch, embed=5]"),
        ("count=3", "count=0", "`count` is no int above 0"),
        ("yield e", "yield p", "yielded value 0 is float[]"),
        ("yield e", "yield e, e", "2 yielded values where the operands ask for 1"),
        ("do (c: float[batch, embed=4])", "do (c: float[batch, embed=5])", "argument 0 is float[batch, embed=5]"),
        ("z: float[batch, embed=4] = repeat", "z: float[embed=4, batch] = repeat", "result 0 is float[embed=4, batch]"),
        ("axis=1", "axis=3", "not every one of 1 sequences has an axis 3"),
        ("sequences=1", "sequences=true", "`sequences` must be an int"),
        ("o: float[batch, seq, embed=4]", "o: float[seq, batch, embed=4]", "result 0 is float[seq, batch, embed=4]"),
        ("yield n, n", "yield n, u, v, n", "2 results where what the region yields ask for 4"),
        ("do (u: float[batch, embed=4]", "do (u: float[seq, embed=4]", "argument 0 is float[seq, embed=4]"),
        ("cond(flag)", "cond(f)", "the predicate is a float[batch, embed=4]"),
        ("do () { yield z }", "do () { yield x }", "yielded value 0 is float[batch, seq, embed=4]"),
        ("do () { yield z }", "", "it has 1 regions, not 2"),
        ("{ yield h }", "{ yield n }", "which cannot be seen from here"),
        ("value=1", 'value="1"', "`value` is no number or truth value"),
        ("value=1", "value=true", "the value True is no float[]"),
        ("size=([2 * seq], none)", "size=4", "`size` is no pair"),
        ("size: int[]", "size: float[]", "a size is no float[]"),
        ("weight blocks.shift", "weight blocks.scale.w", "there is no `blocks.shift`"),
    ],
)  # fmt: skip
def test_a_spoilt_module_is_told(old: str, new: str, problem: str):
    assert GOOD.count(old) == 1
    problems = verify(from_text(GOOD.replace(old, new)))
    assert any(problem in text for text in problems), problems


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('path=("scale",)', 'path=("shift",)', "`blocks.shift` is both a parameter and a part of the path of others"),
        ('path=("scale",)', "path=()", None),
        ("weight w: ", 'weight blocks[0]: float[] = ones() from "a:b" weight blocks_0: ', "declared twice"),
    ],
)  # fmt: skip
def test_paths_are_apart(old: str, new: str, problem: str | None):
    text = (
        GOOD.replace(old, new)
        .replace("blocks[0]", '"blocks[0]"')
        .replace('("w",)', '("blocks_0",)' if "_0" in new else '("w",)')
    )
    problems = verify(from_text(text))
    assert not problems if problem is None else any(problem in text for text in problems), problems


def test_a_path_reached_twice_must_agree():
    text = """
    module m
    function a(x: float[]) weight w: float[] = ones() from "i:ones" {
      w: float[] = parameter() {path=("w",)} yield w }
    function b(x: float[]) weight w: float[] = zeros() from "i:zeros" {
      w: float[] = parameter() {path=("w",)} yield w }
    function main(x: float[]) {
      y: float[] = call(x) {callee="a", path=("layer",)}
      z: float[] = call(y) {callee="b", path=("layer",)}
      yield z
    }
    """
    assert verify(from_text(text)) == ["main: the parameter `layer.w` is declared twice, differently"]
    assert verify(from_text(text.replace('zeros() from "i:zeros"', 'ones() from "i:ones"'))) == []


def test_a_layer_reads_the_weights_of_one_that_it_calls():
    text = """
    module m
    function table(x: float[]) weight w: float[] = ones() from "i:ones" {
      w: float[] = parameter() {path=("w",)} yield w }
    function main(x: float[]) {
      y: float[] = call(x) {callee="table", path=("table",)}
      w: float[] = parameter() {path=("table", "w")}
      z: float[] = repeat(w) {count=2, path=("loop",)} do (a: float[]) { yield a }
      yield z
    }
    """
    assert verify(from_text(text)) == []
    stacked = text.replace('path=("table",)', 'path=("loop", "table")').replace(
        '("table", "w")', '("loop", "table", "w")'
    )
    assert verify(from_text(stacked)) == []
    inside = text.replace("{ yield a }", '{ b: float[] = call(a) {callee="table", path=()} yield b }')
    assert verify(from_text(inside)) == []
    outside = inside.replace('("table", "w")', '("loop", "w")')
    assert verify(from_text(outside)) == [
        "main: `parameter`: `loop.w` is in other loops where it is declared or read elsewhere"
    ]


def test_callees_come_first():
    text = 'module m function f() { call() {callee="g", path=()} yield } function g() { yield }'
    assert verify(from_text(text)) == ["`f` calls `g`, which is defined after it"]


def test_single_assignment():
    scalar = TensorType(FLOAT)
    x, y = Value(scalar, "x"), Value(scalar, "y")
    early, twice = Op("exp", [y], {}, [x]), Op("exp", [x], {}, [x])
    module = Module("m", {"f": Function("f", Region([], [early, twice, twice], [x]))})
    problems = verify(module)
    assert "f: `exp` uses <y: float[]>, which is not defined before" in problems
    assert "f: `exp` defines <x: float[]> again" in problems
    assert "f: `exp` stands in two places" in problems


def test_names_and_keys_agree():
    module = Module("m", {"g": Function("f", Region([]))})
    assert verify(module) == ["the function `f` is listed as `g`"]


def test_a_broken_module_is_an_internal_error():
    vector = Value(TensorType(INT, (axis(dim("n")),)))
    module = Module("m", {"f": Function("f", Region([], [], [vector]))})
    with pytest.raises(InternalError) as caught:
        verify_or_raise(module, "simplify")
    assert caught.value.phase == "simplify" and "not defined before" in caught.value.message
