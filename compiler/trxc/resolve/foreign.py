"""What other libraries call things: a help for each name that PyTorch, Keras, Flax or NumPy has, and this language not.

Names are folded: letters only, and small. Those that differ in nothing else (`ReLU`, `Conv2D`) are found as misspelt.
"""

from __future__ import annotations

_POOLED = "the mean over all places is `global_avg_pool`, the largest `global_max_pool`"
_MASKED = "`where(mask, x, -inf)` has another number where a mask does not hold"
_TRIANGLE = "`causal_mask(queries, keys)` of `std.attention` is the lower triangle, `iota(n)` what others are made of"
_DRAWN = "`random_normal` and `random_uniform` draw numbers; weights begin as `param w: float[n] = normal(0.02)` says"

ELSEWHERE: dict[str, str] = {
    "linear": "a layer with a matrix of weights is `Dense(out)`",
    "fullyconnected": "a layer with a matrix of weights is `Dense(out)`",
    "sequential": "layers are composed as `f >> g`, a list of them by `serial`",
    "modulelist": "`repeat(n, layer)` has layers of their own weights, a list is `[layer, …]`",
    "multiheadattention": "it is `SelfAttention(heads)`, or `CrossAttention(heads, memory)`",
    "attention": "it is `SelfAttention(heads)`, or `CrossAttention(heads, memory)`",
    "scaleddotproductattention": "written out, `softmax(einsum(…), over = keys)` becomes one op by itself",
    "transformerencoderlayer": "it is `EncoderBlock(heads)`",
    "transformerdecoderlayer": "it is `DecoderBlock(heads, memory)`",
    "transformerencoder": "it is `repeat(layers, EncoderBlock(heads))`",
    "transformerdecoder": "it is `repeat(layers, DecoderBlock(heads, memory))`",
    "mlp": "`Dense(hidden) >> relu >> Dense(out)` is one, `FeedForward(hidden)` that of Transformers",
    "rnn": "`SimpleRNN`, `GRU` and `LSTM` are there, and `recur(Cell, over = seq)` makes one of any cell",
    "positionalencoding": "`Positions(context)` learns one, `Sinusoids` computes one, `Rotary` turns queries and keys",
    "adaptiveavgpool": _POOLED,
    "globalaveragepooling": _POOLED,
    "adaptivemaxpool": _POOLED,
    "globalmaxpooling": _POOLED,
    "batchnormalization": "it is `BatchNorm`",
    "layernormalization": "it is `LayerNorm`",
    "norm": "the layers are `LayerNorm` and `RMSNorm`; a vector's length is `sqrt(sum(x * x, over = -1))`",
    "normalize": "the layers are `LayerNorm` and `RMSNorm`; `unit_length(x)` makes vectors of length 1",
    "cat": "it is `concat([x, y], along = -1)`",
    "concatenate": "it is `concat([x, y], along = -1)`",
    "permute": "it is `transpose(x, order)`, or with names `rearrange(x, \"b s d -> s b d\")`",
    "movedim": "it is `transpose(x, order)`, or with names `rearrange(x, \"b s d -> s b d\")`",
    "view": "it is `reshape(x, [batch, seq * embed])`, or with names `rearrange(x, \"b s d -> b (s d)\")`",
    "unsqueeze": "it is `x[:, none]`, or `expand_dims(x, 1)`",
    "expand": "it is `broadcast(x, [batch, seq, embed])`",
    "chunk": "it is `split(x, parts)`",
    "arange": "the numbers from 0 on are `iota(n)`",
    "zeroslike": "a number is broadcast: `0.0 * x`, or `full([batch, n], 0.0)`",
    "oneslike": "a number is broadcast: `0.0 * x + 1.0`, or `full([batch, n], 1.0)`",
    "randn": _DRAWN,
    "rand": _DRAWN,
    "randnlike": _DRAWN,
    "randlike": _DRAWN,
    "maskedfill": _MASKED,
    "tril": _TRIANGLE,
    "triu": _TRIANGLE,
    "bmm": "a product of matrices, one for each of the batch as well, is `x @ y`",
    "mm": "a product of matrices is `x @ y`",
    "dot": "a product of matrices is `x @ y`, a sum of products `einsum`",
    "pow": "it is `x ^ 2`, or `power(x, 2)`",
    "crossentropyloss": "it is `cross_entropy(logits, targets)`",
    "nllloss": "it is `cross_entropy(logits, targets)`, which takes logits",
    "bceloss": "it is `binary_cross_entropy(logits, targets)`, which takes logits",
    "bcewithlogitsloss": "it is `binary_cross_entropy(logits, targets)`",
    "sparsecategoricalcrossentropy": "it is `cross_entropy(logits, targets)`",
    "categoricalcrossentropy": "it is `soft_cross_entropy(logits, probabilities)`",
    "mseloss": "it is `mse(predictions, targets)`",
    "meansquarederror": "it is `mse(predictions, targets)`",
    "lloss": "it is `mae(predictions, targets)`",
    "meanabsoluteerror": "it is `mae(predictions, targets)`",
    "kldiv": "it is `kl_divergence(log_p, log_q)`",
}  # fmt: skip
"""By a folded name, what is to be written here."""


def elsewhere(name: str) -> tuple[str, ...]:
    """The help for a name from another library; nothing for any other."""
    found = ELSEWHERE.get("".join(filter(str.isalpha, name.removesuffix("2d").removesuffix("2D"))).lower())
    return (found,) if found else ()
