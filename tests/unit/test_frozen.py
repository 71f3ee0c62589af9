"""Frozen records behave as frozen dataclasses do."""

from __future__ import annotations

from dataclasses import field

import pytest

from trxc.frozen import Frozen


class Place(Frozen):
    line: int = field(compare=False, repr=False)


class Empty(Place):
    pass


class Pair(Place):
    left: str
    right: str = "r"
    notes: list[str] = field(default_factory=list[str], compare=False)


class Twin(Place):
    left: str
    right: str = "r"


def test_fields_are_given_in_order_or_by_name():
    assert Pair(1, "a", "b") == Pair(right="b", left="a", line=1)
    assert (Pair(1, "a").right, Pair(1, "a").notes, Empty(3).line) == ("r", [], 3)
    assert Pair.__match_args__ == ("line", "left", "right", "notes")
    assert Pair(1, "a").notes is not Pair(1, "a").notes


def test_equality_and_hash_go_by_class_and_compared_fields():
    assert Pair(1, "a") == Pair(2, "a", notes=["n"])
    assert hash(Pair(1, "a")) == hash(Pair(2, "a"))
    assert Pair(1, "a") != Pair(1, "b")
    assert Pair(1, "a") != Twin(1, "a")
    assert Empty(1) == Empty(2)
    assert len({Empty(1), Empty(2), Pair(1, "a")}) == 2


def test_a_record_is_never_changed():
    pair = Pair(1, "a")
    with pytest.raises(AttributeError):
        pair.left = "b"  # pyright: ignore[reportAttributeAccessIssue] - what is tested
    with pytest.raises(AttributeError):
        del pair.left
    assert repr(pair) == "Pair(left='a', right='r', notes=[])"


@pytest.mark.parametrize(
    ("values", "named"),
    [((1,), {}), ((1, "a", "b", [], 5), {}), ((1, "a"), {"left": "b"}), ((1, "a"), {"middle": "b"})],
)
def test_wrong_fields_are_refused(values: tuple[object, ...], named: dict[str, object]):
    with pytest.raises(TypeError):
        Pair(*values, **named)  # pyright: ignore[reportArgumentType] - what is tested
