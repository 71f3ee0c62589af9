"""Convolutions, channels last: x[batch, spatial…, in] with w[kernel…, in / groups, out]."""

from __future__ import annotations

from collections.abc import Sequence

from ..dims import Dim, dim, product
from ..types import Axis, DType, TensorType, promote
from .arrays import Array, np
from .definition import (
    Along,
    Environment,
    Example,
    Instance,
    OpDefinition,
    Operand,
    Sample,
    Scope,
    Setting,
    TypeFault,
)
from .windows import (
    SPATIAL,
    Windows,
    per_axis,
    read_padding,
    sizes_text,
    spatial_axes,
    tuple_text,
    whole_numbers,
)


def windows_of(op: str, use: Instance, words: Sequence[str]) -> Windows:
    """The windows of a use whose ranks have been checked."""
    kernel = use.operands[1].sizes[:-2]
    count, attributes = len(kernel), use.attributes
    return Windows(
        kernel,
        per_axis(op, "stride", attributes["stride"], count),
        per_axis(op, "dilation", attributes["dilation"], count),
        read_padding(op, attributes["padding"], count, words),
    )


def _check_ranks(op: str, use: Instance) -> None:
    x, w = use.operands
    spatial_axes(op, use)
    if w.rank != x.rank:
        raise TypeFault(
            "TRX0205",
            f"`{op}` over {x.rank - 2} spatial axes needs a kernel of rank {x.rank}, [kernel…, in, out], not {w.rank}",
            operand=1,
            label=f"is {w.show()}",
            labels=[(0, f"is {x.show()}")],
        )


def _check_channels(op: str, use: Instance, groups: Dim) -> None:
    x, w = use.operands
    given, taken = x.axes[-1], w.axes[-2]
    if given.size != taken.size * groups:
        share = "" if groups.value == 1 else f" in each of {groups} groups"
        raise TypeFault(
            "TRX0204",
            f"the kernel of `{op}` takes {taken.label} channels{share}, and there are {given.label}",
            operand=1,
            label=f"is {w.show()}",
            labels=[(0, f"is {x.show()}")],
        )
    over = (w.axes[-1].size % groups).value
    if over:
        message = f"the {w.axes[-1].label} channels that `{op}` gives cannot be parted into {groups} groups"
        raise TypeFault("TRX0405", message, operand=1, label=f"is {w.show()}")


def _dimension_numbers(count: int) -> str:
    space = SPATIAL[-count:]
    return f'("N{space}C", "{space}IO", "N{space}C")'


def _as_dtype(text: str, given: DType, wanted: DType, scope: Scope) -> str:
    """The operand in the dtype of the result: `jax.lax` promotes nothing by itself."""
    return text if given == wanted else f"{text}.astype({scope.dtype(wanted)})"


