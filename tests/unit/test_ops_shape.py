"""Inference, names and faults of the ops that move data: shape, indexing, ordering and einops patterns."""

from __future__ import annotations

import numpy as np
import pytest

from trxc.dims import Dim, Facts, dim
from trxc.ops import indexing, joining, ordering, patterns, shape
from trxc.ops.definition import Attributes, Instance, OpDefinition, TypeFault
from trxc.ops.pattern_text import PatternFault, parse_pattern
from trxc.types import BOOL, FLOAT, INT, Axis, TensorType, axis

FAMILIES = (joining, shape, indexing, ordering, patterns)
TABLE: dict[str, OpDefinition] = {op.name: op for family in FAMILIES for op in family.OPS}

EMBED = Axis(dim(384), "embed")
X = TensorType(FLOAT, (axis("batch"), axis("seq"), EMBED))


def tensor(*axes: int | str | Axis | Dim, dtype=FLOAT) -> TensorType:
    return TensorType(dtype, tuple(a if isinstance(a, Axis) else axis(a) for a in axes))


def size(of: int | str | Dim, name: str | None = None):
    return (dim(of), name)


def sizes(*of):
    return tuple(pair if isinstance(pair, tuple) else size(pair) for pair in of)


def letters(**of):
    return tuple((letter, pair if isinstance(pair, tuple) else size(pair)) for letter, pair in of.items())


def infer(op: str, *operands: TensorType, facts: Facts | None = None, **attributes):
    return TABLE[op].infer(Instance(operands, Attributes(attributes), facts=facts or Facts()))


def one(op: str, *operands: TensorType, facts: Facts | None = None, **attributes) -> str:
    (result,) = infer(op, *operands, facts=facts, **attributes)
    return str(result)


def fault(op: str, *operands: TensorType, facts: Facts | None = None, **attributes) -> TypeFault:
    with pytest.raises(TypeFault) as caught:
        infer(op, *operands, facts=facts, **attributes)
    return caught.value


def emitted(op: str, *operands: TensorType, facts: Facts | None = None, **attributes) -> str:
    use = Instance(operands, Attributes(attributes), facts=facts or Facts())
    use = Instance(operands, use.attributes, TABLE[op].infer(use), use.facts)
    return TABLE[op].emit(use, [f"x{at}" for at in range(len(operands))], Names())


class Names:
    def size(self, size: Dim) -> str:
        return str(size)

    def dtype(self, dtype) -> str:
        return f"jnp.{dtype}"


class Concrete:
    def size(self, size: Dim) -> int:
        return size.evaluate({})

    def dtype(self, dtype):
        return np.dtype({"float": "f8", "int": "i8", "bool": "?"}[dtype.kind])


EXAMPLES = [(op, at) for op in TABLE.values() for at in range(len(op.examples))]


@pytest.mark.parametrize(("op", "at"), EXAMPLES, ids=lambda v: v.name if isinstance(v, OpDefinition) else str(v))
def test_inference_agrees_with_the_reference(op: OpDefinition, at: int) -> None:
    example = op.examples[at]
    zeros = [np.zeros(s.shape) if s.values is None else s.values for s in example.operands]
    arrays = [np.asarray(z, Concrete().dtype(_kind(s))) for z, s in zip(zeros, example.operands, strict=True)]
    types = tuple(tensor(*a.shape, dtype=_kind(s)) for a, s in zip(arrays, example.operands, strict=True))
    use = Instance(types, Attributes(example.attributes))
    use = Instance(types, use.attributes, op.infer(use))
    results = op.reference(use, arrays, Concrete())
    results = results if isinstance(results, tuple) else (results,)
    assert [r.shape for r in results] == [tuple(s.value for s in t.sizes) for t in use.results]
    assert [r.dtype for r in results] == [Concrete().dtype(t.dtype) for t in use.results]


def _kind(sample):
    return {"float": FLOAT, "int": INT, "bool": BOOL}[sample.dtype]


