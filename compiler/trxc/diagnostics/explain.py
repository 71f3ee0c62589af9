"""The page of a diagnostic: what it says, why it matters, a wrong example with its output, the mended one.

A page is Markdown with these sections, in this order::

    # TRX0204: dims that must agree do not
    ## What it says
    ## Why it matters
    ## Wrong
    ## Mended

*Wrong* holds a ``trx`` block and a ``text`` block with exactly what ``trxc check`` prints for it; *Mended* holds
a ``trx`` block that gives no diagnostics. What no source text can show (a missing file, say) is a ``console``
block instead, which tests do not run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

from .codes import CODES

SECTIONS = ("What it says", "Why it matters", "Wrong", "Mended")

_NUMBER = re.compile(r"(?:TRX)?0*(\d{1,4})", re.IGNORECASE)
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Page:
    """A page's text, and the parts of it that tests compare with what the compiler does."""

    text: str

    @property
    def title(self) -> str:
        """The first line, without its ``#``."""
        return self.text.split("\n", 1)[0].removeprefix("# ")

    @property
    def sections(self) -> dict[str, str]:
        """The text of each section, by its heading, in the order of the page."""
        _, *parts = _HEADING.split(self.text)
        return dict(zip(parts[::2], parts[1::2], strict=True))

    def block(self, section: str, language: str) -> str | None:
        """The first block of ``language`` in ``section``, without its fences; None where there is none."""
        blocks = _BLOCK.findall(self.sections.get(section, ""))
        return next((body for name, body in blocks if name == language), None)

    def with_output(self, output: str) -> Page:
        """The page with ``output`` in its ``text`` block; one that has none yet gets it after its ``trx`` block."""
        blocks = {found[1]: found for found in reversed(list(_BLOCK.finditer(self.text)))}
        if "text" in blocks:
            start, end = blocks["text"].span(2)
            return Page(f"{self.text[:start]}{output}\n{self.text[end:]}")
        end = blocks["trx"].end()
        return Page(f"{self.text[:end]}\n\n```text\n{output}\n```{self.text[end:]}")


def pages() -> Traversable:
    """The folder that holds the pages, one ``TRX0000.md`` a code."""
    return resources.files("trxc.diagnostics").joinpath("pages")


def canonical(code: str) -> str | None:
    """The code as the table has it: ``trx204`` and ``204`` mean ``TRX0204``; None where there is no such code."""
    found = _NUMBER.fullmatch(code.strip())
    name = f"TRX{int(found[1]):04}" if found else ""
    return name if name in CODES else None


def explain(code: str) -> str:
    """The page of ``code`` as Markdown. Raises :class:`LookupError` for a code that is not in the table."""
    name = canonical(code)
    if name is None:
        raise LookupError(f"no diagnostic has the code {code!r}")
    return pages().joinpath(f"{name}.md").read_text(encoding="utf-8")
