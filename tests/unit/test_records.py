"""Records: what their fields come to, how metrics are split, what data and settings change."""

from __future__ import annotations

from pathlib import Path

import pytest
from elaboration import codes, elaborated, ops, problem

import trxc

MODEL = """
model Digits(classes: int = 10) {
  input image: float[batch, 8, 8, 1]
  output logits: float[batch, classes] = image |> Flatten >> Dense(classes)
}
data d {
  source = digits()
  split { train = 0.9, valid = 0.1 }
}
"""
TRAIN = """
train t for Digits {
  data = d
  loss = cross_entropy(logits, label)
  metrics {
    perplexity = exp(loss)
    accuracy = mean(argmax(logits, over = classes) == label)
    both = perplexity + accuracy
  }
  optimizer = adam(warmup_cosine(peak = 1e-3, warmup = 10))
  batch = 32
  steps = 100
}
"""
PROGRAM = MODEL + TRAIN


def test_a_recipe_has_its_functions():
    found = elaborated(PROGRAM, "t")
    assert set(found.module.roles) == {"apply", "loss", "measure", "summarize"}
    assert found.total_steps == 100
    assert found.model == "Digits"


def test_metrics_are_made_of_averages():
    found = elaborated(PROGRAM, "t")
    measure, summarize = found.module.role("measure"), found.module.role("summarize")
    assert measure.output_names == ["loss", "accuracy"]
    assert summarize.output_names == ["loss", "perplexity", "accuracy", "both"]
    assert [op.kind for op in summarize.body.walk()] == ["exp", "add"]
    assert "exp" not in [op.kind for op in measure.body.walk()]
    assert found.metrics == ("perplexity", "accuracy", "both")


def test_the_loss_is_of_the_model_in_training():
    dropped = PROGRAM.replace("Flatten >>", "Flatten >> Dropout(0.5) >>")
    module = elaborated(dropped, "t").module
    assert len(ops(module, "dropout")) == 1
    assert ops(elaborated(dropped, "Digits").module, "dropout") == []


def test_a_schedule_ends_with_the_steps():
    train = elaborated(PROGRAM, "t").train
    assert train is not None
    assert "100" in str(train.values["optimizer"])


def test_a_schedule_needs_steps_where_the_recipe_has_epochs():
    found = problem(PROGRAM.replace("steps = 100", "epochs = 3"))
    assert (found.code, found.helps) == ("TRX0301", ("`steps = …` in the recipe says it, or as an argument here",))
    assert codes(PROGRAM.replace("steps = 100", "epochs = 3").replace("warmup = 10)", "warmup = 10, steps = 50)")) == []


def test_defaults_are_filled_in():
    train = elaborated(PROGRAM, "t").train
    assert train is not None
    assert (train.values["accumulate"], train.values["seed"], train.values["precision"]) == (1, 0, "f32")
    assert train.values["evaluate"] is None


def test_fields_are_set_from_outside():
    train = elaborated(PROGRAM, "t", t__batch="8", t__evaluate__every="5").train
    assert train is not None
    assert train.values["batch"] == 8
    nested = train.nested("evaluate")
    assert nested is not None
    assert nested["every"] == 5
    assert problem(PROGRAM, t__batch="0").code == "TRX0506"
    assert problem(PROGRAM, t__bach="8").code == "TRX0501"


def test_a_field_set_to_none_is_as_if_not_there():
    assert codes(PROGRAM.replace("steps = 100", "steps = 100\n  mesh = none\n  evaluate = none")) == []
    assert problem(PROGRAM.replace("steps = 100", "steps = none")).code == "TRX0503"


@pytest.mark.parametrize(
    ("right", "wrong"), [("  optimizer", "  optimiser"), ("  steps", "  step"), ("  loss", "  los")]
)
def test_a_misspelt_field_is_one_error(right: str, wrong: str):
    found = problem(PROGRAM.replace(right, wrong))
    assert (found.code, found.helps) == ("TRX0501", (f"did you mean `{right.strip()}`?",))


def test_what_is_wrong_with_the_data_is_said_once():
    for wrong in ("digts()", "3", "csv()"):
        assert problem(PROGRAM.replace("digits()", wrong)).code in ("TRX0301", "TRX0505", "TRX0412")


