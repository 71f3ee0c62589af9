"""Losses together with the projection before them: what no value of the program holds, no device must."""

from __future__ import annotations

from collections.abc import Sequence

from ..dims import Dim
from ..ir import Attribute
from ..types import F32, DType, TensorType
from .arrays import Array, np
from .definition import Environment, Example, Instance, OpDefinition, Operand, Sample, Scope, Setting, TypeFault

PLAIN: dict[str, Attribute] = {
    "biased": False,
    "mean": True,
    "transposed": False,
    "smoothing": 0.0,
    "z_loss": 0.0,
    "block": 15,
    "split": "",
}
WEIGHTS = Sample((7,), values=[0, 1, 0.5, 0, 2, -1, 0])


class LinearCrossEntropy(OpDefinition):
    """`linear_cross_entropy(x, w, targets, weights, bias)`: the sum of weight * cross-entropy over all tokens.

    The logits of a token are `x @ w + bias`, for `x`[lead…, d] and `w`[d, vocab], or [vocab, d] where `transposed`. Its
    loss is that of `token_losses` in the library::

        log(sum(exp(logits))) - (1 - smoothing) * logits[target] - smoothing * mean(logits)
            + z_loss * log(sum(exp(logits)))^2

    A target outside the classes is the nearest of them. `weights`[lead…] may be left out: all are 1 then. With `mean`,
    the sum is divided by the number of tokens. A token of weight 0 adds nothing, even if its loss is no finite number.
    `bias`[vocab] is there if `biased` says so. Products are in the dtype of `x` and add up in f32 or more, in which all
    else is computed. The logits are computed in blocks of tokens that have about `block` of them. `split` are the axes
    of the mesh, apart by spaces, over which the first dim is split.
    """

    name = "linear_cross_entropy"
    public = False
    slots = (
        Operand("x", "float"),
        Operand("w", "float"),
        Operand("targets", "int"),
        Operand("weights", "float", optional=True),
        Operand("bias", "float", optional=True),
        Setting("biased", "bool", False),
        Setting("mean", "bool", True),
        Setting("transposed", "bool", False),
        Setting("smoothing", "number", 0.0),
        Setting("z_loss", "number", 0.0),
        Setting("block", "int"),
        Setting("split", "string", ""),
    )
    examples = tuple(
        Example((Sample(x), Sample(w), Sample(x[:-1], "int", -1, 7), *more), PLAIN | settings)
        for x, w, more, settings in (
            ((2, 4, 3), (3, 6), (), {}),
            ((2, 4, 3), (6, 3), (), {"transposed": True, "smoothing": 0.1, "z_loss": 0.01}),
            ((2, 7, 3), (3, 5), (Sample((2, 7)), Sample((5,))), {"biased": True, "smoothing": 0.3}),
            ((7, 3), (3, 6), (Sample((6,)),), {"biased": True, "mean": False, "block": 1000}),
            ((7, 3), (3, 5), (WEIGHTS,), {"mean": False, "z_loss": 0.1, "block": 1}),
        )
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """A scalar: a float where `x` is one of the precision of the run, else of 32 bits or more."""
        x, w, targets = use.operands[:3]
        if x.rank < 2 or w.rank != 2:
            raise TypeFault("TRX0205", f"`{self.name}` takes tokens and a matrix, not {x.show()} and {w.show()}")
        inner, vocab = _inner_and_vocab(use)
        wanted = [(x.sizes[-1], inner), *zip(x.sizes[:-1], targets.sizes, strict=False)]
        weights, bias = _optional(use)
        if weights is not None:
            wanted += zip(targets.sizes, weights.sizes, strict=False)
        if bias is not None:
            wanted += [(vocab, size) for size in bias.sizes]
        ranks = [targets.rank, *([weights.rank] if weights is not None else [])]
        fits = all(rank == x.rank - 1 for rank in ranks) and (bias is None or bias.rank == 1)
        if not fits or any(left != right for left, right in wanted):
            raise TypeFault("TRX0204", f"the operands of `{self.name}` do not line up")
        return (TensorType(loss_dtype(x.dtype)),)

    def flops(self, use: Instance) -> Dim:
        """The product with `w`, and 8 an element of the logits, as `log_softmax`."""
        logits = use.operands[2].elements * _inner_and_vocab(use)[1]
        return logits * use.operands[0].sizes[-1] * 2 + logits * 8

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """The function of the prelude."""
        attributes, names = use.attributes, list(operands[:3])
        weights, bias = _optional(use)
        if weights is not None:
            names.append(operands[3])
        if bias is not None:
            names.append(f"bias={operands[-1]}")
        names += [f'form="{"vd" if attributes.flag("transposed") else "dv"}"', f"block={attributes.int_('block')}"]
        names += [] if attributes.flag("mean") else ["mean=False"]
        names += [f"{name}={attributes.number(name)!r}" for name in ("smoothing", "z_loss") if attributes.number(name)]
        names += [f"split={tuple(split)}"] if (split := attributes.text("split").split()) else []
        return f"{scope.prelude(self.name)}({', '.join(names)})"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """By the definition, with all logits at once."""
        attributes = use.attributes
        x, w, targets = operands[:3]
        weights, bias = _optional(use)
        logits = x @ (w.T if attributes.flag("transposed") else w)
        logits = logits if bias is None else logits + operands[-1]
        smoothing, z_loss = attributes.number("smoothing"), attributes.number("z_loss")
        right = np.take_along_axis(logits, np.clip(targets, 0, logits.shape[-1] - 1)[..., None], axis=-1)[..., 0]
        normaliser = np.logaddexp.reduce(logits, axis=-1)
        losses = normaliser - (1 - smoothing) * right + z_loss * normaliser**2
        losses = losses - smoothing * np.mean(logits, axis=-1) if smoothing else losses
        if weights is not None:
            losses = np.where(operands[3] == 0, 0.0, operands[3] * losses)
        return np.asarray(np.mean(losses) if attributes.flag("mean") else np.sum(losses))


def loss_dtype(dtype: DType) -> DType:
    """The dtype of the loss for products in `dtype`: at least 32 bits."""
    return F32 if 0 < dtype.bits < 32 else dtype


def _inner_and_vocab(use: Instance) -> tuple[Dim, Dim]:
    rows, columns = use.operands[1].sizes
    return (columns, rows) if use.attributes.flag("transposed") else (rows, columns)


def _optional(use: Instance) -> tuple[TensorType | None, TensorType | None]:
    """The types of the weights and of the bias, where they are given."""
    more = list(use.operands[3:])
    bias = more.pop() if use.attributes.flag("biased") else None
    return (more[0] if more else None), bias


OPS: tuple[OpDefinition, ...] = (LinearCrossEntropy(),)
