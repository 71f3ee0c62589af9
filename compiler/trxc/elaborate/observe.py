"""What elaboration tells to whoever watches: an editor that shows beside the text what it means.

A check without an observer pays a comparison with None for each expression. An observer only listens: whatever it
does, the check finds the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ..source import Span
from ..syntax import ast

if TYPE_CHECKING:
    from .body import Body
    from .values import CValue


class Observer(Protocol):
    """Told of one elaboration after another: a layer by itself (`body.session.symbolic`), then within a model.

    A layer that is used with several sizes is elaborated once for each; a fn, a lambda or an argument may be
    evaluated more than once in one body. A value's type is final when its body's statements are done: an annotation
    further down may still give names to its axes.
    """

    def checking(self, item: str) -> str:
        """What follows is found in checking an item, or a model that it is for; what was being checked before."""
        ...

    def entered(self, item: ast.Layer | ast.Fn, body: Body) -> None:
        """The text of an item begins to be elaborated in `body`, whose variables are its arguments."""
        ...

    def declared(self, statement: ast.Statement, body: Body) -> None:
        """A statement is done; what it names is in the variables and dims of `body`."""
        ...

    def evaluated(self, span: Span, value: CValue, body: Body) -> None:
        """The expression at `span` (or a pipe up to there) is worth `value`."""
        ...

    def applied(self, layer: CValue, span: Span, values: list[CValue], result: CValue, body: Body) -> None:
        """The layer that is written at `span`, or applied there, gives `result` on `values`."""
        ...
