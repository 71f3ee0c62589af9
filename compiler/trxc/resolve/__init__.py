"""Names: which item a name means, across files and the standard library."""

from .library import ItemRef, Library, Standard, Unit, nearest, respelt, standard_modules

__all__ = ["ItemRef", "Library", "Standard", "Unit", "nearest", "respelt", "standard_modules"]
