"""The phases of a check, and what every use of the compiler shares: sources, settings, faults.

    text → tree → checked program

What comes after, is in :mod:`trxc.compilation`: a check does not pay for it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from .diagnostics import Diagnostic, Diagnostics, Label
from .diagnostics.internal import InternalError
from .elaborate.program import Checked, Elaborated, check_program
from .ir import Module
from .ir.walk import call_order, callee
from .source import Source, Span

if TYPE_CHECKING:
    from .passes.decode import RefusedError

RECURSION_LIMIT = 20_000
"""Chains of up to 2,000 terms are legal, and their trees as deep."""


LIBRARY = "std/"
"""What the names of the library's sources begin with."""


class CompileError(Exception):
    """The program has errors; `diagnostics` are all that there is to say."""

    def __init__(self, diagnostics: list[Diagnostic]) -> None:
        self.diagnostics = diagnostics
        errors = [d for d in diagnostics if d.severity == "error"]
        super().__init__("; ".join(str(d) for d in errors[:3]) + (" …" if len(errors) > 3 else ""))


class UsageError(ValueError):
    """What was asked for is not there: no such recipe, several of them, an unknown pass."""


def read_source(program: str | os.PathLike[str], filename: str | None) -> tuple[Source, Path | None]:
    """The source of a program: a path, or (with `filename`) the text itself.

    Raises:
        OSError: the file cannot be read.
        UnicodeDecodeError: it is not UTF-8.
    """
    if filename is not None:
        return Source(filename, str(program)), None
    path = Path(program)
    return Source(str(program), path.read_text(encoding="utf-8"), path.name), path


def check(
    program: str | os.PathLike[str], *, filename: str | None = None, set: Mapping[str, str] | None = None
) -> list[Diagnostic]:
    """Every diagnostic of a program, in the order they were found; never raises for a wrong program.

    Args:
        program: a path, or the program's text where `filename` is given.
        filename: what to call a text that is no file.
        set: hyper-parameters and record fields to override, as `{"GPT.embed": "512"}`.
    """
    source, path = read_source(program, filename)
    diagnostics = Diagnostics()
    try:
        with phase("check", source):
            checked = check_program(source, path, setting_texts(set), diagnostics)
            if not diagnostics.failed:
                check_causality(checked, diagnostics)
    except CompileError as error:  # nested too deep
        return [*diagnostics, *error.diagnostics]
    return list(diagnostics)


def format(text: str, *, filename: str = "<memory>") -> str:
    """A program in the one layout; the same for every program that says the same, as `trxc fmt` writes it.

    Args:
        text: the program's text.
        filename: what diagnostics call it.

    Raises:
        CompileError: it cannot be read.
    """
    from .formatter import format_source

    diagnostics = Diagnostics()
    formatted = format_source(Source(filename, text), diagnostics)
    if formatted is None:
        raise CompileError(list(diagnostics))
    return formatted


def check_causality(checked: Checked, diagnostics: Diagnostics) -> None:
    """Whether the models that are generated from can be."""
    asked: dict[tuple[str, str, str], Elaborated] = {}
    for each in checked.elaborated.values():
        if all(each.generated):
            asked.setdefault((each.model, *each.generated), each)
    if not asked:
        return  # what finds it out need not be loaded
    from .passes.causality import looks_ahead

    for each in asked.values():
        error = looks_ahead(each.module, *each.generated)
        if error is not None and error.ahead:
            diagnostics.add(not_causal(each.model, each.module, error))


def not_causal(model: str, module: Module, error: RefusedError) -> Diagnostic:
    """What is wrong with a model that is generated from, and looks ahead; `module` is as it was before any pass.

    Where a layer of the library does, it is said of its use.
    """
    message = f"`{model}` cannot be generated from: {error.reason}"
    helps = (error.help,) if error.help else ()
    use = _use_of_library(module, error.span) if error.span else None
    if use is None or error.span is None:
        return Diagnostic("TRX0601", message, error.span, helps=helps)
    return Diagnostic("TRX0601", message, use, labels=(Label(error.span, "this looks ahead"),), helps=helps)


def _use_of_library(module: Module, span: Span) -> Span | None:
    """Where the program's own text calls what has a place in the library; None for a place in the text itself."""
    if not span.source.name.startswith(LIBRARY):
        return None
    functions = [module.functions[name] for name in call_order(module, [module.roles["apply"]])]
    todo = [function.name for function in functions if any(op.span == span for op in function.body.walk())]
    for name in todo:  # grows
        for function in functions:
            for op in function.body.walk():
                if op.kind == "call" and callee(op) == name and op.span is not None:
                    if not op.span.source.name.startswith(LIBRARY):
                        return op.span
                    if function.name not in todo:
                        todo.append(function.name)
    return None


def choose(checked: Checked, name: str | None) -> Elaborated:
    """The recipe or model by name, or the only one.

    Raises:
        UsageError: there is none, or no name and several.
    """
    found = checked.elaborated
    if name is not None:
        if name not in found:
            listed = ", ".join(found) or "none"
            raise UsageError(f"there is no model or train recipe `{name}`; there are: {listed}")
        return found[name]
    recipes = [e for e in found.values() if e.train is not None]
    candidates = recipes or list(found.values())
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise UsageError("the file has no model")
    what = "train recipes" if recipes else "models"
    raise UsageError(f"the file has several {what}: name one of {', '.join(e.name for e in candidates)}")


def setting_texts(settings: Mapping[str, Any] | None) -> dict[str, str]:
    """Settings as `.trx` text: what Python writes as True, None or 'text' is spelt as the language does."""
    return {path: _text(value) for path, value in (settings or {}).items()}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None:
        return "none" if value is None else str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_text, cast('Sequence[Any]', value)))}]"
    return repr(value)


def stop_on_errors(diagnostics: Diagnostics) -> None:
    """Raises a :class:`CompileError` where there is an error."""
    if diagnostics.failed:
        raise CompileError(list(diagnostics))


@contextlib.contextmanager
def phase(name: str, source: Source) -> Generator[None]:
    """Says the phase of a fault of ours, and lets trees be as deep as the language allows."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, RECURSION_LIMIT))
    try:
        yield
    except (CompileError, UsageError, InternalError, OSError, KeyboardInterrupt):
        raise
    except RecursionError as error:
        where = Span(source, 0, 0)
        raise CompileError([Diagnostic("TRX0401", "the program is nested too deep to be read", where)]) from error
    except Exception as error:
        raise InternalError(name, f"{type(error).__name__}: {error}") from error
    finally:
        sys.setrecursionlimit(limit)
