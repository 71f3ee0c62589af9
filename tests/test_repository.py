"""What holds for the repository as a whole."""

from __future__ import annotations

import ast
import hashlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(path for folder in ("compiler", "runtime") for path in (ROOT / folder).rglob("*.py"))
LONGEST_FILE = 400
LONGEST_FUNCTION = 60

Function = ast.FunctionDef | ast.AsyncFunctionDef


def kept_files() -> list[Path]:
    """The files that git keeps or would keep; outside a checkout, all that are not hidden."""
    asked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if asked.returncode == 0:
        names = asked.stdout.decode().split("\0")
    else:
        names = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*")]
        names = [name for name in names if not any(part.startswith(".") for part in Path(name).parts)]
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def lines_of(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return []


def places(pattern: str, files: list[Path]) -> list[str]:
    """``file:line: text`` of every line that ``pattern`` is found in."""
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files
        if path != Path(__file__)
        for number, line in enumerate(lines_of(path), 1)
        if re.search(pattern, line)
    ]


def test_no_paths_of_one_machine():
    assert places(r"(?<![\w.~-])/(?:work|root|home|Users)/|/tmp/\w|[A-Z]:\\Users\\", kept_files()) == []


@pytest.mark.parametrize(
    "pattern",
    [
        r"#\s*type:\s*ignore",
        r"#\s*noqa(?!:\s*[A-Z]+\d)",
        r"#\s*(?:ruff|flake8):\s*noqa(?!:\s*[A-Z]+\d)",
        r"#\s*pyright:\s*ignore(?!\[\w+)",
        r"#\s*pyright:\s*(?:basic|standard|off|report\w+\s*=\s*(?:false|none))",
        r"#\s*pylint:",
        r"#\s*fmt:\s*off",
    ],
)
def test_no_blanket_ignores(pattern: str):
    assert places(pattern, [path for path in kept_files() if path.suffix == ".py"]) == []


def test_no_configuration_switches_a_strict_check_off():
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert pyproject["tool"]["pyright"]["typeCheckingMode"] == "strict"
    assert [key for key in pyproject["tool"]["pyright"] if key.startswith("report")] == []


def public_nodes(node: ast.Module | ast.ClassDef) -> Iterator[Function | ast.ClassDef]:
    """Public classes, functions and methods; what stands inside a function is its own business."""
    for child in node.body:
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and not child.name.startswith("_"):
            yield child
            if isinstance(child, ast.ClassDef):
                yield from public_nodes(child)


def is_overload(node: Function | ast.ClassDef) -> bool:
    return any(ast.unparse(decorator).endswith("overload") for decorator in node.decorator_list)


def all_classes() -> dict[str, list[ast.ClassDef]]:
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES)
    found: dict[str, list[ast.ClassDef]] = {}
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(node)
    return found


def promised(
    node: ast.ClassDef, classes: dict[str, list[ast.ClassDef]], seen: frozenset[str] = frozenset()
) -> set[str]:
    """The methods that the bases of a class document: an override keeps that promise, and need not repeat it."""
    names: set[str] = set()
    for base in (ast.unparse(base).split("[")[0].split(".")[-1] for base in node.bases):
        for parent in classes.get(base, []) if base not in seen else []:
            names |= {child.name for child in parent.body if isinstance(child, Function) and ast.get_docstring(child)}
            names |= promised(parent, classes, seen | {base})
    return names


def without_docstring(path: Path, classes: dict[str, list[ast.ClassDef]]) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    name = path.relative_to(ROOT)
    if ast.get_docstring(tree) is None:
        yield f"{name}:1: module"
    kept = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for child in node.body
        if isinstance(child, Function) and child.name in promised(node, classes)
    }
    for node in public_nodes(tree):
        if ast.get_docstring(node) is None and not is_overload(node) and node not in kept:
            yield f"{name}:{node.lineno}: {node.name}"


def test_public_names_are_documented():
    classes = all_classes()
    assert [place for path in SOURCES for place in without_docstring(path, classes)] == []


def test_files_are_not_too_long():
    sizes = {str(path.relative_to(ROOT)): len(lines_of(path)) for path in SOURCES}
    assert {name: size for name, size in sizes.items() if size > LONGEST_FILE} == {}


def long_functions(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            size = (node.end_lineno or node.lineno) - node.lineno + 1
            if size > LONGEST_FUNCTION:
                yield f"{path.relative_to(ROOT)}:{node.lineno}: {node.name} has {size} lines"


def test_functions_are_not_too_long():
    assert [place for path in SOURCES for place in long_functions(path)] == []


def declared_version(path: Path) -> str:
    (version,) = re.findall(r'^(?:__version__|VERSION)(?:: \w+)? = "([^"]+)"$', path.read_text("utf-8"), re.MULTILINE)
    return version


def test_the_version_is_the_same_everywhere():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert declared_version(ROOT / "compiler/trxc/version.py") == version
    assert declared_version(ROOT / "runtime/trxc_runtime/__init__.py") == version
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[?{re.escape(version)}\b", changes, re.MULTILINE)


def test_the_licence_is_apache_2_word_for_word():
    digest = hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest()
    assert digest == "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"


@pytest.mark.parametrize("command", ['python -m pip install -e ".[dev]" && python -m pytest', "trxc train examples/"])
def test_the_readme_has_the_commands_that_ci_runs(command: str):
    blocks = re.findall(
        r"^```\w*\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    lines = [line for block in blocks for line in block.splitlines()]
    assert len([line for line in lines if line.strip().startswith("python -m pip install") and command in line]) == 1


CHECKS_WITHOUT_JAX = """
import sys
import trxc, trxc.cli
trxc.check("model M {\\n  input x: float[batch, n]\\n  output y: float[batch, n] = x + 1.0\\n}\\n", filename="m.trx")
print(*sorted({"jax", "jaxlib", "optax", "trxc_runtime"} & {name.partition(".")[0] for name in sys.modules}))
"""


def test_checking_imports_neither_jax_nor_the_runtime():
    ran = subprocess.run([sys.executable, "-c", CHECKS_WITHOUT_JAX], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout.strip()) == (0, ""), ran.stderr
