"""What a user is told when the data are not what the recipe says."""

from ..user_errors import DataError, names, nearest

__all__ = ["DataError", "names", "nearest"]
