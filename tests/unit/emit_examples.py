"""Modules built by hand, as the elaborator and the passes make them: what the emitter's tests are about."""

from __future__ import annotations

from trxc.dims import Dim, dim
from trxc.emit import Declared, EmitRecipe
from trxc.ir import Function, Initializer, Module, Op, Parameter, Region, Value
from trxc.ops import OPS
from trxc.ops.definition import Attributes, Instance
from trxc.source import Source, Span
from trxc.types import F32, I32, DType, TensorType, axis

SOURCE = Source("gpt.trx", "\n".join(f"line {n}" for n in range(1, 200)))


def tensor(dtype: DType, *axes: int | str | Dim | tuple[str, int]) -> TensorType:
    return TensorType(dtype, tuple(axis(a[1], a[0]) if isinstance(a, tuple) else axis(a) for a in axes))


class Build:
    """Ops into a region, typed by the table of ops; each on a line of its own in the source."""

    def __init__(self, *arguments: Value, region: Region | None = None, line: int = 1) -> None:
        self.region = region or Region(list(arguments))
        self.at = line

    def raw(self, kind: str, operands: list[Value], results: list[TensorType], names=(), regions=(), **attributes):
        self.at += 1
        start = SOURCE.line_starts[self.at - 1]
        values = [Value(t, names[i] if i < len(names) else None) for i, t in enumerate(results)]
        self.region.ops.append(Op(kind, operands, attributes, values, list(regions), Span(SOURCE, start, start + 4)))
        return values

    def op(self, kind: str, *operands: Value, name: str | None = None, **attributes) -> Value:
        types = OPS[kind].infer(Instance(tuple(v.type for v in operands), Attributes(attributes)))
        return self.raw(kind, list(operands), list(types), [name], **attributes)[0]

    def constant(self, value, dtype: DType = F32) -> Value:
        return self.raw("constant", [], [TensorType(dtype)], value=value)[0]

    def size(self, size: Dim) -> Value:
        return self.raw("size", [], [TensorType(I32)], size=(size, None))[0]

    def weight(self, function: dict, path: str, type_: TensorType, init: Initializer, name: str | None = None) -> Value:
        key = tuple(path.split("."))
        function[key] = Parameter(key, type_, init)
        return self.raw("parameter", [], [type_], [name], path=key)[0]

    def call(self, callee: Function, *operands: Value, path: tuple = (), names=(), types=None) -> list[Value]:
        types = types or [v.type for v in callee.results]
        return self.raw("call", list(operands), types, names, callee=callee.name, path=path)


NORMAL = Initializer("normal", "jax.nn.initializers:normal", (("stddev", 0.02),))
ZEROS = Initializer("zeros", "jax.nn.initializers:zeros")
ONES = Initializer("ones", "jax.nn.initializers:ones")


def function(
    name: str, build: Build, results: list[Value], parameters=None, outputs=(), doc: str = "", title: str = ""
) -> Function:
    build.region.results = results
    return Function(name, build.region, parameters or {}, list(outputs), doc, title or name, Span(SOURCE, 0, 4))


def module(name: str, functions: list[Function], **roles: str) -> Module:
    return Module(name, {f.name: f for f in functions}, roles)


X = tensor(F32, "batch", "seq", ("embed", 8))


def layer_norm() -> Function:
    weights: dict = {}
    x = Value(X, "x")
    b = Build(x, line=2)
    mu = b.op("mean", x, name="mu", over=(2,), keep=True)
    sigma2 = b.op("variance", x, name="sigma2", over=(2,), keep=True)
    centred = b.op("subtract", x, mu)
    scale = b.op("rsqrt", b.op("add", sigma2, b.constant(1e-5)))
    normal = b.op("multiply", centred, scale)
    y = b.op("multiply", normal, b.weight(weights, "scale", tensor(F32, ("embed", 8)), ONES))
    y = b.op("add", y, b.weight(weights, "shift", tensor(F32, ("embed", 8)), ZEROS), name="y")
    return function("layer_norm", b, [y], weights, doc="Normalises each position to mean 0 and variance 1.")


def self_attention(name: str, drop: float) -> Function:
    weights: dict = {}
    x = Value(X, "x")
    b = Build(x, line=20)
    shape = tensor(F32, ("embed", 8), ("heads", 2), ("head", 4))
    wq, wk, wv = (b.weight(weights, f"w{n}", shape, NORMAL) for n in "qkv")
    q, k, v = (
        b.op("einsum", x, w, name=n, pattern="b s d, d h e -> b s h e") for w, n in ((wq, "q"), (wk, "k"), (wv, "v"))
    )
    product = b.op("einsum", q, k, pattern="b s h e, b t h e -> b h s t")
    scores = b.op("divide", product, b.op("sqrt", b.op("cast", b.size(dim(4)), dtype=F32)), name="scores")
    positions = b.op("iota", n=(dim("seq"), None), name="positions")
    mask = b.op("less_equal", b.op("expand_dims", positions, at=0), b.op("expand_dims", positions, at=1))
    scores = b.op("where", mask, scores, b.constant(float("-inf")))
    attend = b.op("softmax", scores, name="attend", over=(3,))
    if drop:
        attend = b.op("dropout", attend, rate=drop, path=("dropout",))
    mixed = b.op("einsum", attend, v, name="mixed", pattern="b h s t, b t h e -> b s h e")
    wo = b.weight(weights, "wo", tensor(F32, ("heads", 2), ("head", 4), ("embed", 8)), NORMAL)
    y = b.op("einsum", mixed, wo, name="y", pattern="b s h e, h e d -> b s d")
    return function(name, b, [y], weights, doc="Multi-head causal self-attention.\nMore of it.")


