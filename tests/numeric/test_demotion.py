"""No float loses bits that nobody asked to lose: in the IR after every pass, and in what jax makes of the program."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from stdlib_models import MODELS, case_text, elaborated

import trxc
from trxc.diagnostics.internal import InternalError
from trxc.ir import Module, Op, Region, Value
from trxc.ir.reader import from_text
from trxc.ir.walk import callee, repeat_count
from trxc.passes import PASS_NAMES, Remarks, pipeline, run_passes
from trxc.passes.demotion import Demotions
from trxc.passes.precision import Precision
from trxc.source import Source, Span
from trxc.types import BF16, DTYPES, F32, TensorType

ROOT = Path(__file__).parents[2]
PRECISIONS = ["f32", "mixed_bf16", "f16"]
NAMES = {BF16: "bfloat16", DTYPES["f16"]: "float16"}
FILES = [
    *sorted((ROOT / "examples").glob("*.trx")),
    *sorted((ROOT / "tests" / "cases" / "language").glob("*.trx")),
    *sorted((ROOT / "tests" / "cases" / "passes" / "programs").glob("*.trx")),
]
RECIPES = [
    pytest.param(path, line.split()[1], precision, id=f"{path.stem}-{line.split()[1]}-{precision}")
    for path in FILES
    for line in path.read_text(encoding="utf-8").splitlines()
    if line.startswith("train ")
    for precision in PRECISIONS
]


FUSIONS = tuple(name for name in PASS_NAMES if name.startswith("fuse-"))


def compiled(path: Path, name: str, precision: str, disable: tuple[str, ...] = ()) -> trxc.Program:
    """A recipe of a file, checked after every pass."""
    settings = {f"{name}.precision": precision}
    return trxc.compile(path, name=name, set=settings, verify_each=True, dropout=False, disable=disable)


@pytest.mark.parametrize(("path", "name", "precision"), RECIPES)
def test_a_recipe_keeps_its_bits_through_all_passes(path: Path, name: str, precision: str) -> None:
    compiled(path, name, precision)


@pytest.mark.parametrize("compute", ["f32", "bf16", "f16"])
@pytest.mark.parametrize(("case", "model"), MODELS)
def test_a_model_of_the_library_keeps_its_bits(case: str, model: str, compute: str) -> None:
    for training in (False, True):
        module, _ = elaborated(case_text(case), model, training=training)
        roots = (module.roles["apply"],)
        demotions = Demotions(module, compute=compute, model=roots)
        run_passes(module, pipeline(compute=compute, model=roots), after=demotions.check)


# ---------------------------------------------------------------- what is found

WRITTEN = """
module m
role apply = m
role loss = l
function m(x: float[n]) -> (y)
  weight w: float[4] = ones() from "jax.nn.initializers:ones"
{
  w: float[4] = parameter() {path=("w",)}
  a: float[4] = multiply(w, w)
  h: float[4] = tanh(a)
  y: float[] = sum(h) {over=(0,), keep=false}
  yield y
}
function l(x: float[n]) -> (loss)
{
  h: float[] = call(x) {callee="m", path=("m",)}
  loss: float[] = multiply(h, h)
  yield loss
}
"""
ELSEWHERE = Span(Source("m.trx", "x = y"), 0, 1)


def after_precision() -> tuple[Module, Demotions]:
    """The module after `precision`, and what follows it."""
    module = from_text(WRITTEN)
    demotions = Demotions(module, compute="bf16", model=("m",))
    run_passes(module, [Precision("bf16", ("m",))], after=demotions.check)
    return module, demotions


def the(module: Module, kind: str, function: str = "m") -> Op:
    """The first op of a kind."""
    return next(op for op in module.functions[function].body.walk() if op.kind == kind)


def narrow(value: Value) -> None:
    value.type = value.type.with_dtype(BF16)


def told(module: Module, demotions: Demotions, name: str = "later") -> str:
    """What a pass is told to have done."""
    with pytest.raises(InternalError) as caught:
        demotions.check(name, module)
    return str(caught.value)


def test_nothing_is_found_where_nothing_was_lost() -> None:
    module, demotions = after_precision()
    demotions.check("later", module)
    assert the(module, "cast").result.type.dtype == BF16


def test_an_op_that_loses_bits_is_found() -> None:
    module, demotions = after_precision()
    narrow(the(module, "multiply", "l").result)
    assert "l: `multiply` gives bf16[], of operands of 32 bits" in told(module, demotions)


def test_a_sum_in_16_bits_is_found() -> None:
    module, demotions = after_precision()
    ops = module.functions["m"].body.ops
    (narrowed,) = [op for op in ops if op.kind == "cast" and op.operands == the(module, "tanh").results]
    the(module, "sum").operands[0] = narrowed.result
    assert "m: `sum` gives f32[], in bf16, though sums are done in f32" in told(module, demotions)


def test_a_cast_of_a_later_pass_is_found() -> None:
    module, demotions = after_precision()
    body = module.functions["l"].body
    wide = the(module, "multiply", "l").result
    narrowed = Op("cast", [wide], {"dtype": BF16}, [Value(wide.type.with_dtype(BF16))], span=ELSEWHERE)
    back = Op("cast", [narrowed.result], {"dtype": F32}, [Value(wide.type)], span=ELSEWHERE)
    body.ops += [narrowed, back]
    body.results[:] = [back.result]
    assert "l: `cast` gives bf16[], which was not there after `precision`" in told(module, demotions)


def test_a_cast_of_precision_outside_of_the_model_is_found() -> None:
    module = from_text(WRITTEN)
    demotions = Demotions(module, compute="bf16", model=("m",))
    Precision("bf16", ("m", "l")).run(module, Remarks())
    module.functions["l"].body.ops.append(
        Op("cast", [module.functions["l"].body.results[0]], {"dtype": BF16}, [Value(TensorType(BF16))], span=ELSEWHERE)
    )
    assert "l: `cast` gives bf16[], which the program does not say" in told(module, demotions, "precision")


def test_a_weight_in_16_bits_is_found() -> None:
    module, demotions = after_precision()
    (old,) = module.functions["m"].parameters.values()
    module.functions["m"].parameters[("w",)] = dataclasses.replace(old, type=old.type.with_dtype(BF16))
    assert "the weight `w` is bf16, and not written so" in told(module, demotions)


def test_a_loss_in_16_bits_is_found() -> None:
    module, demotions = after_precision()
    narrow(module.role("loss").results[0])
    assert "`loss.loss` is bf16 instead of f32" in told(module, demotions)


def test_what_the_program_says_may_be_narrow() -> None:
    text = WRITTEN.replace("h: float[4] = tanh(a)", "h: bf16[4] = cast(a) {dtype=bf16}").replace("float[4]", "f32[4]")
    module = from_text(text.replace("y: float[]", "y: bf16[]"))
    demotions = Demotions(module)
    run_passes(module, [Precision()], after=demotions.check)
    demotions.check("later", module)


# ---------------------------------------------------------------- what jax makes of it

JAX = [
    pytest.param(ROOT / "tests" / "cases" / "passes" / "programs" / f"{name}.trx", precision, id=f"{name}-{precision}")
    for name in ("gpt", "digits", "lstm")
    for precision in PRECISIONS
]
SIZES = {"batch": 2, "seq": 5}


def namespace(program: trxc.Program) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "program"}
    exec(program.source, names)
    return names


def batch_of(program: trxc.Program) -> dict[str, Any]:
    dtypes = {"i32": np.int32, "f32": np.float32}
    return {
        field["name"]: np.zeros([size or SIZES[dim] for size, dim in zip(field["shape"], field["dims"], strict=True)],
                                dtypes[field["dtype"]])
        for field in program.manifest["batch"]
    }  # fmt: skip


@pytest.mark.parametrize(("path", "precision"), JAX)
def test_a_step_keeps_everything_in_f32(path: Path, precision: str) -> None:
    program = compiled(path, "tiny", precision)
    names = namespace(program)
    params, state = names["init"](jax.random.key(0)), names["init_state"]()
    trees = (params, state, names["optimizer"]().init(params))
    new = jax.eval_shape(names["train_step"], *trees, batch_of(program), jax.random.key(1))
    kinds = [jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree) for tree in (trees, new[:3])]
    assert kinds[0] == kinds[1]
    floats = [leaf.dtype for leaf in jax.tree.leaves(new) if jax.numpy.issubdtype(leaf.dtype, jax.numpy.floating)]
    assert set(floats) == {np.dtype(np.float32)}


@pytest.mark.parametrize(("path", "precision"), JAX)
def test_jax_narrows_only_what_the_ir_narrows(path: Path, precision: str) -> None:
    """Every `convert_element_type` to 16 bits in the loss is a `cast` of the IR, to the same dtype and of the same
    shape; and no more of them than the IR runs. (What a fused op does inside is its own.)"""
    program = compiled(path, "tiny", precision, disable=FUSIONS)
    names = namespace(program)
    params, state = names["init"](jax.random.key(0)), names["init_state"]()
    jaxpr = jax.make_jaxpr(names["loss"])(params, state, batch_of(program), jax.random.key(1)).jaxpr
    found = Counter(narrowings(jaxpr))
    allowed = casts(program.ir, program.ir.roles["loss"])
    assert bool(found) == (precision != "f32")
    assert found <= allowed, found - allowed
    assert all(
        str(var.aval.dtype) != "float64"
        for eqn in equations(jaxpr)
        for var in eqn.outvars
        if hasattr(var.aval, "dtype")
    )


def equations(jaxpr: Any) -> Iterator[Any]:
    """All equations, of those inside others too."""
    for eqn in jaxpr.eqns:
        yield eqn
        for value in jax.tree.leaves(list(eqn.params.values()), is_leaf=lambda v: hasattr(v, "eqns")):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                yield from equations(inner)


def narrowings(jaxpr: Any) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Conversions of f32 to 16 bits, but for literals: the dtype, and the shape."""
    for eqn in equations(jaxpr):
        before, after = eqn.invars[0].aval if eqn.invars else None, eqn.outvars[0].aval if eqn.outvars else None
        if eqn.primitive.name == "convert_element_type" and before.dtype == np.float32 and not before.weak_type:
            name = str(after.dtype)
            yield from [(name, after.shape)] if name in NAMES.values() else []


def casts(module: Module, function: str) -> Counter[tuple[str, tuple[int, ...]]]:
    """Casts of f32 to 16 bits that a function runs, once for each call and each turn of a `repeat`; shapes with the
    sizes of the test."""
    return casts_of(module, module.functions[function].body)


def casts_of(module: Module, region: Region) -> Counter[tuple[str, tuple[int, ...]]]:
    """Likewise those of a region."""
    found: Counter[tuple[str, tuple[int, ...]]] = Counter()
    for op in region.ops:
        if op.kind == "call":
            found += casts(module, callee(op))
        for inner in op.regions:
            times = repeat_count(op) if op.kind == "repeat" else 1
            found.update({cast: count * times for cast, count in casts_of(module, inner).items()})
        if op.kind == "cast" and op.operands[0].type.dtype == F32 and op.result.type.dtype in NAMES:
            found[NAMES[op.result.type.dtype], tuple(size.evaluate(SIZES) for size in op.result.type.sizes)] += 1
    return found
