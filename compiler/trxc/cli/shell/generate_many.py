"""Texts of many prompts, written line by line in the prompts' order as batches of them are done."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import click

from ...diagnostics.harmless import visible
from .line_output import line_output
from .output import say
from .prompt_lines import PromptLine


@dataclass(frozen=True)
class Asked:
    """What `trxc generate` was asked for, apart from its run and the texts."""

    inputs: tuple[tuple[str, str], ...]
    batch: int
    tokens: int | None
    seed: int | None
    regex: str | None
    json_schema: str | None
    hypotheses: int | None
    draft: str | None
    ahead: int
    amateur: str | None
    output: str | None
    form: str
    force: bool
    settings: tuple[tuple[str, str], ...]
    checkpoint: str | int
    allow_extern: bool

    @property
    def streams(self) -> bool:
        """Whether one text is to be written as it comes."""
        return self.form == "text" and self.hypotheses is None and self.output is None


def generate_many(
    runtime: Any,
    model: Any,
    lines: Sequence[PromptLine],
    given: dict[str, Any],
    asked: Asked,
    others: dict[str, Any],
) -> None:
    """Write what the model says after each prompt.

    ``given`` are inputs that lines do not give themselves, ``others`` models that have a part in it.
    """
    rest = {name: _row(name, value) for name, value in given.items()}
    requests = [runtime.Request(line.prompt or "", {**rest, **line.inputs}, line.place) for line in lines]
    guarded = asked.output is None and sys.stdout.isatty()
    progress, waiting = _Progress(len(lines)), iter(lines)
    found = runtime.answers(
        model, requests,
        batch=asked.batch, limit=asked.tokens, seed=asked.seed, hypotheses=asked.hypotheses,
        others=runtime.Others(**others),
    )  # fmt: skip
    with line_output(asked.output, force=asked.force) as put:
        for answers in found:
            pairs = [(next(waiting), answer) for answer in answers]
            shown = [text for pair in pairs for text in (_as_json(*pair) if asked.form == "json" else _as_text(*pair))]
            if not put(map(_harmless, shown) if guarded else shown):
                return
            progress.add(answers)
    progress.finish()


def _row(name: str, value: Any) -> Any:
    """The one row of an input that all prompts have: a text, or what a list of one row holds."""
    if isinstance(value, str):
        return value
    if len(value) != 1:
        message = (
            f"`--input {name}` has {len(value)} rows, and one is for all prompts; lines of JSON can have their own"
        )
        raise click.UsageError(message, click.get_current_context(silent=True))
    return value[0]


def _as_json(line: PromptLine, answer: Any) -> Iterator[str]:
    """The line's own fields, and what was said."""
    made: dict[str, Any] = {"text": answer.text, "tokens": answer.tokens}
    if answer.hypotheses:
        each = [{"text": one.text, "score": one.score, "tokens": len(one.tokens)} for one in answer.hypotheses]
        made = {"hypotheses": each}
    yield json.dumps({**line.fields, **made}, ensure_ascii=False)


def _as_text(line: PromptLine, answer: Any) -> Iterator[str]:
    """One line a text; those that a search found with their scores before them, the best first."""
    del line
    for one in answer.hypotheses:
        yield f"{one.score:.6g}\t{_escaped(one.text)}"
    if not answer.hypotheses:
        yield _escaped(answer.text)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")


def _harmless(line: str) -> str:
    """Without characters that would drive a terminal."""
    return "".join(char if char == "\t" else visible(char) for char in line)


class _Progress:
    """How far it is, on stderr: a line that changes where a person reads it, and the last one in any case."""

    def __init__(self, prompts: int) -> None:
        self._prompts, self._done, self._tokens = prompts, 0, 0
        self._began, self._live = time.perf_counter(), sys.stderr.isatty()

    def add(self, answers: Sequence[Any]) -> None:
        """These, too, are done."""
        self._done += len(answers)
        self._tokens += sum(answer.tokens for answer in answers)
        if self._live and self._done < self._prompts:
            sys.stderr.write(f"\r{self}\x1b[K")
            sys.stderr.flush()

    def finish(self) -> None:
        """All is done."""
        say(f"\r{self}\x1b[K" if self._live else str(self))

    def __str__(self) -> str:
        seconds = time.perf_counter() - self._began
        done = f"{self._done:,}" if self._done == self._prompts else f"{self._done:,} of {self._prompts:,}"
        word = "prompt" if self._prompts == 1 else "prompts"
        return f"{done} {word}, {self._tokens:,} tokens, {self._tokens / max(seconds, 1e-9):.3g} tokens/s"
