"""The comparisons: passes, text, compiled program, gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..compilation import Program
from ..ir import Module
from ..ir.nodes import IRSyntaxError
from ..ir.printer import to_text
from ..ir.reader import from_text
from ..ops.arrays import Array
from ..reference import EvaluationError, Tree
from ..storage import restored
from .as_written import AsWritten
from .comparison import Check, Tally, passed, skipped
from .jumps import jumping_results
from .samples import (
    UnverifiableError,
    along,
    direction,
    draw_inputs,
    draws,
    interpret,
    leaves,
    moved,
    small_sizes,
    stops_gradients,
)

WRITTEN = "the IR as written"
REFERENCE = "the reference"
SLOPES = "slopes of the reference"
EXACT = 1e-9
"""Allowed between two IRs, both in float64."""

TOLERANCES = {"f32": (1e-4, 1e-3), "f16": (1e-2, 5e-2), "mixed_bf16": (5e-2, 1e-1)}
"""Allowed between the program and the reference by the recipe's precision: for values, and for slopes."""

DIRECTIONS = 2
"""Random directions that each gradient is compared along."""

NUDGE = 1e-6
"""How far the weights go each way for a slope: float64 leaves nine digits of it, and few kinks lie so near."""


class Compiled(Protocol):
    """The compiled program at work. Trees and arrays are NumPy's."""

    def initial(self, seed: int) -> tuple[Tree, Tree]:
        """The program's own initial weights and states."""
        ...

    def results(
        self, role: str, params: Tree, state: Tree, inputs: Mapping[str, Array]
    ) -> tuple[dict[str, Array], Tree]:
        """What a role gives by name, and the states after it (as before, for roles other than `loss`)."""
        ...

    def gradient(self, role: str, params: Tree, state: Tree, inputs: Mapping[str, Array]) -> Tree:
        """The gradient of what `role` calls the loss."""
        ...


@dataclass(frozen=True)
class Report:
    """All rows, and on what they were found."""

    name: str
    precision: str
    sizes: dict[str, dict[str, int]]
    checks: list[Check]

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return passed(self.checks)


@dataclass(frozen=True)
class _Given:
    """One input of a role with what the reference makes of it."""

    params: Tree
    state: Tree
    inputs: dict[str, Array]
    results: dict[str, Array]
    after: Tree


def verify_program(
    program: Program, compiled: Compiled, *, inputs: int = 3, seed: int = 0, passes: bool = False
) -> Report:
    """Compares a compiled program with what was written, on random inputs.

    Args:
        program: compiled; with `passes`, with the IR kept after each pass (`print_after`).
        compiled: runs it.
        inputs: how many random inputs, each with other weights.
        seed: of all random numbers.
        passes: whether each pass has a row of its own.

    Raises:
        UnverifiableError: the reference interpreter cannot run the program.
    """
    train: dict[str, object] = program.manifest["recipe"].get("train") or {}
    precision = str(train.get("precision") or "f32")
    at_work = AsWritten(compiled, program.unoptimised, program.ir)
    session = _Session(program.unoptimised, at_work, *TOLERANCES.get(precision, TOLERANCES["mixed_bf16"]))
    sizes = session.draw(inputs, seed)
    checks = [*session.texts(program), *session.stages(program, passes), *session.roles()]
    if "loss" in session.given:
        checks.append(session.gradients(seed))
    return Report(program.name, precision, sizes, checks)


