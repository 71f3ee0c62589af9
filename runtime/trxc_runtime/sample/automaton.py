"""Automata: which tokens may come next so that a text can still match a regular expression.

The expression becomes an automaton of bytes, and that one of tokens: a token leads where its bytes lead, one after
another, be they whole characters or a part of one. A table holds every step, so that a sampling stage looks it up on
the device.
"""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import RunError
from ..untyped import jnp
from . import automaton_process
from .automaton_process import COLUMNS, MISSING, REFUSED

MAX_PATTERN = 1 << 18
"""Characters of an expression."""
MAX_SECONDS = 20
"""How long making an automaton may take; what is of use takes some milliseconds."""
MAX_MEMORY = 2 << 30
"""Bytes that making an automaton may take."""
MAX_TABLE = 1 << 26
"""Entries of a table, of 2 or 4 bytes each."""
NEVER = 1 << 30
"""The distance of a state from which no match can be reached."""

_PARTS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[\^$]", re.DOTALL)
_ANCHORS = ("^", "$", "\\b", "\\B", "\\A", "\\z", "\\Z")

_AT_ONCE = 1 << 22
_SHORTER = "leave out counted repetitions such as `{1,200}`, and write `[a-z]` where `\\w` or `.` is more than needed"

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class TokenTable:
    """Steps of an automaton by tokens, on the device.

    ``following: [states, vocab]`` is the next state, ``distance: i32[states]`` how many tokens there are at least to a
    match, which is 0 where it may end. The last state is for what follows eos. State 0 is the first.
    """

    following: Any
    distance: Any


