"""The text of emitted programs: whole ones against stored text, and what must hold of any."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest
from emit_cells import batch_norm_tower, branching, lstm, sizes
from emit_examples import NORMAL, RECIPE, Build, function, gpt, module, tensor

from trxc.emit import Declared, EmitError, EmitRecipe, Program, build_manifest, emit_program, manifest_bytes
from trxc.emit.prelude import INSTEAD, PRELUDE
from trxc.emit.safety import check_source
from trxc.ir import Initializer, Module, Parameter, Value
from trxc.types import BF16, F32

CASES = Path(__file__).parents[1] / "cases" / "emit"

FITTED = EmitRecipe(
    Declared("sgd", "optax:sgd", (("learning_rate", 0.1),)),
    mesh={"data": 2},
    rules={"batch": ("data",), "c": ("data",)},
    freeze=("head",),
    l2=(("layers[*].w", 1e-4),),
    loss_scale=True,
)


def programs() -> dict[str, Program]:
    return {
        "gpt": emit_program(gpt(), RECIPE),
        "tower": emit_program(batch_norm_tower(), FITTED),
        "lstm": emit_program(lstm()),
        "odd": emit_program(branching()),
        "sizes": emit_program(sizes()),
    }


def own_text(program: Program) -> str:
    """The program without the functions that ops bring along."""
    text = program.source
    for entry in (*PRELUDE.values(), *INSTEAD.values()):
        text = text.replace(f"\n\n{entry.source}", "")
    return text


@pytest.mark.parametrize("name", list(programs()))
def test_text(name: str) -> None:
    text, stored = own_text(programs()[name]), CASES / f"{name}.py"
    if os.environ.get("TRXC_UPDATE_CASES"):
        stored.write_text(text)
    assert text == stored.read_text()


def test_same_bytes_every_time() -> None:
    first, second = programs(), programs()
    assert {n: p.source for n, p in first.items()} == {n: p.source for n, p in second.items()}


@pytest.mark.parametrize("name", list(programs()))
def test_lines_are_at_most_88_columns(name: str) -> None:
    lines = own_text(programs()[name]).splitlines()
    whole = ("XLA_FLAGS=",)  # what is to be copied into a shell stays in one piece
    assert max(len(line) for line in lines if not line.startswith(whole)) <= 88


def test_line_map_points_at_the_op() -> None:
    program = programs()["gpt"]
    lines = program.source.splitlines()
    origin = {number: trx for number, _, trx in program.lines}
    (at,) = [n for n, text in enumerate(lines, 1) if text.startswith("    sigma2 = jnp.var")]
    assert origin[at] == 4
    assert {file for _, file, _ in program.lines} == {"gpt.trx"}
    assert all(lines[number - 1].strip() for number in origin)


def test_names_of_python_and_of_the_program_are_left_alone() -> None:
    tree = ast.parse(programs()["odd"].source)
    stored = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    assert stored.isdisjoint({"jax", "jnp", "optax"})
    assert {"jax_", "jnp_", "key_"} <= stored


def test_a_live_name_is_not_bound_again() -> None:
    x = Value(tensor(F32, "n"), "x")
    b = Build(x)
    first = b.op("tanh", x, name="y")
    second = b.op("exp", first, name="y")
    both = b.op("add", b.op("multiply", first, second), b.op("subtract", second, first), name="z")
    source = emit_program(module("m", [function("f", b, [both], outputs=["z"])], apply="f")).source
    assert "y = jnp.tanh(x)" in source
    assert "y_2 = jnp.exp(y)" in source
    assert "return y * y_2 + (y_2 - y)" in source


def test_dead_ops_leave_no_line() -> None:
    x = Value(tensor(F32, "n"), "x")
    b = Build(x)
    b.op("exp", b.op("tanh", x, name="unused"), name="unused_too")
    y = b.op("negate", x, name="y")
    source = emit_program(module("m", [function("f", b, [y], outputs=["y"])], apply="f")).source
    assert "unused" not in source
    assert "tanh" not in source


def test_a_literal_keeps_the_declared_dtype() -> None:
    """bf16 times an f32 constant is f32 by the types; a bare literal would leave it bf16."""
    x = Value(tensor(BF16, "n"), "x")
    b = Build(x)
    y = b.op("multiply", x, b.constant(0.1, F32), name="y")
    z = b.op("multiply", x, b.constant(0.1, BF16), name="z")
    source = emit_program(module("m", [function("f", b, [y, z], outputs=["y", "z"])], apply="f")).source
    assert "return x * jnp.float32(0.1), x * 0.1" in source


def test_a_long_chain_is_written_without_recursion() -> None:
    x = Value(tensor(F32, "n"), "x")
    b = Build(x, line=1)
    y = x
    for _ in range(3000):
        b.at = 1
        y = b.op("tanh", y)
    source = emit_program(module("m", [function("f", b, [y], outputs=["y"])], apply="f")).source
    assert source.count("jnp.tanh") == 3000
    compile(source, "program.py", "exec")


HOSTILE = '"""\nimport os\\\x00\u202e'


