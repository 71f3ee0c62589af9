"""What the emitter needs to know of a training recipe: plain data, checked where it is used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from ..source import Span

Argument: TypeAlias = "int | float | bool | str | Declared | tuple[Argument, ...] | None"


@dataclass(frozen=True)
class Declared:
    """A call of something that a library declares: `name(arguments)`, and what `target` names ("module:attribute").

    An argument without a name ("") is positional. ``chain`` composes its positional arguments. ``span`` is where the
    program says it.
    """

    name: str
    target: str = ""
    arguments: tuple[tuple[str, Argument], ...] = ()
    span: Span | None = field(default=None, compare=False)

    @property
    def is_schedule(self) -> bool:
        """Whether it gives a learning rate for each step."""
        attribute = self.target.partition(":")[2]
        return attribute.endswith(("_schedule", "_schedules")) or attribute == "exponential_decay"

    def walk(self) -> Iterator[Declared]:
        """This call, and every call among its arguments, outermost first."""
        yield self
        for _, value in self.arguments:
            for item in value if isinstance(value, tuple) else (value,):
                if isinstance(item, Declared):
                    yield from item.walk()


@dataclass(frozen=True)
class EmitRecipe:
    """How a model is trained.

    Attributes:
        optimizer: the tree of optax calls.
        accumulate: the micro-batches that one step's batch is split into.
        loss_scale: whether gradients are taken of a scaled loss, as float16 needs it.
        mesh: axes of the mesh and their sizes, in order; empty for none.
        rules: names of dims and the mesh axes that they are split over.
        freeze: patterns of the paths of weights that are not trained (`*`: anything), or of what these are parts of.
        l2: patterns of parameter paths, and the weight of their squared norm in the objective.
        steps: optimizer steps of the whole run, where known.
        metrics: names of what `summarize` gives beside the loss.
    """

    optimizer: Declared
    accumulate: int = 1
    loss_scale: bool = False
    mesh: Mapping[str, int] = field(default_factory=dict[str, int])
    rules: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    freeze: tuple[str, ...] = ()
    l2: tuple[tuple[str, float], ...] = ()
    steps: int | None = None
    metrics: tuple[str, ...] = ()
