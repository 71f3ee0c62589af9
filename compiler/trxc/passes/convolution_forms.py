"""Writes convolutions in the forms that are fast on the target.

Before::

    %1: f32[batch, 16, 16, 128] = conv(%0, w) {stride=1, padding="same", dilation=1, groups=1}
    %2: f32[batch, 8, 8, 256] = conv(%1, w_2) {stride=2, padding="same", dilation=1, groups=1}

After::

    %1: f32[batch, 16, 16, 128] = winograd_conv(%0, w) {padding="same"}
    %2: f32[batch, 8, 8, 256] = strided_conv(%1, w_2) {stride=2, padding="same"}

The first takes 16 products for four places, where the definition takes 36; the second has the gradient of its kernel as
one product of two matrices. The sums and copies that this needs take time and memory, which pays from some number of
channels on: it is a choice of the target, as is whether there is any (:mod:`trxc.emit.prelude_convolution` has the
methods and what they bring). Only f32 has the first: the sums of windows would round 16 bits once more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..ir import Module, Op
from ..ops import Attributes, Instance
from ..ops.convolution_forms import is_strided, winograd_padding
from ..plan.sharding import Rules, spec_of
from ..plan.targets import DEFAULT, TARGETS, Target
from ..types import F32
from .base import Pass, Remarks

LARGEST = 2**20
"""Up to how many numbers one image's maps may have, of which sums are four times as many: a batch of 32 images needs
512 MB then, while one convolution is computed."""


@dataclass(frozen=True)
class ConvolutionForms(Pass):
    """Makes `winograd_conv` and `strided_conv` where the target says that they pay, and no rule splits sums."""

    name: ClassVar[str] = "convolution-forms"
    rules: Rules = ()
    target: Target = TARGETS[DEFAULT]

    def run(self, module: Module, remarks: Remarks) -> None:
        """Looks at every convolution."""
        for function in module.functions.values():
            for op in function.body.walk():
                if op.kind != "conv" or self._is_split(op):
                    continue
                if self._is_winograd(op):
                    _becomes(op, "winograd_conv", "padding")
                    remarks.done(self.name, "the 3x3 kernels take 16 products for 4 places, not 36 (Winograd)", op.span)
                elif self._has_columns(op):
                    _becomes(op, "strided_conv", "stride", "padding")
                    remarks.done(self.name, "the gradient of the kernel is one product with its windows", op.span)

    def _is_split(self, op: Op) -> bool:
        """Whether a rule splits more than the images."""
        types = [value.type for value in (*op.operands, op.result)]
        return any(split for type_ in types for split in spec_of(type_.axes, self.rules)[1:])

    def _is_winograd(self, op: Op) -> bool:
        dtypes = {value.type.dtype for value in (*op.operands, op.result)}
        if dtypes != {F32} or winograd_padding(_use(op)) is None:
            return False
        channels = [size.value or 0 for size in op.operands[1].type.sizes[-2:]]
        places = (op.result.type.sizes[1] * op.result.type.sizes[2]).value
        least = self.target.winograd_channels
        return 0 < least <= min(channels) and places is not None and places * max(channels) <= LARGEST

    def _has_columns(self, op: Op) -> bool:
        dtypes = {value.type.dtype for value in (*op.operands, op.result)}
        least, ins = self.target.strided_channels, op.operands[1].type.sizes[-2].value or 0
        return 0 < least <= ins and len(dtypes) == 1 and is_strided(_use(op))


def _use(op: Op) -> Instance:
    return Instance(tuple(value.type for value in op.operands), Attributes(op.attributes), (op.result.type,))


def _becomes(op: Op, kind: str, *kept: str) -> None:
    op.kind, op.attributes = kind, {name: op.attributes[name] for name in kept}
