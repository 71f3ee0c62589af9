"""The versions that trxc was tested with, and whether what is installed is among them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata

from ...resources import resource_folder

EXTRAS = {
    "sklearn": "the data sets `digits`, `iris`, `wine` and `breast_cancer`",
    "bleu": "metrics of texts, `trxc eval --metric bleu` and `chrf`",
    "constrained": "texts by regular expressions and JSON schemas, `matching` and `json_schema`",
    "lsp": "the language server, `trxc lsp`",
}
"""What the optional packages bring, by the name of the extra; that of developers is not for users."""

_LINE = re.compile(r"([A-Za-z0-9_.-]+)\s*([<>=!~0-9.,\s]*)(?:;.*extra\s*==\s*['\"]([\w-]+)['\"])?")
_PART = re.compile(r"(>=|<)\s*([\d.]+)")


@dataclass(frozen=True)
class Requirement:
    """A package, the versions of it that were tested (``>=0.10,<0.13``), and the extra that it belongs to, if any."""

    package: str
    versions: str
    extra: str | None = None

    @property
    def installed(self) -> str | None:
        """The version that is installed, if any."""
        try:
            return metadata.version(self.package)
        except metadata.PackageNotFoundError:
            return None

    def allows(self, version: str) -> bool:
        """Whether a version is among those that were tested."""
        for sign, bound in _PART.findall(self.versions):
            found, limit = _numbers(version), _numbers(bound)
            if (found < limit) if sign == ">=" else (found >= limit):
                return False
        return True


def requirements() -> list[Requirement]:
    """What trxc needs and may use: as its installation says, or in a checkout its `pyproject.toml`."""
    lines = _declared()
    found = [_requirement(line) for line in lines]
    return [item for item in found if item and (item.extra is None or item.extra in EXTRAS)]


def _declared() -> Iterable[str]:
    project = resource_folder("grammar").parent / "pyproject.toml"
    if project.is_file():
        declared = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
        extras = declared.get("optional-dependencies", {})
        named = [f'{line}; extra == "{extra}"' for extra, lines in extras.items() for line in lines]
        return [*declared["dependencies"], *named]
    try:
        return metadata.requires("trxc") or []
    except metadata.PackageNotFoundError:
        return []


def _requirement(line: str) -> Requirement | None:
    found = _LINE.match(line)
    return Requirement(found[1], "".join(found[2].split()), found[3]) if found else None


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version, without zeros at the end: 1.2 and 1.2.0 are the same."""
    parts = [int(part) for part in re.findall(r"\d+", re.split(r"[^\d.]", version)[0])]
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)
