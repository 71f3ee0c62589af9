"""Reads an emitted program before it is run, and refuses what no compiler of ours would write.

An artifact may come from a stranger. Its program is parsed, never imported; every node of the tree must be in
:data:`~.safety_tables.NODES`, every import and every attribute of an imported module must be in the tables, modules
may not be passed around as values, and no name or attribute reaches Python's internals.
"""

from __future__ import annotations

import ast
import importlib
import symtable
from collections.abc import Iterable, Iterator
from types import ModuleType

from .errors import RunError
from .safety_tables import CLOSED_MODULES, METHODS, NODES, OPEN_MODULES, REFUSED_BUILTINS, REFUSED_MEMBERS

MAX_PROGRAM_BYTES = 32 * 2**20


def check_program(text: str, *, externs: Iterable[str] = ()) -> None:
    """Return quietly if ``text`` keeps within the tables; raise :class:`RunError` (status 1) where it does not.

    ``externs`` are top-level modules that the user has allowed with ``allow_extern``.
    """
    if len(text) > MAX_PROGRAM_BYTES:
        raise _refusal(0, f"it is larger than {MAX_PROGRAM_BYTES >> 20} MiB")
    try:
        tree = ast.parse(text)
        table = symtable.symtable(text, "program.py", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _refusal(getattr(error, "lineno", 0) or 0, "it is not a Python program that can be read") from error
    _check_builtins(table)
    _Walk(frozenset(externs)).check(tree)


def _refusal(line: int, reason: str) -> RunError:
    return RunError(
        f"program.py:{line}: this program is refused: {reason}",
        hints=("compile the .trx file again; an artifact from elsewhere may have been tampered with",),
    )


def _scopes(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    pending = [table]
    while pending:
        scope = pending.pop()
        yield scope
        pending.extend(scope.get_children())


def _check_builtins(table: symtable.SymbolTable) -> None:
    """Refuse a builtin outside the table, wherever Python's scoping would really find the builtin."""
    for scope in _scopes(table):
        for symbol in scope.get_symbols():
            outer = scope.get_type() == "module" or symbol.is_global()
            if outer and symbol.get_name() in REFUSED_BUILTINS and symbol.get_name() != "__name__":
                raise _refusal(scope.get_lineno(), f"it uses `{symbol.get_name()}`")


class _Walk:
    """One walk over a program's tree, with the modules that it imported so far."""

    def __init__(self, externs: frozenset[str]) -> None:
        self.externs = externs
        self.aliases: dict[str, ModuleType | None] = {}  # None: an extern module, not looked into
        self.roots: set[int] = set()

    def check(self, tree: ast.Module) -> None:
        nodes = list(ast.walk(tree))
        for node in nodes:
            if not isinstance(node, NODES):
                raise _refusal(getattr(node, "lineno", 0), f"`{type(node).__name__}` is no part of an emitted program")
        for node in nodes:
            if isinstance(node, ast.Import | ast.ImportFrom):
                self._bind(node)
        inner = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
        for node in nodes:
            if isinstance(node, ast.Attribute) and id(node) not in inner:
                self._chain(node)
        for node in nodes:
            self._binding(node)

    def _bind(self, node: ast.Import | ast.ImportFrom) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                module = self._module(alias.name, node.lineno)
                top = alias.name.split(".")[0]
                self.aliases[alias.asname or top] = module if alias.asname else self._module(top, node.lineno)
            return
        if node.level or node.module is None:
            raise _refusal(node.lineno, "it imports relatively")
        module = self._module(node.module, node.lineno)
        for alias in node.names:
            value = None if module is None else self._member(module, alias.name, node.lineno)
            if module is None or isinstance(value, ModuleType):
                self.aliases[alias.asname or alias.name] = value if isinstance(value, ModuleType) else None

    def _module(self, name: str, line: int) -> ModuleType | None:
        if name.split(".")[0] in self.externs:
            return None
        if name not in OPEN_MODULES and name not in CLOSED_MODULES:
            raise _refusal(line, f"it imports `{name}`")
        try:
            return importlib.import_module(name)
        except ImportError:  # `import jax.checkpoint_policies` names an object, not a module
            raise _refusal(line, f"it imports `{name}`, which is not a module here") from None

    def _member(self, module: ModuleType, name: str, line: int) -> object:
        """The member of a module that a program names, after asking the tables and the module itself."""
        where = module.__name__
        closed = CLOSED_MODULES.get(where)
        known = name in closed if closed is not None else where in OPEN_MODULES and name not in REFUSED_MEMBERS
        if not known or name.startswith("_") or "callback" in name or not hasattr(module, name):
            raise _refusal(line, f"it uses `{where}.{name}`")
        value = getattr(module, name)
        if isinstance(value, ModuleType) and value.__name__ not in OPEN_MODULES | CLOSED_MODULES.keys():
            raise _refusal(line, f"it reaches the module `{value.__name__}`")
        return value

    def _chain(self, node: ast.Attribute) -> None:
        """Check one whole chain ``root.a.b``: members as long as it is in modules, methods of values after that."""
        names, root = _unchain(node)
        if isinstance(root, ast.Name) and root.id in self.aliases:
            self.roots.add(id(root))
            module = self.aliases[root.id]
            names = names[1:] if module is None else self._follow(module, names, node.lineno)
        for name in names:
            if name not in METHODS:
                raise _refusal(node.lineno, f"it uses the attribute `.{name}`")

    def _follow(self, module: ModuleType, names: list[str], line: int) -> list[str]:
        """Walk from a module through its members to the first value that is none; return the names after it."""
        for index, name in enumerate(names):
            value = self._member(module, name, line)
            if not isinstance(value, ModuleType):
                return names[index + 1 :]
            module = value
        raise _refusal(line, f"it uses the module `{module.__name__}` as a value")

    def _binding(self, node: ast.AST) -> None:
        """A module's name may be neither bound again nor used as a value; private names are not used at all."""
        if isinstance(node, ast.Name):
            rebound = not isinstance(node.ctx, ast.Load)
            bare = node.id in self.aliases and (rebound or id(node) not in self.roots)
            if bare or (node.id.startswith("__") and node.id != "__name__"):
                raise _refusal(node.lineno, f"it uses `{node.id}` as a value")
        bound = node.arg if isinstance(node, ast.arg) else node.name if isinstance(node, ast.FunctionDef) else ""
        if bound in self.aliases or bound.startswith("__"):
            raise _refusal(getattr(node, "lineno", 0), f"it binds `{bound}` again")


def _unchain(node: ast.Attribute) -> tuple[list[str], ast.expr]:
    """``a.b.c`` as (["b", "c"], the node of ``a``)."""
    names: list[str] = []
    value: ast.expr = node
    while isinstance(value, ast.Attribute):
        names.append(value.attr)
        value = value.value
    return names[::-1], value
