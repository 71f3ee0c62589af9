"""Where the text of a row ends: at the first of the texts that stop it, which itself is not given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .errors import RunError

if TYPE_CHECKING:
    from .data.tokenizers import Tokenizer


class RowText:
    """The text of tokens that come one by one, up to a text that stops it.

    A stop counts wherever it stands in the text, also across tokens. Of several, the one that is whole first counts,
    whatever tokens it came in.
    """

    def __init__(self, tokenizer: Tokenizer, stops: Sequence[str]) -> None:
        self._pieces = tokenizer.stream()
        self._stops = stops
        self._held = ""
        self.stopped = False

    def step(self, token: int) -> str:
        """The text that is certain once ``token`` is known: what may be the beginning of a stop is held back."""
        return self._given(self._pieces.step(token))

    def finish(self) -> str:
        """What is left, where no stop has come."""
        if self.stopped:
            return ""
        text = self._given(self._pieces.finish())
        return text if self.stopped else text + self._held

    def _given(self, piece: str) -> str:
        text, self._held = self._held + piece, ""
        matches = [(text.find(stop) + len(stop), text.find(stop)) for stop in self._stops if stop in text]
        if matches:
            self.stopped = True
            return text[: min(matches)[1]]
        held = max((_overlap(text, stop) for stop in self._stops), default=0)
        text, self._held = text[: len(text) - held], text[len(text) - held :]
        return text


def _overlap(text: str, stop: str) -> int:
    """How many of the text's last characters may be the beginning of ``stop``."""
    return next((size for size in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:size])), 0)


def stop_texts(value: str | Sequence[str] | None) -> tuple[str, ...]:
    """What stops a text, as a caller or a recipe gives it; raises :class:`RunError`."""
    texts = [value] if isinstance(value, str) else list(value or ())
    for text in texts:
        if not isinstance(text, str) or not text:  # pyright: ignore[reportUnnecessaryIsInstance] - from a caller
            raise RunError(f"generation stops at texts of at least one character, and {text!r} is none")
    return tuple(texts)
