"""`trxc generate`: text from a trained model, of one prompt as it comes, of many in batches."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Iterator
from typing import Any, cast

import click

from ..diagnostics.harmless import visible
from .shell.declare import (
    checkpoint_option,
    declare,
    extern_option,
    force_option,
    format_option,
    settings_option,
    values_option,
)
from .shell.files import read_text
from .shell.generate_many import Asked, generate_many
from .shell.output import say, write
from .shell.prompt_lines import PromptLine, read_prompt_lines
from .shell.runtime import run_folder, runtime
from .shell.trained import recompile
from .shell.usage import did_you_mean, listed

EXAMPLES = """trxc generate runs/quick --prompt "Once upon a time" --tokens 100 --set chat.sample="greedy()"
trxc generate runs/translate --input source="21 Nov 2025" --regex "[0-9]{4}-[0-9]{2}-[0-9]{2}"
trxc generate runs/quick --prompts prompts.txt --batch 32 --format json --output said.jsonl"""


@declare("Train and use", EXAMPLES)
@click.argument("run", metavar="RUN")
@click.option("-p", "--prompt", metavar="TEXT", help="The text to go on from.  [default: what the data begin with]")
@click.option("--prompt-file", metavar="FILE", help="A file with that text; - for stdin.")
@click.option(
    "--prompts",
    metavar="FILE",
    help='Many: one a line, or JSON lines as {"prompt": "Once", "source": "…"} with further inputs; - for stdin.',
)
@click.option(
    "--batch", type=click.IntRange(min=1), default=16, show_default=True, metavar="N", help="Prompts at once."
)
@values_option("-i", "--input", "inputs", help="A further input of the model: a text, or JSON.")
@click.option(
    "-n", "--tokens", type=click.IntRange(min=1), metavar="N", help="At most N new tokens.  [default: the recipe's]"
)
@click.option(
    "--seed",
    type=click.IntRange(min=0, max=2**32 - 1),
    metavar="N",
    help="The same seed gives the same text.  [default: the recipe's]",
)
@click.option("--regex", metavar="REGEX", help="Only texts that match it, from beginning to end.")
@click.option("--json-schema", metavar="FILE", help="Only JSON that is valid under the schema in FILE.")
@click.option(
    "--hypotheses", type=click.IntRange(min=1), metavar="N", help="The N best, where the recipe searches with beams."
)
@click.option("--draft", metavar="RUN", help="A smaller model that proposes tokens, for speed.")
@click.option(
    "--ahead", type=click.IntRange(min=1, max=255), default=4, show_default=True, metavar="N", help="So many at once."
)
@click.option("--amateur", metavar="RUN", help="A weaker model: what it finds likely as well counts for less.")
@click.option("-o", "--output", metavar="FILE", help="Where texts are written.  [default: stdout]")
@format_option("text", "json")
@force_option
@settings_option
@checkpoint_option
@extern_option
def command(run: str, prompt: str | None, prompt_file: str | None, prompts: str | None, **options: Any) -> None:
    """Write what RUN's model says after a prompt, by its file's `generate` recipe.

    Texts go to stdout without their prompts, their rate to stderr. --set changes fields of the `generate` recipe. With
    --prompts, each text is a line, in which \\n stands for a line's end and \\\\ for \\; JSON has texts as they are.
    """
    asked = Asked(**options)
    lines = _lines(prompt, prompt_file, prompts)
    constraint = _constraint(asked)
    folder = run_folder(run)
    with runtime() as trxc_runtime:
        model = trxc_runtime.load(folder, checkpoint=asked.checkpoint, allow_extern=asked.allow_extern)
        if asked.settings or constraint:
            model = _changed(trxc_runtime, model, asked, constraint)
        given, others = _further(model, asked.inputs), _others(trxc_runtime, asked)
        if prompts is None and asked.streams:
            count = _Count()
            _tell(model.stream(lines[0].prompt, limit=asked.tokens, seed=asked.seed, on_token=count, **given, **others))
            say(count.rate())
        else:
            generate_many(trxc_runtime, model, lines, given, asked, others)
        if drafted := others.get("on_draft"):
            say(str(drafted.last))


def _others(runtime: Any, asked: Asked) -> dict[str, Any]:
    """The models beside RUN's, by the names that the runtime gives them."""
    runs = {"draft": asked.draft, "amateur": asked.amateur}
    found: dict[str, Any] = {
        name: runtime.load(run_folder(run), allow_extern=asked.allow_extern) for name, run in runs.items() if run
    }
    return {**found, "ahead": asked.ahead, "on_draft": _Drafted()} if asked.draft else found


