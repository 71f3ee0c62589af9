"""Finds what every name of a file refers to, by the rules of scope alone: also in text that is wrong elsewhere.

A name means what the text above it says, so the tree is walked in order: first the value of a binding, then its name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from ..resolve import ItemRef
from ..syntax import ast
from .declared import built_in_kind, dim_names, methods_of, names_of, parameters, signatures
from .names import BUILT_IN, Key, SymbolKind, Table
from .reading import Reading
from .tree import children


def read_names(reading: Reading) -> Table:
    """The names of a file."""
    from .scopes_records import walk_record

    table = Table(reading.home)
    for item in reading.file.items:
        scope = Scope(reading, table, _name_of(item))
        if isinstance(item, ast.Record):
            walk_record(item, scope)
        else:
            cast("Callable[[Any, Scope], None]", _ITEMS[type(item)])(item, scope)
    return table


def _name_of(item: ast.Item) -> str:
    return "" if isinstance(item, ast.Use) else item.name.name


class Scope:
    """The names that an item has introduced so far, by what they mean; `modules` are library modules that it sees."""

    def __init__(self, reading: Reading, table: Table, owner: str) -> None:
        self.reading, self.table, self.owner = reading, table, owner
        self.names: dict[str, tuple[Key, SymbolKind]] = {}
        self.layers: dict[str, ItemRef] = {}
        self.modules: tuple[str, ...] = ()

    def inner(self, node: ast.Node) -> Scope:
        """A scope for what is introduced inside an expression."""
        scope = Scope(self.reading, self.table, f"{self.owner}@{node.span.start}")
        scope.names, scope.layers, scope.modules = dict(self.names), dict(self.layers), self.modules
        return scope

    # ------------------------------------------------------------------ names

    def define(self, ident: ast.Ident | ast.Name, kind: SymbolKind) -> None:
        """Introduces a name, or binds it again."""
        key, known = self.names.get(ident.name, (Key(self.table.home, self.owner, ident.name), kind))
        self.names[ident.name] = key, known
        self.table.add(ident.span, key, known, defines=True)

    def refer(self, ident: ast.Ident | ast.Name) -> None:
        """Notes what a name means; one that means nothing is left out."""
        found = self.meaning(ident.name)
        if found is not None:
            self.table.add(ident.span, *found)

    def meaning(self, name: str) -> tuple[Key, SymbolKind] | None:
        """What a name means here."""
        if name in self.names:
            return self.names[name]
        item = self.item(name)
        if item is not None:
            return self.key_of(item), kind_of(item)
        if name in self.reading.unit.spaces:
            return Key(self.table.home, "", name), "space"
        kind = built_in_kind(name)
        return (Key(BUILT_IN, "", name), kind) if kind is not None else None

    def item(self, name: str) -> ItemRef | None:
        """The item that a name means, if it is no local's."""
        unit, library = self.reading.unit, self.reading.library
        own = unit.own(name)
        if own is not None:
            return own
        for module in self.modules:
            offered = library.standard(module).own(name)
            if offered is not None:
                return offered
        return library.lookup(unit, name)

    def key_of(self, item: ItemRef) -> Key:
        """The key of an item."""
        return Key(self.reading.home_of(item.unit), "", item.name)

    def member(self, item: ItemRef, name: str) -> Key:
        """The key of a name of an item's own."""
        return Key(self.reading.home_of(item.unit), item.name, name)

    # ------------------------------------------------------------------ types

    def type(self, type_: ast.TypeExpr | None) -> None:
        """Walks a type: a dim's name that means no number yet is introduced."""
        if type_ is None:
            return
        if type_.name.name in self.names:
            self.refer(type_.name)
        new = set(map(id, dim_names(type_)))
        for item in type_.dims or ():
            if isinstance(item, ast.PackDim):
                self._dim(item.name)
            elif id(item) in new and isinstance(item, ast.Name):
                self._dim(item)
            else:
                self.expression(item)

    def _dim(self, name: ast.Name | ast.Ident | None) -> None:
        if name is None:
            return
        item = self.item(name.name) if name.name not in self.names else None
        if name.name in self.names or (item is not None and isinstance(item.item, ast.Const)):
            self.refer(name)
        else:
            self.define(name, "dim")

    # ------------------------------------------------------------ expressions

    def expression(self, node: ast.Node | None) -> None:
        """Walks an expression."""
        if node is None:
            return
        handler = cast("Callable[[Any, Scope], None] | None", _EXPRESSIONS.get(type(node)))
        if handler is not None:
            handler(node, self)
            return
        for child in children(node):
            self.expression(child)

    def layer_of(self, node: ast.Expr) -> ItemRef | None:
        """The layer that an expression is an instance of, where its text says so."""
        if isinstance(node, ast.Call):
            item = self.callee(node.function)
            return item if item is not None and isinstance(item.item, ast.Layer | ast.Extern) else None
        if isinstance(node, ast.Name):
            return self.layers.get(node.name) if node.name in self.names else None
        return None

    def callee(self, node: ast.Expr) -> ItemRef | None:
        """The item that a call calls, where its text says so."""
        if isinstance(node, ast.Name):
            return self.item(node.name) if node.name not in self.names else None
        if not isinstance(node, ast.Attribute):
            return None
        if isinstance(node.value, ast.Name) and node.value.name in self.reading.unit.spaces:
            return self.reading.unit.spaces[node.value.name].own(node.name.name)
        layer = self.layer_of(node.value)
        return methods_of(layer).get(node.name.name) if layer is not None else None


