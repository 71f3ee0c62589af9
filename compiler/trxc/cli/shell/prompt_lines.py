"""Files of prompts: one a line, as text or as JSON objects. A line that is wrong is named with its number."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from .files import STDIN
from .output import reason
from .status import PROGRAM_WRONG, USAGE_WRONG, CommandError


@dataclass(frozen=True)
class PromptLine:
    """A prompt, None where the line has none; the model's other inputs by name; and where it stands (`a.txt:3`)."""

    prompt: str | None
    inputs: dict[str, Any] = field(default_factory=dict[str, Any])
    place: str = ""

    @property
    def fields(self) -> dict[str, Any]:
        """What the line gives, as it stands in what is made of it."""
        return {**({} if self.prompt is None else {"prompt": self.prompt}), **self.inputs}


def read_prompt_lines(argument: str) -> list[PromptLine]:
    """The prompts of a file, ``-`` for stdin; raises :class:`CommandError`.

    It is of JSON objects if its name ends in `.jsonl`, or if its first line is one; blank lines are then passed over.
    """
    name = STDIN if argument == "-" else argument
    lines = _lines(_text(argument, name))
    if name.endswith(".jsonl") or (lines and _object(lines[0]) is not None):
        found = [_request(line, f"{name}:{at}") for at, line in enumerate(lines, 1) if line.strip()]
    else:
        found = [PromptLine(line, place=f"{name}:{at}") for at, line in enumerate(lines, 1)]
    if not found:
        raise CommandError(f"`{name}` has no prompts", status=PROGRAM_WRONG)
    return found


def _lines(text: str) -> list[str]:
    """Its lines; only a line feed ends one, so that every other character can stand in a prompt."""
    lines = text.replace("\r\n", "\n").split("\n")
    return lines[:-1] if not lines[-1] else lines


def _text(argument: str, name: str) -> str:
    try:
        data = sys.stdin.buffer.read() if argument == "-" else Path(argument).read_bytes()
    except FileNotFoundError:
        raise CommandError(f"cannot read `{name}`: there is no such file", status=USAGE_WRONG) from None
    except OSError as error:
        raise CommandError(f"cannot read `{name}`: {reason(error)}", status=USAGE_WRONG) from None
    except ValueError:  # a path with a NUL in it
        raise CommandError(f"cannot read `{name}`: no file can have this name", status=USAGE_WRONG) from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CommandError(f"{name}:{line}: byte 0x{data[error.start]:02x} is no UTF-8", status=PROGRAM_WRONG) from None


def _object(line: str) -> dict[str, Any] | None:
    """The JSON object that a line is, if it is one."""
    try:
        value: object = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _request(line: str, place: str) -> PromptLine:
    found = _object(line)
    if found is None:
        hint = 'each line is an object such as {"prompt": "Once upon a time"}'
        raise CommandError(f"{place}: this is no JSON object", status=PROGRAM_WRONG, hints=(hint,))
    prompt = found.pop("prompt", None)
    if prompt is not None and not isinstance(prompt, str):
        raise CommandError(f"{place}: `prompt` is {json.dumps(prompt)[:60]}, and no text", status=PROGRAM_WRONG)
    return PromptLine(prompt, found, place)
