"""Generation with PyTorch as it is: a preallocated cache, of which each token sees as much as there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .transformer import Transformer, left_padded

LABEL = "PyTorch, eager"
NEEDS = ("torch",)


def build(model: Transformer, rows: int, prompt: int, limit: int) -> Callable[..., Any]:
    """See :mod:`peers`."""
    import torch

    from .torch_network import PLACE, Network, mask_of

    network = Network(model, rows, prompt + limit).eval().to(PLACE)

    def generate(prompts: Sequence[Sequence[int]], count: int) -> Any:
        tokens, pads = (torch.from_numpy(array).long().to(PLACE) for array in left_padded(prompts))
        ragged, drawn, at = bool(pads.any()), [], torch.arange(prompt, device=PLACE)
        with torch.inference_mode():
            token = network(tokens, at, pads, prompt, mask_of(at, pads, prompt))
            drawn.append(token)
            for place in range(prompt, prompt + count - 1):
                at, span = torch.tensor([place], device=PLACE), place + 1
                mask = mask_of(at, pads, span) if ragged else None
                token = network(token[:, None], at, pads, span, mask)
                drawn.append(token)
        return np.stack([token.cpu().numpy() for token in drawn])

    return generate
