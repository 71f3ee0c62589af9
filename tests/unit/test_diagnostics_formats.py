"""What programs read: JSON and SARIF."""

from __future__ import annotations

import json
from typing import Any

from trxc.diagnostics import Diagnostic, Edit, Label
from trxc.diagnostics.json_format import render_json
from trxc.diagnostics.sarif import render_sarif
from trxc.source import Source, Span

SOURCE = Source("a folder/x.trx", "y = 1\nz = {y}\n")
FIRST = Diagnostic("TRX0101", "one", Span(SOURCE, 0, 1), severity="warning")
SECOND = Diagnostic(
    "TRX0204",
    "braces {y} \x1b[2J",
    Span(SOURCE, 10, 13),
    label="here",
    labels=(Label(Span(SOURCE, 0, 1), "there {0}"),),
    notes=("a note",),
    helps=("write `y`",),
    edits=(Edit(Span(SOURCE, 10, 13), "y"),),
    trail=("GPT at line 1",),
)
NOWHERE = Diagnostic("TRX0701", "cannot read it", None)


def test_json_has_the_documented_fields():
    read = json.loads(render_json([SECOND], version="1.2.3"))
    here = {"file": "a folder/x.trx", "line": 2, "column": 5, "end_line": 2, "end_column": 8}
    there = {"file": "a folder/x.trx", "line": 1, "column": 1, "end_line": 1, "end_column": 2}
    assert read == {
        "diagnostics": [
            {
                "code": "TRX0204",
                "severity": "error",
                "message": "braces {y} \x1b[2J",
                **here,
                "labels": [{**here, "text": "here"}, {**there, "text": "there {0}"}],
                "notes": ["a note", "in GPT at line 1"],
                "helps": ["write `y`"],
                "edits": [{**here, "replacement": "y"}],
            }
        ],
        "version": "1.2.3",
    }


def test_json_without_a_place_says_null():
    (item,) = json.loads(render_json([NOWHERE], version="1"))["diagnostics"]
    assert (item["file"], item["line"], item["end_column"]) == (None, None, None)


def test_formats_keep_source_order_and_hold_no_raw_escapes():
    for render, codes in ((render_json, "code"), (render_sarif, "ruleId")):
        text = render([SECOND, FIRST, NOWHERE], version="1")
        assert "\x1b" not in text
        found = [line.split('"')[3] for line in text.splitlines() if f'"{codes}"' in line]
        assert found == ["TRX0701", "TRX0101", "TRX0204"]


def sarif(*items: Diagnostic) -> dict[str, Any]:
    log = json.loads(render_sarif(items, version="1.2.3"))
    assert log["version"] == "2.1.0"
    return log["runs"][0]


def test_sarif_results_point_at_their_rules():
    run = sarif(SECOND, FIRST, NOWHERE)
    assert run["tool"]["driver"]["name"] == "trxc"
    assert run["tool"]["driver"]["version"] == "1.2.3"
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    assert [result["level"] for result in run["results"]] == ["error", "warning", "error"]


def test_sarif_places_are_uris_and_regions():
    (result,) = sarif(SECOND)["results"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "a%20folder/x.trx"}
    assert place["region"] == {"startLine": 2, "startColumn": 5, "endLine": 2, "endColumn": 8}
    absolute = Diagnostic("TRX0101", "no", Span(Source("/data/x.trx", "x"), 0, 1))
    (other,) = sarif(absolute)["results"]
    assert other["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": "file:///data/x.trx"}


def test_sarif_doubles_braces_in_messages_only():
    (result,) = sarif(SECOND)["results"]
    assert result["message"]["text"].startswith("braces {{y}} \x1b[2J\nhere\nhelp: write `y`\n")
    assert result["relatedLocations"][0]["message"] == {"text": "there {{0}}"}
    (change,) = result["fixes"][0]["artifactChanges"]
    assert change["replacements"][0]["insertedContent"] == {"text": "y"}


def test_sarif_without_a_place_has_no_locations():
    (result,) = sarif(NOWHERE)["results"]
    assert "locations" not in result
