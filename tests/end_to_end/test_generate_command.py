"""`trxc generate` and `trxc eval --metric` on a model that was trained for a moment: many prompts, forms, scores."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import trxc
import trxc_runtime
from trxc.cli.shell.application import application
from trxc_runtime import TextScore
from trxc_runtime.data.tokenizers import EOS, Bytes

EXAMPLES = Path(__file__).parents[2] / "examples"
DATES = ["3 March 2019", "21 Nov 2025", "Friday, 1 May 2020", "2 Jan 1999", "4/5/2001"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A translator of dates, smaller than the example's."""
    folder = tmp_path_factory.mktemp("translate")
    file = EXAMPLES / "translate.trx"
    settings = {"Translator.layers": "1", "Translator.embed": "16", "Translator.heads": "2"}
    program = trxc.compile(file.read_text(), filename=str(file), name="translate", set=settings)
    program.save(folder / "artifact")
    trxc_runtime.train(folder / "artifact", run=folder / "run", root=EXAMPLES, steps=2, quiet=True)
    return str(folder / "run")


def trxc_(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(application, list(arguments), input=stdin, prog_name="trxc")


def test_many_prompts_are_answered_in_their_order(run: str, tmp_path: Path) -> None:
    (tmp_path / "dates.jsonl").write_text("".join(json.dumps({"source": date}) + "\n\n" for date in DATES))
    many = ["generate", run, "--prompts", str(tmp_path / "dates.jsonl"), "--batch", "2", "-n", "5", "--format", "json"]
    told = trxc_(*many, "--output", str(tmp_path / "said.jsonl"))
    assert (told.exit_code, told.stdout) == (0, ""), told.output
    assert told.stderr.startswith("5 prompts, 25 tokens, ")
    said = [json.loads(line) for line in (tmp_path / "said.jsonl").read_text().splitlines()]
    assert [line["source"] for line in said] == DATES
    model = trxc_runtime.load(run)
    alone = [model.generate(source=date, limit=5) for date in DATES]
    assert [line["text"] for line in said] == alone, "the recipe is greedy, so that a batch changes nothing"
    again = trxc_(*many, "--output", str(tmp_path / "said.jsonl"))
    assert again.exit_code == 2
    assert "is already there" in again.stderr


def test_lines_of_text_from_stdin_and_forms(run: str) -> None:
    told = trxc_(
        "generate", run, "--prompts", "-", "-i", "source=3 March 2019", "--regex", "[0-9]{4}-[0-9]{2}", "--seed", "1",
        "--set", "iso.sample=temperature(2.0)", stdin="\n" * 20,
    )  # fmt: skip
    assert told.exit_code == 0, told.output
    lines = told.stdout.splitlines()
    assert len(lines) == 20
    assert all(re.fullmatch("[0-9]{4}-[0-9]{2}", line) for line in lines)
    assert len(set(lines)) > 5


@pytest.mark.parametrize("recipe", ['iso.sample=json_schema("{\\"type\\": [\\"null\\", \\"boolean\\"]}")', None])
def test_json_by_a_schema(run: str, tmp_path: Path, recipe: str | None) -> None:
    (tmp_path / "schema.json").write_text('{"type": ["null", "boolean"]}')
    form = ["--set", recipe] if recipe else ["--json-schema", str(tmp_path / "schema.json")]
    told = trxc_("generate", run, "-i", "source=3 March 2019", *form)
    assert told.exit_code == 0, told.output
    assert told.stdout.strip() in ("null", "true", "false")


def test_hypotheses_within_a_form(run: str) -> None:
    beam = ["--set", 'iso.sample=matching("(19|20)[0-9]{2}|x")', "--set", "iso.search=beam(4)"]
    asked = ["generate", run, "-i", "source=3 March 2019", *beam]
    told = trxc_(*asked, "--hypotheses", "3", "--format", "json")
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)["hypotheses"]
    assert len(found) == 3
    assert all(re.fullmatch("(19|20)[0-9]{2}|x", one["text"]) for one in found)
    assert sorted((one["score"] for one in found), reverse=True) == [one["score"] for one in found]
    as_text = trxc_(*asked, "--hypotheses", "3").stdout.splitlines()
    assert [line.split("\t")[1] for line in as_text] == [one["text"] for one in found]
    assert trxc_(*asked).stdout.strip() == found[0]["text"]
    refused = trxc_("generate", run, "-i", "source=x", "--hypotheses", "2")
    assert refused.exit_code == 1
    assert "searches for nothing" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "lines", "message"),
    [
        ([], '{"source": "a"}\n{"prompt": 3}\n', "error: <stdin>:2: `prompt` is 3, and no text"),
        ([], '{"source": "a"}\nb\n', "error: <stdin>:2: this is no JSON object"),
        ([], '{"source": "a"}\n{"sauce": "b"}\n', "error: <stdin>:2: generation needs the model's input `source`"),
        ([], '{"source": "a"}\n{"source": {}}\n', "error: <stdin>:2: `source` is an array with one row a prompt"),
        ([], "", "error: `<stdin>` has no prompts"),
        ([], "a\n", "error: <stdin>:1: generation needs the model's input `source` too"),
        (["-p", "x"], "a\n", "give one of `--prompt`, `--prompt-file` and `--prompts`"),
        (["--regex", "(a", "-i", "source=x"], "a\n", "'(a' is no regular expression"),
        (["-o", "/dev/full", "--force", "-i", "source=x"], "\n", "cannot write `/dev/full`: no space left on device"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(run: str, arguments: list[str], lines: str, message: str) -> None:
    if "/dev/full" in arguments and sys.platform != "linux":
        pytest.skip("there is no such device")
    told = trxc_("generate", run, "--prompts", "-", *arguments, "-n", "2", stdin=lines)
    assert told.exit_code in (1, 2, 3)
    assert message in told.stderr
    assert "Traceback" not in told.stderr


def test_a_line_that_is_no_text_is_named(run: str, tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_bytes(b"one\ntwo \xff\n")
    told = trxc_("generate", run, "--prompts", str(tmp_path / "p.txt"))
    assert told.stderr == f"error: {tmp_path / 'p.txt'}:2: byte 0xff is no UTF-8\n"


@pytest.mark.parametrize("metric", ["bleu", "chrf", "exact_match"])
def test_texts_are_measured(run: str, metric: str) -> None:
    if metric != "exact_match":
        pytest.importorskip("sacrebleu")
    told = trxc_("eval", run, "--metric", metric, "--limit", "70", "--format", "json")
    assert told.exit_code == 0, told.output
    (score,) = json.loads(told.stdout).values()
    assert score["examples"] == 70
    assert 0 <= score["score"] < 50, "it has hardly learnt anything"
    assert ("signature" in score) == (metric != "exact_match")


def test_references_are_the_datas_own_texts(run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that says what is to be said has all of it right."""
    lines = (EXAMPLES / "data" / "dates.tsv").read_text().splitlines()
    iso = {human[:23]: date for human, date in (line.split("\t") for line in lines)}  # as `pad` cuts them

    def perfect(self: trxc_runtime.Model, prompt: list[str], *, source: np.ndarray, **options: object) -> list[str]:
        texts = [Bytes(special=True).decode(token for token in row if token > EOS) for row in source.tolist()]
        assert len(prompt) == len(texts)
        return [iso[text[:23]] for text in texts]

    monkeypatch.setattr(trxc_runtime.Model, "generate", perfect)
    scores = trxc_runtime.evaluate_texts(run, ["exact_match"], limit=100)
    assert scores["exact_match"] == TextScore(1.0, 100)


def test_without_the_package_the_extra_is_named(run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    told = trxc_("eval", run, "--metric", "bleu")
    assert told.exit_code == 1
    assert told.stderr.splitlines() == [
        "error: `bleu` needs the package `sacrebleu`, which is not installed",
        '  = help: `pip install "trxc[bleu]"`',
    ]


def test_a_second_model_proposes_tokens_and_is_contrasted_with(run: str) -> None:
    asked = ("generate", run, "--input", "source=21 Nov", "--seed", "3")
    alone = trxc_(*asked, "--set", "iso.sample=greedy()")
    drafted = trxc_(*asked, "--set", "iso.sample=greedy()", "--draft", run, "--ahead", "3")
    assert drafted.exit_code == alone.exit_code == 0
    assert drafted.stdout == alone.stdout
    assert "tokens of the draft accepted a reading" in drafted.stderr
    assert trxc_(*asked, "--amateur", run).exit_code == 0
    wrong = trxc_(*asked, "--draft", "nowhere")
    assert (wrong.exit_code, wrong.stderr.count("\n")) == (2, 1)