def hostile() -> Module:
    weights = {("w",): Parameter(("w",), tensor(F32, 2), NORMAL)}
    x = Value(tensor(F32, 2), 'x"); import os #')
    b = Build(x)
    w = b.raw("parameter", [], [tensor(F32, 2)], ["__import__"], path=("w",))[0]
    y = b.op("add", b.op("multiply", x, w, name="eval"), w, name="os.system")
    f = function("__builtins__", b, [y], weights, ['y"]'], doc=HOSTILE, title="{evil()}" + HOSTILE)
    return module("m", [f], apply="__builtins__")


def test_text_of_the_user_never_becomes_code() -> None:
    tree = ast.parse(emit_program(hostile()).source)
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert names.isdisjoint({"os", "eval", "evil", "__import__", "__builtins__"})
    imported = [ast.unparse(n) for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
    assert set(imported) <= {"import zlib", "import jax", "import jax.numpy as jnp"}


@pytest.mark.parametrize(
    "target", ["os:system", "optax:__import__", "optax:sgd(1)", "optax.contrib:x", "optax:a..b", ""]
)
def test_only_optax_is_called(target: str) -> None:
    with pytest.raises(EmitError, match="neither of optax"):
        emit_program(gpt(), EmitRecipe(Declared("sgd", target)))


def test_only_initializers_of_jax_are_called() -> None:
    weights = {("w",): Parameter(("w",), tensor(F32, 2), Initializer("x", "os:system", (("command", "ls"),)))}
    b = Build()
    (w,) = b.raw("parameter", [], [tensor(F32, 2)], path=("w",))
    with pytest.raises(EmitError, match="no initializer"):
        emit_program(module("m", [function("f", b, [w], weights, ["y"])], apply="f"))


@pytest.mark.parametrize(
    "source",
    [
        "import os",
        "import jax\njax.pure_callback(1)",
        "import numpy as np\nnp.load('x')",
        "open('x')",
        "x = ().__class__",
        "def f(x):\n    return x.__globals__",
        "import jax\njax = 1",
        "exec('1')",
        "__builtins__",
        "f = [1]\nf[0]()",
        "class A:\n    pass",
        "import jax\njax.experimental.x()",
    ],
)
def test_the_last_look_refuses(source: str) -> None:
    with pytest.raises(EmitError):
        check_source(source)


def test_a_pattern_that_names_no_weight_is_refused() -> None:
    with pytest.raises(EmitError, match="no weight is called `nothing`"):
        emit_program(gpt(), EmitRecipe(RECIPE.optimizer, freeze=("nothing",)))


def test_a_size_that_no_input_tells_is_refused() -> None:
    b = Build()
    (y,) = b.raw("full", [], [tensor(F32, "n")], sizes=((tensor(F32, "n").sizes[0], None),), value=0.0, dtype=F32)
    with pytest.raises(EmitError, match="`n` is in the shape of no input"):
        emit_program(module("m", [function("f", b, [y], outputs=["y"])], apply="f"))


def test_manifest() -> None:
    module_, program = batch_norm_tower(), programs()["tower"]
    manifest = build_manifest(
        program, module_, {"train": {}}, {"gpt.trx": "text"}, main="gpt.trx", version="0.1.0", model="Tower"
    )
    weight = next(p for p in manifest["parameters"] if p["path"] == "layers[*].w")
    assert weight == {
        "path": "layers[*].w",
        "key": ["layers", "w"],
        "stack": [3],
        "shape": [4, 4],
        "dtype": "f32",
        "dims": ["c", "c"],
        "initializer": "normal(stddev = 0.02)",
        "spec": ["data", None],
        "trainable": True,
    }
    frozen = next(p for p in manifest["parameters"] if p["path"] == "head.norm.scale")
    assert not frozen["trainable"]
    assert [s["path"] for s in manifest["state"]][:1] == ["layers[*].norm.running_mean"]
    assert manifest["inputs"] == [{"name": "x", "dtype": "f32", "dims": ["batch", "c"], "shape": [None, 4]}]
    assert [f["name"] for f in manifest["batch"]] == ["x", "target"]
    assert manifest_bytes(manifest) == manifest_bytes(dict(reversed(manifest.items())))
