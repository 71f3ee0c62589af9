"""Ops written as einops patterns: `rearrange`, `reduce` and `repeat_axis`.

A pattern names the dims of a tensor before and after `->`, separated by spaces. Names in parentheses share one dim,
the leftmost slowest; `1` and `()` are a dim of size 1; `...` stands for any dims. Sizes that the tensor does not tell
are given as keywords. Dims keep their names on the way. The notation is that of Rogozhnikov, "Einops: Clear and
Reliable Tensor Manipulations with Einstein-like Notation", ICLR 2022.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from ..dims import Dim, dim, product
from ..frozen import Frozen
from ..types import Axis, TensorType, axis
from .arrays import Array, np
from .definition import Along, Environment, Example, Instance, OpDefinition, Operand, Sample, Scope, Setting, TypeFault
from .movement import Movement, factor, named, reshape_text, shape_text, sized
from .pattern_text import ELLIPSIS, Group, Pattern, PatternFault, Term, parse_pattern

Change = Literal["none", "drop", "add"]


class Moves(Frozen):
    """A pattern applied to a type, in the steps that carry it out; each size is of the dim after that step.

    The operand is reshaped to `split`, the axes `folded` are reduced, the rest is put in `order`; axes of size 1 are
    put in (`spread`, before they are repeated to `full`) for new letters, and the axes are joined to `axes`.
    """

    split: tuple[Dim, ...]
    folded: tuple[int, ...]
    order: tuple[int, ...]
    spread: tuple[Dim, ...]
    full: tuple[Dim, ...]
    axes: tuple[Axis, ...]


def applied(use: Instance, op: str, change: Change = "none") -> Moves:
    """The steps of the pattern of `use`, whose right side may `drop` letters of the left, or `add` new ones.

    Raises:
        PatternFault: the pattern does not hold together, or does not fit the operand.
        TypeFault: a dim is not known to be a multiple of what the pattern splits it by.
    """
    pattern = parse_pattern(use.attributes.text("pattern"))
    given = use.attributes.letters("sizes")
    _check_letters(pattern, op, change, given)
    left, right = _expanded(pattern, use.operands[0])
    sizes = _letter_sizes(use, pattern, left, given)
    before = [term.name for group in left for term in group.terms]
    after = [term.name for group in right for term in group.terms]
    kept = [name for name in before if name in after]
    wholes = {tuple(t.name for t in g.terms): a for g, a in zip(left, use.operands[0].axes, strict=True)}
    return Moves(
        split=tuple(sizes[name].size for name in before),
        folded=tuple(at for at, name in enumerate(before) if name not in after),
        order=tuple(kept.index(name) for name in after if name in kept),
        spread=tuple(sizes[name].size if name in kept else dim(1) for name in after),
        full=tuple(sizes[name].size for name in after),
        axes=tuple(_joined(group, sizes, wholes) for group in right),
    )


def alone(use: Instance, axis: int) -> Along | None:
    """Where the letter of a dim is alone in a dim of the right side, too."""
    left, right = _expanded(parse_pattern(use.attributes.text("pattern")), use.operands[0])
    names = [tuple(term.name for term in group.terms) for group in (left[axis], *right)]
    return Along(names.index(names[0], 1) - 1) if len(names[0]) == 1 and names[0] in names[1:] else None


def _joined(group: Group, sizes: Mapping[str, Axis], wholes: Mapping[tuple[str, ...], Axis]) -> Axis:
    """The axis of a group on the right: the operand's own where the group stood on the left already."""
    letters = tuple(term.name for term in group.terms)
    if len(letters) == 1:
        return sizes[letters[0]]
    return wholes[letters] if letters and letters in wholes else axis(product(sizes[letter].size for letter in letters))


