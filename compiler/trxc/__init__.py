"""trxc: a compiler for `.trx` model files.

import trxc

for diagnostic in trxc.check("gpt.trx"):
    print(diagnostic)
program = trxc.compile("gpt.trx", set={"GPT.embed": 512})
program.save("build/")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import version

if TYPE_CHECKING:
    from .compilation import Program, compile
    from .diagnostics import Diagnostic
    from .driver import CompileError, UsageError, check, format

_FROM = {"Diagnostic": "diagnostics", "CompileError": "driver", "Program": "compilation", "UsageError": "driver",
         "check": "driver", "compile": "compilation", "format": "driver"}  # fmt: skip

__version__ = version.VERSION

__all__ = ["CompileError", "Diagnostic", "Program", "UsageError", "__version__", "check", "compile", "format"]


def __getattr__(name: str) -> Any:
    """Loads a public name when it is first asked for, so that `import trxc` costs nothing."""
    if name not in _FROM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f".{_FROM[name]}", __name__), name)
