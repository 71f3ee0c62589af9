"""The language server as an editor meets it: a client of the protocol, over stdio, on the largest examples."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pygls")

from lsprotocol import types
from pygls.lsp.client import LanguageClient

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
LARGEST = ("quickstart.trx", "translate.trx")
PATIENCE = 60


class Editor(LanguageClient):
    """A client that keeps the newest diagnostics, and applies what it is told to the text that it holds."""

    def __init__(self) -> None:
        super().__init__("editor", "1")
        self.told: dict[tuple[str, int | None], list[types.Diagnostic]] = {}
        self.news = asyncio.Condition()
        self.refreshed = 0

        @self.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        async def _told(params: types.PublishDiagnosticsParams) -> None:
            async with self.news:
                self.told[params.uri, params.version] = list(params.diagnostics)
                self.news.notify_all()

        @self.feature(types.WORKSPACE_INLAY_HINT_REFRESH)
        def _refresh(params: Any) -> None:
            self.refreshed += 1

    async def diagnostics(self, uri: str, version: int | None) -> list[types.Diagnostic]:
        async with self.news:
            await asyncio.wait_for(self.news.wait_for(lambda: (uri, version) in self.told), PATIENCE)
        return self.told[uri, version]


@contextlib.asynccontextmanager
async def editor(folder: Path) -> AsyncIterator[Editor]:
    """A client with a server that has been initialised, and that leaves with status 0."""
    client = Editor()
    await client.start_io(sys.executable, "-m", "trxc", "lsp")
    capabilities = types.ClientCapabilities(
        general=types.GeneralClientCapabilities(position_encodings=["utf-8", "utf-16"]),
        workspace=types.WorkspaceClientCapabilities(
            inlay_hint=types.InlayHintWorkspaceClientCapabilities(refresh_support=True)
        ),
    )
    answer = await client.initialize_async(
        types.InitializeParams(
            capabilities, workspace_folders=[types.WorkspaceFolder(folder.as_uri(), folder.name)], process_id=None
        )
    )
    assert answer.capabilities.position_encoding == types.PositionEncodingKind.Utf16
    client.initialized(types.InitializedParams())
    yield client
    await client.shutdown_async(None)
    client.exit(None)
    server = client._server
    assert server is not None
    assert await asyncio.wait_for(server.wait(), PATIENCE) == 0
    await client.stop()


def run(steps: Callable[[Editor], Awaitable[None]], folder: Path) -> None:
    async def whole() -> None:
        async with editor(folder) as client:
            await steps(client)

    asyncio.run(whole())


def place(text: str, before: str, at: int = 0) -> types.Position:
    """The position of a piece of an ASCII text, `at` characters on."""
    offset = text.index(before) + at
    return types.Position(text.count("\n", 0, offset), offset - text.rfind("\n", 0, offset) - 1)


def opened(client: Editor, path: Path, text: str, version: int = 1) -> types.TextDocumentIdentifier:
    item = types.TextDocumentItem(path.as_uri(), "trx", version, text)
    client.text_document_did_open(types.DidOpenTextDocumentParams(item))
    return types.TextDocumentIdentifier(path.as_uri())


def changed(client: Editor, uri: str, version: int, start: types.Position, end: types.Position, text: str) -> None:
    event = types.TextDocumentContentChangePartial(types.Range(start, end), text)
    document = types.VersionedTextDocumentIdentifier(version, uri)
    client.text_document_did_change(types.DidChangeTextDocumentParams(document, [event]))


def applied(text: str, edits: list[types.TextEdit]) -> str:
    lines = text.splitlines(keepends=True)
    starts = [sum(map(len, lines[:n])) for n in range(len(lines) + 1)]
    for edit in sorted(edits, key=lambda e: (e.range.start.line, e.range.start.character), reverse=True):
        start, end = (starts[p.line] + p.character for p in (edit.range.start, edit.range.end))
        text = text[:start] + edit.new_text + text[end:]
    return text


@pytest.mark.parametrize("name", LARGEST)
def test_a_session_with_a_large_example(name: str) -> None:
    path = EXAMPLES / name
    text = path.read_text(encoding="utf-8")

    async def steps(client: Editor) -> None:
        document = opened(client, path, text)
        uri = document.uri
        assert await client.diagnostics(uri, 1) == []

        hover = await client.text_document_hover_async(types.HoverParams(document, place(text, "LayerNorm", 2)))
        assert hover is not None
        assert "layer LayerNorm(eps: float = 1e-5" in hover.contents.value
        assert "parameters" in hover.contents.value

        whole = types.Range(types.Position(0, 0), types.Position(1000, 0))
        hints = await client.text_document_inlay_hint_async(types.InlayHintParams(document, whole))
        assert any("float[batch" in str(hint.label) for hint in hints)

        broken = place(text, "vocab: int", 0)
        changed(client, uri, 2, broken, types.Position(broken.line, broken.character + len("vocab")), "vocabulary")
        found = await client.diagnostics(uri, 2)
        assert "TRX0301" in {item.code for item in found}
        assert all(item.code_description is not None for item in found)
        changed(client, uri, 3, broken, types.Position(broken.line, broken.character + len("vocabulary")), "vocab")
        assert await client.diagnostics(uri, 3) == []
        assert client.refreshed

        steps_at = place(text, "steps     =" if "steps     =" in text else "steps      =")
        words = await client.text_document_completion_async(types.CompletionParams(document, steps_at))
        assert "precision" in {item.label for item in words.items}

        edit = await client.text_document_rename_async(
            types.RenameParams(document, place(text, "heads: int"), "branches")
        )
        new = applied(text, edit.changes[uri])
        assert "branches: int" in new
        changed(client, uri, 4, types.Position(0, 0), types.Position(1000, 0), new)
        assert await client.diagnostics(uri, 4) == []

        untidy = new.replace(": int = ", ":int=")
        changed(client, uri, 5, types.Position(0, 0), types.Position(1000, 0), untidy)
        options = types.FormattingOptions(2, True)
        edits = await client.text_document_formatting_async(types.DocumentFormattingParams(document, options))
        assert ":int=" in untidy
        assert ":int=" not in applied(untidy, edits)

    run(steps, EXAMPLES)


def test_answers_for_old_versions_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "quick.trx"
    text = (EXAMPLES / "quickstart.trx").read_text(encoding="utf-8")

    async def steps(client: Editor) -> None:
        document = opened(client, path, text)
        for version in range(2, 30):
            at = types.Position(0, 0)
            changed(client, document.uri, version, at, at, "x" if version < 29 else "# ")
        found = await client.diagnostics(document.uri, 29)
        assert {version for uri, version in client.told if uri == document.uri} <= {1, 29}
        assert found == []

    run(steps, tmp_path)


def test_a_mend_and_a_definition_in_the_library(tmp_path: Path) -> None:
    path = tmp_path / "small.trx"
    text = "model M(n: int = 4) {\n  input x: float[batch, f]  # 🦊\n  y = x ** 2\n  output y |> Dense(n)\n}\n"

    async def steps(client: Editor) -> None:
        document = opened(client, path, text)
        (found,) = await client.diagnostics(document.uri, 1)
        assert found.code == "TRX0109"
        context = types.CodeActionContext([found])
        actions = await client.text_document_code_action_async(types.CodeActionParams(document, found.range, context))
        (action,) = actions
        assert applied(text, action.edit.changes[document.uri]) == text.replace("**", "^")
        places = await client.text_document_definition_async(types.DefinitionParams(document, place(text, "Dense", 2)))
        assert places[0].uri.endswith("layers.trx")
        with pytest.raises(Exception, match=r"Dense.*std/layers"):
            await client.text_document_rename_async(types.RenameParams(document, place(text, "Dense", 2), "Thick"))

    run(steps, tmp_path)


def test_a_file_that_is_used_is_the_one_in_the_editor(tmp_path: Path) -> None:
    parts, main = tmp_path / "parts.trx", tmp_path / "main.trx"
    part = "layer Twice {\n  input x: float[b, f]\n  output 2 * x\n}\n"
    text = 'use "parts.trx" (Twice)\nmodel M {\n  input x: float[b, 4]\n  output x |> Twice\n}\n'
    parts.write_text(part)

    async def steps(client: Editor) -> None:
        uri = opened(client, main, text).uri
        assert await client.diagnostics(uri, 1) == []
        del client.told[uri, 1]
        used = opened(client, parts, part).uri
        assert await client.diagnostics(used, 1) == []
        start = place(part, "Twice")
        changed(client, used, 2, start, types.Position(start.line, start.character + len("Twice")), "Thrice")
        (found,) = await client.diagnostics(uri, 1)
        assert found.code == "TRX0303"
        client.text_document_did_close(types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(used)))
        assert await client.diagnostics(used, None) == []

    run(steps, tmp_path)
