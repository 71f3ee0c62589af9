"""Transforms: what each makes of its fields, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data_recipes import call, recipe

from trxc_runtime.data import DataError, load
from trxc_runtime.data.columns import Windows

IMAGES = np.arange(24, dtype=np.uint8).reshape(6, 2, 2)


def through(*stages, split=None, **arrays):
    """The training split of arrays after the stages."""
    return load(recipe(call("Arrays"), *stages, split=split), root=Path(), arrays=arrays).split("train")


def rows(split):
    return next(split.batches(len(split)))[0]


def documents(tmp_path, texts, *stages, **others):
    for at, text in enumerate(texts):
        (tmp_path / f"{at}.txt").write_text(text)
    return load(recipe(call("Text", path="*.txt"), *stages, **others), root=tmp_path)


def message(*stages, **arrays) -> str:
    with pytest.raises(DataError) as caught:
        through(*stages, **arrays)
    return caught.value.message


def test_window_moves_targets_on_by_one(tmp_path):
    split = documents(tmp_path, ["abcdefgh"], call("Bytes"), call("Window", length=3)).split("train")
    batch = rows(split)
    assert [bytes(row.tolist()) for row in batch["tokens"]] == [b"abc", b"def"]
    assert [bytes(row.tolist()) for row in batch["targets"]] == [b"bcd", b"efg"]
    assert (batch["tokens"].dtype, list(split.fields)) == (np.int32, ["tokens", "targets"])


@pytest.mark.parametrize(("tokens", "windows"), [(4, 1), (6, 1), (7, 2), (9, 2), (10, 3)])
def test_window_uses_every_whole_window(tmp_path, tokens, windows):
    data = documents(tmp_path, ["x" * tokens], call("Bytes"), call("Window", length=3))
    assert len(data.split("train")) == windows


def test_window_stride_overlaps(tmp_path):
    split = documents(tmp_path, ["abcde"], call("Bytes"), call("Window", length=3, stride=1)).split("train")
    assert [bytes(row.tolist()) for row in rows(split)["tokens"]] == [b"abc", b"bcd"]


def test_window_joins_documents_by_a_newline_or_eos(tmp_path):
    plain = documents(tmp_path, ["ab", "cd"], call("Bytes"), call("Window", length=4)).split("train")
    assert bytes(rows(plain)["tokens"][0].tolist()) == b"ab\nc"
    special = documents(tmp_path, ["ab", "cd"], call("Bytes", special=True), call("Window", length=5)).split("train")
    assert rows(special)["targets"][0].tolist() == [ord("b") + 3, 2, ord("c") + 3, ord("d") + 3, 2]


def test_windows_hold_no_copies(tmp_path):
    table = documents(tmp_path, ["x" * 5000], call("Bytes"), call("Window", length=64, stride=1)).split("train").table
    tokens, targets = table.column("tokens"), table.column("targets")
    assert isinstance(tokens, Windows)
    assert isinstance(targets, Windows)
    assert np.shares_memory(tokens.flat, targets.flat)
    assert (tokens.flat.nbytes, isinstance(tokens.starts, range)) == (5000, True)


def test_window_longer_than_the_data_names_the_split(tmp_path):
    with pytest.raises(DataError, match=r"needs at least 65 tokens, and there are 10") as caught:
        documents(tmp_path, ["x" * 100], call("Bytes"), call("Window", length=64), split={"train": 90, "valid": 10})
    assert "in `window`, for the split `valid`" in caught.value.hints


@pytest.mark.parametrize("arguments", [{"length": 0}, {"length": 4, "stride": 0}, {"length": -1}])
def test_window_of_no_length(tmp_path, arguments):
    with pytest.raises(DataError, match="of at least 1"):
        documents(tmp_path, ["abc"], call("Bytes"), call("Window", **arguments))


def test_window_reads_one_long_row_of_ids():
    batch = rows(through(call("Window", length=3), tokens=np.arange(8)[None]))
    assert batch["targets"].tolist() == [[1, 2, 3], [4, 5, 6]]


def test_window_without_tokens():
    assert message(call("Window", length=2), x=IMAGES) == "the data have no field `tokens`"


def ragged(tmp_path, *stages):
    encode = call("Encode", field="text", tokenizer=call("Bytes"), into="ids")
    return documents(tmp_path, ["a", "bcd", "ef"], encode, *stages).split("train")


def test_encode_keeps_the_text_and_appends_eos_if_there_is_one(tmp_path):
    assert list(ragged(tmp_path).fields) == ["text", "ids"]
    encode = call("Encode", field="text", tokenizer=call("Bytes", special=True), into="ids")
    split = documents(tmp_path, ["a", "bcd", "ef"], encode, call("Pad", field="ids", length=3)).split("train")
    assert rows(split)["ids"].tolist() == [[100, 2, 0], [101, 102, 103], [104, 105, 2]]


def test_pad_cuts_fills_and_masks(tmp_path):
    batch = rows(ragged(tmp_path, call("Pad", field="ids", length=2, value=9, mask="mask")))
    assert batch["ids"].tolist() == [[97, 9], [98, 99], [101, 102]]
    assert batch["mask"].tolist() == [[True, False], [True, True], [True, True]]
    assert (batch["ids"].dtype, batch["mask"].dtype) == (np.int32, np.bool_)


def test_pad_widens_rows_of_one_length():
    batch = rows(through(call("Pad", field="x", length=3), x=np.array([[1, 2], [3, 4]])))
    assert batch["x"].tolist() == [[1, 2, 0], [3, 4, 0]]


def test_shift_starts_with_bos():
    batch = rows(through(call("Shift", field="y", into="x", start=7), y=np.array([[1, 2, 3]])))
    assert (batch["x"].tolist(), batch["y"].tolist()) == ([[7, 1, 2]], [[1, 2, 3]])


def test_shift_knows_the_tokenizers_bos(tmp_path):
    encode = call("Encode", field="text", tokenizer=call("Bytes", special=True), into="ids")
    stages = [encode, call("Pad", field="ids", length=3), call("Shift", field="ids", into="input")]
    assert rows(documents(tmp_path, ["a"], *stages).split("train"))["input"].tolist() == [[1, ord("a") + 3, 2]]


def test_shift_of_ragged_sequences_asks_for_pad(tmp_path):
    with pytest.raises(DataError) as caught:
        ragged(tmp_path, call("Shift", field="ids", into="x"))
    assert any("`pad`" in hint for hint in caught.value.hints)


def test_filter_length_counts_ids_or_characters(tmp_path):
    for field in ("ids", "text"):
        split = ragged(tmp_path, call("FilterLength", field=field, max=2, min=2))
        assert split.table.strings("text").values == ["ef"]


def test_filter_that_leaves_nothing(tmp_path):
    with pytest.raises(DataError, match="the split `train` has no examples left"):
        ragged(tmp_path, call("FilterLength", field="ids", max=0))


def test_lowercase(tmp_path):
    split = documents(tmp_path, ["ÀB"], call("Lowercase", field="text")).split("train")
    assert split.table.strings("text").values == ["àb"]


def test_scale_and_cast():
    batch = rows(
        through(call("Scale", field="x", by=0.5, offset=-1.0), call("Cast", field="y", dtype="i32"), x=IMAGES, y=IMAGES)
    )
    np.testing.assert_allclose(batch["x"], IMAGES * 0.5 - 1)
    assert (batch["x"].dtype, batch["y"].dtype) == (np.float32, np.int32)


def test_cast_of_windows_and_what_does_not_fit(tmp_path):
    stages = [call("Bytes"), call("Window", length=2), call("Cast", field="tokens", dtype="u8")]
    assert rows(documents(tmp_path, ["abcde"], *stages).split("train"))["tokens"].dtype == np.uint8
    assert "do not fit into u8" in message(call("Cast", field="x", dtype="u8"), x=np.array([256]))
    assert "do not fit into i32" in message(call("Cast", field="x", dtype="i32"), x=np.array([1e12]))


def test_cast_to_what_data_cannot_be():
    assert message(call("Cast", field="x", dtype="bf16"), x=IMAGES) == "data cannot be `bf16`"


def test_reshape_flatten_and_rename():
    stages = [
        call("Reshape", field="x", shape=[2, -1, 1]),
        call("Flatten", field="y"),
        call("Rename", field="y", to="z"),
    ]
    fields = through(*stages, x=IMAGES, y=IMAGES).fields
    assert {name: field.shape for name, field in fields.items()} == {"x": (2, 2, 1), "z": (4,)}
    assert "u8[2, 2], 4 numbers, which [3] is not" in message(call("Reshape", field="x", shape=[3]), x=IMAGES)
    assert "would hide the field `y`" in message(call("Rename", field="x", to="y"), x=IMAGES, y=IMAGES)


def test_flatten_of_labels_gives_vectors_of_one():
    assert through(call("Flatten", field="y"), y=np.arange(3)).fields["y"].shape == (1,)


def test_stack_makes_one_vector_in_order():
    batch = rows(through(call("Stack", fields=["b", "a"], into="x"), a=np.arange(3), b=np.arange(3) + 0.5))
    assert (list(batch), batch["x"].tolist()) == (["x"], [[0.5, 0], [1.5, 1], [2.5, 2]])
    assert "needs single numbers" in message(call("Stack", fields=["x"], into="y"), x=IMAGES)


def test_categories_are_numbered_by_the_training_split(tmp_path):
    (tmp_path / "a.csv").write_text("kind\nrose\niris\nrose\n")
    data = load(recipe(call("Csv", path="a.csv"), call("Categories", field="kind")), root=tmp_path)
    assert rows(data.split("train"))["kind"].tolist() == [1, 0, 1]
    (tmp_path / "b.csv").write_text("kind\nlily\n")
    split = {"train": call("Csv", path="a.csv"), "valid": call("Csv", path="b.csv")}
    with pytest.raises(DataError, match="is 'lily' here, which the training split never has"):
        load(recipe(None, call("Categories", field="kind"), split=split), root=tmp_path)


def test_standardize_uses_the_training_split():
    x = np.random.default_rng(0).normal(5, 3, (400, 3)).astype(np.float32)
    x[:, 2] = 4
    described = recipe(call("Arrays"), call("Standardize", fields=["x"]), split={"train": 0.5, "valid": 0.5})
    data = load(described, root=Path(), arrays={"x": x})
    train, valid = (rows(data.split(name))["x"] for name in ("train", "valid"))
    np.testing.assert_allclose(train.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(train.std(0), [1, 1, 0], atol=1e-5)
    assert 1e-3 < np.abs(valid[:, 0].mean()) < 0.5


def test_standardize_images_by_channel():
    x = np.random.default_rng(0).normal([1, 9], [2, 5], (64, 4, 4, 2)).astype(np.float32)
    done = rows(through(call("Standardize", fields="x"), x=x))["x"]
    np.testing.assert_allclose(done.std((0, 1, 2)), 1, atol=1e-4)
    assert done[:, 0, 0].std(0) != pytest.approx(1, abs=1e-4)


def test_select_drop_and_limit():
    assert list(through(call("Select", fields=["y"]), x=IMAGES, y=IMAGES).fields) == ["y"]
    assert list(through(call("Drop", fields=["y"]), x=IMAGES, y=IMAGES).fields) == ["x"]
    assert rows(through(call("Limit", n=2), x=IMAGES))["x"].tolist() == IMAGES[:2].tolist()
    assert len(through(call("Limit", n=99), x=IMAGES)) == 6
    assert "would leave no field" in message(call("Drop", fields=["x"]), x=IMAGES)


@pytest.mark.parametrize("name", ["Scale", "Flatten", "Lowercase"])
def test_field_that_is_not_there_suggests_the_one_that_is(name):
    with pytest.raises(DataError, match="have no field `imgae`") as caught:
        through(call(name, field="imgae"), image=IMAGES)
    assert "did you mean `image`?" in caught.value.hints


@pytest.mark.parametrize(("name", "kind"), [("Scale", "text where numbers"), ("Flatten", "string where numbers")])
def test_text_where_numbers_are_needed(tmp_path, name, kind):
    with pytest.raises(DataError, match=kind):
        documents(tmp_path, ["a"], call(name, field="text"))


def test_names_that_are_none():
    assert message(call("Rename", field="x", to="a b"), x=IMAGES) == "'a b' is no name for a field"


def test_tokenizer_that_cannot_tell_which_text_to_read(tmp_path):
    (tmp_path / "a").write_text("x\n")
    with pytest.raises(DataError, match="the texts here are `source`, `target`"):
        load(recipe(call("Parallel", source="a", target="a"), call("Bytes")), root=tmp_path)
