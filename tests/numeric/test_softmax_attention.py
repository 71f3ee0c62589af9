"""The attention that emitted programs bring along: its blocks, its own backward, dtypes, and what goes to cuDNN."""

from __future__ import annotations

import functools
import itertools
import math
import zlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.ad_checkpoint import checkpoint_name

from trxc.emit.prelude import entry, needed


def prelude() -> dict[str, Any]:
    """The functions as an emitted program has them."""
    names: dict[str, Any] = {"jax": jax, "jnp": jnp, "math": math, "zlib": zlib, "functools": functools}
    names["checkpoint_name"] = checkpoint_name
    exec("\n\n".join(entry(name, "gpu").source for name in needed(["softmax_attention"], "gpu")), names)
    return names


def small_blocks(queries: int, keys: int, causal: bool, window: int | None) -> list[tuple[int, int, int, int]]:
    """Runs of several blocks of 3, as a sequence of thousands has them."""
    rest = queries % 3
    runs = [(0, queries // 3, 3), *([(queries - rest, 1, rest)] if rest else [])]
    near = keys if window is None else window + 2
    return [(first, count, rows, min(keys, near) if causal else keys) for first, count, rows in runs]


def plain(q: Any, k: Any, v: Any, mask: Any, bias: Any, scale: float, causal: bool, window: int | None, fill: float):
    """By the definition."""
    k, v = (jnp.repeat(x, q.shape[-2] // k.shape[-2], axis=-2) for x in (k, v))
    scores = jnp.einsum("...qhe,...khe->...hqk", q, k) * scale
    scores = scores if bias is None else scores + bias
    scores = scores if mask is None else jnp.where(mask, scores, fill)
    age = (jnp.arange(q.shape[-3]) + k.shape[-3] - q.shape[-3])[:, None] - jnp.arange(k.shape[-3])
    if causal:
        scores = jnp.where((age >= 0) & (age < (window or k.shape[-3])), scores, -jnp.inf)
    return jnp.einsum("...hqk,...khe->...qhe", jax.nn.softmax(scores, axis=-1), v)


class Given(NamedTuple):
    """Operands of attention."""

    q: Any
    k: Any
    v: Any
    mask: Any
    bias: Any


def operands(queries: int, keys: int, *, heads: int = 4, groups: int = 2, extra: bool = True) -> Given:
    rng = np.random.default_rng(queries * keys)
    q, k, v = (rng.normal(size=(2, n, h, e)) for n, h, e in ((queries, heads, 4), (keys, groups, 4), (keys, groups, 3)))
    if not extra:
        return Given(q, k, v, None, None)
    mask = rng.random((2, 1, 1, keys)) < 0.6
    mask[1] = False  # a sequence of nothing but padding
    return Given(q, k, v, mask, rng.normal(size=(heads, queries, keys)))


@pytest.mark.parametrize(
    ("queries", "keys", "causal", "window", "extra", "looped"),
    [
        (1, 1, False, None, True, False),
        (7, 7, True, None, True, True),
        (6, 11, True, 4, True, True),
        (8, 11, False, None, True, True),
        (70, 75, False, None, True, False),
        (130, 130, True, None, True, False),
        (70, 75, True, 4, False, False),
    ],
)
def test_values_and_gradients(
    queries: int, keys: int, causal: bool, window: int | None, extra: bool, looped: bool
) -> None:
    names = prelude()
    if looped:
        names["attention_blocks"] = small_blocks
    rules = {"scale": 0.3, "causal": causal, "window": window, "fill": -6e4}
    with jax.enable_x64(True):
        given = operands(queries, keys, extra=extra)
        floats = {name: x for name, x in given._asdict().items() if x is not None and name != "mask"}
        cotangent = np.random.default_rng(1).normal(size=(2, queries, 4, 3))

        def total(function: Any, floats: Any) -> Any:
            return (function(**{**given._asdict(), **floats}, **rules) * cotangent).sum()

        one, two = (
            jax.jit(jax.value_and_grad(functools.partial(total, function)))(floats)
            for function in (plain, names["softmax_attention"])
        )
        for left, right in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
            np.testing.assert_allclose(right, left, rtol=0, atol=1e-9 * (1 + np.max(np.abs(left))))


def test_blocks_cover_every_query_once_and_every_key_that_it_sees() -> None:
    blocks = prelude()["attention_blocks"]
    for queries, more, window in itertools.product(
        (1, 63, 64, 65, 255, 256, 500, 513, 1024, 4096, 5000, 32768), (0, 7), (None, 1, 100)
    ):
        keys = queries + more
        for causal in (True,) if window else (False, True):
            runs = blocks(queries, keys, causal, window)
            assert len(runs) <= 9, "the program stays small"
            assert sum(count == 1 for _, count, _, _ in runs) <= 5, "and so do the scores that it holds at once"
            covered = [first + n * rows for first, count, rows, _ in runs for n in range(count)]
            heights = [rows for _, count, rows, _ in runs for _ in range(count)]
            assert covered == [sum(heights[:at]) for at in range(len(heights))]
            assert sum(heights) == queries
            for first, count, rows, columns in runs:
                assert columns <= keys
                assert columns >= (keys if not causal else min(first + count * rows + more, window or keys))


def test_memory_does_not_grow_with_the_square_of_the_sequence() -> None:
    attention = prelude()["softmax_attention"]
    x = jax.ShapeDtypeStruct((1, 4096, 1, 8), jnp.float32)

    def loss(x: Any) -> Any:
        return (attention(x, x, x, scale=0.3, causal=True) ** 2).sum()

    step = jax.jit(jax.grad(loss)).lower(x).compile()
    assert step.memory_analysis().temp_size_in_bytes < 4096 * 4096 * 4 / 2


def test_dropout_draws_the_same_in_backward() -> None:
    attention = prelude()["softmax_attention"]
    with jax.enable_x64(True):
        q, k, v = (jnp.asarray(x) for x in operands(70, 70, extra=False)[:3])

        @jax.jit
        def total(*given: Any) -> Any:
            return (attention(*given, scale=0.3, causal=True, rate=0.3, key=jax.random.key(4)) ** 2).sum()

        slopes = jax.jit(jax.grad(total, (0, 1, 2)))(q, k, v)
        rng = np.random.default_rng(5)
        way = [jnp.asarray(rng.normal(size=x.shape)) for x in (q, k, v)]
        ahead, behind = (total(*(x + s * w for x, w in zip((q, k, v), way, strict=True))) for s in (1e-6, -1e-6))
        along = sum((slope * w).sum() for slope, w in zip(slopes, way, strict=True))
        np.testing.assert_allclose((ahead - behind) / 2e-6, along, rtol=1e-6)


def test_it_is_differentiated_inside_of_checkpoint_and_scan() -> None:
    attention = prelude()["softmax_attention"]
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 9, 2, 4)), jnp.float32)

    def layer(x: Any, _: Any) -> Any:
        return attention(x, x, x, scale=0.5, causal=True, rate=0.1, key=jax.random.key(1)), None

    def written_out(x: Any) -> Any:
        return (layer(layer(x, None)[0], None)[0] ** 2).sum()

    def scanned(x: Any) -> Any:
        return (jax.lax.scan(jax.checkpoint(layer), x, None, length=2)[0] ** 2).sum()

    np.testing.assert_allclose(jax.jit(jax.grad(scanned))(x), jax.jit(jax.grad(written_out))(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_16_bits_are_added_up_in_32(dtype: str) -> None:
    attention = prelude()["softmax_attention"]
    given = operands(70, 70)._replace(bias=None)
    low = [jnp.asarray(x, dtype) for x in given[:3]]

    def total(*low: Any) -> Any:
        return attention(*low, given.mask, scale=0.3, fill=-6e4).astype(jnp.float32).sum()

    wide = jnp.asarray(plain(*(x.astype(jnp.float32) for x in low), given.mask, None, 0.3, False, None, -6e4))
    found = jax.jit(functools.partial(attention, scale=0.3, fill=-6e4))(*low, given.mask)
    assert found.dtype == dtype
    np.testing.assert_allclose(found.astype(jnp.float32), wide, atol=0.03)
    assert {slope.dtype.name for slope in jax.jit(jax.grad(total, (0, 1, 2)))(*low)} == {dtype}
    text = str(jax.make_jaxpr(jax.grad(total, (0, 1, 2)))(*low))
    assert text.count("dot_general[") == text.count("preferred_element_type=float32") == 15, (
        "7 of each of two blocks, and one of all"
    )


class Array(NamedTuple):
    """What the choice of a kernel looks at."""

    shape: tuple[int, ...]
    dtype: Any = jnp.dtype("bfloat16")

    @property
    def ndim(self) -> int:
        return len(self.shape)


Q = Array((2, 64, 4, 32))
MASK, BIAS = Array((2, 1, 1, 64), jnp.dtype("bool")), Array((4, 64, 64))
CASES: list[tuple[dict[str, Any], bool]] = [
    ({}, True),
    ({"causal": True}, True),
    ({"mask": MASK}, True),
    ({"bias": BIAS}, True),
    ({"backend": "cpu"}, False),
    ({"backend": "tpu"}, False),
    ({"rate": 0.1}, False),
    ({"mask": MASK, "fill": -1.0}, False),
    ({"bias": BIAS._replace(dtype=jnp.dtype("float32"))}, False),
    ({"q": Array((2, 32, 4, 32))}, True),
    ({"q": Array((2, 32, 4, 32)), "causal": True}, False),
    ({"q": Array((64, 4, 32)), "k": Array((64, 4, 32)), "v": Array((64, 4, 32))}, False),
    ({"v": Array((2, 64, 4, 16))}, False),
    *(({x: Q._replace(dtype=jnp.dtype("float32")) for x in "qkv"}, False) for _ in range(1)),
    *(
        ({x: Array((2, 64, 4, head)) for x in "qkv"}, fits)
        for head, fits in ((8, True), (12, False), (128, True), (136, False))
    ),
    *(
        ({x: Array((2, 63, 4, 32)) for x in "qkv"} | extra, fits)
        for extra, fits in (({}, True), ({"bias": BIAS}, False))
    ),
]


@pytest.mark.parametrize(("changed", "fits"), CASES)
def test_what_goes_to_cudnn(changed: dict[str, Any], fits: bool) -> None:
    usual: dict[str, Any] = {
        "backend": "gpu", "q": Q, "k": Q, "v": Q, "mask": None, "bias": None, "causal": False, "fill": float("-inf"),
        "rate": 0.0,
    }  # fmt: skip
    assert bool(prelude()["fits_cudnn"](**{**usual, **changed})) is fits
