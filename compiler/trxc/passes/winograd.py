"""Has convolutions with 3x3 kernels take 16 products for four places, where the definition takes 36.

Before::

    %1: f32[batch, 16, 16, 128] = conv(%0, w) {stride=1, padding="same", dilation=1, groups=1}

After::

    %1: f32[batch, 16, 16, 128] = winograd_conv(%0, w) {padding="same"}

The sums that save products take time and memory, which pays from some number of channels on: it is a choice of the
target, as is whether there is any (:mod:`trxc.emit.prelude_convolution` has the method and what it brings). Only f32
has it: the sums of windows would round 16 bits once more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..ir import Module, Op
from ..ops import Attributes, Instance
from ..ops.convolution import winograd_padding
from ..plan.sharding import Rules, spec_of
from ..plan.targets import DEFAULT, TARGETS, Target
from ..types import F32
from .base import Pass, Remarks

LARGEST = 2**20
"""Up to how many numbers one image's maps may have, of which sums are four times as many: a batch of 32 images needs
512 MB then, while one convolution is computed."""


@dataclass(frozen=True)
class WinogradConvolutions(Pass):
    """Makes `winograd_conv` of them where the target says that it pays, and no rule splits what the sums are over."""

    name: ClassVar[str] = "winograd-convolutions"
    rules: Rules = ()
    target: Target = TARGETS[DEFAULT]

    def run(self, module: Module, remarks: Remarks) -> None:
        """Looks at every convolution."""
        if not self.target.winograd_channels:
            return
        for function in module.functions.values():
            for op in function.body.walk():
                if op.kind == "conv" and self._pays(op):
                    op.kind = "winograd_conv"
                    op.attributes = {"padding": op.attributes["padding"]}
                    remarks.done(self.name, "the 3x3 kernels take 16 products for 4 places, not 36 (Winograd)", op.span)

    def _pays(self, op: Op) -> bool:
        types = [value.type for value in (*op.operands, op.result)]
        if any(type_.dtype != F32 for type_ in types) or not _is_plain(op):
            return False
        _, w, y = types
        channels = [size.value or 0 for size in w.sizes[-2:]]
        places = (y.sizes[1] * y.sizes[2]).value
        if min(channels) < self.target.winograd_channels or places is None or places * max(channels) > LARGEST:
            return False
        return not any(split for type_ in types for split in spec_of(type_.axes, self.rules)[1:])


def _is_plain(op: Op) -> bool:
    """Whether kernels are 3x3, in steps of one, of all channels."""
    use = Instance(tuple(value.type for value in op.operands), Attributes(op.attributes), (op.result.type,))
    return winograd_padding(use) is not None
