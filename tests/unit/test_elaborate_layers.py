"""Layers: what is shared, what weights are called, what unrolls, and which names and dims mean what."""

from __future__ import annotations

import pytest
from elaboration import codes, diagnostics, elaborated, model, module, ops, output, problem, root, states, weights

import trxc

# ------------------------------------------------------------------ weights and their names

NAMES = {
    "bound": ("table = Dense(4)\noutput x |> table", "table"),
    "not bound": ("output x |> Dense(4)", "dense"),
    "numbered": ("output x |> Dense(4) |> Dense(4) |> LayerNorm", "dense dense_2 layer_norm"),
    "lower_snake": ("output x |> RMSNorm |> LayerNorm", "rms_norm layer_norm"),
    "applied twice": ("f = Dense(4)\noutput x |> f |> f", "f"),
    "written twice": ("output x |> Dense(4) |> Dense(4)", "dense dense_2"),
    "a bound composition": ("f = Dense(4) >> relu >> Dense(4)\noutput x |> f", "f.dense f.dense_2"),
    "a composition applied twice": ("f = Dense(4) >> Dense(4)\noutput x |> f |> f", "f.dense f.dense_2"),
    "a list": ("fs = [Dense(4), Dense(4)]\noutput x |> fs[0] |> fs[1]", "fs[0] fs[1]"),
    "a comprehension": ("fs = [Dense(n) for n in [4, 2]]\noutput x |> fs[0] |> fs[1]", "fs[0] fs[1]"),
    "one item twice": ("fs = [Dense(4), Dense(4)]\noutput x |> fs[0] |> fs[0]", "fs[0]"),
    "rolled": ("output x |> repeat(3, Dense(4))", "denses[*]"),
    "rolled and bound": ("tower = repeat(3, Dense(4))\noutput x |> tower", "tower[*]"),
    "a composition rolled": ("output x |> repeat(2, Dense(4) >> LayerNorm)", "layers[*].dense layers[*].layer_norm"),
    "unrolled": ("output x |> repeat(2, fn(i) => Dense(3 + i))", "denses[0] denses[1]"),
    "unrolled by shape": ("output x |> repeat(2, Dense(5))", "denses[0] denses[1]"),
    "nested": ("output x |> repeat(2, repeat(3, Dense(4)))", "layers[*].denses[*]"),
    "in a combinator": ("output x |> residual(Dense(4))", "dense"),
    "in a branch": ("output x |> branch(Dense(4), Dense(4)) >> add", "dense dense_2"),
    "named inside": ("f = Dense(4)\noutput x |> residual(f) |> f", "f"),
}


@pytest.mark.parametrize(("body", "names"), NAMES.values(), ids=NAMES)
def test_weights_are_named_by_where_they_stand(body: str, names: str):
    found = weights(model(f"input x: float[batch, 4]\n{body}"))
    assert list(dict.fromkeys(name.rpartition(".")[0] for name in found)) == names.split()


def test_a_weight_of_a_layer_is_used_by_name():
    text = model("input x: int[batch, seq]\nt = Embedding(10, 4)\ny = x |> t\noutput y @ swap(t.w, 0, 1)")
    assert list(weights(text)) == ["t.w"]
    assert output(text) == "float[batch, seq, 10]"


def test_a_fn_beside_a_layer_is_its_method():
    text = model("input x: int[batch, seq]\nt = Embedding(10, 4)\noutput t.attend(x |> t)")
    assert output(text) == "float[batch, seq, 10]"
    assert problem(text.replace("attend", "attnd")).helps == ("did you mean `attend`?",)


def test_param_when():
    layer = "layer L(bias: bool) {\n input x: float[n, 4]\n param b: float[4] = zeros when bias\n"
    layer += " output if b == none { x } else { x + b }\n}\n"
    assert list(weights(layer + model("input x: float[n, 4]\noutput x |> L(true)"))) == ["l.b"]
    assert list(weights(layer + model("input x: float[n, 4]\noutput x |> L(false)"))) == []


