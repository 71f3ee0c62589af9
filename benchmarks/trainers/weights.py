"""The weights that trxc starts with, as models of other tools read them: part by part, and layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from .base import Array


class Weights:
    """The weights below one part of a model, by the rest of their dotted paths: `weights["up.w"]`.

    >>> weights = Weights({"up.w": np.eye(2), "up.b": np.zeros(2)})
    >>> weights.part("up")["w"].shape
    (2, 2)
    """

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._arrays = dict(arrays)

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def get(self, name: str) -> Array | None:
        """The weight of this name, if there is one."""
        return self._arrays.get(name)

    def __contains__(self, name: str) -> bool:
        """Whether there is a weight or a part of this name."""
        return any(path == name or path.startswith(f"{name}.") for path in self._arrays)

    def part(self, name: str) -> Weights:
        """What is below `name`."""
        return Weights(
            {path.removeprefix(f"{name}."): w for path, w in self._arrays.items() if path.startswith(f"{name}.")}
        )

    def parts(self, name: str) -> Iterator[Weights]:
        """Parts of one kind in their order: `basic`, `basic_2`, `basic_3` and so on."""
        number, at = 1, name
        while at in self:
            yield self.part(at)
            number += 1
            at = f"{name}_{number}"

    def layers(self, name: str) -> list[Weights]:
        """The layers of a `repeat`, whose weights trxc stacks along their first dim."""
        stacks = self.part(name)._arrays
        count = len(next(iter(stacks.values())))
        return [Weights({path: stack[at] for path, stack in stacks.items()}) for at in range(count)]


def forget_bias(b: Array) -> Array:
    """The bias of an LSTM, `f32[4 * hidden]`, with the 1 in it that trxc adds to what the forget gate takes.

    Weight decay then pulls at this 1, too, by 1e-5 of it a step.
    """
    _, forget, *_ = np.split(np.arange(b.size), 4)
    return b + np.isin(np.arange(b.size), forget).astype(b.dtype)


def sinusoids(length: int, embed: int) -> Array:
    """What `Sinusoids` adds to a sequence: `f32[length, embed]`, sines before cosines (Vaswani et al., 2017)."""
    rates = np.exp(np.arange(embed // 2) * (-np.log(10_000.0) / (embed // 2)))
    angles = np.arange(length)[:, None] * rates
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=-1).astype(np.float32)
