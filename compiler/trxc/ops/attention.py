"""Softmax attention as one op, with and without dropout on its weights; a pass makes them, users write the parts.

Both are emitted as `softmax_attention` of the prelude (:mod:`trxc.emit.prelude_attention`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from ..dims import Dim
from ..types import BOOL, Axis, TensorType
from .arrays import Array, np, numpy_function
from .definition import (
    Environment,
    Example,
    Instance,
    OpDefinition,
    Operand,
    Sample,
    Scope,
    Setting,
    TypeFault,
    broadcast_axes,
)
from .movement import not_divisible, sized
from .random import check_share

Given = TypeVar("Given")

Q, K, V = Sample((2, 4, 2, 3)), Sample((2, 5, 2, 3)), Sample((2, 5, 2, 6))
FEW = Sample((2, 5, 1, 3))
PADDED = Sample((2, 1, 1, 5), "bool", values=[[[[True, True, False, True, False]]], [[[False] * 5]]])
EVERY_KEY = {"scale": 0.5, "causal": False, "window": None, "fill": float("-inf"), "masked": False, "biased": False}


def scores_axes(q: TensorType, k: TensorType) -> tuple[Axis, ...]:
    """The axes of the scores: [..lead, heads, queries, keys]."""
    return (*q.axes[:-3], q.axes[-2], q.axes[-3], k.axes[-3])


class Attention(OpDefinition):
    """`attention(q, k, v, mask, bias)`: softmax(q·k * scale + bias) times v, for each head.

    q is [..lead, queries, heads, head], k [..lead, keys, kv_heads, head], v the same with a last dim of its own, and
    the result [..lead, queries, heads, v_head]. Query head h uses head h // (heads / kv_heads) of k and v (grouped
    heads, https://arxiv.org/abs/2305.13245).

    The optional mask (there if `masked`) and bias (there if `biased`) broadcast to [..lead, heads, queries, keys]. A
    score is replaced by `fill` where the mask is false. With `causal`, query i sees keys up to i + keys - queries only,
    and with a `window` as well, only the last `window` of these; other scores are -inf, whatever the mask. Where all
    scores of a query are -inf, its result is nan. The softmax is computed in f32 for 16-bit operands.
    """

    name = "attention"
    dear = True
    public = False
    slots = (
        *(Operand("q", "float"), Operand("k", "float"), Operand("v", "float")),
        *(Operand("mask", "bool", optional=True), Operand("bias", "float", optional=True)),
        *(
            Setting("scale", "number"),
            Setting("causal", "bool"),
            Setting("window", "number"),
            Setting("fill", "number"),
        ),
        *(Setting("masked", "bool"), Setting("biased", "bool")),
    )
    examples = (
        Example((Q, K, V), EVERY_KEY),
        Example((Q, K, V), {**EVERY_KEY, "causal": True}),
        Example((Sample((4, 4, 3)), Sample((4, 2, 3)), Sample((4, 2, 3))), {**EVERY_KEY, "causal": True, "window": 2}),
        Example((Q, FEW, FEW, PADDED), {**EVERY_KEY, "masked": True, "fill": -6e4}),
        Example((Q, K, V, Sample((2, 4, 5))), {**EVERY_KEY, "biased": True, "causal": True}),
        Example((Q, FEW, FEW, PADDED, Sample((5,))), {**EVERY_KEY, "masked": True, "biased": True, "fill": -1.0}),
        Example((Sample((66, 1, 2)), Sample((66, 1, 2)), Sample((66, 1, 2))), {**EVERY_KEY, "causal": True}),
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The axes of q, with the last of v."""
        q, k, v = use.operands[:3]
        if q.rank < 3 or not q.rank == k.rank == v.rank:
            shown = ", ".join(x.show() for x in (q, k, v))
            raise TypeFault("TRX0205", f"`attention` takes [.., positions, heads, head] three times, not {shown}")
        agreed = ((q, k, q.rank - 1), (k, v, k.rank - 2), (k, v, k.rank - 3), *((q, k, at) for at in range(q.rank - 3)))
        for one, other, at in (*agreed, *((k, v, at) for at in range(q.rank - 3))):
            if one.axes[at].size != other.axes[at].size:
                raise TypeFault("TRX0204", f"{sized(one, at)} here and {other.axes[at].label} there in `attention`")
        if not use.divides(q.axes[-2].size, k.axes[-2].size):
            raise not_divisible(q, q.rank - 2, k.axes[-2].size, "heads share those of keys")
        self._check_rules(use)
        return (q.with_axes((*q.axes[:-1], v.axes[-1])),)

    def _check_rules(self, use: Instance) -> None:
        q, k = use.operands[:2]
        window = use.attributes["window"]
        if window is not None and not (isinstance(window, int) and window > 0 and use.attributes.flag("causal")):
            raise TypeFault("TRX0405", f"a `window` is 1 or more and causal, not {window!r}")
        mask, bias = optional_operands(use, use.operands)
        if mask is not None and mask.dtype != BOOL:
            raise TypeFault("TRX0206", f"a mask is of bools, not of {mask.dtype}", operand=3)
        scores = q.with_axes(scores_axes(q, k))
        for extra in (mask, bias):
            if extra is not None and TensorType(q.dtype, broadcast_axes((scores, extra))).sizes != scores.sizes:
                raise TypeFault("TRX0204", f"{extra.show()} does not broadcast to the scores, {scores.show()}")

    def flops(self, use: Instance) -> Dim:
        """Two products and the softmax over the pairs of queries and keys that `causal` and `window` leave."""
        q, k, v = use.operands[:3]
        queries, keys = q.axes[-3].size, k.axes[-3].size
        pairs = queries * keys
        if use.attributes["window"] is not None:
            pairs = queries * use.attributes.int_("window")
        elif use.attributes.flag("causal"):
            pairs = pairs - (queries * (queries - 1)).divided_by(2)
        each = (q.axes[-1].size + v.axes[-1].size) * 2 + 8
        return q.elements.divided_by(q.axes[-1].size).divided_by(queries) * pairs * each

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`softmax_attention` of the prelude, with what is not as usual."""
        attributes = use.attributes
        mask, bias = optional_operands(use, operands)
        given = [*operands[:3], *([f"mask={mask}"] if mask else []), *([f"bias={bias}"] if bias else [])]
        given.append(f"scale={attributes.number('scale')!r}")
        if attributes.flag("causal"):
            given.append("causal=True")
        if attributes["window"] is not None:
            given.append(f"window={attributes.int_('window')}")
        if mask and attributes.number("fill") != float("-inf"):
            given.append(f"fill={attributes.number('fill')!r}")
        return f"{scope.prelude('softmax_attention')}({', '.join([*given, *self._dropped(use, scope)])})"

    def _dropped(self, use: Instance, scope: Scope) -> list[str]:
        return []

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """By the definition."""
        q, k, v = operands[:3]
        shared = q.shape[-2] // k.shape[-2]
        k, v = np.repeat(k, shared, axis=-2), np.repeat(v, shared, axis=-2)
        scores = np.einsum("...qhe,...khe->...hqk", q, k) * use.attributes.number("scale")
        mask, bias = optional_operands(use, operands)
        scores = scores if bias is None else scores + bias
        scores = scores if mask is None else np.where(mask, scores, use.attributes.number("fill"))
        scores = np.where(self.seen(use, operands), scores, -np.inf)
        weights = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
        weights = self._kept(use, weights / np.sum(weights, axis=-1, keepdims=True), env)
        return np.einsum("...hqk,...khe->...qhe", weights, v)

    def seen(self, use: Instance, operands: Sequence[Array]) -> Array:
        """Which query may look at which key, as far as `causal` and `window` say."""
        queries, keys = operands[0].shape[-3], operands[1].shape[-3]
        arange = numpy_function("arange")  # its annotations leave the dtype open
        query: Array = arange(keys - queries, keys)
        key: Array = arange(keys)
        age = np.asarray(np.reshape(query, (-1, 1)) - key)
        window = use.attributes["window"]
        if not use.attributes.flag("causal"):
            return np.ones((queries, keys), np.bool_)
        near = keys if window is None else use.attributes.int_("window")
        return np.asarray((age >= 0) & (age < near), np.bool_)

    def _kept(self, use: Instance, weights: Array, env: Environment) -> Array:
        return weights


def optional_operands(use: Instance, operands: Sequence[Given]) -> tuple[Given | None, Given | None]:
    """Mask and bias, of operands or what stands for them."""
    rest = list(operands[3:])
    mask = rest.pop(0) if use.attributes.flag("masked") else None
    return mask, (rest.pop(0) if use.attributes.flag("biased") else None)


class AttentionDropout(Attention):
    """`attention` with dropout on the weights: each is 0 with probability `rate`, else divided by 1 - rate.

    As `dropout(softmax(...))` between the two products.
    """

    name = "attention_dropout"
    random = True
    slots = (*Attention.slots, Setting("rate", "number"))
    examples = (
        Example((Q, K, V), {**EVERY_KEY, "rate": 0.25, "path": ("dropout",)}),
        Example((Q, FEW, FEW), {**EVERY_KEY, "causal": True, "rate": 0.5, "path": ("dropout",)}),
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """As of `attention`."""
        check_share(self.name, "rate", use.attributes.number("rate"), below_one=True)
        return super().infer(use)

    def _dropped(self, use: Instance, scope: Scope) -> list[str]:
        rate = use.attributes.number("rate")
        return [f"rate={rate!r}", f"key={scope.key()}"] if rate else []

    def _kept(self, use: Instance, weights: Array, env: Environment) -> Array:
        rate = use.attributes.number("rate")
        return np.where(env.rng.random(weights.shape) >= rate, weights / (1 - rate), 0.0)


OPS: tuple[OpDefinition, ...] = (Attention(), AttentionDropout())
