"""A small Llama: RMSNorm, rotary positions (rotate_half), grouped-query attention, SwiGLU, tied embeddings.

Parameters carry their Hugging Face names, so that an export is a plain dump of the state dict.
"""
from dataclasses import asdict, dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F

NEG = -1e9


@dataclass
class Config:
    vocab: int = 2048
    hidden: int = 256
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 64
    ffn: int = 704
    context: int = 384
    theta: float = 10000.0
    eps: float = 1e-5


class RMSNorm(nn.Module):
    def __init__(self, size, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(size)), eps

    def forward(self, x):
        wide = x.float()
        return (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight).to(x.dtype)


def rotate(x, cos, sin):
    half = x.shape[-1] // 2
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.q_proj = nn.Linear(c.hidden, c.heads * c.head_dim, bias=False)
        self.k_proj = nn.Linear(c.hidden, c.kv_heads * c.head_dim, bias=False)
        self.v_proj = nn.Linear(c.hidden, c.kv_heads * c.head_dim, bias=False)
        self.o_proj = nn.Linear(c.heads * c.head_dim, c.hidden, bias=False)

    def forward(self, x, cos, sin, mask, cache):
        c = self.c
        rows, length, _ = x.shape
        joined = torch.cat([self.q_proj.weight, self.k_proj.weight, self.v_proj.weight])
        q, k, v = F.linear(x, joined).split([c.heads * c.head_dim, c.kv_heads * c.head_dim, c.kv_heads * c.head_dim], -1)
        q = q.view(rows, length, c.heads, c.head_dim).transpose(1, 2)
        k = k.view(rows, length, c.kv_heads, c.head_dim).transpose(1, 2)
        v = v.view(rows, length, c.kv_heads, c.head_dim).transpose(1, 2)
        q = rotate(q, cos, sin).to(v.dtype) * c.head_dim ** -0.5
        k = rotate(k, cos, sin).to(v.dtype)
        if cache is not None:
            k, v = cache.extend(k, v)
        # Query heads of one group are stacked along the length: keys and values are never repeated.
        group = c.heads // c.kv_heads
        q = q.reshape(rows, c.kv_heads, group * length, c.head_dim)
        scores = (q @ k.transpose(-1, -2)).view(rows, c.kv_heads, group, length, -1)
        weights = (scores + mask.unsqueeze(-3).to(scores.dtype)).softmax(-1)
        out = weights.view(rows, c.kv_heads, group * length, -1) @ v
        out = out.view(rows, c.heads, length, c.head_dim).transpose(1, 2).reshape(rows, length, -1)
        return self.o_proj(out)


class MLP(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.gate_proj = nn.Linear(c.hidden, c.ffn, bias=False)
        self.up_proj = nn.Linear(c.hidden, c.ffn, bias=False)
        self.down_proj = nn.Linear(c.ffn, c.hidden, bias=False)

    def forward(self, x):
        gate, up = F.linear(x, torch.cat([self.gate_proj.weight, self.up_proj.weight])).chunk(2, -1)
        # Written out: torch 1.13 computes the bfloat16 F.silu and its gradient three times slower.
        return self.down_proj(gate * torch.sigmoid(gate) * up)


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.input_layernorm = RMSNorm(c.hidden, c.eps)
        self.self_attn = Attention(c)
        self.post_attention_layernorm = RMSNorm(c.hidden, c.eps)
        self.mlp = MLP(c)

    def forward(self, x, cos, sin, mask, cache):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, mask, cache)
        return x + self.mlp(self.post_attention_layernorm(x))


class Trunk(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embed_tokens = nn.Embedding(c.vocab, c.hidden)
        self.layers = nn.ModuleList(Layer(c) for _ in range(c.layers))
        self.norm = RMSNorm(c.hidden, c.eps)


class LlamaLM(nn.Module):
    """The language model; with `scalar_head` it also has `score`, as LlamaForSequenceClassification."""

    def __init__(self, config, scalar_head=False):
        super().__init__()
        c = self.config = config
        self.model = Trunk(c)
        if scalar_head:
            self.score = nn.Linear(c.hidden, 1, bias=False)
        steps = torch.arange(c.context).float()
        angle = torch.outer(steps, c.theta ** (-torch.arange(0, c.head_dim, 2).float() / c.head_dim))
        self.register_buffer("cos", torch.cat([angle, angle], -1).cos(), persistent=False)
        self.register_buffer("sin", torch.cat([angle, angle], -1).sin(), persistent=False)
        self.register_buffer("causal", torch.full((c.context, c.context), NEG).triu(1), persistent=False)
        for name, p in self.named_parameters():
            if p.dim() > 1:
                shrink = (2 * c.layers) ** -0.5 if name.endswith(("o_proj.weight", "down_proj.weight")) else 1.0
                nn.init.normal_(p, 0.0, 0.02 * shrink)

    def hidden(self, ids, caches=None, positions=None, mask=None):
        """Final normalised states. Without positions: a right-padded batch read from position 0."""
        length = ids.shape[1]
        if positions is None:
            cos, sin, mask = self.cos[:length], self.sin[:length], self.causal[:length, :length][None, None]
        else:
            cos, sin = self.cos[positions].unsqueeze(1), self.sin[positions].unsqueeze(1)
        x = self.model.embed_tokens(ids)
        for i, layer in enumerate(self.model.layers):
            x = layer(x, cos, sin, mask, None if caches is None else caches[i])
        return self.model.norm(x)

    def logits(self, states):
        return F.linear(states, self.model.embed_tokens.weight)

    def forward(self, ids):
        return self.logits(self.hidden(ids))

    def scores(self, ids, lengths):
        """Scalar read at the last real token of each row."""
        last = self.hidden(ids)[torch.arange(len(ids)), lengths - 1]
        return self.score(last).float()[:, 0]

    def parameter_count(self):
        return sum(p.numel() for p in self.parameters())


def save(model, path, **extra):
    torch.save(dict(config=asdict(model.config), state=model.state_dict(), **extra), path)


def load(path, scalar_head=False):
    """A model in evaluation mode; a missing score head is left as initialised."""
    stored = torch.load(path, map_location="cpu")
    model = LlamaLM(Config(**stored["config"]), scalar_head)
    model.load_state_dict(stored["state"], strict=not scalar_head)
    return model.eval()


def right_pad(sequences):
    """(ids, lengths) of a ragged batch, padded with 0 on the right."""
    lengths = torch.tensor([len(s) for s in sequences])
    ids = torch.zeros(len(sequences), int(lengths.max()), dtype=torch.long)
    for row, sequence in enumerate(sequences):
        ids[row, :len(sequence)] = torch.tensor(sequence)
    return ids, lengths
