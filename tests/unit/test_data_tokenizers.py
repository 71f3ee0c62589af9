"""Tokenizers: round trips, streams, special tokens, and what a run's folder keeps."""

from __future__ import annotations

import numpy as np
import pytest
from data_recipes import call, recipe
from hypothesis import given, settings
from hypothesis import strategies as st

from trxc_runtime.data import DataError, load, load_tokenizer, recipe_tokenizer
from trxc_runtime.data.tokenizers import BOS, EOS, PAD, Bpe, Bytes

CORPUS = ["the cat sat on the mat. the cat sat.\n" * 20, "naïve café 😀 " * 9]
TOKENIZERS = [
    Bytes(),
    Bytes(special=True),
    Bpe(300).train(CORPUS, None),
    Bpe(300, special=True).train(CORPUS, None),
]


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@settings(max_examples=60, deadline=None)
@given(text=st.text())
def test_every_text_comes_back(tokenizer, text):
    ids = tokenizer.encode(text)
    assert ids.dtype == np.int32
    assert tokenizer.decode(ids) == text
    stream = tokenizer.stream()
    assert "".join([*map(stream.step, ids), stream.finish()]) == text


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_ids_are_below_the_size(tokenizer):
    ids = tokenizer.encode("".join(map(chr, range(0x800))))
    least = EOS + 1 if tokenizer.special else 0
    assert (ids.min() >= least, ids.max() < tokenizer.size) == (True, True)


def test_sizes_are_what_there_was_to_learn():
    assert [tokenizer.size for tokenizer in TOKENIZERS] == [256, 259, 282, 285]


def test_stream_holds_back_unfinished_characters():
    stream = Bytes().stream()
    assert [stream.step(byte) for byte in "é!".encode()] == ["", "é", "!"]
    assert (stream.step(0xC3), stream.finish()) == ("", "�")


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_ids_there_are_not_become_replacement_characters(tokenizer):
    assert tokenizer.decode([tokenizer.size, -1]) == "��"


@pytest.mark.parametrize("tokenizer", [TOKENIZERS[1], TOKENIZERS[3]])
def test_special_tokens_say_nothing_and_are_never_read_from_text(tokenizer):
    assert tokenizer.decode([PAD, BOS, *tokenizer.encode("hi"), EOS]) == "hi"
    assert not {PAD, BOS, EOS} & set(tokenizer.encode("<pad><bos><eos>").tolist())


def test_bytes_that_are_no_text_are_replaced():
    assert Bytes().decode([0xFF, 0x41]) == "�A"


def test_half_a_surrogate_pair_is_replaced():
    assert [tokenizer.decode(tokenizer.encode("\ud800a")) for tokenizer in TOKENIZERS] == ["?a"] * 4


def test_bpe_merges_what_is_frequent_and_is_learnt_the_same_twice():
    first, second = (Bpe(400).train(CORPUS, None) for _ in range(2))
    assert len(first.encode("the cat sat")) < len("the cat sat")
    assert first.json == second.json


def test_bpe_encodes_long_texts_in_parts():
    text = "".join(f"line {number} of a long text\n" for number in range(6000))
    tokenizer = TOKENIZERS[2]
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.decode(tokenizer.encode("x" * 200_000)) == "x" * 200_000


@pytest.mark.parametrize("vocab", [0, 255, 1 << 21])
def test_bpe_with_a_vocab_that_cannot_be(vocab):
    with pytest.raises(DataError, match="needs a vocab from 256"):
        Bpe(vocab)


def test_bpe_learns_from_the_training_split_only(tmp_path):
    (tmp_path / "a.txt").write_text("ab" * 500 + "xyz" * 400)
    source, stages = call("Text", path="a.txt"), [call("Bpe", vocab=300)]
    data = load(recipe(source, *stages, split={"train": 1000, "valid": 1200}), root=tmp_path)
    pieces = b"".join(data.tokenizers["tokens"].pieces[256:])
    assert (b"ab" in pieces, b"xy" in pieces) == (True, False)


