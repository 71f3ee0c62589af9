"""Generation with `torch.compile`: one step, compiled for the whole cache; on CPUs, with frozen weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .transformer import Transformer, UnsupportedError, left_padded

LABEL = "PyTorch, compiled"
NEEDS = ("torch",)


def build(model: Transformer, rows: int, prompt: int, limit: int) -> Callable[..., Any]:
    """See :mod:`peers`."""
    import torch
    from torch._inductor import config

    from .torch_network import PLACE, Network, mask_of

    config.freezing = PLACE == "cpu"
    places = prompt + limit
    network = Network(model, rows, places).eval().to(PLACE)

    def read(token: Any, at: Any, pads: Any) -> Any:
        return network(token[:, None], at, pads, places, mask_of(at, pads, places))

    mode = None if PLACE == "cpu" else "reduce-overhead"  # one CUDA graph a token
    step = torch.compile(read, fullgraph=True, dynamic=False, mode=mode)

    def generate(prompts: Sequence[Sequence[int]], count: int) -> Any:
        tokens, pads = (torch.from_numpy(array).long().to(PLACE) for array in left_padded(prompts))
        at = torch.arange(prompt, device=PLACE)
        with torch.no_grad():
            token = network(tokens, at, pads, prompt, mask_of(at, pads, prompt))
            drawn = [token]
            for place in range(prompt, prompt + count - 1):
                token = step(token, torch.tensor([place], device=PLACE), pads).clone()
                drawn.append(token)
        return np.stack([token.cpu().numpy() for token in drawn])

    try:
        generate([[1] * prompt] * rows, 2)
    except Exception as fault:  # the compiler's faults have no class in common
        raise UnsupportedError(f"`torch.compile` fails: {str(fault).splitlines()[0]}") from fault
    return generate
