"""Forms that `conv` takes on some targets: they give what it gives, by other sums.

The pass `convolution-forms` makes them; no program can say them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ..dims import Dim, dim
from ..ir import Attribute
from ..types import TensorType
from .arrays import Array
from .convolution import CONV, Conv, padded_in_front, windows_of
from .definition import Along, Attributes, Environment, Example, Instance, OpDefinition, Sample, Scope, TypeFault
from .windows import Pair, Windows, per_axis, sizes_text

PLAIN: dict[str, Attribute] = {"stride": 1, "dilation": 1, "groups": 1}
"""The settings that forms of `conv` have not, but where they name them."""


class ConvForm(OpDefinition):
    """The base of forms that `conv` takes on some targets: they give what it gives."""

    public = False
    product = True

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """As `conv`."""
        found = CONV.infer(_as_conv(use))
        if not self.takes(_as_conv(use)):
            raise TypeFault("TRX0405", f"`{self.name}` does not take kernels as {use.operands[1].show()}", operand=1)
        return found

    def takes(self, use: Instance) -> bool:
        """Whether it can stand for a use of `conv`."""
        raise AssertionError(f"{self.name} does not say what it takes")

    def flops(self, use: Instance) -> Dim:
        """As `conv`: what the result is worth, not what it takes here."""
        return CONV.flops(_as_conv(use))

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """As `conv`."""
        return CONV.along(_as_conv(use), operand, axis)

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """As `conv`, by the definition."""
        return CONV.reference(_as_conv(use), operands, env)


class WinogradConv(ConvForm):
    """`winograd_conv(x, w, padding)`: `conv` of x[batch, height, width, in] with w[3, 3, in, out] in fewer products.

    Winograd's minimal filtering: 16 products for each four places of the result, where the definition takes 36.
    """

    name = "winograd_conv"
    slots = tuple(slot for slot in Conv.slots if slot.name not in PLAIN)
    examples = tuple(
        Example((Sample(x), Sample(w)), {"padding": padding})
        for x, w, padding in (
            ((1, 16, 16, 2), (3, 3, 2, 3), "same"),
            ((2, 13, 18, 2), (3, 3, 2, 3), "valid"),
            ((3, 9, 11, 3), (3, 3, 3, 2), "causal"),
            ((1, 13, 20, 2), (3, 3, 2, 2), ((0, 2), (3, 1))),
            ((2, 4, 5, 2), (3, 3, 2, 3), "same"),  # as few windows are left to XLA
        )
    )

    def takes(self, use: Instance) -> bool:
        """Kernels of 3 by 3 in steps of one, whole."""
        return winograd_padding(use) is not None

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """The function of the prelude."""
        windows, pairs = windows_of(CONV.name, _as_conv(use), Conv.words), winograd_padding(_as_conv(use))
        assert pairs is not None, "inference refuses other kernels"
        windows = Windows(windows.sizes, windows.strides, windows.dilation, pairs)
        x, padding = padded_in_front(operands[0], windows, scope)
        return f"{scope.prelude(self.name)}({x}, {operands[1]}, {padding})"


class StridedConv(ConvForm):
    """`strided_conv(x, w, stride, padding)`: `conv` whose kernel's gradient is one product of two matrices."""

    name = "strided_conv"
    slots = tuple(slot for slot in Conv.slots if slot.name not in ("dilation", "groups"))
    examples = tuple(
        Example((Sample(x), Sample(w)), {"stride": stride, "padding": padding})
        for x, w, stride, padding in (
            ((2, 6, 5, 2), (3, 3, 2, 3), 2, "same"),
            ((2, 7, 6, 2), (3, 2, 2, 3), (2, 1), "valid"),
            ((1, 7, 8, 2), (2, 3, 2, 3), (3, 2), "causal"),
            ((1, 6, 5, 2), (3, 3, 2, 3), 2, ((0, 2), (3, 1))),
            ((2, 9, 3), (4, 3, 2), 3, "same"),
            ((1, 4, 5, 4, 2), (2, 2, 3, 2, 2), 2, "same"),
        )
    )

    def takes(self, use: Instance) -> bool:
        """Kernels in larger steps, whole."""
        return is_strided(use)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """The function of the prelude."""
        windows = windows_of(CONV.name, _as_conv(use), Conv.words)
        x, padding = padded_in_front(operands[0], windows, scope)
        return f"{scope.prelude(self.name)}({x}, {operands[1]}, {sizes_text(windows.strides, scope)}, {padding})"


def _as_conv(use: Instance) -> Instance:
    return dataclasses.replace(use, attributes=Attributes(PLAIN | use.attributes))


def is_strided(use: Instance) -> bool:
    """Whether a use of `conv` moves a kernel of several places in larger steps, over all channels, nothing apart."""
    windows = windows_of(CONV.name, use, Conv.words)
    (groups,) = per_axis(CONV.name, "groups", use.attributes["groups"], 1)
    whole = groups.value == 1 and all(step.value == 1 for step in windows.dilation)
    known = all(size.value is not None for size in (*windows.sizes, *windows.strides))
    several = any(size.value != 1 for size in windows.sizes)
    return whole and known and several and any(step.value != 1 for step in windows.strides)


def winograd_padding(use: Instance) -> tuple[Pair, ...] | None:
    """The padding of a use of `conv` that `winograd_conv` can stand for, an axis each; None if it cannot."""
    windows = windows_of(CONV.name, use, Conv.words)
    (groups,) = per_axis(CONV.name, "groups", use.attributes["groups"], 1)
    steps = [*windows.strides, *windows.dilation, groups]
    if [size.value for size in windows.sizes] != [3, 3] or any(step.value != 1 for step in steps):
        return None
    words = {"same": (dim(1), dim(1)), "valid": (dim(0), dim(0)), "causal": (dim(2), dim(0))}
    return (words[windows.padding],) * 2 if isinstance(windows.padding, str) else windows.padding


OPS: tuple[OpDefinition, ...] = (WinogradConv(), StridedConv())
