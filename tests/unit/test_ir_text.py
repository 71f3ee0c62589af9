"""The printer and the reader of the intermediate representation."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trxc.dims import Dim, dim
from trxc.ir import Function, Initializer, IRSyntaxError, Module, Op, Parameter, Region, Value, from_text, to_text
from trxc.ir.walk import definitions
from trxc.types import BOOL, DTYPES, FLOAT, Axis, TensorType

SAMPLE = """\
module gpt

role apply = gpt

function dense(x: float[batch, seq, embed=4]) -> (y)
  title "Dense(4)"
  doc "Says \\"hello\\".\\nTwice."
  weight w: float[embed=4, %out=4] = normal(stddev=0.02, fan=none) from "jax.nn.initializers:normal"
  state mean.running: float[4] = zeros() from "jax.nn.initializers:zeros"
{
  w: float[embed=4, %out=4] = parameter() {path=("w",)}
  y: float[batch, seq, %out=4] = matmul(x, w)
  set_state(w) {path=("mean", "running")}
  yield y
}

function gpt(x: float[batch, seq, embed=4], "do": bool[_=batch, "a b"=seq // 2 - 1]) -> (logits, "x y") {
  x_2: float[batch, seq, embed=4] = repeat(x) {count=6, path=("blocks",)} do (x_3: float[batch, seq, embed=4]) {
    %0: float[batch, seq, embed=4] = call(x_3) {callee="dense", path=()}
    yield %0
  }
  %1: int[] = size() {size=([-batch + 2 * seq^2 / 3 + 1], "n")}
  cond("do") do () {
    yield
  } do () {
    yield
  }
  yield x_2, %1
}
""".replace("seq // 2 - 1", "(seq // 2) - 1")


def test_a_printed_module_reads_back():
    assert to_text(from_text(SAMPLE)) == SAMPLE


def test_reading_gives_the_data():
    module = from_text(SAMPLE)
    dense = module.functions["dense"]
    assert module.roles == {"apply": "gpt"}
    assert dense.title == "Dense(4)" and dense.doc == 'Says "hello".\nTwice.' and dense.output_names == ["y"]
    assert dense.parameters["w",].initializer == Initializer(
        "normal", "jax.nn.initializers:normal", (("stddev", 0.02), ("fan", None))
    )
    assert not dense.parameters["mean", "running"].trainable
    matmul = dense.body.ops[1]
    assert matmul.operands == [dense.inputs[0], dense.body.ops[0].result]
    condition = module.functions["gpt"].inputs[1]
    assert condition.name == "do"
    assert condition.type == TensorType(BOOL, (Axis(dim("batch"), None), Axis(dim("seq") // 2 - 1, "a b")))
    size = module.functions["gpt"].body.ops[1].attributes["size"]
    assert size == ((dim("seq") ** 2 * 2).divided_by(3) - dim("batch") + 1, "n")


def test_equal_names_are_made_unique():
    values = [Value(TensorType(FLOAT), name) for name in ("x", "x", "x_2", None, "x", None)]
    text = to_text(Function("f", Region(values)))
    assert text.startswith(
        "function f(x: float[], x_2: float[], x_2_2: float[], %0: float[], x_3: float[], %1: float[])"
    )


@pytest.mark.parametrize(
    ("line", "old", "new", "reason"),
    [
        (11, "parameter()", "parameter(", "unexpected `{`"),
        (12, "matmul(x, w)", "matmul(x, v)", "`v` is not defined above"),
        (12, "y: float", "w: float", "`w` is defined twice"),
        (12, "y: float", "y: floaty", "`floaty` is no dtype"),
        (11, "%out=4", "%out=4 / 0", "division by zero"),
        (8, '"jax.nn.initializers:normal"', '"\\q"', '"\\q" is not a JSON string'),
        (11, '("w",)', "3&", "unexpected character '&'"),
        (8, "embed=4", "embed=" + "9" * 5000, "the number has too many digits"),
        (17, "function gpt", "function dense", "the function `dense` is defined twice"),
    ],
)
def test_a_mistake_is_told_with_its_line(line: int, old: str, new: str, reason: str):
    lines = SAMPLE.split("\n")
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new, 1)
    with pytest.raises(IRSyntaxError) as caught:
        from_text("\n".join(lines))
    assert (caught.value.reason, caught.value.line) == (reason, line)


def test_a_text_that_breaks_off_is_told():
    with pytest.raises(IRSyntaxError, match="line 4: the text ends too early"):
        from_text("module m\n\nfunction f() {\n")


def test_deep_nesting_is_refused():
    text = "module m function f() {" + "a() do () {" * 500 + "yield" + "} yield" * 500 + "}"
    with pytest.raises(IRSyntaxError, match="nested too deep"):
        from_text(text)
    size = "(" * 5000 + "a" + " // b)" * 5000
    with pytest.raises(IRSyntaxError, match="a size grew out of bounds"):
        from_text(f"module m function f(x: float[{size}]) {{ yield }}")


def test_the_parser_is_loaded_only_to_read():
    code = "import sys, trxc.ir, trxc.ir.reader; sys.exit('lark' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# ------------------------------------------------------------------------------------- modules made at random

NAMES = st.sampled_from(["x", "x", "x_2", "y", "do", "yield", "odd name", "%0", "é", '"', "_", "weight", "module", ""])
SYMBOLS = st.sampled_from(["batch", "seq", "a", "b"]).map(dim)
SIZES = st.recursive(
    SYMBOLS | st.integers(0, 40).map(dim),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: p[0] + p[1]),
        st.tuples(inner, inner).map(lambda p: p[0] - p[1]),
        st.tuples(inner, inner).map(lambda p: p[0] * p[1]),
        st.tuples(inner, st.fractions(Fraction(1, 9), 9)).map(lambda p: p[0] * p[1].numerator),
        st.tuples(inner, SYMBOLS).map(lambda p: p[0].divided_by(p[1])),
        st.tuples(inner, st.integers(1, 5)).map(lambda p: p[0].divided_by(p[1])),
        st.tuples(inner, SYMBOLS | st.integers(2, 9).map(dim)).map(lambda p: p[0] // p[1]),
        st.tuples(inner, SYMBOLS | st.integers(2, 9).map(dim)).map(lambda p: p[0] % p[1]),
    ),
    max_leaves=4,
)
AXES = st.builds(Axis, SIZES, st.none() | st.sampled_from(["embed", "batch", "%k", "%k.1", "_", "two words", "7"]))
TYPES = st.builds(TensorType, st.sampled_from(list(DTYPES.values())), st.lists(AXES, max_size=3).map(tuple))
ATTRIBUTES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | SIZES
    | st.sampled_from(list(DTYPES.values())),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=5,
)
VALUES = st.builds(Value, TYPES, st.none() | NAMES)
INITIALIZERS = st.builds(
    Initializer,
    NAMES,
    st.text(max_size=5),
    st.dictionaries(NAMES, ATTRIBUTES, max_size=2).map(lambda d: tuple(d.items())),
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(tuple)
PARAMETERS = st.builds(Parameter, PATHS, TYPES, INITIALIZERS, st.booleans())


@st.composite
def regions(draw: st.DrawFn, outer: tuple[Value, ...] = (), depth: int = 0) -> Region:
    region = Region(draw(st.lists(VALUES, max_size=2)))
    seen = [*outer, *region.arguments]
    for _ in range(draw(st.integers(0, 3))):
        inner = draw(st.lists(regions(tuple(seen), depth + 1), max_size=2)) if depth < 2 else []
        attributes = draw(st.dictionaries(NAMES, ATTRIBUTES, max_size=2))
        op = Op(draw(NAMES), [], attributes, draw(st.lists(VALUES, max_size=2)), inner)
        if seen:
            op.operands = draw(st.lists(st.sampled_from(seen), max_size=3))
        region.ops.append(op)
        seen += op.results
    if seen:
        region.results = draw(st.lists(st.sampled_from(seen), max_size=2))
    return region


@st.composite
def modules(draw: st.DrawFn) -> Module:
    module = Module(draw(NAMES))
    for name in draw(st.lists(NAMES, unique=True, max_size=2)):
        declared = {parameter.path: parameter for parameter in draw(st.lists(PARAMETERS, max_size=2))}
        outputs = draw(st.lists(NAMES, max_size=2))
        module.functions[name] = Function(name, draw(regions()), declared, outputs, draw(st.text()), draw(st.text()))
    module.roles = draw(st.dictionaries(NAMES, NAMES, max_size=2))
    return module


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(modules())
def test_any_module_reads_back(module: Module):
    text = to_text(module)
    again = from_text(text)
    assert to_text(again) == text
    for name, function in module.functions.items():
        mine, theirs = definitions(function.body), definitions(again.functions[name].body)
        assert [value.type for value in mine] == [value.type for value in theirs]
        assert function.parameters.keys() == again.functions[name].parameters.keys()


@settings(max_examples=150, deadline=None)
@given(SIZES)
def test_any_size_reads_back(size: Dim):
    module = Module("m", {"f": Function("f", Region([Value(TensorType(FLOAT, (Axis(size),)))]))})
    assert from_text(to_text(module)).functions["f"].inputs[0].type.sizes == (size,)
