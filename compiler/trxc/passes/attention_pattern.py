"""Finds softmax attention as users write it, from its softmax: up to the product of q and k, down to that with v."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..ir import Op, Region, Value
from ..ir.walk import Use
from ..ops import OPS
from ..ops.definition import Attributes
from .attention_terms import PRODUCTS, Makers, Product, Term, factor_of, number_of, order_of, product_of

MOST_STEPS = 8
"""How far from a softmax a product is looked for, to tell attention that is not understood from something else."""


class UnfitError(Exception):
    """This is nearly attention: why it is not, for users."""

    def __init__(self, reason: str, op: Op) -> None:
        super().__init__(reason)
        self.reason, self.op = reason, op


@dataclass(frozen=True)
class Step:
    """What is done to the scores: `where(value, scores, fill)` (`other` for the opposite), or `scores + value`.

    `order` tells the axis of the softmax that each axis of the step's result is.
    """

    kind: str
    op: Op
    value: Value
    order: tuple[int, ...]
    fill: float = 0.0
    negated: bool = False


@dataclass
class Found:
    """Attention: its ops, and its axes by name. `names` are those of the softmax's operand."""

    softmax: Op
    scores: Product
    mixed: Product
    mix: Op
    weights: Term
    names: tuple[str, ...]
    scale: float
    steps: list[Step]
    dropout: Op | None

    @property
    def keys(self) -> str:
        """The name of the axis that the softmax is over."""
        (over,) = Attributes(self.softmax.attributes).axes("over")
        return self.names[over]

    @property
    def values(self) -> Term:
        """The values, by the names of the scores; an axis of their own is `v.` and its name in the product."""
        other = self.mixed.right if self.mixed.left.value is self.weights.value else self.mixed.left
        return Term(other.value, tuple(map(self._name, other.names)))

    @property
    def result(self) -> tuple[str, ...]:
        """The axes of the product with the values, by the names of the scores and the values."""
        return tuple(map(self._name, self.mixed.result))

    def _name(self, name: str) -> str:
        mine = self.mixed.left if self.mixed.left.value is self.weights.value else self.mixed.right
        return dict(zip(mine.names, self.weights.names, strict=True)).get(name, f"v.{name}")


