"""Tokenizers: text to ids and back, whole or as a stream.

Both are made of bytes, so that every text has ids and comes back exactly. With ``special = true`` the first three
ids are pad = 0, bos = 1 and eos = 2, every encoded example ends in eos, and bos is left to `shift`, which makes a
decoder's input. No text of a user's is ever read as a special token.
"""

from __future__ import annotations

import codecs
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..declared import Declared
from .cache import cached_text, digest
from .columns import Array
from .errors import DataError, names
from .project import read_text

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Trained

PAD, BOS, EOS = 0, 1, 2
SPECIALS = ("<pad>", "<bos>", "<eos>")
_CHUNK = 1 << 16
_MAX_VOCAB = 1 << 20
_MAX_JSON = 256 << 20


class Tokenizer(ABC):
    """Text to ids and back. ``pieces[id]`` is the bytes that an id stands for, none for a special token."""

    special: bool
    pieces: Sequence[bytes]

    @property
    def size(self) -> int:
        """How many ids there are: all are in ``0 … size - 1``."""
        return len(self.pieces)

    @abstractmethod
    def encode_all(self, texts: Sequence[str]) -> list[Array]:
        """The ids of each text, ``int32[length]``, without special tokens."""

    def encode(self, text: str) -> Array:
        """The ids of a text, ``int32[length]``, without special tokens."""
        return self.encode_all([text])[0]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids. Bytes that are no UTF-8, and ids there are not, become U+FFFD."""
        return b"".join(self._piece(int(token)) for token in ids).decode("utf-8", "replace")

    def stream(self) -> TextStream:
        """A decoder for ids that come one by one."""
        return TextStream(self)

    def _piece(self, token: int) -> bytes:
        return self.pieces[token] if 0 <= token < len(self.pieces) else b"\xef\xbf\xbd"


class TextStream:
    """Decodes ids one by one; characters of several bytes come out when they are whole."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._piece = tokenizer._piece  # pyright: ignore[reportPrivateUsage] - the other half of the same class
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def step(self, token: int) -> str:
        """The text that is certain once ``token`` is known; often nothing, never a broken character."""
        return self._decoder.decode(self._piece(int(token)))

    def finish(self) -> str:
        """What is left, where the last character was never finished."""
        return self._decoder.decode(b"", final=True)


class TokenizerRecipe(Declared, ABC):
    """A tokenizer as a recipe names it, before it has seen any text."""

    @abstractmethod
    def train(self, texts: Sequence[str], folder: Path | None) -> Tokenizer:
        """The tokenizer made for the training split's texts; ``folder`` keeps what is slow to make."""

    @abstractmethod
    def restore(self, saved: str) -> Tokenizer:
        """The tokenizer written by :func:`tokenizer_json`."""


@dataclass(frozen=True)
class Bytes(TokenizerRecipe, Tokenizer):
    """One id a byte of UTF-8: 256 of them, or 259 with special tokens. Yields ``tokens``."""

    special: bool = False

    @property
    def pieces(self) -> Sequence[bytes]:  # pyright: ignore[reportIncompatibleVariableOverride] - read only
        """What each id stands for: special tokens first, then the bytes."""
        return _byte_pieces(self.special)

    def encode_all(self, texts: Sequence[str]) -> list[Array]:
        first = len(SPECIALS) if self.special else 0
        raw = (np.frombuffer(text.encode("utf-8", "replace"), np.uint8) for text in texts)
        return [ids.astype(np.int32) + first for ids in raw]

    def train(self, texts: Sequence[str], folder: Path | None) -> Tokenizer:
        del texts, folder
        return self

    def restore(self, saved: str) -> Tokenizer:
        del saved
        return self


@dataclass(frozen=True)
class Bpe(TokenizerRecipe):
    """Byte-level byte-pair encoding with at most ``vocab`` ids, learnt from the training split. Yields ``tokens``.

    Source: Sennrich et al. 2016, on bytes as in GPT-2. The same text always gives the same ids.
    """

    vocab: int = 1024
    special: bool = False

    def __post_init__(self) -> None:
        least = 256 + (len(SPECIALS) if self.special else 0)
        if not least <= self.vocab <= _MAX_VOCAB:
            raise DataError(f"`bpe` needs a vocab from {least} (one id a byte) to {_MAX_VOCAB:,}, not {self.vocab}")

    def train(self, texts: Sequence[str], folder: Path | None) -> Tokenizer:
        import tokenizers

        what = f"bpe {self.vocab} {self.special} {tokenizers.__version__}"
        key = digest(what, texts) if folder else ""
        try:
            return self.restore(cached_text(folder, key, lambda: self._train(texts)))
        except DataError:  # what the cache held is no tokenizer
            return self.restore(self._train(texts))

    def _train(self, texts: Sequence[str]) -> str:
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=self.vocab,
            show_progress=False,
            special_tokens=list(SPECIALS) if self.special else [],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        )
        made.train_from_iterator(chain.from_iterable(map(_chunks, texts)), trainer)
        return made.to_str()

    def restore(self, saved: str) -> Tokenizer:
        from tokenizers import Tokenizer

        try:
            return BpeTokenizer(Tokenizer.from_str(saved), self.special)
        except Exception as error:  # the library raises bare exceptions for any text that is no tokenizer
            raise DataError(f"the saved tokenizer cannot be read: {error}") from None


