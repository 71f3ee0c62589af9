"""Reads a cross-entropy, however it is written, as a sum of five terms of the logits, and finds where it is reduced.

For one token, every way to write it is ``a * logits[target] + b * mean(logits) + c * n + e * n^2`` with the normaliser
``n = logsumexp(logits)``, times weights that do not depend on the logits. As `log_softmax(x)` is ``x - n``, terms of
its result are terms of these. It is a cross-entropy where ``a + b + c = 0``: with smoothing ``-b / c``, and e / c
times the squared normaliser. A target outside the classes is the nearest one in all of them but `one_hot`, where it is
no class at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from ..ir import Op, Region, Value
from ..ir.walk import captures
from ..types import TensorType

Part = Literal["right", "hot", "mean", "normaliser", "square"]
Factor: TypeAlias = "tuple[Literal['times', 'over', 'where', 'where_not'], Value]"
"""What the loss of each token is multiplied with: a number, one over it, or 1 or 0 for a truth value."""


class UnlikeError(Exception):
    """A loss cannot be computed in blocks, or (`near`) would not gain by it; the message says why, for the user."""

    def __init__(self, message: str, *, near: bool = False) -> None:
        super().__init__(message)
        self.near = near


OTHERWISE = "the logits are used otherwise than in one cross-entropy, so they are computed as a whole"
NO_SCALAR = "the losses of tokens do not end in one sum or mean over all of them"


@dataclass(frozen=True)
class Terms:
    """The terms of each token's loss, by what they multiply; `trailing`: over [..., 1], not yet without that dim."""

    parts: Mapping[Part, float]
    targets: Value | None = None
    factors: tuple[Factor, ...] = ()
    trailing: bool = False

    def scaled(self, by: float) -> Terms:
        """Each term times a number."""
        return replace(self, parts={part: by * value for part, value in self.parts.items()})

    def times(self, factor: Factor) -> Terms:
        """With one factor more."""
        return replace(self, factors=(*self.factors, factor))

    def plus(self, other: Terms) -> Terms:
        """The sum; only of terms that have the same factors."""
        both = {self.targets, other.targets} - {None}
        if len(both) > 1 or (self.factors, self.trailing) != (other.factors, other.trailing):
            raise UnlikeError(OTHERWISE)
        parts = dict(self.parts)
        for part, value in other.parts.items():
            parts[part] = parts.get(part, 0.0) + value
        return replace(self, parts=parts, targets=both.pop() if both else None)


@dataclass(frozen=True)
class CrossEntropy:
    """What `result` is: `scale` times the sum, or the `mean`, over tokens of factors times cross-entropy.

    It is the result of the op `reduction`, or of the `-` after it that its own sign undoes.
    `hot`: a target outside the `classes`, where their number is known, does not count.
    """

    reduction: Op
    result: Value
    targets: Value
    classes: int
    factors: tuple[Factor, ...]
    mean: bool
    hot: bool
    scale: float
    smoothing: float
    z_loss: float


def definers_of(region: Region) -> dict[Value, Op]:
    """The op that made each value of a region, without those nested in it."""
    return {value: op for op in region.ops for value in op.results}


def below_casts(value: Value, definers: Mapping[Value, Op]) -> Value:
    """A float as it was before it was cast from one width to another."""
    op = definers.get(value)
    while op is not None and op.kind == "cast" and is_float(op.operands[0]) and is_float(value):
        value = op.operands[0]
        op = definers.get(value)
    return value


def is_float(value: Value) -> bool:
    """Whether a value holds floats."""
    return value.type.dtype.kind == "float"


def dependents(region: Region, value: Value) -> dict[Value, None]:
    """A value and all that is computed from it."""
    found: dict[Value, None] = {value: None}
    for op in region.ops:
        used = [*op.operands, *(inner for nested in op.regions for inner in captures(nested))]
        if any(operand in found for operand in used):
            found.update(dict.fromkeys(op.results))
    return found


