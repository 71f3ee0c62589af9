"""The core's answers as the protocol's types."""

from __future__ import annotations

from pathlib import Path

from lsprotocol import types

from ..diagnostics.codes import CODES
from ..diagnostics.explain import pages
from .answers import Action, Completion, Fold, Help, Hint, Location, Outline, Problem, TextEdit
from .positions import Position, Range

_SYMBOLS: dict[str, types.SymbolKind] = {
    "layer": types.SymbolKind.Class, "model": types.SymbolKind.Class, "fn": types.SymbolKind.Function,
    "const": types.SymbolKind.Constant, "parameter": types.SymbolKind.TypeParameter,
    "input": types.SymbolKind.Variable, "output": types.SymbolKind.Variable, "weight": types.SymbolKind.Property,
    "state": types.SymbolKind.Property, "dim": types.SymbolKind.Constant, "binding": types.SymbolKind.Variable,
    "field": types.SymbolKind.Field,
}  # fmt: skip
_RECORD = types.SymbolKind.Struct

_WORDS: dict[str, types.CompletionItemKind] = {
    "layer": types.CompletionItemKind.Class, "model": types.CompletionItemKind.Class,
    "fn": types.CompletionItemKind.Function, "op": types.CompletionItemKind.Function,
    "builtin": types.CompletionItemKind.Function, "const": types.CompletionItemKind.Constant,
    "constant": types.CompletionItemKind.Constant, "keyword": types.CompletionItemKind.Keyword,
    "module": types.CompletionItemKind.Module, "dtype": types.CompletionItemKind.TypeParameter,
    "dim": types.CompletionItemKind.TypeParameter, "parameter": types.CompletionItemKind.Variable,
    "argument": types.CompletionItemKind.Property, "field": types.CompletionItemKind.Field,
    "enum": types.CompletionItemKind.EnumMember, "weight": types.CompletionItemKind.Property,
    "state": types.CompletionItemKind.Property,
}  # fmt: skip


def position(given: types.Position) -> Position:
    """A position of the protocol."""
    return Position(given.line, given.character)


def range_(given: Range) -> types.Range:
    """A range for the protocol."""
    start, end = given
    return types.Range(types.Position(start.line, start.character), types.Position(end.line, end.character))


def from_range(given: types.Range) -> Range:
    """A range of the protocol."""
    return Range(position(given.start), position(given.end))


def location(given: Location) -> types.Location:
    """A place in a document."""
    return types.Location(given.document, range_(given.range))


def markdown(text: str) -> types.MarkupContent:
    """A text for reading."""
    return types.MarkupContent(types.MarkupKind.Markdown, text)


def edits(given: dict[str, list[TextEdit]]) -> types.WorkspaceEdit:
    """Changes of documents."""
    return types.WorkspaceEdit(changes={name: [text_edit(edit) for edit in each] for name, each in given.items()})


def text_edit(given: TextEdit) -> types.TextEdit:
    """A change."""
    return types.TextEdit(range_(given.range), given.text)


def diagnostic(given: Problem) -> types.Diagnostic:
    """A diagnostic, with the page of its code."""
    severity = types.DiagnosticSeverity.Error if given.severity == "error" else types.DiagnosticSeverity.Warning
    return types.Diagnostic(
        range_(given.range),
        given.message,
        severity=severity,
        code=given.code,
        code_description=_page(given.code),
        source="trxc",
        tags=[types.DiagnosticTag.Unnecessary] if given.unused else None,
        related_information=[types.DiagnosticRelatedInformation(location(r.location), r.text) for r in given.related],
    )


def _page(code: str) -> types.CodeDescription | None:
    page = Path(str(pages().joinpath(f"{code}.md")))
    return types.CodeDescription(page.as_uri()) if code in CODES and page.is_file() else None


def hint(given: Hint) -> types.InlayHint:
    """A hint; a shape is one of a type."""
    at = types.Position(given.position.line, given.position.character)
    return types.InlayHint(at, given.text, kind=types.InlayHintKind.Type, tooltip=given.detail)


def completion(given: Completion, place: int) -> types.CompletionItem:
    """A word; `place` is where it stands among all."""
    return types.CompletionItem(
        given.label,
        kind=_WORDS.get(given.kind, types.CompletionItemKind.Variable),
        detail=given.detail or None,
        documentation=markdown(given.doc) if given.doc else None,
        sort_text=f"{given.order}{place:05}",
        filter_text=given.label,
        text_edit=types.TextEdit(range_(given.range), given.insert),
    )


def signature_help(given: Help) -> types.SignatureHelp:
    """How a call is made."""
    parameters = [types.ParameterInformation(span) for span in given.parameters]
    doc = markdown(given.doc) if given.doc else None
    signature = types.SignatureInformation(given.label, doc, parameters, given.active)
    return types.SignatureHelp([signature], 0, given.active)


def symbol_kind(kind: str) -> types.SymbolKind:
    """The kind of an item or of what it declares."""
    return _SYMBOLS.get(kind, _RECORD)


def outline(given: Outline) -> types.DocumentSymbol:
    """A symbol with those in it."""
    children = [outline(child) for child in given.children]
    return types.DocumentSymbol(
        given.name,
        symbol_kind(given.kind),
        range_(given.range),
        range_(given.selection),
        detail=given.detail or given.kind,
        children=children,
    )


def fold(given: Fold) -> types.FoldingRange:
    """Lines that may be folded away."""
    kind = types.FoldingRangeKind.Comment if given.kind == "comment" else types.FoldingRangeKind.Region
    return types.FoldingRange(given.first, given.last, kind=kind)


def action(given: Action) -> types.CodeAction:
    """A mend."""
    return types.CodeAction(
        given.title,
        types.CodeActionKind.QuickFix,
        diagnostics=[diagnostic(given.problem)],
        is_preferred=given.preferred,
        edit=edits(given.edits),
    )


def selection(given: list[Range]) -> types.SelectionRange:
    """Ranges within one another, the smallest first."""
    *inner, outermost = given
    found = types.SelectionRange(range_(outermost))
    for each in reversed(inner):
        found = types.SelectionRange(range_(each), found)
    return found
