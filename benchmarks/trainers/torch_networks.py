"""The models of the workloads as PyTorch's users would write them, with the weights of trxc.

A network gives the loss of a batch. Weights that trxc lays out for `x @ w` are transposed for `nn.Linear`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from .base import Array
from .weights import Weights, sinusoids


class MLP(nn.Module):
    """W1."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        first, second, third = (dense(part) for part in weights.parts("dense"))
        self.layers = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), third)

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """The loss."""
        return functional.cross_entropy(self.layers(batch["image"]), batch["label"])


class BasicBlock(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        convs = list(weights.parts("conv"))
        norms = [batch_norm(part) for part in weights.parts("batch_norm")]
        stride = 2 if len(convs) == 3 else 1
        self.conv1, self.conv2 = conv(convs[0], stride), conv(convs[1])
        self.norm1, self.norm2 = norms[:2]
        self.shortcut = nn.Sequential(conv(convs[2], stride), norms[2]) if stride == 2 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """`[batch, channels, height, width]`."""
        y = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class ResNet(nn.Module):
    """W2, in channels-last layout."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        stem = (conv(weights.part("conv")), batch_norm(weights.part("batch_norm")), nn.ReLU())
        self.features = nn.Sequential(*stem, *(BasicBlock(part) for part in weights.parts("basic")))
        self.head = dense(weights.part("dense"))
        self.to(memory_format=torch.channels_last)

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """The loss."""
        image = batch["image"].permute(0, 3, 1, 2)  # of [batch, height, width, channels]: channels last already
        return functional.cross_entropy(self.head(self.features(image).mean(dim=(2, 3))), batch["label"])


class LanguageModel(nn.Module):
    """W3."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.embedding = embedding(weights.part("embedding"))
        cells = [part.part("lstm_cell") for part in weights.parts("lstm")]
        self.lstm = nn.LSTM(cells[0]["w"].shape[0], cells[0]["u"].shape[0], len(cells), batch_first=True)
        with torch.no_grad():
            for number, cell in enumerate(cells):
                set_cell(self.lstm, number, cell)
        self.head = dense(weights.part("dense"))

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """The loss."""
        hidden, _ = self.lstm(self.embedding(batch["tokens"]))
        return token_loss(self.head(hidden), batch["targets"])


class SelfAttention(nn.Module):
    """Queries, keys and values from one product."""

    def __init__(self, weights: Weights, *, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = weights["wq"].shape[1], causal
        self.qkv, self.out = projection(weights, "qkv"), output(weights)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """`[batch, seq, embed]`; `mask: bool[batch, 1, 1, seq]`."""
        q, k, v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=2))
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=self.causal)
        return self.out(mixed.transpose(1, 2).flatten(2))


class CrossAttention(nn.Module):
    """Keys and values from one product."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.heads = weights["wq"].shape[1]
        self.q, self.kv, self.out = projection(weights, "q"), projection(weights, "kv"), output(weights)

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        """`[batch, seq, embed]` and `[batch, keys, embed]`; `mask: bool[batch, 1, 1, keys]`."""
        parts = (self.q(x), *self.kv(memory).chunk(2, dim=2))
        q, k, v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in parts)
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out(mixed.transpose(1, 2).flatten(2))


class EncoderBlock(nn.Module):
    """Self-attention and a feed-forward layer."""

    def __init__(self, weights: Weights, *, causal: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = (layer_norm(part) for part in weights.parts("layer_norm"))
        self.attention = SelfAttention(weights.part("attention"), causal=causal)
        self.feed_forward = feed_forward(weights)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """`[batch, seq, embed]`."""
        x = x + self.attention(self.norm1(x), mask)
        return x + self.feed_forward(self.norm2(x))


class DecoderBlock(nn.Module):
    """Self-attention, attention to the memory, and a feed-forward layer."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (layer_norm(part) for part in weights.parts("layer_norm"))
        self.attention = SelfAttention(weights.part("attention"), causal=True)
        self.cross = CrossAttention(weights.part("cross"))
        self.feed_forward = feed_forward(weights)

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        """`[batch, seq, embed]`."""
        x = x + self.attention(self.norm1(x))
        x = x + self.cross(self.norm2(x), memory, mask)
        return x + self.feed_forward(self.norm3(x))


class GPT(nn.Module):
    """W4 and W5."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.table, self.positions = embedding(weights.part("table")), embedding(weights.part("positions"))
        self.blocks = nn.ModuleList(EncoderBlock(part, causal=True) for part in weights.layers("encoder_blocks"))
        self.norm = layer_norm(weights.part("layer_norm"))

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """The loss."""
        tokens = batch["tokens"]
        x = self.table(tokens) + self.positions.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return token_loss(functional.linear(self.norm(x), self.table.weight), batch["targets"])


class Head(nn.Module):
    """W6."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.head = linear(weights["dense.w"], None)

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """The loss."""
        return token_loss(self.head(batch["x"]), batch["targets"])


