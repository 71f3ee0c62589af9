"""Positions in UTF-16, and places that are followed through edits."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trxc.lsp.edits import MAX_CHANGES, Change, History, between
from trxc.lsp.positions import Lines, Position

TEXTS = st.text(alphabet=st.sampled_from("ab \n\r🦊é\u2028"), max_size=30)


@pytest.mark.parametrize(
    ("text", "offset", "position"),
    [
        ("ab\ncd", 4, Position(1, 1)),
        ("🦊x", 1, Position(0, 2)),
        ("é🦊\r\n🦊🦊z", 6, Position(1, 4)),
        ("a\rb", 2, Position(1, 0)),
        ("", 0, Position(0, 0)),
        ("a\u2028b", 2, Position(0, 2)),
    ],
)
def test_a_character_beyond_the_first_plane_is_two_units(text: str, offset: int, position: Position) -> None:
    assert Lines(text).position(offset) == position
    assert Lines(text).offset(position) == offset


@pytest.mark.parametrize(
    ("position", "offset"),
    [(Position(0, 99), 3), (Position(9, 0), 5), (Position(-1, 0), 0), (Position(0, 2), 1), (Position(0, -4), 0)],
)
def test_a_position_outside_means_the_nearest_inside(position: Position, offset: int) -> None:
    assert Lines("a🦊b\nc").offset(position) == offset


@given(TEXTS)
def test_positions_and_offsets_are_each_others_inverse(text: str) -> None:
    lines = Lines(text)
    for offset in range(len(text) + 1):
        inside_of_a_line_end = text[offset - 1 : offset + 1] == "\r\n"
        assert inside_of_a_line_end or lines.offset(lines.position(offset)) == offset


@given(TEXTS, TEXTS)
def test_the_change_between_two_texts_makes_one_of_the_other(before: str, after: str) -> None:
    assert between(before, after).apply(before) == after


@settings(max_examples=200)
@given(st.data())
def test_what_no_change_touches_is_found_where_it_was(data: st.DataObject) -> None:
    first = text = "".join(chr(ord("a") + n % 26) + str(n) + " " for n in range(40))
    history = History()
    for _ in range(data.draw(st.integers(0, 6))):
        start = data.draw(st.integers(0, len(text)))
        change = Change(start, data.draw(st.integers(start, min(len(text), start + 9))), data.draw(TEXTS))
        text = change.apply(text)
        history.add(change)
    start = data.draw(st.integers(0, max(0, len(text) - 1)))
    end = data.draw(st.integers(start, len(text)))
    earlier = history.earlier(start, end)
    if earlier is not None:
        assert first[earlier[0] : earlier[1]] == text[start:end]
    elif not history.changes:
        pytest.fail("nothing was changed, and something was not found")


def test_many_changes_are_kept_as_one() -> None:
    first = text = "head " + "x" * 1_000 + " tail"
    history = History()
    for n in range(MAX_CHANGES * 3):
        change = Change(400 + n, 401 + n, "yy")
        text = change.apply(text)
        history.add(change)
    assert len(history.changes) <= MAX_CHANGES
    assert history.earlier(0, 4) == (0, 4)
    assert history.earlier(len(text) - 4, len(text)) == (len(first) - 4, len(first))
    assert history.earlier(450, 460) is None
