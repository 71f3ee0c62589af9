"""Writes the op that a projection and its cross-entropy become, with the weight of each token as a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..ir import Attribute, Op, Value
from ..ops.definition import broadcast_axes
from ..ops.losses import loss_dtype
from ..source import Span
from ..types import BOOL, DType, TensorType
from .heads import Head
from .loss_terms import CrossEntropy, Factor


def write_loss(
    loss: CrossEntropy, head: Head, block: int, split: Sequence[str], span: Span | None
) -> tuple[list[Op], Value]:
    """The ops that compute what a loss's `result` is, and their result.

    Args:
        loss: the cross-entropy.
        head: the projection.
        block: about how many logits there may be at a time.
        split: the axes of the mesh that the first dim of the tokens is split over.
        span: where the new ops come from.
    """
    writer = _Writer(span)
    wanted = loss.reduction.result.type
    total = TensorType(loss_dtype(head.x.type.dtype))
    weights = writer.weights(loss, total.dtype)
    operands = [head.x, head.w, loss.targets, weights, head.bias]
    attributes: dict[str, Attribute] = {
        "biased": head.bias is not None,
        "mean": loss.mean,
        "transposed": head.transposed,
        "smoothing": loss.smoothing,
        "z_loss": loss.z_loss,
        "block": block,
        "split": " ".join(split),
    }
    result = writer.op("linear_cross_entropy", [v for v in operands if v is not None], total, **attributes)
    result = writer.cast(result, wanted.dtype)
    if loss.scale == -1:
        result = writer.op("negate", [result], wanted)
    elif loss.scale != 1:
        result = writer.op("multiply", [result, writer.op("constant", [], wanted, value=loss.scale)], wanted)
    return writer.ops, result


@dataclass
class _Writer:
    """New ops, one after the other."""

    span: Span | None
    ops: list[Op] = field(default_factory=list[Op])

    def op(self, kind: str, operands: Sequence[Value], result: TensorType, **attributes: Attribute) -> Value:
        """The result of a new op."""
        self.ops.append(Op(kind, list(operands), attributes, [Value(result)], span=self.span))
        return self.ops[-1].result

    def cast(self, value: Value, dtype: DType) -> Value:
        """A value in a dtype."""
        if value.type.dtype == dtype:
            return value
        return self.op("cast", [value], value.type.with_dtype(dtype), dtype=dtype)

    def weights(self, loss: CrossEntropy, dtype: DType) -> Value | None:
        """How much each token counts; None where all do, once."""
        factors = list(loss.factors)
        if loss.hot:
            factors.append(("where", self._inside(loss)))
        product: Value | None = None
        for factor in factors:
            product = self._times(product, factor, dtype)
        if product is None or product.type.sizes == loss.targets.type.sizes:
            return product
        axes = loss.targets.type.axes
        sizes = tuple((axis.size, axis.name) for axis in axes)
        return self.op("broadcast", [product], TensorType(dtype, axes), sizes=sizes)

    def _times(self, product: Value | None, factor: Factor, dtype: DType) -> Value:
        """What there is so far, times one more factor."""
        kind, value = factor
        if kind == "where_not":
            value = self.op("logical_not", [value], value.type)
        value = self.cast(value, dtype)
        if kind == "over":
            product = product or self.op("constant", [], TensorType(dtype), value=1.0)
        if product is None:
            return value
        type_ = TensorType(dtype, broadcast_axes((product.type, value.type)))
        return self.op("divide" if kind == "over" else "multiply", [product, value], type_)

    def _inside(self, loss: CrossEntropy) -> Value:
        """Whether each target is one of the classes: `one_hot` has no mark for others."""
        targets = loss.targets
        scalar = TensorType(targets.type.dtype)
        truth = targets.type.with_dtype(BOOL)
        low = self.op("greater_equal", [targets, self.op("constant", [], scalar, value=0)], truth)
        high = self.op("less", [targets, self.op("constant", [], scalar, value=loss.classes)], truth)
        return self.op("logical_and", [low, high], truth)
