"""Stops: where the text of tokens ends, however it is cut into tokens."""

from __future__ import annotations

import random

import pytest

from trxc_runtime.data.tokenizers import Bytes, Tokenizer
from trxc_runtime.errors import RunError
from trxc_runtime.stopping import RowText, stop_texts


class Words(Tokenizer):
    """Tokens that are the given pieces of a text."""

    special = False

    def __init__(self, pieces: list[str]) -> None:
        self.pieces = [piece.encode() for piece in pieces]

    def encode_all(self, texts: object) -> list[object]:
        raise NotImplementedError


def said(pieces: list[str], stops: list[str]) -> tuple[str, list[str], bool]:
    """The whole text, the pieces that were given before its end, and whether it was stopped."""
    row = RowText(Words(pieces), stops)
    given: list[str] = []
    for token in range(len(pieces)):
        if not row.stopped:
            given.append(row.step(token))
    return "".join(given) + row.finish(), given, row.stopped


@pytest.mark.parametrize(
    ("pieces", "stops", "text", "stopped"),
    [
        (["ab", "c"], [], "abc", False),
        (["one", "END", "two"], ["END"], "one", True),
        (["one E", "N", "D two"], ["END"], "one ", True),
        (["one E", "N", "N"], ["END"], "one ENN", False),
        (["aab"], ["ab"], "a", True),
        (["a", "a", "b"], ["ab"], "a", True),
        (["x\n", "\ny"], ["\n\n"], "x", True),
        (["abc"], ["abc", "b"], "a", True),
        (["abcd"], ["bcd", "cd"], "a", True),
        (["END"], ["END"], "", True),
        (["ends in EN"], ["END"], "ends in EN", False),
    ],
)
def test_a_text_ends_before_the_first_stop(pieces: list[str], stops: list[str], text: str, stopped: bool) -> None:
    assert said(pieces, stops)[0::2] == (text, stopped)


def test_nothing_is_given_that_belongs_to_a_stop() -> None:
    assert said(["ab", "E", "N", "x"], ["END"])[1] == ["ab", "", "", "ENx"]


def test_how_a_text_is_cut_makes_no_difference() -> None:
    draw = random.Random(5)
    for _ in range(300):
        text = "".join(draw.choices("ab€", k=14))
        stops = ["".join(draw.choices("ab€", k=draw.randint(1, 4))) for _ in range(draw.randint(0, 3))]
        cuts = sorted(draw.sample(range(1, 14), draw.randint(0, 6)))
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, 14], strict=True)]
        ends = [(text.find(stop) + len(stop), text.find(stop)) for stop in stops if stop in text]
        assert said(pieces, stops)[0] == (text[: min(ends)[1]] if ends else text), (pieces, stops)


def test_a_stop_of_several_bytes_is_found_when_it_is_whole() -> None:
    row, tokens = RowText(Bytes(), ["€"]), Bytes().encode("a€b")
    pieces = [row.step(int(token)) for token in tokens[:4]]
    assert ("".join(pieces), row.stopped) == ("a", True)


@pytest.mark.parametrize("value", [[""], "", [3], [None]])
def test_what_is_no_text_stops_nothing(value: object) -> None:
    with pytest.raises(RunError, match="at least one character"):
        stop_texts(value)
    assert stop_texts(None) == ()
    assert stop_texts("END") == ("END",)