def kind_of(item: ItemRef) -> SymbolKind:
    """The kind of an item's symbol."""
    node = item.item
    if isinstance(node, ast.Layer):
        return node.kind
    if isinstance(node, ast.Extern):
        return "layer" if item.kind == "layer" else "extern"
    return "record" if isinstance(node, ast.Record) else "const" if isinstance(node, ast.Const) else "fn"


# --------------------------------------------------------------------- items


def _use(node: ast.Use, scope: Scope) -> None:
    unit = scope.reading.unit
    home = scope.table.home
    if not node.names and node.alias is not None:
        scope.table.add(node.alias.span, Key(home, "", node.alias.name), "space", defines=True)
    for name in node.names:
        alias = node.alias if node.alias is not None and len(node.names) == 1 else None
        target = unit.used.get(alias.name if alias else name.name)
        item = target[0].own(target[1]) if target is not None else None
        if item is None:
            continue
        scope.table.add(name.span, scope.key_of(item), kind_of(item))
        if alias is not None:
            scope.table.add(alias.span, scope.key_of(item), kind_of(item))


def _own_name(node: ast.Layer | ast.Fn | ast.Const | ast.Extern, scope: Scope) -> None:
    unit = scope.reading.unit
    item = unit.items.get(node.name.name)
    kind = kind_of(item) if item is not None else "fn"
    scope.table.add(node.name.span, Key(scope.table.home, "", node.name.name), kind, defines=True)


def _parameters(item: ast.Layer | ast.Fn | ast.Extern, scope: Scope) -> None:
    for parameter in item.parameters:
        scope.type(parameter.type)
        scope.expression(parameter.default)
        scope.define(parameter.name, "parameter")


def _const(node: ast.Const, scope: Scope) -> None:
    _own_name(node, scope)
    scope.expression(node.value)


def _fn(node: ast.Fn, scope: Scope) -> None:
    _own_name(node, scope)
    _parameters(node, scope)
    scope.expression(node.body)
    scope.type(node.result)


def _layer(node: ast.Layer, scope: Scope) -> None:
    _own_name(node, scope)
    _parameters(node, scope)
    scope.expression(node.value)
    _statements(node.body or (), scope)


def _extern(node: ast.Extern, scope: Scope) -> None:
    _own_name(node, scope)
    _parameters(node, scope)
    _statements(node.body, scope)
    for signature in node.yields:
        scope.type(signature.type)
        scope.table.add(signature.name.span, Key(scope.table.home, scope.owner, signature.name.name), "output",
                        defines=True)  # fmt: skip
    for argument in node.arguments or ():
        scope.expression(argument.value)


_ITEMS: dict[type, object] = {
    ast.Use: _use, ast.Const: _const, ast.Fn: _fn, ast.Layer: _layer, ast.Extern: _extern,
}  # fmt: skip


# ---------------------------------------------------------------- statements