def test_a_field_that_is_not_there_is_told_with_those_that_are():
    found = problem(PROGRAM.replace("logits, label)", "logits, target)", 1))
    assert found.code == "TRX0301"
    assert found.notes == ("outputs of the model: `logits`", "fields of the data: `image`, `label`")


def test_an_evaluation_is_checked():
    record = "evaluate e for Digits {\n data = d\n split = valid\n metrics { a = accuracy(logits, label) }\n}\n"
    assert codes(PROGRAM + record) == []
    assert problem(PROGRAM + record.replace("(logits", "(logit")).code == "TRX0301"
    assert problem(PROGRAM + record.replace("valid", "test")).code == "TRX0504"
    assert problem(PROGRAM + record.replace("accuracy(logits, label)", "logits")).code == "TRX0509"
    assert problem(PROGRAM + record.replace("accuracy(logits, label)", "loss")).code == "TRX0301"


def test_an_uneven_dim_is_left_whole():
    mesh = "mesh pod {\n data = 2\n model = 4\n batch -> data\n classes -> model\n}\n"
    text = PROGRAM.replace("steps = 100", "steps = 100\n  mesh = pod") + mesh
    assert problem(text).severity == "warning"
    found = elaborated(text, "t")
    assert found.mesh is not None
    assert found.mesh.rules == {"batch": ("data",)}


def test_the_batch_must_be_even_as_well():
    mesh = "mesh pod {\n data = 3\n batch -> data\n}\n"
    text = PROGRAM.replace("steps = 100", "steps = 100\n  mesh = pod") + mesh
    assert problem(text).code == "TRX0514"


TEXT = """
model Bytes(vocab: int = 256, embed: int = 8, context: int = 16) {
  input tokens: int[batch, seq]
  require seq <= context, "too long"
  output logits: float[batch, seq, vocab] = tokens |> Embedding(vocab, embed) |> Dense(vocab)
}
data d { source = text("a.txt"), tokens = bytes() >> window(16), split { train = 0.9, valid = 0.1 } }
train t for Bytes { data = d, loss = cross_entropy(logits, targets), optimizer = sgd(0.1), batch = 2, steps = 3 }
"""


def test_sizes_of_the_data_are_held_against_requirements():
    assert elaborated(TEXT, "t").batch is not None
    assert codes(TEXT) == []
    found = problem(TEXT.replace("window(16)", "window(17)"))
    assert (found.code, found.notes) == ("TRX0420", ("`seq` is 17",))


def test_open_data_say_how_to_declare_a_field():
    text = PROGRAM.replace("digits()", 'csv("a.csv")').replace("argmax(logits, over = classes) == label", "logits")
    found = trxc.check(text, filename="example.trx")
    assert {item.code for item in found} == {"TRX0301"}
    assert "fields { name = int }" in found[0].notes[1]


# ------------------------------------------------------------------ files


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.trx").write_text(text, encoding="utf-8")
    return folder / "main.trx"


LAYER = "const width = 3\nlayer Wide {\n input x: float[..., n]\n output x |> Dense(width)\n}\n"
USER = "model M {\n input x: float[batch, 4]\n output x |> NAME\n}\n"


@pytest.mark.parametrize(
    ("use", "name"),
    [('use "layers.trx" (Wide)', "Wide"), ('use "layers.trx"', "layers.Wide"), ('use "layers.trx" as l', "l.Wide")],
)
def test_files_are_used(tmp_path: Path, use: str, name: str):
    assert trxc.check(write(tmp_path, layers=LAYER, main=f"{use}\n{USER.replace('NAME', name)}")) == []


@pytest.mark.parametrize(
    ("main", "other", "code"),
    [
        ('use "layers.trx" (Wid)', LAYER, "TRX0303"),
        ('use "missing.trx" (Wide)', LAYER, "TRX0305"),
        ('use "../layers.trx" (Wide)', LAYER, "TRX0305"),
        ('use "layers.trx" (Wide)', 'use "main.trx" (M)\n' + LAYER, "TRX0306"),
    ],
)
def test_what_is_wrong_with_a_used_file(tmp_path: Path, main: str, other: str, code: str):
    text = main + "\nmodel M {\n input x: float[batch, 4]\n output x\n}\n"
    assert [found.code for found in trxc.check(write(tmp_path, layers=other, main=text))] == [code]


