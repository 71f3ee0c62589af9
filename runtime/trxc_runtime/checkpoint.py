"""Checkpoints: written by orbax, sealed by us, and never believed without their seal.

``checkpoints/STEP/`` holds ``params/``, ``state/`` and ``opt_state/`` (orbax) and ``checkpoint.json`` (the seal).
A step is prepared beside its place, flushed, and renamed into it, so that a kill at any moment leaves the step
before it as it was.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import shutil
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .errors import RUN_FAILED, RunError, first_line, is_disk_full
from .files import sync_folder
from .seal import DamagedError, check_seal, read_seal, write_seal
from .storage import Layout, Stored, read_layout, restored, same_weights
from .trees import Tree, difference, flatten, signature, unflatten
from .untyped import jax


@dataclass(frozen=True)
class Restored:
    """What a checkpoint held: the tree, and what its seal says (``step``, ``seed``, ``best``, …)."""

    tree: Tree
    facts: dict[str, Any]

    @property
    def step(self) -> int:
        """How many steps had been taken."""
        return int(self.facts["step"])


@dataclass
class Checkpoints:
    """The checkpoints of one run: the newest ``keep``, and the best one.

    ``layout`` says how the program stores its weights; a checkpoint of the same weights stored otherwise is restored.
    """

    folder: Path
    keep: int = 1
    best: int | None = None
    layout: Layout = field(default_factory=dict[str, Stored])
    _writer: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "checkpoint"), repr=False)
    _pending: tuple[int, Future[None]] | None = field(default=None, repr=False)

    def steps(self) -> list[int]:
        """The steps that have a readable seal, oldest first; their files are compared when they are restored."""
        if not self.folder.is_dir():
            return []
        return sorted(int(path.name) for path in self.folder.iterdir() if path.name.isdecimal() and _is_sealed(path))

    def save(self, step: int, tree: Tree, facts: dict[str, Any]) -> None:
        """Copy ``tree`` to the host and write it in the background; raises what the save before it met.

        ``facts`` go into the seal. The arrays may be donated as soon as this returns.
        """
        self.finish()
        leaves = {name: np.array(leaf) for name, leaf in flatten(tree).items()}
        shapes = {name: [list(leaf.shape), str(leaf.dtype)] for name, leaf in leaves.items()}
        sealed = {"step": step, **facts, "tree": shapes, "layout": self.layout}
        self._pending = step, self._writer.submit(self._write, step, leaves, sealed)

    def finish(self) -> None:
        """Wait until what is being written is in place; raises :class:`RunError` (status 3) if it could not be."""
        if self._pending is None:
            return
        (step, future), self._pending = self._pending, None
        try:
            future.result()
        except Exception as error:
            shutil.rmtree(self._partial(step), ignore_errors=True)
            raise self._failure(step, error) from error

    def close(self) -> None:
        """Let what is being written come to its end, and the thread that writes it; says nothing of how it went."""
        self._writer.shutdown(wait=True)

    def restore_newest(self, like: Tree, warn: Callable[[str], None]) -> Restored | None:
        """The newest checkpoint whose every byte is in place, shaped and placed as ``like``; None if there is none.

        Each damaged one that is passed over is told to ``warn`` in one line.
        """
        for step in sorted(self._numbered(), reverse=True):
            try:
                return self.restore(step, like)
            except DamagedError as error:
                warn(f"checkpoint {step} is not used: {error}")
        return None

    def restore(self, step: int, like: Tree) -> Restored:
        """Checkpoint ``step``; raises :class:`DamagedError`, or :class:`RunError` where it fits another program.

        ``like`` is a tree of arrays or of ``jax.ShapeDtypeStruct``; the result takes its structure and shardings.
        It may be a part of what was saved, such as ``{"params": …, "state": …}``.
        """
        folder = self.folder / str(step)
        facts = check_seal(folder)
        wanted = _by_top(flatten(like))
        found = {name: leaf for name, leaf in facts.get("tree", {}).items() if name.split(".")[0] in wanted}
        differs = difference(found, signature(like))
        leaves: dict[str, Any] = {}
        for top, part in wanted.items() if not differs else ():
            leaves |= _read_arrays(folder / top, part)
        if differs:
            leaves = self._from_other_storage(step, found, like, read_layout(facts), differs)
        return Restored(unflatten(like, leaves), facts)

    def _from_other_storage(
        self, step: int, found: dict[str, Any], like: Tree, layout: Layout, differs: str
    ) -> dict[str, Any]:
        """The leaves of a checkpoint whose arrays hold the same weights by name, each placed as ``like``."""
        forms = {name: jax.ShapeDtypeStruct(tuple(shape), dtype) for name, (shape, dtype) in found.items()}
        if not same_weights(forms, layout, signature(like), self.layout):
            raise RunError(
                f"checkpoint {step} does not fit this program: {differs}",
                hints=("train in another folder (`--run`), or start over (`--force`)",),
            )
        arrays: dict[str, Any] = {}
        for top, part in _by_top(forms).items():
            arrays |= jax.device_get(_read_arrays(self.folder / str(step) / top, part))
        moved = restored(arrays, layout, signature(like), self.layout)
        places = {name: getattr(leaf, "sharding", None) for name, leaf in flatten(like).items()}
        return {name: jax.device_put(array, places[name]) for name, array in moved.items()}

    def discard_after(self, step: int) -> None:
        """Remove what lies beyond ``step``: damaged or unfinished checkpoints that a resumed run writes again."""
        for other in self._numbered():
            if other > step:
                shutil.rmtree(self.folder / str(other), ignore_errors=True)

    def _numbered(self) -> list[int]:
        return [int(p.name) for p in self.folder.iterdir() if p.name.isdecimal()] if self.folder.is_dir() else []

    def _partial(self, step: int) -> Path:
        return self.folder / f".{step}.partial"

    def _write(self, step: int, leaves: dict[str, Any], sealed: dict[str, Any]) -> None:
        partial, place = self._partial(step), self.folder / str(step)
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        _check_space(self.folder, leaves)
        partial.mkdir()
        for top, part in _by_top(leaves).items():
            _write_arrays(partial / top, part)
        write_seal(partial, sealed)
        shutil.rmtree(place, ignore_errors=True)
        partial.rename(place)
        sync_folder(self.folder)
        self._prune()

    def _prune(self) -> None:
        """Drop the oldest beyond ``keep``; the best stays."""
        steps = self.steps()
        for step in steps[: -max(self.keep, 1)]:
            if step != self.best:
                shutil.rmtree(self.folder / str(step), ignore_errors=True)

    def _failure(self, step: int, error: Exception) -> RunError:
        why = "the disk is full" if is_disk_full(error) else first_line(error)
        left = self.steps()
        intact = f"checkpoint {left[-1]} is intact" if left else "there is no earlier checkpoint"
        return RunError(
            f"checkpoint {step} could not be saved: {why}; {intact}",
            status=RUN_FAILED,
            hints=("free some space or lower `keep` in `checkpoint`, and start the same command again: it goes on",),
        )


def _by_top(leaves: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Leaves apart by the first part of their path, so that weights can be read without the optimizer's statistics."""
    parts: dict[str, dict[str, Any]] = {}
    for name, leaf in leaves.items():
        parts.setdefault(name.split(".")[0], {})[name] = leaf
    return parts


