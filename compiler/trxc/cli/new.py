"""`trxc new`: a project that runs at once."""

from __future__ import annotations

from pathlib import Path

import click

from .shell.declare import choice_option, declare, force_option
from .shell.output import reason, refuse_existing, say, write_file
from .shell.status import USAGE_WRONG, CommandError

_FOLDER = Path(__file__).resolve().parent.parent / "templates"
TEMPLATES = tuple(sorted(path.name for path in _FOLDER.iterdir() if path.is_dir())) if _FOLDER.is_dir() else ()
TITLE = "PROJECT"
"""What stands in a template for the name of the project."""


@declare("Begin", "trxc new hello --template lm && cd hello && trxc train model.trx")
@click.argument("folder", metavar="DIR")
@choice_option("--template", TEMPLATES, default="lm", show_default=True, help="What it begins with.")
@force_option
def command(folder: str, template: str, force: bool) -> None:
    """Start a project in DIR that can be trained at once.

    `lm` is a small language model of Python source, `classifier` learns from a CSV file, `blank` is the least that
    there can be.
    """
    target = Path(folder)
    if target.exists() and not target.is_dir():
        raise CommandError(f"`{target}` is a file; a project needs a folder", status=USAGE_WRONG)
    files = _files(template)
    refuse_existing([target / name for name in files], force)
    for name, source in files.items():
        write_file(target / name, _filled(source, target))
    say(f"wrote {', '.join(sorted(files))} into {target}/")
    say(f"next: cd {target} && trxc train model.trx")


def _files(template: str) -> dict[str, Path]:
    """The files of a template by the names that they get; ``gitignore`` gets its dot."""
    folder = _FOLDER / template
    found = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    names = [path.relative_to(folder).as_posix() for path in found]
    return {".gitignore" if name == "gitignore" else name: path for name, path in zip(names, found, strict=True)}


def _filled(source: Path, target: Path) -> bytes:
    try:
        text = source.read_text(encoding="utf-8")
    except OSError as error:
        raise CommandError(f"cannot read the template `{source}`: {reason(error)}") from None
    return text.replace(TITLE, target.resolve().name).encode()