def block(name: str, norm: Function, attention: Function, drop: float) -> Function:
    weights: dict = {}
    x = Value(X, "x")
    b = Build(x, line=50)
    (h,) = b.call(norm, x, path=("layer_norm",))
    (h,) = b.call(attention, h, path=("attention",))
    if drop:
        h = b.op("dropout", h, rate=drop, path=("dropout",))
    x = b.op("add", x, h, name="x")
    (h,) = b.call(norm, x, path=("layer_norm_2",))
    up = b.weight(weights, "up", tensor(F32, ("embed", 8), ("mlp", 32)), NORMAL)
    down = b.weight(weights, "down", tensor(F32, ("mlp", 32), ("embed", 8)), NORMAL)
    h = b.op("tanh", b.op("einsum", h, up, pattern="b s d, d m -> b s m"))
    y = b.op("add", x, b.op("einsum", h, down, pattern="b s m, m d -> b s d"), name="y")
    return function(name, b, [y], weights, doc="Attention, then a perceptron at each position.")


TOKENS = tensor(I32, "batch", "seq")


def gpt_model(name: str, norm: Function, block_: Function) -> Function:
    weights: dict = {}
    tokens = Value(TOKENS, "tokens")
    b = Build(tokens, line=80)
    table = b.weight(weights, "table.w", tensor(F32, ("vocab", 16), ("embed", 8)), NORMAL)
    x = b.op("gather", table, tokens, name="x", along=0)
    positions = b.weight(weights, "positions.w", tensor(F32, ("context", 32), ("embed", 8)), NORMAL)
    starts, stops = ((dim(0), None), (dim(0), None)), ((dim("seq"), None), (dim(8), None))
    (rows,) = b.raw("slice", [positions], [tensor(F32, "seq", ("embed", 8))], starts=starts, stops=stops)
    x = b.op("add", x, rows, name="x")
    carry = Value(X, "x")
    inner = Build(carry, line=90)
    (y,) = inner.call(block_, carry, path=())
    inner.region.results = [y]
    (x,) = b.raw("repeat", [x], [X], ["x"], [inner.region], count=3, path=("blocks",))
    (x,) = b.call(norm, x, path=("layer_norm",))
    logits = b.op("einsum", x, table, name="logits", pattern="b s d, v d -> b s v")
    return function(name, b, [logits], weights, ["logits"], doc="A small GPT.", title="GPT")


def cross_entropy(b: Build, logits: Value, targets: Value) -> Value:
    log_probs = b.op("log_softmax", logits, over=(2,), name="log_probs")
    picked = b.op("take_along", log_probs, b.op("expand_dims", targets, at=2), along=2)
    return b.op("negate", b.op("mean", picked, over=(0, 1, 2), keep=False), name="loss")


def quick_loss(model: Function) -> Function:
    tokens, targets = Value(TOKENS, "tokens"), Value(TOKENS, "targets")
    b = Build(tokens, targets, line=120)
    (logits,) = b.call(model, tokens, path=(), names=["logits"])
    return function("quick_loss", b, [cross_entropy(b, logits, targets)], outputs=["loss"])


def quick_measure(model: Function) -> Function:
    tokens, targets = Value(TOKENS, "tokens"), Value(TOKENS, "targets")
    b = Build(tokens, targets, line=130)
    (logits,) = b.call(model, tokens, path=(), names=["logits"])
    loss = cross_entropy(b, logits, targets)
    best = b.op("argmax", logits, over=2)
    hits = b.op("cast", b.op("equal", best, targets), dtype=F32)
    accuracy = b.op("mean", hits, over=(0, 1), keep=False, name="accuracy")
    return function("quick_measure", b, [loss, accuracy], outputs=["loss", "accuracy"])


def quick_summarize() -> Function:
    loss, accuracy = Value(tensor(F32), "loss"), Value(tensor(F32), "accuracy")
    b = Build(loss, accuracy, line=140)
    perplexity = b.op("exp", loss, name="perplexity")
    return function("quick_summarize", b, [loss, perplexity, accuracy], outputs=["loss", "perplexity", "accuracy"])


def gpt() -> Module:
    norm = layer_norm()
    functions = [norm]
    for suffix, drop in (("", 0.0), ("_train", 0.1)):
        attention = self_attention(f"self_attention{suffix}", drop)
        block_ = block(f"block{suffix}", norm, attention, drop)
        functions += [attention, block_, gpt_model(f"gpt{suffix}", norm, block_)]
    by_name = {f.name: f for f in functions}
    functions += [quick_loss(by_name["gpt_train"]), quick_measure(by_name["gpt"]), quick_summarize()]
    return module(
        "quick", functions, apply="gpt", loss="quick_loss", measure="quick_measure", summarize="quick_summarize"
    )


WARMUP = Declared(
    "warmup_cosine",
    "optax:warmup_cosine_decay_schedule",
    (("init_value", 0.0), ("peak_value", 1e-3), ("warmup_steps", 100), ("decay_steps", 2000)),
)
ADAMW = Declared("adamw", "optax:adamw", (("learning_rate", WARMUP), ("weight_decay", 0.1)))
CLIP = Declared("clip_by_global_norm", "optax:clip_by_global_norm", (("max_norm", 1.0),))
RECIPE = EmitRecipe(Declared("chain", "optax:chain", (("", CLIP), ("", ADAMW))), accumulate=2)
