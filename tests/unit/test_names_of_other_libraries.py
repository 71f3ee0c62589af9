"""Names that other libraries have get a help that is itself right: what it names, there is."""

from __future__ import annotations

import re

import pytest

import trxc
from trxc.elaborate.builtins import BUILTINS
from trxc.ops import OPS
from trxc.resolve import elsewhere
from trxc.resolve.foreign import ELSEWHERE

PROGRAM = "model M {\n  input x: float[batch, 4]\n  output y = x |> NAME(3)\n}\n"


@pytest.mark.parametrize("name", ["Linear", "unsqueeze", "AdaptiveAvgPool2d", "mse_loss", "MultiheadAttention"])
def test_a_name_of_another_library_is_told_what_it_is_here(name: str) -> None:
    (found,) = trxc.check(PROGRAM.replace("NAME", name), filename="m.trx")
    assert found.code == "TRX0301"
    assert found.helps == elsewhere(name) != ()


def test_own_names_that_are_near_come_first() -> None:
    text = "layer Linears(n: int) {\n  input x: float[batch, n]\n  cats = x\n  output cat\n}\n"
    (found, *_) = [each for each in trxc.check(text, filename="m.trx") if each.severity == "error"]
    assert found.helps == ("did you mean `cats`?",)


def called(help_: str) -> set[str]:
    """What a help calls, or names by itself."""
    codes = re.findall(r"`([^`]*)`", help_)
    names = {name for code in codes for name in re.findall(r"\b([A-Za-z_]\w*)\(", code)}
    return names | {code for code in codes if code.isidentifier()}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_a_help_names_there_is(name: str) -> None:
    for each in called(ELSEWHERE[name]):
        text = PROGRAM.replace("x |> NAME(3)", f"{each}(x)")
        if each == "causal_mask":
            text = f"use std.attention ({each})\n{text}"
        faults = trxc.check(text, filename="m.trx")
        assert not [fault for fault in faults if fault.code == "TRX0301" and each in fault.message]


def test_no_help_is_for_a_name_that_there_is() -> None:
    assert not [name for name in ELSEWHERE if name in BUILTINS or (name in OPS and OPS[name].public)]
