"""``report.html``: what a run did, on one page that needs nothing else and runs nothing.

All text from the run is escaped, and the page's own policy forbids scripts and anything from elsewhere.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, cast

from .artifact import MANIFEST, part, read_manifest
from .chart import Point, Series, line_chart, smooth
from .files import write_text
from .metrics import Line, read
from .progress import duration, steps_said
from .report_style import STYLE
from .run_folder import RunFolder
from .signatures import declared_type

MAX_ROWS = 24
_BEST = ' class="best"'
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def write_report(run: RunFolder, sample: tuple[str, str] | None = None) -> None:
    """Write the report of a run; ``sample`` is a prompt and the text that the model put after it."""
    write_text(run.report, render_report(run, sample))


def render_report(run: RunFolder, sample: tuple[str, str] | None = None) -> str:
    """The report as HTML. Raises :class:`RunError` if the run's manifest cannot be read."""
    facts, lines = run.read(), read(run.metrics)
    manifest = read_manifest(run.path) if (run.path / MANIFEST).is_file() else {}
    body = "".join(
        [
            _header(facts),
            _tiles(facts, lines, manifest),
            _curves(lines),
            _evaluations(facts, lines),
            _sample(sample),
            _configuration(manifest),
            _parameters(manifest),
            _sources(manifest),
            _footer(facts),
        ]
    )
    title = escape(str(facts.get("name", "run")))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
        f"<body><main>{body}</main></body></html>\n"
    )


def _header(facts: Mapping[str, Any]) -> str:
    status = str(facts.get("status", "unknown"))
    failure = f'<p class="failure">{escape(str(facts["failure"]))}</p>' if facts.get("failure") else ""
    return (
        f"<h1>{escape(str(facts.get('name', 'run')))} <small>{escape(str(facts.get('model', '')))}</small>"
        f'<span class="status {escape(status)}">{escape(status)}</span></h1>{failure}'
    )


def _tiles(facts: Mapping[str, Any], lines: Sequence[Line], manifest: Mapping[str, Any]) -> str:
    step = max([int(facts.get("step") or 0), *(int(line["step"]) for line in lines)])
    tiles = [(f"{step:,}", f"of {steps_said(int(facts.get('steps') or 0))}")]
    if best := facts.get("best"):
        tiles.append((number(best["value"]), f"best {best['metric']}, step {best['step']:,}"))
    evaluated = [line for line in lines if line["split"] != "train"]
    tiles += [(number(value), f"{evaluated[-1]['split']} {name}") for name, value in _values(evaluated[-1:])]
    tiles.append((f"{sum(map(_size, manifest.get('parameters', ()))):,}", "parameters"))
    if facts.get("seconds"):
        tiles.append((duration(facts["seconds"]), "of training"))
    cells = "".join(f'<div class="tile"><b>{escape(big)}</b><span>{escape(small)}</span></div>' for big, small in tiles)
    return f'<div class="tiles">{cells}</div>'


def _curves(lines: Sequence[Line]) -> str:
    train = _points(lines, "loss", True)
    valid = _points(lines, "loss", False)
    name = next((line["split"] for line in lines if line["split"] != "train"), "valid")
    smoothed = smooth(train)
    raw = [Series("each step", train, "faint")] if smoothed != train else []
    series = [*raw, Series("train", smoothed, "train"), Series(name, valid, "valid", True)]
    rate = [Series("learning rate", _points(lines, "learning_rate", True), "train")]
    return line_chart(series, title="Loss") + line_chart(rate, title="Learning rate")


def _points(lines: Sequence[Line], name: str, training: bool) -> list[Point]:
    return [
        (line["step"], line[name])
        for line in lines
        if (line["split"] == "train") == training and _finite(line.get(name))
    ]


def _evaluations(facts: Mapping[str, Any], lines: Sequence[Line]) -> str:
    evaluated = [line for line in lines if line["split"] != "train"]
    if not evaluated:
        return ""
    names = list(dict.fromkeys(name for line in evaluated for name, _ in _values([line])))
    best = part(facts, "best").get("step")
    rows = [
        (f"{line['step']:,}", str(line["split"]), *(number(line.get(name)) for name in names))
        for line in evaluated[-MAX_ROWS:]
    ]
    marked = [line["step"] == best for line in evaluated[-MAX_ROWS:]]
    earlier = f" (the last {MAX_ROWS} of {len(evaluated)})" if len(evaluated) > MAX_ROWS else ""
    return f"<h2>Evaluations{earlier}</h2>" + _table(
        ["step", "split", *names], rows, {0, *range(2, 2 + len(names))}, marked
    )


def _sample(sample: tuple[str, str] | None) -> str:
    if sample is None:
        return ""
    prompt, text = sample
    return f'<h2>Sample</h2><div class="panel"><pre><mark>{escape(prompt)}</mark>{escape(text)}</pre></div>'


