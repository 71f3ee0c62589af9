"""Windows that slide over spatial axes: what convolutions and pools have in common.

Arrays are channels last: [batch, spatial…, channels]. A setting for all spatial axes is one number or one for each;
`padding` is "same" (as many places as before, divided by the stride, rounded up), "valid" (none), "causal" (all of it
before the first place), or places: one number, one for each axis, or a (before, after) pair for each axis.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from ..dims import Dim, dim
from ..frozen import Frozen
from ..ir import Attribute
from ..types import Axis, TensorType
from .arrays import Array, np
from .definition import Along, Instance, Scope, TypeFault

Pair: TypeAlias = tuple[Dim, Dim]
Padding: TypeAlias = str | tuple[Pair, ...]

SPATIAL = "DHW"
"""Letters of the spatial axes in dimension numbers; `n` axes take the last `n`."""


def per_axis(op: str, setting: str, value: Attribute, count: int, least: int = 1) -> tuple[Dim, ...]:
    """One size for each of `count` axes, each at least `least` where it is known.

    Raises:
        TypeFault: TRX0405, there are too many or too few, or one is too small.
    """
    values = value if isinstance(value, tuple) else (value,)
    values = values * count if len(values) == 1 else values
    if len(values) != count:
        raise TypeFault("TRX0405", f"`{op}` has {len(values)} values of `{setting}` for {count} spatial axes")
    return tuple(_whole(op, setting, item, least) for item in values)


def _whole(op: str, setting: str, value: Attribute, least: int) -> Dim:
    if isinstance(value, bool) or not isinstance(value, int | Dim):
        raise TypeFault("TRX0405", f"`{setting}` of `{op}` must be a whole number, not {value!r}")
    size = dim(value)
    if size.value is not None and size.value < least:
        raise TypeFault("TRX0405", f"`{setting}` of `{op}` is {size}, and must be at least {least}")
    return size


def read_padding(op: str, value: Attribute, count: int, words: Sequence[str]) -> Padding:
    """The padding as one of `words`, or as a pair an axis.

    Raises:
        TypeFault: TRX0405, it is neither.
    """
    if isinstance(value, str):
        if value not in words:
            known = ", ".join(f'"{word}"' for word in words)
            raise TypeFault(
                "TRX0405", f'`{op}` knows no padding "{value}"', helps=[f"padding is {known}, or whole numbers"]
            )
        return value
    if isinstance(value, tuple) and any(isinstance(item, tuple) for item in value):
        pairs = value * count if len(value) == 1 else value
        if len(pairs) != count or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs):
            raise TypeFault("TRX0405", f"`padding` of `{op}` must be one (before, after) pair for each of {count} axes")
        sides = [per_axis(op, "padding", pair, 2, least=0) for pair in pairs]
        return tuple((before, after) for before, after in sides)
    return tuple((places, places) for places in per_axis(op, "padding", value, count, least=0))


class Windows(Frozen):
    """Windows over the spatial axes: their sizes, the steps between them and between their elements, the padding."""

    sizes: tuple[Dim, ...]
    strides: tuple[Dim, ...]
    dilation: tuple[Dim, ...]
    padding: Padding

    @property
    def spans(self) -> tuple[Dim, ...]:
        """How many places a window reaches over along each axis: (size - 1) * dilation + 1."""
        return tuple((size - 1) * step + 1 for size, step in zip(self.sizes, self.dilation, strict=True))

    def outer_axes(self, op: str, x: TensorType) -> tuple[Axis, ...]:
        """The spatial axes of the result; one whose size stays is the operand's, with its name.

        Raises:
            TypeFault: TRX0204, a window is longer than its axis.
        """
        return tuple(self._outer_axis(op, x, at) for at in range(len(self.sizes)))

    def _outer_axis(self, op: str, x: TensorType, at: int) -> Axis:
        inner, stride, span = x.axes[1 + at], self.strides[at], self.spans[at]
        if self.padding in ("same", "causal"):
            size = inner.size if stride.value == 1 else (inner.size + stride - 1) // stride
        else:
            before, after = (dim(0), dim(0)) if isinstance(self.padding, str) else self.padding[at]
            size = (inner.size + before + after - span) // stride + 1
        if size.value is not None and size.value < 1:
            message = f"the window of `{op}` reaches over {span} places, and {inner.label} has fewer"
            helps = ['padding = "same" lets windows reach over the edge'] if self.padding == "valid" else []
            raise TypeFault("TRX0204", message, operand=0, label=f"is {x.show()}", helps=helps)
        return inner if size == inner.size else Axis(size)

    def along(self, axis: int) -> Along | None:
        """How windows run along a spatial axis (from 1), where they move in steps of one and reach back only."""
        at = axis - 1
        reach = (self.spans[at] - 1).value
        if self.strides[at].value != 1 or reach is None:
            return None
        pair = None if isinstance(self.padding, str) else self.padding[at]
        back = self.padding == "causal" or reach == 0 or (pair is not None and pair == (dim(reach), dim(0)))
        return Along(axis, reach) if back and (pair is None or pair[1] == dim(0) == pair[0] - reach) else None

    def padding_text(self, scope: Scope, *, whole: bool = False) -> str:
        """The padding as `jax.lax` takes it; `whole` names the batch and channel axes, too."""
        if self.padding in ("same", "valid"):
            return f'"{str(self.padding).upper()}"'
        pairs = [(span - 1, dim(0)) for span in self.spans] if isinstance(self.padding, str) else list(self.padding)
        pairs = [(dim(0), dim(0)), *pairs, (dim(0), dim(0))] if whole else pairs
        return pairs_text(pairs, scope)

    def patches(self, x: Array, fill: float) -> Iterator[tuple[tuple[int, ...], Array]]:
        """For each offset in the window, the element there of every window: [batch, windows…, channels]."""
        spans, strides, steps = whole_numbers(self.spans), whole_numbers(self.strides), whole_numbers(self.dilation)
        lengths = x.shape[1:-1]
        widths = [self._width(at, lengths[at], spans[at], strides[at]) for at in range(len(spans))]
        padded = np.pad(x, [(0, 0), *widths, (0, 0)], constant_values=fill)
        for offset in itertools.product(*map(range, whole_numbers(self.sizes))):
            starts = [o * step for o, step in zip(offset, steps, strict=True)]
            ends = [start + padded.shape[1 + at] - spans[at] + 1 for at, start in enumerate(starts)]
            places = [slice(start, end, stride) for start, end, stride in zip(starts, ends, strides, strict=True)]
            yield offset, padded[(slice(None), *places)]

    def _width(self, at: int, length: int, span: int, stride: int) -> tuple[int, int]:
        if self.padding == "causal":
            return (span - 1, 0)
        if self.padding == "same":
            missing = max((-(-length // stride) - 1) * stride + span - length, 0)
            return (missing // 2, missing - missing // 2)
        if isinstance(self.padding, str):
            return (0, 0)
        before, after = whole_numbers(self.padding[at])
        return (before, after)


def whole_numbers(sizes: Sequence[Dim]) -> tuple[int, ...]:
    """Sizes that are known, as ints."""
    return tuple(size.evaluate({}) for size in sizes)


def sizes_text(sizes: Sequence[Dim], scope: Scope) -> str:
    """Sizes as a Python tuple."""
    return tuple_text([scope.size(size) for size in sizes])


def pairs_text(pairs: Sequence[Pair], scope: Scope) -> str:
    """Pairs of sizes as a Python tuple of tuples."""
    return tuple_text([f"({scope.size(before)}, {scope.size(after)})" for before, after in pairs])


def tuple_text(items: Sequence[str]) -> str:
    """Python expressions as a tuple."""
    return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"


def spatial_axes(op: str, use: Instance) -> int:
    """How many spatial axes operand 0 has: those between the batch and the channels.

    Raises:
        TypeFault: TRX0205, there are none or more than three.
    """
    x = use.operands[0]
    if not 1 <= x.rank - 2 <= len(SPATIAL):
        raise TypeFault(
            "TRX0205",
            f"`{op}` needs 1 to {len(SPATIAL)} spatial axes between batch and channels: [batch, spatial…, channels]",
            operand=0,
            label=f"is {x.show()}",
        )
    return x.rank - 2
