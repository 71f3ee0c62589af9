"""Decoding derived from the training definition gives what the model gives; what looks ahead is refused.

In the reference interpreter, float64: for every way of cutting a sequence into chunks, some of them padded, the derived
function's logits equal the full forward's.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trxc
from trxc.ir import Module
from trxc.ir.clone import clone_module
from trxc.ir.parameters import state_tree
from trxc.ir.verify import verify
from trxc.passes import Remarks, pipeline
from trxc.passes.decode import PREPARE, STEP, RefusedError, derive_decoding
from trxc.reference import Reference, Tree, init_parameters, init_states

FOLDER = Path(__file__).parents[1] / "cases" / "decoding"
MODELS = {path.stem: path.read_text() for path in sorted(FOLDER.glob("*.trx"))}
LENGTH, ROWS, CAPACITY = 7, 2, 10
SIZES = {"batch": ROWS, "seq": LENGTH, "source_len": 5, "capacity": CAPACITY}
CUTS = ([1] * LENGTH, [LENGTH], [3, 2, 1, 1], [1, 4, 2])


def derived(text: str) -> Module:
    """The module as the pass finds it, with decoding derived."""
    module = clone_module(trxc.compile(text, filename="model.trx").unoptimised)
    for item in pipeline():
        item.run(module, Remarks())
        if item.name == "fuse-attention":
            break
    derive_decoding(module, "tokens", "logits")
    assert verify(module) == []
    return module


def inputs_of(module: Module, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        str(value.name): rng.integers(0, 4, tuple(size.evaluate(SIZES) for size in value.type.sizes))
        for value in module.role("apply").inputs
    }


def full(module: Module, inputs: Mapping[str, Any], params: Tree, state: Tree) -> Any:
    """The logits of the whole sequence at once."""
    apply = module.role("apply")
    results, _ = Reference(module).run(apply.name, params, state, list(inputs.values()))
    return results[apply.output_names.index("logits")]


def kept(module: Module, state: Tree) -> Tree:
    """The model's states and those of decoding, filled with what must not matter."""
    held = copy.deepcopy(state)
    for bound in [*state_tree(module, module.roles[STEP]), *state_tree(module, module.roles[PREPARE])]:
        shape = tuple(size.evaluate(SIZES) for size in bound.sizes)
        tree: Any = held
        for part in bound.path[:-1]:
            tree = tree.setdefault(part, {})
        kind = bound.parameter.type.dtype.kind
        tree.setdefault(bound.path[-1], np.full(shape, {"float": 7.0, "int": 3, "bool": True}[kind]))
    return held


def in_chunks(module: Module, inputs: Mapping[str, Any], params: Tree, state: Tree, cut: list[int]) -> Any:
    """The logits chunk by chunk; chunks of several places have two more that are not real."""
    reference, prepare, step = Reference(module), module.role(PREPARE), module.role(STEP)
    _, held = reference.run(prepare.name, params, kept(module, state), [inputs[str(v.name)] for v in prepare.inputs])
    found, start = [], 0
    for count in cut:
        chunk = inputs["tokens"][:, start : start + count]
        if count > 1 and start + count + 2 <= CAPACITY:
            chunk = np.concatenate([chunk, np.full((ROWS, 2), 2)], axis=1)
        given = {"tokens": chunk, "start": np.asarray(start), "count": np.asarray(count), "slots": np.arange(CAPACITY)}
        (logits,), held = reference.run(step.name, params, held, [given[str(value.name)] for value in step.inputs])
        found.append(logits[:, :count])
        start += count
    return np.concatenate(found, axis=1)


@pytest.mark.parametrize("name", MODELS)
def test_every_cut_of_a_sequence_gives_what_the_whole_gives(name: str) -> None:
    module = derived(MODELS[name])
    apply = module.roles["apply"]
    params, state = init_parameters(module, 3, apply), init_states(module, 4, apply)
    inputs = inputs_of(module, 5)
    wanted = full(module, inputs, params, state)
    for cut in CUTS:
        found = in_chunks(module, inputs, params, state, cut)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-10 * np.max(np.abs(wanted)))


def test_what_is_kept_matters() -> None:
    """The comparison would see a chunk that forgets what was before it."""
    module = derived(MODELS["gpt"])
    apply = module.roles["apply"]
    params, state = init_parameters(module, 3, apply), init_states(module, 4, apply)
    inputs = inputs_of(module, 5)
    wanted = full(module, inputs, params, state)
    for function in module.functions.values():
        function.body.ops[:] = [op for op in function.body.ops if op.kind != "set_state"]
    found = in_chunks(module, inputs, params, state, CUTS[0])
    assert np.max(np.abs(found[:, 1:] - wanted[:, 1:])) > 1e-3
    np.testing.assert_allclose(found[:, 0], wanted[:, 0], atol=1e-10)


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
        derived(text)
    error = raised.value
    assert error.ahead
    assert error.span is not None
    assert error.span.source.text[error.span.start : error.span.end].startswith(at)


def test_places_hidden_by_a_number_are_told_how_to_be_left_out() -> None:
    with pytest.raises(RefusedError) as raised:
        derived(AHEAD["a mask that is not -inf"][0])
    assert "-1e+09" in raised.value.reason
    assert "-inf" in raised.value.help
