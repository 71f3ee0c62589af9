"""Names that mean nothing in code that no model reaches: branches that are not taken, fns that nobody calls."""

from __future__ import annotations

from ..diagnostics import Diagnostic
from ..ops import OPS
from ..resolve import Library, Unit, elsewhere, nearest
from ..syntax import ast
from ..types import DTYPES
from .builtins import BUILTINS
from .evaluate import CONSTANTS
from .mentions import Mentions, dims_of

ALWAYS = frozenset({*BUILTINS, *CONSTANTS, *DTYPES, *(name for name in OPS if OPS[name].public), "training"})
"""Names that mean something in every file."""


def check_unreached(unit: Unit, items: list[Mentions], library: Library, others: set[str]) -> None:
    """Reports names that nothing binds; `others` are the dims of items of the file that are not among these.

    What is elaborated has been held against what holds where it stands; here it is enough that a name is bound
    somewhere in its item, so that nothing is refused which may have a meaning.
    """
    dims = {*others, *(name for found in items for name in dims_of(found.nodes))}
    visible = {*library.visible(unit), *ALWAYS}
    for found in items:
        known = visible | _of_records(library) if isinstance(found.item, ast.Extern) else visible
        _check(found, known, dims, library)


def _of_records(library: Library) -> set[str]:
    """What an `extern` may speak of besides: the library's optimizers and data, and how long a recipe trains."""
    modules = ("data", "optim", "sample")
    return {"total_steps", *(name for module in modules for name in library.standard(module).names())}


def _check(found: Mentions, visible: set[str], dims: set[str], library: Library) -> None:
    known = visible | found.known
    placed = {id(argument.value) for argument in found.nodes if isinstance(argument, ast.Argument)}
    axes = {id(name) for name in found.axes}
    for name in found.used:
        may_be_axis = id(name) in axes or id(name) in placed
        if name.name in known or (may_be_axis and name.name in dims):
            continue
        near = nearest(name.name, known | (dims if may_be_axis else set[str]()))
        own = nearest(name.name, found.known)
        helps = own or elsewhere(name.name) or near or library.offers(name.name)
        message = f"nothing is called `{name.name}` here"
        library.diagnostics.add(Diagnostic("TRX0301", message, name.span, helps=helps))
