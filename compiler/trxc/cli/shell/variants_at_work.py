"""Compiled programs in training, for `trxc verify --invariance`: one process that trains them all, on CPU devices.

A process of its own, as jax fixes the number of devices when it is first used. The compiler's side writes a folder
(:class:`TrainedElsewhere`); `python -m trxc.cli.shell.variants_at_work FOLDER` is the other.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .lowering import DTYPES
from .status import RUN_FAILED, CommandError

if TYPE_CHECKING:
    from ...verification.invariance import Trained
    from ...verification.variants import Run
    from .values import Array

SCALE = 2.0**7
"""What the loss is scaled by in f16, where no scale is searched for."""

PLAN, BATCHES, RESULTS = "plan.json", "batches.npz", "results.json"


class TrainedElsewhere:
    """Trains programs in another process; `root` is the folder that their recipes' paths start from."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def train(self, runs: Sequence[Run], batches: Mapping[str, Array], seed: int) -> list[Trained]:
        """Trains each program, one step for each of the batches, which are stacked by name."""
        from ...verification.invariance import Trained

        with tempfile.TemporaryDirectory(prefix="trxc-") as name:
            folder = Path(name)
            given: dict[str, Any] = dict(batches)
            np.savez(folder / BATCHES, **given)
            plan: list[dict[str, Any]] = []
            for at, run in enumerate(runs):
                run.program.save(folder / str(at))
                plan.append({"parts": run.parts, "devices": run.devices, "nudge": run.nudge})
            facts = {"root": str(self.root.absolute()), "seed": seed, "runs": plan}
            (folder / PLAN).write_text(json.dumps(facts), encoding="utf-8")
            _start(folder, max(run.devices for run in runs))
            results = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
        return [Trained(tuple(one.pop("losses", ())), **one) for one in results]


def _start(folder: Path, devices: int) -> None:
    """Runs this module; what goes wrong in a training is in the results, anything else ends the command."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}".strip()
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    command = [sys.executable, "-m", __name__, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise CommandError(f"the process that trains the variants ended: {last}", status=RUN_FAILED)


# ---------------------------------------------------------------------------------------- in the other process


def _train_all(folder: Path) -> None:
    plan = json.loads((folder / PLAN).read_text(encoding="utf-8"))
    with np.load(folder / BATCHES) as archive:
        batches = {name: archive[name] for name in archive.files}
    results: list[dict[str, Any]] = []
    jax: Any = import_module("jax")
    with jax.default_matmul_precision("highest"):
        for at, run in enumerate(plan["runs"]):
            try:
                results.append(_Training(folder / str(at), Path(plan["root"]), run, plan["seed"]).run(batches))
            except Exception as error:  # that one variant cannot be trained is what the table is to say
                results.append({"error": f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"})
    (folder / RESULTS).write_text(json.dumps(results), encoding="utf-8")


class _Training:
    """One program in training."""

    def __init__(self, folder: Path, root: Path, run: Mapping[str, Any], seed: int) -> None:
        self.jax: Any = import_module("jax")
        artifact: Any = import_module("trxc_runtime").load_artifact(folder, root=root)
        self.program, self.manifest, self.seed = artifact.program, artifact.manifest, seed
        self.parts, self.devices, self.nudge = run["parts"], run["devices"], run["nudge"]
        fields = [*artifact.manifest["inputs"], *(artifact.manifest["batch"] or ())]
        self.dtypes = {field["name"]: DTYPES[field["dtype"]] for field in fields}

    def run(self, batches: Mapping[str, Array]) -> dict[str, Any]:
        """Losses of every step, the norm of the first gradient, and the fingerprint of the initial weights."""
        jax, program = self.jax, self.program
        params, state = program.init(jax.random.key(self.seed)), program.init_state()
        start = fingerprint(self.manifest, jax.device_get({"parameters": params, "state": state}))
        if self.nudge:
            params = _nudged(jax, params, self.nudge, self.seed)
        optimizer = program.optimizer()
        placement = self._placement(params, batches)
        measured: list[Any] = []
        with placement.context():
            tree = {"params": params, "state": state, "opt_state": self._opt_state(optimizer.init(params))}
            places = placement.shardings(tree, optimizer)
            tree = tree if places is None else jax.device_put(tree, places)
            carried = [tree[name] for name in ("params", "state", "opt_state")]
            step = program.train_step if self.parts == 1 else self._by_hand(optimizer)
            for at in range(len(next(iter(batches.values())))):
                batch = placement.put({name: self._field(name, stacked[at]) for name, stacked in batches.items()})
                *carried, metrics = step(*carried, batch, jax.random.fold_in(jax.random.key(self.seed), at))
                measured.append(jax.device_get((metrics["loss"], metrics["grad_norm"])))
        losses = [float(loss) for loss, _ in measured]
        return {"losses": losses, "slope": float(measured[0][1]), "start": start}

    def _opt_state(self, fresh: Any) -> Any:
        """A scale of the loss that does not overflow: a smaller micro-batch has larger gradients, which would skip
        other steps."""
        return {**fresh, "scale": self.jax.numpy.float32(SCALE)} if _is_scaled(fresh) else fresh

    def _field(self, name: str, array: Array) -> Any:
        return np.asarray(self.jax.numpy.asarray(array, self.dtypes.get(name, "float32")))

    def _placement(self, params: Any, batches: Mapping[str, Array]) -> Any:
        """One device; the program's own mesh; or, where it has none, copies of everything and a part of the batch."""
        jax, kind = self.jax, import_module("trxc_runtime.placement").Placement
        if self.devices == 1:
            return kind()
        if self.program.MESH_SHAPE:
            return kind.of(self.program, _refused)
        sharding, spec = jax.sharding.NamedSharding, jax.sharding.PartitionSpec
        mesh = jax.make_mesh((self.devices,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))

        def whole(leaf: Any) -> Any:
            return sharding(mesh, spec())

        return kind(mesh, jax.tree.map(whole, params), dict.fromkeys(batches, sharding(mesh, spec("data"))))

    def _by_hand(self, optimizer: Any) -> Any:
        """A step whose gradient is the mean of those of parts of the batch: what `accumulate` ought to be."""
        jax, optax, program, count = self.jax, import_module("optax"), self.program, self.parts

        def objective(params: Any, state: Any, batch: Any, key: Any, scale: Any) -> Any:
            value, state = program.loss(params, state, batch, key)
            return value.astype("float32") * scale, state

        def step(params: Any, state: Any, opt_state: Any, batch: Any, key: Any) -> Any:
            scale: Any = opt_state["scale"] if _is_scaled(opt_state) else 1.0
            total: Any = None
            for at in range(count):
                slope = jax.value_and_grad(objective, has_aux=True)
                (value, state), grads = slope(params, state, _part(jax, batch, at, count), key, scale)
                total = (value, grads) if total is None else jax.tree.map(jax.numpy.add, total, (value, grads))
            value, grads = jax.tree.map(partial(_divided, count), total)
            updates, opt_state = optimizer.update(grads, opt_state, params)
            norm = optax.tree.norm(_trained(jax, program, grads))
            params = optax.apply_updates(params, updates)
            return params, state, opt_state, {"loss": value / scale, "grad_norm": norm / scale}

        return jax.jit(step)


