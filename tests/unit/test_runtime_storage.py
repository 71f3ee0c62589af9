"""A checkpoint of a program that stores equal layers together is one of a program that stores them apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest

from trxc_runtime.checkpoint import Checkpoints
from trxc_runtime.errors import RunError
from trxc_runtime.storage import layout_of

W = [np.arange(6.0, dtype=np.float32).reshape(2, 3) + 10 * at for at in range(4)]


def entry(key: str, path: str, stack: list[int], names: list[str] | None = None) -> dict[str, Any]:
    """A weight in a manifest."""
    return {"key": key.split("."), "path": path, "stack": stack, **({"names": names} if names else {})}


APART = {"parameters": [entry(f"{name}.w", f"{name}.w", []) for name in ("block", "block_2", "last")]}
TOGETHER = {
    "parameters": [entry("block.w", "block.w", [2], ["block.w", "block_2.w"]), entry("last.w", "last.w", [])],
    "state": [],
}
COPIES = {"parameters": [entry(f"blocks_{at}.w", f"blocks[{at}].w", []) for at in range(4)]}
NUMBERED = {"parameters": [entry("blocks.w", "blocks[*].w", [4])]}
NESTED = {"parameters": [entry("a.b.w", "a[*].b[*].w", [2, 2])]}
ONE_BY_ONE = {"parameters": [entry(f"a_{i}.b_{j}.w", f"a[{i}].b[{j}].w", []) for i in (0, 1) for j in (0, 1)]}

apart = {"block": {"w": W[0]}, "block_2": {"w": W[1]}, "last": {"w": W[2]}}
together = {"block": {"w": np.stack(W[:2])}, "last": {"w": W[2]}}
copies = {f"blocks_{at}": {"w": W[at]} for at in range(4)}
numbered = {"blocks": {"w": np.stack(W)}}
nested = {"a": {"b": {"w": np.stack(W).reshape(2, 2, 2, 3)}}}
one_by_one = {f"a_{i}": {f"b_{j}": {"w": W[2 * i + j]} for j in (0, 1)} for i in (0, 1)}


def tree(params: Any) -> Any:
    """Weights, and what Adam keeps of them: here the weights themselves, tenfold."""
    params = jax.tree.map(jax.numpy.asarray, params)
    kept = optax.adam(1e-3).init(params)
    moved = jax.tree.map(lambda x: x, kept)
    moved = (moved[0]._replace(mu=jax.tree.map(lambda w: 10 * w, params)), *moved[1:])
    return {"params": params, "state": {}, "opt_state": moved}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((APART, apart), (TOGETHER, together)),
        ((TOGETHER, together), (APART, apart)),
        ((COPIES, copies), (NUMBERED, numbered)),
        ((NUMBERED, numbered), (COPIES, copies)),
        ((NESTED, nested), (ONE_BY_ONE, one_by_one)),
    ],
)
def test_weights_and_their_statistics_are_found_by_name(tmp_path: Path, before: Any, after: Any) -> None:
    writer = Checkpoints(tmp_path, layout=layout_of(before[0]))
    writer.save(5, tree(before[1]), {})
    writer.finish()
    writer.close()
    wanted = tree(after[1])
    restored = Checkpoints(tmp_path, layout=layout_of(after[0])).restore(5, wanted)
    jax.tree.map(np.testing.assert_array_equal, restored.tree, wanted)
    assert jax.tree.structure(restored.tree) == jax.tree.structure(wanted)


def test_other_weights_are_still_refused(tmp_path: Path) -> None:
    writer = Checkpoints(tmp_path, layout=layout_of(APART))
    writer.save(5, tree(apart), {})
    writer.finish()
    writer.close()
    other = {"parameters": [entry("block.w", "block.w", [2], ["block.w", "block_3.w"]), entry("last.w", "last.w", [])]}
    with pytest.raises(RunError, match=r"does not fit this program: `opt_state\.0\.mu\.block_2\.w` is not in"):
        Checkpoints(tmp_path, layout=layout_of(other)).restore(5, tree(together))
