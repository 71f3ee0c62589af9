"""Where slices are stored together: the same place for all functions that read them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..ir import Path
from ..ir.walk import SliceNames
from .families import Family, Identity, Names, Places

_NUMBERED = re.compile(r"(.*)\[(\d+)\]")


@dataclass(frozen=True)
class Layout:
    """The path of a loop's slices relative to the function, and their names where they are not its numbers.

    `members`: whether a slice has the parts that the names are given by, or is what is named.
    """

    path: Path
    names: SliceNames
    members: bool

    def inner(self, family: Family, path: Path) -> Path:
        """A path of the first group of a family, relative to the slice."""
        return path[len(family.prefix) + (not self.members) :]


def layouts_of(families: list[Family], places: Places) -> dict[Family, Layout]:
    """A layout for each of the families that were agreed on; those with a place in common have the same."""
    taken: set[tuple[Path, str]] = set()
    found: dict[Family, Layout] = {}
    for group in _groups(families):
        members = any(len(family.members) + len(family.drawn) > 1 for family in group)
        prefixes = {prefix for family in group for prefix, _ in family.places}
        used = {(prefix, child) for prefix in prefixes for child in places.children(prefix)} | taken
        segment, plain = _segment(group[0], members, {child for prefix, child in used if prefix in prefixes})
        taken |= {(prefix, segment) for prefix in prefixes}
        for family in group:
            names = (*family.members, *family.drawn)
            own: SliceNames = () if plain else names if members else names[0]
            found[family] = Layout((*family.prefix, segment), own, members)
    return found


def _segment(family: Family, members: bool, used: set[str]) -> tuple[str, bool]:
    """The last segment of where the slices are stored, and whether their numbers are their names."""
    names = (*family.members, *family.drawn)
    stem = _stem(names)
    if members:
        return _free(stem or "layers", used), False
    in_order = [f"{stem}[{at}]" for at in range(len(names[0]))] == list(names[0])
    return (stem, True) if in_order and stem and stem not in used else (names[0][0], False)


def _stem(names: Iterable[Names]) -> str | None:
    """What all names are without their numbers, if they have numbers and it is the same."""
    matches = [_NUMBERED.fullmatch(name) for member in names for name in member]
    stems = {match[1] if match else None for match in matches}
    return stems.pop() if len(stems) == 1 else None


def _free(wanted: str, used: set[str]) -> str:
    name, number = wanted, 1
    while name in used:
        number += 1
        name = f"{wanted}_{number}"
    return name


def _groups(families: list[Family]) -> list[list[Family]]:
    """Families that must have the same layout, as the same weights are theirs."""
    groups: list[tuple[set[Identity], list[Family]]] = []
    for family in families:
        mine = {identity for identity in family.places if identity[1]}
        touching = [group for group in groups if group[0] & mine]
        groups = [group for group in groups if group not in touching]
        merged = mine.union(*(identities for identities, _ in touching))
        groups.append((merged, [*(each for _, members in touching for each in members), family]))
    return [members for _, members in groups]
