"""`trxc generate`: text from a trained model, as it comes."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Iterator
from typing import Any, cast

import click

from ..diagnostics.harmless import visible
from .shell.declare import checkpoint_option, declare, extern_option, settings_option, values_option
from .shell.files import read_text
from .shell.output import say, write
from .shell.runtime import run_folder, runtime
from .shell.trained import recompile
from .shell.usage import did_you_mean, listed


@declare(
    "Train and use", 'trxc generate runs/quick --prompt "Once upon a time" --tokens 100 --set chat.sample="greedy()"'
)
@click.argument("run", metavar="RUN")
@click.option("-p", "--prompt", metavar="TEXT", help="The text to go on from.")
@click.option("--prompt-file", metavar="FILE", help="A file with that text; - for stdin.")
@values_option("-i", "--input", "inputs", help="A further input of the model: a text, or JSON.")
@click.option(
    "-n", "--tokens", type=click.IntRange(min=1), metavar="N", help="At most N new tokens.  [default: the recipe's]"
)
@click.option(
    "--seed",
    type=click.IntRange(min=0, max=2**32 - 1),
    default=0,
    show_default=True,
    help="The same seed gives the same text.",
)
@settings_option
@checkpoint_option
@extern_option
def command(
    run: str,
    prompt: str | None,
    prompt_file: str | None,
    inputs: tuple[tuple[str, str], ...],
    tokens: int | None,
    seed: int,
    settings: tuple[tuple[str, str], ...],
    checkpoint: str | int,
    allow_extern: bool,
) -> None:
    """Write what RUN's model says after a prompt, by its file's `generate` recipe.

    The text goes to stdout without the prompt, its rate to stderr. --set changes fields of the `generate` recipe.
    """
    text = _prompt(prompt, prompt_file)
    folder = run_folder(run)
    with runtime() as trxc_runtime:
        model = trxc_runtime.load(folder, checkpoint=checkpoint, allow_extern=allow_extern)
        if settings:
            model = _with_settings(trxc_runtime, model, checkpoint, dict(settings), allow_extern)
        count = _Count()
        given = _further(model, inputs)
        pieces = model.stream(text, limit=tokens, seed=seed, on_token=count, **given)
        _tell(pieces)
    say(count.rate())


def _prompt(prompt: str | None, file: str | None) -> str:
    if (prompt is None) == (file is None):
        raise click.UsageError(
            "give a prompt, either with `--prompt` or with `--prompt-file`", click.get_current_context()
        )
    return prompt if prompt is not None else read_text(str(file))


def _further(model: Any, inputs: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """The inputs beside the prompt, by name."""
    known = [str(field["name"]) for field in model.manifest["inputs"]]
    for name, _ in inputs:
        if name not in known:
            near = did_you_mean(name, known) or f"; there is {listed(known)}"
            raise click.UsageError(f"the model has no input `{name}`{near}", click.get_current_context())
    return {name: _input(value) for name, value in inputs}


def _input(text: str) -> Any:
    """A list of numbers, or a text for the model's tokenizer."""
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return cast("list[Any]", value) if isinstance(value, list) else text


def _with_settings(
    runtime: Any, model: Any, checkpoint: str | int, settings: dict[str, str], allow_extern: bool
) -> Any:
    """The model with the `generate` recipe that its file has under ``settings``; its program must stay what it was."""
    manifest = recompile(model.manifest, set=settings, allow_extern=allow_extern).manifest
    if manifest["parameters"] != model.manifest["parameters"]:
        raise click.UsageError(
            "a `--set` changes the model, which this run's weights then do not fit; set fields of the `generate` recipe"
        )
    recipe = {**model.artifact.recipe, "generate": manifest["recipe"]["generate"]}
    artifact = dataclasses.replace(model.artifact, manifest={**model.manifest, "recipe": recipe})
    return runtime.Model(artifact, checkpoint)


def _tell(pieces: Iterator[str]) -> None:
    """Each piece as it comes; on a terminal, characters that would drive it are shown instead."""
    guarded = sys.stdout.isatty()
    for piece in pieces:
        shown = "".join(char if char in "\n\t" else visible(char) for char in piece) if guarded else piece
        if not write(shown, end=""):
            return
    write("")


class _Count:
    """Counts tokens and the time from the first to the last, which leaves compiling out."""

    def __init__(self) -> None:
        self.tokens, self.began, self.ended = 0, 0.0, 0.0

    def __call__(self, token: int) -> None:
        """One token has come."""
        del token
        self.tokens += 1
        self.ended = time.perf_counter()
        self.began = self.began or self.ended

    def rate(self) -> str:
        """``40 tokens, 120 tokens/s``."""
        seconds = self.ended - self.began
        rate = f", {(self.tokens - 1) / seconds:.3g} tokens/s" if self.tokens > 1 and seconds > 0 else ""
        return f"{self.tokens} token{'' if self.tokens == 1 else 's'}{rate}"
