"""What ops say of operands that do not fit, and which names their results keep."""

from __future__ import annotations

import pytest

from trxc.dims import dim
from trxc.ir import Attribute
from trxc.ops import op
from trxc.ops.definition import Attributes, Instance, TypeFault
from trxc.types import BOOL, DTYPES, FLOAT, INT, DType, TensorType, axis

CONV: dict[str, Attribute] = {"stride": 1, "padding": "same", "dilation": 1, "groups": 1}
POOL: dict[str, Attribute] = {"window": 2, "stride": None, "padding": "valid"}


def tensor(text: str, dtype: DType = FLOAT) -> TensorType:
    """A type from `batch seq embed=384 3`: a name, a name and its size, or a size."""
    axes = [item.partition("=") for item in text.split()]
    return TensorType(dtype, tuple(_axis(name, size) for name, _, size in axes))


def _axis(name: str, size: str):
    return axis(int(name)) if name.isdigit() else axis(int(size), name) if size else axis(name)


def infer(name: str, *operands: TensorType, **attributes: Attribute) -> TensorType:
    (result,) = op(name).infer(Instance(operands, Attributes(attributes)))
    return result


def flops(name: str, *operands: TensorType, **attributes: Attribute) -> str:
    use = Instance(operands, Attributes(attributes))
    return str(op(name).flops(Instance(operands, use.attributes, op(name).infer(use))))


FAULTS = [
    ("matmul", ["b s embed=384", "in=512 out=4"], {}, "TRX0204", "`@` cannot contract embed=384 with in=512"),
    ("matmul", ["b s d=3", "d=4 out=4"], {}, "TRX0204", "dim `d` is 3 here and 4 there"),
    (
        "matmul",
        ["b s d", "c d e"],
        {},
        "TRX0204",
        "the batches of `@` do not line up: dims do not line up: b here and c there",
    ),
    ("matmul", ["b s d", ""], {}, "TRX0205", "`@` needs an axis on both sides"),
    ("einsum", ["b s d", "e h"], {"pattern": "b s d, d h -> b s h"}, "TRX0204", "`d` of the pattern is d and e"),
    (
        "einsum",
        ["b s d", "d h"],
        {"pattern": "b s, d h -> b s h"},
        "TRX0205",
        "`b s` names 2 axes of an operand of rank 3",
    ),
    ("einsum", ["b s d"], {"pattern": "b s d"}, "TRX0207", "an einsum pattern needs a `->`"),
    ("einsum", ["b s d"], {"pattern": "b s d, d e -> b"}, "TRX0207", "the pattern has 2 terms for 1 operand"),
    ("einsum", ["b s"], {"pattern": "b s -> b t"}, "TRX0207", "`t` is in the result of the pattern and in no operand"),
    ("einsum", ["b s"], {"pattern": "b s -> b b"}, "TRX0207", "`b` is twice in the result of the pattern"),
    ("einsum", ["b s"], {"pattern": "b (s t) -> b"}, "TRX0207", "`(s` is no name of an axis"),
    ("einsum", ["b s"], {"pattern": "b ... ... -> b ..."}, "TRX0207", "`...` is there twice in `b ... ...`"),
    (
        "einsum",
        ["b s"],
        {"pattern": "... s -> s"},
        "TRX0207",
        "`...` is in an operand of the pattern and not in its result",
    ),
    ("softmax", ["b s"], {"over": (2,)}, "TRX0208", "`softmax` has no axis 2 to go over"),
    ("sum", ["b s"], {"over": (1, 1), "keep": False}, "TRX0405", "`sum` names the axis s twice in `over`"),
    ("argmax", [""], {"over": 0}, "TRX0208", "`argmax` has no axis 0 to go over"),
    (
        "conv",
        ["b c", "3 c 4"],
        {},
        "TRX0205",
        "`conv` needs 1 to 3 spatial axes between batch and channels: [batch, spatial…, channels]",
    ),
    (
        "conv",
        ["b h w c", "3 c 4"],
        {},
        "TRX0205",
        "`conv` over 2 spatial axes needs a kernel of rank 4, [kernel…, in, out], not 3",
    ),
    ("conv", ["b w c=3", "3 c=4 8"], {}, "TRX0204", "the kernel of `conv` takes c=4 channels, and there are c=3"),
    (
        "conv",
        ["b w c=4", "3 2 3"],
        {"groups": 2},
        "TRX0405",
        "the 3 channels that `conv` gives cannot be parted into 2 groups",
    ),
    (
        "conv",
        ["b w=2 c", "3 c 8"],
        {"padding": "valid"},
        "TRX0204",
        "the window of `conv` reaches over 3 places, and w=2 has fewer",
    ),
    ("conv", ["b w c", "3 c 8"], {"padding": "full"}, "TRX0405", '`conv` knows no padding "full"'),
    ("conv", ["b w c", "3 c 8"], {"padding": -1}, "TRX0405", "`padding` of `conv` is -1, and must be at least 0"),
    ("conv", ["b w c", "3 c 8"], {"stride": (1, 2)}, "TRX0405", "`conv` has 2 values of `stride` for 1 spatial axes"),
    ("conv", ["b w c", "3 c 8"], {"stride": 0}, "TRX0405", "`stride` of `conv` is 0, and must be at least 1"),
    (
        "max_pool",
        ["b w=3 c"],
        {"window": 4},
        "TRX0204",
        "the window of `max_pool` reaches over 4 places, and w=3 has fewer",
    ),
    ("dropout", ["b"], {"rate": 1.0}, "TRX0405", "`rate` of `dropout` is 1.0, and must be from 0 to below 1"),
    (
        "random_uniform",
        [],
        {"shape": (), "low": 1, "high": 1},
        "TRX0405",
        "`random_uniform` has `low` = 1, which is not below `high` = 1",
    ),
]


