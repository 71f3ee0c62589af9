"""The mark of what a recipe may call."""

from __future__ import annotations


class Declared:
    """Base of every class that a line of the standard library declares, and so that a manifest may name.

    Its constructor's parameters are the declaration's, by name and with the same defaults.
    """
