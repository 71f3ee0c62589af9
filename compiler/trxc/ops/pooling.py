"""Pools, channels last: windows over the spatial axes of x[batch, spatial…, channels], folded into one number each."""

from __future__ import annotations

from collections.abc import Sequence

from ..dims import Dim, product
from ..types import TensorType
from .arrays import Array, np
from .definition import Environment, Example, Instance, OpDefinition, Operand, Sample, Scope, Setting
from .windows import Windows, per_axis, read_padding, sizes_text, spatial_axes


class MaxPool(OpDefinition):
    """`max_pool(x, window, stride = window, padding = "valid")`: the largest element of each window.

    Padding never wins. `x` is [batch, spatial…, channels] with 1 to 3 spatial axes.
    """

    name = "max_pool"
    slots = (
        Operand("x", "float"),
        Setting("window", "ints"),
        Setting("stride", "ints", None),
        Setting("padding", "padding", "valid"),
    )
    examples = tuple(
        Example((Sample(shape, distinct=True),), {"stride": None, "padding": "valid"} | settings)
        for shape, settings in (
            ((2, 6, 3), {"window": 2}),
            ((2, 4, 6, 3), {"window": (2, 3)}),
            ((2, 5, 6, 2), {"window": 3, "stride": 2, "padding": "same"}),
            ((1, 5, 5, 2), {"window": 3, "stride": (2, 1), "padding": 1}),
            ((1, 4, 2, 4, 2), {"window": 2, "stride": 2}),
        )
    )

    def windows(self, use: Instance) -> Windows:
        """The windows of a use; the stride is the window if it is not given."""
        count, attributes = use.operands[0].rank - 2, use.attributes
        sizes = per_axis(self.name, "window", attributes["window"], count)
        stride = attributes["stride"]
        strides = sizes if stride is None else per_axis(self.name, "stride", stride, count)
        padding = read_padding(self.name, attributes["padding"], count, ("same", "valid"))
        return Windows(sizes, strides, per_axis(self.name, "dilation", 1, count), padding)

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The batch, the places of the windows, the channels; an axis whose size changes has no name any more."""
        spatial_axes(self.name, use)
        (x,) = use.operands
        spatial = self.windows(use).outer_axes(self.name, x)
        return (x.with_axes((x.axes[0], *spatial, x.axes[-1])),)

    def flops(self, use: Instance) -> Dim:
        """One an element of each window."""
        return use.result.elements * product(self.windows(use).sizes)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """The function of the prelude with the op's name."""
        windows = self.windows(use)
        sizes, strides = sizes_text(windows.sizes, scope), sizes_text(windows.strides, scope)
        return (
            f"{scope.prelude(self.name)}({operands[0]}, {sizes}, {strides}, {windows.padding_text(scope, whole=True)})"
        )

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """The largest over the offsets in the window."""
        return np.max([patch for _, patch in self.windows(use).patches(operands[0], -np.inf)], axis=0)


class AvgPool(MaxPool):
    """`avg_pool(x, window, stride = window, padding = "valid")`: the mean of each window.

    Padding does not count: the mean is over the elements that are there. `x` is [batch, spatial…, channels] with 1 to 3
    spatial axes.
    """

    name = "avg_pool"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """The sum over the offsets in the window, divided by how many of them hold an element."""
        (x,), windows = operands, self.windows(use)
        totals = np.sum([patch for _, patch in windows.patches(x, 0.0)], axis=0)
        return totals / np.sum([patch for _, patch in windows.patches(np.ones_like(x), 0.0)], axis=0)


OPS: tuple[OpDefinition, ...] = (MaxPool(), AvgPool())