def test_states_are_no_weights():
    text = model("input x: float[batch, 4]\noutput x |> BatchNorm")
    assert states(text) == ["batch_norm.running_mean", "batch_norm.running_var"]
    assert list(weights(text)) == ["batch_norm.scale", "batch_norm.shift"]


def test_next_changes_a_state_in_training_only():
    text = (
        model("input x: float[batch, 4]\noutput x |> BatchNorm")
        + """
data d { source = arrays()
  fields { x = float[4], y = float[4] } }
train t for M { data = d, loss = mse(output, y), optimizer = sgd(0.1), batch = 2, steps = 1 }
"""
    )
    found = module(text, "t")
    assert len(ops(found, "set_state")) == 2
    apply = found.role("apply").name
    assert not [op for op in found.functions[apply].body.walk() if op.kind == "set_state"]


# ------------------------------------------------------------------ loops

CELL = """
layer Cell(hidden: int) {
  input x: float[batch, features]
  carry h: float[batch, hidden] = zeros
  carry count: float[batch, hidden] = 1.0
  next count = count + 1.0
  next h = tanh(Dense(hidden)(concat([x, h], along = -1))) * count
  output next h
}
"""


def test_recur_carries_every_carry():
    text = CELL + model("input x: float[batch, seq, 4]\noutput x |> recur(Cell(8), over = seq)")
    (op,) = ops(module(text), "recur")
    assert op.attributes["carries"] == ("h", "count")
    assert op.attributes["axis"] == 1
    assert output(text) == "float[batch, seq, 8]"


@pytest.mark.parametrize(
    "layer",
    [
        "recur(Cell(8) >> Cell(8), over = seq)",
        "repeat(2, recur(Cell(4), over = seq))",
        "recur(Cell(8), over = seq, reverse = true)",
        "recur(Cell(8), over = 1)",
        "Tower",
    ],
)
def test_recur_and_repeat_nest(layer: str):
    tower = "layer Tower = recur(Cell(4), over = seq) >> recur(Cell(6), over = seq)\n"
    assert codes(CELL + tower + model(f"input x: float[batch, seq, 4]\noutput x |> {layer}")) == []


def test_a_cell_outside_of_recur_is_an_error():
    found = problem(CELL + model("input x: float[batch, 4]\noutput x |> Cell(8)"))
    assert found.code == "TRX0415"
    assert "recur" in found.helps[0]


def test_equal_turns_are_one_loop_and_others_are_copies():
    rolled = module(model("input x: float[batch, 4]\noutput x |> repeat(3, Dense(4) >> relu)"))
    assert len(ops(rolled, "repeat")) == 1
    unrolled = module(model("input x: float[batch, 4]\noutput x |> repeat(3, fn(i) => Dense(4 + i))"))
    assert ops(unrolled, "repeat") == []
    assert output(model("input x: float[batch, 4]\noutput x |> repeat(3, fn(i) => Dense(4 + i))")) == "float[batch, 6]"


def test_repeat_of_nothing_changes_nothing():
    assert codes(model("input x: float[batch, 4]\noutput x |> repeat(0, Dense(9))")) == []


# ------------------------------------------------------------------ statements


def test_of_an_unchosen_branch_only_the_names_are_checked():
    text = model("input x: float[batch, 4]\nif n > 2 { y = x } else { y = x @ x }\noutput y", "(n: int = 3)")
    assert codes(text) == []
    assert codes(text.replace("x @ x", "missing(x)")) == ["TRX0301"]
    assert problem(text, M__n="1").code == "TRX0204"


@pytest.mark.parametrize(("context", "expected"), [("64", []), ("4", ["TRX0420"])])
def test_require_of_known_sizes(context: str, expected: list[str]):
    text = model('input x: float[batch, 8]\nrequire 8 <= context, "too long"\noutput x', f"(context: int = {context})")
    assert codes(text) == expected