def test_cache_changes_nothing_but_the_time(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("the cat sat on the mat " * 99)
    described = recipe(call("Text", path="a.txt"), call("Bpe", vocab=280), call("Window", length=8))
    plain, first = (load(described, root=tmp_path, cache=cache) for cache in (None, tmp_path / "cache"))
    monkeypatch.setattr(Bpe, "_train", lambda *_: pytest.fail("trained again"))
    monkeypatch.setattr("trxc_runtime.data.sequences.Encoding._encode", lambda *_: pytest.fail("encoded again"))
    again = load(described, root=tmp_path, cache=tmp_path / "cache")
    for data in (first, again):
        np.testing.assert_equal(data.split("train").batch(3, 4, seed=1), plain.split("train").batch(3, 4, seed=1))


def test_cache_is_keyed_by_the_text(tmp_path):
    described = recipe(call("Text", path="a.txt"), call("Bpe", vocab=256), call("Window", length=4))
    for text in ("first text", "other text"):
        (tmp_path / "a.txt").write_text(text)
        data = load(described, root=tmp_path, cache=tmp_path / "cache")
        batch, _ = next(data.split("train").batches(1))
        assert data.tokenizers["tokens"].decode(batch["tokens"][0]) == text[:4]


def test_damaged_cache_is_made_again(tmp_path):
    (tmp_path / "a.txt").write_text("the cat sat on the mat " * 99)
    described = recipe(call("Text", path="a.txt"), call("Bpe", vocab=280), call("Window", length=8))
    first = load(described, root=tmp_path, cache=tmp_path / "cache")
    for path in (tmp_path / "cache").iterdir():
        path.write_bytes(b"damaged")
    again = load(described, root=tmp_path, cache=tmp_path / "cache")
    np.testing.assert_equal(again.split("train").batch(0, 4, seed=1), first.split("train").batch(0, 4, seed=1))


def test_run_folder_keeps_a_trained_tokenizer(tmp_path):
    (tmp_path / "a.txt").write_text("the cat sat on the mat " * 99)
    described = recipe(call("Text", path="a.txt"), call("Bpe", vocab=280), call("Window", length=8))
    data = load(described, root=tmp_path)
    (tmp_path / "run").mkdir()
    assert [path.name for path in data.save(tmp_path / "run")] == ["tokenizer.json"]
    kept = load_tokenizer(call("Bpe", vocab=280), tmp_path / "run")
    np.testing.assert_array_equal(kept.encode("the mat"), data.tokenizers["tokens"].encode("the mat"))
    assert recipe_tokenizer(described, tmp_path / "run").pieces == kept.pieces


def test_bytes_need_nothing_kept(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    data = load(recipe(call("Text", path="a.txt"), call("Bytes")), root=tmp_path)
    assert data.save(tmp_path) == []
    assert load_tokenizer(call("Bytes"), tmp_path).size == 256


def test_run_folder_keeps_one_tokenizer_a_field(tmp_path):
    (tmp_path / "de").write_text("ein haus und ein haus\n" * 30)
    (tmp_path / "en").write_text("a house and a house\n" * 30)
    stages = [
        call("Encode", field="source", tokenizer=call("Bpe", vocab=270), into="a"),
        call("Encode", field="target", tokenizer=call("Bpe", vocab=270), into="b"),
        call("Rename", field="b", to="c"),
        call("Pad", field="c", length=9),
        call("Shift", field="c", into="d"),
    ]
    described = recipe(call("Parallel", source="de", target="en"), *stages)
    data = load(described, root=tmp_path)
    data.save(tmp_path)
    for field in "acd":
        assert recipe_tokenizer(described, tmp_path, field=field).pieces == data.tokenizers[field].pieces
    assert data.tokenizers["a"].pieces != data.tokenizers["d"].pieces
    with pytest.raises(DataError, match="which tokenizer made `tokens`"):
        recipe_tokenizer(described, tmp_path)


def test_data_without_text_have_no_tokenizer(tmp_path):
    assert recipe_tokenizer(recipe(call("Arrays")), tmp_path) is None


@pytest.mark.parametrize("content", [None, "{}", "no json", '{"model": 1}'])
def test_saved_tokenizer_that_is_missing_or_damaged(tmp_path, content):
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(DataError, match="keeps no tokenizer.json" if content is None else "cannot be read"):
        load_tokenizer(call("Bpe"), tmp_path)


def test_field_that_would_leave_the_run_folder(tmp_path):
    with pytest.raises(DataError, match="no name for a field"):
        load_tokenizer(call("Bpe"), tmp_path, field="../x")
