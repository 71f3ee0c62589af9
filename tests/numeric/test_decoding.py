"""Decoding derived from the training definition gives what the model gives; what looks ahead is refused.

In the reference interpreter, float64: for every way of cutting a sequence into chunks, some of them padded, the derived
function's logits equal the full forward's.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.fuzz.causality import EQUAL
from tests.fuzz.chunks import USUAL, derived, full, in_chunks, inputs_of, unoptimised, weights_of, worst_off

from trxc.ir import Module
from trxc.passes.decode import RefusedError

FOLDER = Path(__file__).parents[1] / "cases" / "decoding"
MODELS = {path.stem: path.read_text() for path in sorted(FOLDER.glob("*.trx"))}


@pytest.mark.parametrize("name", MODELS)
def test_every_cut_of_a_sequence_gives_what_the_whole_gives(name: str) -> None:
    worst, cut = worst_off(derived(unoptimised(MODELS[name])), 3)
    assert worst <= EQUAL, f"in chunks of {cut}"


def test_what_is_kept_matters() -> None:
    """The comparison would see a chunk that forgets what was before it."""
    module = derived(unoptimised(MODELS["gpt"]))
    params, state = weights_of(module, 3)
    inputs = inputs_of(module, 5)
    wanted = full(module, inputs, params, state)
    _forget(module)
    found = in_chunks(module, inputs, params, state, [1] * USUAL.seq)
    assert np.max(np.abs(found[:, 1:] - wanted[:, 1:])) > 1e-3
    np.testing.assert_allclose(found[:, 0], wanted[:, 0], atol=1e-10)


def _forget(module: Module) -> None:
    for function in module.functions.values():
        function.body.ops[:] = [op for op in function.body.ops if op.kind != "set_state"]


def changed(name: str, old: str, new: str) -> str:
    assert old in MODELS[name]
    return MODELS[name].replace(old, new)


BEFORE, AFTER = ">> LayerNorm\n", ">> LayerNorm\n  x = "
AHEAD = {
    "attention without a mask": (changed("gpt", "causal = true", "causal = false"), "softmax("),
    "a mask off by one": (
        changed("alibi", "causal_mask(seq, keys)", "iota(seq)[:, none] + 1 >= iota(keys)[none, :]"),
        "softmax(",
    ),
    "a mask that is not -inf": (changed("alibi", "-inf)", "-1e9)"), "softmax("),
    "no mask at all": (changed("alibi", "where(causal_mask(seq, keys), scores, -inf)", "scores"), "softmax("),
    "a mean over time": (changed("gpt", BEFORE, AFTER + "x - mean(x, over = 1, keep = true)\n"), "mean("),
    "a softmax over time": (changed("gpt", BEFORE, AFTER + "softmax(x, over = 1)\n"), "softmax(x, over = 1)"),
    "a reversed sequence": (changed("gpt", BEFORE, AFTER + "reverse(x, over = 1)\n"), "reverse("),
    "a sorted sequence": (changed("gpt", BEFORE, AFTER + "sort(x, over = 1)\n"), "sort("),
    "the last place": (changed("gpt", BEFORE, AFTER + "x + x[:, -1][:, none, :]\n"), "x[:, -1]"),
    "the length": (changed("gpt", BEFORE, AFTER + "x / cast(seq, float)\n"), "seq"),
    "a recurrence backwards": (changed("lstm", "LSTM(5)", "LSTM(5, reverse = true)"), "recur("),
    "a convolution both ways": (changed("conv", 'padding = "causal") >> relu', 'padding = "same") >> relu'), "conv("),
    "a place moved up": (
        changed("shift", "y = pad(x[:, :-1], [0, 1, 0], [0, 0, 0])", "y = pad(x[:, 1:], [0, 0, 0], [0, 1, 0])"),
        "x[:, 1:]",
    ),
    "a later place by its number": (
        changed("lookup", "maximum(iota(seq) - 1, 0)", "minimum(iota(seq) + 1, 4)"), "gather(",
    ),
    "a pool over neighbours": (changed("conv", "x = x |> Conv", 'x = max_pool(x, 3, 1, "same") |> Conv'), "max_pool("),
    "a total from the end": (
        changed("performer", "cumsum(k, over = 1)", "reverse(cumsum(reverse(k, over = 1), over = 1), over = 1)"),
        "reverse(k",
    ),
    "all with all": (
        changed("gpt", BEFORE, AFTER + 'einsum("b s d, b t d, b t e -> b s e", x, x, x)\n'),
        "einsum(",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", AHEAD)
def test_what_looks_ahead_is_refused_where_it_does(name: str) -> None:
    text, at = AHEAD[name]
    with pytest.raises(RefusedError) as raised:
        derived(unoptimised(text))
    error = raised.value
    assert error.ahead
    assert error.span is not None
    assert error.span.source.text[error.span.start : error.span.end].startswith(at)


SEEN = "where(causal_mask(seq, keys), 5.0 * tanh(scores / 5.0), -inf)"
CAPPED = {
    "a mask off by one, scores capped": (
        SEEN.replace("causal_mask(seq, keys)", "iota(seq)[:, none] + 1 >= iota(keys)"),
        "softmax(",
    ),
    "a mask of keys alone": (SEEN.replace("causal_mask(seq, keys)", "iota(keys) >= 2"), "softmax("),
    "a mask of what tensors hold": (SEEN.replace("causal_mask(seq, keys)", "scores > 0.0"), "softmax("),
    "a mask in steps that are too long": (
        SEEN.replace("causal_mask(seq, keys)", "iota(seq)[:, none] // 2 >= iota(keys) // 2"),
        "softmax(",
    ),
    "a product over keys": ("tanh(scores) + prod(scores, over = keys, keep = true)", "prod("),
    "a mean over what is masked": (
        f"{SEEN} + mean(where(causal_mask(seq, keys), scores, 0.0), over = keys, keep = true)",
        "mean(",
    ),
    "queries brought together": (f"{SEEN} + sum(scores, over = 2, keep = true)", "sum("),
    "keys in the other order": (f"reverse({SEEN}, over = keys)", "reverse("),
}
"""Scores that are looked at op by op: what stands in the softmax, and what is complained of."""
AHEAD.update({name: (changed("softcap", SEEN, text), at) for name, (text, at) in CAPPED.items()})


NOT_KNOWN = {
    **{
        f"hidden, but not shown to be: {mask}": (changed("softcap", "causal_mask(seq, keys)", mask), "softmax(")
        for mask in (
            "minimum(iota(seq)[:, none] - iota(keys), 0) >= 0",
            "iota(seq)[:, none] // 2 > iota(keys) // 2 or iota(seq)[:, none] == iota(keys)",
            "iota(seq)[:, none] >= 2 * iota(keys)",
        )
    },
    "a running sum over keys": (changed("softcap", SEEN, f"{SEEN} - cumsum(scores, over = keys)"), "cumsum("),
    "a running sum over queries": (changed("softcap", SEEN, f"{SEEN} - cumsum(scores, over = 2)"), "cumsum("),
    "the largest of the keys seen": (
        changed("softcap", SEEN, f"{SEEN} - cast(argmax({SEEN}, over = keys)[..., none], float)"), "argmax(",
    ),
    "the first place": (changed("gpt", BEFORE, AFTER + "x + x[:, :1]\n"), "x[:, :1]"),
    "the first place alone": (changed("gpt", BEFORE, AFTER + "x + x[:, 0][:, none]\n"), "x[:, 0]"),
    "numbers that are not understood": (changed("lookup", "iota(seq) // 2", "iota(seq) * iota(seq) % 3"), "gather("),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_KNOWN)
def test_what_is_only_not_known_is_not_said_to_look_ahead(name: str) -> None:
    text, at = NOT_KNOWN[name]
    with pytest.raises(RefusedError) as raised:
        derived(unoptimised(text))
    assert not raised.value.ahead
    assert raised.value.span is not None
    assert raised.value.span.text.startswith(at)


def test_a_layer_in_another_is_complained_of_where_it_is_written() -> None:
    """Not where the library's `residual` applies it."""
    text = changed(
        "lstm_stack",
        "repeat(3, residual(LayerNorm >> LSTM(6)))",
        "residual(recur(LSTMCell(6), over = 1, reverse = true))",
    )
    with pytest.raises(RefusedError) as raised:
        derived(unoptimised(text))
    assert raised.value.span is not None
    assert raised.value.span.text.startswith("recur(LSTMCell")


def test_places_hidden_by_a_number_are_told_how_to_be_left_out() -> None:
    with pytest.raises(RefusedError) as raised:
        derived(unoptimised(AHEAD["a mask that is not -inf"][0]))
    assert "-1e+09" in raised.value.reason
    assert "-inf" in raised.value.help
