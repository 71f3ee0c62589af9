"""`trxc check`: every diagnostic of a file, and nothing else."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import click

from .shell.declare import declare, format_option, settings_option
from .shell.files import ProgramFile, UnreadableError, read_program
from .shell.output import say_diagnostics, write
from .shell.status import DONE, PROGRAM_WRONG

if TYPE_CHECKING:
    from ..diagnostics import Diagnostic


@declare("Check and compile", "trxc check gpt.trx --set GPT.embed=512")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@settings_option
@format_option("text", "json", "sarif")
def command(files: tuple[str, ...], settings: tuple[tuple[str, str], ...], form: str) -> int:
    """Tell every mistake in FILEs, and nothing else.

    Needs no accelerator and reads no data. `-` is stdin. Status 1 if there is an error, 0 if there are only warnings.
    """
    if files.count("-") > 1:
        raise click.UsageError("stdin can be checked only once")
    told: list[Diagnostic] = []
    status = DONE
    for name in files:
        try:
            found = _check(read_program(name), settings)
        except UnreadableError as error:
            found = [error.diagnostic]
            status = max(status, error.status)
        told += found
        if any(item.severity == "error" for item in found):
            status = max(status, PROGRAM_WRONG)
    _tell(told, form)
    return status


def _check(file: ProgramFile, settings: tuple[tuple[str, str], ...]) -> list[Diagnostic]:
    import trxc

    chosen = dict(settings) or None
    gc.disable()  # hardly anything that a check makes is garbage before its end: not to look for it saves a tenth
    try:
        return trxc.check(file.path or file.text, filename=None if file.path else file.name, set=chosen)
    finally:
        gc.enable()


def _tell(found: list[Diagnostic], form: str) -> None:
    from .. import __version__

    if form == "json":
        from ..diagnostics.json_format import render_json

        write(render_json(found, version=__version__))
    elif form == "sarif":
        from ..diagnostics.sarif import render_sarif

        write(render_sarif(found, version=__version__))
    else:
        say_diagnostics(found)
