"""The language server: messages of the protocol, answered by the core.

Messages are handled one after another, so that a request always sees the text as it was when it was sent. Only the
check of a text runs beside them, in a thread of its own: it works on a reading of one version, and when it is done and
the text has gone on, nothing is published of it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol
from pygls.protocol.language_server import lsp_method
from pygls.uris import to_fs_path

from ..version import VERSION
from . import wire
from .analysis import analyse
from .answers import Refusal
from .callees import signature_help
from .colours import MODIFIERS, TYPES, encode, semantic_tokens
from .complete import complete
from .documents import Document, Workspace
from .edits import Change, between
from .folding import folds, selection_ranges
from .formatting import format_edits
from .hints import inlay_hints
from .hover import hover
from .navigate import definition, highlights, references
from .outline import document_symbols, workspace_symbols
from .pauses import Collector
from .positions import Lines
from .problems import actions, problems
from .rename import prepare_rename, rename

DEBOUNCE = 0.02
"""Seconds without a change after which a text is checked."""

REQUEST_FAILED = -32803
"""What the protocol answers where a request is refused with a reason."""

_SWITCH = 0.0002
"""Seconds after which the thread that checks gives way to an answer."""

T = TypeVar("T")


class Protocol(LanguageServerProtocol):
    """The protocol with positions in UTF-16, which every client speaks."""

    @lsp_method(types.INITIALIZE)
    def lsp_initialize(self, params: types.InitializeParams) -> Generator[Any, Any, types.InitializeResult]:
        """Answers that the client's other encodings are not known."""
        if params.capabilities.general is not None:
            params.capabilities.general.position_encodings = None
        return (yield from super().lsp_initialize(params))


class Server(LanguageServer):
    """A server with the core's workspace, and the checks that are under way by document."""

    def __init__(self) -> None:
        super().__init__("trxc", VERSION, protocol_cls=Protocol)  # pyright: ignore[reportUnknownMemberType]
        self.core = Workspace()
        self.checks: dict[str, asyncio.Task[None]] = {}
        self.checker = ThreadPoolExecutor(1, "check")
        self.collector = Collector()

    def document(self, uri: str) -> Document | None:
        """The open document of a URI."""
        return self.core.documents.get(uri)

    def answer(self, uri: str, make: Callable[[Document], T]) -> T | None:
        """An answer about an open document; None where it is not open.

        Raises:
            JsonRpcException: it is refused; the message says why.
        """
        document = self.document(uri)
        try:
            return make(document) if document is not None else None
        except Refusal as refusal:
            raise JsonRpcException(str(refusal), REQUEST_FAILED) from None

    # ----------------------------------------------------------------- checks

    def check_soon(self, document: Document, delay: float = DEBOUNCE) -> None:
        """Checks a document when nobody has changed it for a while, instead of a check that has not begun."""
        earlier = self.checks.get(document.name)
        if earlier is not None:
            earlier.cancel()
        self.checks[document.name] = asyncio.ensure_future(self._check(document, delay))

    async def _check(self, document: Document, delay: float) -> None:
        await asyncio.sleep(delay)
        version, reading = document.version, document.reading
        work = asyncio.get_running_loop().run_in_executor(self.checker, analyse, reading, version)
        analysis = await work
        self.collector.checked()
        if self.document(document.name) is not document or not document.adopt(analysis):
            return
        if document.version == version:
            self.publish(document)
            self._refresh_hints()

    def check_users(self, changed: Path | None) -> None:
        """Checks the open documents that use a file that has changed; all of them, where None says which."""
        for document in list(self.core.documents.values()):
            used = document.reading.library.files
            if document.path != changed and (changed is None or changed in used):
                document.refresh()
                self.check_soon(document)

    def publish(self, document: Document) -> None:
        """Tells the client what is wrong with the version that was checked last."""
        found = [wire.diagnostic(problem) for problem in problems(document)]
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(document.name, found, document.version))

    def _refresh_hints(self) -> None:
        """Asks the client to ask for hints again: what it has was of the version before."""
        workspace = self.client_capabilities.workspace
        if workspace is not None and workspace.inlay_hint is not None and workspace.inlay_hint.refresh_support:
            self.workspace_inlay_hint_refresh(None)


server = Server()


