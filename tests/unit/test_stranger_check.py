"""Programs meant to make the checker hang, grow without bounds, fall over, or read what is none of its business."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

import trxc

MODEL = "model M {\n  input x: float[batch, 4]\n  %s\n}\n"


def codes(text: str) -> list[str]:
    """The codes of a program's diagnostics."""
    return [found.code for found in trxc.check(text, filename="stranger.trx")]


def doubling(first: str, step: str, turns: int = 60) -> str:
    """Consts that each say the one before twice."""
    later = "".join(f"const A{i} = {step.format(i - 1)}\n" for i in range(1, turns))
    return f"const A0 = {first}\n{later}"


BOMBS = {
    "a list of lists that doubles": doubling("[1, 2]", "[A{0}, A{0}]") + MODEL % "output y = x * length(A59)",
    "a string that doubles": doubling('"aaaa"', "A{0} + A{0}") + MODEL % "output y = x |> A59",
    "a composition that doubles": MODEL
    % ("f0 = gelu\n  " + "\n  ".join(f"f{i} = f{i - 1} >> f{i - 1}" for i in range(1, 60)) + "\n  output y = x |> f59"),
    "an optimizer that doubles": "use std.optim (scale)\n"
    + doubling("scale(0.5)", "A{0} >> A{0}")
    + MODEL % "require A59 != none\n  output y = x",
    "a setting for very many axes": MODEL % "a = per_axis(3, 10 ^ 9)\n  output y = x * length(a)",
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS.keys())
def test_what_grows_by_doubling_is_bounded(text: str) -> None:
    begun = time.monotonic()
    assert codes(text) == ["TRX0402"]
    assert time.monotonic() - begun < 20  # without a bound: for ever


@pytest.mark.parametrize(
    "expression",
    [
        f"x |> Dense(4, init = normal({'9' * 399}))",
        f"x |> Dense(4, init = {'9' * 399})",
        f"x * sqrt({'9' * 399})",
        "x * (0 ^ -1)",
    ],
)
def test_numbers_without_a_float_are_errors(expression: str) -> None:
    assert codes(MODEL % f"output y = {expression}") == ["TRX0212"]


def test_ints_to_negative_powers_are_floats() -> None:
    assert codes(MODEL % "require 2 ^ -1 == 0.5\n  output y = x * (10 ^ -3)") == []


def test_consts_defined_by_later_ones_are_bounded() -> None:
    chain = "".join(f"const A{i} = A{i + 1}\n" for i in range(5000))
    assert "TRX0401" in codes(chain + "const A5000 = 1\n" + MODEL % "output y = x * A0")


def used(folder: Path, path: str) -> str:
    """The message of a file that uses `path`, and nothing else that is wrong."""
    main = folder / "main.trx"
    main.write_text(f'use "{path}" (A)\n' + MODEL % "output y = x")
    (found,) = trxc.check(str(main))
    assert found.code == "TRX0305"
    return found.message


def test_names_that_no_file_can_have(tmp_path: Path) -> None:
    assert "no file can be called" in used(tmp_path, "a\\u{0}b")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.trx")
    assert "it is not a file" in used(tmp_path, "pipe.trx")


def test_links_do_not_lead_out(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "secret.trx").write_text("const A = 1\n")
    (tmp_path / "inside" / "link.trx").symlink_to(tmp_path / "secret.trx")
    assert "outside the project" in used(tmp_path / "inside", "link.trx")