def test_require_of_symbolic_sizes_is_kept_for_later():
    text = model('input x: float[batch, seq]\nrequire seq <= 16, "too long"\noutput x')
    (need,) = elaborated(text).requirements
    assert (str(need.left), need.operator, str(need.right), need.message) == ("seq", "<=", "16", "too long")


def test_optional_inputs():
    layer = "layer L {\n input x: float[n, 4], y: float[n, 4]? = none\n output if y == none { x } else { x + y }\n}\n"
    assert codes(layer + model("input x: float[n, 4]\nf = L()\noutput f(x) + f(x, x) + f(x, y = x)")) == []
    assert problem(layer + model("input x: float[n, 4]\nf = L()\noutput f(x, z = x)")).code == "TRX0409"


def test_packs():
    layer = "layer L {\n input x: float[batch, ...spatial, c]\n output mean(x, over = spatial)\n}\n"
    assert output(layer + model("input x: float[n, 5, 6, c]\noutput x |> L")) == "float[n, c]"
    assert output(layer + model("input x: float[n, c]\noutput x |> L")) == "float[n, c]"
    found = problem(layer + model("input x: float[c]\noutput x |> L"))
    assert (found.code, found.span and found.span.text) == ("TRX0205", "L")


def test_several_outputs_are_a_tuple():
    layer = "layer L {\n input x: float[n, 4]\n output a: float[n, 4] = x\n output b: float[n, 2] = x[:, :2]\n}\n"
    text = layer + model(
        "input x: float[n, 4]\na, b = x |> L\noutput first: float[n, 2] = b\noutput second: float[n, 4] = a"
    )
    assert root(text).output_names == ["first", "second"]


def test_tuples_go_through_combinators():
    body = (
        "input x: float[batch, 4]\noutput x |> branch(Dense(2), Dense(3)) >> parallel(relu, tanh) >> concat(along = -1)"
    )
    assert output(model(body)) == "float[batch, 5]"
    assert (
        output(model("input x: float[batch, 4]\noutput x |> branch(Dense(2), Dense(3)) >> select(1)"))
        == "float[batch, 3]"
    )


def test_a_fn_without_its_first_argument_waits_for_it():
    fn = "fn scaled(x: float[...], by: float) = x * by\n"
    assert (
        output(fn + model("input x: float[batch, seq]\noutput x |> scaled(2.0) |> mean(over = seq)")) == "float[batch]"
    )


def test_layers_take_layers():
    layer = "layer Twice(f: layer, g: layer = relu) {\n input x: float[...]\n output x |> f |> g |> f\n}\n"
    text = layer + model("input x: float[batch, 4]\noutput x |> Twice(Dense(4)) |> Twice(LayerNorm, g = tanh)")
    assert [name for name in weights(text) if name.endswith(("w", "scale"))] == ["dense.w", "layer_norm.scale"]


# ------------------------------------------------------------------ names


SHADOWED = {
    "an argument": "n = x",
    "a dim": "features = x",
    "a library name": "softplus2 = x\nDense = x",
    "a dim by a dim": "dim features = 3",
}


@pytest.mark.parametrize("statement", SHADOWED.values(), ids=SHADOWED)
def test_names_are_not_shadowed(statement: str):
    found = problem(model(f"input x: float[batch, features]\n{statement}\noutput x", "(n: int = 3)"))
    assert found.code == "TRX0304"
    assert found.span is not None
    assert found.span.text in ("n", "features", "Dense")


def test_a_binding_may_be_bound_again():
    assert (
        output(model("input x: float[batch, 4]\nx = x |> Dense(3)\nx = x |> Dense(2)\noutput x")) == "float[batch, 2]"
    )


def test_a_local_of_a_lambda_or_list_ends_with_it():
    text = model("input x: float[batch, 4]\nfs = [Dense(k) for k in [3, 2]]\noutput x |> fs[0] |> fs[1] * k")
    assert problem(text).code == "TRX0301"


