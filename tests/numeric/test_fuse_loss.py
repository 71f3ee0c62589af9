"""A projection with its cross-entropy in blocks of tokens, against the same program without `fuse-loss`, under jax."""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import trxc
from trxc.passes import Remarks, pipeline
from trxc.plan.targets import TARGETS

VOCAB, BATCH, SEQ, CLASSES = 5_000, 3, 7, 4_500
CHOSEN = TARGETS["cpu"].loss_block
BLOCKS = {"one": CHOSEN, "even": 20_000, "uneven": 9_000}
"""Logits a block: all 21 tokens; 7 blocks of 3; and 12 blocks of 2, the last of them filled up."""

TIED = """\
  table = Embedding(vocab, 12)
  output logits: float[batch, seq, vocab] = table.attend(tokens |> table |> LayerNorm)"""
BIASED = """\
  output logits: float[batch, seq, vocab] = tokens |> Embedding(20, 12) |> LayerNorm >> Dense(vocab)"""
TWO = """\
  x = tokens |> Embedding(20, 12) |> LayerNorm
  output logits: float[batch, seq, vocab] = x |> Dense(vocab)
  output others: float[batch, seq, vocab] = x |> Dense(vocab, bias = false)"""
TRAINED = """\
  x = tokens |> Embedding(20, 12) |> BatchNorm |> dropout(0.25)
  output logits: float[batch, seq, vocab] = x |> Dense(vocab)"""

LOSSES = {
    "mean": "cross_entropy(logits, targets)",
    "smoothed": "cross_entropy(logits, targets, smoothing = 0.1, z_loss = 1e-3)",
    "ignored": "cross_entropy(logits, targets, ignore = 3)",
    "masked": "cross_entropy(logits, targets, mask = mask, smoothing = 0.2, ignore = 3)",
    "weighted": "sum(token_losses(logits, targets) * weights) / sum(weights)",
    "picked": "-mean(take_along(log_softmax(logits), targets[..., none], along = -1))",
    "normalised": "mean(logsumexp(logits, over = vocab) - take_along(logits, targets[..., none])[..., 0])",
    "marked": f"-mean(sum(one_hot(targets, {VOCAB}) * log_softmax(logits), over = vocab))",
}


def program(body: str, loss: str, *, recipe: str = "", metrics: str = "", **options: Any) -> trxc.Program:
    text = f"""
use std.losses (token_losses)

model Words(vocab: int = {VOCAB}) {{
  input tokens: int[batch, seq]
{body}
}}

data random {{
  source = arrays()
  fields {{ tokens = int[{SEQ}], targets = int[{SEQ}], mask = bool[{SEQ}], weights = float[{SEQ}] }}
}}

train tiny for Words {{
  data      = random
  loss      = {loss}
  {f"metrics {{ {metrics} }}" if metrics else ""}
  optimizer = sgd(0.1)
  batch     = {BATCH}
  steps     = 2
  {recipe}
}}
"""
    return trxc.compile(text, filename="words.trx", name="tiny", verify_each=True, **options)


def both(body: str, loss: str, **options: Any) -> tuple[trxc.Program, trxc.Program]:
    """With the pass, which must have done something, and without."""
    fused, plain = program(body, loss, **options), program(body, loss, disable=("fuse-loss",), **options)
    assert "linear_cross_entropy" in fused.source and "linear_cross_entropy" not in plain.source
    return fused, plain


def emitted(compiled: trxc.Program, *, double: bool = False, block: int | None = None) -> dict[str, Any]:
    source = compiled.source
    if double:
        source = source.replace("float32", "float64").replace("int32", "int64")
    if block is not None:
        source = re.sub(r"\bblock=\d+", f"block={block}", source)
    namespace: dict[str, Any] = {"__name__": "program"}
    exec(compile(source, "program.py", "exec"), namespace)
    return namespace


def batch_of(*, masked: float = 0.5) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    return {
        "tokens": jnp.array(rng.integers(0, 20, (BATCH, SEQ))),
        "targets": jnp.array(rng.integers(-2, CLASSES, (BATCH, SEQ))),
        "mask": jnp.array(rng.random((BATCH, SEQ)) >= masked),
        "weights": jnp.array(rng.random((BATCH, SEQ)), jnp.float64 if jax.config.jax_enable_x64 else jnp.float32),
    }


