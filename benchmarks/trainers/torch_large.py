"""The models for GPUs as PyTorch's users would write them, with the weights of trxc; G1 is the GPT of W4.

See :mod:`.torch_networks`. In 16 bits they run under `torch.autocast`, and attention is then one of PyTorch's flash
kernels.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from .torch_networks import batch_norm, conv, dense, embedding, linear, token_loss
from .weights import Weights


class LlamaBlock(nn.Module):
    """Causal self-attention with rotary positions, and a gated feed-forward layer."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        attention, feed = weights.part("attention"), weights.part("feed")
        embed, self.heads, _ = attention["wq"].shape
        self.norm1, self.norm2 = (rms_norm(part) for part in weights.parts("rms_norm"))
        joined = [torch.from_numpy(attention[name].reshape(embed, -1)) for name in ("wq", "wk", "wv")]
        self.qkv = linear(torch.cat(joined, dim=1).numpy(), None)
        self.out = linear(attention["wo"].reshape(-1, embed), None)
        gated = [torch.from_numpy(feed[name]) for name in ("gate.w", "up.w")]
        self.up, self.down = linear(torch.cat(gated, dim=1).numpy(), None), linear(feed["down.w"], None)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """`[batch, seq, embed]`; `cos` and `sin` of `[seq, head / 2]`."""
        heads = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in self.qkv(self.norm1(x)).chunk(3, dim=2)
        )
        q, k, v = heads
        q, k = rotated(q, cos, sin), rotated(k, cos, sin)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        gate, y = self.up(self.norm2(x)).chunk(2, dim=2)
        return x + self.down(functional.silu(gate) * y)


class Llama(nn.Module):
    """G2."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.table, self.norm = embedding(weights.part("table")), rms_norm(weights.part("rms_norm"))
        layers = weights.layers("llama_blocks")
        self.blocks = nn.ModuleList(LlamaBlock(part) for part in layers)
        half = layers[0]["attention.wq"].shape[2] // 2
        self.register_buffer("rates", 10_000.0 ** (-torch.arange(half) / half))

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """The loss."""
        tokens = batch["tokens"]
        angle = torch.arange(tokens.shape[1], device=tokens.device)[:, None] * self.rates
        cos, sin, x = angle.cos(), angle.sin(), self.table(tokens)
        for block in self.blocks:
            x = block(x, cos, sin)
        return token_loss(functional.linear(self.norm(x), self.table.weight), batch["targets"])


class Bottleneck(nn.Module):
    """Three convolutions beside a shortcut; the one in the middle takes the steps."""

    def __init__(self, weights: Weights, stride: int = 1) -> None:
        super().__init__()
        convs = list(weights.parts("conv"))
        norms = [batch_norm(part) for part in weights.parts("batch_norm")]
        self.conv1, self.conv2, self.conv3 = conv(convs[0]), conv(convs[1], stride), conv(convs[2])
        self.norm1, self.norm2, self.norm3 = norms[:3]
        self.shortcut = nn.Sequential(conv(convs[3], stride), norms[3]) if len(convs) == 4 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """`[batch, channels, height, width]`."""
        y = functional.relu(self.norm1(self.conv1(x)))
        y = functional.relu(self.norm2(self.conv2(y)))
        return functional.relu(self.norm3(self.conv3(y)) + self.shortcut(x))


class ResNet50(nn.Module):
    """G3, in channels-last layout."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(weights.part("conv"), 2), batch_norm(weights.part("batch_norm")), nn.ReLU())
        blocks = list[nn.Module]()
        for stride, stage in zip((1, 2, 2, 2), weights.parts("stage"), strict=True):
            blocks.append(Bottleneck(stage.part("bottleneck"), stride))
            blocks.extend(Bottleneck(part) for part in stage.layers("bottlenecks"))
        self.blocks, self.head = nn.Sequential(*blocks), dense(weights.part("dense"))
        self.to(memory_format=torch.channels_last)

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """The loss."""
        x = self.stem(batch["image"].permute(0, 3, 1, 2))  # of [batch, height, width, channels]: channels last already
        x = functional.max_pool2d(functional.pad(x, (0, 1, 0, 1)), 3, 2)  # what relu gives is never below the padding
        return functional.cross_entropy(self.head(self.blocks(x).mean(dim=(2, 3))), batch["label"])


def rms_norm(weights: Weights) -> nn.RMSNorm:
    """Over the last dim."""
    norm = nn.RMSNorm(weights["scale"].shape[0], eps=1e-6)
    with torch.no_grad():
        norm.weight.copy_(torch.from_numpy(weights["scale"]))
    return norm


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """`[batch, heads, seq, head]`: the halves of each head turned by the angles of its place."""
    left, right = x.chunk(2, dim=-1)
    return torch.cat([left * cos - right * sin, right * cos + left * sin], dim=-1).to(x.dtype)
