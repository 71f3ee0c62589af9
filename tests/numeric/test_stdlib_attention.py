"""Attention and the blocks of transformers against the same layers in plain NumPy."""

from __future__ import annotations

import math

import numpy as np
from stdlib_models import check, numbers, run

REAL = np.array([[True, True, True, False, False], [True, False, True, True, True]])


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def gelu(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def silu(x):
    return x / (1 + np.exp(-x))


def rotated(x, base):
    """Complex numbers made of the first and second half of the last dim, turned; x is [batch, seq, heads, head]."""
    half = x.shape[-1] // 2
    angle = np.arange(x.shape[1])[:, None] / base ** (np.arange(half) / half)
    turned = (x[..., :half] + 1j * x[..., half:]) * np.exp(1j * angle)[:, None, :]
    return np.concatenate([turned.real, turned.imag], axis=-1)


def projected(x, p, name):
    """x[batch, seq, embed] to [batch, seq, heads, head]."""
    return np.tensordot(x, p[f"w{name}"], axes=1) + p.get(f"b{name}", 0.0)


def attention(x, memory, p, seen=None, base=None):
    """Query by query; `seen(b, i, j)` says whether query i of example b may look at key j."""
    q, k, v = projected(x, p, "q"), projected(memory, p, "k"), projected(memory, p, "v")
    if base is not None:
        q, k = rotated(q, base), rotated(k, base)
    batch, length, heads, head = q.shape
    shared = heads // k.shape[2]
    y = np.zeros(x.shape)
    for b in range(batch):
        for i in range(length):
            keys = [j for j in range(k.shape[1]) if seen is None or seen(b, i, j)]
            for h in range(heads):
                weights = softmax(k[b, keys, h // shared] @ q[b, i, h] / math.sqrt(head))
                y[b, i] += weights @ v[b, keys, h // shared] @ p["wo"][h]
    return y + p.get("bo", 0.0)


def layer_norm(x, p):
    mu, sigma2 = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mu) / np.sqrt(sigma2 + 1e-5) * p["scale"] + p["shift"]


def rms_norm(x, p):
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * p["scale"]


def dense(x, p):
    return x @ p["w"] + p.get("b", 0.0)


def feed(x, p):
    return dense(gelu(dense(x, p["up"])), p["down"])


def gated(x, p, activation):
    return dense(activation(dense(x, p["gate"])) * dense(x, p["up"]), p["down"])


def causal(b, i, j):
    return j <= i


def part(tree, at):
    """One copy's weights out of those of `repeat`."""
    return {name: part(below, at) if isinstance(below, dict) else below[at] for name, below in tree.items()}


# ---------------------------------------------------------------------------------- attention


def test_masks():
    tokens, lengths = np.array([[1, 2, 0], [3, 1, 1]]), np.array([0, 4])
    outputs = run("transformer", "Masks", tokens, lengths).outputs
    i, j = np.arange(3)[:, None], np.arange(5)[None, :]
    check(outputs["causal"], j <= i + 2)
    check(outputs["padding"], tokens != 1)
    check(outputs["length"], np.array([[False] * 6, [True] * 4 + [False] * 2]))
    check(outputs["bias"], np.array([2.0**-2, 2.0**-4, 2.0**-6, 2.0**-8])[:, None, None] * (j - i - 2))
    i = np.arange(5)[:, None]
    check(outputs["sliding"], (j == i) | (j == i - 1))


def test_rotary():
    x = numbers(2, 5, 3, 6)
    check(run("transformer", "Turn", x).output, rotated(x, 100.0))


def test_self_attention():
    x = numbers(2, 5, 8)
    made = run("transformer", "Plain", x)
    check(made.output, attention(x, x, made.params["self_attention"]))


def test_self_attention_over_real_positions():
    x = numbers(2, 5, 8)
    made = run("transformer", "Masked", x, REAL)
    check(made.output, attention(x, x, made.params["self_attention"], lambda b, i, j: REAL[b, j]))


def test_nothing_to_look_at_gives_a_mean_and_no_nan():
    x = numbers(2, 5, 8)
    made = run("transformer", "Masked", x, np.zeros((2, 5), dtype=bool))
    p = made.params["self_attention"]
    mean = projected(x, p, "v").mean(axis=1)
    check(made.output, np.repeat(np.einsum("bhe,hed->bd", mean, p["wo"])[:, None], 5, axis=1))


def test_causal_attention_with_shared_keys_and_rotary_positions():
    x = numbers(2, 5, 8)
    made = run("transformer", "Causal", x)
    p = made.params["self_attention"]
    assert p["wq"].shape == (8, 4, 2) and p["wk"].shape == p["wv"].shape == (8, 2, 2)
    check(made.output, attention(x, x, p, causal, base=10_000.0))


def test_sliding_window():
    x = numbers(2, 7, 8)
    made = run("transformer", "Window", x)
    check(made.output, attention(x, x, made.params["self_attention"], lambda b, i, j: i - 3 < j <= i, base=50.0))


def test_cross_attention():
    x, memory = numbers(2, 4, 8), numbers(2, 5, 6, seed=2)
    made = run("transformer", "Cross", x, memory, REAL)
    check(made.output, attention(x, memory, made.params["cross_attention"], lambda b, i, j: REAL[b, j]))


# ------------------------------------------------------------------------------------- blocks


def test_encoder_blocks():
    x = numbers(2, 5, 8)
    made = run("transformer", "Encoder", x, REAL)
    y = x
    for at in range(2):
        p = part(made.params["encoder_blocks"], at)
        normal = layer_norm(y, p["layer_norm"])
        y = y + attention(normal, normal, p["attention"], lambda b, i, j: REAL[b, j])
        y = y + feed(layer_norm(y, p["layer_norm_2"]), p)
    check(made.output, y)


def test_encoder_block_that_normalises_last():
    x = numbers(2, 5, 8)
    made = run("transformer", "PostNorm", x)
    p = made.params["encoder_block"]
    y = layer_norm(x + attention(x, x, p["attention"], causal), p["layer_norm"])
    check(made.output, layer_norm(y + feed(y, p), p["layer_norm_2"]))


def test_decoder_blocks():
    x, memory = numbers(2, 4, 8), numbers(2, 5, 6, seed=2)
    made = run("transformer", "Decoder", x, memory)
    y = x
    for at in range(2):
        p = part(made.params["decoder_blocks"], at)
        normal = layer_norm(y, p["layer_norm"])
        y = y + attention(normal, normal, p["attention"], causal)
        y = y + attention(layer_norm(y, p["layer_norm_2"]), memory, p["cross"])
        y = y + feed(layer_norm(y, p["layer_norm_3"]), p)
    check(made.output, y)


def test_llama_block():
    x = numbers(2, 5, 8)
    made = run("transformer", "Llama", x)
    p = made.params["llama_block"]
    normal = rms_norm(x, p["rms_norm"])
    y = x + attention(normal, normal, p["attention"], causal, base=10_000.0)
    check(made.output, y + gated(rms_norm(y, p["rms_norm_2"]), p["feed"], silu))


def test_feed_forward_layers():
    x = numbers(2, 5, 8)
    made = run("transformer", "Feed", x)
    p = made.params["feed_forward"]
    y = dense(np.maximum(dense(x, p["up"]), 0), p["down"])
    check(made.output, gated(y, made.params["ge_glu"], gelu))
