"""Batches: a function of seed, step and size; splits that never change; streams that stop."""

from __future__ import annotations

import threading
import time
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pytest
from data_recipes import call, recipe
from hypothesis import given, settings
from hypothesis import strategies as st

from trxc_runtime.data import DataError, load


def numbered(examples, split=None, **others):
    described = recipe(call("Arrays"), split=split, **others)
    return load(described, root=Path(), arrays={"x": np.arange(examples)})


def order(split, steps, size, seed=0):
    return np.concatenate([split.batch(step, size, seed=seed)["x"] for step in range(steps)])


@settings(max_examples=40, deadline=None)
@given(examples=st.integers(1, 50), size=st.integers(1, 60), seed=st.integers(-5, 2**63))
def test_every_epoch_holds_every_example_once(examples, size, seed):
    split = numbered(examples).split("train")
    steps = -(-3 * examples // size)
    epochs = order(split, steps, size, seed)[: 3 * examples].reshape(3, examples)
    assert (np.sort(epochs, axis=1) == np.arange(examples)).all()


def test_order_changes_with_the_epoch_and_the_seed():
    split = numbered(100).split("train")
    orders = [order(split, 4, 50, seed).reshape(2, 100) for seed in (0, 1)]
    different = {tuple(epoch) for seeded in orders for epoch in seeded}
    assert len(different) == 4
    assert not (orders[0][0] == np.arange(100)).all()


def test_any_step_can_be_had_alone_and_again():
    first, again = (numbered(1000).split("train") for _ in range(2))
    expected = first.batch(12_345_678, 7, seed=3)["x"]
    again.batch(0, 7, seed=9)
    np.testing.assert_array_equal(again.batch(12_345_678, 7, seed=3)["x"], expected)


def test_order_is_the_one_that_it_was():
    """A resumed run reads on where it stopped, also under a later version: these numbers do not change."""
    assert numbered(10).split("train").batch(0, 10, seed=0)["x"].tolist() == ORDER_OF_TEN


ORDER_OF_TEN = [3, 9, 8, 4, 7, 1, 6, 2, 5, 0]


def test_order_of_the_source_without_shuffle():
    split = numbered(5, shuffle=False).split("train")
    assert order(split, 2, 4).tolist() == [0, 1, 2, 3, 4, 0, 1, 2]


@pytest.mark.parametrize("size", [0, -1])
def test_batch_of_no_examples(size):
    split = numbered(5).split("train")
    with pytest.raises(DataError, match="at least 1 example"):
        split.batch(0, size, seed=0)
    with pytest.raises(DataError, match="at least 1 example"):
        next(split.batches(size))


def test_one_pass_in_order_with_true_sizes():
    passed = list(numbered(7).split("train").batches(3))
    assert [(batch["x"].tolist(), size) for batch, size in passed] == [([0, 1, 2], 3), ([3, 4, 5], 3), ([6], 1)]


def test_stream_is_the_batches_from_its_start():
    split = numbered(50).split("train")
    with split.stream(8, 5, start=3, prefetch=2) as stream:
        streamed = [batch["x"].tolist() for batch in islice(stream, 6)]
    assert streamed == [split.batch(step, 8, seed=5)["x"].tolist() for step in range(3, 9)]


@pytest.mark.parametrize("taken", [0, 1, 5])
def test_stream_ends_its_thread(taken):
    before = threading.active_count()
    stream = numbered(50).split("train").stream(8, 5)
    list(islice(stream, taken))
    stream.close()
    stream.close()
    assert threading.active_count() == before
    assert next(stream, None) is None


def test_stream_makes_no_more_than_it_may(monkeypatch):
    split = numbered(50).split("train")
    made = []
    monkeypatch.setattr(split, "batch", lambda step, size, *, seed: made.append(step) or {})
    with split.stream(8, 5, prefetch=3):
        deadline = time.monotonic() + 5
        while len(made) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)
        assert made == [0, 1, 2, 3]


def test_stream_raises_where_it_is_read():
    stream = numbered(50).split("train").stream(0, 5)
    with pytest.raises(DataError, match="at least 1 example"):
        next(stream)
    assert next(stream, None) is None


