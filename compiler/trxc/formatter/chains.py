"""Chains of `|>` and `>>`: broken where their author broke them, else before each `|>`, and then before each `>>`.

    output x
      |> Conv(8) >> BatchNorm >> relu
      |> Conv(8) >> BatchNorm
        >> relu

Which steps belong together on a line is for the author to say, as empty lines are. So what has been broken once stays
so, and a step is indented alike whoever broke before it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, cast

from ..syntax.tokens import Token
from .brackets import BracketPrinter
from .concrete import Node, Tree, first_token
from .document import HARD, LINE, Doc, Group, Nest, cat

CHAINS = frozenset({"pipe", "compose"})


class _Step(NamedTuple):
    """An operand with the operator before it; the first of a chain has none."""

    operator: Token | None
    operand: Node

    @property
    def pipes(self) -> bool:
        """Whether it begins with `|>`."""
        return self.operator is not None and self.operator.text == "|>"


class ChainPrinter(BracketPrinter):
    """Writes chains."""

    def _on_pipe(self, children: list[Node]) -> Doc:
        return self._chain(Tree("pipe", children))

    def _on_compose(self, children: list[Node]) -> Doc:
        return self._chain(Tree("compose", children))

    def _chain(self, tree: Tree) -> Doc:
        steps = _steps(tree)
        depth = 2 if any(step.pipes for step in steps) else 1
        first, *others = _split(steps, self._author_breaks_before)
        lines = [self._line(first, depth)]
        for line in others:
            lines += [_nested(HARD, _depth(line[0], depth)), self._line(line, depth)]
        return cat(*lines)

    def _author_breaks_before(self, step: _Step) -> bool:
        marks = [step.operator, first_token(step.operand)]
        return step.operator is not None and any(self.trivia.before(mark).newline for mark in marks if mark)

    def _line(self, steps: list[_Step], depth: int) -> Doc:
        """Steps that are on one line, if they fit."""
        first, *others = _split(steps, lambda step: step.pipes)
        pipes = [cat(_nested(LINE, 1), self._pipe(part, depth)) for part in others]
        return Group(cat(self._pipe(first, depth), *pipes))

    def _pipe(self, steps: list[_Step], depth: int) -> Doc:
        """Steps up to the next `|>`."""
        first, *others = steps
        composed = [cat(_nested(LINE, depth), self._step(step, depth)) for step in others]
        return Group(cat(self._step(first, depth), *composed))

    def _step(self, step: _Step, depth: int) -> Doc:
        operand = self.show(step.operand)
        if step.operator is None:
            return operand
        return _nested(cat(self.token(step.operator), " ", operand), _depth(step, depth))


def _depth(step: _Step, compose: int) -> int:
    return 1 if step.pipes else compose


def _nested(doc: Doc, depth: int) -> Doc:
    return Nest(doc) if depth == 1 else Nest(Nest(doc))


def _steps(tree: Node) -> list[_Step]:
    """The steps of a chain, those of a composition that stands right of a `|>` included."""
    backwards: list[_Step] = []
    while isinstance(tree, Tree) and tree.rule in CHAINS:
        tree, operator, right = tree.children
        first, *others = _steps(right)
        backwards += [*reversed(others), first._replace(operator=cast("Token", operator))]
    return [_Step(None, tree), *reversed(backwards)]


def _split(steps: list[_Step], begins: Callable[[_Step], bool]) -> list[list[_Step]]:
    """Runs of steps; a step other than the first begins one where `begins` says so."""
    runs = [[steps[0]]]
    for step in steps[1:]:
        if begins(step):
            runs.append([])
        runs[-1].append(step)
    return runs
