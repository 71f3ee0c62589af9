"""More modules built by hand: state under `repeat`, a recurrent cell, a branch, sizes that no input tells."""

from __future__ import annotations

from emit_examples import NORMAL, ONES, ZEROS, Build, function, module, tensor

from trxc.dims import dim
from trxc.ir import Function, Module, Parameter, Value
from trxc.types import F32

IMAGE = tensor(F32, "batch", ("c", 4))


def batch_norm(training: bool) -> Function:
    weights: dict = {}
    x = Value(IMAGE, "x")
    b = Build(x, line=2)
    one = tensor(F32, ("c", 4))
    for name, start in (("running_mean", ZEROS), ("running_var", ONES)):
        weights[(name,)] = Parameter((name,), one, start, trainable=False)
    mean, var = (b.raw("state", [], [one], path=(name,))[0] for name in ("running_mean", "running_var"))
    mu, sigma2 = mean, var
    if training:
        mu = b.op("mean", x, name="mu", over=(0,), keep=False)
        sigma2 = b.op("variance", x, name="sigma2", over=(0,), keep=False)
        for path, old, new in (("running_mean", mean, mu), ("running_var", var, sigma2)):
            kept, fresh = b.op("multiply", b.constant(0.9), old), b.op("multiply", b.constant(0.1), new)
            b.raw("set_state", [b.op("add", kept, fresh)], [], path=(path,))
    y = b.op("multiply", b.op("subtract", x, mu), b.op("rsqrt", b.op("add", sigma2, b.constant(1e-5))))
    y = b.op("multiply", y, b.weight(weights, "scale", one, ONES), name="y")
    return function("batch_norm_train" if training else "batch_norm", b, [y], weights, doc="Batch normalisation.")


def tower(training: bool, norm: Function) -> Function:
    """Three normalised layers, each with weights and state of its own, and one more."""
    weights: dict = {}
    x = Value(IMAGE, "x")
    b = Build(x, line=40)
    carry = Value(IMAGE, "x")
    inner = Build(carry, line=50)
    w = inner.raw("parameter", [], [tensor(F32, ("c", 4), ("c", 4))], path=("w",))[0]
    weights[("layers", "w")] = Parameter(("layers", "w"), w.type, NORMAL)
    (h,) = inner.call(norm, inner.op("matmul", carry, w), path=("norm",))
    inner.region.results = [inner.op("tanh", h)]
    (x,) = b.raw("repeat", [x], [IMAGE], ["x"], [inner.region], count=3, path=("layers",))
    (x,) = b.call(norm, x, path=("head", "norm"), names=["x"])
    return function("tower_train" if training else "tower", b, [x], weights, ["y"], title="Tower")


def batch_norm_tower() -> Module:
    norm, norm_train = batch_norm(False), batch_norm(True)
    model, model_train = tower(False, norm), tower(True, norm_train)
    x, target = Value(IMAGE, "x"), Value(IMAGE, "target")
    b = Build(x, target, line=70)
    (y,) = b.call(model_train, x, names=["y"])
    error = b.op("subtract", y, target)
    loss = function(
        "fit_loss", b, [b.op("mean", b.op("multiply", error, error), over=(0, 1), keep=False)], outputs=["loss"]
    )
    x, target = Value(IMAGE, "x"), Value(IMAGE, "target")
    b = Build(x, target, line=80)
    (y,) = b.call(model, x, names=["y"])
    error = b.op("abs", b.op("subtract", y, target))
    measure = function("fit_measure", b, [b.op("mean", error, over=(0, 1), keep=False)], outputs=["loss"])
    return module(
        "fit",
        [norm, norm_train, model, model_train, loss, measure],
        apply="tower",
        loss="fit_loss",
        measure="fit_measure",
    )


STEP = tensor(F32, "batch", ("features", 3))
HIDDEN = tensor(F32, "batch", ("hidden", 5))