class _Drafted:
    """Keeps what was last said of the draft's tokens."""

    def __init__(self) -> None:
        self.last: Any = ""

    def __call__(self, drafted: Any) -> None:
        """So many have been proposed and accepted so far."""
        self.last = drafted


def _lines(prompt: str | None, file: str | None, many: str | None) -> list[PromptLine]:
    if sum(value is not None for value in (prompt, file, many)) > 1:
        raise click.UsageError(
            "give one of `--prompt`, `--prompt-file` and `--prompts`, or none", click.get_current_context()
        )
    if many is not None:
        return read_prompt_lines(many)
    return [PromptLine(prompt if file is None else read_text(file))]


def _constraint(asked: Asked) -> dict[str, Any] | None:
    """The stage that the options ask for, as a manifest has it."""
    module = "trxc_runtime.sample.constraint:"
    if asked.regex is not None and asked.json_schema is not None:
        raise click.UsageError("`--regex` and `--json-schema` are two forms; give one", click.get_current_context())
    if asked.regex is not None:
        return {"call": f"{module}Matching", "name": "matching", "args": {"pattern": asked.regex}}
    if asked.json_schema is not None:
        schema = read_text(asked.json_schema)
        return {"call": f"{module}JsonSchema", "name": "json_schema", "args": {"schema": schema}}
    return None


def _changed(runtime: Any, model: Any, asked: Asked, constraint: dict[str, Any] | None) -> Any:
    """The model with the `generate` recipe that its file has under the settings, and with a stage before its own."""
    manifest = model.manifest
    recipe: dict[str, Any] = manifest.get("recipe") or {}
    if asked.settings:
        made = recompile(manifest, set=dict(asked.settings), allow_extern=asked.allow_extern).manifest
        if made["parameters"] != manifest["parameters"]:
            raise click.UsageError(
                "a `--set` changes the model, which this run's weights then do not fit; set fields of the `generate` "
                "recipe"
            )
        recipe = {**recipe, "generate": made["recipe"]["generate"]}
    if constraint and recipe.get("generate"):
        stages: list[Any] = [constraint, *(recipe["generate"].get("sample") or ())]
        recipe = {**recipe, "generate": {**recipe["generate"], "sample": stages}}
    artifact = dataclasses.replace(model.artifact, manifest={**manifest, "recipe": recipe})
    return runtime.Model(artifact, asked.checkpoint)


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


def _tell(pieces: Iterator[str]) -> None:
    """Each piece as it comes; on a terminal, characters that would drive it are shown instead."""
    guarded = sys.stdout.isatty()
    for piece in pieces:
        shown = "".join(char if char in "\n\t" else visible(char) for char in piece) if guarded else piece
        if not write(shown, end=""):
            return
    write("")


_GAP = 1e-3
"""Seconds between tokens that are drawn apart; those of one burst come at once."""


class _Count:
    """Counts tokens, and the time from the first burst of them to the last, which leaves compiling out."""

    def __init__(self) -> None:
        self.tokens, self._began = 0, time.perf_counter()
        self._last = self._began
        self._first: tuple[int, float] | None = None

    def __call__(self, token: int) -> None:
        """One token has come."""
        del token
        now = time.perf_counter()
        if self.tokens and self._first is None and now - self._last > _GAP:
            self._first = self.tokens, self._last
        self.tokens, self._last = self.tokens + 1, now

    def rate(self) -> str:
        """``40 tokens, 120 tokens/s``; where all came at once, the whole time."""
        told = f"{self.tokens} token{'' if self.tokens == 1 else 's'}"
        if self._first is None:
            return f"{told}, {self._last - self._began:.2g} s with compiling" if self.tokens else told
        count, since = self._first
        return f"{told}, {(self.tokens - count) / (self._last - since):.3g} tokens/s"