# ------------------------------------------------------------------ dims


def test_dims_keep_the_names_they_were_born_with():
    layer = (
        "layer MLP {\n input x: float[..., embed]\n dim mlp = 4 * embed\n output x |> Dense(mlp) |> Dense(embed)\n}\n"
    )
    found = weights(layer + model("input x: float[batch, width]\noutput x |> MLP", "(width: int = 8)"))
    names = {name: [axis.public_name for axis in item.parameter.type.axes] for name, item in found.items()}
    assert names["mlp.dense.w"] == ["width", "mlp"]
    assert names["mlp.dense_2.w"] == ["mlp", "width"]


def test_a_size_without_a_name_gives_a_dim_without_one():
    found = weights(model("input x: float[batch, width]\noutput x |> Dense(4 * width)", "(width: int = 8)"))
    assert [axis.public_name for axis in found["dense.w"].parameter.type.axes] == ["width", None]


def test_sizes_are_symbolic_arithmetic():
    text = model("input x: float[batch, seq, 4]\ny = concat([x, x[:, :2]], along = seq)\noutput y[:, 0:seq]")
    assert codes(text.replace("x[:, :2]", "x")) == []
    cat = model("input x: float[batch, n], y: float[batch, 5]\noutput concat([x, y], along = -1)")
    assert output(cat) == "float[batch, n + 5]"


def test_a_division_needs_a_require_where_a_layer_is_checked_by_itself():
    layer = "layer L(heads: int) {\n input x: float[batch, embed]\n REQUIRE\n dim _head = embed / heads\n output x\n}\n"
    found = problem(layer.replace("REQUIRE", ""))
    assert (found.code, found.helps) == ("TRX0210", ("`require embed % heads == 0` says so",))
    assert codes(layer.replace("REQUIRE", "require embed % heads == 0")) == []


AXES = {
    "over = keys": [],
    "over = [rows, keys]": [],
    "over = -1": [],
    "over = [0, 1]": [],
    "over = columns": ["TRX0208"],
    "over = 2": ["TRX0208"],
    "over = [rows, 0]": ["TRX0208"],
    "over = 1.5": ["TRX0208"],
    "over = x": ["TRX0208"],
}


@pytest.mark.parametrize(("over", "expected"), AXES.items())
def test_axes_by_name(over: str, expected: list[str]):
    assert codes(model(f"input x: float[rows, keys]\noutput mean(x, {over})")) == expected


def test_an_axis_that_is_there_twice_must_be_named_apart():
    text = model("input x: float[seq, seq]\noutput softmax(x, over = seq)")
    assert problem(text).code == "TRX0208"
    named = model("input x: float[seq, seq]\ny: float[queries, keys] = x\noutput softmax(y, over = keys)")
    assert codes(named) == []


def test_equal_sizes_under_two_names_are_a_warning():
    found = problem(model("input x: float[rows], y: float[columns]\noutput x + y", "(rows: int = 4, columns: int = 4)"))
    assert (found.code, found.severity) == ("TRX0213", "warning")
    clash = problem(model("input x: float[rows], y: float[columns]\noutput x + y", "(rows: int = 4, columns: int = 5)"))
    assert clash.code == "TRX0204"


# ------------------------------------------------------------------ settings


def test_settings_are_checked_like_the_file():
    text = model("input x: float[batch, n]\noutput x |> Dense(n)", "(n: int = 4)")
    assert output(text, M__n="6") == "float[batch, n=6]"
    assert problem(text, M__n="1.5").code == "TRX0405"
    for wrong in ("M__m", "N__n", "M", "M__n__k"):
        assert problem(text, **{wrong: "3"}).code == "TRX0511"
    assert diagnostics(text, M__n="3 +")[0].code.startswith("TRX01")


# ------------------------------------------------------------------ made of itself