def lstm() -> Module:
    """An LSTM along the second axis, with its gates from one product, and dropout at every step."""
    weights: dict = {}
    x = Value(tensor(F32, "batch", "seq", ("features", 3)), "x")
    b = Build(x, line=5)
    zeros = ((dim("batch"), None), (dim(5), "hidden"))
    h0, c0 = (b.raw("full", [], [HIDDEN], sizes=zeros, value=0.0, dtype=F32)[0] for _ in "hc")
    step_x, h, c = Value(STEP, "x"), Value(HIDDEN, "h"), Value(HIDDEN, "c")
    inner = Build(step_x, h, c, line=20)
    joined = inner.op("concat", step_x, h, along=1)
    weights[("cell", "w")] = Parameter(("cell", "w"), tensor(F32, 8, 20), NORMAL)
    w = inner.raw("parameter", [], [tensor(F32, 8, 20)], path=("w",))[0]
    gates = inner.op("matmul", joined, w, name="gates")
    i, f, g, o = inner.raw("split", [gates], [HIDDEN] * 4, ["i", "f", "g", "o"], parts=4, along=1)
    keep = inner.op("multiply", inner.op("sigmoid", inner.op("add", f, inner.constant(1.0))), c)
    c = inner.op("add", keep, inner.op("multiply", inner.op("sigmoid", i), inner.op("tanh", g)), name="c")
    h = inner.op("multiply", inner.op("sigmoid", o), inner.op("tanh", c), name="h")
    out = inner.op("dropout", h, rate=0.5, path=("dropout",))
    inner.region.results = [out, h, c]
    outputs = tensor(F32, "batch", "seq", ("hidden", 5))
    y, last, _ = b.raw(
        "recur", [x, h0, c0], [outputs, HIDDEN, HIDDEN], ["y", "last"], [inner.region],
        path=("cell",), axis=1, reverse=True, sequences=1, carries=("h", "c"),
    )  # fmt: skip
    model = function("lstm", b, [y, last], weights, ["y", "last"], doc="Long short-term memory.", title="LSTM")
    return module("LSTM", [model], apply="lstm")


def branching() -> Module:
    """`cond` with captures, weights and a nested loop; user names that Python or the program needs itself."""
    weights: dict = {}
    x = Value(tensor(F32, "batch", ("c", 4)), "lambda")
    b = Build(x, line=3)
    total = b.op("sum", x, name="jnp", over=(0, 1), keep=False)
    flag = b.op("greater", total, b.constant(0.0), name="jax")
    key = b.op("tanh", x, name="key")
    then, other = Build(line=10), Build(line=20)
    w = then.raw("parameter", [], [tensor(F32, ("c", 4), ("c", 4))], path=("w",))[0]
    weights[("then", "w")] = Parameter(("then", "w"), w.type, NORMAL)
    then.region.results = [then.op("matmul", key, w, name="params")]
    carry = Value(x.type, "lambda")
    loop = Build(carry, line=30)
    loop.region.results = [loop.op("add", carry, key)]
    (done,) = other.raw("repeat", [x], [x.type], [None], [loop.region], count=2, path=("loop",))
    other.region.results = [done]
    (y,) = b.raw("cond", [flag], [x.type], ["y"], [then.region, other.region], path=("then",))
    y = b.op("multiply", y, b.op("cast", b.size(dim("batch")), dtype=F32), name="import")
    y = b.op("add", y, b.op("cast", flag, dtype=F32), name="init")
    return module("odd", [function("loss", b, [y], weights, ["y"], title="Odd")], apply="loss")


def sizes() -> Module:
    """`2 * n` in an input of the model, `seq` needed where no input tells it, a function used at two lengths."""
    piece = tensor(F32, ("c", 4))
    x = Value(piece, "x")
    b = Build(x, line=2)
    wide = b.raw("broadcast", [x], [tensor(F32, "n", ("c", 4))], ["wide"], sizes=((dim("n"), None), (dim(4), None)))[0]
    spread = function("spread", b, [wide])
    pairs = Value(tensor(F32, dim("n") * 2, ("c", 4)), "pairs")
    other = Value(tensor(F32, dim("m"), ("c", 4)), "other")
    b = Build(pairs, other, line=20)
    first = b.op("mean", pairs, over=(0,), keep=False, name="first")
    (y,) = b.call(spread, first, types=[tensor(F32, "n", ("c", 4))])
    count = b.op("cast", b.size(dim("n") * dim("m") + 1), dtype=F32)
    y = b.op("divide", y, count, name="y")
    z = b.op("multiply", b.op("sum", other, over=(0, 1), keep=False), b.constant(2, F32), name="z")
    return module("sizes", [spread, function("main_model", b, [y, z], outputs=["y", "z"])], apply="main_model")