def _check_letters(pattern: Pattern, op: str, change: Change, given: Mapping[str, Axis]) -> None:
    left, right = pattern.letters(pattern.left), pattern.letters(pattern.right)
    for name, term in left.items():
        if name not in right and change != "drop":
            mend = "`reduce` folds dims away" if name != ELLIPSIS else "write `...` on both sides"
            raise PatternFault(pattern.text, term, f"`{name}` is only on the left of `{op}`", helps=[mend])
    for name, term in right.items():
        if name in left or (change == "add" and name in given):
            continue
        if change == "add" and name != ELLIPSIS:
            mend = f"give its size: `{name} = …`"
        else:
            mend = "`repeat_axis` makes new dims" if name != ELLIPSIS else "write `...` on both sides"
        raise PatternFault(pattern.text, term, f"`{name}` is only on the right of `{op}`", helps=[mend])
    for name in given:
        if name not in left and name not in right:
            where = Term(name, 0, len(pattern.text))
            raise PatternFault(pattern.text, where, f"`{name} = {given[name].size}` is not a letter of it")


def _expanded(pattern: Pattern, x: TensorType) -> tuple[list[Group], list[Group]]:
    """Both sides with `...` replaced by a letter for each dim that it stands for."""
    fixed = sum(not group.is_ellipsis for group in pattern.left)
    open_ended = fixed != len(pattern.left)
    if x.rank < fixed or (x.rank > fixed and not open_ended):
        raise TypeFault(
            "TRX0205",
            f"the pattern `{pattern.text}` is of {fixed}{' or more' if open_ended else ''} dims, "
            f"but {x.show()} has {x.rank}",
            operand=0,
            label=f"is {x.show()}",
            helps=[] if open_ended else ["`...` stands for any dims"],
        )
    count = x.rank - fixed
    return _without_ellipsis(pattern.left, count), _without_ellipsis(pattern.right, count)


def _without_ellipsis(groups: Sequence[Group], count: int) -> list[Group]:
    found: list[Group] = []
    for group in groups:
        rest = [Term(f"{ELLIPSIS}{at}", group.start, group.end) for at in range(count)]
        if group.is_ellipsis:
            found.extend(Group((term,), group.start, group.end) for term in rest)
            continue
        terms = [new for term in group.terms for new in (rest if term.name == ELLIPSIS else [term])]
        found.append(Group(tuple(terms), group.start, group.end))
    return found


def _letter_sizes(use: Instance, pattern: Pattern, left: Sequence[Group], given: Mapping[str, Axis]) -> dict[str, Axis]:
    """Every letter's axis: from its dim if it is alone there, else from the keywords or what they leave of it."""
    sizes = {name: axis(a.size, a.name) for name, a in given.items()}
    for name, here in sizes.items():
        if here.size.value is not None and here.size.value < 1:
            raise TypeFault("TRX0405", f"sizes in a pattern are 1 or more, not `{name} = {here.size}`")
    for at, group in enumerate(left):
        whole = use.operands[0].axes[at]
        open_terms = [term for term in group.terms if term.name not in sizes]
        if len(open_terms) > 1:
            names = " and ".join(f"`{term.name}`" for term in open_terms)
            message = f"{names} share {named(use.operands[0], at)}: only one size can be left open"
            helps = [f"give the size of one: `{open_terms[-1].name} = …`"]
            raise PatternFault(pattern.text, open_terms[0], message, helps=helps)
        others = product(sizes[term.name].size for term in group.terms if term not in open_terms)
        if open_terms:
            rest = whole if len(group.terms) == 1 else axis(_rest(use, pattern, group, at, others))
            sizes[open_terms[0].name] = rest
        elif others != whole.size:
            raise _does_not_fill(use.operands[0], pattern, group, at, others)
        elif len(group.terms) == 1 and whole.name is not None:
            sizes[group.terms[0].name] = whole
    return sizes


def _does_not_fill(x: TensorType, pattern: Pattern, group: Group, at: int, others: Dim) -> PatternFault:
    written = pattern.text[group.start : group.end]
    message = f"`{written}` is {others}, but {sized(x, at)}"
    return PatternFault(pattern.text, group, message, operand=0, label=f"is {x.show()}")


