"""The command line: a command is one file of this folder, named as it is said; `shell/` is what they share."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command that ``sys.argv`` names, and leave with its exit status."""
    try:
        from .shell.allocator import arrange
        from .shell.application import application
        from .shell.declare import WHOLE_PROCESS

        arrange(sys.argv[1:])
        application.main(prog_name="trxc", obj=WHOLE_PROCESS)
    except KeyboardInterrupt:
        sys.exit(130)
