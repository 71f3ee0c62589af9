"""Walks, copies, trees of parameters, and merging of the intermediate representation."""

from __future__ import annotations

import pytest

from trxc.dims import dim
from trxc.ir import Module, from_text, to_text
from trxc.ir.binding import BindingError, bind_sizes
from trxc.ir.clone import Renaming, clone_function, clone_module, inline_call
from trxc.ir.merge import canonical_text, merge_equal_functions
from trxc.ir.parameters import parameter_tree, state_tree
from trxc.ir.verify import verify
from trxc.ir.walk import call_order, captures, count_uses, reachable, replace, symbols, uses
from trxc.types import FLOAT, TensorType, axis

TEXT = """\
module m

role apply = main

function leaf(x: float[batch, n, %k=2]) -> (y)
  weight w: float[n=4] = ones() from "i:ones"
  state s: float[] = zeros() from "i:zeros"
{
  s: float[] = state() {path=("s",)}
  size: int[] = size() {size=([3 * n], "n")}
  set_state(s) {path=("s",)}
  y: float[batch, n, %k=2] = dropout(x) {rate=0.5, path=("drop",)}
  yield y
}

function middle(x: float[batch, seq, %j=2]) -> (y) {
  y: float[batch, seq, %j=2] = repeat(x) {count=3, path=()} do (a: float[batch, seq, %j=2]) {
    b: float[batch, seq, %j=2] = call(a) {callee="leaf", path=("leaf",)}
    c: float[batch, seq, %j=2] = add(b, x)
    yield c
  }
  yield y
}

function unused(x: float[other]) {
  yield x
}

function main(x: float[batch, seq, 2]) -> (y) {
  y: float[batch, seq, 2] = call(x) {callee="middle", path=("net", "blocks")}
  z: float[batch, seq, 2] = call(y) {callee="middle", path=("tail[1]",)}
  yield z
}
"""


@pytest.fixture
def module() -> Module:
    module = from_text(TEXT)
    assert verify(module) == []
    return module


def test_uses_are_found_in_nested_regions_and_replaced(module: Module):
    function = module.functions["middle"]
    (x,), (repeat,) = function.inputs, function.body.ops
    assert [(use.op.kind, use.index) for use in uses(function.body)[x] if use.op] == [("repeat", 0), ("add", 1)]
    assert count_uses(function.body)[repeat.result] == 1
    assert captures(repeat.regions[0]) == [x]
    replace(function.body, {x: repeat.regions[0].arguments[0], repeat.result: x})
    assert captures(repeat.regions[0]) == []
    assert function.results == [x]


def test_callees_come_before_callers(module: Module):
    module.functions = dict(reversed(module.functions.items()))
    assert call_order(module) == ["leaf", "middle", "main", "unused"]
    assert reachable(module) == {"leaf", "middle", "main"}
    module.functions["leaf"].body.ops += module.functions["main"].body.ops
    with pytest.raises(ValueError, match="`middle` calls itself: main -> middle -> leaf -> middle"):
        call_order(module)


def test_symbols(module: Module):
    assert symbols(module) == {"batch", "n", "seq", "other"}


def test_a_copy_shares_nothing(module: Module):
    copy = clone_module(module)
    assert to_text(copy) == TEXT
    copy.functions["leaf"].body.ops[1].attributes["size"] = (dim(1), None)
    copy.functions["middle"].body.ops[0].regions[0].ops.clear()
    assert to_text(module) == TEXT


def test_a_copy_with_other_sizes_and_names(module: Module):
    renaming = Renaming({"n": dim("length")}, {"n": "length", "%k": "pair"})
    text = to_text(clone_function(module.functions["leaf"], "twig", renaming))
    assert text.startswith("function twig(x: float[batch, length, pair=2]) -> (y)\n  weight w: float[length=4] =")
    assert '{size=([3 * length], "length")}' in text


