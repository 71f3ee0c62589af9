"""Calls in a manifest: only what is offered, only with what it takes."""

from __future__ import annotations

import pytest
from data_recipes import call

from trxc_runtime.calls import CallError, accepts, resolve_call
from trxc_runtime.data.sequences import Encode, Window
from trxc_runtime.data.tokenizers import Bpe


def refused(value) -> str:
    with pytest.raises(CallError) as caught:
        resolve_call(value)
    return " ".join([caught.value.message, *caught.value.hints])


def test_call_is_resolved_with_its_arguments():
    assert resolve_call(call("Window", length=8)) == Window(8)
    assert resolve_call(call("Encode", field="x", tokenizer=call("Bpe", vocab=300), into="y")) == Encode(
        "x", Bpe(300), "y"
    )


@pytest.mark.parametrize(
    "target",
    [
        "os:system",
        "builtins:eval",
        "subprocess:Popen",
        "trxc_runtime.loop:train",
        "trxc_runtime.data.project:Project",
        "trxc_runtime.data.pipeline:load",
        "trxc_runtime.data.project:Path",
        "trxc_runtime.data.cache:NamedTemporaryFile",
        "trxc_runtime.data.sources:DataError",
        "trxc_runtime.data.sources:Source",
        "trxc_runtime.data.stage:Transform",
        "trxc_runtime.data.scikit:_Bundled",
        "trxc_runtime.data.sources:Text.load",
        "trxc_runtime.data.sources:__builtins__",
        "trxc_runtime.data.nothing:Text",
        "trxc_runtime.database:Text",
        "trxc_runtime.data..sources:Text",
        "trxc_runtime.data.sources:Text\n",
        "trxc_runtime.sample:jax",
        "",
    ],
)
def test_what_is_not_offered_is_refused(target):
    assert "calls" in refused({"call": target, "name": "x", "args": {}})


@pytest.mark.parametrize("value", [None, 3, "text", [], {}, {"call": 3}, {"call": "a:b", "args": []}])
def test_what_is_no_call_is_refused(value):
    assert "call" in refused(value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "`window` needs the argument `length`"),
        ({"length": 3, "strides": 2}, "did you mean `stride`?"),
        ({"length": "3"}, "argument `length` of `window` cannot be '3' it is an int"),
        ({"length": True}, "cannot be True"),
        ({"length": 3.0}, "cannot be 3.0"),
        ({"length": 3, "stride": [1]}, "it is an int or none"),
        ({"self": 3}, "has no argument `self`"),
    ],
)
def test_arguments_are_checked(arguments, message):
    assert message in refused(call("Window", **arguments))


def test_arguments_that_are_calls_are_checked():
    assert "cannot be Window" in refused(call("Encode", field="x", tokenizer=call("Window", length=3), into="y"))


def test_nesting_is_bounded():
    nested = call("Bytes")
    for _ in range(100):
        nested = call("Encode", field="x", tokenizer=nested, into="y")
    assert "nested more than 32 deep" in refused(nested)
    deep: list = []
    for _ in range(100):
        deep = [deep]
    assert "nested more than 32 deep" in refused(call("Drop", fields=deep))


@pytest.mark.parametrize(
    ("hint", "value", "accepted"),
    [
        (float, 1, True),
        (float, True, False),
        (int, 1.5, False),
        (bool, True, True),
        (bool, 1, False),
        (str | None, None, True),
        (str, None, False),
        (list[str], ["a"], True),
        (list[str], ["a", 1], False),
        (list[int] | str, "a", True),
        (object, "anything", True),
    ],
)
def test_types_as_the_language_has_them(hint, value, accepted):
    assert accepts(hint, value) is accepted