def outcome(namespace: dict[str, Any], batch: dict[str, Any]) -> Any:
    """The loss and the new states, then the gradients of the weights and of the tokens' own weights."""
    params, state = namespace["init"](jax.random.key(0)), namespace["init_state"]()

    def loss(params: Any, weights: Any) -> Any:
        return namespace["loss"](params, state, {**batch, "weights": weights}, jax.random.key(1))

    return jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))(params, batch["weights"])


def assert_close(one: Any, other: Any, tolerance: float) -> None:
    left, right = jax.tree.leaves(one), jax.tree.leaves(other)
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(left, right, strict=True):
        assert a.dtype == b.dtype
        scale = 1e-3 + float(np.max(np.abs(np.asarray(b, np.float64)), initial=0))
        np.testing.assert_allclose(np.asarray(a, np.float64), np.asarray(b, np.float64), rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize(
    ("loss", "blocks"), [("mean", "one"), ("masked", "even"), *((loss, "uneven") for loss in LOSSES)]
)
def test_value_and_gradients_are_those_of_the_plain_program(loss: str, blocks: str) -> None:
    fused, plain = both(BIASED if loss in ("masked", "weighted") else TIED, LOSSES[loss])
    with jax.enable_x64(True):
        found = outcome(emitted(fused, double=True, block=BLOCKS[blocks]), batch_of())
        assert_close(found, outcome(emitted(plain, double=True), batch_of()), 1e-9)
    found = outcome(emitted(fused, block=BLOCKS[blocks]), batch_of())
    assert_close(found, outcome(emitted(plain), batch_of()), 1e-4)


def test_no_token_counts() -> None:
    """A mask that is true nowhere, and logits that overflow: 0, and no nan in any gradient."""
    fused, plain = both(BIASED, LOSSES["masked"])
    batch = batch_of(masked=2.0)
    found, wanted = outcome(emitted(fused), batch), outcome(emitted(plain), batch)
    assert float(found[0][0]) == 0
    assert_close(found, wanted, 1e-6)
    assert all(float(jnp.abs(leaf).max()) == 0 for leaf in jax.tree.leaves(found[1]))


def test_a_token_that_does_not_count_adds_nothing_even_if_its_loss_is_not_finite() -> None:
    namespace = emitted(both(BIASED, LOSSES["masked"])[0])
    x, w = jnp.array([[1.0, 2.0], [jnp.inf, 1.0]]), jnp.ones((2, 5))

    def loss(x: Any, w: Any) -> Any:
        weights = jnp.array([1.0, 0.0])
        return namespace["linear_cross_entropy"](x, w, jnp.array([0, 1]), weights, form="dv", block=1, mean=False)

    value, (dx, dw) = jax.value_and_grad(loss, (0, 1))(x, w)
    np.testing.assert_allclose(value, np.log(5), rtol=1e-6)
    assert np.all(np.asarray(dx)[1] == 0)
    assert np.isfinite(np.asarray(dx)).all()
    del dw  # the product with an infinite x is none of ours to mend


@pytest.mark.parametrize("body", [TIED, BIASED], ids=["tied", "biased"])
def test_mixed_precision(body: str) -> None:
    """Weights and gradients stay in f32; the loss is nearer to that of f32 than where logits are rounded to bf16."""
    fused, plain = both(body, LOSSES["smoothed"], recipe="precision = mixed_bf16")
    exact = outcome(emitted(program(body, LOSSES["smoothed"])), batch_of())
    found, rounded = (outcome(emitted(p, block=BLOCKS["even"]), batch_of()) for p in (fused, plain))
    assert_close(found, exact, 3e-2)
    assert_close(found, rounded, 3e-2)
    assert abs(found[0][0] - exact[0][0]) <= abs(rounded[0][0] - exact[0][0]) + 1e-4


def test_two_heads_and_two_losses() -> None:
    loss = "cross_entropy(logits, targets) + 0.5 * cross_entropy(others, targets, mask = mask)"
    fused, plain = both(TWO, loss)
    assert fused.source.count("= linear_cross_entropy(") + fused.source.count("* linear_cross_entropy(") >= 1
    assert not any(op.kind == "log_softmax" for op in fused.ir.role("loss").body.walk())
    found = outcome(emitted(fused, block=BLOCKS["even"]), batch_of())
    assert_close(found, outcome(emitted(plain), batch_of()), 1e-4)


def test_states_and_draws_stay_as_they_were() -> None:
    """Dropout draws the same bits, and batch normalisation sees the same batch."""
    fused, plain = both(TRAINED, LOSSES["mean"])
    found = outcome(emitted(fused), batch_of())
    assert jax.tree.leaves(found[0][1])
    assert_close(found, outcome(emitted(plain), batch_of()), 1e-4)


def test_steps_with_accumulated_gradients() -> None:
    fused, plain = both(TIED, LOSSES["smoothed"], recipe=f"accumulate = {BATCH}")
    losses: list[list[float]] = []
    for compiled in (fused, plain):
        namespace = emitted(compiled)
        params, state = namespace["init"](jax.random.key(0)), namespace["init_state"]()
        held: Any = params, state, namespace["optimizer"]().init(params)
        losses.append([])
        for step in range(3):
            *held, metrics = namespace["train_step"](*held, batch_of(), jax.random.key(step))
            losses[-1].append(float(metrics["loss"]))
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_weights_have_the_same_names_places_and_first_values() -> None:
    fused, plain = both(BIASED, LOSSES["mean"])
    one, other = dict(fused.manifest), dict(plain.manifest)
    assert one["parameters"] == other["parameters"]
    assert one["state"] == other["state"]
    first = [emitted(p)["init"](jax.random.key(3)) for p in (fused, plain)]
    jax.tree.map(np.testing.assert_array_equal, *first)


def shapes_in(jaxpr: Any) -> set[tuple[int, ...]]:
    """The shapes of everything that a jaxpr computes, those in its loops and calls included."""
    found: set[tuple[int, ...]] = set()
    for equation in jaxpr.eqns:
        found |= {tuple(v.aval.shape) for v in equation.outvars if hasattr(v.aval, "shape")}
        for value in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda v: hasattr(v, "eqns")):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                found |= shapes_in(inner)
    return found


