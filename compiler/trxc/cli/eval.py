"""`trxc eval`: the metrics of a trained model."""

from __future__ import annotations

import json
import math

import click

from .shell.declare import checkpoint_option, declare, extern_option, format_option
from .shell.output import write
from .shell.runtime import run_folder, runtime


@declare("Train and use", "trxc eval runs/quick --split test --format json")
@click.argument("run", metavar="RUN")
@click.option("--split", default="valid", show_default=True, metavar="NAME", help="The split to measure on.")
@click.option("--steps", type=click.IntRange(min=1), metavar="N", help="At most N batches.  [default: the whole split]")
@click.option("--root", metavar="DIR", help="The folder that the data's paths start from.  [default: as in training]")
@checkpoint_option
@extern_option
@format_option("text", "json")
def command(
    run: str,
    split: str,
    steps: int | None,
    root: str | None,
    checkpoint: str | int,
    allow_extern: bool,
    form: str,
) -> None:
    """Measure the metrics of RUN's recipe, with its trained weights.

    RUN is a run's folder, such as runs/quick.
    """
    folder = run_folder(run)
    with runtime() as trxc_runtime:
        metrics: dict[str, float] = trxc_runtime.evaluate(
            folder, split, root=root, steps=steps, checkpoint=checkpoint, allow_extern=allow_extern
        )
    if form == "json":
        finite = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
        write(json.dumps(finite, indent=2))
    else:
        width = max(map(len, metrics))
        write("\n".join(f"{name:<{width}}  {value:.6g}" for name, value in metrics.items()))
