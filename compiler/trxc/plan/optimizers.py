"""How much optimizers keep beside the weights: in copies of them, as optax lays their states out."""

from __future__ import annotations

from collections.abc import Mapping

COPIES: dict[str, int] = {
    **dict.fromkeys(("sgd", "sign_sgd", "fromage", "adafactor"), 0),
    **dict.fromkeys(
        ("optimistic_gradient_descent", "novograd", "lion", "adagrad", "rmsprop", "sm3", "lars", "muon"), 1
    ),
    **dict.fromkeys(("rprop", "adam", "adamw", "nadam", "nadamw", "adamax", "radam", "adabelief", "yogi"), 2),
    **dict.fromkeys(("adadelta", "lamb"), 2),
    **dict.fromkeys(("amsgrad", "ademamix"), 3),
    **dict.fromkeys(("adan", "prodigy"), 4),
    **dict.fromkeys(("clip_by_global_norm", "clip", "clip_by_block_rms", "adaptive_grad_clip"), 0),
    **dict.fromkeys(("add_decayed_weights", "centralize", "zero_nans", "scale"), 0),
}
"""Copies by the name of the optax function. Row and column sums, as of `adafactor`, count for nothing."""

USUAL = 2
"""Copies of an optimizer that is not in the table: those of Adam."""

_WITH_MOMENTUM = frozenset({"sgd", "rmsprop", "adafactor"})


def copies(target: str, arguments: Mapping[str, object]) -> int:
    """The copies of the weights that a call of `target` ("optax:contrib.muon") keeps."""
    name = target.rpartition(":")[2].rpartition(".")[2]
    more = name in _WITH_MOMENTUM and arguments.get("momentum") is not None
    return COPIES.get(name, USUAL) + more + (arguments.get("centered") is True)
