"""What editors and documentation colour: keywords are those that the parser takes for keywords."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pygments.token import Error, Keyword, Operator, Token, _TokenType

from trxc.pygments_lexer import TrxLexer
from trxc.source import Source
from trxc.syntax.index import split_items
from trxc.syntax.layout import lay_out, match_brackets
from trxc.syntax.machine import Machine
from trxc.syntax.tables import load_tables
from trxc.syntax.tokens import tokenize
from trxc.types import DTYPES

ROOT = Path(__file__).resolve().parents[2]
EDITOR = ROOT / "editors" / "vscode"
GRAMMAR: dict[str, Any] = json.loads((EDITOR / "syntaxes" / "trx.tmLanguage.json").read_text(encoding="utf-8"))
CASES = ("decoding", "language", "passes", "stdlib", "format")
PROGRAMS = sorted(
    path
    for folder in ("stdlib", "examples", "compiler", "benchmarks", *(f"tests/cases/{case}" for case in CASES))
    for path in (ROOT / folder).rglob("*.trx")
)
KEYWORDS_ALONE = (Keyword, Keyword.Declaration, Keyword.Namespace, Keyword.Constant, Operator.Word)
each_program = pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: f"{path.parent.name}-{path.stem}")


def parsed_keywords(text: str) -> dict[int, str]:
    """The words that the parser takes for keywords, by where they begin."""
    tables, found = load_tables(), dict[int, str]()
    for chunk in split_items(Source("", text)):
        tokens = tokenize(text, chunk.start, chunk.end, tables)
        machine = Machine(tables, "file", lambda rule, children, start, end: rule)
        for token in lay_out(tokens, match_brackets(tokens)):
            terminal = machine.terminal(token, text)
            machine.feed(token, terminal)
            if token.type == "WORD" and terminal != "NAME":
                found[token.start] = token.text
    return found


# ----------------------------------------------------------------------------------------------------- Pygments


def lexed(text: str) -> list[tuple[int, _TokenType, str]]:
    return list(TrxLexer().get_tokens_unprocessed(text))


@each_program
def test_pygments_finds_the_keywords(path: Path):
    text = path.read_text(encoding="utf-8")
    found = lexed(text)
    assert [entry for entry in found if entry[1] in Error] == []
    assert {at: word for at, kind, word in found if kind in KEYWORDS_ALONE} == parsed_keywords(text)
    assert "".join(word for _, _, word in found) == text


def test_pygments_is_told_of_the_lexer():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pygments.lexers"] == {"trx": f"{TrxLexer.__module__}:{TrxLexer.__qualname__}"}


def test_pygments_takes_words_for_what_they_are():
    text = 'const in = "a\\n{i}"  # c\nlayer A(fn: layer) {\n  state = next + float[in, 2.5e-1]\n}\n'
    kinds = {word: str(kind).removeprefix("Token.") for _, kind, word in lexed(text) if kind is not Token}
    assert kinds["const"] == "Keyword.Declaration"
    assert (kinds["state"], kinds["next"], kinds["fn"]) == ("Name", "Name", "Name")
    assert (kinds["A"], kinds["float"], kinds["2.5e-1"], kinds["\\n"], kinds["# c"]) == (
        "Name.Class", "Keyword.Type", "Literal.Number.Float", "Literal.String.Escape", "Comment.Single")  # fmt: skip


def test_an_open_string_ends_with_its_line():
    assert [word for _, kind, word in lexed('a = "open\nlayer A {}\n') if kind is Keyword.Declaration] == ["layer"]


# ---------------------------------------------------------------------------------------------------- TextMate


def rules(name: str = "") -> Iterator[dict[str, Any]]:
    """All rules in the order in which an editor tries them."""
    for entry in GRAMMAR["repository"][name]["patterns"] if name else GRAMMAR["patterns"]:
        if "include" in entry:
            yield from rules(entry["include"].removeprefix("#"))
        else:
            yield entry


RULES = [(re.compile(rule.get("match") or rule["begin"]), rule) for rule in rules()]
STRING = re.compile(r'"(?:[^"\\]|\\.)*(?:"|$)')


def scopes(line: str) -> Iterator[tuple[int, str, str]]:
    """What an editor makes of a line: offset, scope and text. Of several rules the one that matches first wins."""
    at = 0
    while at < len(line):
        tried = [(found.start(), place, found) for place, (pattern, _) in enumerate(RULES)
                 if (found := pattern.search(line, at))]  # fmt: skip
        if not tried:
            return
        _, place, found = min(tried, key=lambda entry: entry[:2])
        rule = RULES[place][1]
        if "begin" in rule:
            found = STRING.match(line, found.start())
            assert found
        if "name" in rule:
            yield found.start(), rule["name"], found[0]
        for group, capture in rule.get("captures", {}).items():
            if found[int(group)] is not None:
                yield found.start(int(group)), capture["name"], found[int(group)]
        at = found.end()


def is_keyword(scope: str) -> bool:
    words = ("storage.", "keyword.other.", "keyword.control.", "keyword.operator.word.", "constant.language.")
    return scope.startswith(words)


@each_program
def test_textmate_finds_the_keywords(path: Path):
    text = path.read_text(encoding="utf-8")
    found: dict[int, str] = {}
    start = 0
    for line in text.splitlines(keepends=True):
        found |= {start + at: word for at, scope, word in scopes(line.rstrip("\n")) if is_keyword(scope)}
        start += len(line)
    assert found == parsed_keywords(text)


@each_program
def test_textmate_leaves_nothing_but_blanks(path: Path):
    for line in path.read_text(encoding="utf-8").splitlines():
        covered = [" "] * len(line)
        for at, _, word in scopes(line):
            covered[at : at + len(word)] = word
        assert "".join(covered).split() == line.split()


def test_the_words_are_those_of_the_grammar():
    tables = load_tables()
    words = {word for rule in rules() for word in re.findall(r"[a-z]{2,}", rule.get("match", ""))}
    assert set(tables.keywords) <= words
    kinds = {word for _, kind, word in lexed("\n".join(DTYPES)) if kind is Keyword.Type}
    assert kinds == set(DTYPES)
    (types,) = (rule["match"] for rule in rules() if "bf16" in rule.get("match", ""))
    assert set(re.findall(r"[a-z0-9]{2,}", types)) >= set(DTYPES)
    assert all([scope for _, scope, _ in scopes(name)] == ["support.type.trx"] for name in DTYPES)


def test_the_operators_are_those_of_the_grammar():
    """All that the grammar writes out, and what the patterns of its three kinds of operators match."""
    written = [re.sub(r"\\(.)", r"\1", pattern) for pattern in load_tables().terminals.values()]
    fixed = {text for text in written if re.fullmatch(r"[^A-Za-z0-9 \[]{1,3}|\[", text)}
    assert {"|>", ">>", "->", "=>", "...", "^", "?"} <= fixed
    for operator in fixed | {"+", "-", "*", "/", "//", "%", "@", "=", "==", "!=", "<", "<=", ">", ">="}:
        assert [word for _, _, word in scopes(operator)] == [operator]
        assert [word for _, kind, word in lexed(operator) if kind not in Error] == [operator]


@pytest.mark.parametrize("path", sorted(EDITOR.rglob("*.json")), ids=lambda path: path.name)
def test_the_files_of_the_editor_are_json(path: Path):
    if "node_modules" not in path.parts:
        json.loads(path.read_text(encoding="utf-8"))


def test_indentation_follows_brackets():
    rules_of_indentation = json.loads((EDITOR / "language-configuration.json").read_text())["indentationRules"]
    more, less = (re.compile(rules_of_indentation[f"{which}IndentPattern"]) for which in ("increase", "decrease"))
    assert more.match("layer A {") and more.match("  y = f(  # c") and not more.match("  y = f(x)")
    assert less.match("  }") and less.match("} else {") and not less.match("  x = {}")
