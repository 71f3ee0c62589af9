"""Values of the graph out and in: what is fetched is what the model computes, what is fed is what it goes on with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trxc
from trxc import reference
from trxc.ir import Module, Value
from trxc.ir.clone import clone_module
from trxc.ir.parameters import parameter_tree, state_tree
from trxc.ir.printer import to_text
from trxc.ir.reader import from_text
from trxc.ir.verify import verify
from trxc.passes.extract import UnknownValueError, extract
from trxc.passes.places import Names
from trxc.reference import Reference, init_parameters, init_states, map_tree

GPT = """
layer Block(heads: int) {
  input x: float[batch, seq, embed]
  attention = SelfAttention(heads, causal = true)
  output x |> residual(LayerNorm >> attention) |> residual(LayerNorm >> Dense(12) >> gelu >> Dense(embed))
}
model GPT(vocab: int = 11, embed: int = 8, layers: int = 4) {
  input tokens: int[batch, seq]
  table = Embedding(vocab, embed)
  x = tokens |> table |> repeat(layers, Block(2)) |> LayerNorm
  output logits: float[batch, seq, vocab] = table.attend(x)
}
"""

LSTM = """
model Tagger(features: int = 3, hidden: int = 5) {
  input x: float[batch, seq, features], bias: float[batch, 4]
  h = x |> LSTM(hidden)
  h = h |> LSTM(hidden, reverse = true)
  output y: float[batch, seq, 4] = (h |> Dense(4)) + bias[:, none, :]
}
"""

NORM = """
model Net(hidden: int = 6) {
  input x: float[batch, 4]
  h = x |> Dense(hidden)
  h = h |> BatchNorm |> relu
  shared = Dense(hidden)
  h = h |> shared |> tanh |> shared
  output y: float[batch, 2] = h |> Dense(2)
  output total: float[batch] = sum(x, over = 1)
}
"""

TOKENS = np.random.default_rng(1).integers(0, 11, (2, 5))
SEQUENCE = [np.random.default_rng(2).normal(size=(2, 5, 3)), np.random.default_rng(3).normal(size=(2, 4))]
ROWS = [np.random.default_rng(4).normal(size=(3, 4))]
MODELS: dict[str, tuple[str, list[Any]]] = {"gpt": (GPT, [TOKENS]), "lstm": (LSTM, SEQUENCE), "norm": (NORM, ROWS)}


def module_of(source: str) -> Module:
    return clone_module(trxc.compile(source, filename="m.trx").unoptimised)


def run(
    module: Module, original: Module, given: dict[str, Any], params: reference.Tree | None = None
) -> dict[str, np.ndarray]:
    """What `apply` gives with the weights of the original model."""
    function = module.role("apply")
    tree = init_parameters(original, 5) if params is None else params
    results, _ = Reference(module).run(
        function.name, tree, init_states(original, 6), [given[v.name or ""] for v in function.inputs]
    )
    return dict(zip(function.output_names, results, strict=True))


def extracted(original: Module, fetch: list[str], feed: list[str]) -> Module:
    module = clone_module(original)
    extract(module, fetch, feed)
    assert verify(module) == []
    assert to_text(from_text(to_text(module))) == to_text(module)
    return module


def inputs_of(original: Module, arrays: list[Any]) -> dict[str, Any]:
    return {v.name or "": array for v, array in zip(original.role("apply").inputs, arrays, strict=True)}


class Recorder:
    """Every array that an interpreted model has given a value, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: dict[str, list[np.ndarray]] = {}
        frame: Any = vars(reference)["_Frame"]
        before = frame.set

        def record(this: Any, values: list[Value], arrays: Any, what: str) -> None:
            values, arrays = list(values), list(arrays)
            before(this, values, arrays, what)
            for value, array in zip(values, arrays, strict=True):
                if value.name:
                    self.seen.setdefault(value.name, []).append(np.asarray(array))

        monkeypatch.setattr(frame, "set", record)


