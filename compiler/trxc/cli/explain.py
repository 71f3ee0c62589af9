"""`trxc explain`: the page of a diagnostic."""

from __future__ import annotations

import re
import sys
from difflib import get_close_matches

import click

from .shell.declare import declare
from .shell.output import coloured, write

_STYLES = ((re.compile(r"^(#+ .*)$", re.MULTILINE), "1"), (re.compile(r"(`[^`\n]+`)"), "36"))


@declare("Help", "trxc explain TRX0204")
@click.argument("code", metavar="[CODE]", required=False)
def command(code: str | None) -> None:
    """Tell what a diagnostic means, why it matters, and how it is mended.

    Without CODE, list all codes. `204` and `trx204` mean TRX0204.
    """
    from ..diagnostics.codes import CODES
    from ..diagnostics.explain import canonical, explain

    if code is None:
        write("\n".join(f"{entry.code}  {entry.title}" for entry in CODES.values()))
        return
    name = canonical(code)
    if name is None:
        near = get_close_matches(code.upper(), CODES, n=1)
        mean = f"; did you mean {near[0]}?" if near else "; `trxc explain` lists all"
        raise click.UsageError(f"no diagnostic has the code `{code}`{mean}")
    write(_painted(explain(name)) if coloured(sys.stdout) else explain(name), end="")


def _painted(page: str) -> str:
    """A page with headings in bold and code in colour; blocks, between fences, are left as they are."""
    parts = re.split(r"(^```.*?^```$)", page, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else _paint(part) for part in parts)


def _paint(text: str) -> str:
    for pattern, style in _STYLES:
        text = pattern.sub(rf"\x1b[{style}m\1\x1b[0m", text)
    return text