def read_cross_entropy(region: Region, logits: Value) -> CrossEntropy:
    """The cross-entropy that logits[lead…, vocab] end in.

    Raises:
        UnlikeError: there is none, or more.
    """
    reader = _Reader(region, logits)
    reduction = reader.reduction()
    terms, mean = reader.reduced(reduction)
    parts = dict(terms.parts)
    hot = parts.pop("hot", 0.0)
    right, average = parts.get("right", 0.0) + hot, parts.get("mean", 0.0)
    scale = parts.get("normaliser", 0.0) - hot
    square = parts.get("square", 0.0)
    others = [parts.get("right", 0.0), average, parts.get("normaliser", 0.0), square]
    whole = math.isclose(right + average + scale, 0, abs_tol=1e-9) and scale != 0 and terms.targets is not None
    if not whole or (hot and any(others)) or not 0 <= -average / scale < 1:
        raise UnlikeError("what is computed from the logits is no cross-entropy")
    assert terms.targets is not None
    if terms.targets.type.sizes != logits.type.sizes[:-1]:
        raise UnlikeError("there is not one target for each token")
    smoothing, z_loss = (0.0 if value == 0 else value / scale for value in (-average, square))
    scale = next((sign for sign in (1.0, -1.0) if math.isclose(scale, sign)), scale)
    result, classes = reduction.result, logits.type.sizes[-1].value or 0
    users = [op for op in region.ops if result in op.operands]
    if scale == -1 and result not in region.results and [op.kind for op in users] == ["negate"]:
        result, scale = users[0].result, 1.0
    return CrossEntropy(
        reduction, result, terms.targets, classes, terms.factors, mean, hot != 0, scale, smoothing, z_loss
    )


