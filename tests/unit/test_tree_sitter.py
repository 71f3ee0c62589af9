"""The tree-sitter grammar: it knows every word of the language, and parses every program of the project."""

from __future__ import annotations

import ctypes
import importlib
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from format_programs import Writer, shaken

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "editors" / "tree-sitter-trx"
LARK = (ROOT / "grammar" / "trx.lark").read_text(encoding="utf-8")
GRAMMAR = (FOLDER / "grammar.js").read_text(encoding="utf-8")
PROGRAMS = sorted(
    path
    for folder in ("benchmarks", "examples", "stdlib", "tests/cases")
    for path in (ROOT / folder).rglob("*.trx")
    if path.parent.name not in ("errors", "syntax")  # which hold many texts in one file, and wrong ones
)
CORPUS = re.compile(r"={3,}\n(?P<name>.+)\n={3,}\n(?P<text>[^=]*(?:=(?!==)[^=]*)*?)\n---+\n(?P<tree>[^=]*)")


# ------------------------------------------------------------------ words


def literals() -> set[str]:
    """Keywords and signs of the Lark grammar, whether in rules or as terminals."""
    rules = re.sub(r"//[^\n]*", "", re.sub(r"^[A-Z_]+(\.\d)?: /.*$", "", LARK, flags=re.MULTILINE))
    words = set(re.findall(r'"([^"]+)"', rules)) - {"//"}
    return words | {"//"} | set(re.findall(r"^[A-Z]+\.1: /([a-z]+)", LARK, flags=re.MULTILINE))


def test_the_lark_grammar_is_read_right():
    assert {"layer", "input", "next", "fn", "else", "none", "|>", "->", "...", "{"} <= literals()


@pytest.mark.parametrize("word", sorted(literals()))
def test_every_keyword_and_sign_is_there(word: str):
    assert f"'{word}'" in GRAMMAR


@pytest.mark.parametrize("terminal", ["NUMBER", "STRING"])
def test_terminals_are_alike(terminal: str):
    pattern = re.search(rf"^{terminal}: (/.*/)$", LARK, flags=re.MULTILINE)
    assert pattern is not None
    assert f"{terminal.lower()}: () => {pattern[1]}," in GRAMMAR


def test_comparisons_and_products_are_alike():
    for terminal in ("COMPARE", "MULTIPLY", "ADD"):
        pattern = re.search(rf"^{terminal}: /(.*)/$", LARK, flags=re.MULTILINE)
        assert pattern is not None
        plain = re.sub(r"\(\?!.*?\)", "", pattern[1]).replace("\\", "")
        signs = [sign for part in plain.split("|") for sign in (part[1:-1] if part[:1] == "[" else [part])]
        assert [sign for sign in signs if f"'{sign}'" not in GRAMMAR] == []


def test_colours_are_of_words_and_rules_that_are_there():
    query = re.sub(r";.*", "", (FOLDER / "queries" / "highlights.scm").read_text(encoding="utf-8"))
    plain = re.sub(r'\(#match\? @[a-z.]+ "[^"]*"\)', "", query)
    assert [word for word in re.findall(r'"([^"]+)"', plain) if f"'{word}'" not in GRAMMAR] == []
    rules = set(re.findall(r"\(([a-z_]+)", plain))
    assert [rule for rule in rules if not re.search(rf"^    {rule}: ", GRAMMAR, flags=re.MULTILINE)] == []


# ---------------------------------------------------------------- parsing


