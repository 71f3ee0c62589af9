"""What sources and steps are: the two kinds of parts that a data recipe is made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from ..declared import Declared
from .project import Project
from .table import Table

Apply = Callable[[Table], Table]
"""What a step does to each split's table."""


class Source(Declared, ABC):
    """Where examples come from."""

    @abstractmethod
    def load(self, project: Project) -> Table:
        """All examples, in an order that is always the same; :class:`DataError` if they cannot be had."""


class Step(Declared, ABC):
    """A part of a pipeline, which may learn from the training split what it then does to every split."""

    @abstractmethod
    def fit(self, train: Table, project: Project) -> Apply:
        """What to do to each split, with what there is to learn from the training split."""


class Transform(Step):
    """A step that has nothing to learn."""

    def fit(self, train: Table, project: Project) -> Apply:
        del train, project
        return self.apply

    @abstractmethod
    def apply(self, table: Table) -> Table:
        """The table after this step."""