def test_values_of_a_repeat_are_those_an_interpreter_sees(monkeypatch: pytest.MonkeyPatch):
    original = module_of(GPT)
    recorder = Recorder(monkeypatch)
    plain = run(original, original, {"tokens": TOKENS})
    scores = list(recorder.seen["mixed"])
    assert len(scores) == 4
    names = ["blocks.attention.mixed", "blocks[2].attention.mixed", "blocks[0].attention.mixed"]
    given = run(extracted(original, names, []), original, {"tokens": TOKENS})
    np.testing.assert_array_equal(given["blocks.attention.mixed"], np.stack(scores))
    np.testing.assert_array_equal(given["blocks[2].attention.mixed"], scores[2])
    np.testing.assert_array_equal(given["blocks[0].attention.mixed"], scores[0])
    np.testing.assert_array_equal(given["logits"], plain["logits"])


@pytest.mark.parametrize("cell", ["lstm", "lstm_2"])
def test_values_of_a_recur_are_stacked_along_its_dim(monkeypatch: pytest.MonkeyPatch, cell: str):
    original, inputs = module_of(LSTM), inputs_of(module_of(LSTM), SEQUENCE)
    recorder = Recorder(monkeypatch)
    run(original, original, inputs)
    steps = list(recorder.seen["g"])[:5] if cell == "lstm" else recorder.seen["g"][5:][::-1]
    given = run(extracted(original, [f"{cell}.lstm_cell.g"], []), original, inputs)
    np.testing.assert_array_equal(given[f"{cell}.lstm_cell.g"], np.stack(steps, 1))


def test_names_that_are_bound_twice_are_numbered(monkeypatch: pytest.MonkeyPatch):
    original, inputs = module_of(NORM), inputs_of(module_of(NORM), ROWS)
    recorder = Recorder(monkeypatch)
    run(original, original, inputs)
    seen = list(recorder.seen["h"])
    given = run(extracted(original, ["h#1", "h#2", "h", "shared.y#1", "shared.y"], []), original, inputs)
    for name, array in zip(["h#1", "h#2", "h"], seen, strict=True):
        np.testing.assert_array_equal(given[name], array)
    assert not np.array_equal(given["shared.y#1"], given["shared.y"])


@pytest.mark.parametrize("name", list(MODELS))
def test_all_that_is_listed_can_be_fetched_and_has_the_type_it_says(name: str):
    source, arrays = MODELS[name]
    original, inputs = module_of(source), inputs_of(module_of(source), arrays)
    listed = [(n.replace("[0…3]", "[1]"), t) for n, t in Names(original, original.role("apply")).listing()]
    module = extracted(original, [n for n, _ in listed], [])
    types = dict(zip(module.role("apply").output_names, module.role("apply").results, strict=True))
    given = run(module, original, inputs)
    for n, type_ in listed:
        assert types[n].type.sizes == type_.sizes, n
        assert given[n].ndim == type_.rank
    assert len(listed) > 10


@pytest.mark.parametrize("name", list(MODELS))
def test_a_value_fed_back_changes_nothing_and_another_one_does(name: str):
    source, arrays = MODELS[name]
    original, inputs = module_of(source), inputs_of(module_of(source), arrays)
    plain = run(original, original, inputs)
    outputs = set(plain)
    for listed, type_ in Names(original, original.role("apply")).listing():
        value = listed.replace("[0…3]", "[1]")
        if value in outputs or type_.dtype.kind != "float" or value in inputs or "." not in value:
            continue
        array = run(extracted(original, [value], []), original, inputs)[value]
        module = extracted(original, [], [value])
        again = run(module, original, {**inputs, value: array})
        assert set(again) == outputs
        for output in outputs:
            np.testing.assert_allclose(again[output], plain[output], rtol=1e-12, err_msg=value)
        other = run(module, original, {**inputs, value: array + 1 + np.arange(array.size).reshape(array.shape)})
        assert any(not np.allclose(other[output], plain[output]) for output in outputs), value


