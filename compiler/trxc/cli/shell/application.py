"""`trxc` itself: finds a command by its name, and ends every one of them with a status and never a traceback."""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import click

from ... import __version__
from ...diagnostics.harmless import harmless
from .declare import CONTEXT, SECTIONS, Command
from .output import say, say_error
from .status import DONE, INTERRUPTED, OUR_FAULT, USAGE_WRONG, CommandError
from .usage import did_you_mean, line_of

_HOME = "trxc.cli"


class Application(click.Group):
    """The group of all commands. Only the one that runs is imported; `--help` imports them all for their summaries."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands: those of the files in `cli/`."""
        del ctx
        return sorted(found.name.replace("_", "-") for found in pkgutil.iter_modules(import_module(_HOME).__path__)
                      if not found.ispkg)  # fmt: skip

    def get_command(self, ctx: click.Context, cmd_name: str) -> Command | None:
        """The command of this name, from its file."""
        if cmd_name not in self.list_commands(ctx):
            return None
        return import_module(f"{_HOME}.{cmd_name.replace('-', '_')}").command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a better answer to a name that does not exist."""
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            near = did_you_mean(name, self.list_commands(ctx))
            raise click.UsageError(f"there is no command `{name}`{near}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands under their sections."""
        commands = [command for name in self.list_commands(ctx) if (command := self.get_command(ctx, name))]
        for section in SECTIONS:
            rows = [(str(item.name), item.get_short_help_str(80)) for item in commands if item.section == section]
            if rows:
                with formatter.section(section):
                    formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """How to begin."""
        del ctx
        formatter.write("\nExample:\n  trxc new hello && cd hello && trxc train model.trx\n")

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run one command line, and leave with its exit status."""
        _never_fail_to_encode()
        sys.exit(_status_of(lambda: super(Application, self).main(*args, **{**extra, "standalone_mode": False})))


def _status_of(run: Callable[[], Any]) -> int:
    """The exit status of what ``run`` does; whatever it raises is told on stderr."""
    try:
        status = run()
    except click.UsageError as error:
        say(harmless(line_of(error)))
        return USAGE_WRONG
    except CommandError as error:
        say_error(error)
        return error.status
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except Exception as error:
        from .faults import report

        return _reported(report, error)
    return status if isinstance(status, int) else DONE


def _reported(report: Callable[[BaseException], int], error: Exception) -> int:
    try:
        return report(error)
    except OSError:  # stderr itself is gone
        return OUR_FAULT


def _never_fail_to_encode() -> None:
    """A terminal that has no `┌` is shown something else in its place."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


@click.group(cls=Application, context_settings=CONTEXT)
@click.version_option(__version__, prog_name="trxc", message="%(prog)s %(version)s")
def application() -> None:
    """Checks, compiles, trains and runs models written in `.trx` files."""