@lru_cache(maxsize=16)
def byte_automaton(pattern: str) -> tuple[Array, Array]:
    """Next states by bytes, ``i32[states, 256]``, -1 where there is none, and where a match of the whole may end.

    Raises :class:`RunError` for what is no regular expression, or needs too much time or memory.
    """
    if len(pattern) > MAX_PATTERN:
        raise RunError(f"a regular expression has at most {MAX_PATTERN:,} characters, and this has {len(pattern):,}")
    if pattern != pattern.encode("utf-8", "replace").decode():
        raise RunError("a regular expression is text, and half a surrogate pair is none")
    whole = _whole(pattern)
    command = [sys.executable, "-P", str(Path(automaton_process.__file__)), str(MAX_MEMORY)]
    try:
        made = subprocess.run(command, input=whole.encode(), capture_output=True, timeout=MAX_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise RunError(
            f"the regular expression {shown(pattern)} was given up after {MAX_SECONDS} seconds: it has too many states",
            hints=(_SHORTER,),
        ) from None
    _check_ended(pattern, made)
    rows = np.frombuffer(made.stdout, np.int32).reshape(-1, COLUMNS)
    return rows[:, :-1], rows[:, -1] == 1


def token_table(pattern: str, pieces: Sequence[bytes], vocab: int, eos: int | None) -> TokenTable:
    """The table of a regular expression for tokens that stand for ``pieces``, the first of ``vocab`` ids.

    Raises :class:`RunError` where there is none, or where it were too large.
    """
    return _token_table(pattern, tuple(pieces[:vocab]), vocab, eos)


@lru_cache(maxsize=2)
def _token_table(pattern: str, pieces: tuple[bytes, ...], vocab: int, eos: int | None) -> TokenTable:
    by_bytes, final = byte_automaton(pattern)
    states = len(final)
    if (states + 1) * vocab > MAX_TABLE:
        raise RunError(
            f"the regular expression {shown(pattern)} has {states:,} states; with {vocab:,} tokens its table has "
            f"{(states + 1) * vocab:,} entries, and at most {MAX_TABLE:,} are held",
            hints=(_SHORTER,),
        )
    following = _by_tokens(by_bytes, pieces, vocab)
    if eos is not None:
        following[np.append(np.flatnonzero(final), states), eos] = states
    distance = _distances(following, np.append(final, True))
    return TokenTable(jnp.asarray(following), jnp.asarray(distance))


def _by_tokens(by_bytes: Array, pieces: Sequence[bytes], vocab: int) -> Array:
    """Next states by tokens, ``[states + 1, vocab]``; -1 for tokens that stand for nothing, and in the last row."""
    dead = len(by_bytes)
    steps = np.vstack([np.where(by_bytes < 0, dead, by_bytes), np.full((1, 256), dead)]).astype(np.int32)
    following = np.full((dead + 1, vocab), -1, np.int16 if dead < np.iinfo(np.int16).max else np.int32)
    for length in sorted({len(piece) for piece in pieces} - {0}):
        tokens: Array = np.array([token for token, piece in enumerate(pieces) if len(piece) == length])
        letters = np.frombuffer(b"".join(piece for piece in pieces if len(piece) == length), np.uint8).reshape(
            -1, length
        )
        at_once = max(1, _AT_ONCE // len(tokens))
        for begin in range(0, dead, at_once):
            rows = np.arange(begin, min(begin + at_once, dead))
            reached = np.repeat(rows[:, None], len(tokens), axis=1)
            for column in letters.T:
                reached = steps[reached, column]
            following[rows[:, None], tokens] = np.where(reached == dead, -1, reached)
    return following


def _distances(following: Array, final: Array) -> Array:
    """How many tokens lead from each state to a final one at least, ``i32[states]``; :data:`NEVER` where none do."""
    states = len(following)
    starts: list[Array] = []
    ends: list[Array] = []
    at_once = max(1, _AT_ONCE // max(following.shape))
    for begin in range(0, states, at_once):
        rows = following[begin : begin + at_once]
        leads = np.zeros((len(rows), states + 1), bool)  # the last column takes -1
        leads[np.arange(len(rows))[:, None], rows] = True
        start, end = np.nonzero(leads[:, :states])
        starts.append(start + begin)
        ends.append(end)
    start, end = np.concatenate(starts), np.concatenate(ends)
    distance = np.where(final, 0, NEVER).astype(np.int32)
    reached, step = final.copy(), 0
    while True:
        step += 1
        found = np.unique(start[reached[end]])
        found = found[~reached[found]]
        if not len(found):
            return distance
        distance[found], reached[found] = step, True


def shown(pattern: str) -> str:
    """An expression as a message names it."""
    text = repr(pattern)
    return text if len(text) <= 60 else text[:57] + "…" + text[0]


def _whole(pattern: str) -> str:
    """Without anchors at its ends, which say what holds in any case; raises :class:`RunError` for those elsewhere."""
    anchors = [found for found in _PARTS.finditer(pattern) if found[0] in _ANCHORS]
    ends = [(found.start(), found[0]) for found in anchors]
    if "|" not in pattern and ends == [(0, "^"), (len(pattern) - 1, "$")]:
        return pattern[1:-1]
    if anchors:
        raise _unfollowed(pattern)
    return pattern


def _check_ended(pattern: str, made: subprocess.CompletedProcess[bytes]) -> None:
    """Says why the process made nothing."""
    if made.returncode == 0:
        return
    if made.returncode == MISSING:
        raise RunError(
            "constrained output needs the package `outlines-core`", hints=('`pip install "trxc[constrained]"`',)
        )
    if made.returncode == REFUSED:
        raise _refusal(pattern, made.stdout.decode("utf-8", "replace"))
    raise RunError(
        f"following the regular expression {shown(pattern)} needs more than {MAX_MEMORY >> 30} GiB: it has too many "
        "states",
        hints=(_SHORTER,),
    )


def _refusal(pattern: str, why: str) -> RunError:
    """Why there is no automaton: in the words of Python's `re`, if it does not understand the expression either."""
    try:
        with warnings.catch_warnings(action="ignore"):
            re.compile(pattern)
    except re.error as error:
        return RunError(f"{shown(pattern)} is no regular expression: {error}")
    if "vocabulary" in why:
        return RunError(f"no text at all matches the regular expression {shown(pattern)}")
    return _unfollowed(pattern)


def _unfollowed(pattern: str) -> RunError:
    return RunError(
        f"no automaton can follow the regular expression {shown(pattern)}",
        hints=(
            "it always stands for the whole text, so that it needs no `^` and `$`",
            "it may have no look-around (`(?=`), no word boundary (`\\b`) and no reference to a group (`\\1`)",
        ),
    )