def test_concat_adds_sizes_and_drops_the_name_that_no_longer_fits() -> None:
    assert one("concat", X, X, along=2) == "float[batch, seq, 768]"
    assert one("concat", X, along=2) == "float[batch, seq, embed=384]"
    assert one("concat", tensor("n", 3), tensor(5, Axis(dim(3), "c")), along=0) == "float[n + 5, c=3]"
    shifted = tensor("batch", dim("seq") - 1)
    assert one("concat", tensor("batch", 1), shifted, along=1) == "float[batch, seq]"
    assert one("concat", tensor(2, dtype=INT), tensor(2), along=0) == "float[4]"


def test_concat_shows_both_operands_that_differ() -> None:
    wrong = fault("concat", X, tensor("batch", "seq", 384), tensor("batch", "keys", EMBED), along=2)
    assert (wrong.code, wrong.operand, wrong.label) == ("TRX0204", 2, "is [batch, keys, embed=384]")
    assert wrong.labels == ((0, "is [batch, seq, embed=384]"),)
    assert wrong.message == "dims do not line up: seq here and keys there"
    assert wrong.helps == ("`concat` joins tensors that agree in all dims but dim `embed`",)
    other = fault("concat", X, tensor("batch", "seq", Axis(dim(512), "embed")), along=1)
    assert other.message == "dim `embed` is 384 here and 512 there"
    assert fault("concat", X, tensor("batch"), along=0).code == "TRX0205"
    assert fault("concat", along=0).code == "TRX0205"


def test_stack_makes_an_axis_of_the_result() -> None:
    assert one("stack", X, X, along=-1) == "float[batch, seq, embed=384, 2]"
    assert one("stack", X, X, X, along=1) == "float[batch, 3, seq, embed=384]"
    assert fault("stack", X, X, along=4).code == "TRX0208"
    assert fault("stack", X, tensor("batch", "seq", 383), along=0).code == "TRX0204"


def test_split_divides_or_says_what_it_needs() -> None:
    gates = tensor("batch", dim("hidden") * 4)
    assert [str(t) for t in infer("split", gates, parts=4, along=1)] == ["float[batch, hidden]"] * 4
    known = fault("split", X, parts=5, along=2)
    assert (known.code, known.constraint) == ("TRX0210", None)
    assert known.message == "`split` into 5 equal parts: dim `embed` is 384, which 5 does not divide"
    unknown = fault("split", X, parts=2, along=1)
    assert unknown.message.endswith("dim `seq` is of unknown size, not known to be a multiple of 2")
    assert (unknown.code, unknown.constraint) == ("TRX0210", (dim("seq"), dim(2)))
    assert unknown.helps == ("`require seq % 2 == 0`",)
    facts = Facts()
    facts.assume_multiple(dim("seq"), dim(2))
    assert infer("split", X, facts=facts, parts=2, along=1)[0].sizes[1] * 2 == dim("seq")
    assert fault("split", X, parts=0, along=2).code == "TRX0405"
    assert fault("split", X, parts=10**9, along=2).code == "TRX0405"


def test_size_one_axes_come_and_go() -> None:
    assert one("expand_dims", X, at=-1) == "float[batch, seq, embed=384, 1]"
    assert one("expand_dims", X, at=1) == "float[batch, 1, seq, embed=384]"
    assert fault("expand_dims", X, at=-5).code == "TRX0208"
    assert one("squeeze", tensor("batch", 1, 3, 1), over=(1, 3)) == "float[batch, 3]"
    wrong = fault("squeeze", X, over=(1,))
    assert (wrong.code, wrong.message) == (
        "TRX0204",
        "`squeeze` takes away dims of size 1: dim `seq` is of unknown size",
    )


def test_pad_grows_what_it_pads() -> None:
    assert one("pad", X, before=(0, 1, 0), after=(0, 0, 2), value=0) == "float[batch, seq + 1, 386]"
    assert one("pad", tensor(2, 3), before=(1,), after=(0,), value=0) == "float[3, 4]"
    assert fault("pad", X, before=(1, 2), after=(0,), value=0).code == "TRX0405"
    assert fault("pad", X, before=(-1,), after=(0,), value=0).code == "TRX0405"
    assert fault("pad", tensor(2, dtype=INT), before=(1,), after=(0,), value=0.5).code == "TRX0206"
    assert fault("pad", tensor(2, dtype=INT), before=(1,), after=(0,), value=float("-inf")).code == "TRX0206"
    text = emitted("pad", tensor("n"), before=(1,), after=(0,), value=float("-inf"))
    assert text == "jnp.pad(x0, [(1, 0)], constant_values=-jnp.inf)"