def _statements(nodes: tuple[ast.Statement, ...], scope: Scope) -> None:
    for node in nodes:
        match node:
            case ast.Input(signatures=declared):
                for signature in declared:
                    _declaration(signature, "input", signature.default, scope)
            case ast.Output():
                scope.expression(node.value)
                scope.type(node.type)
                if node.name is not None:
                    scope.define(node.name, "output")
            case ast.Param():
                _declaration(node, "weight", node.initializer, scope)
                scope.expression(node.condition)
            case ast.State():
                _declaration(node, "state", node.initializer, scope)
            case ast.Carry():
                _declaration(node, "carry", node.initial, scope)
            case _:
                _plain_statement(node, scope)


def _declaration(
    node: ast.Signature | ast.Param | ast.State | ast.Carry, kind: SymbolKind, start: ast.Expr | None, scope: Scope
) -> None:
    scope.type(node.type)
    scope.expression(start)
    scope.define(node.name, kind)


def _plain_statement(node: ast.Statement, scope: Scope) -> None:
    match node:
        case ast.DimDecl():
            scope.expression(node.size)
            scope.define(node.name, "dim")
        case ast.Bind():
            _bind(node, scope)
        case ast.Next():
            scope.expression(node.value)
            scope.refer(node.name)
        case ast.Require():
            scope.expression(node.condition)
        case ast.If():
            scope.expression(node.condition)
            _statements(node.then, scope)
            _statements(node.otherwise, scope)
        case _:
            return


def _bind(node: ast.Bind, scope: Scope) -> None:
    scope.expression(node.value)
    layer = scope.layer_of(node.value)
    scope.type(node.type)
    for ident in node.names:
        scope.define(ident, "binding")
        scope.layers.pop(ident.name, None)
        if layer is not None and len(node.names) == 1:
            scope.layers[ident.name] = layer


# --------------------------------------------------------------- expressions


def _name(node: ast.Name | ast.Ident, scope: Scope) -> None:
    scope.refer(node)


def _lambda(node: ast.Lambda, scope: Scope) -> None:
    inner = scope.inner(node)
    for ident in node.parameters:
        inner.names.pop(ident.name, None)
        inner.define(ident, "parameter")
    inner.expression(node.body)


def _comprehension(node: ast.Comprehension, scope: Scope) -> None:
    scope.expression(node.over)
    inner = scope.inner(node)
    inner.names.pop(node.name.name, None)
    inner.define(node.name, "binding")
    inner.expression(node.item)
    inner.expression(node.condition)


def _call(node: ast.Call, scope: Scope) -> None:
    scope.expression(node.function)
    item, applied = scope.callee(node.function), scope.layer_of(node.function)
    for argument in node.arguments:
        name = argument.name
        if name is not None and item is not None and name.name in {p.name.name for p in parameters(item.item)}:
            scope.table.add(name.span, scope.member(item, name.name), "parameter")
        elif name is not None and applied is not None and name.name in {s.name.name for s in signatures(applied.item)}:
            scope.table.add(name.span, scope.member(applied, name.name), "input")
        scope.expression(argument.value)


def _attribute(node: ast.Attribute, scope: Scope) -> None:
    spaces = scope.reading.unit.spaces
    if isinstance(node.value, ast.Name) and node.value.name in spaces:
        scope.table.add(node.value.span, Key(scope.table.home, "", node.value.name), "space")
        item = spaces[node.value.name].own(node.name.name)
        if item is not None:
            scope.table.add(node.name.span, scope.key_of(item), kind_of(item))
        return
    scope.expression(node.value)
    layer = scope.layer_of(node.value)
    if layer is None:
        return
    method = methods_of(layer).get(node.name.name)
    if method is not None:
        scope.table.add(node.name.span, scope.key_of(method), "fn")
    elif names_of(layer.item).get(node.name.name) in ("weight", "state"):
        scope.table.add(node.name.span, scope.member(layer, node.name.name), "weight")


_EXPRESSIONS: dict[type, object] = {
    ast.Name: _name, ast.Ident: _name, ast.Lambda: _lambda, ast.Comprehension: _comprehension, ast.Call: _call,
    ast.Attribute: _attribute,
}  # fmt: skip