def serve() -> None:
    """Speaks the protocol on stdin and stdout until the client is done."""
    sys.setswitchinterval(_SWITCH)
    server.collector.begin()
    try:
        server.start_io()
    finally:
        server.checker.shutdown(cancel_futures=True)


# ------------------------------------------------------------------- documents


def _path_of(uri: str) -> Path | None:
    found = to_fs_path(uri) if uri.startswith("file:") else None
    return Path(found).resolve() if found else None


@server.feature(types.INITIALIZED)
def _initialized(ls: Server, params: types.InitializedParams) -> None:
    folders = [_path_of(folder.uri) for folder in ls.workspace.folders.values()]
    root = _path_of(ls.workspace.root_uri) if ls.workspace.root_uri else None
    ls.core.folders = list(dict.fromkeys(folder for folder in [*folders, root] if folder is not None))


@server.feature(types.TEXT_DOCUMENT_DID_OPEN)
def _opened(ls: Server, params: types.DidOpenTextDocumentParams) -> None:
    given = params.text_document
    document = ls.core.open(given.uri, given.text, given.version, _path_of(given.uri))
    ls.check_soon(document, 0)


@server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
def _changed(ls: Server, params: types.DidChangeTextDocumentParams) -> None:
    document = ls.document(params.text_document.uri)
    if document is None:
        return
    text, changes = document.text, list[Change]()
    for event in params.content_changes:
        if isinstance(event, types.TextDocumentContentChangePartial):
            lines, within = Lines(text), wire.from_range(event.range)
            start, end = sorted((lines.offset(within.start), lines.offset(within.end)))
            changes.append(Change(start, end, event.text))
        else:
            changes.append(between(text, event.text))
        text = changes[-1].apply(text)
    document.change(changes, params.text_document.version)
    ls.check_soon(document)
    if document.path is not None:
        ls.check_users(document.path)


@server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
def _closed(ls: Server, params: types.DidCloseTextDocumentParams) -> None:
    uri = params.text_document.uri
    task = ls.checks.pop(uri, None)
    if task is not None:
        task.cancel()
    document = ls.document(uri)
    ls.core.close(uri)
    ls.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, []))
    if document is not None and document.path is not None:
        ls.check_users(document.path)  # what is on the disk counts again


@server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
def _files_changed(ls: Server, params: types.DidChangeWatchedFilesParams) -> None:
    ls.check_users(None)


# --------------------------------------------------------------------- answers


@server.feature(types.TEXT_DOCUMENT_HOVER)
def _hover(ls: Server, params: types.HoverParams) -> types.Hover | None:
    found = ls.answer(params.text_document.uri, lambda d: hover(d, wire.position(params.position)))
    return types.Hover(wire.markdown(found.text), wire.range_(found.range)) if found else None


@server.feature(types.TEXT_DOCUMENT_INLAY_HINT)
def _inlay_hints(ls: Server, params: types.InlayHintParams) -> list[types.InlayHint]:
    found = ls.answer(params.text_document.uri, lambda d: inlay_hints(d, wire.from_range(params.range)))
    return [wire.hint(each) for each in found or ()]


@server.feature(types.TEXT_DOCUMENT_DEFINITION)
def _definition(ls: Server, params: types.DefinitionParams) -> list[types.Location]:
    found = ls.answer(params.text_document.uri, lambda d: definition(d, wire.position(params.position)))
    return [wire.location(each) for each in found or ()]


@server.feature(types.TEXT_DOCUMENT_REFERENCES)
def _references(ls: Server, params: types.ReferenceParams) -> list[types.Location]:
    declaration = params.context.include_declaration
    found = ls.answer(
        params.text_document.uri, lambda d: references(d, wire.position(params.position), declaration=declaration)
    )
    return [wire.location(each) for each in found or ()]


@server.feature(types.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT)
def _highlights(ls: Server, params: types.DocumentHighlightParams) -> list[types.DocumentHighlight]:
    found = ls.answer(params.text_document.uri, lambda d: highlights(d, wire.position(params.position)))
    kinds = {True: types.DocumentHighlightKind.Write, False: types.DocumentHighlightKind.Read}
    return [types.DocumentHighlight(wire.range_(place), kinds[defines]) for place, defines in found or ()]


