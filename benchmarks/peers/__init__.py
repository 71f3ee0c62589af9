"""What other people's tools make of the models in `benchmarks/workloads`, with the weights that trxc has.

Every peer has `LABEL`, the packages it `NEEDS`, and `build(transformer, rows, prompt, limit)`, which gives a function
`generate(prompts, count)`: greedy tokens, `i32[count, rows]`, for prompts of the lengths that it was built for. All of
them fill shorter prompts up on the left, so that rows write to one place of their caches. `build` raises
`UnsupportedError` for what the tool has no way to say, or what does not work on the machine.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

PEERS = ("jax_by_hand", "flax_nnx", "torch_eager", "torch_compiled")


def load(name: str) -> tuple[ModuleType | None, str]:
    """The peer, or nothing and the packages that it lacks."""
    peer = import_module(f".{name}", __name__)
    missing = [package for package in peer.NEEDS if find_spec(package) is None]
    return (None, ", ".join(missing)) if missing else (peer, "")
