"""What a program reads against what the data hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data_recipes import call, recipe

from trxc_runtime.data import DataError, load

ARRAYS = {
    "image": np.zeros((4, 28, 28, 1), np.float32),
    "label": np.zeros(4, np.int32),
    "small": np.zeros(4, np.uint8),
    "source": np.zeros((4, 9), np.int32),
    "target": np.zeros((4, 7), np.int32),
}


def data(**others):
    return load(recipe(call("Arrays"), **others), root=Path(), arrays=ARRAYS)


def wants(name, dtype, *dims):
    """A manifest's entry; a dim is a size, a name, or both as `("seq", 9)`."""
    split = [dim if isinstance(dim, tuple) else (dim, dim if isinstance(dim, int) else None) for dim in dims]
    names = [None if isinstance(name, int) else name for name, _ in split]
    return {"name": name, "dtype": dtype, "dims": ["batch", *names], "shape": [None, *(size for _, size in split)]}


@pytest.mark.parametrize(
    "wanted",
    [
        [],
        [wants("image", "f32", 28, 28, 1), wants("label", "i32")],
        [wants("image", "bf16", "height", "width", 1)],
        [wants("image", "f16", "height", "height", "c")],
        [wants("label", "int")],
        [wants("source", "i32", ("seq", 9)), wants("target", "i32", "other")],
        [wants("small", "u8")],
    ],
)
def test_data_that_fit(wanted):
    data().check(wanted)


@pytest.mark.parametrize(
    ("wanted", "message", "hint"),
    [
        (wants("lable", "i32"), "the model reads `lable`, which the data do not have", "did you mean `label`?"),
        (
            wants("image", "f32", ("features", 784)),
            "field `image` is f32[28, 28, 1] in the data, and the model reads f32[784]",
            "`flatten(image)` makes a vector of each example",
        ),
        (
            wants("image", "f32", "c", "height", 28),
            "field `image` is f32[28, 28, 1] in the data, and the model reads f32[c, height, 28]",
            "`reshape(image, [...])` gives each example another shape",
        ),
        (
            wants("source", "i32", ("seq", 8)),
            "field `source` is i32[9] in the data, and the model reads i32[8]",
            "set the model's size, or the data's, so that both are 9 or both 8",
        ),
        (
            wants("small", "i32"),
            "field `small` is u8[] in the data, and the model reads i32[]",
            "`cast(small, i32)`",
        ),
        (wants("label", "f32"), "field `label` is i32[] in the data, and the model reads f32[]", "`cast(label, f32)`"),
        (
            wants("label", "bool"),
            "field `label` is i32[] in the data, and the model reads bool[]",
            "`cast(label, bool)`",
        ),
    ],
)
def test_data_that_do_not_fit(wanted, message, hint):
    with pytest.raises(DataError) as caught:
        data().check([wanted])
    assert caught.value.message == message
    assert hint in caught.value.hints


def test_dims_of_one_name_have_one_size():
    with pytest.raises(DataError, match="dim `seq` is 9 in the data's field `source` and 7 in `target`"):
        data().check([wants("source", "i32", "seq"), wants("target", "i32", "seq")])


def test_all_problems_are_told_at_once():
    with pytest.raises(DataError) as caught:
        data().check([wants("label", "f32"), wants("nothing", "f32")])
    assert "also: the model reads `nothing`, which the data do not have" in caught.value.hints


def test_texts_and_ragged_fields_say_what_to_do(tmp_path):
    (tmp_path / "a.txt").write_text("ab\nc\n")
    encoded = call("Encode", field="text", tokenizer=call("Bytes"), into="ids")
    lines = load(recipe(call("Lines", path="a.txt"), encoded), root=tmp_path)
    for field, hint in (("text", "encode(text, bpe(), into = text_ids)"), ("ids", "pad(ids, length = …)")):
        with pytest.raises(DataError) as caught:
            lines.check([wants(field, "i32", "seq")])
        assert any(hint in told for told in caught.value.hints)


def test_declared_fields_are_checked_while_loading():
    data(
        fields=[
            {"name": "image", "dtype": "float", "shape": [28, 28, None]},
            {"name": "label", "dtype": "int", "shape": []},
        ]
    )
    with pytest.raises(DataError, match="field `image` is f32"):
        data(fields=[{"name": "image", "dtype": "f32", "shape": [784]}])


def test_only_leaves_the_rest_out_of_the_batches():
    assert list(data().only(["label"]).split("train").batch(0, 2, seed=0)) == ["label"]


def test_ids_say_what_they_stay_below(tmp_path):
    (tmp_path / "a.txt").write_text("some text")
    fields = load(recipe(call("Text", path="a.txt"), call("Bytes"), call("Window", length=3)), root=tmp_path).fields
    assert (fields["tokens"].below, fields["targets"].below) == (256, 256)
    assert data().fields["label"].below is None