def _rest(use: Instance, pattern: Pattern, group: Group, at: int, others: Dim) -> Dim:
    """What the sizes that are known leave of dim `at` for the letter that is open."""
    x = use.operands[0]
    whole = x.axes[at].size
    if use.divides(whole, others):
        return whole.divided_by(others)
    written = pattern.text[group.start : group.end]
    what = f"{sized(x, at)}, and `{written}` splits it by {others}"
    if whole.value is not None and others.value is not None:
        message = f"{what}, which does not divide it"
        raise PatternFault(pattern.text, group, message, operand=0, label=f"is {x.show()}")
    raise TypeFault(
        "TRX0210",
        f"{what}, which is not known to divide it",
        operand=0,
        label=f"is {x.show()}",
        helps=[f"`require {factor(whole)} % {factor(others)} == 0`"],
        constraint=(whole, others),
    )


def moved_text(text: str, use: Instance, moves: Moves, scope: Scope, function: str = "") -> str:
    """The steps as one Python expression, without those that change nothing."""
    rank = use.operands[0].rank
    if moves.split != use.operands[0].sizes:
        text, rank = reshape_text(text, rank, moves.split, scope), len(moves.split)
    if moves.folded:
        places = moves.folded[0] if len(moves.folded) == 1 else moves.folded
        text = f"{function}({text}, axis={places})"
    if moves.order != tuple(range(len(moves.order))):
        text = f"{text}.transpose({', '.join(map(str, moves.order))})"
    ordered = _ordered(moves)
    if moves.spread != moves.full:
        if moves.spread != ordered:
            text = reshape_text(text, len(ordered), moves.spread, scope)
        text, ordered = f"jnp.broadcast_to({text}, {shape_text(moves.full, scope)})", moves.full
    joined = tuple(a.size for a in moves.axes)
    return text if joined == ordered else reshape_text(text, len(ordered), joined, scope)


def _ordered(moves: Moves) -> tuple[Dim, ...]:
    kept = [size for at, size in enumerate(moves.split) if at not in moves.folded]
    return tuple(kept[at] for at in moves.order)


def moved(x: Array, moves: Moves, env: Environment, function: str = "") -> Array:
    """The steps in NumPy."""
    x = np.reshape(x, [env.size(size) for size in moves.split])
    if function:
        x = np.asarray(getattr(np, function)(x, axis=moves.folded))
    x = np.reshape(np.transpose(x, moves.order), [env.size(size) for size in moves.spread])
    x = np.broadcast_to(x, [env.size(size) for size in moves.full])
    return np.reshape(x, [env.size(a.size) for a in moves.axes])


