"""The allocator's settings: given once, to training only, and never against the user's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trxc.cli.shell import allocator

LIBRARY = Path("/usr/lib/libtcmalloc_minimal.so.4")


def test_the_environment_is_arranged_once() -> None:
    first = allocator.arranged_environment({"LANG": "C"})
    assert first is not None
    assert first["LANG"] == "C"
    assert first.items() >= allocator.SETTINGS.items()
    assert allocator.arranged_environment(first) is None


@pytest.mark.parametrize("name", [*allocator.SETTINGS, allocator.MARK])
@pytest.mark.parametrize("library", [None, LIBRARY])
def test_settings_of_the_user_are_left_alone(name: str, library: Path | None) -> None:
    assert allocator.arranged_environment({name: "2"}, library) is None


def test_an_allocator_of_the_user_is_left_alone() -> None:
    assert allocator.arranged_environment({"LD_PRELOAD": "libjemalloc.so.2"}, LIBRARY) is None


def test_tcmalloc_comes_before_settings_of_glibc() -> None:
    arranged = allocator.arranged_environment({"TCMALLOC_RELEASE_RATE": "1"}, LIBRARY)
    assert arranged is not None
    assert arranged["LD_PRELOAD"] == str(LIBRARY)
    assert arranged["TCMALLOC_RELEASE_RATE"] == "1"
    assert not arranged.keys() & allocator.SETTINGS.keys()
    assert allocator.arranged_environment(arranged, LIBRARY) is None


def test_what_the_user_preloads_stays() -> None:
    arranged = allocator.arranged_environment({"LD_PRELOAD": "libfaketime.so.1"}, LIBRARY)
    assert arranged is not None
    assert arranged["LD_PRELOAD"] == f"{LIBRARY}:libfaketime.so.1"


def test_the_user_may_ask_for_glibc() -> None:
    arranged = allocator.arranged_environment({"TRXC_ALLOCATOR": "glibc"}, LIBRARY)
    assert arranged == {**allocator.SETTINGS, "TRXC_ALLOCATOR": "arranged"}


def test_tcmalloc_is_found_for_this_processor_alone(tmp_path: Path) -> None:
    python = Path(sys.executable).read_bytes()[:64]
    other, text, odd, ours = (tmp_path / name for name in ("other", "text", "with space", "ours"))
    for folder, content in ((other, b"\x7fELF\x01" + python[5:]), (text, b"INPUT(a)"), (odd, python), (ours, python)):
        folder.mkdir()
        (folder / "libtcmalloc.so.4").write_bytes(content)
    assert allocator.tcmalloc([tmp_path / "none", other, text, odd]) is None
    assert allocator.tcmalloc([other, ours]) == ours / "libtcmalloc.so.4"
    (ours / "libtcmalloc_minimal.so.4").symlink_to(ours / "libtcmalloc.so.4")
    assert allocator.tcmalloc([ours]) == ours / "libtcmalloc_minimal.so.4"


@pytest.mark.skipif(allocator.tcmalloc() is None, reason="the system has no tcmalloc")
def test_it_is_in_the_process_that_trains() -> None:
    library = allocator.tcmalloc()
    assert library is not None
    environment = allocator.arranged_environment({"PATH": os.defpath}, library)
    command = [sys.executable, "-c", "print(open('/proc/self/maps').read())"]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert str(library.resolve()) in shown.stdout
    assert shown.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "starts"),
    [
        (["train", "a.trx"], True),
        (["bench", "a.trx"], True),
        (["check", "a.trx"], False),
        ([], False),
        (["train", "--help"], False),
    ],
)
def test_only_training_starts_anew(monkeypatch: pytest.MonkeyPatch, arguments: list[str], starts: bool) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(os, "execve", lambda *call: calls.append(call))
    monkeypatch.setattr(os, "environ", {"PATH": "/bin"})
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(allocator.platform, "libc_ver", lambda: ("glibc", "2.36"))
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "trxc", *arguments])
    allocator.arrange(arguments)
    assert [call[:2] for call in calls] == [(sys.executable, [sys.executable, "-m", "trxc", *arguments])] * starts


def test_other_c_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator.platform, "libc_ver", lambda: ("musl", "1"))
    monkeypatch.setattr(os, "execve", lambda *call: pytest.fail("it started anew"))
    allocator.arrange(["train", "a.trx"])