def test_a_parameter_is_named_by_where_it_stands(module: Module):
    weights = parameter_tree(module, "main")
    assert [(bound.name, bound.path, bound.stack) for bound in weights] == [
        ("net.blocks[*].leaf.w", ("net", "blocks", "leaf", "w"), (3,)),
        ("tail[1][*].leaf.w", ("tail_1", "leaf", "w"), (3,)),
    ]
    assert weights[0].sizes == (dim(3), dim(4))
    assert [bound.name for bound in state_tree(module, "main")] == ["net.blocks[*].leaf.s", "tail[1][*].leaf.s"]
    assert [bound.name for bound in parameter_tree(module, "middle")] == ["[*].leaf.w"]


def test_a_parameter_that_is_no_longer_read_keeps_its_stack():
    module = from_text("""
    module m
    function f(x: float[]) weight blocks.w: float[] = ones() from "i:ones" {
      y: float[] = repeat(x) {count=2, path=("blocks",)} do (a: float[]) { yield a }
      yield y
    }
    """)
    assert [bound.name for bound in parameter_tree(module, "f")] == ["blocks[*].w"]


def test_inlining_renames_sizes_and_moves_paths(module: Module):
    middle = module.functions["middle"]
    inline_call(module, middle, middle.body.ops[0].regions[0].ops[0])
    assert verify(module) == []
    assert (
        to_text(middle)
        == """\
function middle(x: float[batch, seq, %j=2]) -> (y)
  weight leaf.w: float[seq=4] = ones() from "i:ones"
  state leaf.s: float[] = zeros() from "i:zeros"
{
  y: float[batch, seq, %j=2] = repeat(x) {count=3, path=()} do (a: float[batch, seq, %j=2]) {
    s: float[] = state() {path=("leaf", "s")}
    size: int[] = size() {size=([3 * seq], "seq")}
    set_state(s) {path=("leaf", "s")}
    y_2: float[batch, seq, %j=2] = dropout(a) {rate=0.5, path=("leaf", "drop")}
    c: float[batch, seq, %j=2] = add(y_2, x)
    yield c
  }
  yield y
}
"""
    )
    main = module.functions["main"]
    inline_call(module, main, main.body.ops[0])
    assert verify(module) == []
    assert main.body.ops[0].attributes["path"] == ("net", "blocks")
    assert [bound.name for bound in parameter_tree(module, "main")] == ["net.blocks[*].leaf.w", "tail[1][*].leaf.w"]


def test_a_call_that_is_elsewhere_is_not_inlined(module: Module):
    with pytest.raises(ValueError, match="not in `leaf`"):
        inline_call(module, module.functions["leaf"], module.functions["main"].body.ops[0])


def test_sizes_are_bound_alone_or_in_linear_sizes():
    def vector(*sizes: object) -> TensorType:
        return TensorType(FLOAT, tuple(axis(size) for size in sizes))  # pyright: ignore[reportArgumentType]

    n, m = dim("n"), dim("m")
    declared = [vector(4 * dim("h") + n, "n"), vector(dim("n") * dim("k"), 3)]
    given = [(dim(8) * m + 5, dim(5)), (dim(10), dim(3))]
    assert bind_sizes(declared, given) == {"n": dim(5), "h": 2 * m, "k": dim(2)}
    with pytest.raises(BindingError, match="a size is 4 where 3 is declared"):
        bind_sizes(declared, [given[0], (dim(10), dim(4))])
    with pytest.raises(BindingError, match="1 operands where 2"):
        bind_sizes(declared, given[:1])


FIRST = """
module m
role apply = main
role loss = second
function first(x: float[batch, seq, %a=2]) -> (y)
  title "first"
  weight w: float[embed=2] = ones(scale=1.0) from "i:ones"
{
  w: float[embed=2] = parameter() {path=("w",)}
  z: float[batch, seq, %a=2] = multiply(x, w)
  yield z
}
"""
MAIN = """
function main(x: float[rows, seq, embed=2]) {
  y: float[rows, seq, embed=2] = call(x) {callee="first", path=("a",)}
  z: float[rows, seq, embed=2] = call(y) {callee="second", path=("b",)}
  yield z
}
"""


def two(*changes: tuple[str, str]) -> Module:
    second = FIRST[FIRST.index("function") :].replace("first", "second")
    for old, new in changes:
        assert old in second
        second = second.replace(old, new)
    return from_text(FIRST + second + MAIN)


