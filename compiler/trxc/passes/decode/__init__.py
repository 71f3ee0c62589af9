"""Decoding, derived from the training definition; see :mod:`.derive`.

Before::

    function gpt(tokens: int[batch, seq]) -> (logits) { … }

After, beside it::

    function gpt_prepare(tokens: int[batch, seq]) { … set_state(memory) … yield }
    function gpt_decode(tokens: int[batch, chunk], start: int[], count: int[]) -> (logits) {
      … state, write_at, chunk_attention, set_state …
    }
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...ir import Module
from ...plan.sharding import Rules
from ..base import Pass, Remarks
from .derive import PREPARE, STEP, derive_decoding
from .kinds import RefusedError
from .scope import CAPACITY, KEPT, window_of


@dataclass(frozen=True)
class DeriveDecoding(Pass):
    """Adds the roles `prepare` and `decode` for a model's output along the places of its input `prompt`.

    Raises :class:`RefusedError` where a place of the output depends on later ones of the prompt. Where it is only not
    known how to do without them, a remark says so, and the roles are not there.
    """

    name: ClassVar[str] = "derive-decoding"
    prompt: str = ""
    output: str = ""
    rules: Rules = ()

    def run(self, module: Module, remarks: Remarks) -> None:
        """Derives, if there is something to generate and it was not done before."""
        if not self.prompt or STEP in module.roles:
            return
        try:
            derive_decoding(module, self.prompt, self.output, on_mesh=bool(self.rules))
        except RefusedError as error:
            if error.ahead:
                raise
            message = f"each token will be computed from the whole sequence anew: {error.reason}"
            remarks.missed(self.name, message, error.span)


__all__ = ["CAPACITY", "KEPT", "PREPARE", "STEP", "DeriveDecoding", "RefusedError", "derive_decoding", "window_of"]