@server.feature(types.TEXT_DOCUMENT_PREPARE_RENAME)
def _prepare_rename(ls: Server, params: types.PrepareRenameParams) -> types.PrepareRenamePlaceholder | None:
    found = ls.answer(params.text_document.uri, lambda d: prepare_rename(d, wire.position(params.position)))
    return types.PrepareRenamePlaceholder(wire.range_(found[0]), found[1]) if found else None


@server.feature(types.TEXT_DOCUMENT_RENAME, types.RenameOptions(prepare_provider=True))
def _rename(ls: Server, params: types.RenameParams) -> types.WorkspaceEdit | None:
    found = ls.answer(params.text_document.uri, lambda d: rename(d, wire.position(params.position), params.new_name))
    return wire.edits(found) if found is not None else None


@server.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=[".", "(", ",", " "]))
def _completion(ls: Server, params: types.CompletionParams) -> types.CompletionList | None:
    context = params.context
    found = ls.answer(params.text_document.uri, lambda d: complete(d, wire.position(params.position)))
    if found is None:
        return None
    if context is not None and context.trigger_character in (",", " ") and not any(e.order == 0 for e in found):
        return types.CompletionList(is_incomplete=False, items=[])  # only for arguments and the values of fields
    return types.CompletionList(False, [wire.completion(each, at) for at, each in enumerate(found)])


@server.feature(
    types.TEXT_DOCUMENT_SIGNATURE_HELP,
    types.SignatureHelpOptions(trigger_characters=["("], retrigger_characters=[","]),
)
def _signature_help(ls: Server, params: types.SignatureHelpParams) -> types.SignatureHelp | None:
    found = ls.answer(params.text_document.uri, lambda d: signature_help(d, wire.position(params.position)))
    return wire.signature_help(found) if found else None


@server.feature(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
def _document_symbols(ls: Server, params: types.DocumentSymbolParams) -> list[types.DocumentSymbol]:
    return [wire.outline(each) for each in ls.answer(params.text_document.uri, document_symbols) or ()]


@server.feature(types.WORKSPACE_SYMBOL)
def _workspace_symbols(ls: Server, params: types.WorkspaceSymbolParams) -> list[types.WorkspaceSymbol]:
    return [
        types.WorkspaceSymbol(wire.location(found.location), found.name, wire.symbol_kind(found.kind))
        for found in workspace_symbols(ls.core, params.query)
    ]


@server.feature(types.TEXT_DOCUMENT_FOLDING_RANGE)
def _folds(ls: Server, params: types.FoldingRangeParams) -> list[types.FoldingRange]:
    return [wire.fold(each) for each in ls.answer(params.text_document.uri, folds) or ()]


@server.feature(types.TEXT_DOCUMENT_SELECTION_RANGE)
def _selection(ls: Server, params: types.SelectionRangeParams) -> list[types.SelectionRange]:
    places = [wire.position(each) for each in params.positions]
    found = ls.answer(params.text_document.uri, lambda d: [selection_ranges(d, place) for place in places])
    return [wire.selection(each) for each in found or ()]


_LEGEND = types.SemanticTokensLegend(list(TYPES), list(MODIFIERS))


@server.feature(types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL, _LEGEND)
def _tokens(ls: Server, params: types.SemanticTokensParams) -> types.SemanticTokens:
    return types.SemanticTokens(encode(ls.answer(params.text_document.uri, semantic_tokens) or []))


@server.feature(types.TEXT_DOCUMENT_SEMANTIC_TOKENS_RANGE, _LEGEND)
def _tokens_within(ls: Server, params: types.SemanticTokensRangeParams) -> types.SemanticTokens:
    within = wire.from_range(params.range)
    return types.SemanticTokens(encode(ls.answer(params.text_document.uri, lambda d: semantic_tokens(d, within)) or []))


@server.feature(types.TEXT_DOCUMENT_FORMATTING)
def _format(ls: Server, params: types.DocumentFormattingParams) -> list[types.TextEdit]:
    return [wire.text_edit(each) for each in ls.answer(params.text_document.uri, format_edits) or ()]


@server.feature(types.TEXT_DOCUMENT_CODE_ACTION, types.CodeActionOptions([types.CodeActionKind.QuickFix]))
def _code_actions(ls: Server, params: types.CodeActionParams) -> list[types.CodeAction]:
    within = wire.from_range(params.range)
    return [wire.action(each) for each in ls.answer(params.text_document.uri, lambda d: actions(d, within)) or ()]