class BpeTokenizer(Tokenizer):
    """A trained byte-level BPE."""

    def __init__(self, trained: Trained, special: bool) -> None:
        self._trained = trained
        self._trained.encode_special_tokens = True
        self.special = special
        self.pieces = _pieces(trained, special)

    def encode_all(self, texts: Sequence[str]) -> list[Array]:
        parts = [list(_chunks(text)) for text in texts]
        encoded = iter(self._trained.encode_batch_fast(list(chain.from_iterable(parts)), add_special_tokens=False))
        return [_joined([next(encoded).ids for _ in part]) for part in parts]

    @property
    def json(self) -> str:
        """The tokenizer as the `tokenizers` library writes it."""
        return self._trained.to_str()


def _joined(parts: list[list[int]]) -> Array:
    return np.array(list(chain.from_iterable(parts)), dtype=np.int32)


def _chunks(text: str) -> Iterator[str]:
    """A text in parts of bounded size, cut after a line's end: encoding holds far more than the text at once."""
    text = text.encode("utf-8", "replace").decode()  # half a surrogate pair is no character
    start = 0
    while len(text) - start > _CHUNK:
        cut = text.rfind("\n", start, start + _CHUNK) + 1
        cut = cut if cut > start else start + _CHUNK
        yield text[start:cut]
        start = cut
    if start < len(text):
        yield text[start:]


@cache
def _byte_pieces(special: bool) -> tuple[bytes, ...]:
    return (*((b"",) * len(SPECIALS) if special else ()), *(bytes([byte]) for byte in range(256)))


@cache
def _byte_of() -> dict[str, int]:
    """GPT-2's letters for bytes: printable ones stand for themselves, the others for letters from 256 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = (byte for byte in range(256) if byte not in printable)
    return {chr(byte): byte for byte in printable} | {chr(256 + at): byte for at, byte in enumerate(others)}


def _pieces(trained: Trained, special: bool) -> list[bytes]:
    """The bytes of every id; raises ``ValueError`` for a tokenizer that is not byte-level or has gaps."""
    pieces: list[bytes] = []
    for token in range(trained.get_vocab_size()):
        letters = trained.id_to_token(token)
        if letters is None or not all(letter in _byte_of() for letter in letters):
            raise ValueError("it is not byte-level")
        pieces.append(b"" if special and token <= EOS else bytes(_byte_of()[letter] for letter in letters))
    return pieces


def tokenizer_json(tokenizer: Tokenizer) -> str | None:
    """What :meth:`TokenizerRecipe.restore` needs, or ``None`` if it needs nothing because nothing was learnt."""
    return tokenizer.json if isinstance(tokenizer, BpeTokenizer) else None


def saved_name(field: str | None = None) -> str:
    """The name of the file that keeps a run's tokenizer, or one field's where there are several."""
    return f"tokenizer.{field}.json" if field else "tokenizer.json"


def restore_tokenizer(recipe: TokenizerRecipe, folder: Path, field: str | None = None) -> Tokenizer:
    """The tokenizer that a run's folder keeps; :class:`DataError` if it keeps none."""
    if isinstance(recipe, Bytes):
        return recipe
    if field and (folder / saved_name(field)).is_file():
        return recipe.restore(read_text(folder / saved_name(field), _MAX_JSON))
    if several := sorted(path.name for path in folder.glob(saved_name("*"))):
        raise DataError(f"{folder} keeps no tokenizer of `{field}`", f"it keeps {names(several)}")
    if (folder / saved_name()).is_file():
        return recipe.restore(read_text(folder / saved_name(), _MAX_JSON))
    raise DataError(f"{folder} keeps no {saved_name()}", "train first: the tokenizer is learnt from the training split")