def test_reshape_counts_elements_symbolically() -> None:
    split = sizes(size("batch", "batch"), size("seq", "seq"), size(6, "heads"), -1)
    assert one("reshape", X, sizes=split) == "float[batch, seq, heads=6, 64]"
    assert one("reshape", X, sizes=sizes(-1, size(384, "embed"))) == "float[batch * seq, embed=384]"
    assert one("reshape", tensor("batch", dim("seq") * 4), sizes=sizes("batch", -1, 4)) == "float[batch, seq, 4]"
    assert one("reshape", tensor(2, 3), sizes=sizes(-1)) == "float[6]"


def test_reshape_says_both_counts() -> None:
    wrong = fault("reshape", tensor(2, Axis(dim(6), "c")), sizes=sizes(5, 2))
    assert wrong.code == "TRX0211"
    assert wrong.message == "`reshape` keeps all elements: [2, c=6] has 12, [5, 2] has 10"
    assert fault("reshape", tensor(2, 6), sizes=sizes(-1, 5)).code == "TRX0210"
    unknown = fault("reshape", tensor("n"), sizes=sizes(-1, 5))
    assert unknown.constraint == (dim("n"), dim(5))
    assert fault("reshape", X, sizes=sizes(-1, -1)).code == "TRX0405"
    assert fault("reshape", X, sizes=sizes(-2)).code == "TRX0405"
    assert fault("reshape", X, sizes=sizes(-1, 0)).code == "TRX0405"


def test_flatten_joins_a_run() -> None:
    assert one("flatten", X, first=0, last=1) == "float[batch * seq, embed=384]"
    assert one("flatten", X, first=2, last=2) == "float[batch, seq, embed=384]"
    assert fault("flatten", X, first=2, last=1).code == "TRX0405"


def test_broadcast_aligns_on_the_right() -> None:
    assert one("broadcast", tensor(EMBED), sizes=sizes(size("batch", "batch"), 384)) == "float[batch, embed=384]"
    assert one("broadcast", tensor(), sizes=sizes(size(3, "n"))) == "float[n=3]"
    assert fault("broadcast", tensor(EMBED), sizes=sizes(2, 512)).code == "TRX0204"
    assert fault("broadcast", X, sizes=sizes(384)).code == "TRX0205"


def cut(*ranges):
    return {
        "starts": tuple(size(start) for start, _ in ranges),
        "stops": tuple(stop if isinstance(stop, tuple) else size(stop) for _, stop in ranges),
    }


WHOLE = [(0, "batch"), (0, "seq"), (0, 384)]


def test_slices_keep_whole_dims_and_take_the_name_of_their_stop() -> None:
    assert one("slice", X, **cut(*WHOLE)) == str(X)
    assert one("slice", X, **cut((0, "batch"), (1, "seq"), (0, size(64, "head")))) == "float[batch, seq - 1, head=64]"
    assert one("slice", X, **cut((0, "batch"), (0, -1), (-2, 384))) == "float[batch, seq - 1, 2]"
    assert emitted("slice", X, **cut((0, "batch"), (1, "seq"), (0, 384))) == "x0[:, 1:]"
    assert emitted("slice", X, **cut((0, "batch"), (0, -1), (0, 384))) == "x0[:, :-1]"
    assert emitted("slice", X, **cut(*WHOLE)) == "x0"


