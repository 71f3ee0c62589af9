"""Where elaboration is: the session, the function being built, and the layer body being read.

A :class:`Session` lasts for one check or compile. A :class:`Frame` is one IR function under construction. A
:class:`Body` is one layer's text being elaborated with its arguments: its names, its dims, and where its weights
stand. Layers that take layers are elaborated into the frame of their caller (a body without a frame of its own),
so that the weights of what they are given belong to whoever wrote them down.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from ..diagnostics import Diagnostic, Diagnostics, Label
from ..dims import Dim, Facts
from ..ir import Attribute, Function, Op, Path, Region, Value
from ..ops import OPS, Attributes, Instance
from ..resolve import ItemRef, Library, Unit
from ..source import Span
from ..syntax import ast
from ..types import Axis, TensorType
from .faults import Fault, NeedsKnown, Silent
from .observe import Observer
from .values import CValue, LayerInstance

MAX_DEPTH = 64
MAX_OPS = 200_000
MAX_STEPS = 30_000
"""Applications of layers and fns (and quadruples of items of lists) that one elaboration works through."""
MAX_UNROLL = 1_000
MAX_TRAIL = 10


@dataclass
class Requirement:
    """A condition on sizes that is not decided yet: checked when the sizes are known, at the latest while tracing."""

    operator: str
    left: Dim
    right: Dim
    message: str
    span: Span
    trail: tuple[str, ...]
    place: Span | None = None
    """The user's call that led there, where the condition stands in the library."""


@dataclass(frozen=True)
class Division:
    """An exact division of sizes that was not shown to be whole."""

    numerator: Dim
    divisor: Dim
    text: str
    span: Span
    trail: tuple[str, ...]


@dataclass(frozen=True)
class Instantiation:
    """A layer or fn that is being elaborated: how the trail shows it, and where it is applied."""

    text: str
    span: Span
    item: ItemRef | None = None


@dataclass
class FunctionRecord:
    """A finished function instance: how its results are labelled, and what it carries under `recur`."""

    function: Function
    labels: dict[str, str | None]
    carries: list[Carried]
    failed: bool = False
    single: bool = True
    building: bool = False


@dataclass
class Carried:
    """A carry of a cell: its name, type and what it starts from."""

    name: str
    type: TensorType
    initial: CValue
    span: Span


Overrides: TypeAlias = dict[str, dict[tuple[str, ...], ast.Expr]]
"""What `--set` says: by item, then by path within it."""