def _check_space(folder: Path, leaves: dict[str, Any]) -> None:
    """Raise ``OSError`` (ENOSPC) where the arrays cannot fit; trained numbers hardly compress.

    Orbax notices too, but only half way, and after printing from threads that nobody can quiet.
    """
    needed = int(0.9 * sum(leaf.nbytes for leaf in leaves.values()))
    if shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC, "No space left on device", str(folder))


def _is_sealed(folder: Path) -> bool:
    try:
        read_seal(folder)
    except DamagedError:
        return False
    return True


def _orbax() -> Any:
    """Orbax, imported by those who save or restore: it takes most of a second."""
    import orbax.checkpoint  # pyright: ignore[reportMissingTypeStubs] - it has none

    return orbax.checkpoint


@contextlib.contextmanager
def _quiet_orbax() -> Generator[None]:
    """Without orbax's own logging, which says by a screen of traceback what is raised and told in a line."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _write_arrays(folder: Path, leaves: dict[str, Any]) -> None:
    checkpointer = _orbax().StandardCheckpointer()
    try:
        with _quiet_orbax():
            checkpointer.save(folder.absolute(), leaves)
            checkpointer.wait_until_finished()
    finally:
        checkpointer.close()


def _read_arrays(folder: Path, like: dict[str, Any]) -> dict[str, Any]:
    ocp = _orbax()
    home = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    target = {
        name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=getattr(leaf, "sharding", None) or home)
        for name, leaf in like.items()
    }
    checkpointer = ocp.StandardCheckpointer()
    try:
        return dict(checkpointer.restore(folder.absolute(), target))
    except Exception as error:
        raise DamagedError(f"it cannot be read ({first_line(error)})") from error
    finally:
        checkpointer.close()
