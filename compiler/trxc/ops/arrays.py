"""NumPy, which only references and constant folding compute with, imported when one of them first does.

A check types every op of a program and computes none: it does not wait for NumPy, whose import takes longer.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:

    class _Deferred:
        """Stands for the module `numpy` until something of it is asked for."""

        def __getattr__(self, name: str) -> Any:
            import numpy

            value = getattr(numpy, name)
            setattr(self, name, value)
            return value

    np = _Deferred()

Array: TypeAlias = "NDArray[Any]"

NumpyFunction: TypeAlias = Callable[..., Any]

Reference: TypeAlias = str | NumpyFunction
"""What computes an op: the name of a function of NumPy, as `maximum.accumulate`, or a function of our own."""


def numpy_function(reference: Reference) -> NumpyFunction:
    """The function that a reference names or is."""
    return attrgetter(reference)(np) if isinstance(reference, str) else reference


__all__ = ["Array", "NumpyFunction", "Reference", "np", "numpy_function"]
