"""Sources and transforms on real data, where they lie beside the project."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data_recipes import call, recipe

from trxc_runtime.data import load, recipe_tokenizer

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data are not here")


def test_shakespeare_in_byte_pairs():
    stages = [call("Bpe", vocab=512), call("Window", length=64)]
    data = load(
        recipe(call("Text", path="tinyshakespeare.txt"), *stages, split={"train": 0.9, "valid": 0.1}), root=SHARED
    )
    whole = (SHARED / "tinyshakespeare.txt").read_text(encoding="utf-8")
    batch = data.split("train").batch(0, 4, seed=0)
    tokenizer = data.tokenizers["tokens"]
    assert all(tokenizer.decode(row).strip("�") in whole for row in batch["tokens"])
    np.testing.assert_array_equal(batch["tokens"][:, 1:], batch["targets"][:, :-1])
    assert tokenizer.decode(next(data.split("valid").batches(1))[0]["tokens"][0]) in whole[int(0.89 * len(whole)) :]


def test_mnist():
    source = call("Idx", images="mnist10k/images-idx3-ubyte.gz", labels="mnist10k/labels-idx1-ubyte.gz")
    data = load(recipe(source, split={"train": 1.0, "valid": 1000}), root=SHARED)
    batch, _ = next(data.split("valid").batches(1000))
    assert (str(data.fields["image"]), len(data.split("train"))) == ("f32[28, 28, 1]", 9000)
    assert (batch["image"].max(), set(batch["label"].tolist())) == (1, set(range(10)))


def test_sst2_padded():
    split = {
        name: call("Tsv", path=f"sst2/{file}.tsv", columns=["text", "label"])
        for name, file in (("train", "train"), ("valid", "dev"))
    }
    stages = [
        call("Encode", field="text", tokenizer=call("Bytes", special=True), into="tokens"),
        call("Pad", field="tokens", length=64, mask="mask"),
    ]
    data = load(recipe(None, *stages, split=split), root=SHARED)
    assert {name: len(part) for name, part in data.splits.items()} == {"train": 6920, "valid": 872}
    batch = data.split("valid").batch(0, 8, seed=0)
    assert (batch["tokens"][~batch["mask"]] == 0).all()


def test_multi30k_pairs(tmp_path):
    def bpe():
        return call("Bpe", vocab=600, special=True)

    stages = [
        call("Limit", n=1500),
        call("Encode", field="source", tokenizer=bpe(), into="source_ids"),
        call("Encode", field="target", tokenizer=bpe(), into="target_ids"),
        call("FilterLength", field="target_ids", max=40),
        call("Pad", field="source_ids", length=40, mask="source_mask"),
        call("Pad", field="target_ids", length=40, mask="target_mask"),
        call("Shift", field="target_ids", into="target_in"),
    ]
    split = {
        name: call("Parallel", source=f"multi30k/{file}.de", target=f"multi30k/{file}.en")
        for name, file in (("train", "train"), ("valid", "val"))
    }
    described = recipe(None, *stages, split=split)
    data = load(described, root=SHARED)
    data.save(tmp_path)
    batch, _ = next(data.split("valid").batches(1))
    assert (batch["target_in"][0, 0], batch["target_in"][0, 1:].tolist()) == (1, batch["target_ids"][0, :-1].tolist())
    english = recipe_tokenizer(described, tmp_path, field="target_in")
    assert english.decode(batch["target_ids"][0]) == data.split("valid").table.strings("target").values[0]