@pytest.mark.parametrize(
    "changes",
    [[], [("batch", "rows"), ("seq", "length"), ("%a", "%b")], [("batch", "seq_"), ("seq,", "batch,")], [("z", "out")]],
)
def test_equal_functions_become_one(changes: list[tuple[str, str]]):
    module = two(*changes)
    assert verify(module) == []
    assert merge_equal_functions(module) == 1
    assert list(module.functions) == ["first", "main"]
    assert module.roles == {"apply": "main", "loss": "first"}
    assert verify(module) == []
    assert [bound.name for bound in parameter_tree(module, "main")] == ["a.w", "b.w"]


@pytest.mark.parametrize(
    "changes",
    [
        [("ones(scale=1.0)", "ones(scale=2.0)")],
        [("weight w", "weight v"), ('("w",)', '("v",)')],
        [("embed=2", "mlp=2")],
        [("multiply", "add")],
        [("multiply(x, w)", "multiply(w, x)")],
        [("-> (y)", "-> (out)")],
        [("seq", "batch")],
        [("%a", "pairs")],
    ],
)
def test_different_functions_stay(changes: list[tuple[str, str]]):
    assert merge_equal_functions(two(*changes)) == 0


def test_symbols_that_no_input_has_are_not_renamed():
    text = "module m function f(x: float[n]) {{ s: int[] = size() {{size=([{}], none)}} yield s }}"
    one, other = (from_text(text.format(size)).functions["f"] for size in ("seq", "keys"))
    assert canonical_text(one) != canonical_text(other)


def test_callers_become_equal_when_their_callees_are():
    leaves = "".join(f"function {name}(x: float[n]) {{ y: float[n] = exp(x) yield y }}" for name in "ab")
    callers = "".join(
        f'function {name}(x: float[k]) {{ y: float[k] = call(x) {{callee="{called}", path=()}} yield y }}'
        for name, called in ("ca", "db")
    )
    module = from_text("module m role apply = d " + leaves + callers)
    assert merge_equal_functions(module) == 2
    assert list(module.functions) == ["a", "c"] and module.roles == {"apply": "c"}


NAMED = """
module m
role apply = f
function leaf(x: float[]) -> (y) weight w: float[] = ones() from "i:ones" {
  y: float[] = parameter() {path=("w",)}
  yield y
}
function f(x: float[]) -> (y) {
  y: float[] = repeat(x) {count=2, path=("layers",), names=NAMES} do (a: float[]) {
    b: float[] = call(a) {callee="leaf", path=("norm",)}
    c: float[] = repeat(b) {count=2, path=("dense",)} do (d: float[]) {
      e: float[] = call(d) {callee="leaf", path=()}
      yield e
    }
    yield c
  }
  yield y
}
"""


def test_slices_may_have_names_of_their_own() -> None:
    module = from_text(NAMED.replace("NAMES", '(("norm", "norm_3"), ("dense", "last"))'))
    assert verify(module) == []
    assert to_text(from_text(to_text(module))) == to_text(module)
    first, second = parameter_tree(module, "f")
    assert (first.path, first.stack, first.name) == (("layers", "norm", "w"), (2,), "norm.w")
    assert first.names == {(0,): "norm.w", (1,): "norm_3.w"}
    assert (second.path, second.stack, second.name) == (("layers", "dense", "w"), (2, 2), "dense[*].w")
    assert list(second.names.values()) == ["dense[0].w", "dense[1].w", "last[0].w", "last[1].w"]
    module = from_text(NAMED.replace("NAMES", '("block", "block_2")'))
    assert list(parameter_tree(module, "f")[0].names.values()) == ["block.norm.w", "block_2.norm.w"]


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ('("a",)', "there is not a name for each of 2 slices"),
        ('("a", "a")', "two slices have the same name"),
        ('("a[0]", "b[1]")', "some slices are numbered"),
        ("(1, 2)", "`names` are no texts"),
        ('(("norm", "dense"), ("dense", "last"))', "two slices have the same name"),
    ],
)
def test_names_of_slices_are_verified(names: str, problem: str) -> None:
    assert any(problem in text for text in verify(from_text(NAMED.replace("NAMES", names))))
