"""Shapes and dtypes that do not fit."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from random import Random
from typing import Any

from trxc.syntax import ast

from .facts import annotations, called, chain, chains, contracted, differ, einsums, embeds, in_layer, input_type, sizes
from .program import Edit, Kinds, Placed, Program, instead

KINDS = Kinds()


def _at(node: Any, new: str, placed: Placed) -> Edit:
    return Edit(node.span.start, node.span.end, new, placed.statement)


@KINDS("wrong dim")
def wrong_dim(program: Program, rng: Random) -> Iterator[Edit]:
    """The value has the dim that its type says, as the program is valid; the other name is that of another size."""
    for placed, type_, layer in annotations(program):
        for dim in type_.dims:
            if isinstance(dim, ast.Name):
                others = [name for name in sizes(layer) if differ(dim.name, name, layer)]
                if others:
                    yield _at(dim, rng.choice(others), placed)


@KINDS("swapped dims")
def swapped_dims(program: Program, rng: Random) -> Iterator[Edit]:
    """As for a wrong dim: each of the two places gets the name of another size."""
    for placed, type_, layer in annotations(program):
        yield from _swaps(type_, placed, lambda a, b, layer=layer: differ(a, b, layer))


def _swaps(type_: Any, placed: Placed, apart: Any) -> Iterator[Edit]:
    for first, second in zip(type_.dims, type_.dims[1:], strict=False):
        if isinstance(first, ast.Name) and isinstance(second, ast.Name) and apart(first.name, second.name):
            start, end = first.span.start, second.span.end
            between = type_.span.source.text[first.span.end : second.span.start]
            yield Edit(start, end, f"{second.name}{between}{first.name}", placed.statement)


@KINDS("missing dim")
def missing_dim(program: Program, rng: Random) -> Iterator[Edit]:
    """The value has as many dims as its type says, as the program is valid; now it says one less."""
    for placed, type_, _ in annotations(program):
        dims = [dim.span.text for dim in type_.dims]
        del dims[rng.randrange(len(dims))]
        yield _at(type_, f"{type_.name.name}[{', '.join(dims)}]", placed)


@KINDS("one dim too many")
def extra_dim(program: Program, rng: Random) -> Iterator[Edit]:
    """As for a missing dim: one more than the value has."""
    for placed, type_, _ in annotations(program):
        at = rng.choice(type_.dims).span.end
        yield Edit(at, at, ", 1", placed.statement)


def _weights(program: Program) -> Iterator[tuple[Placed, set[int]]]:
    for placed in program.of(ast.Param):
        layer = placed.item
        if isinstance(layer, ast.Layer) and layer.kind == "layer" and placed.node.type.dims:
            yield placed, contracted(program, layer, placed.node.name.name)


@KINDS("swapped dims of a weight")
def swapped_weight(program: Program, rng: Random) -> Iterator[Edit]:
    """A product sums over a dim of the weight and of a value: the value's size stays, the weight's is another now.

    Only in layers, where sizes under different names are different symbols, and only dims that a product sums over.
    """
    for placed, summed in _weights(program):
        dims = placed.node.type.dims
        for at, (first, second) in enumerate(itertools.pairwise(dims)):
            if not summed & {at, at + 1} or not isinstance(first, ast.Name) or not isinstance(second, ast.Name):
                continue
            if first.name != second.name:
                between = program.text[first.span.end : second.span.start]
                new = f"{second.name}{between}{first.name}"
                yield Edit(first.span.start, second.span.end, new, placed.statement)


@KINDS("missing dim of a weight")
def missing_weight_dim(program: Program, rng: Random) -> Iterator[Edit]:
    """An `einsum` names each dim of the weight with a letter: there is one too many now."""
    patterns = list(einsums(program))
    for placed, summed in _weights(program):
        name, dims = placed.node.name.name, [dim.span.text for dim in placed.node.type.dims]
        used = any(p.item is placed.item and any(called(a.value) == name for a in p.node.arguments[1:])
                   for p, _, _ in patterns)  # fmt: skip
        if summed and used and not any("." in dim for dim in dims):
            del dims[rng.randrange(len(dims))]
            yield _at(placed.node.type, f"{placed.node.type.name.name}[{', '.join(dims)}]", placed)


@KINDS("wrong size of a layer")
def wrong_size(program: Program, rng: Random) -> Iterator[Edit]:
    """The last layer decides the last dim: the value's type, or the sum with what goes around it, says another size.

    A size is made one larger, so that it is neither equal nor 1.
    """
    for placed in program.of(ast.Call):
        if called(placed.node) != "Dense" or not placed.node.arguments or not in_layer(placed):
            continue
        size = placed.node.arguments[0]
        if size.name is None and (_typed_by(placed) or _added(placed)):
            new = str(size.value.value + 1) if isinstance(size.value, ast.Number) else f"{size.span.text} + 1"
            yield _at(size, new, placed)


def _typed_by(placed: Placed) -> bool:
    """Whether a call is the last link of a value whose last dim has a type, and that says what the call does."""
    statement = placed.nearest(ast.Output, ast.Bind)
    dims = statement.type.dims if statement is not None and statement.type is not None else None
    if not dims or chain(statement.value)[-1] is not placed.node:
        return False
    return dims[-1].span.text == placed.node.arguments[0].span.text


def _added(placed: Placed) -> bool:
    """Whether a call is the last link of what `residual` is given."""
    argument = placed.nearest(ast.Argument)
    if argument is None or chain(argument.value)[-1] is not placed.node:
        return False
    around = next((n for n in reversed(placed.around) if isinstance(n, ast.Call)), None)
    return called(around) == "residual"


@KINDS("wrong integer of a type")
def wrong_integer(program: Program, rng: Random) -> Iterator[Edit]:
    """The value has the size that its type says, as the program is valid; now it says another number."""
    for placed, type_, _ in annotations(program):
        for dim in type_.dims:
            if isinstance(dim, ast.Number):
                yield _at(dim, str(dim.value + rng.randint(1, 9)), placed)


@KINDS("dropped layer")
def dropped_layer(program: Program, rng: Random) -> Iterator[Edit]:
    """Without `Embedding`, ids go into a layer that takes floats; without the last `Dense` of a `residual`, a sum has
    two sizes. The `Dense` before it must name another size."""
    for placed, links in chains(program):
        for at, link in enumerate(links[1:-1], 1):
            following = input_type(called(links[at + 1]), program)
            if embeds(link, placed, program) and following is not None and following.name.name == "float":
                yield Edit(links[at - 1].span.end, link.span.end, "", placed.statement)
        dense = [link for link in links if called(link) == "Dense" and isinstance(link, ast.Call) and link.arguments]
        added = isinstance(placed.around[-1], ast.Argument) and called(placed.around[-2]) == "residual"
        two = len({d.arguments[0].span.text for d in dense[-2:]}) == 2
        if added and two and links[-1] is dense[-1]:
            yield Edit(links[-2].span.end, links[-1].span.end, "", placed.statement)


@KINDS("doubled layer")
def doubled_layer(program: Program, rng: Random) -> Iterator[Edit]:
    """`Embedding` makes floats of ids, and the second takes ids."""
    for placed, links in chains(program):
        for before, link in itertools.pairwise(links):
            if embeds(link, placed, program):
                operator = program.text[before.span.end : link.span.start]
                yield Edit(link.span.end, link.span.end, f"{operator}{link.span.text}", placed.statement)


@KINDS("shapes that clash across `repeat`")
def repeat_clash(program: Program, rng: Random) -> Iterator[Edit]:
    """The layer takes three dims and now gives two: the second turn takes what the first gave.

    Only where there are two turns or more.
    """
    for placed in program.of(ast.Call):
        arguments = placed.node.arguments
        if called(placed.node) != "repeat" or len(arguments) != 2 or not isinstance(placed.item, ast.Layer):
            continue
        turns, layer = arguments[0].value, arguments[1].value
        type_ = input_type(called(layer), program)
        known = turns.value if isinstance(turns, ast.Number) else sizes(placed.item).get(called(turns))
        fixed = type_ is not None and type_.dims and len(type_.dims) == 3
        if fixed and not any(isinstance(d, ast.PackDim) for d in type_.dims) and isinstance(known, int) and known > 1:
            yield Edit(layer.span.end, layer.span.end, " >> Flatten", placed.statement)


HEADED = frozenset({"SelfAttention", "CrossAttention", "EncoderBlock", "DecoderBlock", "LlamaBlock"})


@KINDS("heads that do not divide")
def heads(program: Program, rng: Random) -> Iterator[Edit]:
    """The number is a prime that divides no number of the file, and widths are products of those."""
    numbers = [p.node.value for p in program.of(ast.Number) if isinstance(p.node.value, int)]
    primes = [p for p in (7, 11, 13, 17, 19, 23) if not any(n and n % p == 0 for n in numbers)]
    for placed in program.of(ast.Parameter):
        node = placed.node
        if node.name.name == "heads" and isinstance(node.default, ast.Number) and placed.item.kind == "model":
            yield _at(node.default, str(rng.choice(primes)), placed)
    for placed in program.of(ast.Call):
        first = placed.node.arguments[0].value if placed.node.arguments else None
        if called(placed.node) in HEADED and isinstance(first, ast.Number) and in_layer(placed):
            yield _at(first, str(rng.choice(primes)), placed)


@KINDS("looks ahead under `generate`")
def looks_ahead(program: Program, rng: Random) -> Iterator[Edit]:
    """Without its mask, attention at a position looks at those that are not generated yet."""
    if not any(isinstance(item, ast.Record) and item.kind == "generate" for item in program.tree.items):
        return
    for placed in program.of(ast.Call):
        arguments = placed.node.arguments
        if called(placed.node) == "where" and called(arguments[0].value) == "causal_mask":
            yield instead(placed, arguments[1].span.text)
        elif called(placed.node) == "DecoderBlock":
            yield instead(placed, f"EncoderBlock({arguments[0].span.text})")
        elif called(placed.node) == "LSTM" and placed.item.kind == "model":
            yield instead(placed, f"bidirectional({placed.node.span.text}, {placed.node.span.text})")


@KINDS("wrong dtype of a value")
def wrong_dtype(program: Program, rng: Random) -> Iterator[Edit]:
    """The value is a float, as the program is valid, and is neither an int nor a bool."""
    for placed, type_, _ in annotations(program):
        if type_.name.name == "float":
            yield _at(type_.name, rng.choice(("int", "bool")), placed)


@KINDS("wrong dtype of an input")
def wrong_input_dtype(program: Program, rng: Random) -> Iterator[Edit]:
    """The input goes into `Embedding`, which takes ids and no floats."""
    for placed, links in chains(program):
        if len(links) < 2 or not embeds(links[1], placed, program) or not isinstance(links[0], ast.Name):
            continue
        for node in placed.item.body:
            for signature in node.signatures if isinstance(node, ast.Input) else ():
                if signature.name.name == links[0].name and signature.type.name.name == "int":
                    span = signature.type.name.span
                    yield Edit(span.start, span.end, "float", placed.statement)


@KINDS("unknown letter of `einsum`")
def einsum_letter(program: Program, rng: Random) -> Iterator[Edit]:
    """The result has a letter that no operand has: nothing says what it is."""
    for placed, operands, result in einsums(program):
        letters = {letter for operand in operands for letter in operand}
        free = sorted(set("acfgijklmnopqruvwxyz") - letters)
        at = rng.randrange(len(result)) if result else None
        if at is not None and "..." not in result[at]:
            new = [*result[:at], rng.choice(free), *result[at + 1 :]]
            yield _pattern(placed, operands, new)


def _pattern(placed: Placed, operands: list[list[str]], result: list[str]) -> Edit:
    text = f'"{", ".join(" ".join(operand) for operand in operands)} -> {" ".join(result)}"'
    return _at(placed.node.arguments[0].value, text, placed)


@KINDS("missing letter of `einsum`")
def einsum_missing(program: Program, rng: Random) -> Iterator[Edit]:
    """An operand has a dim for each letter, as the program is valid; now it has one more than letters."""
    for placed, operands, result in einsums(program):
        at = rng.randrange(len(operands))
        if "..." not in operands[at]:
            place = rng.randrange(len(operands[at]))
            shorter = [*operands[at][:place], *operands[at][place + 1 :]]
            yield _pattern(placed, [*operands[:at], shorter, *operands[at + 1 :]], result)


@KINDS("too many indices")
def too_many_indices(program: Program, rng: Random) -> Iterator[Edit]:
    """No value of these programs has eight dims."""
    for placed in program.of(ast.Index):
        first = placed.node.items[-1]
        if in_layer(placed) and any(isinstance(item, ast.Slice | ast.NoneValue) for item in placed.node.items):
            yield Edit(first.span.end, first.span.end, ", :" * 8, placed.statement)
