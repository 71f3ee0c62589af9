"""`trxc train`: trains a recipe; interrupted and started again, it goes on."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import click

from .shell.declare import declare, extern_option, format_option, is_whole_process, settings_option
from .shell.output import write
from .shell.programs import choose, compile_program, open_program, saved
from .shell.runtime import runtime


@declare("Train and use", "trxc train gpt.trx quick --set GPT.layers=2 --run runs/two-layers")
@click.argument("file", metavar="FILE")
@click.argument("name", metavar="[NAME]", required=False)
@click.option("--run", metavar="DIR", help="The run's folder.  [default: runs/NAME]")
@click.option("--resume/--no-resume", default=True, show_default=True, help="Go on with a run that is already there.")
@click.option("--steps", type=click.IntRange(min=1), metavar="N", help="Train for N steps instead of the recipe's.")
@settings_option
@click.option("--force", is_flag=True, help="Start over in a folder that holds a run.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors; the run's log.txt has it all.")
@extern_option
@format_option("text", "json")
def command(
    file: str,
    name: str | None,
    run: str | None,
    resume: bool,
    steps: int | None,
    settings: tuple[tuple[str, str], ...],
    force: bool,
    quiet: bool,
    allow_extern: bool,
    form: str,
) -> int:
    """Train the `train` recipe NAME of FILE, or go on where it was interrupted.

    NAME may be left out where there is only one. Ctrl-C saves and leaves; the same command again goes on.
    Status 3 if the run failed.
    """
    given = open_program(file)
    chosen = choose(given, name, ("train",))
    program = compile_program(given, name=chosen, set=dict(settings) or None, allow_extern=allow_extern)
    folder = run or f"runs/{program.manifest['name']}"
    with saved(program) as artifact, runtime() as trxc_runtime:
        result = trxc_runtime.train(
            artifact,
            run=folder,
            root=given.folder,
            resume=resume,
            steps=steps,
            quiet=quiet,
            force=force,
            allow_extern=allow_extern,
            xla_options=is_whole_process(),
        )
    if form == "json":
        write(json.dumps(_facts(result), indent=2))
    return int(result.exit_status)


def _facts(result: Any) -> dict[str, Any]:
    """How the run stands, as JSON can say it: a metric that is no number is null."""
    facts = {**dataclasses.asdict(result), "run": str(result.run)}
    metrics = {name: value if math.isfinite(value) else None for name, value in result.metrics.items()}
    return {**facts, "metrics": metrics}