def whole_logits(compiled: trxc.Program) -> list[tuple[int, ...]]:
    """What a training step holds that has as many elements as all logits, or more, and their last dim."""
    namespace = emitted(compiled, block=BLOCKS["uneven"])
    params, state = namespace["init"](jax.random.key(0)), namespace["init_state"]()
    held = params, state, namespace["optimizer"]().init(params)
    step = jax.make_jaxpr(namespace["train_step"])(*held, batch_of(), jax.random.key(0))
    return [s for s in shapes_in(step.jaxpr) if VOCAB in s and np.prod(s) >= BATCH * SEQ * VOCAB]


@pytest.mark.parametrize("body", [TIED, BIASED], ids=["tied", "biased"])
def test_a_step_holds_no_logits_of_all_tokens(body: str) -> None:
    fused, plain = both(body, LOSSES["smoothed"])
    assert whole_logits(plain)
    assert not whole_logits(fused)


def test_the_step_needs_less_memory() -> None:
    needs: list[int] = []
    for compiled in both(BIASED, LOSSES["mean"]):
        namespace = emitted(compiled, block=BLOCKS["even"])
        params, state = namespace["init"](jax.random.key(0)), namespace["init_state"]()
        batch = {name: jnp.repeat(value, 20, axis=0) for name, value in batch_of().items()}
        held = params, state, namespace["optimizer"]().init(params)
        step = namespace["train_step"].lower(*held, batch, jax.random.key(0)).compile()
        needs.append(step.memory_analysis().temp_size_in_bytes)
    assert needs[0] < needs[1] / 2


def test_metrics_that_look_at_the_logits_keep_them() -> None:
    fused, _ = both(TIED, LOSSES["mean"], metrics="accuracy = mean(argmax(logits, over = vocab) == targets)")
    assert any(op.kind == "argmax" for op in fused.ir.role("measure").body.walk())
    remarks = [str(remark) for remark in fused.remarks if remark.source == "fuse-loss"]
    assert any("words.trx:17" in text and "not done" not in text for text in remarks)
    assert any("used otherwise" in text for text in remarks)


def test_the_program_says_why_few_classes_stay() -> None:
    remarks = Remarks()
    module = program(TIED.replace("vocab", "100"), LOSSES["mean"].replace("vocab", "100")).unoptimised
    for item in pipeline():
        item.run(module, remarks)
    assert any(r.source == "fuse-loss" and "do not pay" in r.message for r in remarks)
