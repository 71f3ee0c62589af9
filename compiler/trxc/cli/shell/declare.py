"""How a command is declared, and the options that several have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

SECTIONS = ("Begin", "Check and compile", "Train and use", "Help")
"""The headings of `trxc --help`, in order; each command says which it stands under."""

WHOLE_PROCESS = "whole process"
"""The object of click's context where a shell has started the process for one command."""

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


def is_whole_process() -> bool:
    """Whether the command is all that the process is for, which then is its own to arrange: no program called it."""
    return click.get_current_context().find_root().obj == WHOLE_PROCESS


CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def pairs(example: str) -> Callable[[click.Context, click.Parameter, tuple[str, ...]], tuple[tuple[str, str], ...]]:
    """Takes ``NAME=VALUE`` arguments apart; one that is none is wrong usage, told with an ``example``."""

    def callback(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
        found: list[tuple[str, str]] = []
        for text in given:
            name, _, value = (part.strip() for part in text.partition("="))
            if not name or not value:
                raise click.BadParameter(f"`{text}` is not {param.metavar}, such as {example}", ctx, param)
            found.append((name, value))
        return tuple(found)

    return callback


def settings_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--set PATH=VALUE``, as the parameter ``settings``: a tuple of (path, text)."""
    return click.option(
        "--set",
        "settings",
        metavar="PATH=VALUE",
        multiple=True,
        callback=pairs("GPT.embed=512"),
        help="Override a hyper-parameter or a recipe's field; may be repeated.",
    )(function)


def target_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--target``: what the program is compiled for."""
    return click.option(
        "--target",
        type=click.Choice(("cpu", "gpu", "tpu")),
        default="cpu",
        help="The backend whose fastest forms are chosen; the program is right on all (default: cpu).",
    )(function)


def format_option(*formats: str) -> Decorator:
    """``--format``; the first of ``formats`` is what is taken without it."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="How the result is told.",
    )


def choice_option(name: str, choices: tuple[str, ...], **extra: Any) -> Decorator:
    """An option whose value is one of ``choices``; what click would call ``format`` is the parameter ``form``."""
    names = (name, "form") if name == "--format" else (name,)
    return click.option(*names, type=click.Choice(choices), metavar="|".join(choices), **extra)


def extern_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--allow-extern``: Python code that the program names may be run."""
    return click.option("--allow-extern", is_flag=True, help="Run the Python code that `extern` lines name.")(function)


def values_option(*names: str, **extra: Any) -> Decorator:
    """A repeatable option with ``NAME=VALUE`` arguments, as a tuple of (name, text)."""
    callback = pairs("tokens=ids.npy or x=[[1.0,2.0]]")
    return click.option(*names, metavar="NAME=VALUE", multiple=True, callback=callback, **extra)


def force_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--force``: what is already there is overwritten."""
    return click.option("--force", is_flag=True, help="Overwrite what is already there.")(function)


def checkpoint_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--checkpoint``: which of a run's weights are used, ``"best"``, ``"latest"`` or a step."""
    return click.option(
        "--checkpoint",
        metavar="best|latest|STEP",
        callback=_checkpoint,
        default="best",
        show_default=True,
        help="Which weights: `best`, `latest`, or a step.",
    )(function)


def _checkpoint(ctx: click.Context, param: click.Parameter, value: str) -> str | int:
    if value in ("best", "latest"):
        return value
    if value.isascii() and value.isdigit():
        return int(value)
    raise click.BadParameter(f"`{value}` is neither `best`, `latest` nor a step", ctx, param)
