"""The last look at an emitted program: it says nothing but what an emitted program may say.

Names of the user's are mangled and literals are written by `repr`, so nothing here should ever be found. It is
checked all the same, on the tree that Python itself reads: nodes, imports, what is called, and which attributes of
modules are named. The runtime checks what it is given by tables of its own.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Collection, Iterator

from .errors import EmitError


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NODES: tuple[type[ast.AST], ...] = (
    *(ast.Module, ast.FunctionDef, ast.Return, ast.Assign, ast.AugAssign, ast.For, ast.If, ast.Expr, ast.Assert),
    *(ast.Import, ast.ImportFrom, ast.alias, ast.expr_context, ast.BoolOp, ast.boolop, ast.BinOp, ast.operator),
    *(ast.UnaryOp, ast.unaryop, ast.Lambda, ast.IfExp, ast.Dict, ast.ListComp, ast.GeneratorExp, ast.DictComp),
    *(ast.comprehension, ast.Compare, ast.cmpop, ast.Call, ast.keyword, ast.arguments, ast.arg, ast.JoinedStr),
    *(ast.FormattedValue, ast.Constant, ast.Attribute, ast.Subscript, ast.Starred, ast.Name, ast.List, ast.Tuple),
    *(ast.Slice, ast.Raise),
)

IMPORTS = frozenset(
    {
        "import functools",
        "import math",
        "import zlib",
        "import jax",
        "import jax.numpy as jnp",
        "import numpy as np",
        "import optax",
        "from jax.ad_checkpoint import checkpoint_name",
        "from jax.sharding import PartitionSpec as P",
    }
)

ROOTS: dict[str, frozenset[str]] = {
    "jax": _words(
        """
        numpy nn lax random tree tree_util sharding scipy image ad_checkpoint checkpoint_policies jit grad
        value_and_grad vmap vjp jvp linearize checkpoint custom_vjp custom_jvp custom_batching make_mesh set_mesh
        devices default_backend
        """
    ),
    "functools": frozenset({"partial", "reduce"}),
    "zlib": frozenset({"crc32"}),
}
"""Members of modules that may be named; of `jnp`, `np`, `optax` and `math` all but those refused."""

REFUSED = _words(
    """
        load save savez loadtxt savetxt genfromtxt fromfile fromregex memmap tofile dump dumps ctypeslib
        f2py test testing frombuffer from_dlpack pure_callback io_callback callback debug experimental core
        interpreters
        """
)

BUILTINS = _words(
    """
        abs all any bool dict enumerate float int isinstance len list map max min print range reversed
        sorted sum tuple zip slice str round divmod pow set ValueError TypeError
        """
)


def check_source(source: str, externs: Collection[str] = ()) -> None:
    """Returns quietly if the program keeps to the tables, and of other modules imports only `externs`.

    Raises:
        EmitError: it does not, at the line that the message names.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise EmitError(f"the emitted program cannot be read: {error}") from error
    imports = IMPORTS | {f"import {name}" for name in externs}
    bound = {*_bound(tree), *(name.split(".")[0] for name in externs)}
    for node in ast.walk(tree):
        if reason := _reason(node, bound, imports):
            raise EmitError(f"line {getattr(node, 'lineno', 0)} of the emitted program {reason}")


def _bound(tree: ast.AST) -> Iterator[str]:
    """The names that the program itself defines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _reason(node: ast.AST, bound: set[str], imports: frozenset[str]) -> str | None:
    """What is wrong with a node, or None."""
    if not isinstance(node, NODES):
        return f"holds a {type(node).__name__}"
    if isinstance(node, ast.Import | ast.ImportFrom):
        return None if ast.unparse(node) in imports else f"says `{ast.unparse(node)}`"
    if isinstance(node, ast.Name):
        return _name_reason(node, bound)
    if isinstance(node, ast.Attribute):
        return _attribute_reason(node)
    if isinstance(node, ast.Call):
        return _call_reason(node)
    return None


_MODULES = frozenset({"jax", "jnp", "np", "optax", "functools", "math", "zlib", "P", "checkpoint_name"})


def _name_reason(node: ast.Name, bound: set[str]) -> str | None:
    if node.id.startswith("__") and node.id not in ("__name__", "__"):
        return f"uses `{node.id}`"
    if isinstance(node.ctx, ast.Store):
        return f"binds `{node.id}` again" if node.id in _MODULES else None
    known = node.id in bound or node.id in _MODULES or node.id in BUILTINS or node.id == "__name__"
    if known:
        return None
    return f"uses the builtin `{node.id}`" if hasattr(builtins, node.id) else f"uses the unknown name `{node.id}`"


def _attribute_reason(node: ast.Attribute) -> str | None:
    if node.attr.startswith("_") or node.attr in REFUSED:
        return f"uses the attribute `{node.attr}`"
    if isinstance(node.value, ast.Name) and node.value.id in ROOTS and node.attr not in ROOTS[node.value.id]:
        return f"uses `{node.value.id}.{node.attr}`"
    return None


def _call_reason(node: ast.Call) -> str | None:
    """A call starts at a name, an attribute or another call: never at something looked up in data."""
    allowed = isinstance(node.func, ast.Name | ast.Attribute | ast.Call)
    return None if allowed else f"calls `{ast.unparse(node.func)}`"