class Translator(nn.Module):
    """W8."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.source, self.target = (embedding(part) for part in weights.parts("embedding"))
        encoders, decoders = weights.layers("encoder_blocks"), weights.layers("decoder_blocks")
        self.encoder = nn.ModuleList(EncoderBlock(part, causal=False) for part in encoders)
        self.decoder = nn.ModuleList(DecoderBlock(part) for part in decoders)
        self.norm, self.head = layer_norm(weights.part("layer_norm")), dense(weights.part("dense"))
        self.register_buffer("positions", torch.from_numpy(sinusoids(64, self.source.embedding_dim)))

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """The loss."""
        source, target = batch["source"], batch["target"]
        mask = (source != 0)[:, None, None, :]
        memory = self.source(source) + self.positions
        for block in self.encoder:
            memory = block(memory, mask)
        x = self.target(target) + self.positions
        for block in self.decoder:
            x = block(x, memory, mask)
        return token_loss(self.head(self.norm(x)), target)


def token_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean cross-entropy over tokens."""
    return functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


def dense(weights: Weights) -> nn.Linear:
    """With a bias."""
    return linear(weights["w"], weights["b"])


def linear(w: Array, b: Array | None) -> nn.Linear:
    """From `w: f32[in, out]`."""
    layer = nn.Linear(*w.shape, bias=b is not None)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(w).T)
        if b is not None:
            layer.bias.copy_(torch.from_numpy(b))
    return layer


def projection(weights: Weights, letters: str) -> nn.Linear:
    """One layer for some of queries, keys and values, from `f32[embed, heads, head]` each."""
    embed = weights["wq"].shape[0]
    ws = [torch.from_numpy(weights[f"w{letter}"].reshape(embed, -1)) for letter in letters]
    bs = [torch.from_numpy(weights[f"b{letter}"].reshape(-1)) for letter in letters]
    return linear(torch.cat(ws, dim=1).numpy(), torch.cat(bs).numpy())


def output(weights: Weights) -> nn.Linear:
    """What mixes the heads, from `f32[heads, head, embed]`."""
    return linear(weights["wo"].reshape(-1, weights["wo"].shape[2]), weights["bo"])


def feed_forward(weights: Weights) -> nn.Sequential:
    """Of a block."""
    return nn.Sequential(dense(weights.part("up")), nn.GELU(), dense(weights.part("down")))


def embedding(weights: Weights) -> nn.Embedding:
    """From `f32[ids, embed]`."""
    return nn.Embedding.from_pretrained(torch.from_numpy(weights["w"]), freeze=False)


def layer_norm(weights: Weights) -> nn.LayerNorm:
    """Over the last dim."""
    norm = nn.LayerNorm(weights["scale"].shape[0], eps=1e-5)
    set_scale(norm, weights)
    return norm


def batch_norm(weights: Weights) -> nn.BatchNorm2d:
    """Over all dims but that of channels."""
    norm = nn.BatchNorm2d(weights["scale"].shape[0], eps=1e-5, momentum=0.1)
    set_scale(norm, weights)
    return norm


def set_scale(norm: nn.LayerNorm | nn.BatchNorm2d, weights: Weights) -> None:
    """The weights of a norm."""
    with torch.no_grad():
        norm.weight.copy_(torch.from_numpy(weights["scale"]))
        norm.bias.copy_(torch.from_numpy(weights["shift"]))


def conv(weights: Weights, stride: int = 1) -> nn.Module:
    """From `f32[height, width, in, out]`.

    With stride 2, `SAME` of an even size adds one row and column more at the end, where `padding` adds as many at both.
    """
    height, width, inputs, outputs = weights["w"].shape
    padding = height // 2 if stride == 1 else 0
    layer = nn.Conv2d(inputs, outputs, (height, width), stride, padding, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weights["w"]).permute(3, 2, 0, 1))
    before, after = (height - 2) // 2, (height - 1) // 2
    return layer if stride == 1 or height == 1 else nn.Sequential(nn.ZeroPad2d((before, after) * 2), layer)


def set_cell(lstm: nn.LSTM, number: int, cell: Weights) -> None:
    """The weights of one layer; its other bias is the 1 that trxc adds for the forget gate, and learns nothing."""
    hidden = cell["u"].shape[0]
    getattr(lstm, f"weight_ih_l{number}").copy_(torch.from_numpy(cell["w"]).T)
    getattr(lstm, f"weight_hh_l{number}").copy_(torch.from_numpy(cell["u"]).T)
    getattr(lstm, f"bias_ih_l{number}").copy_(torch.from_numpy(cell["b"]))
    constant = getattr(lstm, f"bias_hh_l{number}").zero_().requires_grad_(False)
    constant[hidden : 2 * hidden] = 1.0
