"""Names: which item a name means, across files and the standard library."""

from .library import ItemRef, Library, Unit, nearest, standard_modules

__all__ = ["ItemRef", "Library", "Unit", "nearest", "standard_modules"]
