"""Wrong usage, told in one line."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

import click

_QUOTED = re.compile(r"(?<!\w)'([^'\n]*)'(?!\w)")


def line_of(error: click.UsageError) -> str:
    """``trxc check: no such option `--formt`; did you mean `--format`? (see `trxc check --help`)``."""
    context = error.ctx
    path = context.command_path if context else "trxc"
    text = " ".join(_QUOTED.sub(r"`\1`", error.format_message()).split()).removesuffix(".")
    text = text[:1].lower() + text[1:]
    if isinstance(error, click.NoSuchOption) and context:
        known = [name for option in context.command.get_params(context) for name in option.opts]
        text = f"there is no option `{error.option_name}`" + did_you_mean(error.option_name, known)
    return f"{path}: {text}{'' if text.endswith('?') else '.'} See `{path} --help`"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``; did you mean `X`?`` for the nearest known name, or nothing where none is near."""
    pool = sorted(set(known))
    folded = {item.lower(): item for item in pool}
    near = get_close_matches(name.lower(), folded, n=1, cutoff=0.6)
    return f"; did you mean `{folded[near[0]]}`?" if near else ""


def listed(names: Iterable[str]) -> str:
    """Names as a message shows them: "`a`, `b`"."""
    return ", ".join(f"`{name}`" for name in names)
