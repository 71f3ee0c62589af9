"""Misspelt words, as fingers misspell them, that mean nothing anywhere."""

from __future__ import annotations

import re
from functools import cache
from random import Random

from trxc.elaborate.builtins import BUILTINS
from trxc.elaborate.fields import RECORDS
from trxc.elaborate.typing import COMPILE_TIME
from trxc.ops import OPS
from trxc.resources import stdlib_folder
from trxc.types import DTYPES

from .program import Program

LETTERS = "abcdefghiklmnoprstuvwy"


@cache
def known() -> frozenset[str]:
    """Every word of the language and of its library."""
    library = {word for path in stdlib_folder().glob("*.trx") for word in re.findall(r"\w+", path.read_text())}
    fields = {spec.name for specs in RECORDS.values() for spec in specs}
    syntax = set(re.findall(r"[a-z_]+", (stdlib_folder().parent / "grammar" / "trx.lark").read_text()))
    return frozenset({*library, *fields, *syntax, *OPS, *BUILTINS, *DTYPES, *COMPILE_TIME})


def misspelt(word: str, program: Program, rng: Random) -> str:
    """The word with two letters swapped, one left out, doubled, added or changed; no word of the program."""
    for _ in range(100):
        at = rng.randrange(len(word))
        swapped = word[:at] + word[at + 1 : at + 2] + word[at] + word[at + 2 :]
        changed = word[:at] + rng.choice(LETTERS) + word[at + 1 :]
        choices = [swapped, word[:at] + word[at + 1 :], word[: at + 1] + word[at:], changed]
        if len(word) < 4:
            choices = [word + rng.choice(LETTERS), word[: at + 1] + word[at:]]
        new = rng.choice(choices)
        if new != word and re.fullmatch(r"[A-Za-z]\w*", new) and new not in program.words and new not in known():
            return new
    return word + "_q"
