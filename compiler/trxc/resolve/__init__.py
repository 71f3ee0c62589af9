"""Names: which item a name means, across files and the standard library."""

from .foreign import elsewhere
from .library import ItemRef, Library, Standard, Unit, nearest, nearest_of_few, respelt, standard_modules

__all__ = [
    "ItemRef",
    "Library",
    "Standard",
    "Unit",
    "elsewhere",
    "nearest",
    "nearest_of_few",
    "respelt",
    "standard_modules",
]
