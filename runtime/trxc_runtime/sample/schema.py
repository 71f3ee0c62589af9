"""JSON schemas as regular expressions of the JSON texts that are valid under them.

What is written has the properties in the schema's order, one space or none after `:` and `,`, and numbers of at most 15
digits before the point and after it. A keyword that is not understood is refused, and not passed over: whatever matches
is valid.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from ..errors import RunError
from .automaton import MAX_PATTERN, byte_automaton, shown

MAX_DEPTH = 32
MAX_LENGTH = 1 << 16

_CHARACTER = r'(?:[^"\\\x00-\x1f]|\\["\\/bfnrt])'
_INTEGER = r"-?(?:0|[1-9][0-9]{0,14})"
_COMMA, _COLON = ", ?", ": ?"
_NOTES = frozenset(
    {"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "additionalProperties"}
    | {"$schema", "$id", "$comment", "$defs", "definitions"}
)
"""Keywords that ask nothing of what is written: of properties, only those that the schema names are."""

_Object = Mapping[str, Any]


def expression_of(schema: str) -> str:
    """The regular expression of a schema's JSON text; raises :class:`RunError` for one that is not understood."""
    try:
        root: object = json.loads(schema)
    except (ValueError, RecursionError) as error:
        raise RunError(f"{shown(schema)} is no JSON: {error}", hints=("a schema is a JSON text",)) from None
    return _Schemas(root).expression(root, ())


def _literal(value: object) -> str:
    """The one JSON text of a value, with spaces as everywhere."""
    if isinstance(value, list):
        return r"\[" + _COMMA.join(map(_literal, cast("list[object]", value))) + r"\]"
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value).items()
        return r"\{" + _COMMA.join(_literal(name) + _COLON + _literal(of) for name, of in fields) + r"\}"
    return re.escape(json.dumps(value, ensure_ascii=False))


def _any(choices: Sequence[str]) -> str:
    return f"(?:{'|'.join(choices)})"


def _optional(expression: str) -> str:
    return f"(?:{expression})?"