@pytest.mark.parametrize(("name", "operands", "attributes", "code", "message"), FAULTS)
def test_fault(name: str, operands: list[str], attributes: dict[str, Attribute], code: str, message: str):
    defaults = CONV if name == "conv" else POOL if name == "max_pool" else {}
    with pytest.raises(TypeFault) as caught:
        infer(name, *map(tensor, operands), **(defaults | attributes))
    assert (caught.value.code, caught.value.message) == (code, message)


def test_a_clash_shows_both_places_and_the_mend():
    with pytest.raises(TypeFault) as caught:
        infer("matmul", tensor("b s embed=384"), tensor("vocab=512 embed=384"))
    assert caught.value.operand == 1
    assert caught.value.label == "is [vocab=512, embed=384]"
    assert caught.value.labels == ((0, "is [b, s, embed=384], of which the last is contracted"),)
    assert "einsum" in caught.value.helps[0]


def test_a_pattern_written_without_spaces_is_told_how():
    with pytest.raises(TypeFault) as caught:
        infer("einsum", tensor("b s d"), tensor("d e"), pattern="bsd, de -> bse")
    assert caught.value.helps == ('names stand apart by spaces: "b s e"',)
    with pytest.raises(TypeFault) as caught:
        infer("einsum", tensor("b s d"), tensor("d e"), pattern="bsd, de -> bsd")
    assert caught.value.helps == ('names stand apart by spaces: "b s d"',)


def test_names_of_an_einsum_come_from_the_first_operand_that_has_one():
    result = infer(
        "einsum", tensor("batch 5 embed=3"), tensor("seq=5 embed=3 heads=2"), pattern="b s d, s d h -> b s h"
    )
    assert str(result) == "float[batch, seq=5, heads=2]"


def test_a_spatial_axis_keeps_its_name_only_with_its_size():
    x, w = tensor("batch height width 3"), tensor("3 3 3 out=8")
    assert str(infer("conv", x, w, **CONV)) == "float[batch, height, width, out=8]"
    assert str(infer("conv", x, w, **CONV | {"padding": 1})) == "float[batch, height, width, out=8]"
    strided = infer("conv", x, w, **CONV | {"stride": (2, 1)})
    assert [a.name for a in strided.axes] == ["batch", None, "width", "out"]
    assert strided.axes[1].size == (dim("height") + 1) // 2
    valid = infer("conv", x, w, **CONV | {"padding": "valid"})
    assert valid.axes[1].size == dim("height") - 2


def test_kernels_strides_and_groups_may_be_unknown():
    x, w = tensor("batch width channels"), tensor("kernel one=1 channels")
    unknown: dict[str, Attribute] = {"stride": dim("step"), "groups": dim("channels"), "padding": "valid"}
    result = infer("conv", x, w, **CONV | unknown)
    assert result.axes[1].size == (dim("width") - dim("kernel")) // dim("step") + 1


def test_a_transposed_convolution_undoes_the_sizes_of_a_strided_one():
    x, w = tensor("batch width 3"), tensor("4 3 8")
    longer = infer("conv_transpose", x, w, stride=2, padding=1, dilation=1)
    assert longer.axes[1].size == dim("width") * 2


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [("sum", BOOL, INT), ("sum", DTYPES["u8"], INT), ("sum", DTYPES["i64"], DTYPES["i64"]), ("mean", BOOL, FLOAT)],
)
def test_dtype_of_a_reduction(name: str, given: DType, expected: DType):
    assert infer(name, tensor("b s", given), over=(1,), keep=False).dtype == expected


def test_flops_count_multiplications_and_additions():
    assert flops("matmul", tensor("b s d"), tensor("d 4")) == "8 * b * d * s"
    assert flops("einsum", tensor("b d"), tensor("d h e"), pattern="b d, d h e -> b h e") == "2 * b * d * e * h"
    assert flops("conv", tensor("b 8 4"), tensor("3 2 6"), **CONV | {"groups": 2}) == str(dim("b") * 8 * 6 * 3 * 2 * 2)


def test_a_product_with_a_weight_is_written_over_collapsed_dims():
    class Scope:
        def prelude(self, name: str) -> str:
            return name

    def text(pattern: str, *operands: str) -> str:
        use = Instance(tuple(map(tensor, operands)), Attributes(pattern=pattern))
        return op("einsum").emit(use, ["x", "w"], Scope())

    assert text("b s d, d h e -> b s h e", "b s d", "d h e") == "contract(x, w)"
    assert text("b s h e, h e d -> b s d", "b s h e", "h e d") == "contract(x, w, axes=2)"
    assert text("b s d, d e -> b s e", "b s d", "d e") == "linear(x, w)"
    assert text("b s d, v d -> b s v", "b s d", "v d") == "linear(x, w.T)"
    assert text("d e, b s d -> b s e", "d e", "b s d") == "linear(w, x)"
    assert text("b s d, d h e -> b h s e", "b s d", "d h e") == "jnp.transpose(contract(x, w), (0, 2, 1, 3))"
    assert text("b s h e, b t h e -> b h s t", "b s h e", "b t h e") == 'jnp.einsum("bshe,bthe->bhst", x, w)'
    assert text("batch seq, seq sigma -> batch sigma", "b s", "s t") == 'jnp.einsum("bs,si->bi", x, w)'
