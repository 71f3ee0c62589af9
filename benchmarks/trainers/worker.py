"""A trainer at work in a process of its own, told what to do line by line.

    python -m benchmarks.trainers.worker MODULE WORKLOAD FILE.npz

Answers each line of stdin with one of JSON. `start SINCE` builds the trainer, computes the initial loss and takes the
first step; seconds are those since the process was started at the time SINCE, less what the loss took. `first SINCE` is
the same without the loss, for clean times. `steps N` takes steps, `loss` tells the loss as it is now, and `ceiling` how
fast jax multiplies matrices here. FILE.npz has arrays named `weights/PATH` and `batch/FIELD`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import numpy as np

from trxc_runtime.peak import peak_memory

from .base import DEVICE, HALF, Array, Trainer, UnsupportedError

Answer = dict[str, Any]


class Worker:
    """What a line of stdin calls."""

    def __init__(self, module: str, workload: str, path: str) -> None:
        self.module, self.workload, self.path = module, workload, path
        self.trainer: Trainer | None = None

    def start(self, since: str, *, with_loss: bool = True) -> Answer:
        """See the module."""
        kind = import_module(f".{self.module}", __package__)
        if missing := [package for package in kind.NEEDS if find_spec(package) is None]:
            raise UnsupportedError(f"{', '.join(missing)} cannot be imported")
        if self.workload not in kind.WORKLOADS:
            raise UnsupportedError("it has no such model")
        if DEVICE == "gpu" and "jax" in kind.NEEDS:
            require_gpu()
        self.trainer = trainer = kind.WORKLOADS[self.workload](*arrays(self.path))
        answer: Answer = {"label": kind.LABEL, "versions": versions(kind.NEEDS)}
        began, began_cpu = time.perf_counter(), time.process_time()
        if with_loss:
            answer["loss"] = trainer.loss()
        apart, apart_cpu = time.perf_counter() - began, time.process_time() - began_cpu
        trainer.steps(1)
        answer |= {"clock": time.time() - float(since) - apart, "cpu": time.process_time() - apart_cpu}
        return answer | {"temporaries": getattr(trainer, "temporaries", None), "peak": peak()}

    def first(self, since: str) -> Answer:
        """See the module."""
        return self.start(since, with_loss=False)

    def steps(self, count: str) -> Answer:
        """Seconds of so many steps, by the clock and of the processor."""
        assert self.trainer is not None
        began, began_cpu = time.perf_counter(), time.process_time()
        self.trainer.steps(int(count))
        clock, cpu = time.perf_counter() - began, time.process_time() - began_cpu
        return {"clock": clock, "cpu": cpu, "peak": peak()}

    def loss(self) -> Answer:
        """The loss of the batch at the weights as they are."""
        assert self.trainer is not None
        return {"loss": self.trainer.loss()}

    def ceiling(self) -> Answer:
        """Operations a second of a product of matrices in the dtype of the workload's, and the device's name."""
        import jax

        from trxc_runtime.ceilings import product_rate

        return {"products": product_rate("bfloat16" if HALF else "float32"), "device": jax.devices()[0].device_kind}


def require_gpu() -> None:
    """Raises ``UnsupportedError`` where jax has no GPU."""
    import jax

    try:
        jax.devices()
    except (RuntimeError, AssertionError) as fault:  # the latter where the build of jaxlib is for CPUs alone
        raise UnsupportedError("jax finds no GPU here") from fault


def peak() -> int:
    """The most bytes that the process has had: of the GPU's memory, where it is for one."""
    if DEVICE == "cpu":
        return peak_memory()
    if "torch" in sys.modules:
        return int(sys.modules["torch"].cuda.max_memory_allocated())
    return int(sys.modules["jax"].local_devices()[0].memory_stats()["peak_bytes_in_use"])


def arrays(path: str) -> tuple[dict[str, Array], dict[str, Array]]:
    """Weights and batch."""
    with np.load(path) as file:
        given = {name: file[name] for name in file.files}
    weights, batch = (
        {name.removeprefix(kind): array for name, array in given.items() if name.startswith(kind)}
        for kind in ("weights/", "batch/")
    )
    return weights, batch


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Of packages that say theirs."""
    found: dict[str, str] = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def main() -> None:
    """Answers until stdin ends."""
    # What packages print must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = Worker(*sys.argv[1:])
    for line in sys.stdin:
        command, *given = line.split()
        try:
            answer = getattr(worker, command)(*given)
        except UnsupportedError as reason:
            answer = {"left_out": str(reason)}
        except ModuleNotFoundError as fault:
            answer = {"left_out": f"{fault.name} cannot be imported"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
