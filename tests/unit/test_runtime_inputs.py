"""Texts given to a trained model become the ids that its data would have made of them."""

from __future__ import annotations

import pytest

from trxc_runtime.data.tokenizers import Bytes
from trxc_runtime.tokenizer_of import input_ids


def recipe(*stages: tuple[str, dict[str, object]]) -> dict[str, object]:
    calls = [{"call": f"trxc_runtime.data.sequences:{name}", "name": name, "args": args} for name, args in stages]
    return {"data": {"stages": calls}}


@pytest.mark.parametrize(
    ("special", "length", "ids"),
    [(True, 5, [100, 101, 2, 0, 0]), (False, 5, [97, 98, 0, 0, 0]), (True, 2, [100, 101]), (True, None, [100, 101, 2])],
)
def test_a_text_is_ended_and_filled_up_as_the_data_are(special: bool, length: int | None, ids: list[int]) -> None:
    stages = [] if length is None else [("Pad", {"field": "source", "length": length})]
    other = ("Pad", {"field": "target", "length": 9})
    tokenizer = Bytes(special).train([], None)
    assert input_ids(recipe(other, *stages), tokenizer, "source", "ab") == ids
