"""`trxc compile`: the artifact of a file, or one stage of the way there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .shell.declare import choice_option, declare, extern_option, force_option, settings_option, target_option
from .shell.files import ProgramFile
from .shell.output import refuse_existing, say, write, write_file
from .shell.programs import choose, compile_program, open_program, saved
from .shell.runtime import runtime
from .shell.status import USAGE_WRONG, CommandError
from .shell.tree import tree_text
from .shell.usage import did_you_mean, listed

if TYPE_CHECKING:
    from .. import Program

STAGES = ("ast", "ir", "python", "stablehlo", "hlo")
ARTIFACT = ("program.py", "manifest.json")


@declare("Check and compile", "trxc compile gpt.trx quick -o build && python build/program.py")
@click.argument("file", metavar="FILE")
@click.argument("name", metavar="[NAME]", required=False)
@click.option("-o", "--output", metavar="PATH", help="The artifact's folder; with --emit, a file (default: stdout).")
@choice_option(
    "--emit", STAGES, help="One stage instead of the artifact; the last two are made by jax, on this machine."
)
@settings_option
@click.option("--print-before", metavar="PASS", multiple=True, help="Show the IR before this pass, on stderr.")
@click.option("--print-after", metavar="PASS", multiple=True, help="Show the IR after this pass, on stderr.")
@click.option("--disable-pass", metavar="PASS", multiple=True, help="Leave this pass out.")
@click.option("--verify-each", is_flag=True, help="Verify the IR after every pass.")
@click.option("--remarks", is_flag=True, help="Say what the passes did, and what they nearly did, on stderr.")
@target_option
@extern_option
@force_option
def command(
    file: str,
    name: str | None,
    output: str | None,
    emit: str | None,
    settings: tuple[tuple[str, str], ...],
    print_before: tuple[str, ...],
    print_after: tuple[str, ...],
    disable_pass: tuple[str, ...],
    verify_each: bool,
    remarks: bool,
    target: str,
    allow_extern: bool,
    force: bool,
) -> None:
    """Compile a model or `train` recipe NAME of FILE into `program.py` and `manifest.json`.

    NAME may be left out where there is only one. The program needs jax and optax to run, and nothing of trxc.
    """
    if emit is None and output is None:
        raise click.UsageError("say where the artifact goes with `-o DIR`, or which stage to print with `--emit`")
    _refuse(output, emit, force)
    _known_passes((*print_before, *print_after, *disable_pass))
    given = open_program(file)
    if emit == "ast":
        _put(tree_text(given), output)
        return
    chosen = choose(given, name, ("train", "model"))
    program = compile_program(
        given,
        name=chosen,
        set=dict(settings) or None,
        disable=disable_pass,
        verify_each=verify_each,
        print_before=print_before,
        print_after=print_after,
        allow_extern=allow_extern,
        target=target,
    )
    for stage, text in program.printed:
        say(f"# {stage}\n{text}")
    for remark in program.remarks if remarks else ():
        say(str(remark))
    if emit is None and output is not None:
        _save(program, Path(output), force)
    else:
        _put(_stage(program, str(emit), given, allow_extern), output)


def _known_passes(names: tuple[str, ...]) -> None:
    """Refuse the name of a pass that does not exist."""
    if not names:
        return
    from ..passes import PASS_NAMES

    for name in names:
        if name not in PASS_NAMES:
            near = did_you_mean(name, PASS_NAMES) or f"; there is {listed(PASS_NAMES)}"
            raise click.UsageError(f"there is no pass `{name}`{near}", click.get_current_context())


def _refuse(output: str | None, emit: str | None, force: bool) -> None:
    """Before anything is done, refuse to overwrite what is there."""
    if output is None or (emit and output == "-"):
        return
    path = Path(output)
    if emit:
        refuse_existing([path], force)
    elif path.exists() and not path.is_dir():
        raise CommandError(f"`{path}` is a file; the artifact needs a folder", status=USAGE_WRONG)
    else:
        refuse_existing([path / part for part in ARTIFACT], force)


def _save(program: Program, folder: Path, force: bool) -> None:
    try:
        program.save(folder, force=force)
    except OSError as error:
        from .shell.output import reason

        raise CommandError(f"cannot write into `{folder}`: {reason(error)}") from None
    say(f"wrote {folder / ARTIFACT[0]} and {folder / ARTIFACT[1]}: {_summary(program)}")


def _summary(program: Program) -> str:
    from math import prod

    count = sum(prod([*entry["stack"], *entry["shape"]]) for entry in program.manifest["parameters"])
    return f"{program.manifest['name']}, {count:,} parameters"


def _stage(program: Program, stage: str, file: ProgramFile, allow_extern: bool) -> str:
    if stage == "ir":
        from ..ir.printer import to_text

        return to_text(program.ir)
    if stage == "python":
        return program.source
    from .shell.lowering import lower

    with saved(program) as folder, runtime() as trxc_runtime:
        artifact = trxc_runtime.load_artifact(folder, allow_extern=allow_extern, root=file.folder)
        return lower(artifact, stage)


def _put(text: str, output: str | None) -> None:
    text = text.removesuffix("\n") + "\n"
    if output in (None, "-"):
        write(text, end="")
    else:
        write_file(Path(str(output)), text.encode())
