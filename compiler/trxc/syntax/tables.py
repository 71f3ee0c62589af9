"""The parser's tables: made by Lark from `grammar/trx.lark`, kept as JSON in the user's own cache folder.

Lark is imported only when the tables have to be made anew. A cache that cannot be read, that somebody else
owns, or that does not look like tables is made again; one that cannot be written is done without.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import cache, cached_property
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from ..frozen import Frozen
from ..resources import grammar_file

FORMAT = 1
"""The version of the cache's layout; part of its key."""

START_RULES = ("file", "expression")


class Rule(Frozen):
    """A production: `origin` is made of `size` symbols and built by the builder's entry `name`.

    `passes` is set where a single symbol goes through unchanged; `splices` where the rule's children join its
    parent's (Lark's helpers for repetition, and rules that begin with `_`).
    """

    origin: str
    name: str
    size: int
    passes: bool
    splices: bool


class Tables(Frozen):
    """An LALR(1) automaton and its terminals.

    `states[n]` maps a terminal or rule to `m >= 0`, a state to shift to, or to `-(r + 1)`, a rule to reduce by.
    `terminals` maps names to regular expressions, in the order in which they are tried.
    """

    states: tuple[dict[str, int], ...]
    rules: tuple[Rule, ...]
    starts: Mapping[str, int]
    ends: Mapping[str, int]
    terminals: Mapping[str, str]
    ignored: frozenset[str]

    @cached_property
    def keywords(self) -> dict[str, list[tuple[str, re.Pattern[str]]]]:
        """For each word that is a keyword somewhere: its terminals, and what must match where the word begins."""
        found: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
        for name, pattern in self.terminals.items():
            if word := re.match("[a-z]+", pattern):
                found.setdefault(word[0], []).append((name, re.compile(pattern)))
        return found

    @cached_property
    def reserved(self) -> frozenset[str]:
        """The words that are never names."""
        name = re.compile(self.terminals["NAME"])
        return frozenset(word for word in self.keywords if not name.fullmatch(word))

    @cached_property
    def scanner(self) -> re.Pattern[str]:
        """One expression for all terminals but keywords, each a group of its name."""
        keywords = {name for entries in self.keywords.values() for name, _ in entries}
        parts = [
            f"(?P<{name}>{pattern})" for name, pattern in self.terminals.items() if name not in keywords | {"NAME"}
        ]
        return re.compile("|".join(["(?P<WORD>[A-Za-z_][A-Za-z0-9_]*)", *parts]))


@cache
def load_tables() -> Tables:
    """The tables, from the cache where possible."""
    grammar = grammar_file("trx.lark").read_text(encoding="utf-8")
    place = _cache_file(grammar)
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return _decode(json.loads(_checked(_read_own(place))))
    plain = make_tables(grammar)
    with suppress(OSError):
        text = json.dumps(plain, separators=(",", ":"))
        _write(place, f"{sha256(text.encode()).hexdigest()}\n{text}")
    return _decode(plain)


def make_tables(grammar: str, strict: bool = False) -> dict[str, Any]:
    """Tables as plain data, from the text of a grammar. `strict` refuses conflicts and colliding terminals."""
    from lark import Lark
    from lark.grammar import Rule as LarkRule
    from lark.lexer import TerminalDef

    parser = Lark(
        grammar,
        parser="lalr",
        lexer="contextual",
        start=list(START_RULES),
        keep_all_tokens=True,
        maybe_placeholders=False,
        strict=strict,
    )
    data, memo = cast("Any", parser).memo_serialize([TerminalDef, LarkRule])
    return _compact(data["parser"], memo)


def _compact(parser: Any, memo: dict[int, Any]) -> dict[str, Any]:
    """What we need of Lark's serialised form, with rules and symbols by number."""
    table, lexer = parser["parser"], parser["lexer_conf"]
    numbers = {key: at for at, key in enumerate(k for k, entry in memo.items() if entry["__type__"] == "Rule")}
    terminals = [entry for entry in memo.values() if entry["__type__"] == "TerminalDef"]
    terminals.sort(key=_trial_order)
    symbols: list[str] = [table["tokens"][at] for at in sorted(table["tokens"])]

    def action(entry: tuple[int, Any]) -> int:
        kind, target = entry
        return -numbers[target["@"]] - 1 if kind else target

    return {
        "symbols": symbols,
        "states": [{str(on): action(to) for on, to in row.items()} for _, row in sorted(table["states"].items())],
        "rules": [_plain_rule(memo[key]) for key in numbers],
        "starts": table["start_states"],
        "ends": table["end_states"],
        "terminals": [[entry["name"], _regex(entry["pattern"])] for entry in terminals],
        "ignored": list(lexer["ignore"]),
    }


def _trial_order(terminal: Any) -> tuple[int, int, str]:
    """The order in which terminals are tried: priority, expressions before fixed strings, longer strings first."""
    pattern = terminal["pattern"]
    fixed = pattern["__type__"] == "PatternStr"
    return -terminal["priority"], len(pattern["value"]) * -1 if fixed else -1000, terminal["name"]


def _regex(pattern: Any) -> str:
    return re.escape(pattern["value"]) if pattern["__type__"] == "PatternStr" else pattern["value"]


def _plain_rule(entry: Any) -> list[Any]:
    origin, alias = entry["origin"]["name"], entry["alias"]
    passes = bool(entry["options"]["expand1"]) and alias is None and len(entry["expansion"]) == 1
    return [origin, alias or origin, len(entry["expansion"]), passes, origin.startswith("_")]


def _decode(plain: dict[str, Any]) -> Tables:
    symbols: list[str] = plain["symbols"]
    return Tables(
        states=tuple({symbols[int(on)]: int(to) for on, to in row.items()} for row in plain["states"]),
        rules=tuple(Rule(*entry) for entry in plain["rules"]),
        starts=dict(plain["starts"]),
        ends=dict(plain["ends"]),
        terminals=dict(plain["terminals"]),
        ignored=frozenset(plain["ignored"]),
    )


def _cache_file(grammar: str) -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    folder = Path(base) if Path(base).is_absolute() else Path(os.path.expanduser("~"), ".cache")  # noqa: PTH111
    key = sha256(f"{FORMAT}\0{_lark_version()}\0{grammar}".encode()).hexdigest()
    return folder / "trxc" / f"tables-{key}.json"


def _lark_version() -> str:
    """Lark's version, read from its source: importing it, or `importlib.metadata`, costs more than all the rest."""
    spec = find_spec("lark")
    text = Path(spec.origin).read_text(encoding="utf-8") if spec and spec.origin else ""
    found = re.search(r"^__version__.*?=\s*['\"](.+?)['\"]", text, re.MULTILINE)
    return found[1] if found else ""


def _checked(text: str) -> str:
    """What follows the checksum on the first line; refused where it does not agree."""
    checksum, _, content = text.partition("\n")
    if sha256(content.encode()).hexdigest() != checksum:
        raise ValueError("the cached tables are damaged")
    return content


def _read_own(place: Path) -> str:
    """The text of `place`, refused unless it is this user's own."""
    with place.open(encoding="utf-8") as file:
        if hasattr(os, "getuid") and os.fstat(file.fileno()).st_uid != os.getuid():
            raise PermissionError(place)
        return file.read()


def _write(place: Path, text: str) -> None:
    """Writes beside `place` and renames, so that nobody ever reads half a file."""
    import tempfile  # which loads more than reading the tables needs

    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=place.parent, suffix=".tmp")  # made with mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(place)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
