"""The library's layers against the same layers in plain NumPy: dense, embedding, normalising, convolving, recurrent."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from stdlib_models import MODELS, case_text, check, elaborated, numbers, run


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softplus(x):
    return np.log(1 + np.exp(x))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("case", "model"), MODELS)
def test_every_case_is_clean_in_both_modes(case, model, training):
    module, diagnostics = elaborated(case_text(case), model, training=training)
    assert [d.message for d in diagnostics] == []
    assert "apply" in module.roles


# -------------------------------------------------------------------------- dense, embedding


def test_dense():
    x = numbers(2, 5, 6)
    made = run("layers", "Affine", x)
    check(made.output, x @ made.params["dense"]["w"] + made.params["dense"]["b"])


def test_embedding_positions_attend():
    tokens = np.array([[1, 10, 0], [3, 3, 2]])
    made = run("layers", "Tied", tokens)
    table = made.params["table"]["w"]
    x = table[tokens] + made.params["positions"]["w"][:3]
    check(made.output, x @ table.T)


def test_sinusoids():
    x = numbers(2, 5, 6)
    angle = np.arange(5)[:, None] / 100.0 ** (2 * np.arange(3) / 6)
    check(run("layers", "Waves", x).output, x + np.concatenate([np.sin(angle), np.cos(angle)], axis=-1))


def test_flatten():
    x = numbers(2, 3, 2, 4)
    check(run("layers", "Flat", x).output, x.reshape(2, 24))


def test_patches_class_token_prelu():
    image = numbers(2, 4, 6, 3)
    made = run("layers", "Classed", image)
    rows = [image[:, i : i + 2, j : j + 2].reshape(2, 12) for i in (0, 2) for j in (0, 2, 4)]
    y = np.stack(rows, axis=1) @ made.params["dense"]["w"] + made.params["dense"]["b"]
    token = np.broadcast_to(made.params["class_token"]["w"], (2, 1, 5))
    y = np.concatenate([token, y], axis=1)
    check(made.output, np.where(y > 0, y, made.params["p_re_lu"]["slope"] * y))


def test_combinators():
    x = numbers(4, 6)
    made = run("layers", "Branches", x)
    a = np.maximum(x @ made.params["dense"]["w"] + made.params["dense"]["b"], 0)
    softsign = x / (1 + np.abs(x))
    y = np.concatenate([a, np.clip(x, -1, 1), np.maximum(x, 0) + softsign + x, softsign], axis=-1)
    check(made.output, y + np.maximum(y, 0) ** 2)


def test_stochastic_depth_keeps_or_drops_whole_examples():
    x = numbers(400, 6)
    made = run("layers", "Deep", x, training=True)
    dense = made.params["stochastic_depths"]["dense"]
    w, b = dense["w"], dense["b"]
    choices = []
    for kept in itertools.product([0, 2], repeat=3):
        y = x
        for at, factor in enumerate(kept):
            y = y + factor * (y @ w[at] + b[at])
        choices.append(np.abs(made.output - y).max(axis=-1) < 1e-9)
    assert np.any(choices, axis=0).all()
    assert all(20 < np.sum(choice) < 90 for choice in choices)


def test_stochastic_depth_is_residual_after_training():
    x = numbers(4, 6)
    made = run("layers", "Deep", x)
    dense = made.params["stochastic_depths"]["dense"]
    y = x
    for at in range(3):
        y = y + y @ dense["w"][at] + dense["b"][at]
    check(made.output, y)


# ------------------------------------------------------------------------------- activations


def normal_share(x):
    return np.array([0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x])


ACTIVATIONS = {
    "relu": lambda x: np.where(x > 0, x, 0),
    "relu6": lambda x: np.minimum(np.maximum(4 * x, 0), 6),
    "squared_relu": lambda x: np.where(x > 0, x**2, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.1 * x),
    "elu": lambda x: np.where(x > 0, x, 0.5 * (np.exp(x) - 1)),
    "celu": lambda x: np.where(x > 0, x, 0.5 * (np.exp(x / 0.5) - 1)),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * (np.exp(x) - 1)),
    "gelu": lambda x: x * normal_share(x),
    "gelu_tanh": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "quick_gelu": lambda x: x * sigmoid(1.702 * x),
    "silu": lambda x: x * sigmoid(x),
    "swish": lambda x: x * sigmoid(2 * x),
    "mish": lambda x: x * np.tanh(softplus(x)),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "tanh_shrink": lambda x: x - np.tanh(x),
    "soft_shrink": lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0),
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "hard_swish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "log_sigmoid": lambda x: np.log(sigmoid(x)),
    "inverse_sigmoid": lambda x: x,
}


def test_activations():
    x = np.linspace(-5, 5, 41)
    outputs = run("activations", "Activations", x).outputs
    assert outputs.keys() == ACTIVATIONS.keys()
    for name, expected in ACTIVATIONS.items():
        np.testing.assert_allclose(outputs[name], expected(x), rtol=1e-9, atol=1e-12, err_msg=name)


def test_gate():
    x = numbers(5, 6)
    check(run("activations", "Gate", x).output, x[:, :3] * sigmoid(x[:, 3:]))


# ----------------------------------------------------------------------------- normalisation


def normalised(x, axes, eps=1e-5):
    mu = x.mean(axis=axes, keepdims=True)
    return (x - mu) / np.sqrt(((x - mu) ** 2).mean(axis=axes, keepdims=True) + eps)


def test_layer_norm():
    x = numbers(2, 5, 6)
    made = run("norm", "Layer", x)
    weights = made.params["layer_norm"]
    check(made.output, normalised(x, -1) * weights["scale"] + weights["shift"])
    made = run("norm", "LayerPlain", x)
    assert list(made.params["layer_norm"]) == ["scale"]
    check(made.output, normalised(x, -1, eps=0.1) * made.params["layer_norm"]["scale"])


def test_rms_norm():
    x = numbers(2, 5, 6)
    made = run("norm", "RMS", x)
    check(made.output, x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * made.params["rms_norm"]["scale"])


def test_batch_norm_in_training_moves_its_state():
    x = numbers(4, 3, 2, 6) * 2 + 1
    made = run("norm", "Batch", x, training=True)
    weights, before, after = (tree["batch_norm"] for tree in (made.params, made.state, made.new_state))
    check(made.output, normalised(x, (0, 1, 2)) * weights["scale"] + weights["shift"])
    check(after["running_mean"], 0.8 * before["running_mean"] + 0.2 * x.mean((0, 1, 2)))
    check(after["running_var"], 0.8 * before["running_var"] + 0.2 * x.var((0, 1, 2)))


def test_batch_norm_after_training_uses_its_state():
    x = numbers(4, 3, 2, 6) * 2 + 1
    made = run("norm", "Batch", x)
    weights, state = made.params["batch_norm"], made.state["batch_norm"]
    y = (x - state["running_mean"]) / np.sqrt(state["running_var"] + 1e-5)
    check(made.output, y * weights["scale"] + weights["shift"])
    check(made.new_state["batch_norm"]["running_mean"], state["running_mean"])


def test_group_norm():
    x = numbers(4, 3, 2, 6)
    made = run("norm", "Group", x)
    weights = made.params["group_norm"]
    y = normalised(x.reshape(4, 3, 2, 3, 2), (1, 2, 4)).reshape(x.shape)
    check(made.output, y * weights["scale"] + weights["shift"])


def test_instance_norm():
    x = numbers(4, 3, 2, 6)
    made = run("norm", "Instance", x)
    weights = made.params["instance_norm"]
    check(made.output, normalised(x, (1, 2)) * weights["scale"] + weights["shift"])


# ------------------------------------------------------------------------------ convolutions


def convolved(x, w, stride, padding, dilation=1):
    """Windows one by one: x[batch, spatial…, in], w[kernel…, in, out], padding a (before, after) pair an axis."""
    x = np.pad(x, [(0, 0), *padding, (0, 0)])
    kernel = w.shape[:-2]
    spans = [(k - 1) * dilation + 1 for k in kernel]
    counts = [(n - s) // step + 1 for n, s, step in zip(x.shape[1:-1], spans, stride, strict=True)]
    y = np.zeros((len(x), *counts, w.shape[-1]))
    for place in itertools.product(*map(range, counts)):
        window = tuple(
            slice(at * step, at * step + span, dilation) for at, step, span in zip(place, stride, spans, strict=True)
        )
        seen = x[(slice(None), *window)].reshape(len(x), -1)
        y[(slice(None), *place)] = seen @ w.reshape(-1, w.shape[-1])
    return y


def test_conv_causal_dilated():
    x = numbers(2, 7, 4)
    made = run("conv", "Sequence", x)
    weights = made.params["conv"]
    check(made.output, convolved(x, weights["w"], [1], [(4, 0)], dilation=2) + weights["b"])


def test_conv_strided():
    x = numbers(2, 7, 6, 4)
    made = run("conv", "Image", x)
    weights = made.params["conv"]
    check(made.output, convolved(x, weights["w"], [2, 1], [(0, 0)] * 2) + weights["b"])


def test_conv_of_a_volume():
    x = numbers(1, 3, 4, 3, 2)
    made = run("conv", "Volume", x)
    assert list(made.params["conv"]) == ["w"]
    check(made.output, convolved(x, made.params["conv"]["w"], [1, 1, 1], [(1, 0), (0, 1), (0, 0)]))


def test_conv_in_groups():
    x = numbers(2, 4, 5, 4)
    made = run("conv", "Grouped", x)
    w, b = made.params["conv"]["w"], made.params["conv"]["b"]
    same = [(1, 1)] * 2
    halves = [convolved(x[..., 2 * g : 2 * g + 2], w[..., 3 * g : 3 * g + 3], [1, 1], same) for g in range(2)]
    check(made.output, np.concatenate(halves, axis=-1) + b)


def depthwise(x, w, multiplier):
    parts = [
        convolved(x[..., c : c + 1], w[..., c * multiplier : (c + 1) * multiplier], [1, 1], [(1, 1)] * 2)
        for c in range(x.shape[-1])
    ]
    return np.concatenate(parts, axis=-1)


def test_depthwise_conv():
    x = numbers(2, 4, 5, 4)
    made = run("conv", "Depthwise", x)
    weights = made.params["depthwise_conv"]
    check(made.output, depthwise(x, weights["w"], 2) + weights["b"])


def test_separable_conv():
    x = numbers(2, 4, 5, 4)
    made = run("conv", "Separable", x)
    weights = made.params["separable_conv"]
    mixed = depthwise(x, weights["depthwise_conv"]["w"], 1) @ weights["dense"]["w"] + weights["dense"]["b"]
    check(made.output, mixed)


def test_conv_transpose():
    x = numbers(2, 5, 4)
    made = run("conv", "Transposed", x)
    weights = made.params["conv_transpose"]
    spread = np.zeros((2, 9, 4))
    spread[:, ::2] = x
    check(made.output, convolved(spread, weights["w"], [1], [(2, 2)]) + weights["b"])


def test_pools():
    x = numbers(2, 4, 6, 4)
    outputs = run("conv", "Pools", x).outputs
    check(outputs["largest"], x.reshape(2, 2, 2, 3, 2, 4).max(axis=(2, 4)))
    check(outputs["average"], x.mean(axis=(1, 2)))
    check(outputs["maximal"], x.max(axis=(1, 2)))
    expected = np.zeros_like(x)
    for i, j in itertools.product(range(4), range(6)):
        expected[:, i, j] = x[:, max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2].mean(axis=(1, 2))
    check(outputs["padded"], expected)


def test_upsample():
    line, image = numbers(2, 3, 2), numbers(2, 3, 4, 2)
    outputs = run("conv", "Upsampled", line, image).outputs
    check(outputs["longer"], line.repeat(3, axis=1))
    check(outputs["larger"], image.repeat(2, axis=1).repeat(2, axis=2))


# --------------------------------------------------------------------------------- recurrent


def stepped(cell, x, size, reverse=False):
    """A cell `(x, carries) -> (output, carries)` along axis 1."""
    carries = [np.zeros((len(x), n)) for n in size]
    y = np.zeros((*x.shape[:2], size[0]))
    for t in range(x.shape[1])[::-1] if reverse else range(x.shape[1]):
        y[:, t], carries = cell(x[:, t], carries)
    return y


def lstm_cell(p):
    def cell(x, carries):
        h, c = carries
        i, f, g, o = np.split(x @ p["w"] + h @ p["u"] + p["b"], 4, axis=-1)
        c = sigmoid(f + 1) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        return h, [h, c]

    return cell


def gru_cell(p):
    def cell(x, carries):
        (h,) = carries
        n = h.shape[-1]
        gates = sigmoid((x @ p["w"] + p["b"] + h @ p["u"])[:, : 2 * n])
        r, z = gates[:, :n], gates[:, n:]
        new = np.tanh((x @ p["w"] + p["b"])[:, 2 * n :] + r * ((h @ p["u"])[:, 2 * n :] + p["b_new"]))
        h = (1 - z) * new + z * h
        return h, [h]

    return cell


def test_simple_rnn():
    x = numbers(2, 7, 4)
    made = run("recurrent", "Simple", x)
    p = made.params["simple_rnn"]["simple_cell"]

    def cell(x, carries):
        h = np.tanh(x @ p["w"] + carries[0] @ p["u"] + p["b"])
        return h, [h]

    check(made.output, stepped(cell, x, [5]))


def test_lstm():
    x = numbers(2, 7, 4)
    made = run("recurrent", "Long", x)
    check(made.output, stepped(lstm_cell(made.params["lstm"]["lstm_cell"]), x, [5, 5]))


def test_gru_in_reverse():
    x = numbers(2, 7, 4)
    made = run("recurrent", "Gated", x)
    check(made.output, stepped(gru_cell(made.params["gru"]["gru_cell"]), x, [5], reverse=True))


def test_bidirectional():
    x = numbers(2, 7, 4)
    made = run("recurrent", "Both", x)
    forwards = stepped(lstm_cell(made.params["lstm"]["lstm_cell"]), x, [5, 5])
    backwards = stepped(gru_cell(made.params["gru"]["gru_cell"]), x, [3], reverse=True)
    check(made.output, np.concatenate([forwards, backwards], axis=-1))


def test_stacked_lstms_have_weights_of_their_own():
    x = numbers(2, 7, 4)
    made = run("recurrent", "Stacked", x)
    cells = made.params["lstms"]["lstm_cell"]
    y = x
    for at in range(2):
        y = stepped(lstm_cell({name: weight[at] for name, weight in cells.items()}), y, [4, 4])
    check(made.output, y)