def _configuration(manifest: Mapping[str, Any]) -> str:
    recipe = part(manifest, "recipe")
    rows = [
        (f"{name}.{field}", shown_value(value))
        for name in ("train", "data", "generate")
        for field, value in part(recipe, name).items()
        if value not in (None, [], {})
    ]
    for what in ("inputs", "outputs"):
        rows += [(f"{what[:-1]} {field['name']}", declared_type(field)) for field in manifest.get(what, ())]
    return f"<h2>Configuration</h2>{_table(['', ''], rows, set())}" if rows else ""


def _parameters(manifest: Mapping[str, Any]) -> str:
    entries: Sequence[Mapping[str, Any]] = manifest.get("parameters") or ()
    largest = max(map(_size, entries), default=0)
    if not largest:
        return ""
    rows = "".join(_parameter(entry, largest) for entry in entries)
    head = '<tr><th>weight</th><th>shape</th><th>dtype</th><th>begins as</th><th class="n">numbers</th></tr>'
    total = f"{sum(map(_size, entries)):,}"
    table = f'<div class="panel scroll"><table>{head}{rows}</table></div>'
    return f"<h2>Parameters: {total}</h2>{table}"


def _parameter(entry: Mapping[str, Any], largest: int) -> str:
    sizes = " × ".join(str(size) for size in (*entry.get("stack", ()), *entry["shape"])) or "scalar"
    frozen = "" if entry.get("trainable", True) else " (frozen)"
    part = 100 * _size(entry) / largest
    return (
        f"<tr><td><code>{escape(_named(entry))}</code>{frozen}</td><td>{sizes}</td>"
        f"<td>{escape(str(entry['dtype']))}</td><td>{escape(str(entry.get('initializer', '')))}</td>"
        f'<td class="n share" style="--part: {part:.1f}%">{_size(entry):,}</td></tr>'
    )


def _named(entry: Mapping[str, Any]) -> str:
    """A weight's name; the first and the last of those that are stored together."""
    names = [str(name) for name in entry.get("names", ())]
    return f"{names[0]} … {names[-1]}" if names else str(entry["path"])


def _sources(manifest: Mapping[str, Any]) -> str:
    parts = [
        f'<details><summary>{escape(name)}</summary><div class="panel"><pre>{escape(text)}</pre></div></details>'
        for name, text in part(manifest, "sources").items()
    ]
    return f"<h2>Source</h2>{''.join(parts)}" if parts else ""


def _footer(facts: Mapping[str, Any]) -> str:
    versions = " · ".join(f"{name} {version}" for name, version in part(facts, "versions").items())
    times = f"started {facts.get('started')} · {facts.get('status')} {facts.get('finished') or ''}"
    return f"<footer>{escape(times)}<br>{escape(versions)}</footer>"


def _table(
    head: Sequence[str], rows: Sequence[Sequence[str]], numeric: set[int], marked: Iterable[bool] | None = None
) -> str:
    def cell(tag: str, index: int, text: str) -> str:
        style = ' class="n"' if index in numeric else ""
        return f"<{tag}{style}>{escape(text)}</{tag}>"

    marks = list(marked) if marked is not None else [False] * len(rows)
    lines = [
        f"<tr{_BEST if mark else ''}>{''.join(cell('td', at, text) for at, text in enumerate(row))}</tr>"
        for row, mark in zip(rows, marks, strict=True)
    ]
    top = "".join(cell("th", at, text) for at, text in enumerate(head)) if any(head) else ""
    first = f"<tr>{top}</tr>" if top else ""
    return f'<div class="panel scroll"><table>{first}{"".join(lines)}</table></div>'


def _values(lines: Sequence[Line]) -> list[tuple[str, Any]]:
    return [(name, value) for line in lines for name, value in line.items() if name not in ("step", "split")]


def _size(entry: Mapping[str, Any]) -> int:
    return math.prod((*entry.get("stack", ()), *entry["shape"]))


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def number(value: Any) -> str:
    """A measured number for people; what was not finite is said so."""
    return f"{value:.4f}" if _finite(value) else "not finite" if value is None else str(value)


def shown_value(value: Any, depth: int = 0) -> str:
    """A recipe's value as the language writes it: ``text(path = "a.txt") >> bytes()``, ``{ every = 20 }``."""
    if isinstance(value, list):
        items = [shown_value(item, depth + 1) for item in cast("list[Any]", value)]
        calls = any(isinstance(item, dict) for item in cast("list[Any]", value))
        return " >> ".join(items) if calls else ", ".join(items)
    if isinstance(value, dict):
        return _shown_fields(cast("dict[str, Any]", value), depth)
    return str(value) if isinstance(value, str) and not depth else json.dumps(value, ensure_ascii=False)


def _shown_fields(value: dict[str, Any], depth: int) -> str:
    """A call, or a record; the outermost record goes without its braces."""
    call = "call" in value
    given = value.get("args", {}) if call else value
    fields = ", ".join(f"{name} = {shown_value(item, depth + 1)}" for name, item in given.items() if item is not None)
    if call:
        return f"{value.get('name', value['call'])}({fields})"
    return fields if not depth else f"{{ {fields} }}"
