"""The other models that a caller names beside the one that generates, and whether they go together with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .beside import Amateur, Proposer, Weighted
from .contrast import Contrast
from .errors import RunError
from .request import decoder_of, recipe_of, recipe_tokenizer
from .signatures import declared_type

if TYPE_CHECKING:
    from .data.tokenizers import Tokenizer
    from .decoding import Decoder
    from .model import Model
    from .speculation import Drafted


@dataclass(frozen=True)
class Others:
    """What :meth:`Model.generate` takes of other models; see there."""

    draft: Model | None = None
    ahead: int = 4
    on_draft: Callable[[Drafted], None] | None = None
    amateur: Model | None = None
    contrast: float = 0.5
    plausible: float = 0.1

    def join(self, model: Model, decoder: Decoder) -> Decoder:
        """A model's decoder with the others; raises :class:`RunError` where one does not go together with it."""
        if self.amateur is not None:
            other = _weighted(model, self.amateur, "amateur")
            decoder = replace(decoder, amateur=Amateur(other, Contrast(self.contrast, self.plausible)))
        if self.draft is not None:
            other = _weighted(model, self.draft, "draft")
            decoder = replace(decoder, draft=Proposer(other, self.ahead, self.on_draft))
        return decoder


def _weighted(model: Model, other: Model, what: str) -> Weighted:
    from .model import Model

    if not isinstance(other, Model):  # pyright: ignore[reportUnnecessaryIsInstance] - callers are not all checked
        raise RunError(f"`{what}` is a model, and this is {other!r}", hints=("`trxc_runtime.load` gives one",))
    _check_vocabulary(model, other, what)
    _check_inputs(model, other, what)
    decoder = decoder_of(other, (), None)
    return Weighted(decoder, other.params, other.state)


def _check_vocabulary(model: Model, other: Model, what: str) -> None:
    ours, theirs = _vocab(model), _vocab(other)
    if ours != theirs:
        raise RunError(
            f"the {what} has scores for {theirs} tokens, and the model for {ours}",
            hints=(f"train the {what} with the model's tokenizer",),
        )
    found, wanted = _tokenizer(other), _tokenizer(model)
    if found is None or wanted is None:  # then all is said in ids
        return
    if difference := _difference(found, wanted):
        raise RunError(f"the {what} has another tokenizer: {difference}", hints=("both must read the same ids",))


def _vocab(model: Model) -> int | None:
    name = str(recipe_of(model)["from"])
    return next((field["shape"][-1] for field in model.manifest["outputs"] if field["name"] == name), None)


def _tokenizer(model: Model) -> Tokenizer | None:
    try:
        return recipe_tokenizer(model)
    except RunError:
        return None


def _difference(found: Tokenizer, wanted: Tokenizer) -> str | None:
    """The first thing in which two tokenizers differ, in words."""
    if found.size != wanted.size:
        return f"it has {found.size} tokens, and the model's {wanted.size}"
    for token, (piece, own) in enumerate(zip(found.pieces, wanted.pieces, strict=True)):
        if piece != own:
            return f"token {token} is {_shown(piece)} there, and {_shown(own)} to the model"
    return None


def _shown(piece: bytes) -> str:
    return repr(piece.decode("utf-8", "backslashreplace")) if piece else "a special token"


def _check_inputs(model: Model, other: Model, what: str) -> None:
    """Refuses another model that needs an input which the model has not, or has otherwise."""
    ours, theirs = _further(model), _further(other)
    for name, field in theirs.items():
        if name not in ours:
            raise RunError(f"the {what} needs the input `{name}`, which the model does not have")
        pairs = zip(field["shape"], ours[name]["shape"], strict=False)
        sizes_fit = all(one is None or two is None or one == two for one, two in pairs)
        if not sizes_fit or field["dtype"] != ours[name]["dtype"] or len(field["shape"]) != len(ours[name]["shape"]):
            found, wanted = declared_type(field), declared_type(ours[name])
            raise RunError(f"`{name}` is {found} to the {what}, and {wanted} to the model")


def _further(model: Model) -> dict[str, Mapping[str, Any]]:
    prompt = str(recipe_of(model)["prompt"])
    return {str(field["name"]): field for field in model.manifest["inputs"] if field["name"] != prompt}
