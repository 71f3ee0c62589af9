"""Random ops.

Each carries the attribute `path`, its own name, from which its key is made: its draw depends on the seed, the step and
that name alone, and on no other op.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..dims import dim
from ..types import BOOL, FLOAT, INT, TensorType
from .arrays import Array, np
from .definition import Along, Environment, Example, Instance, OpDefinition, Operand, Sample, Scope, Setting, TypeFault
from .reductions import check_axes
from .windows import sizes_text

PATH = ("noise",)
SHAPE = ((dim(2), None), (dim(3), None))


def check_share(op: str, setting: str, value: float, *, below_one: bool = False) -> None:
    """Refuses a share that is not in [0, 1], or (`below_one`) in [0, 1)."""
    if not 0 <= value <= 1 or (below_one and value == 1):
        raise TypeFault(
            "TRX0405", f"`{setting}` of `{op}` is {value!r}, and must be from 0 {'to below' if below_one else 'to'} 1"
        )


def _shape(use: Instance, env: Environment) -> tuple[int, ...]:
    return tuple(env.size(size) for size in use.result.sizes)


class RandomNormal(OpDefinition):
    """`random_normal(shape)`: independent draws from the normal distribution with mean 0 and variance 1."""

    name = "random_normal"
    keeps = "nothing"
    random = True
    differentiable = False
    slots = (Setting("shape", "sizes"),)
    examples = (Example((), {"shape": SHAPE, "path": PATH}), Example((), {"shape": (), "path": PATH}))

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """Floats of that shape."""
        return (TensorType(FLOAT, use.attributes.sizes("shape")),)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`jax.random.normal`."""
        return (
            f"jax.random.normal({scope.key()}, {sizes_text(use.result.sizes, scope)}, {scope.dtype(use.result.dtype)})"
        )

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """NumPy's."""
        return np.asarray(env.rng.standard_normal(_shape(use, env)))


class RandomUniform(OpDefinition):
    """`random_uniform(shape, low = 0, high = 1)`: independent draws, evenly from [low, high)."""

    name = "random_uniform"
    random = True
    differentiable = False
    slots = (Setting("shape", "sizes"), Setting("low", "number", 0.0), Setting("high", "number", 1.0))
    examples = (
        Example((), {"shape": SHAPE, "low": 0.0, "high": 1.0, "path": PATH}),
        Example((), {"shape": SHAPE, "low": -2, "high": 3, "path": PATH}),
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """Floats of that shape."""
        low, high = use.attributes.number("low"), use.attributes.number("high")
        if not low < high:
            raise TypeFault("TRX0405", f"`random_uniform` has `low` = {low!r}, which is not below `high` = {high!r}")
        return (TensorType(FLOAT, use.attributes.sizes("shape")),)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`jax.random.uniform`."""
        low, high = use.attributes.number("low"), use.attributes.number("high")
        bounds = "" if (low, high) == (0, 1) else f", minval={low!r}, maxval={high!r}"
        shape, dtype = sizes_text(use.result.sizes, scope), scope.dtype(use.result.dtype)
        return f"jax.random.uniform({scope.key()}, {shape}, {dtype}{bounds})"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """NumPy's."""
        low, high = use.attributes.number("low"), use.attributes.number("high")
        return np.asarray(env.rng.uniform(low, high, _shape(use, env)))


class Bernoulli(OpDefinition):
    """`bernoulli(p, shape)`: independent draws that are true with probability `p`."""

    name = "bernoulli"
    random = True
    differentiable = False
    slots = (Setting("p", "number"), Setting("shape", "sizes"))
    examples = (Example((), {"p": 0.3, "shape": SHAPE, "path": PATH}),)

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """Bools of that shape."""
        check_share(self.name, "p", use.attributes.number("p"))
        return (TensorType(BOOL, use.attributes.sizes("shape")),)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`jax.random.bernoulli`."""
        p = use.attributes.number("p")
        return f"jax.random.bernoulli({scope.key()}, {p!r}, {sizes_text(use.result.sizes, scope)})"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """Whether an even draw is below `p`."""
        return np.asarray(env.rng.random(_shape(use, env)) < use.attributes.number("p"))


class Categorical(OpDefinition):
    """`categorical(logits, over = -1)`: an index along the axis `over`, drawn with probability softmax(logits)."""

    name = "categorical"
    random = True
    differentiable = False
    slots = (Operand("logits", "float"), Setting("over", "axis", -1))
    examples = (
        Example((Sample((2, 4)),), {"over": 1, "path": PATH}),
        Example((Sample((4, 2)),), {"over": 0, "path": PATH}),
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The other axes, of ints."""
        (logits,) = use.operands
        over = use.attributes.axis("over")
        check_axes(self.name, logits, (over,))
        return (TensorType(INT, tuple(a for at, a in enumerate(logits.axes) if at != over)),)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`jax.random.categorical`."""
        over, rank = use.attributes.axis("over"), use.operands[0].rank
        return f"jax.random.categorical({scope.key()}, {operands[0]}, axis={-1 if over == rank - 1 else over})"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """Where the running sum of probabilities passes an even draw."""
        over = use.attributes.axis("over")
        weights = np.exp(operands[0] - np.max(operands[0], axis=over, keepdims=True))
        sums = np.cumsum(weights / np.sum(weights, axis=over, keepdims=True), axis=over)
        draw = np.expand_dims(env.rng.random(_shape(use, env)), over)
        return np.sum(np.delete(sums, -1, axis=over) <= draw, axis=over)


class Dropout(OpDefinition):
    """`dropout(x, rate)`: each element is 0 with probability `rate`, else divided by 1 - rate, so that the mean stays.

    Only while training; otherwise it is `x` and no op is made of it. Source: https://arxiv.org/abs/1207.0580.
    """

    name = "dropout"
    keeps = "result"
    random = True
    slots = (Operand("x", "float"), Setting("rate", "number"))
    examples = (
        Example((Sample((2, 3), low=0.5, high=2.0),), {"rate": 0.25, "path": PATH}),
        Example((Sample((2, 3), low=0.5, high=2.0),), {"rate": 0, "path": PATH}),
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The operand's type."""
        check_share(self.name, "rate", use.attributes.number("rate"), below_one=True)
        return (use.operands[0],)

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """Place by place."""
        return Along(axis)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`dropout` of the prelude; with rate 0 just the operand."""
        rate = use.attributes.number("rate")
        return f"{scope.prelude(self.name)}({scope.key()}, {operands[0]}, {rate!r})" if rate else operands[0]

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """By the definition."""
        rate = use.attributes.number("rate")
        kept = env.rng.random(operands[0].shape) >= rate
        return np.where(kept, operands[0] / (1 - rate), 0.0)


OPS: tuple[OpDefinition, ...] = (RandomNormal(), RandomUniform(), Bernoulli(), Categorical(), Dropout())