def test_a_fault_in_a_used_file_is_told_there(tmp_path: Path):
    wrong = LAYER.replace("Dense(width)", "Dens(width)")
    (found,) = trxc.check(
        write(tmp_path, layers=wrong, main=f'use "layers.trx" (Wide)\n{USER.replace("NAME", "Wide")}')
    )
    assert found.span is not None
    assert (found.code, Path(found.span.source.name).name) == ("TRX0301", "layers.trx")


@pytest.mark.parametrize(
    ("fields", "code", "said", "help_"),
    [
        ("remat = dot", "TRX0506", "`remat` cannot be `dot`", "`dots`"),
        ("remat = 3", "TRX0505", "`remat` is a name", ""),
        ("remat = auto", "TRX0503", "`t` has no `memory`, which `remat = auto` is to fit", '`memory = "8 GB"` says it'),
        ('memory = "8 Gb"', "TRX0506", "`Gb` is no unit of memory", "GB"),
        ('memory = "much"', "TRX0505", "`memory` is a number with a unit, and this is `much`", '`memory = "8 GB"`'),
        ("memory = 8", "TRX0505", "`memory` is a number with a unit, and this is", '`memory = "8 GB"`'),
        ('memory = "0 GB"', "TRX0506", "`memory` is more than nothing", ""),
    ],
)
def test_memory_and_what_is_computed_again(fields: str, code: str, said: str, help_: str):
    found = problem(PROGRAM.replace("steps = 100", f"steps = 100\n  {fields}"))
    assert found.code == code
    assert found.message.startswith(said)
    assert help_ in "".join(found.helps)


@pytest.mark.parametrize(("text", "count"), [("8 GB", 8 * 10**9), ("1.5GiB", 3 * 2**29), ("512 MB", 512 * 10**6)])
def test_amounts_of_memory(text: str, count: int):
    train = elaborated(PROGRAM.replace("steps = 100", f'steps = 100\n  memory = "{text}"'), "t").train
    assert train is not None
    assert (train.values["memory"], train.values["remat"]) == (count, "none")


def with_fields(*fields: str, optimizer: str = "adam(1e-3)") -> str:
    recipe = TRAIN.replace("adam(warmup_cosine(peak = 1e-3, warmup = 10))", optimizer)
    return MODEL + recipe.replace("steps = 100", "\n  ".join(("steps = 100", *fields)))


@pytest.mark.parametrize(
    ("fields", "at", "said"),
    [
        ("evaluate { every = 101 }", "101", "`evaluate.every` is 101, and the run has 100 steps: nothing is evaluated"),
        (
            "checkpoint.every = 1_000",
            "1_000",
            "`checkpoint.every` is 1,000, and the run has 100 steps: nothing is saved",
        ),
        ("log { every = 200 }", "200", "`log.every` is 200, and the run has 100 steps: nothing is reported"),
        ("evaluate { every = 9, best = max(loss) }", "loss", "`loss` is good where it is small"),
        ("evaluate { every = 9, best = min(accuracy) }", "accuracy", "`accuracy` is good where it is large"),
        ('freeze = ["*"]', "freeze", "every weight is frozen"),
    ],
)
def test_fields_that_do_not_go_together(fields: str, at: str, said: str):
    text = with_fields(fields).replace("mean(argmax(logits, over = classes) == label)", "accuracy(logits, label)")
    found = problem(text)
    assert found.span is not None
    assert (found.code, found.severity, found.span.text) == ("TRX0518", "warning", at)
    assert found.message.startswith(said)
    assert found.helps
    assert codes(text.replace(fields, f"{fields}  # allow: TRX0518")) == []


@pytest.mark.parametrize(
    "fields",
    [
        "evaluate { every = 100, best = min(loss) }",
        "evaluate { every = 10, best = max(accuracy) }",
        "checkpoint { every = 100 }",
        "log.every = 100",
        'freeze = ["*.b"]',
    ],
)
def test_fields_that_go_together(fields: str):
    assert codes(with_fields(fields)) == []


@pytest.mark.parametrize(
    ("optimizer", "said"),
    [
        ("adam(warmup_constant(1e-3, warmup = 100))", "the warm-up of 100 steps is as long as the run"),
        ("adam(cosine(1e-3, steps = 500))", "`cosine` ends with step 500, and the run with step 100"),
        ("adam(cosine(1e-3, steps = 20))", "the rate is 0 from step 20 on: 80 steps of the run can change nothing"),
        ("clip(1.0) >> sgd(linear(0.1, steps = 99))", "the rate is 0 from step 99 on: 1 step"),
        ("adam(1e-3) >> clip(1.0)", "`clip` stands after `adam`: it is given steps, and not gradients"),
    ],
)
def test_an_optimizer_and_its_run_that_do_not_go_together(optimizer: str, said: str):
    found = problem(with_fields(optimizer=optimizer))
    assert (found.code, found.severity) == ("TRX0518", "warning")
    assert found.message.startswith(said)


