"""`trxc verify`: whether what was compiled computes what was written."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from .shell.declare import declare, format_option, settings_option
from .shell.files import ProgramFile
from .shell.output import write
from .shell.programs import choose, compile_program, open_program, saved
from .shell.runtime import runtime
from .shell.status import DONE, PROGRAM_WRONG, CommandError
from .shell.usage import listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .. import Program
    from ..verification.verify import Report

HEADINGS = ("compared", "with", "inputs", "worst error", "allowed", "")
TRAINED = ("compared", "with", "steps", "worst difference", "allowed", "")


@declare("Check and compile", "trxc verify gpt.trx --passes")
@click.argument("file", metavar="FILE")
@click.argument("name", metavar="[NAME]", required=False)
@settings_option
@click.option(
    "--inputs", type=click.IntRange(min=1), default=3, show_default=True, metavar="N", help="Random inputs to try."
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="S", help="Of all random numbers."
)
@click.option("--passes", is_flag=True, help="A row for the IR after each pass.")
@click.option("--invariance", is_flag=True, help="Train in ways that must make no difference, instead.")
@click.option(
    "--steps", type=click.IntRange(min=1), default=20, show_default=True, metavar="N", help="Of each such training."
)
@format_option("text", "json")
def command(
    file: str,
    name: str | None,
    settings: tuple[tuple[str, str], ...],
    inputs: int,
    seed: int,
    passes: bool,
    invariance: bool,
    steps: int,
    form: str,
) -> int:
    """Compare what FILE's model or `train` recipe NAME was compiled to with what was written.

    The oracle is an interpreter of the IR before any pass, in NumPy and float64. Compared with it, on random inputs of
    small sizes and with the program's own initial weights, each moved a little, are the IR after the passes, and the
    program under jax: outputs, loss, metrics, and the loss's gradient. Status 1 if anything differs.

    With --invariance, the recipe is trained on random data of small sizes, from the same weights, in ways that must
    not matter: in parts (`accumulate`), without each pass, with other recomputation, on several CPU devices. The
    losses of every step are compared. Dropout is off.
    """
    given = open_program(file)
    if invariance:
        _refuse_with_invariance("inputs", "passes")
        report = _trained(given, choose(given, name, ("train",)), dict(settings), steps, seed)
        write(
            json.dumps(_plain(report, seed), indent=2, allow_nan=False) if form == "json" else _table(report, TRAINED)
        )
        return DONE if report.ok else PROGRAM_WRONG
    chosen = choose(given, name, ("train", "model"))
    program = compile_program(
        given, name=chosen, set=dict(settings) or None, print_after=_kept(passes), allow_extern=True
    )
    _refuse_extern(program)
    report = _report(program, given, inputs, seed, passes)
    write(json.dumps(_plain(report, seed), indent=2, allow_nan=False) if form == "json" else _table(report))
    return DONE if report.ok else PROGRAM_WRONG


def _refuse_extern(program: Program) -> None:
    if program.manifest["extern"]:
        raise CommandError(
            f"this program cannot be verified: it calls Python code, {listed(program.manifest['extern'])}"
        )


def _refuse_with_invariance(*names: str) -> None:
    """What is given for the other comparison."""
    context = click.get_current_context()
    for name in names:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"`--{name}` is not for `--invariance`", context)


def _trained(file: ProgramFile, name: str | None, settings: dict[str, str], steps: int, seed: int) -> Report:
    from ..verification.invariance import verify_invariance
    from ..verification.samples import UnverifiableError
    from .shell.variants_at_work import TrainedElsewhere

    first = compile_program(file, name=name, set=settings or None, allow_extern=True)  # which says what is wrong
    _refuse_extern(first)

    def compile_(changed: Mapping[str, str], without: tuple[str, ...]) -> Program:
        import trxc

        program, filename = (file.path, None) if file.path else (file.text, file.name)
        return trxc.compile(
            program, filename=filename, name=name, set={**settings, **changed}, disable=without, dropout=False
        )

    try:
        return verify_invariance(compile_, first.name, TrainedElsewhere(file.folder), steps=steps, seed=seed)
    except UnverifiableError as error:
        raise CommandError(f"this program cannot be verified: {error}") from error


def _kept(passes: bool) -> tuple[str, ...]:
    from ..passes import PASS_NAMES

    return PASS_NAMES if passes else ()


def _report(program: Program, file: ProgramFile, inputs: int, seed: int, passes: bool) -> Report:
    from ..verification.samples import UnverifiableError
    from ..verification.verify import verify_program
    from .shell.at_work import at_work

    with saved(program) as folder, runtime() as trxc_runtime:
        artifact = trxc_runtime.load_artifact(folder, root=file.folder)
        try:
            with at_work(artifact) as compiled:
                return verify_program(program, compiled, inputs=inputs, seed=seed, passes=passes)
        except UnverifiableError as error:
            raise CommandError(f"this program cannot be verified: {error}") from error


def _plain(report: Report, seed: int) -> dict[str, Any]:
    checks = [asdict(check) for check in report.checks]
    facts = {"name": report.name, "precision": report.precision, "seed": seed, "sizes": report.sizes}
    return {**facts, "ok": report.ok, "checks": checks}


def _table(report: Report, headings: tuple[str, ...] = HEADINGS) -> str:
    rows = [headings, *(_row(check) for check in report.checks)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    for check in report.checks:
        if check.note:
            lines.append(f"{'note' if check.ok else 'differs'}: {check.what}: {check.note}")
    wrong = sum(not check.ok for check in report.checks)
    total = sum(check.inputs > 0 for check in report.checks)
    told = f"{wrong} of {total} comparisons differ" if wrong else f"all {total} comparisons agree"
    return "\n".join([*lines, *_sizes(report), f"{report.name}, {report.precision}: {told}"])


def _sizes(report: Report) -> list[str]:
    """What the symbols of the inputs were, those of all roles together."""
    shown = {f"{name} = {size}": None for sizes in report.sizes.values() for name, size in sizes.items()}
    return [f"sizes: {', '.join(shown)}"] if shown else []


def _row(check: Any) -> tuple[str, ...]:
    if not check.inputs and check.ok:
        return check.what, check.against, "-", "-", "-", "-"
    error = "-" if check.error is None else f"{check.error:.1e}" if check.error else "0"
    allowed = "-" if check.tolerance is None else f"{check.tolerance:.0e}" if check.tolerance else "0"
    return check.what, check.against, str(check.inputs), error, allowed, "ok" if check.ok else "DIFFERS"