class _Schemas:
    """A schema and those within it; ``path`` says where one stands, ``open`` which references lead to it."""

    def __init__(self, root: object) -> None:
        self._root, self._open = root, list[str]()
        self._kinds: dict[str, tuple[Callable[[_Object, tuple[str, ...]], str], frozenset[str]]] = {
            "object": (self._object, frozenset({"properties", "required"})),
            "array": (self._array, frozenset({"items", "prefixItems", "minItems", "maxItems"})),
            "string": (self._string, frozenset({"minLength", "maxLength", "pattern"})),
            "integer": (lambda schema, path: _INTEGER, frozenset()),
            "number": (lambda schema, path: _INTEGER + r"(?:\.[0-9]{1,15})?", frozenset()),
            "boolean": (lambda schema, path: "(?:true|false)", frozenset()),
            "null": (lambda schema, path: "null", frozenset()),
        }

    def expression(self, schema: object, path: tuple[str, ...]) -> str:
        """The texts that are valid under one schema."""
        if not isinstance(schema, dict) or len(path) > MAX_DEPTH:
            raise _error(path, "is nested too deep" if isinstance(schema, dict) else "is no schema, which is an object")
        fields = cast("_Object", schema)
        for name, make in (("$ref", self._reference), ("anyOf", self._any_of)):
            if name in fields:
                _only(fields, {name}, path)
                return make(fields[name], path)
        kinds: object = fields.get("type")
        if "enum" in fields or "const" in fields:
            _only(fields, {"enum", "const", "type"}, path)
            return _values(fields, path)
        names = cast("list[object]", kinds) if isinstance(kinds, list) else [kinds]
        if kinds is None or not names or not all(isinstance(name, str) and name in self._kinds for name in names):
            raise _error(path, f"needs a `type`: one of {', '.join(self._kinds)}; or `enum`, `const`, `anyOf`, `$ref`")
        _only(fields, {"type"}.union(*(self._kinds[str(name)][1] for name in names)), path)
        return _any([self._kinds[str(name)][0](fields, path) for name in names])

    def _reference(self, reference: object, path: tuple[str, ...]) -> str:
        if not isinstance(reference, str) or not re.fullmatch(r"#(/[^/~%]+)*", reference):
            raise _error(path, f"refers to {reference!r}; references are such as `#/$defs/name`")
        if reference in self._open:
            raise _error(path, "refers to what it stands in, and no regular expression has such texts")
        found: Any = self._root
        for name in reference.split("/")[1:]:
            if not isinstance(found, dict) or name not in found:
                raise _error(path, f"refers to `{reference}`, which is not there")
            found = cast("_Object", found)[name]
        self._open.append(reference)
        made = self.expression(found, (*path, "$ref"))
        self._open.pop()
        return made

    def _any_of(self, schemas: object, path: tuple[str, ...]) -> str:
        return _any([self.expression(each, (*path, "anyOf", str(at))) for at, each in enumerate(_list(schemas, path))])

    def _object(self, schema: _Object, path: tuple[str, ...]) -> str:
        properties: object = schema.get("properties", {})
        required = _list(schema.get("required", []), path)
        if not isinstance(properties, dict):
            raise _error(path, "has `properties` that are no object")
        fields = cast("_Object", properties)
        if absent := [name for name in required if name not in fields]:
            raise _error(path, f"requires `{absent[0]}`, of which `properties` say nothing")
        parts = [
            (_literal(name) + _COLON + self.expression(of, (*path, name)), name in required)
            for name, of in fields.items()
        ]
        return r"\{" + _in_order(parts) + r"\}"

    def _array(self, schema: _Object, path: tuple[str, ...]) -> str:
        first = _list(schema.get("prefixItems", []), path)
        least, most = _bounds(schema, "minItems", "maxItems", path)
        if "items" not in schema:
            most = len(first) if most is None else min(most, len(first))
        parts = [self.expression(each, (*path, "prefixItems", str(at))) for at, each in enumerate(first)]
        rest = self.expression(schema["items"], (*path, "items")) if "items" in schema else ""
        if most is not None and least > most:
            raise _error(path, f"has at least {least} items and at most {most}")
        return r"\[" + _items(parts, rest, least, most) + r"\]"

    def _string(self, schema: _Object, path: tuple[str, ...]) -> str:
        least, most = _bounds(schema, "minLength", "maxLength", path)
        if "pattern" not in schema:
            return f'"{_CHARACTER}{{{least},{"" if most is None else most}}}"'
        if least or most is not None:
            raise _error(path, "has a `pattern` and a length", "say the length in the pattern, as in `^[a-z]{1,8}$`")
        return f'"(?:{_safe_pattern(schema["pattern"], path)})"'


def _in_order(parts: Sequence[tuple[str, bool]]) -> str:
    """Parts that are there or, where they are not required, may be left out, with commas between those that are.

    One alternative for each part that may be the first: from then on each brings its comma along.
    """
    required = next((at for at, (_, needed) in enumerate(parts) if needed), len(parts))
    if (required + 1) * sum(len(part) for part, _ in parts) > MAX_PATTERN:
        raise RunError(
            f"the JSON schema makes a regular expression of more than {MAX_PATTERN:,} characters",
            hints=("require more of the properties: those that may be left out make it grow most",),
        )
    choices: list[str] = []
    for at, (part, _) in enumerate(parts[: required + 1]):
        rest = ((_COMMA + after, needed) for after, needed in parts[at + 1 :])
        choices.append(part + "".join(after if needed else _optional(after) for after, needed in rest))
    if required == len(parts):
        choices.append("")
    return _any(choices)


def _items(first: Sequence[str], rest: str, least: int, most: int | None) -> str:
    """From ``least`` to ``most`` items: those of ``first`` in order, then any number of ``rest``."""
    if most == 0:
        return ""
    further = len(first) if most is None else min(len(first), most)
    low, high = max(least - further, 0), None if most is None else most - further
    made = ""
    if rest and high != 0:
        made = f"(?:{_COMMA}{rest}){{{low},{'' if high is None else high}}}"
    if not first:
        low, high = max(least - 1, 0), None if most is None else most - 1
        whole = f"{rest}(?:{_COMMA}{rest}){{{low},{'' if high is None else high}}}"
        return whole if least else _optional(whole)
    for at in range(further - 1, -1, -1):
        made = (_COMMA if at else "") + first[at] + made
        made = made if at < least else _optional(made)
    return made


