"""The allocator's settings: given once, to training only, and never against the user's own."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest

from trxc.cli.shell import allocator


def test_the_environment_is_arranged_once() -> None:
    first = allocator.arranged_environment({"LANG": "C"})
    assert first is not None
    assert first["LANG"] == "C"
    assert first.items() >= allocator.SETTINGS.items()
    assert allocator.arranged_environment(first) is None


@pytest.mark.parametrize("name", [*allocator.SETTINGS, allocator.MARK])
def test_settings_of_the_user_are_left_alone(name: str) -> None:
    assert allocator.arranged_environment({name: "2"}) is None


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