class _Session:
    """The inputs of every role, and what the reference makes of them, each computed once."""

    def __init__(self, module: Module, compiled: Compiled, values: float, slopes: float) -> None:
        self.module, self.compiled = module, compiled
        self.values, self.slopes = values, slopes
        self.given: dict[str, list[_Given]] = {}

    def draw(self, count: int, seed: int) -> dict[str, dict[str, int]]:
        """Inputs for every role; the sizes that they have."""
        rng = np.random.default_rng(seed)
        params, state = self.compiled.initial(seed)
        weights = [(moved(params, rng), moved(state, rng, up=True)) for _ in range(count)]
        sizes: dict[str, dict[str, int]] = {}
        for role in self.module.roles:
            sizes[role] = small_sizes(self.module, role, *weights[0])
            self.given[role] = [self._one(role, sizes[role], *pair, rng) for pair in weights]
        return sizes

    def _one(self, role: str, sizes: dict[str, int], params: Tree, state: Tree, rng: np.random.Generator) -> _Given:
        inputs = draw_inputs(self.module, role, sizes, rng)
        try:
            return _Given(params, state, inputs, *interpret(self.module, role, params, state, inputs))
        except EvaluationError as error:
            raise UnverifiableError(f"the reference interpreter cannot compute `{role}`: {error}") from error

    # ------------------------------------------------------------------------------------------- the IR

    def texts(self, program: Program) -> Iterator[Check]:
        """Whether the printed IR, as written and as compiled, reads back to the same text."""
        tally = Tally("printed IR", "itself, read back", 0.0)
        for what, module in (("as written", self.module), ("after all passes", program.ir)):
            tally.inputs += 1
            text = to_text(module)
            try:
                again = to_text(from_text(text))
            except IRSyntaxError as error:
                tally.fail(f"the IR {what} cannot be read back: {error}")
                continue
            if again != text:
                tally.fail(f"the IR {what} reads back to another text: {_first_line(text, again)}")
        yield tally.check()

    def stages(self, program: Program, each: bool) -> Iterator[Check]:
        """The IR after every pass, or after all of them, against the IR as written."""
        if each:
            for at, (stage, text) in enumerate(program.printed, 1):
                name = stage.removeprefix("after ")
                yield self._stage(f"IR after pass {at}, {name}", lambda text=text: from_text(text))
        yield self._stage("IR after all passes", lambda: program.ir)

    def _stage(self, what: str, read: Callable[[], Module]) -> Check:
        tally = Tally(what, WRITTEN, EXACT)
        try:
            module = read()
            for role, cases in self.given.items():
                for case in cases:
                    params, state = (restored(self.module, module, None, tree) for tree in (case.params, case.state))
                    found, after = interpret(module, role, params, state, case.inputs)
                    after = restored(module, self.module, None, after, missing=case.state)
                    tally.compare(_named(role, case.results, case.after), _named(role, found, after))
        except (EvaluationError, IRSyntaxError) as error:
            tally.fail(f"it cannot be computed: {error}")
        tally.inputs = max(map(len, self.given.values()))
        tally.notes.clear()  # what is not finite is told of the program
        return tally.check()

    # -------------------------------------------------------------------------------------- the program

    def roles(self) -> Iterator[Check]:
        """What the program gives in each role against the reference."""
        for role, cases in self.given.items():
            if draws(self.module, role):
                against = "`measure` is compared instead" if role == "loss" else "other numbers than the reference's"
                yield skipped(role, REFERENCE, f"not compared: it draws random numbers; {against}")
                continue
            yield self._role(role, cases)

    def _role(self, role: str, cases: list[_Given]) -> Check:
        left_out = jumping_results(self.module, role) if self.values > TOLERANCES["f32"][0] else set[str]()
        names = [name for name in cases[0].results if name not in left_out]
        tally = Tally(_title(role, names), REFERENCE, self.values)
        for case in cases if names else ():
            found, after = self.compiled.results(role, case.params, case.state, case.inputs)
            wanted = {name: case.results[name] for name in names}
            states = role == "loss"
            tally.compare(wanted | _states(case.after, states), found | _states(after, states))
        for name in sorted(left_out):
            tally.remark(f"`{role}.{name}` is not compared: it jumps where 16-bit numbers are rounded")
        return tally.check()

    def gradients(self, seed: int) -> Check:
        """The gradient of the loss along random directions against differences of the reference's loss.

        A loss that draws random numbers is replaced by the one that `measure` gives, which draws none.
        """
        role, what = "loss", "gradient of loss"
        if draws(self.module, "loss"):
            role, what = "measure", "gradient of measure's loss"
        if "loss" not in self.given[role][0].results or draws(self.module, role):
            return skipped(what, SLOPES, "not compared: the loss draws random numbers")
        if stops_gradients(self.module, role):
            return skipped(what, SLOPES, "not compared: `stop_gradient` makes it another than the slope")
        tally = Tally(what, SLOPES, self.slopes)
        rng = np.random.default_rng([seed, 1])
        for case in self.given[role]:
            tally.inputs += 1
            gradient = dict(leaves(self.compiled.gradient(role, case.params, case.state, case.inputs)))
            for _ in range(DIRECTIONS):
                self._slope(tally, role, case, gradient, direction(case.params, rng))
        return tally.check()

    def _slope(self, tally: Tally, role: str, case: _Given, gradient: dict[str, Array], step: Tree) -> None:
        """One direction. The error is relative to what the parts of the slope are together without their signs."""
        floats = [(name, array) for name, array in leaves(step) if gradient[name].dtype.kind == "f"]
        parts = [gradient[name].astype(np.float64) * array for name, array in floats]
        given = sum(float(np.sum(part)) for part in parts)
        scale = float(np.sqrt(sum(float(np.sum(np.square(part))) for part in parts)))
        high, low = (self._loss(role, case, along(case.params, step, way * NUDGE)) for way in (1, -1))
        slope = (high - low) / (2 * NUDGE)
        if not np.isfinite(slope) and not np.isfinite(given):
            tally.remark("a slope is not finite")
            return
        told = f"input {tally.inputs}: the slope is {given:.7g} instead of {slope:.7g}"
        tally.number(abs(given - slope) / max(scale, abs(slope), NUDGE), told)

    def _loss(self, role: str, case: _Given, params: Tree) -> float:
        results, _ = interpret(self.module, role, params, case.state, case.inputs)
        return float(results["loss"])


def _title(role: str, names: list[str]) -> str:
    shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    return role if names == [role] or not names else f"{role}: {shown}"


def _states(tree: Tree, wanted: bool) -> dict[str, Array]:
    return {f"state {name}": array for name, array in leaves(tree)} if wanted else {}


def _named(role: str, results: Mapping[str, Array], after: Tree) -> dict[str, Array]:
    return {f"{role}.{name}": array for name, array in results.items()} | _states(after, True)


def _first_line(text: str, again: str) -> str:
    pairs = zip(text.split("\n"), again.split("\n"), strict=False)
    return next((f"line {at}: `{one.strip()}`" for at, (one, other) in enumerate(pairs, 1) if one != other), "its end")