@pytest.mark.parametrize(
    "text",
    [
        "layer A {\n input x: float[d]\n output x |> A\n}\n",
        "layer A {\n input x: float[d]\n output x |> B\n}\nlayer B {\n input x: float[d]\n output x |> A\n}\n",
        "fn f(x: float[...]) = f(x) + 1.0\nlayer A {\n input x: float[d]\n output f(x)\n}\n",
    ],
    ids=["itself", "through another", "a fn"],
)
def test_a_circle_is_one_error(text: str):
    assert problem(text + model("input x: float[batch]\noutput x |> A")).code == "TRX0404"


def test_layers_nested_without_end_are_an_error():
    text = "layer A(n: int) {\n input x: float[d]\n output x |> A(n + 1)\n}\n" + model(
        "input x: float[k]\noutput x |> A(1)"
    )
    assert set(codes(text)) == {"TRX0401"}


def test_a_long_trail_is_cut():
    text = "layer A(n: int) {\n input x: float[d]\n output x |> A(n + 1)\n}\n" + model(
        "input x: float[k]\noutput x |> A(1)"
    )
    trail = diagnostics(text)[0].trail
    assert len(trail) == 11
    assert any("more" in entry for entry in trail)


# ------------------------------------------------------------------ where a fault is told


def test_a_fault_inside_the_library_is_told_at_the_users_call():
    found = problem(model("input x: float[batch, 8]\noutput x |> LayerNorm >> residual(Dense(4))"))
    assert found.code == "TRX0204"
    assert found.span is not None
    assert found.span.text == "residual(Dense(4))"
    assert any(label.span.source.name == "std/combinators.trx" for label in found.labels)


def test_a_fault_of_a_short_fn_of_the_library_is_told_at_the_users_call():
    found = problem(
        model("input x: float[batch, 8]\noutput padding_mask(x)").replace(
            "model", "use std.attention (padding_mask)\nmodel", 1
        )
    )
    assert found.span is not None
    assert found.span.text == "x"


def test_an_input_that_does_not_fit_is_told_where_the_layer_is_applied():
    layer = "layer L {\n input x: float[batch, 4]\n output x\n}\n"
    found = problem(layer + model("input x: float[n, 5]\noutput x |> L"))
    assert found.span is not None
    assert (found.code, found.span.text) == ("TRX0204", "L")


def test_a_layer_that_is_an_expression_is_checked_by_itself():
    assert problem("layer L(n: int) = repeat(n, Dens(n))\n" + model("input x: float[b]\noutput x")).code == "TRX0301"
    assert codes("layer L(n: int) = repeat(n, Dense(n))\n" + model("input x: float[b]\noutput x")) == []


# ------------------------------------------------------------------ requirements in parts, dims before inputs


def test_a_requirement_may_have_parts():
    text = model(
        "input x: float[batch, seq]\nrequire seq <= 16 and seq >= 2 and limit > 3\noutput x", "(limit: int = 5)"
    )
    needs = elaborated(text).requirements
    assert [(str(need.left), need.operator, str(need.right)) for need in needs] == [
        ("seq", "<=", "16"),
        ("seq", ">=", "2"),
    ]
    found = problem(text, M__limit="3")
    assert found.span is not None
    assert (found.code, found.span.text) == ("TRX0420", "limit > 3")


def test_dims_may_stand_above_the_inputs():
    assert output(model("dim rows = 2 * n\ninput x: float[rows]\noutput x", "(n: int = 3)")) == "float[rows=6]"
    assert problem(model("dim rows = 2 * m\ninput x: float[rows]\noutput x")).code == "TRX0301"


@pytest.mark.parametrize("dim", ["width", "rows"])
def test_a_dim_keeps_its_name_through_a_layer_that_takes_any_dims(dim: str) -> None:
    text = f"""
layer Own {{
  input x: float[rows, width]
  a = gelu(x)
  output a - mean(a, over = {dim}, keep = true)
}}
model M {{
  input x: float[batch, 4]
  output y = x |> Own
}}
"""
    assert trxc.check(text, filename="own.trx") == []
