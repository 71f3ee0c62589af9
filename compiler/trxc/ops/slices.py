"""What names of their own the slices of a `repeat` may have."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..ir import Attribute, Op
from ..ir.walk import stack_count


def name_problems(op: Op) -> Iterator[str]:
    """Names of slices are in the place of the path's last segment, distinct, and numbered all alike."""
    given = op.attributes.get("names", ())
    members = given if isinstance(given, tuple) and all(isinstance(item, tuple) for item in given) else (given,)
    texts = [name for member in members for name in (member if isinstance(member, tuple) else (None,))]
    if not all(isinstance(name, str) and name for name in texts):
        yield "`names` are no texts, or tuples of them"
    elif texts and not op.attributes.get("path"):
        yield "slices have names of their own, and there is no path that they could take the place of"
    elif any(isinstance(member, tuple) and member and len(member) != stack_count(op) for member in members):
        yield f"there is not a name for each of {stack_count(op)} slices"
    elif len(set(texts)) < len(texts):
        yield "two slices have the same name"
    elif not all(numbered_alike(member) for member in members if isinstance(member, tuple)):
        yield "some slices are numbered, `blocks[0]`, and others are not, or have another name"


def numbered_alike(names: Sequence[Attribute]) -> bool:
    """Whether all names have numbers, `blocks[0]`, and are the same without them, or none has."""
    return len(set(map(_stem, names))) <= 1


def _stem(name: Attribute) -> str | None:
    """What a numbered name is without its number: the same for all of a member, or None for all."""
    match = re.fullmatch(r"(.*)\[\d+\]", str(name))
    return match[1] if match else None