def test_texts_and_ragged_fields_are_in_no_batch(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"t": "x", "n": 1, "r": [1]}\n{"t": "y", "n": 2, "r": [1, 2]}')
    split = load(recipe(call("Jsonl", path="a.jsonl")), root=tmp_path).split("train")
    assert list(split.batch(0, 2, seed=0)) == ["n"]


def members(data):
    return {name: next(split.batches(10_000))[0]["x"].tolist() for name, split in data.splits.items()}


def test_splits_are_disjoint_and_complete_and_fixed():
    parts = members(numbered(100, {"train": 0.8, "valid": 0.1, "test": 0.1}))
    assert {name: len(part) for name, part in parts.items()} == {"train": 80, "valid": 10, "test": 10}
    assert sorted(chain.from_iterable(parts.values())) == list(range(100))
    assert parts["valid"] == VALID_OF_HUNDRED
    assert parts["train"] == sorted(parts["train"])


VALID_OF_HUNDRED = [2, 7, 20, 27, 33, 54, 76, 83, 92, 94]


def test_counts_come_first_and_fractions_share_the_rest():
    parts = members(numbered(100, {"train": 1.0, "valid": 30}))
    assert {name: len(part) for name, part in parts.items()} == {"train": 70, "valid": 30}
    assert len(members(numbered(100, {"train": 0.5}))["train"]) == 50


def test_small_splits_get_an_example_each():
    assert {name: len(part) for name, part in members(numbered(3, {"train": 0.9, "valid": 0.1})).items()} == {
        "train": 2,
        "valid": 1,
    }


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"train": 0.9, "valid": 0.2}, "add up to 1.1"),
        ({"train": 0}, "cannot give 0 to `train`"),
        ({"train": -0.5}, "cannot give -0.5"),
        ({"train": float("nan")}, "cannot give nan"),
        ({"train": float("inf")}, "cannot give inf"),
        ({"train": 2.5}, "cannot give 2.5"),
        ({"train": True}, "cannot give True"),
        ({"train": "0.5"}, "cannot give '0.5'"),
        ({"train": 9, "valid": 9}, "asks for 18 examples, and there are 10"),
        ({"train": 10, "valid": 0.5}, "`valid` would be empty"),
    ],
)
def test_split_that_cannot_be(split, message):
    with pytest.raises(DataError, match=message):
        numbered(10, split)


def test_single_document_is_cut_in_order(tmp_path):
    (tmp_path / "a.txt").write_text("abcdefghij")
    data = load(recipe(call("Text", path="a.txt"), split={"train": 0.7, "valid": 0.3}), root=tmp_path)
    assert [split.table.strings("text").values for split in data.splits.values()] == [["abcdefg"], ["hij"]]


def test_documents_are_held_out_whole(tmp_path):
    for at in range(10):
        (tmp_path / f"{at}.txt").write_text(f"document {at}")
    data = load(recipe(call("Text", path="*.txt"), split={"train": 0.7, "valid": 0.3}), root=tmp_path)
    held = [text for split in data.splits.values() for text in split.table.strings("text").values]
    assert sorted(held) == [f"document {at}" for at in range(10)]
    assert len(data.split("valid")) == 3


def test_splits_may_have_their_own_sources(tmp_path):
    for name in "abc":
        (tmp_path / name).write_text(name)
    own = {"train": call("Text", path="a"), "valid": call("Text", path="b")}
    assert list(load(recipe(None, split=own), root=tmp_path).splits) == ["train", "valid"]
    mixed = load(recipe(call("Text", path="c"), split={"valid": own["valid"]}), root=tmp_path)
    texts = {name: split.table.strings("text").values for name, split in mixed.splits.items()}
    assert texts == {"train": ["c"], "valid": ["b"]}


def test_splits_with_different_fields(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "b.csv").write_text("x\n1\n")
    own = {"train": call("Csv", path="a.csv"), "valid": call("Csv", path="b.csv")}
    with pytest.raises(DataError, match=r"`train` and `valid` have different fields: `y`: i32"):
        load(recipe(None, split=own), root=tmp_path)


def test_data_without_a_source():
    with pytest.raises(DataError, match="has no source"):
        load(recipe(None), root=Path())


def test_split_that_is_not_there():
    with pytest.raises(DataError, match="has no split `vaild`") as caught:
        numbered(10, {"train": 0.5, "valid": 0.5}).split("vaild")
    assert "did you mean `valid`?" in caught.value.hints