def test_without_an_index_every_iteration_is_fed():
    original = module_of(GPT)
    given = {"tokens": TOKENS, "blocks.attention.scores": np.zeros((2, 2, 5, 5))}
    weights = ["blocks.attention.scores", "blocks[3].attention.mixed"]
    result = run(extracted(original, weights, ["blocks.attention.scores"]), original, given)
    assert result["blocks.attention.scores"].shape == (4, 2, 2, 5, 5)
    assert not result["blocks.attention.scores"].any()


def test_a_part_needs_only_its_own_inputs():
    original = module_of(GPT)
    module = extracted(original, ["blocks[3].attention.scores"], ["blocks[2].x"])
    function = module.role("apply")
    assert [value.name for value in function.inputs] == ["blocks[2].x"]
    x = run(extracted(original, ["blocks[2].x", "blocks[3].attention.scores"], []), original, {"tokens": TOKENS})
    part = run(module, original, {"blocks[2].x": x["blocks[2].x"]})
    np.testing.assert_allclose(part["blocks[3].attention.scores"], x["blocks[3].attention.scores"])
    np.testing.assert_allclose(part["logits"], x["logits"])


def test_outputs_that_need_more_inputs_are_left_out_of_a_part():
    original = module_of(LSTM)
    function = extracted(original, ["lstm_2.output"], ["h#1"]).role("apply")
    assert ([value.name for value in function.inputs], function.output_names) == (["h#1"], ["lstm_2.output"])
    whole = extracted(original, [], ["h#1"]).role("apply")
    assert ([value.name for value in whole.inputs], whole.output_names) == (["bias", "h#1"], ["y"])


def test_weights_keep_their_names_and_storage():
    original = module_of(GPT)
    module = extracted(original, ["blocks[1].attention.scores"], [])
    names = [p.name for p in parameter_tree(module, module.roles["apply"])]
    assert sorted(names) == sorted(p.name for p in parameter_tree(original, original.roles["apply"]))
    assert "blocks[*].attention.wq" in names
    norm = module_of(NORM)
    after = extracted(norm, ["batch_norm.running_mean"], [])
    assert [s.name for s in state_tree(after, after.roles["apply"])] == [
        s.name for s in state_tree(norm, norm.roles["apply"])
    ]


def test_a_weight_is_fetched_and_fed_wherever_it_is_read():
    original = module_of(GPT)
    params = init_parameters(original, 5)
    given = run(extracted(original, ["table.w", "blocks.attention.wq"], []), original, {"tokens": TOKENS}, params)
    table: Any = params["table"]
    np.testing.assert_array_equal(given["table.w"], table["w"])
    blocks: Any = params["blocks"]
    np.testing.assert_array_equal(given["blocks.attention.wq"], blocks["attention"]["wq"])
    fed = extracted(original, [], ["table.w"])
    zeros = run(fed, original, {"tokens": TOKENS, "table.w": np.zeros((11, 8))}, params)
    assert not zeros["logits"].any()


@pytest.mark.parametrize(
    ("name", "message", "more"),
    [
        ("blocks.attenton.scores", "there is no value `blocks.attenton.scores`", "`blocks.attention.scores`"),
        ("blocks[2].attention.score", "there is no value", "`blocks[2].attention.scores`"),
        ("blocks[4].x", "`blocks` is repeated 4 times", "`3`"),
        ("blocks[0].attention", "is a layer, not a value", "`scores`"),
        ("bloks[1].attention.scores", "there is no value", "`blocks[1].attention.scores`"),
        ("logitz", "there is no value `logitz`", "`logits`"),
        ("x#5", "`x` is bound 1 times", ""),
        ("a..b", "cannot be the name of a value", "blocks[2]"),
    ],
)
def test_unknown_names_are_told_with_what_there_is(name: str, message: str, more: str):
    with pytest.raises(trxc.CompileError) as caught:
        trxc.compile(GPT, filename="m.trx", fetch=(name,))
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "TRX0707"
    assert message in diagnostic.message
    assert more in " ".join([*diagnostic.helps, *diagnostic.notes])