@dataclass
class Search:
    """The surroundings of a softmax: who makes and who uses values of its region."""

    region: Region
    makers: Makers
    uses: dict[Value, list[Use]]
    steps: list[Step] = field(default_factory=list[Step])
    scale: float = 1.0

    def find(self, softmax: Op) -> Found | None:
        """The attention around a softmax; None where there is none.

        Raises:
            UnfitError: it looks like attention, and is not.
        """
        if not (self._product_above(softmax) and self._product_below(softmax)):
            return None
        over = Attributes(softmax.attributes).axes("over")
        if len(over) != 1:
            raise UnfitError("the softmax is over several dims at once", softmax)
        scores, order = self._up(softmax)
        product = self._product(scores)
        place = dict(zip(order, product.result, strict=True))
        names = tuple(place[at] for at in range(len(order)))
        mix, value, order, dropout = self._down(softmax)
        mixed = self._product(mix)
        weights = Term(value, tuple(names[at] for at in order))
        return Found(softmax, product, mixed, mix, weights, names, self.scale, self.steps[::-1], dropout)

    def _product(self, op: Op) -> Product:
        if len(op.operands) > 2:
            raise UnfitError("one einsum does several products; write one for each", op)
        found = product_of(op)
        if found is None:
            raise UnfitError("dims of the product are broadcast, or named twice", op)
        return found

    # ---------------------------------------------------------------- looking

    def _product_above(self, softmax: Op) -> bool:
        """Whether scores of the same sizes come out of a product a few steps above."""
        values = [softmax.operands[0]]
        for _ in range(MOST_STEPS):
            ops = [self.makers[value] for value in values if value in self.makers]
            if any(op.kind in PRODUCTS for op in ops):
                return True
            size = softmax.result.type.elements
            values = [v for op in ops if _is_light(op) for v in op.operands if v.type.elements == size]
        return False

    def _product_below(self, softmax: Op) -> bool:
        """Whether the weights, or what becomes of them element by element, go into a product with something else."""
        values = [softmax.result]
        for _ in range(MOST_STEPS):
            ops = [use.op for value in values for use in self.uses.get(value, []) if use.op is not None]
            if any(op.kind in PRODUCTS for op in ops):
                return True
            values = [op.result for op in ops if _is_light(op) or op.kind == "dropout"]
        return False

    # --------------------------------------------------------------------- up

    def _up(self, softmax: Op) -> tuple[Op, tuple[int, ...]]:
        """The product that the scores come from, and the axis of the softmax that each of its axes is."""
        value, order = softmax.operands[0], tuple(range(softmax.result.type.rank))
        while True:
            op = self.makers.get(value)
            if op is None:
                raise UnfitError("the scores come from outside of this layer or loop", softmax)
            if len(self.uses[value]) != 1:
                raise UnfitError("the scores are used elsewhere as well", op)
            if op.kind in PRODUCTS:
                return op, order
            moved = order_of(op)
            if moved is not None:
                order = tuple(order[moved.index(at)] for at in range(len(order)))
                value = op.operands[0]
            else:
                value = self._step(op, order)

    def _step(self, op: Op, order: tuple[int, ...]) -> Value:
        """Notes what an op does to the scores; they are what it gives."""
        factor = factor_of(op, self.makers)
        if factor is not None:
            return self._scaled(op, *factor)
        known: dict[str, Callable[[Op, tuple[int, ...]], Value]] = {
            "where": self._masked, "add": self._biased, "subtract": self._biased,
        }  # fmt: skip
        if op.kind in known:
            return known[op.kind](op, order)
        if op.kind == "cast" and {v.type.dtype.kind for v in (op.operands[0], op.result)} == {"float"}:
            return op.operands[0]
        if op.kind in ("multiply", "divide"):
            raise UnfitError("the scores are scaled by a value that is not known while compiling; scale q with it", op)
        raise UnfitError(f"`{op.kind}` stands between the scores and their softmax", op)

    def _scaled(self, op: Op, scores: Value, factor: float) -> Value:
        if self._has_step_above(scores):
            raise UnfitError("the scores are scaled after a mask or a bias; scale them before", op)
        self.scale *= factor
        return scores

    def _has_step_above(self, value: Value) -> bool:
        """Whether a mask or a bias was put on scores before this."""
        op = self.makers.get(value)
        while op is not None and op.kind not in PRODUCTS:
            if op.kind in ("where", "add", "subtract"):
                return True
            inner = [v for v in op.operands if v.type.elements == op.result.type.elements]
            op = self.makers.get(inner[0]) if inner else None
        return False

    def _masked(self, op: Op, order: tuple[int, ...]) -> Value:
        condition, left, right = op.operands
        for scores, other, negated in ((left, right, False), (right, left, True)):
            fill = number_of(other, self.makers)
            if fill is not None and scores.type.same_sizes(op.result.type):
                self.steps.append(Step("mask", op, condition, order, float(fill), negated))
                return scores
        raise UnfitError("a mask puts something else than a number in place of scores", op)

    def _biased(self, op: Op, order: tuple[int, ...]) -> Value:
        """Scores and what is added to them; an added `where(mask, 0, -inf)` is a mask."""
        left, right = op.operands
        scores, other = (left, right) if self._leads_to_product(left, op) or op.kind == "subtract" else (right, left)
        if not self._leads_to_product(scores, op):
            raise UnfitError(f"`{op.kind}` stands between the scores and their softmax", op)
        maker = self.makers.get(other)
        if maker is not None and maker.kind == "where" and op.kind == "add":
            numbers = [number_of(value, self.makers) for value in maker.operands[1:]]
            if sorted(map(str, numbers)) == ["-inf", "0.0"] or sorted(map(str, numbers)) == ["-inf", "0"]:
                negated = str(numbers[0]) == "-inf"
                self.steps.append(Step("mask", op, maker.operands[0], order, float("-inf"), negated))
                return scores
        self.steps.append(Step("bias", op, other, order, negated=op.kind == "subtract"))
        return scores

    def _leads_to_product(self, value: Value, op: Op) -> bool:
        """Whether an operand has the sizes of the op's result and comes, element by element, from a product."""
        if not value.type.same_sizes(op.result.type):
            return False
        for _ in range(MOST_STEPS):
            maker = self.makers.get(value)
            if maker is None or maker.kind in PRODUCTS:
                return maker is not None
            floats = [v for v in maker.operands if v.type.dtype.kind == "float"]
            inner = [v for v in floats if v.type.elements == value.type.elements]
            if not inner or not _is_light(maker):
                return False
            value = inner[0]
        return False

    # ------------------------------------------------------------------- down

    def _down(self, softmax: Op) -> tuple[Op, Value, tuple[int, ...], Op | None]:
        """The product that takes the weights in, what of them it takes, with which axes, and dropout on the way."""
        value, order = softmax.result, tuple(range(softmax.result.type.rank))
        dropout: Op | None = None
        while True:
            users = self.uses.get(value, [])
            op = users[0].op if len(users) == 1 else None
            if op is None:
                raise UnfitError("the attention weights are used elsewhere as well", softmax)
            if users[0].region is not self.region:
                raise UnfitError("the attention weights are used inside of a loop or a branch", softmax)
            moved = order_of(op)
            if op.kind in PRODUCTS:
                return op, value, order, dropout
            if moved is not None:
                order = tuple(order[at] for at in moved)
            elif op.kind == "dropout" and dropout is None:
                dropout = op
            elif op.kind != "cast" or op.result.type.dtype.kind != "float":
                raise UnfitError(_after_softmax(op), op)
            value = op.result


def _after_softmax(op: Op) -> str:
    if op.kind in ("where", "multiply"):
        return "weights are masked or scaled after the softmax: a mask belongs before it, as -inf"
    return f"`{op.kind}` stands between the softmax and the product with the values"


def _is_light(op: Op) -> bool:
    """Whether an op works element by element, or only moves elements."""
    definition = OPS.get(op.kind)
    return definition is not None and (definition.elementwise or order_of(op) is not None)
