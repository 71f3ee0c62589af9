"""The phases after the check, in order:

checked program → IR → passes → program.py and manifest.json
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from .diagnostics import Diagnostic, Diagnostics
from .driver import CompileError, UsageError, choose, not_causal, phase, read_source, setting_texts, stop_on_errors
from .elaborate.mesh import MeshSpec
from .elaborate.program import Checked, Elaborated, check_program
from .emit import EmitError, EmitRecipe, build_manifest, emit_program, manifest_bytes
from .ir import Module
from .ir.clone import clone_module
from .ir.verify import verify_or_raise
from .passes import Remark, Remarks, pipeline, run_passes
from .passes.decode import RefusedError
from .passes.demotion import Demotions
from .plan.targets import DEFAULT, TARGETS
from .recipe import batch_sizes, emit_recipe, recipe_json, recomputation
from .source import Source
from .version import VERSION


@dataclass
class Options:
    """How to compile: passes that are left out, whether each is verified, and whom to show the IR to."""

    disabled: frozenset[str] = frozenset()
    verify_each: bool = False
    print_before: tuple[str, ...] = ()
    print_after: tuple[str, ...] = ()
    printed: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    allow_extern: bool = False
    dropout: bool = True
    target: str = DEFAULT
    remarks: Remarks = field(default_factory=Remarks)


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
    remarks: list[Remark]
    mesh: MeshSpec | None = None
    sizes: Mapping[str, int] = field(default_factory=dict[str, int])
    """The sizes of a batch's dims, by symbol, as far as the recipe fixes them."""

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


def compile(
    program: str | os.PathLike[str],
    *,
    filename: str | None = None,
    name: str | None = None,
    set: Mapping[str, Any] | None = None,
    disable: tuple[str, ...] = (),
    verify_each: bool = False,
    print_before: tuple[str, ...] = (),
    print_after: tuple[str, ...] = (),
    allow_extern: bool = False,
    fetch: tuple[str, ...] = (),
    feed: tuple[str, ...] = (),
    target: str = DEFAULT,
    dropout: bool = True,
) -> Program:
    """Compiles a train recipe, or a model by itself.

    Args:
        program: a path, or the program's text where `filename` is given.
        filename: what to call a text that is no file.
        name: the recipe or model; may be left out where there is one recipe, or one model and no recipe.
        set: hyper-parameters and record fields to override, as `{"GPT.embed": 512}`.
        disable: names of passes that are left out.
        verify_each: whether the IR is verified after every pass.
        print_before: names of passes before which the IR is kept as text, in `Program.printed`.
        print_after: likewise, after which.
        allow_extern: whether layers implemented in Python may be called.
        fetch: values inside the model that `apply` gives beside its outputs.
        feed: values inside the model that `apply` takes as further inputs.
        target: the backend whose fastest forms are chosen: `cpu`, `gpu` or `tpu`. The program is right on all of them.
        dropout: whether `dropout` drops anything; without, its rate is 0, so that two programs can be compared.

    Raises:
        CompileError: the program has errors.
        UsageError: there is no such recipe, or several and no name; or no such target.
    """
    if target not in TARGETS:
        raise UsageError(f"there is no target `{target}`; there are: {', '.join(TARGETS)}")
    source, path = read_source(program, filename)
    diagnostics = Diagnostics()
    with phase("check", source):
        checked = check_program(source, path, setting_texts(set), diagnostics)
    stop_on_errors(diagnostics)
    chosen = choose(checked, name)
    options = Options(
        frozenset(disable),
        verify_each,
        print_before,
        print_after,
        allow_extern=allow_extern,
        dropout=dropout,
        target=target,
    )
    with phase("compile", source):
        compiled = _compile(checked, chosen, source, diagnostics, options, fetch, feed)
    compiled.manifest["target"] = target
    compiled.manifest["settings"] = setting_texts(set)  # with the sources, what compiling a run's program again takes
    return compiled


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
    stop_on_errors(diagnostics)
    if fetch or feed:
        chosen = _extract(chosen, fetch, feed)
    if not options.dropout:
        _keep_all(module)
    unoptimised = clone_module(module)
    recipe = emit_recipe(chosen, checked) if chosen.train is not None else None
    try:
        _optimise(module, chosen, recipe, options)
    except RefusedError as error:
        raise CompileError([not_causal(chosen.model, unoptimised, error)]) from None
    for warning in options.remarks.warnings:
        diagnostics.add(warning)
    try:
        emitted = emit_program(module, recipe, options.target)
    except EmitError as error:
        raise CompileError([Diagnostic("TRX0701", str(error), error.span)]) from None
    sources = {source.key: source.text, **checked.library.sources()}
    manifest = build_manifest(
        emitted, module, recipe_json(chosen), sources, main=source.key, version=VERSION, model=chosen.model
    )
    return Program(
        chosen.name,
        emitted.source,
        module,
        manifest,
        list(diagnostics),
        unoptimised,
        options.printed,
        list(options.remarks),
        chosen.mesh,
        batch_sizes(chosen),
    )


def _keep_all(module: Module) -> None:
    """Nothing is dropped any more."""
    for function in module.functions.values():
        for op in function.body.walk():
            if op.kind == "dropout":
                op.attributes["rate"] = 0.0


def _extract(chosen: Elaborated, fetch: tuple[str, ...], feed: tuple[str, ...]) -> Elaborated:
    """The same with values out and in; what plays `apply` then is the model, too."""
    from .passes.extract import UnknownValueError, extract

    try:
        name = extract(chosen.module, fetch, feed)
    except UnknownValueError as error:
        raise CompileError([error.diagnostic]) from None
    return replace(chosen, roots=(*chosen.roots, name))


def _optimise(module: Module, chosen: Elaborated, recipe: EmitRecipe | None, options: Options) -> None:
    rules = tuple(recipe.rules.items()) if recipe and recipe.mesh else ()
    compute = {"mixed_bf16": "bf16", "f16": "f16"}.get(_precision(chosen), "f32")

    def show(when: str, name: str, current: Module) -> None:
        if name in (options.print_before if when == "before" else options.print_after):
            from .ir.printer import to_text

            options.printed.append((f"{when} {name}", to_text(current)))

    demotions = Demotions(module, compute=compute, model=chosen.roots) if options.verify_each else None

    def after(name: str, current: Module) -> None:
        if demotions is not None:
            verify_or_raise(current, name)
            demotions.check(name, current)
        show("after", name, current)

    remat, step = recomputation(chosen, recipe)
    target = TARGETS[options.target]
    patterns = (*recipe.freeze, *(pattern for pattern, _ in recipe.l2)) if recipe else ()
    optimizer = tuple(part.target for part in recipe.optimizer.walk() if part.target) if recipe else ()
    passes = pipeline(
        compute=compute,
        model=chosen.roots,
        rules=rules,
        target=target,
        remat=remat,
        step=step,
        patterns=patterns,
        optimizer=optimizer,
        generate=chosen.generated,
    )
    run_passes(
        module, passes, disabled=options.disabled, before=partial(show, "before"), after=after, remarks=options.remarks
    )


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