class _Reader:
    """Reads values backwards, from the scalar to the logits."""

    def __init__(self, region: Region, logits: Value) -> None:
        self.logits, self.lead = logits, logits.type.rank - 1
        self.ops, self.definers = region.ops, definers_of(region)
        self.depends = dependents(region, logits)
        self.rules: dict[str, Callable[[Op], Terms]] = {
            "negate": lambda op: self.tokens(op.operands[0]).scaled(-1),
            "cast": lambda op: self.tokens(op.operands[0]),
            "add": lambda op: self.tokens(op.operands[0]).plus(self.tokens(op.operands[1])),
            "subtract": lambda op: self.tokens(op.operands[0]).plus(self.tokens(op.operands[1]).scaled(-1)),
            "multiply": self._multiply, "divide": self._divide, "where": self._where, "power": self._power,
            "take_along": self._take_along, "take_index": self._without_last, "squeeze": self._without_last,
            "mean": self._over_classes, "sum": self._over_classes, "logsumexp": self._normaliser,
        }  # fmt: skip

    def reduction(self) -> Op:
        """The op that makes a scalar of what depends on the logits."""
        found = [
            op for op in self.ops
            if any(v in self.depends and v.type.rank for v in op.operands) and any(not v.type.rank for v in op.results)
        ]  # fmt: skip
        if len(found) != 1 or found[0].kind not in ("sum", "mean") or not is_float(found[0].result):
            raise UnlikeError(NO_SCALAR if len(found) < 2 else OTHERWISE)
        return found[0]

    def reduced(self, reduction: Op) -> tuple[Terms, bool]:
        """The terms under a reduction, and whether it is the mean; a mean of means, or sum of sums, is one over all."""
        value, kind = reduction.operands[0], reduction.kind
        op = self.definers.get(value)
        while op is not None and op.kind == kind and not self._has_classes(op.operands[0]):
            value = op.operands[0]
            op = self.definers.get(value)
        terms = self._hot(value) if kind == "sum" and self._has_classes(value) else self.tokens(value)
        if terms.trailing and terms.factors:
            raise UnlikeError(NO_SCALAR)
        return terms, kind == "mean"

    def tokens(self, value: Value) -> Terms:
        """The terms of a value with a number for each token."""
        op = self.definers.get(value)
        if value not in self.depends or op is None or op.kind not in self.rules:
            raise UnlikeError(OTHERWISE)
        return self.rules[op.kind](op)

    def _has_classes(self, value: Value) -> bool:
        return value.type.rank > self.lead and value.type.sizes[-1] == self.logits.type.sizes[-1]

    def _constant(self, value: Value) -> float | None:
        op = self.definers.get(value)
        number = op.attributes["value"] if op is not None and op.kind == "constant" else None
        return float(number) if isinstance(number, int | float) else None

    def _multiply(self, op: Op) -> Terms:
        left, right = op.operands
        if left in self.depends and right in self.depends:
            return self._squared(left) if left is right else _unlike()
        return self._by(op, left, right) if left in self.depends else self._by(op, right, left)

    def _divide(self, op: Op) -> Terms:
        if op.operands[1] in self.depends:
            raise UnlikeError(OTHERWISE)
        return self._by(op, *op.operands, inverse=True)

    def _by(self, op: Op, losses: Value, number: Value, *, inverse: bool = False) -> Terms:
        constant = self._constant(number)
        if constant is not None and (constant or not inverse):
            return self.tokens(losses).scaled(1 / constant if inverse else constant)
        if op.result.type.sizes != losses.type.sizes or not is_float(number):
            raise UnlikeError(OTHERWISE)
        return self.tokens(losses).times(("over" if inverse else "times", number))

    def _where(self, op: Op) -> Terms:
        condition, yes, no = op.operands
        if condition in self.depends or op.result.type.sizes not in (yes.type.sizes, no.type.sizes):
            raise UnlikeError(OTHERWISE)
        if self._constant(no) == 0 and op.result.type.sizes == yes.type.sizes:
            return self.tokens(yes).times(("where", condition))
        if self._constant(yes) == 0 and op.result.type.sizes == no.type.sizes:
            return self.tokens(no).times(("where_not", condition))
        raise UnlikeError(OTHERWISE)

    def _power(self, op: Op) -> Terms:
        return self._squared(op.operands[0]) if self._constant(op.operands[1]) == 2 else _unlike()

    def _squared(self, value: Value) -> Terms:
        terms = self.tokens(value)
        if set(terms.parts) != {"normaliser"} or terms.factors:
            raise UnlikeError(OTHERWISE)
        return replace(terms, parts={"square": terms.parts["normaliser"] ** 2})

    # ---------------------------------------------------------- from classes to tokens

    def _scores(self, value: Value) -> float:
        """How often the normaliser is taken off what has the logits' shape: once by `log_softmax`, else never."""
        value = below_casts(value, self.definers)
        if value is self.logits:
            return 0.0
        op = self.definers.get(value)
        if op is None or op.kind != "log_softmax" or op.attributes["over"] != (self.lead,):
            raise UnlikeError(OTHERWISE)
        if below_casts(op.operands[0], self.definers) is not self.logits:
            raise UnlikeError(OTHERWISE)
        return 1.0

    def _take_along(self, op: Op) -> Terms:
        scores, index = op.operands
        made = self.definers.get(index)
        last = op.attributes["along"] == self.lead
        if not last or made is None or made.kind != "expand_dims" or made.attributes["at"] != self.lead:
            raise UnlikeError(OTHERWISE)
        return Terms({"right": 1.0, "normaliser": -self._scores(scores)}, made.operands[0], trailing=True)

    def _without_last(self, op: Op) -> Terms:
        terms = self.tokens(op.operands[0])
        if not terms.trailing or terms.factors or not _drops_last(op.operands[0].type, op.result.type):
            raise UnlikeError(OTHERWISE)
        return replace(terms, trailing=False)

    def _over_classes(self, op: Op) -> Terms:
        if op.attributes["over"] != (self.lead,) or not self._has_classes(op.operands[0]):
            raise UnlikeError(NO_SCALAR)
        kept = bool(op.attributes["keep"])
        if op.kind == "sum":
            return replace(self._hot(op.operands[0]), trailing=kept)
        return Terms({"mean": 1.0, "normaliser": -self._scores(op.operands[0])}, trailing=kept)

    def _normaliser(self, op: Op) -> Terms:
        if op.attributes["over"] != (self.lead,) or below_casts(op.operands[0], self.definers) is not self.logits:
            raise UnlikeError(OTHERWISE)
        return Terms({"normaliser": 1.0}, trailing=bool(op.attributes["keep"]))

    def _hot(self, value: Value) -> Terms:
        """`one_hot(targets) * log_softmax(logits)`, to be summed over the classes."""
        op = self.definers.get(value)
        if op is not None and op.kind == "negate":
            return self._hot(op.operands[0]).scaled(-1)
        if op is None or op.kind != "multiply":
            raise UnlikeError(OTHERWISE)
        left, right = op.operands
        scores, marks = (left, right) if left in self.depends else (right, left)
        made = self.definers.get(marks)
        if made is None or made.kind != "one_hot" or not self._has_classes(marks) or self._scores(scores) != 1:
            raise UnlikeError(OTHERWISE)
        return Terms({"hot": 1.0}, made.operands[0])


def _unlike() -> Terms:
    raise UnlikeError(OTHERWISE)


def _drops_last(before: TensorType, after: TensorType) -> bool:
    return before.sizes[-1].value == 1 and before.sizes[:-1] == after.sizes