@pytest.fixture(scope="module")
def parser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A parser of the language, where what makes one is installed."""
    tree_sitter: Any = pytest.importorskip("tree_sitter", reason="`pip install tree-sitter` runs grammars")
    compiler, command = shutil.which("cc"), shutil.which("tree-sitter")
    if compiler is None:
        pytest.skip("a C compiler builds the grammar")
    build = tmp_path_factory.mktemp("tree-sitter") / "trx"
    shutil.copytree(FOLDER, build, ignore=shutil.ignore_patterns("node_modules"))
    if command is not None:
        subprocess.run([command, "generate"], cwd=build, check=True)
    if not (build / "src" / "parser.c").exists():
        pytest.skip("`tree-sitter generate` writes src/parser.c")
    library = build / "trx.so"
    sources = [str(build / "src" / name) for name in ("parser.c", "scanner.c")]
    subprocess.run([compiler, "-shared", "-fPIC", f"-I{build / 'src'}", *sources, "-o", str(library)], check=True)
    language = ctypes.CDLL(str(library)).tree_sitter_trx
    language.restype = ctypes.c_void_p
    capsule = ctypes.pythonapi.PyCapsule_New
    capsule.restype, capsule.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    yield tree_sitter.Parser(tree_sitter.Language(capsule(language(), b"tree_sitter.Language", None)))


def fault(parser: Any, text: str) -> str | None:
    """The first place that the grammar has no rule for; None where it has one for all."""
    tree = parser.parse(text.encode())
    if not tree.root_node.has_error:
        return None
    nodes = [tree.root_node]
    while nodes:
        node = nodes.pop()
        if node.is_error or node.is_missing:
            return f"line {node.start_point[0] + 1}: {text.encode()[node.start_byte : node.start_byte + 40]!r}"
        nodes += [child for child in reversed(node.children) if child.has_error or child.is_missing]
    return "somewhere"


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_program_of_the_project_is_parsed(path: Path, parser: Any):
    assert fault(parser, path.read_text(encoding="utf-8")) is None


def test_random_programs_are_parsed_in_any_layout(parser: Any):
    for seed in range(60):
        rng = random.Random(seed)
        text = Writer(rng).file()
        assert fault(parser, text) is None, (seed, text)
        other = shaken(text, rng)
        assert fault(parser, other) is None, (seed, other)


@pytest.mark.parametrize(
    "text",
    [
        "const a = 1 < b < 3",
        "const a = (1, 2",
        "const a = [1 2]",
        "const = 3",
        "const a = x |> fn(y) => y >> |> z",
        "layer L { input x: float[a] output x }",
        "layer L {\n  x + 1\n}",
        "model M(a b) {\n}",
        "train t { steps: 3 }",
        "x = 3",
        "const a = if b { 1 }",
        'const a = "never closed',
        "fn f = 3",
    ],
)
def test_what_the_compiler_refuses_for_its_form(text: str, parser: Any):
    assert fault(parser, text) is not None
    trxc: Any = importlib.import_module("trxc")
    assert {found.code[:5] for found in trxc.check(text, filename="example.trx")} == {"TRX01"}


def cases() -> list[tuple[str, str, str]]:
    texts = [path.read_text(encoding="utf-8") for path in sorted((FOLDER / "test" / "corpus").glob("*.txt"))]
    return [(found["name"], found["text"], found["tree"]) for text in texts for found in CORPUS.finditer(text)]


def test_the_corpus_is_read_right():
    assert len(cases()) == sum(
        len(re.findall(r"^---$", path.read_text(encoding="utf-8"), flags=re.MULTILINE))
        for path in (FOLDER / "test" / "corpus").glob("*.txt")
    )


@pytest.mark.parametrize(("name", "text", "tree"), cases(), ids=lambda value: value if "\n" not in value else "")
def test_the_corpus(name: str, text: str, tree: str, parser: Any):
    wanted = re.sub(r"\s*\)", ")", re.sub(r"\s+", " ", tree.strip()))
    assert str(parser.parse(text.encode()).root_node) == wanted, name


def test_the_query_of_colours(parser: Any):
    tree_sitter: Any = importlib.import_module("tree_sitter")
    query = tree_sitter.Query(parser.language, (FOLDER / "queries" / "highlights.scm").read_text(encoding="utf-8"))
    text = b"## A model.\nmodel M(n: int = 3) {\n  input x: float[batch]\n  output x |> Dense(n)\n}\n"
    found = tree_sitter.QueryCursor(query).captures(parser.parse(text).root_node)
    shown = {name: [text[node.start_byte : node.end_byte].decode() for node in nodes] for name, nodes in found.items()}
    assert shown["comment.documentation"] == ["## A model."]
    assert sorted(shown["keyword"]) == ["input", "model", "output"]
    assert shown["constructor"] == ["Dense"]
    assert shown["type.definition"] == ["M"]
