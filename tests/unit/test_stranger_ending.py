"""How training says that its files are gone: a fact of the machine, and no fault of the compiler."""

from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from trxc_runtime.artifact import Artifact
from trxc_runtime.ending import describe_failure
from trxc_runtime.errors import RUN_FAILED

NO_ARTIFACT = cast(Artifact, SimpleNamespace(manifest={}, train={}))


def test_a_run_folder_that_is_gone_is_not_our_fault(tmp_path: Path) -> None:
    gone = FileNotFoundError(errno.ENOENT, "No such file or directory", str(tmp_path / "report.html"))
    told = describe_failure(gone, NO_ARTIFACT)
    assert told.status == RUN_FAILED
    assert "report.html" in told.message
    assert "run's folder" in told.hints[0]
    assert "report it" not in str(told)