def _refused(reason: str) -> None:
    raise RuntimeError(reason)


def _is_scaled(opt_state: object) -> bool:
    return isinstance(opt_state, dict) and "scale" in opt_state


def _part(jax: Any, batch: Any, at: int, count: int) -> Any:
    def take(x: Any) -> Any:
        return x[at::count]

    return jax.tree.map(take, batch)


def _divided(count: int, total: Any) -> Any:
    return total / count


def _trained(jax: Any, program: Any, grads: Any) -> Any:
    """The gradients of what is trained."""
    if not hasattr(program, "labels"):
        return grads

    def keep(label: str, part: Any) -> Any:
        return part if label == "train" else None

    return jax.tree.map(keep, program.labels(), grads)


def _nudged(jax: Any, params: Any, size: float, seed: int) -> Any:
    rng = np.random.default_rng([seed, 1])

    def nudge(leaf: Any) -> Any:
        array = np.asarray(leaf)
        if array.dtype != np.float32:
            return leaf
        signs = rng.choice([-1.0, 1.0], array.shape)
        return jax.numpy.asarray((array * (1 + size * signs)).astype(np.float32))

    return jax.tree.map(nudge, params)


def fingerprint(manifest: Mapping[str, Any], trees: Mapping[str, Any]) -> str:
    """The weights and states as a hash, the same however layers are stored: stacked in one array, or one by one."""
    found: list[str] = []
    for kind, tree in trees.items():
        for entry in manifest[kind]:
            leaf: Any = tree
            for key in entry["key"]:
                leaf = leaf[key]
            array = np.asarray(leaf)
            slices = array.reshape(-1, *array.shape[len(entry["stack"]) :])
            found += [f"{one.shape}{one.dtype}{hashlib.sha256(one.tobytes()).hexdigest()}" for one in slices]
    return hashlib.sha256("\n".join(sorted(found)).encode()).hexdigest()


if __name__ == "__main__":
    _train_all(Path(sys.argv[1]))