@pytest.mark.parametrize(
    ("optimizer", "said"),
    [
        ("clip(1.0)", "`clip` prepares gradients, and nothing takes a step"),
        ("clip(1.0) >> centralize()", "`centralize` prepares gradients, and nothing takes a step"),
        ("adam(1e-3) >> sgd(0.1)", "`sgd` goes against the steps of `adam`"),
        ("adam(-1e-3)", "a negative learning rate"),
        ("adam(cosine(-1e-3))", "a negative learning rate"),
    ],
)
def test_an_optimizer_that_would_walk_up(optimizer: str, said: str):
    found = problem(with_fields(optimizer=optimizer))
    assert (found.code, found.severity) == ("TRX0519", "error")
    assert found.message.startswith(said)


@pytest.mark.parametrize(
    "optimizer",
    [
        "clip(1.0) >> adam(1e-3)",
        "adam(1e-3) >> scale(0.5)",
        "clip(1.0) >> scale(-0.01)",
        "scale(-1.0) >> adam(1e-3)",
        "adam(linear(1e-3, end = 1e-5, steps = 50))",
        "prodigy()",
    ],
)
def test_an_optimizer_that_walks_down(optimizer: str):
    assert codes(with_fields(optimizer=optimizer)) == []


def test_a_run_that_is_made_short_from_outside_is_not_held_against_the_file():
    text = with_fields("evaluate { every = 50 }", "checkpoint { every = 100 }")
    assert codes(text, t__steps="3") == []
    assert codes(text, t__evaluate__every="200") == ["TRX0518"]


def test_fields_with_dots_are_one_record():
    text = with_fields("evaluate.every = 5", "evaluate.split = valid", "evaluate { steps = 2 }")
    train = elaborated(text, "t").train
    assert train is not None
    nested = train.nested("evaluate")
    assert nested is not None
    assert (nested["every"], nested["steps"]) == (5, 2)
    assert problem(with_fields("evaluate.every = 5", "evaluate.every = 6")).code == "TRX0502"
    assert problem(with_fields("evaluate { every = 5 }", "evaluate { every = 6 }")).code == "TRX0502"


@pytest.mark.parametrize(
    ("split", "code"),
    [
        ("valid = 0, train = 0.5", "TRX0506"),
        ("valid = -3, train = 0.5", "TRX0506"),
        ("train = 1, valid = 0.1", "TRX0506"),
        ("valid = 0.1, test = 0.1", "TRX0504"),
    ],
)
def test_splits_that_cannot_be(split: str, code: str):
    assert problem(PROGRAM.replace("train = 0.9, valid = 0.1", split)).code == code


def test_a_negative_penalty_is_refused():
    assert problem(with_fields("l2 = -0.1")).code == "TRX0506"


@pytest.mark.parametrize(
    ("mesh", "found"),
    [
        ("data = 2, model = 4, batch -> data", ["TRX0518"]),
        ("data = 2, model = 1, batch -> data", []),
        ("data = 2, batch -> (data, data)", ["TRX0502"]),
    ],
)
def test_axes_of_a_mesh_and_its_rules(mesh: str, found: list[str]):
    assert codes(f"{with_fields('mesh = pod')}mesh pod {{ {mesh} }}\n") == found


@pytest.mark.parametrize(
    ("sample", "found"),
    [
        ("temperature(0.8) >> top_p(0.9)", []),
        ("repetition_penalty(1.2) >> greedy()", []),
        ("greedy() >> top_k(5)", ["TRX0518"]),
        ("temperature(0) >> top_p(0.9)", ["TRX0518"]),
        ("top_k(5) >> temperature(0.8) >> greedy()", ["TRX0518", "TRX0518"]),
    ],
)
def test_stages_of_sampling_that_change_nothing(sample: str, found: list[str]):
    record = f"generate g for Bytes {{ prompt = tokens, from = logits, sample = {sample} }}\n"
    assert codes(TEXT + record) == found
