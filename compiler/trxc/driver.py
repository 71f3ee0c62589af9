"""The phases, in order: what a tool that embeds the compiler calls.

    text → tree → checked program → IR → passes → program.py and manifest.json
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .diagnostics import Diagnostic, Diagnostics
from .diagnostics.internal import InternalError
from .elaborate.program import Checked, Elaborated, check_program
from .emit import EmitError, EmitRecipe, build_manifest, emit_program, manifest_bytes
from .ir import Module
from .ir.clone import clone_module
from .ir.verify import verify_or_raise
from .passes import pipeline, run_passes
from .recipe import emit_recipe, recipe_json
from .source import Source, Span
from .version import VERSION

RECURSION_LIMIT = 20_000
"""Chains of up to 2,000 terms are legal, and their trees as deep."""


class CompileError(Exception):
    """The program has errors; `diagnostics` are all that there is to say."""

    def __init__(self, diagnostics: list[Diagnostic]) -> None:
        self.diagnostics = diagnostics
        errors = [d for d in diagnostics if d.severity == "error"]
        super().__init__("; ".join(str(d) for d in errors[:3]) + (" …" if len(errors) > 3 else ""))


class UsageError(ValueError):
    """What was asked for is not there: no such recipe, several of them, an unknown pass."""


@dataclass
class Options:
    """How to compile: passes that are left out, whether each is verified, and whom to show the IR to."""

    disabled: frozenset[str] = frozenset()
    verify_each: bool = False
    print_after: tuple[str, ...] = ()
    printed: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    allow_extern: bool = False


@dataclass(frozen=True)
class Program:
    """A compiled program."""

    name: str
    source: str
    ir: Module
    manifest: dict[str, Any]
    warnings: list[Diagnostic]
    unoptimised: Module
    printed: list[tuple[str, str]]

    def save(self, folder: str | os.PathLike[str], *, force: bool = False) -> Path:
        """Writes `program.py` and `manifest.json`; the folder.

        Raises:
            FileExistsError: one of them is there already, and `force` is not given.
        """
        target = Path(folder)
        files = {"program.py": self.source.encode(), "manifest.json": manifest_bytes(self.manifest)}
        for name in files:
            if (target / name).exists() and not force:
                raise FileExistsError(f"{target / name} exists")
        target.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (target / name).write_bytes(content)
        return target


def read_source(program: str | os.PathLike[str], filename: str | None) -> tuple[Source, Path | None]:
    """The source of a program: a path, or (with `filename`) the text itself.

    Raises:
        OSError: the file cannot be read.
        UnicodeDecodeError: it is not UTF-8.
    """
    if filename is not None:
        return Source(filename, str(program)), None
    path = Path(program)
    return Source(str(program), path.read_text(encoding="utf-8")), path


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
    with _phase("check", source):
        check_program(source, path, _texts(set), diagnostics)
    return list(diagnostics)


def compile(
    program: str | os.PathLike[str],
    *,
    filename: str | None = None,
    name: str | None = None,
    set: Mapping[str, Any] | None = None,
    disable: tuple[str, ...] = (),
    verify_each: bool = False,
    print_after: tuple[str, ...] = (),
    allow_extern: bool = False,
    fetch: tuple[str, ...] = (),
    feed: tuple[str, ...] = (),
) -> Program:
    """Compiles a train recipe, or a model by itself.

    Args:
        program: a path, or the program's text where `filename` is given.
        filename: what to call a text that is no file.
        name: the recipe or model; may be left out where there is one recipe, or one model and no recipe.
        set: hyper-parameters and record fields to override, as `{"GPT.embed": 512}`.
        disable: names of passes that are left out.
        verify_each: whether the IR is verified after every pass.
        print_after: names of passes after which the IR is kept as text, in `Program.printed`.
        allow_extern: whether layers implemented in Python may be called.
        fetch: values inside the model that `apply` gives beside its outputs.
        feed: values inside the model that `apply` takes as further inputs.

    Raises:
        CompileError: the program has errors.
        UsageError: there is no such recipe, or several and no name.
    """
    source, path = read_source(program, filename)
    diagnostics = Diagnostics()
    with _phase("check", source):
        checked = check_program(source, path, _texts(set), diagnostics)
    _stop(diagnostics)
    chosen = choose(checked, name)
    options = Options(frozenset(disable), verify_each, print_after, allow_extern=allow_extern)
    with _phase("compile", source):
        return _compile(checked, chosen, source, diagnostics, options, fetch, feed)


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


def _compile(
    checked: Checked,
    chosen: Elaborated,
    source: Source,
    diagnostics: Diagnostics,
    options: Options,
    fetch: tuple[str, ...],
    feed: tuple[str, ...],
) -> Program:
    module = chosen.module
    _refuse_symbols(chosen, diagnostics)
    _refuse_extern(module, options, diagnostics)
    _stop(diagnostics)
    if fetch or feed:
        from .passes.extract import extract

        extract(module, fetch, feed)
    unoptimised = clone_module(module)
    recipe = emit_recipe(chosen, checked) if chosen.train is not None else None
    _optimise(module, chosen, recipe, options)
    try:
        emitted = emit_program(module, recipe)
    except EmitError as error:
        raise CompileError([Diagnostic("TRX0701", str(error), error.span)]) from None
    sources = {source.name: source.text}
    manifest = build_manifest(
        emitted, module, recipe_json(chosen), sources, main=source.name, version=VERSION, model=chosen.model
    )
    return Program(chosen.name, emitted.source, module, manifest, list(diagnostics), unoptimised, options.printed)


def _optimise(module: Module, chosen: Elaborated, recipe: EmitRecipe | None, options: Options) -> None:
    rules = tuple(recipe.rules.items()) if recipe and recipe.mesh else ()
    compute = {"mixed_bf16": "bf16", "f16": "f16"}.get(_precision(chosen), "f32")

    def after(name: str, current: Module) -> None:
        if options.verify_each:
            verify_or_raise(current, name)
        if name in options.print_after:
            from .ir.printer import to_text

            options.printed.append((name, to_text(current)))

    passes = pipeline(compute=compute, model=chosen.roots, rules=rules)
    run_passes(module, passes, disabled=options.disabled, after=after)


def _precision(chosen: Elaborated) -> str:
    return str(chosen.train.values.get("precision")) if chosen.train is not None else "f32"


def _refuse_symbols(chosen: Elaborated, diagnostics: Diagnostics) -> None:
    """A weight's size must be a number by now."""
    for function in chosen.module.functions.values():
        for parameter in function.parameters.values():
            for axis in parameter.type.axes:
                if axis.size.value is None:
                    first = sorted(symbol.name for symbol in axis.size.symbols)[0]
                    message = f"weight `{parameter.name}` has a size that is not known: `{axis.size}`"
                    help_ = f"give `{first}` a default, or a value with `--set {chosen.model}.{first}=…`"
                    diagnostics.add(Diagnostic("TRX0407", message, parameter.span, helps=(help_,)))


def _refuse_extern(module: Module, options: Options, diagnostics: Diagnostics) -> None:
    for function in module.functions.values():
        for op in function.body.walk():
            if op.kind == "extern" and not options.allow_extern:
                message = f"`{op.attributes['target']}` is Python code of the program's author"
                help_ = "`--allow-extern` runs it, if you trust it"
                diagnostics.add(Diagnostic("TRX0702", message, op.span, helps=(help_,)))


def _texts(settings: Mapping[str, Any] | None) -> dict[str, str]:
    """Settings as `.trx` text: what Python writes as True, None or 'text' is spelt as the language does."""
    return {path: _text(value) for path, value in (settings or {}).items()}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None:
        return "none" if value is None else str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_text, value))}]"
    return repr(value)


def _stop(diagnostics: Diagnostics) -> None:
    if diagnostics.failed:
        raise CompileError(list(diagnostics))


@contextlib.contextmanager
def _phase(name: str, source: Source) -> Iterator[None]:
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
