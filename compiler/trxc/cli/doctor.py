"""`trxc doctor`: what this machine can do, and what keeps it from more."""

from __future__ import annotations

import json
import sys

import click

from .shell.declare import declare, format_option
from .shell.machine import Finding, examine
from .shell.output import coloured, write
from .shell.status import DONE, PROGRAM_WRONG

_SIGNS = {"ok": ("ok", "32"), "note": ("note", "33"), "fault": ("FAULT", "1;31")}


@declare("Help", "trxc doctor")
@click.option("--timeout", type=click.FloatRange(min=1), default=60.0, show_default=True, metavar="SECONDS",
              help="How long the accelerators may take to answer.")  # fmt: skip
@format_option("text", "json")
def command(timeout: float, form: str) -> int:
    """Look at Python, packages, accelerators, memory, disk and terminal, and tell what is amiss.

    Status 1 if something is wrong that training needs.
    """
    findings: list[Finding] = []
    for finding in examine(timeout):
        findings.append(finding)
        if form == "text":
            write(_line(finding))
    if form == "json":
        write(json.dumps({"findings": [vars(finding) for finding in findings]}, indent=2))
    return PROGRAM_WRONG if any(finding.state == "fault" for finding in findings) else DONE


def _line(finding: Finding) -> str:
    word, style = _SIGNS[finding.state]
    sign = f"\x1b[{style}m{word:<5}\x1b[0m" if coloured(sys.stdout) else f"{word:<5}"
    advice = f"\n{'':25}{finding.advice}" if finding.advice else ""
    return f"{sign} {finding.subject:<18} {finding.text}{advice}"