@dataclass
class Session:
    """What one check or compile shares."""

    library: Library
    diagnostics: Diagnostics
    overrides: Overrides = field(default_factory=dict[str, "dict[tuple[str, ...], ast.Expr]"])
    training: bool = False
    functions: dict[object, FunctionRecord] = field(default_factory=dict[object, FunctionRecord])
    names: dict[str, int] = field(default_factory=dict[str, int])
    requirements: list[Requirement] = field(default_factory=list[Requirement])
    facts: Facts = field(default_factory=Facts)
    required: Facts = field(default_factory=Facts)
    """What `require` alone has established: `facts` also holds what divisions took for granted."""
    stack: list[Instantiation] = field(default_factory=list[Instantiation])
    consts: dict[ItemRef, CValue] = field(default_factory=dict[ItemRef, CValue])
    evaluating: list[ItemRef] = field(default_factory=list[ItemRef])
    short: set[object] = field(default_factory=set[object])
    ops: int = 0
    steps: int = 0
    exhausted: bool = False
    constraints: list[Division] = field(default_factory=list[Division])
    circles: set[frozenset[ItemRef]] = field(default_factory=set["frozenset[ItemRef]"])
    """Items that are made of themselves, and have been reported."""
    needs: list[frozenset[str]] = field(default_factory=list[frozenset[str]])
    symbolic: bool = False
    """Whether a layer is checked by itself, every size a symbol."""
    stand_ins: dict[str, int] = field(default_factory=dict[str, int])
    """Sizes of inputs that a layer checked by itself must know: what they are taken to be."""
    observer: Observer | None = None

    def fresh(self, stem: str) -> str:
        """A function name that is not in use: `block`, `block_2`; in training, `block_train`."""
        number = self.names.get(stem, 0) + 1
        self.names[stem] = number
        name = stem if number == 1 else f"{stem}_{number}"
        return f"{name}_train" if self.training else name

    def report(self, fault: Fault) -> None:
        """Keeps a fault's diagnostic, with the trail of instantiations."""
        if isinstance(fault, NeedsKnown):
            self.needs.append(fault.symbols)
        self._place(fault)
        self.diagnostics.add(fault.diagnostic)

    def _place(self, fault: Fault) -> None:
        """Gives a fault its trail and its place in the program, where it has not been given them further in."""
        if not fault.placed:
            fault.placed = True
            fault.diagnostic = replace(self._at_home(fault.diagnostic), trail=self.trail())

    def _at_home(self, diagnostic: Diagnostic) -> Diagnostic:
        """A fault inside the library is one of the user's call; the library's line stays as a label."""
        if diagnostic.span is None or (place := self.home(diagnostic.span)) == diagnostic.span:
            return diagnostic
        what = "required here" if diagnostic.code == "TRX0420" else "found here"
        inside = Label(diagnostic.span, diagnostic.label or what)
        others = (label for label in diagnostic.labels if not label.span.within(place))
        return replace(diagnostic, span=place, label="", labels=(inside, *others), edits=())

    def home(self, span: Span) -> Span:
        """The place itself or, for one in the library, the user's call that led there."""
        places = [span, *(entry.span for entry in reversed(self.stack))]
        return next((place for place in places if not self.library.is_standard(place.source)), span)

    def trail(self) -> tuple[str, ...]:
        """The instantiations around here, innermost first."""
        texts = [entry.text for entry in reversed(self.stack)]
        if len(texts) > MAX_TRAIL:
            texts[MAX_TRAIL - 2 : -2] = [f"… {len(texts) - MAX_TRAIL} more"]
        return tuple(texts)

    def circle(self, item: ItemRef) -> Fault | Silent:
        """What to raise for an item that is applied while it is being elaborated."""
        names = [entry.item for entry in self.stack if entry.item is not None]
        around = names[names.index(item) : -1] or names[-1:]
        if frozenset(around) in self.circles:
            return Silent()
        self.circles.add(frozenset(around))
        chain = " -> ".join(f"`{ref.name}`" for ref in [*around, item])
        return Fault("TRX0404", f"`{item.name}` is made of itself: {chain}", self.stack[-1].span)

    def warn(self, code: str, message: str, span: Span, *, helps: tuple[str, ...] = ()) -> None:
        """Adds a warning."""
        self.diagnostics.add(Diagnostic(code, message, span, severity="warning", helps=helps, trail=self.trail()))

    def take_steps(self, count: int, span: Span) -> None:
        """Counts what is about to be worked through.

        Raises:
            Fault: it is more than a program may ask for.
            Silent: it was so before.
        """
        self.steps += count
        if self.steps > MAX_STEPS:
            self._stop(f"the program expands to more than {MAX_STEPS:,} steps to work through", span)

    def take_op(self, span: Span) -> None:
        """Counts an operation that is about to be added.

        Raises:
            Fault: there are more than a program may have.
            Silent: there were before.
        """
        self.ops += 1
        if self.ops > MAX_OPS:
            self._stop(f"the program expands to more than {MAX_OPS:,} operations", span)

    def _stop(self, message: str, span: Span) -> None:
        if self.exhausted:
            raise Silent
        self.exhausted = True
        raise Fault("TRX0402", message, span)

    @contextmanager
    def within(self, description: str, span: Span, item: ItemRef | None = None) -> Generator[None]:
        """Adds an instantiation to the trail.

        Raises:
            Fault: layers are nested too deep.
        """
        if len(self.stack) >= MAX_DEPTH:
            raise Fault("TRX0401", f"layers are nested more than {MAX_DEPTH} deep", span)
        self.take_steps(1, span)
        self.stack.append(Instantiation(description, span, item))
        try:
            yield
        except Fault as fault:
            self._place(fault)
            raise
        finally:
            self.stack.pop()


@dataclass(eq=False)
class Namer:
    """Hands out parameter names within one place: `dense`, `dense_2`, … under `prefix`."""

    prefix: Path
    frame: Frame
    depth: int
    taken: dict[str, int] = field(default_factory=dict[str, int])

    def claim(self, stem: str) -> str:
        """A name that is free here."""
        number = self.taken.get(stem, 0) + 1
        self.taken[stem] = number
        return stem if number == 1 else self.claim(f"{stem}_{number}")


