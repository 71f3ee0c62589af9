"""`trxc lsp`: the language server."""

from __future__ import annotations

from importlib.util import find_spec

from .shell.declare import declare
from .shell.status import USAGE_WRONG, CommandError


@declare("Check and compile", "trxc lsp")
def command() -> None:
    """Run the language server on stdin and stdout, for an editor.

    An editor's extension starts it; `docs/editor.md` says how. Needs the extra `lsp`: `pip install "trxc[lsp]"`.
    """
    if find_spec("pygls") is None:
        hint = '`pip install "trxc[lsp]"` brings it'
        raise CommandError("the language server needs pygls, which is not installed", status=USAGE_WRONG, hints=(hint,))
    from ..lsp.server import serve

    serve()