class Conv(OpDefinition):
    """`conv(x, w, stride = 1, padding = "same", dilation = 1, groups = 1)`: the kernel `w` slid over `x`.

    `x` is [batch, spatial…, in], `w` is [kernel…, in / groups, out], over 1 to 3 spatial axes; nothing is flipped, as
    in every deep learning library. "causal" padding puts all of it in front, so that no place sees a later one.
    """

    name = "conv"
    product = True
    words = ("same", "valid", "causal")
    slots = (
        Operand("x", "float"),
        Operand("w", "float"),
        Setting("stride", "ints", 1),
        Setting("padding", "padding", "same"),
        Setting("dilation", "ints", 1),
        Setting("groups", "int", 1),
    )
    examples = tuple(
        Example((Sample(x), Sample(w)), {"stride": 1, "padding": "same", "dilation": 1, "groups": 1} | settings)
        for x, w, settings in (
            ((2, 5, 3), (3, 3, 4), {}),
            ((2, 6, 3), (4, 3, 4), {"stride": 2}),
            ((2, 7, 2), (3, 2, 3), {"padding": "causal", "dilation": 2}),
            ((2, 7, 2), (3, 2, 3), {"padding": ((0, 2),), "stride": (3,)}),
            ((1, 5, 4, 2), (3, 2, 2, 3), {}),
            ((1, 6, 5, 2), (3, 3, 2, 3), {"stride": (2, 1), "padding": "valid"}),
            ((1, 6, 5, 2), (3, 3, 2, 3), {"stride": 2, "padding": 1}),
            ((1, 6, 5, 2), (2, 2, 2, 3), {"dilation": (2, 3), "padding": (1, 0)}),
            ((2, 3, 13, 1), (3, 3, 1, 1), {"padding": ((2, 2), (3, 1))}),
            ((2, 7, 2), (3, 2, 3), {"padding": ((4, 1),)}),
            ((2, 7, 2), (1, 2, 3), {"padding": ((2, 0),)}),
            ((2, 5, 3), (1, 3, 4), {}),
            ((2, 5, 4, 3), (1, 1, 3, 2), {"stride": (2, 1)}),
            ((2, 5, 4, 3), (1, 1, 3, 2), {"stride": 3, "padding": "valid"}),
            ((2, 5, 4, 3), (1, 1, 3, 2), {"padding": ((1, 0), (0, 0))}),
            ((1, 3, 4, 4, 2), (1, 1, 1, 2, 2), {"stride": 2, "padding": 0}),
            ((1, 4, 5, 4), (3, 3, 2, 6), {"groups": 2}),
            ((1, 4, 5, 3), (3, 3, 1, 6), {"groups": 3, "stride": 2}),
            ((1, 3, 4, 3, 2), (2, 2, 2, 2, 2), {"padding": "valid"}),
        )
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The batch, the places of the windows, the channels out; an axis whose size changes has no name any more."""
        _check_ranks(self.name, use)
        x, w = use.operands
        windows = windows_of(self.name, use, self.words)
        (groups,) = per_axis(self.name, "groups", use.attributes["groups"], 1)
        _check_channels(self.name, use, groups)
        axes = (x.axes[0], *windows.outer_axes(self.name, x), w.axes[-1])
        return (TensorType(promote(x.dtype, w.dtype), axes),)

    def flops(self, use: Instance) -> Dim:
        """A multiplication and an addition for each weight that an element of the result sees."""
        return use.result.elements * product(use.operands[1].sizes[:-1]) * 2

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """Examples stay apart; along a spatial axis, steps of one that reach back only."""
        if operand or axis == use.operands[0].rank - 1:
            return None
        return Along(axis) if axis == 0 else windows_of(self.name, use, self.words).along(axis)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`jax.lax.conv_general_dilated`; `linear` (of the prelude) of places for a kernel of one.

        A step forward and its gradients ÷ those of XLA's convolution on two cores of an x86-64 server, jax 0.10.2, 8 to
        32 images of 16 to 512 channels: 0.35 to 0.50 in steps of 1, 0.27 to 0.57 in steps of 2.
        """
        windows, dtype = windows_of(self.name, use, self.words), use.result.dtype
        if _is_of_one_place(windows, use):
            steps = ", ".join([":", *("::" + scope.size(stride) for stride in windows.strides)])
            places = operands[0] if all(stride.value == 1 for stride in windows.strides) else f"{operands[0]}[{steps}]"
            return f"{scope.prelude('linear')}({places}, {operands[1]}[{', '.join('0' for _ in windows.sizes)}])"
        x, w = (_as_dtype(o, t.dtype, dtype, scope) for o, t in zip(operands, use.operands, strict=True))
        x, padding = padded_in_front(x, windows, scope)
        arguments = [x, w, f"window_strides={sizes_text(windows.strides, scope)}", f"padding={padding}"]
        if any(step.value != 1 for step in windows.dilation):
            arguments.append(f"rhs_dilation={sizes_text(windows.dilation, scope)}")
        arguments.append(f"dimension_numbers={_dimension_numbers(len(windows.sizes))}")
        (groups,) = per_axis(self.name, "groups", use.attributes["groups"], 1)
        if groups.value != 1:
            arguments.append(f"feature_group_count={scope.size(groups)}")
        return f"jax.lax.conv_general_dilated({', '.join(arguments)})"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """A sum over the offsets in the kernel of products of matrices, group by group."""
        x, w = operands
        groups = use.attributes.int_("groups")
        outs = np.split(w, groups, axis=-1)
        total: Array = np.zeros(())
        for offset, patch in windows_of(self.name, use, self.words).patches(x, 0.0):
            ins = np.split(patch, groups, axis=-1)
            parts = [a @ b[offset] for a, b in zip(ins, outs, strict=True)]
            total = total + np.concatenate(parts, axis=-1)
        return total


def padded_in_front(x: str, windows: Windows, scope: Scope) -> tuple[str, str]:
    """The operand with the padding in front of which whole windows see nothing else, and the padding that remains.

    With such padding, the gradient of the operand is a convolution that has less than none in front. XLA for CPUs
    computes that wrongly: it reads past the ends of rows (openxla/xla#48713, seen with jaxlib 0.10.2).
    """
    if isinstance(windows.padding, str):
        return x, windows.padding_text(scope)
    known = zip(windows.padding, windows.spans, strict=True)
    excess = [dim(0) if before.value == 0 else before - (span - 1) for (before, _), span in known]
    if all(size.value is not None and size.value <= 0 for size in excess):
        return x, windows.padding_text(scope)
    widths = ["(0, 0)", *(f"({_above_zero(size, scope)}, 0)" for size in excess), "(0, 0)"]
    rest: list[str] = []
    for (before, after), size in zip(windows.padding, excess, strict=True):
        less = scope.size(before - size) if size.value is None or size.value > 0 else scope.size(before)
        less = less if size.value is not None else f"min({scope.size(before)}, {less})"
        rest.append(f"({less}, {scope.size(after)})")
    return f"jnp.pad({x}, ({', '.join(widths)}))", tuple_text(rest)


def _above_zero(size: Dim, scope: Scope) -> str:
    """A size as an expression, zero where it is below."""
    return f"max(0, {scope.size(size)})" if size.value is None else str(max(0, size.value))


def _is_of_one_place(windows: Windows, use: Instance) -> bool:
    """Whether a convolution is a product for each place: its kernel has one, and nothing is padded or apart."""
    (groups,) = per_axis(Conv.name, "groups", use.attributes["groups"], 1)
    padded = not isinstance(windows.padding, str) and any(size.value != 0 for pair in windows.padding for size in pair)
    return groups.value == 1 and not padded and all(size.value == 1 for size in windows.sizes)


CONV = Conv()


class ConvTranspose(OpDefinition):
    """`conv_transpose(x, w, stride = 1, padding = "same", dilation = 1)`: a convolution that makes axes longer.

    `stride - 1` zeros are put between the places of `x`[batch, spatial…, in], and `w`[kernel…, in, out] slides over
    that. "same" makes an axis of n places n * stride long, "valid" (n - 1) * stride + span, where span is
    (kernel - 1) * dilation + 1; p places of padding take 2 * p away from that. The kernel is not flipped.
    """

    name = "conv_transpose"
    product = True
    words = ("same", "valid")
    slots = tuple(slot for slot in Conv.slots if slot.name != "groups")
    examples = tuple(
        Example((Sample(x), Sample(w)), {"stride": 2, "padding": "same", "dilation": 1} | settings)
        for x, w, settings in (
            ((2, 4, 3), (3, 3, 2), {}),
            ((2, 4, 3), (4, 3, 2), {"padding": "valid"}),
            ((2, 4, 3), (2, 3, 2), {"stride": 3}),
            ((2, 4, 3), (2, 3, 2), {"stride": 3, "padding": "valid"}),
            ((2, 4, 3), (3, 3, 2), {"stride": 1, "dilation": 2}),
            ((1, 3, 4, 2), (3, 2, 2, 3), {"stride": (2, 1), "padding": ((1, 0), (0, 1))}),
            ((1, 3, 4, 2), (4, 4, 2, 3), {"padding": 1}),
            ((1, 9, 9, 2), (3, 3, 2, 3), {"stride": 1, "padding": ((2, 2), (3, 1))}),
            ((2, 9, 2), (2, 2, 3), {"padding": ((3, 0),)}),
        )
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The batch, longer spatial axes, the channels out."""
        _check_ranks(self.name, use)
        x, w = use.operands
        windows = windows_of(self.name, use, self.words)
        _check_channels(self.name, use, dim(1))
        spatial = [_longer_axis(x, windows, at) for at in range(len(windows.sizes))]
        return (TensorType(promote(x.dtype, w.dtype), (x.axes[0], *spatial, w.axes[-1])),)

    def flops(self, use: Instance) -> Dim:
        """A multiplication and an addition for each weight that an element of the operand meets."""
        x, w = use.operands
        return x.elements * product((*w.sizes[:-2], w.sizes[-1])) * 2

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`jax.lax.conv_transpose`, whose padding is that of the stretched operand.

        Where more is taken away in front than the kernel reaches, the places are dropped afterwards: less padding than
        none in front is what XLA for CPUs computes wrongly (`padded_in_front`).
        """
        windows, dtype = windows_of(self.name, use, self.words), use.result.dtype
        x, w = (_as_dtype(o, t.dtype, dtype, scope) for o, t in zip(operands, use.operands, strict=True))
        if windows.padding == "same":
            padding, dropped = '"SAME"', []
        else:
            pairs = _stretched_padding(windows)
            sides = [(_above_zero(before, scope), scope.size(after)) for before, after in pairs]
            padding = tuple_text([f"({before}, {after})" for before, after in sides])
            dropped = [_above_zero(0 - before, scope) for before, _ in pairs]
        arguments = [x, w, f"strides={sizes_text(windows.strides, scope)}", f"padding={padding}"]
        if any(step.value != 1 for step in windows.dilation):
            arguments.append(f"rhs_dilation={sizes_text(windows.dilation, scope)}")
        arguments.append(f"dimension_numbers={_dimension_numbers(len(windows.sizes))}")
        y = f"jax.lax.conv_transpose({', '.join(arguments)})"
        kept = [":", *(":" if drop == "0" else f"{drop}:" for drop in dropped)]
        return f"{y}[{', '.join(kept)}]" if set(kept) != {":"} else y

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """Zeros between the places, then a convolution."""
        x, w = operands
        windows = windows_of(self.name, use, self.words)
        strides = whole_numbers(windows.strides)
        longer = [(length - 1) * stride + 1 for length, stride in zip(x.shape[1:-1], strides, strict=True)]
        stretched = np.zeros((x.shape[0], *longer, x.shape[-1]))
        stretched[(slice(None), *(slice(None, None, stride) for stride in strides))] = x
        ones = tuple(dim(1) for _ in strides)
        pairs = [whole_numbers(pair) for pair in _stretched_padding(windows)]
        inside = [slice(max(0, -before), min(0, after) or None) for before, after in pairs]
        outside = tuple((dim(max(0, before)), dim(max(0, after))) for before, after in pairs)
        slide = Windows(windows.sizes, ones, windows.dilation, outside)
        patches = slide.patches(stretched[(slice(None), *inside)], 0.0)
        return np.asarray(sum(patch @ w[offset] for offset, patch in patches))


def _longer_axis(x: TensorType, windows: Windows, at: int) -> Axis:
    inner, stride = x.axes[1 + at], windows.strides[at]
    if windows.padding == "same":
        size = inner.size * stride
    else:
        taken = dim(0) if isinstance(windows.padding, str) else windows.padding[at][0] + windows.padding[at][1]
        size = (inner.size - 1) * stride + windows.spans[at] - taken
    if size.value is not None and size.value < 1:
        message = f"the padding of `conv_transpose` takes all of {inner.label} away"
        raise TypeFault("TRX0405", message, operand=0, label=f"is {x.show()}")
    return inner if size == inner.size else Axis(size)


def _stretched_padding(windows: Windows) -> list[tuple[Dim, Dim]]:
    """The padding of the stretched operand, for which the kernel's own reach less ours is padded."""
    if windows.padding == "same":
        known = zip(whole_numbers(windows.spans), whole_numbers(windows.strides), strict=True)
        return [_same_padding(span, stride) for span, stride in known]
    if isinstance(windows.padding, str):
        return [(span - 1, span - 1) for span in windows.spans]
    taken = zip(windows.spans, windows.padding, strict=True)
    return [(span - 1 - before, span - 1 - after) for span, (before, after) in taken]


def _same_padding(span: int, stride: int) -> tuple[Dim, Dim]:
    total = span + stride - 2
    before = span - 1 if stride > span - 1 else -(-total // 2)
    return (dim(before), dim(total - before))


OPS: tuple[OpDefinition, ...] = (CONV, ConvTranspose())