@dataclass(eq=False)
class Frame:
    """One IR function being built; `regions` are the nested regions that ops are being added to, innermost last.

    `roots` are identities of the regions that rebase parameter paths (`repeat`): a namer of another one than the
    current names weights that cannot be reached from here. `base` is the path of the current one in the function.
    """

    function: Function
    session: Session
    regions: list[Region] = field(default_factory=list[Region])
    labels: dict[str, str | None] = field(default_factory=dict[str, "str | None"])
    recurs: list[RecurContext] = field(default_factory=list["RecurContext"])
    carries: list[Carried] = field(default_factory=list[Carried])
    next_carries: dict[str, Value] = field(default_factory=dict[str, Value])
    roots: list[int] = field(default_factory=lambda: [0])
    base: Path = ()
    constants: dict[Value, int | float | bool] = field(default_factory=dict[Value, "int | float | bool"])
    failed: bool = False

    @property
    def depth(self) -> int:
        """An identity of the current parameter root."""
        return self.roots[-1]

    def add(
        self, kind: str, operands: list[Value], attributes: Mapping[str, Attribute], types: list[TensorType], span: Span
    ) -> Op:
        """Appends an op whose result types are known."""
        self.session.take_op(span)
        op = Op(kind, operands, dict(attributes), [Value(t) for t in types], span=span)
        self.regions[-1].ops.append(op)
        return op

    def apply(self, kind: str, operands: list[Value], attributes: Mapping[str, Attribute], span: Span) -> list[Value]:
        """Appends an op of the table, typed by its inference; the results.

        Raises:
            TypeFault: the operands do not fit.
        """
        types = tuple(value.type for value in operands)
        use = Instance(types, Attributes(dict(attributes)), facts=self.session.facts)
        results = OPS[kind].infer(use)
        return self.add(kind, operands, attributes, list(results), span).results


@dataclass
class RecurContext:
    """A `recur` whose region is being built: cells that are applied in it add their carries here."""

    arguments: list[Value] = field(default_factory=list[Value])
    carries: list[Carried] = field(default_factory=list[Carried])
    following: list[Value] = field(default_factory=list[Value])


@dataclass(eq=False)
class Body:
    """One layer's (or fn's) text with its arguments."""

    session: Session
    frame: Frame
    unit: Unit
    namer: Namer
    variables: dict[str, CValue] = field(default_factory=dict[str, "CValue"])
    dims: dict[str, Axis | tuple[Axis, ...]] = field(default_factory=dict[str, "Axis | tuple[Axis, ...]"])
    origins: dict[str, Span] = field(default_factory=dict[str, Span])
    outputs: list[tuple[str, Value]] = field(default_factory=list[tuple[str, Value]])
    states: dict[str, tuple[Path, TensorType]] = field(default_factory=dict[str, "tuple[Path, TensorType]"])
    next_states: dict[str, Value] = field(default_factory=dict[str, Value])
    carried: dict[str, Carried] = field(default_factory=dict[str, Carried])
    next_carries: dict[str, Value] = field(default_factory=dict[str, Value])
    given: list[Value | None] = field(default_factory=list["Value | None"])
    given_names: dict[str, Value] = field(default_factory=dict[str, Value])
    parameter_names: frozenset[str] = frozenset()
    modules: tuple[str, ...] = ()
    is_root: bool = False
    called: Span | None = None
    """Where the layer is applied, if it is."""
    remarks: tuple[str, ...] = ()
    """What to say beside a name that means nothing here."""

    def with_variables(self, variables: dict[str, CValue]) -> Body:
        """The same body with more names, for what is evaluated inside an expression."""
        return replace(self, variables={**self.variables, **variables})

    def child(self, unit: Unit, namer: Namer) -> Body:
        """A body of another item, in the same frame."""
        return Body(self.session, self.frame, unit, namer)


def path_of(instance: LayerInstance, stem: str) -> Path:
    """Where an instance's weights stand, relative to the parameter root; gives it a name if it has none."""
    if instance.rooted:
        return instance.namer.prefix
    if instance.name is None:
        instance.name = instance.namer.claim(stem)
    return (*instance.namer.prefix, instance.name)
