"""The programs of the language's own description, the examples by themselves, and a GPT written by hand beside ours."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from alone import loss_and_gradients_alone

import trxc
from trxc_runtime import RunError, load, load_artifact

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "tests" / "cases" / "language"
EXAMPLES = sorted((ROOT / "examples").glob("*.trx"))

# ------------------------------------------------------------------- the language's own programs

TRANSLATOR = {"Translator.source_vocab": 50, "Translator.target_vocab": 60}

MODELS = {
    "dense": "input x: float[batch, width]\n  output x |> Dense(4) >> Dense(5, bias = false)",
    "residual": "input x: float[batch, width]\n  output x |> residual(Dense(width))",
    "shapes": "input x: float[batch, seq, width]\n  output x |> LSTM(4) >> BatchNorm >> Dense(5)",
}
"""For the programs that have layers only: a model that uses them."""

KERNELS = '''
import jax

def flash(q, k, v, window):
    """Scaled-down attention: each position with itself alone, times the window."""
    return (q * k).sum(-1, keepdims=True) * v * window
'''

FLASH = """
model Fast(heads: int = 2, head: int = 3) {
  input q: float[batch, seq, heads, head]
  output y: float[batch, seq, heads, head] = FlashThing(window = 4)(q, q + 1.0, q * 2.0)
}
"""


def text_of(name: str) -> str:
    return (PROGRAMS / f"{name}.trx").read_text(encoding="utf-8")


def with_model(name: str) -> str:
    return f"{text_of(name)}\nmodel Example(width: int = 3) {{\n  {MODELS[name]}\n}}\n"


def executed(source: str) -> ModuleType:
    module = ModuleType("program")
    exec(compile(source, "program.py", "exec"), module.__dict__)
    return module


def outputs(program: ModuleType, **inputs: Any) -> dict[str, Any]:
    return jax.jit(program.apply)(program.init(jax.random.key(0)), program.init_state(), inputs)


@pytest.mark.parametrize("name", sorted(path.stem for path in PROGRAMS.glob("*.trx")))
def test_every_program_of_the_language_is_right(name: str) -> None:
    found = trxc.check(PROGRAMS / f"{name}.trx")
    assert not [each for each in found if each.severity == "error"]


@pytest.mark.parametrize(("name", "shape"), [("dense", (2, 5)), ("residual", (2, 3)), ("shapes", (2, 7, 5))])
def test_layers_of_the_language_compile_in_a_model(name: str, shape: tuple[int, ...]) -> None:
    program = executed(trxc.compile(with_model(name), filename=f"{name}.trx", name="Example").source)
    (given,) = outputs(program, x=np.ones((*shape[:-1], 3), np.float32)).values()
    assert given.shape == shape
    assert np.isfinite(given).all()


def test_the_complete_program_takes_a_step(tmp_path: Path) -> None:
    """It compiles as it stands; it runs here with another size, and another mesh: its own asks for eight devices."""
    unchanged = trxc.compile(PROGRAMS / "gpt.trx")
    assert "384" in unchanged.source
    assert unchanged.manifest["recipe"]["train"]["accumulate"] == 4
    small = {
        "GPT.embed": 24,
        "GPT.layers": 1,
        "quick.precision": "f32",
        "quick.batch": 8,
        "pod.data": 1,
        "pod.model": 1,
    }
    program = executed(trxc.compile(PROGRAMS / "gpt.trx", set=small).source)
    params, state = program.init(jax.random.key(0)), program.init_state()
    rng = np.random.default_rng(0)
    batch = {name: rng.integers(0, 256, (8, 256)).astype(np.int32) for name in ("tokens", "targets")}
    before = jax.tree.map(np.array, params)
    with jax.set_mesh(program.make_mesh()):
        stepped = program.train_step(params, state, program.optimizer().init(params), batch, jax.random.key(1))
        stepped = program.train_step(*stepped[:3], batch, jax.random.key(2))  # the first learns at the rate 0
    assert stepped[3]["loss"] == pytest.approx(np.log(256), rel=0.02)
    assert not np.array_equal(stepped[0]["table"]["w"], before["table"]["w"])


def test_the_translator_compiles_with_sizes_from_outside() -> None:
    with pytest.raises(trxc.CompileError) as missing:
        trxc.compile(PROGRAMS / "shapes.trx")
    assert "--set Translator.source_vocab=" in " ".join(h for d in missing.value.diagnostics for h in d.helps)
    assert "256" in trxc.compile(PROGRAMS / "shapes.trx", set=TRANSLATOR).source
    small = TRANSLATOR | {"Translator.embed": 16, "Translator.heads": 2, "Translator.layers": 1}
    program = executed(trxc.compile(PROGRAMS / "shapes.trx", set=small).source)
    source = np.arange(12, dtype=np.int32).reshape(2, 6)
    mask = np.arange(6) < np.array([[6], [4]])
    given = outputs(program, source=source, target=source[:, :5], source_mask=mask)["logits"]
    assert given.shape == (2, 5, 60)
    hidden = np.where(mask, source, 40)  # what the mask hides does not matter
    other = outputs(program, source=hidden, target=source[:, :5], source_mask=mask)["logits"]
    np.testing.assert_allclose(given, other, rtol=1e-5, atol=1e-6)


# ----------------------------------------------------------------------------------------- extern


@pytest.fixture
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder with `mykernels.py`, compiled to `out` beside it."""
    (tmp_path / "mykernels.py").write_text(KERNELS)
    compiled = trxc.compile(text_of("shapes") + FLASH, filename="shapes.trx", name="Fast", allow_extern=True)
    compiled.save(tmp_path / "out")
    monkeypatch.delitem(sys.modules, "mykernels", raising=False)
    return tmp_path