class Rearrange(Movement):
    """`rearrange(x, "b (h w) c -> b h w c", h = 2)`: dims split, put in another order and joined."""

    name = "rearrange"
    slots = (Operand("x"), Setting("pattern", "string"), Setting("sizes", "letters", ()))
    examples = (
        Example((Sample((2, 6, 3)),), {"pattern": "b (h w) c -> b h w c", "sizes": (("h", (dim(2), "rows")),)}),
        Example((Sample((2, 3, 4)),), {"pattern": "b s e -> e (b s)", "sizes": ()}),
        Example((Sample((2, 3, 4)),), {"pattern": "... (h d) -> h ... d", "sizes": (("h", (dim(2), None)),)}),
        Example((Sample((2, 1, 3)),), {"pattern": "b 1 c -> 1 (c b) ()", "sizes": ()}),
        Example((Sample((2, 3)),), {"pattern": "a b -> a b", "sizes": ()}),
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The axes of the right side."""
        return (use.operands[0].with_axes(applied(use, self.name).axes),)

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """A letter that is alone in its dim on both sides."""
        return alone(use, axis)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`reshape`, `transpose`, `reshape`, as far as they are needed."""
        return moved_text(operands[0], use, applied(use, self.name), scope)

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """The same steps in NumPy."""
        return moved(operands[0], applied(use, self.name), env)


class RepeatAxis(Movement):
    """`repeat_axis(x, "b c -> b n c", n = 3)`: new dims along which `x` repeats; joined with others, it tiles."""

    name = "repeat_axis"
    slots = (Operand("x"), Setting("pattern", "string"), Setting("sizes", "letters", ()))
    examples = (
        Example((Sample((2, 3)),), {"pattern": "b c -> b n c", "sizes": (("n", (dim(3), "copies")),)}),
        Example((Sample((2, 3)),), {"pattern": "b c -> (n b) c", "sizes": (("n", (dim(2), None)),)}),
        Example((Sample((2, 3)),), {"pattern": "b c -> c (b n)", "sizes": (("n", (dim(2), None)),)}),
        Example((Sample(()),), {"pattern": "-> n", "sizes": (("n", (dim(2), None)),)}),
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The axes of the right side."""
        return (use.operands[0].with_axes(applied(use, self.name, "add").axes),)

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """A letter that is alone in its dim on both sides."""
        return alone(use, axis)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`reshape` and `jnp.broadcast_to`, and what else is needed."""
        return moved_text(operands[0], use, applied(use, self.name, "add"), scope)

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """The same steps in NumPy."""
        return moved(operands[0], applied(use, self.name, "add"), env)


FOLDS = ("sum", "mean", "max", "min", "prod")


class Reduce(OpDefinition):
    """`reduce(x, "b h w c -> b c", "mean")`: dims that are not on the right are folded: sum, mean, max, min or prod."""

    name = "reduce"
    slots = (
        Operand("x", "number"),
        Setting("pattern", "string"),
        Setting("by", "string"),
        Setting("sizes", "letters", ()),
    )
    examples = (
        Example((Sample((2, 3, 4)),), {"pattern": "b s c -> b c", "by": "mean", "sizes": ()}),
        Example((Sample((2, 3, 4)),), {"pattern": "b ... -> b", "by": "sum", "sizes": ()}),
        Example(
            (Sample((2, 4, 3), distinct=True),),
            {"pattern": "b (w p) c -> c b w", "by": "max", "sizes": (("p", (dim(2), None)),)},
        ),
        Example((Sample((2, 3), low=0.5),), {"pattern": "a b -> 1 b", "by": "prod", "sizes": ()}),
        Example((Sample((2, 3)),), {"pattern": "a b -> b a", "by": "sum", "sizes": ()}),
        Example((Sample((2, 3), distinct=True),), {"pattern": "a b -> a", "by": "min", "sizes": ()}),
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The axes of the right side."""
        (x,), by = use.operands, use.attributes.text("by")
        if by not in FOLDS:
            message = f"`reduce` folds by {', '.join(FOLDS[:-1])} or {FOLDS[-1]}, not by `{by}`"
            raise TypeFault("TRX0405", message)
        if by == "mean" and x.dtype.kind != "float":
            helps = ["`cast(x, float)` makes floats of it"]
            raise TypeFault(
                "TRX0206", f"the mean is of floats, not of {x.dtype}", operand=0, label=f"is {x}", helps=helps
            )
        return (x.with_axes(applied(use, self.name, "drop").axes),)

    def flops(self, use: Instance) -> Dim:
        """One an element of the operand, if anything is folded."""
        folded = applied(use, self.name, "drop").folded
        return use.operands[0].elements if folded else dim(0)

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """A letter that is alone in its dim on both sides."""
        return alone(use, axis)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """A reduction of the reshaped operand."""
        function = f"jnp.{use.attributes.text('by')}"
        return moved_text(operands[0], use, applied(use, self.name, "drop"), scope, function)

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """The same steps in NumPy."""
        return moved(operands[0], applied(use, self.name, "drop"), env, use.attributes.text("by"))


OPS: tuple[OpDefinition, ...] = (Rearrange(), Reduce(), RepeatAxis())
