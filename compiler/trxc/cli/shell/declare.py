"""How a command is declared, and the options that several have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from .usage import did_you_mean

SECTIONS = ("Begin", "Check and compile", "Train and use", "Help")
"""The headings of `trxc --help`, in order; each command says which it stands under."""

Declared = Callable[[Callable[..., Any]], "Command"]
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class Command(click.Command):
    """A command with its section of the overview and an example; its function returns an exit status or None."""

    def __init__(self, *args: Any, section: str, example: str, **extra: Any) -> None:
        super().__init__(*args, **extra)
        self.section, self.example = section, example

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The example, as it is to be typed."""
        del ctx
        with formatter.section("Example"):
            for line in self.example.split("\n"):
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


def declare(section: str, example: str) -> Declared:
    """Make a function the command that its module is named for."""
    assert section in SECTIONS

    def decorate(function: Callable[..., Any]) -> Command:
        name = function.__module__.rpartition(".")[2].replace("_", "-")
        made = click.command(name, cls=Command, section=section, example=example, context_settings=CONTEXT)
        return made(function)

    return decorate


CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class _Setting(click.ParamType):
    """``PATH=VALUE``: a dotted name and the text of an expression."""

    name = "PATH=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        path, equals, text = str(value).partition("=")
        if not equals or not path.strip() or not text.strip():
            self.fail(f"`{value}` is not PATH=VALUE, such as GPT.embed=512", param, ctx)
        return path.strip(), text.strip()


class _Choice(click.Choice[str]):
    """One of a few words; a misspelt one is answered with the nearest."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        choices = ", ".join(f"`{choice}`" for choice in self.choices)
        return f"`{value}` is not one of {choices}" + did_you_mean(str(value), self.choices)


def settings_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--set PATH=VALUE``, as the parameter ``settings``: a tuple of (path, text)."""
    return click.option(
        "--set",
        "settings",
        type=_Setting(),
        multiple=True,
        help="Override a hyper-parameter or a recipe's field; may be repeated.",
    )(function)


def format_option(*formats: str) -> Decorator:
    """``--format``; the first of ``formats`` is what is taken without it."""
    return click.option(
        "--format", "form", type=_Choice(formats), default=formats[0], show_default=True, help="How the result is told."
    )


def choice_option(name: str, choices: tuple[str, ...], **extra: Any) -> Decorator:
    """An option whose value is one of ``choices``."""
    return click.option(name, type=_Choice(choices), metavar="|".join(choices), **extra)


def extern_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--allow-extern``: Python code that the program names may be run."""
    return click.option("--allow-extern", is_flag=True, help="Run the Python code that `extern` lines name.")(function)


def force_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--force``: what is already there is overwritten."""
    return click.option("--force", is_flag=True, help="Overwrite what is already there.")(function)


def checkpoint_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--checkpoint``: which of a run's weights are used, ``"best"``, ``"latest"`` or a step."""
    return click.option(
        "--checkpoint",
        type=_Checkpoint(),
        default="best",
        show_default=True,
        help="Which weights: `best`, `latest`, or a step.",
    )(function)


class _Checkpoint(click.ParamType):
    name = "best|latest|STEP"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str | int:
        text = str(value)
        if text in ("best", "latest"):
            return text
        if text.isascii() and text.isdigit():
            return int(text)
        return self.fail(f"`{text}` is neither `best`, `latest` nor a step", param, ctx)