def _values(schema: _Object, path: tuple[str, ...]) -> str:
    """Those of the values that `enum`, `const` and `type` agree on."""
    values = _list(schema["enum"], path) if "enum" in schema else [schema["const"]]
    if "const" in schema:
        values = [value for value in values if json.dumps(value) == json.dumps(schema["const"])]
    if "type" in schema:
        kinds = cast("list[object]", schema["type"] if isinstance(schema["type"], list) else [schema["type"]])
        values = [value for value in values if any(_is_a(value, kind) for kind in kinds)]
    if not values:
        raise _error(path, "has no value")
    return _any([_literal(value) for value in values])


def _is_a(value: object, kind: object) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, int):
        return kind in ("integer", "number")
    names: dict[type, str] = {str: "string", float: "number", dict: "object", list: "array", type(None): "null"}
    return names.get(type(value)) == kind


def _safe_pattern(pattern: object, path: tuple[str, ...]) -> str:
    """A pattern of whole strings, none of which has a character that JSON writes otherwise."""
    if not isinstance(pattern, str) or not re.fullmatch(r"\^.*[^\\]\$", pattern, re.DOTALL) or "|" in pattern:
        raise _error(
            path, f"has the `pattern` {pattern!r}", "begin it with `^`, end it with `$`, and have no `|` in it"
        )
    expression = _ascii(pattern[1:-1], path)
    by_bytes, _ = byte_automaton(expression)
    if (by_bytes[:, [*range(32), ord('"'), ord("\\")]] >= 0).any():
        raise _error(path, "has a `pattern` that takes quotes, backslashes or control characters", "exclude them")
    return expression


def _ascii(pattern: str, path: tuple[str, ...]) -> str:
    """The pattern with `\\d` and `\\w` as schemas mean them, of ASCII alone."""
    within = False

    def replaced(found: re.Match[str]) -> str:
        nonlocal within
        text = found[0]
        if text in ("\\s", "\\S", "\\D", "\\W"):
            raise _error(path, f"has `{text}` in its `pattern`, which means other things elsewhere", "list characters")
        within = text == "[" or (within and text != "]")
        ranges = {"\\d": "0-9", "\\w": "A-Za-z0-9_"}.get(text)
        return text if ranges is None else ranges if within else f"[{ranges}]"

    return re.sub(r"\\.|[\[\]]", replaced, pattern, flags=re.DOTALL)


def _bounds(schema: _Object, least: str, most: str, path: tuple[str, ...]) -> tuple[int, int | None]:
    low, high = schema.get(least, 0), schema.get(most)
    for name, value in ((least, low), (most, high)):
        if value is not None and (type(value) is not int or not 0 <= value <= MAX_LENGTH):
            raise _error(path, f"has a `{name}` of {value!r}, which is no int from 0 to {MAX_LENGTH:,}")
    if high is not None and low > high:
        raise _error(path, f"has a `{least}` of {low} and a `{most}` of {high}")
    return low, high


def _list(value: object, path: tuple[str, ...]) -> list[object]:
    if not isinstance(value, list):
        raise _error(path, f"has {value!r} where a list is needed")
    return cast("list[object]", value)


def _only(schema: _Object, known: set[str], path: tuple[str, ...]) -> None:
    if foreign := sorted(schema.keys() - known - _NOTES):
        raise _error(
            path,
            f"has `{foreign[0]}`, which is not understood here",
            f"understood there: {', '.join(f'`{name}`' for name in sorted(known))}",
        )


def _error(path: tuple[str, ...], what: str, *hints: str) -> RunError:
    place = "`/" + "/".join(path) + "` of the JSON schema" if path else "the JSON schema"
    return RunError(f"{place} {what}", hints=hints)
