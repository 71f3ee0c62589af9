"""Workers as the runner sees them: started in their environments, asked one line at a time, and killed in the end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class LeftOutError(Exception):
    """A trainer cannot take part; the message says why."""


class WorkerProcess:
    """A worker and all that it starts. Use it as a context, so that none of it is left behind."""

    def __init__(self, module: str, workload: str, arrays: Path, environment: Mapping[str, str]) -> None:
        self.since, self.killed = time.time(), False
        packages = (str(ROOT / "compiler"), str(ROOT / "runtime"), *filter(None, [environment.get("PYTHONPATH")]))
        environment = {**environment, "PYTHONPATH": os.pathsep.join(packages)}  # they need not be installed
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.trainers.worker", module, workload, str(arrays)],
            cwd=ROOT, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """Ends it, and what it has started, as the compilers of `torch.compile`: they are in its session."""
        if self.killed:
            return
        self.killed = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def ask(self, *command: object) -> dict[str, Any]:
        """The answer to a command."""
        assert self.process.stdin and self.process.stdout
        with contextlib.suppress(BrokenPipeError):
            print(*command, file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            self.kill()
            raise LeftOutError(f"its process ended with status {self.process.returncode}")
        answer: dict[str, Any] = json.loads(line)
        if "left_out" in answer:
            raise LeftOutError(answer["left_out"])
        return answer

    def start(self, *, with_loss: bool = True) -> dict[str, Any]:
        """What building the trainer and its first step took."""
        return self.ask("start" if with_loss else "first", self.since)