def test_python_code_is_compiled_in_only_where_it_is_allowed() -> None:
    with pytest.raises(trxc.CompileError) as refused:
        trxc.compile(text_of("shapes") + FLASH, filename="shapes.trx", name="Fast")
    (error,) = [each for each in refused.value.diagnostics if each.severity == "error"]
    assert (error.code, "`mykernels:flash`" in error.message) == ("TRX0702", True)


def test_python_code_is_run_only_where_it_is_allowed(kernels: Path) -> None:
    with pytest.raises(RunError, match="mykernels"):
        load(kernels / "out", root=kernels)
    assert "mykernels" not in sys.modules


def test_python_code_is_called_with_arrays_and_arguments(kernels: Path) -> None:
    model = load(kernels / "out", allow_extern=True, root=kernels)
    assert model.manifest["extern"] == ["mykernels"]
    q = np.random.default_rng(0).normal(size=(2, 5, 2, 3)).astype(np.float32)
    given = model.apply(model.init(), q=q)
    expected = (q * (q + 1)).sum(-1, keepdims=True) * (q * 2) * 4
    np.testing.assert_allclose(given, expected, rtol=1e-5)


@pytest.mark.parametrize("target", ["mykernels", "os:system('true')", "np:dot", ".up:f", "a:_private"])
def test_a_target_that_is_no_function_of_a_module_is_refused(target: str) -> None:
    text = text_of("shapes").replace("mykernels:flash", target) + FLASH
    with pytest.raises(trxc.CompileError):
        trxc.compile(text, filename="shapes.trx", name="Fast", allow_extern=True)


# ------------------------------------------------------------------------ examples by themselves


def saved(path: Path, folder: Path, **settings: Any) -> Path:
    trxc.compile(path, set=settings).save(folder)
    return folder


def random_batch(entries: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Numbers for the fields of a batch: sizes that are open are 4, and ids small enough for every model."""
    rng, batch = np.random.default_rng(0), dict[str, Any]()
    for entry in entries:
        shape = [size or 4 for size in entry["shape"]]
        if entry["dtype"] == "bool":
            batch[entry["name"]] = rng.random(shape) < 0.8
        elif entry["dtype"].startswith("f"):
            batch[entry["name"]] = rng.normal(size=shape).astype(np.float32)
        else:
            batch[entry["name"]] = rng.integers(0, 2, shape).astype(np.int32)
    return batch


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_program_alone_gives_the_same_bits(path: Path, tmp_path: Path) -> None:
    artifact = load_artifact(saved(path, tmp_path / "out"))
    program, key = artifact.program, jax.random.key(0)
    batch = random_batch(artifact.manifest["batch"])
    (tmp_path / "alone").mkdir()
    alone = loss_and_gradients_alone(tmp_path / "out" / "program.py", batch, tmp_path / "alone")
    step = jax.jit(jax.value_and_grad(program.loss, has_aux=True))
    (loss, _), grads = step(program.init(key), program.init_state(), batch, key)
    ours = [loss, *jax.tree.leaves(grads)]
    assert len(ours) == len(alone)
    for mine, other in zip(ours, alone, strict=True):
        np.testing.assert_array_equal(np.asarray(mine), other, strict=True)


# ---------------------------------------------------------------------------- a GPT by hand


def layer_norm(x: Any, weights: Any) -> Any:
    centred = x - x.mean(-1, keepdims=True)
    return centred / jnp.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * weights["scale"] + weights["shift"]


def attention(x: Any, weights: Any) -> Any:
    seq, head = x.shape[1], weights["wq"].shape[-1]
    q, k, v = (jnp.einsum("bsd,dhe->bhse", x, weights[name]) for name in ("wq", "wk", "wv"))
    scores = q @ k.swapaxes(-1, -2) / head**0.5
    scores = jnp.where(jnp.tril(jnp.ones((seq, seq), bool)), scores, -jnp.inf)
    return jnp.einsum("bhse,hed->bsd", jax.nn.softmax(scores) @ v, weights["wo"])


def feed_forward(x: Any, up: Any, down: Any) -> Any:
    return jax.nn.gelu(x @ up["w"] + up["b"], approximate=False) @ down["w"] + down["b"]


def gpt_loss(params: Any, batch: Mapping[str, Any]) -> Any:
    tokens, blocks = batch["tokens"], params["blocks"]
    x = params["table"]["w"][tokens] + params["positions"]["w"][: tokens.shape[1]]
    for at in range(blocks["dense"]["w"].shape[0]):
        block = jax.tree.map(lambda w, at=at: w[at], blocks)
        x = x + attention(layer_norm(x, block["layer_norm"]), block["attention"])
        x = x + feed_forward(layer_norm(x, block["layer_norm_2"]), block["dense"], block["dense_2"])
    logits = layer_norm(x, params["layer_norm"]) @ params["table"]["w"].T
    chosen = jax.nn.one_hot(batch["targets"], logits.shape[-1])
    return -(jax.nn.log_softmax(logits) * chosen).sum(-1).mean()


def test_a_gpt_by_hand_has_the_same_loss_and_gradients(tmp_path: Path) -> None:
    program = executed(trxc.compile(ROOT / "examples" / "quickstart.trx").source)
    params = program.init(jax.random.key(0))
    rng = np.random.default_rng(0)
    batch = {name: rng.integers(0, 256, (4, 64)).astype(np.int32) for name in ("tokens", "targets")}
    ours, grads = jax.jit(jax.value_and_grad(lambda p: program.loss(p, {}, batch, jax.random.key(1))[0]))(params)
    by_hand, expected = jax.jit(jax.value_and_grad(gpt_loss))(params, batch)
    np.testing.assert_allclose(ours, by_hand, rtol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * float(abs(b).max())), grads, expected
    )