def test_copies_that_differ_are_named_by_their_number():
    source = """
model Net() {
  input x: float[batch, 4]
  output y: float[batch, 4] = x |> repeat(2, fn(i) => Dense(4, bias = i == 0))
}
"""
    original = module_of(source)
    listed = dict(Names(original, original.role("apply")).listing())
    assert {"denses[0].b", "denses[1].w"} <= set(listed)
    assert "denses[1].b" not in listed
    module = extracted(original, ["denses[1].x"], ["denses[0].w"])
    given = run(module, original, {"x": np.ones((2, 4)), "denses[0].w": np.zeros((4, 4))})
    assert (given["denses[1].x"] == given["denses[1].x"][0]).all()


def test_a_fetched_cell_may_be_cut_out_of_its_loop():
    original = module_of(LSTM)
    function = extracted(original, ["lstm.lstm_cell.i"], ["lstm.lstm_cell.x", "lstm.h"]).role("apply")
    assert {value.name for value in function.inputs} == {"lstm.lstm_cell.x", "lstm.h"}


def test_a_value_is_fed_by_one_name():
    with pytest.raises(UnknownValueError, match="fed twice"):
        extract(module_of(GPT), [], ["blocks[1].x", "blocks.x"])


def test_the_other_roles_stay_as_they_are():
    source = Path(__file__).parents[2] / "examples" / "quickstart.trx"
    program = trxc.compile(source, fetch=("blocks[1].attention.scores",), verify_each=True)
    assert {"apply", "loss", "measure", "summarize"} <= set(program.ir.roles)
    assert program.ir.role("measure").results
    assert [entry["name"] for entry in program.manifest["outputs"]] == ["logits", "blocks[1].attention.scores"]
    assert program.manifest["parameters"] == trxc.compile(source).manifest["parameters"]


def as_program_has_it(array: Any) -> Any:
    return np.asarray(array, np.int32 if array.dtype.kind == "i" else np.float32)


@pytest.mark.parametrize(
    ("name", "fetch", "feed"),
    [
        ("gpt", ["blocks[2].attention.mixed", "blocks.output", "table.w"], ["blocks[1].attention.scores"]),
        ("gpt", ["blocks[3].attention.scores"], ["blocks[2].x"]),
        ("lstm", ["lstm.lstm_cell.g", "lstm_2.next_c"], ["lstm.lstm_cell.i"]),
        ("norm", ["batch_norm.running_mean", "shared.y"], ["h#1"]),
    ],
)
def test_the_emitted_program_agrees(name: str, fetch: list[str], feed: list[str]):
    pytest.importorskip("jax")
    source, arrays = MODELS[name]
    original = module_of(source)
    inputs = inputs_of(original, arrays)
    fed = run(extracted(original, feed, []), original, inputs)
    inputs |= {value: 0.5 * fed[value] for value in feed}
    wanted = run(extracted(original, fetch, feed), original, inputs)
    program = trxc.compile(source, filename="m.trx", fetch=tuple(fetch), feed=tuple(feed), verify_each=True)
    space: dict[str, Any] = {"__name__": "program"}
    exec(compile(program.source, "program.py", "exec"), space)
    declared = {entry["name"] for entry in program.manifest["inputs"]}
    given = {n: as_program_has_it(array) for n, array in inputs.items() if n in declared}
    params, state = (map_tree(as_program_has_it, t) for t in (init_parameters(original, 5), init_states(original, 6)))
    results = space["apply"](params, state, given)
    assert list(results) == list(wanted)
    for output, array in wanted.items():
        np.testing.assert_allclose(np.asarray(results[output]), array, rtol=2e-4, atol=2e-5, err_msg=output)
