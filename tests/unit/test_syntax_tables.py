"""The grammar, and the cache of its tables."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trxc.resources import grammar_file
from trxc.syntax import tables


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tables.load_tables.cache_clear()
    yield tmp_path / "trxc"
    tables.load_tables.cache_clear()


@pytest.fixture(scope="module")
def plain() -> dict[str, Any]:
    return tables.make_tables(grammar_file("trx.lark").read_text(encoding="utf-8"))


def again() -> tables.Tables:
    tables.load_tables.cache_clear()
    return tables.load_tables()


def test_the_grammar_is_lalr_without_conflicts() -> None:
    pytest.importorskip("interegular")
    tables.make_tables(grammar_file("trx.lark").read_text(encoding="utf-8"), strict=True)


def test_tables_come_back_from_the_cache_as_they_were(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = tables.load_tables()
    (file,) = cache.iterdir()
    assert (cache.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)

    def refuse(grammar: str, strict: bool = False) -> dict[str, object]:
        raise AssertionError("made again")

    monkeypatch.setattr(tables, "make_tables", refuse)
    assert again() == first


@pytest.mark.parametrize("content", [b"", b"{}", b"\x80\x04]", b"[" * 100_000, b"0\n{}", None])
def test_a_damaged_cache_is_made_again(
    cache: Path, content: bytes | None, plain: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    monkeypatch.setattr(tables, "make_tables", lambda grammar: made.append(grammar) or plain)
    first = again()
    (file,) = cache.iterdir()
    good = file.read_bytes()
    file.write_bytes(good.replace(b'"NAME"', b'"NOME"', 1) if content is None else content)
    assert again() == first
    assert len(made) == 2
    assert file.read_bytes() == good


def test_a_cache_that_cannot_be_written_is_done_without(cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    assert again().states


def test_no_terminal_is_tried_in_vain() -> None:
    loaded = tables.load_tables()
    assert loaded.reserved == {"and", "or", "not", "if", "else", "true", "false", "none"}
    for text in ("|>", ">>", "->", "=>", "...", "==", "!=", "<=", ">=", "//", "1.5e-3", '"a\\"b"'):
        found = loaded.scanner.match(text)
        assert found is not None and found[0] == text
