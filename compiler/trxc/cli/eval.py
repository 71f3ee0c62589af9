"""`trxc eval`: the metrics of a trained model."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from .shell.declare import checkpoint_option, declare, extern_option, format_option
from .shell.output import say, write
from .shell.runtime import run_folder, runtime

EXAMPLES = """trxc eval runs/quick --split test --format json
trxc eval runs/translate --metric bleu --metric exact_match --limit 200"""


@declare("Train and use", EXAMPLES)
@click.argument("run", metavar="RUN")
@click.option("--split", default="valid", show_default=True, metavar="NAME", help="The split to measure on.")
@click.option(
    "--metric",
    "texts",
    type=click.Choice(("bleu", "chrf", "exact_match")),
    multiple=True,
    help="Of what the `generate` recipe says instead, by the data's texts; may be repeated.",
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="With --metric, at most N examples.")
@click.option("--steps", type=click.IntRange(min=1), metavar="N", help="At most N batches.  [default: the whole split]")
@click.option("--root", metavar="DIR", help="The folder that the data's paths start from.  [default: as in training]")
@checkpoint_option
@extern_option
@format_option("text", "json")
def command(
    run: str,
    texts: tuple[str, ...],
    limit: int | None,
    form: str,
    **options: Any,
) -> None:
    """Measure the metrics of RUN's recipe, with its trained weights.

    RUN is a run's folder, such as runs/quick.
    """
    if limit is not None and not texts:
        raise click.UsageError(
            "`--limit` goes with `--metric`; `--steps` bounds the batches", click.get_current_context()
        )
    folder = run_folder(run)
    if texts:
        _measure_texts(folder, texts, form, limit=limit, **options)
    else:
        _measure(folder, form, **options)


def _measure(folder: Path, form: str, *, split: str, **options: Any) -> None:
    """The recipe's own metrics."""
    with runtime() as trxc_runtime:
        metrics: dict[str, float] = trxc_runtime.evaluate(folder, split, **options)
    if form == "json":
        finite = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
        write(json.dumps(finite, indent=2))
    else:
        _table({name: f"{value:.6g}" for name, value in metrics.items()})


def _measure_texts(folder: Path, names: tuple[str, ...], form: str, *, split: str, **options: Any) -> None:
    """Metrics of texts that are generated."""
    with runtime() as trxc_runtime:
        scores: dict[str, Any] = trxc_runtime.evaluate_texts(
            folder, list(dict.fromkeys(names)), split, on_batch=_progress(), **options
        )
    if form == "json":
        write(json.dumps({name: _score(score) for name, score in scores.items()}, indent=2))
        return
    _table({name: f"{score.value:.6g}" for name, score in scores.items()})
    say(f"{next(iter(scores.values())).examples:,} examples")
    for name, score in scores.items():
        if score.signature:
            say(f"{name}: {score.signature}")


def _score(score: Any) -> dict[str, Any]:
    signature = {"signature": score.signature} if score.signature else {}
    return {"score": score.value, "examples": score.examples, **signature}


def _progress() -> Callable[[int], None]:
    """Says on a terminal how many texts there are."""
    live = sys.stderr.isatty()

    def tell(done: int) -> None:
        if live:
            sys.stderr.write(f"\r{done:,} texts\x1b[K\r")
            sys.stderr.flush()

    return tell


def _table(rows: dict[str, str]) -> None:
    width = max(map(len, rows))
    write("\n".join(f"{name:<{width}}  {value}" for name, value in rows.items()))