def test_slices_stay_inside() -> None:
    assert fault("slice", tensor(4), **cut((0, 5))).message == "the slice `:5` reaches past dim 0, which is 4"
    backward = fault("slice", tensor(4), **cut((3, 2)))
    assert backward.message == "the slice `3:2` ends before it starts in dim 0, which is 4"
    assert fault("slice", tensor(4), **cut((-5, 4))).code == "TRX0209"
    assert fault("slice", X, **cut(*WHOLE[:2])).code == "TRX0205"
    table = tensor(Axis(dim(256), "context"), 8)
    unknown = fault("slice", table, **cut((0, size("seq", "seq")), (0, 8)))
    assert (unknown.code, unknown.helps) == ("TRX0209", ("`require seq <= 256`",))
    facts = Facts()
    facts.assume_nonnegative(dim(256) - dim("seq"))
    assert one("slice", table, facts=facts, **cut((0, size("seq", "seq")), (0, 8))) == "float[seq, 8]"
    assert one("slice", X, **cut((0, "batch"), (0, dim("seq") // 2), (0, 384))) == "float[batch, (seq // 2), embed=384]"


def test_an_index_removes_its_dim() -> None:
    assert one("take_index", X, index=size(-1), along=1) == "float[batch, embed=384]"
    assert emitted("take_index", X, index=size(-1), along=1) == "x0[:, -1]"
    assert emitted("take_index", X, index=size(3), along=2) == "x0[:, :, 3]"
    past = fault("take_index", X, index=size(384), along=2)
    assert past.message == "the index `384` reaches past dim `embed`, which is 384"
    assert fault("take_index", X, index=size(-385), along=2).code == "TRX0209"
    assert fault("take_index", X, index=size(2), along=1).helps == ("`require 3 <= seq`",)


def test_gather_puts_the_axes_of_the_indices_where_it_looks() -> None:
    tokens = tensor("batch", "seq", dtype=INT)
    table = tensor(Axis(dim(256), "vocab"), EMBED)
    assert one("gather", table, tokens, along=0) == "float[batch, seq, embed=384]"
    assert one("gather", table, tokens, along=1) == "float[vocab=256, batch, seq]"
    assert "one_hot" not in emitted("gather", table, tokens, along=0)


def test_take_along_needs_equal_ranks_and_rests() -> None:
    logits = tensor("batch", Axis(dim(256), "vocab"))
    assert one("take_along", logits, tensor("batch", 1, dtype=INT), along=1) == "float[batch, 1]"
    assert one("take_along", logits, tensor(1, 3, dtype=INT), along=1) == "float[batch, 3]"
    assert fault("take_along", logits, tensor("batch", dtype=INT), along=1).code == "TRX0205"
    wrong = fault("take_along", logits, tensor("seq", 1, dtype=INT), along=1)
    assert (wrong.code, wrong.labels) == ("TRX0204", ((0, "is [batch, vocab=256]"),))


def test_scatter_add_wants_one_update_an_index() -> None:
    x, where = tensor(8, EMBED), tensor("n", dtype=INT)
    assert one("scatter_add", x, where, tensor("n", EMBED)) == "float[8, embed=384]"
    wrong = fault("scatter_add", x, where, tensor("n", 3))
    assert (wrong.code, wrong.operand, len(wrong.labels)) == ("TRX0204", 2, 2)
    assert fault("scatter_add", x, where, tensor("n")).code == "TRX0205"
    assert fault("scatter_add", tensor(8, dtype=INT), where, tensor("n")).code == "TRX0206"
    assert fault("scatter_add", tensor(), where, tensor("n")).code == "TRX0205"


def test_one_hot_and_iota_name_what_they_make() -> None:
    assert one("one_hot", tensor("batch", dtype=INT), size=size(10, "classes"), dtype=BOOL) == "bool[batch, classes=10]"
    assert one("iota", n=size("seq")) == "int[seq]"
    assert one("iota", n=size(7, "keys")) == "int[keys=7]"
    assert fault("iota", n=size(-1)).code == "TRX0405"


def test_order_of_dims() -> None:
    assert one("transpose", X, order=(2, 0, 1)) == "float[embed=384, batch, seq]"
    assert one("swap", X, first=1, second=2) == "float[batch, embed=384, seq]"
    assert "leaves out dim `embed`" in fault("transpose", X, order=(0, 1)).message
    assert "twice" in fault("transpose", X, order=(0, 1, 2, 1)).message


def test_order_of_elements_keeps_the_type() -> None:
    for op, attributes in {"reverse": {"over": (1,)}, "roll": {"shift": 1, "over": 1}}.items():
        assert one(op, X, **attributes) == str(X)
    assert one("sort", X, over=2, descending=True) == str(X)
    assert one("argsort", X, over=2, descending=True) == "int[batch, seq, embed=384]"


def test_top_k_gives_values_and_places() -> None:
    values, places = infer("top_k", X, k=size(2, "chosen"), over=2)
    assert (str(values), str(places)) == ("float[batch, seq, chosen=2]", "int[batch, seq, chosen=2]")
    assert fault("top_k", X, k=size(385), over=2).code == "TRX0209"
    assert fault("top_k", X, k=size(3), over=1).helps == ("`require 3 <= seq`",)
    assert fault("top_k", X, k=size(0), over=2).code == "TRX0405"
    assert emitted("top_k", X, k=size(1), over=1) == "jax.lax.top_k(x0, 1, axis=1)"


def test_equal_elements_stay_in_order() -> None:
    use = Instance((tensor(4, dtype=INT),), Attributes({"over": 0, "descending": True}))
    assert TABLE["argsort"].reference(use, [np.array([1, 3, 1, 3])], Concrete()).tolist() == [1, 3, 0, 2]


def rearranged(pattern: str, x: TensorType = X, facts: Facts | None = None, **of) -> str:
    return one("rearrange", x, facts=facts, pattern=pattern, sizes=letters(**of))


def test_patterns_carry_names() -> None:
    assert rearranged("b s (h d) -> b h s d", h=size(6, "heads")) == "float[batch, heads=6, seq, 64]"
    assert rearranged("b s d -> (b s) d") == "float[batch * seq, embed=384]"
    assert rearranged("b s (h d) -> s b (h d)", h=6) == "float[seq, batch, embed=384]"
    assert rearranged("... d -> d ...") == "float[embed=384, batch, seq]"
    assert rearranged("... d -> (... d)") == "float[384 * batch * seq]"
    assert rearranged("b s d -> b 1 s () d") == "float[batch, 1, seq, 1, embed=384]"


def test_patterns_divide_symbolically() -> None:
    blocks = tensor("batch", dim("hidden") * 4)
    assert rearranged("b (g h) -> g b h", blocks, g=4) == "float[4, batch, hidden]"
    heads = tensor("batch", "embed")
    unknown = fault("rearrange", heads, pattern="b (h d) -> b h d", sizes=letters(h=size("heads", "heads")))
    assert (unknown.code, unknown.constraint) == ("TRX0210", (dim("embed"), dim("heads")))
    assert unknown.helps == ("`require embed % heads == 0`",)
    facts = Facts()
    facts.assume_multiple(dim("embed"), dim("heads"))
    assert rearranged("b (h d) -> b h d", heads, facts, h=size("heads")) == "float[batch, heads, embed / heads]"


def test_reduce_and_repeat() -> None:
    image = tensor("batch", 8, 8, Axis(dim(3), "c"))
    assert one("reduce", image, pattern="b h w c -> b c", by="mean", sizes=()) == "float[batch, c=3]"
    pooled = one("reduce", image, pattern="b (h p) (w q) c -> b h w c", by="max", sizes=letters(p=2, q=4))
    assert pooled == "float[batch, 4, 2, c=3]"
    assert one("repeat_axis", X, pattern="b s d -> b n s d", sizes=letters(n=size(3, "n"))) == (
        "float[batch, n=3, seq, embed=384]"
    )
    assert one("repeat_axis", X, pattern="b s d -> (b n) s d", sizes=letters(n=3)) == "float[3 * batch, seq, embed=384]"
    assert fault("reduce", image, pattern="b h w c -> b", by="median", sizes=()).code == "TRX0405"
    assert fault("reduce", tensor(2, dtype=INT), pattern="b ->", by="mean", sizes=()).code == "TRX0206"


@pytest.mark.parametrize(
    ("op", "pattern", "given", "column", "said"),
    [
        ("rearrange", "b s d", {}, 1, "one `->`, not 0"),
        ("rearrange", "b -> s -> d", {}, 8, "one `->`, not 2"),
        ("rearrange", "b s b -> b s", {}, 5, "`b` is twice on this side"),
        ("rearrange", "b (s d -> b s d", {}, 3, "this `(` is not closed"),
        ("rearrange", "b s d) -> b s d", {}, 6, "this `)` closes nothing"),
        ("rearrange", "b s (h (d e)) -> b s", {}, 8, "parentheses do not nest"),
        ("rearrange", "b s 2 -> b s 2", {}, 5, "the only number in a pattern is 1"),
        ("rearrange", "b s d* -> b s d", {}, 6, "`*` is not a letter"),
        ("rearrange", "b s d -> b s", {}, 5, "`d` is only on the left of `rearrange`"),
        ("rearrange", "b s d -> b s d n", {}, 16, "`n` is only on the right of `rearrange`"),
        ("repeat_axis", "b s d -> b s d n", {}, 16, "`n` is only on the right of `repeat_axis`"),
        ("rearrange", "b s (h d) -> b s h d", {}, 6, "`h` and `d` share dim `embed`"),
        ("rearrange", "b s (h d) -> b s h d", {"h": 5}, 5, "which does not divide it"),
        ("rearrange", "b s (h d) -> b s h d", {"h": 6, "d": 65}, 5, "`(h d)` is 390, but dim `embed` is 384"),
        ("rearrange", "b s d -> s b d", {"d": 3}, 5, "`d` is 3, but dim `embed` is 384"),
        ("rearrange", "b s 1 -> b s", {}, 5, "`1` is 1, but dim `embed` is 384"),
        ("rearrange", "b s d -> s b d", {"k": 3}, 1, "`k = 3` is not a letter of it"),
        ("rearrange", "(... d) -> d ...", {}, 1, "`...` shares a dim only on the right"),
        ("rearrange", "b ... -> b", {}, 3, "`...` is only on the left"),
    ],
)
def test_pattern_faults_point_into_the_pattern(op: str, pattern: str, given: dict, column: int, said: str) -> None:
    wrong = fault(op, X, pattern=pattern, sizes=letters(**given))
    assert isinstance(wrong, PatternFault)
    assert (wrong.code, wrong.start + 1) == ("TRX0207", column)
    assert said in wrong.message
    assert f"in the pattern `{pattern}`, at column {column}: " in wrong.message


def test_a_pattern_must_have_the_rank() -> None:
    wrong = fault("rearrange", X, pattern="b s -> s b", sizes=())
    assert wrong.code == "TRX0205"
    assert wrong.message == "the pattern `b s -> s b` is of 2 dims, but [batch, seq, embed=384] has 3"
    assert fault("rearrange", tensor(2), pattern="a b ... -> b a ...", sizes=()).code == "TRX0205"
    assert fault("rearrange", X, pattern="b s (h d) -> b s h d", sizes=letters(h=0)).code == "TRX0405"


def test_patterns_are_bounded() -> None:
    with pytest.raises(TypeFault):
        parse_pattern("a " * 1000 + "->")


def test_emission_leaves_out_steps_that_change_nothing() -> None:
    assert emitted("rearrange", X, pattern="b s d -> b s d", sizes=()) == "x0"
    assert emitted("rearrange", X, pattern="b s d -> b d s", sizes=()) == "x0.transpose(0, 2, 1)"
    text = emitted("rearrange", X, pattern="b s (h d) -> b h s d", sizes=letters(h=6))
    assert text == "x0.reshape(batch, seq, 6, 64).transpose(0, 2, 1, 3)"
    assert emitted("reduce", X, pattern="b s d -> b d", by="mean", sizes=()) == "jnp.mean(x0, axis=1)"
    text = emitted("repeat_axis", tensor(), pattern="-> n", sizes=letters(n=2))
    assert text == "jnp.broadcast_to(jnp.reshape(x0, (1,)), (2,))"


def test_moving_data_costs_nothing() -> None:
    free = set(TABLE) - {"reduce", "scatter_add"}
    for name in free:
        assert TABLE[name].flops(Instance((X,), Attributes(), (X,))) == dim(0)
    pattern = Attributes({"pattern": "b s d -> b", "by": "sum", "sizes": ()})
    assert TABLE["reduce"].flops(Instance((X,), pattern, (X,))) == X.elements
