"""Where the folders `grammar/` and `stdlib/` lie: in the checkout, or inside the installed package."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = _PACKAGE.parent.parent


def resource_folder(name: str) -> Path:
    """The folder `name`: the checkout's where there is one, else the copy inside the package.

    An editable install leaves a stale copy beside the package, so the checkout goes first. It is recognised by
    `compiler/` above the package, lest an unrelated `grammar/` in somebody's site-packages be taken.
    """
    beside = _CHECKOUT / name
    if _PACKAGE.parent.name == "compiler" and beside.is_dir():
        return beside
    return _PACKAGE / name


def grammar_file(name: str) -> Path:
    """A file of `grammar/`, such as `trx.lark`."""
    return resource_folder("grammar") / name


def stdlib_folder() -> Path:
    """The folder of the standard library's `.trx` files."""
    return resource_folder("stdlib")
