"""One pass of Qwen3.5's language model over rows that each bring a different number of new tokens.

The tokens of all rows lie one behind the other (T = their total), so that projections and MLPs, nearly all of the
work, waste nothing on padding. Only where tokens of a row meet (attention and the gated delta rule) are they laid
out as (rows, width). A padded place must not touch the recurrent state: there the decay is 1 and the write is 0.
The arithmetic is that of `transformers.models.qwen3_5`, whose weights and norms are used; the tests hold both
together. Rows own their states: attention keys and values are written in place, recurrent states are updated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention, silu, softplus
from transformers.models.qwen3_5.modeling_qwen3_5 import apply_rotary_pos_emb

CHUNK = 64  # tokens of a row that the delta rule takes at once


@dataclass(frozen=True, slots=True)
class AttentionState:
    """Keys and values, (rows, kv heads, capacity, head size); what lies beyond a row's length is not read."""

    keys: Tensor
    values: Tensor


@dataclass(frozen=True, slots=True)
class DeltaState:
    """Last inputs of the convolution, (rows, kernel, channels), and the memory, (rows, heads, key, value size)."""

    conv: Tensor
    memory: Tensor


LayerState = AttentionState | DeltaState


@dataclass(slots=True)
class RowStates:
    """All that rows need to go on. `rope_deltas` (rows,) is each image's own: position = length + delta."""

    layers: list[LayerState]
    lengths: Tensor
    rope_deltas: Tensor

    def keep(self, rows: Sequence[int]) -> None:
        """Let go of all rows but these."""
        index = torch.tensor(rows, device=self.lengths.device)
        self.lengths, self.rope_deltas = self.lengths[index], self.rope_deltas[index]
        for number, layer in enumerate(self.layers):
            if isinstance(layer, AttentionState):
                self.layers[number] = AttentionState(layer.keys[index], layer.values[index])
            else:
                self.layers[number] = DeltaState(layer.conv[index], layer.memory[index])


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the T packed tokens lie in (rows, width), left-aligned."""

    counts: Tensor
    rows: Tensor
    columns: Tensor
    width: int

    def spread(self, packed: Tensor) -> Tensor:
        """(T, ...) -> (rows, width, ...), zeros in the padding."""
        shape = (len(self.counts), self.width, *packed.shape[1:])
        if len(packed) == shape[0] * shape[1]:
            return packed.reshape(shape)
        spread = packed.new_zeros(shape)
        spread[self.rows, self.columns] = packed
        return spread

    def gather(self, spread: Tensor) -> Tensor:
        """(rows, width, ...) -> (T, ...), the padding left out."""
        if len(self.rows) == spread.shape[0] * spread.shape[1]:
            return spread.reshape(-1, *spread.shape[2:])
        return spread[self.rows, self.columns]


def lay_out(counts: Sequence[int], device: torch.device) -> Layout:
    """Plan a pass in which row i brings `counts[i]` >= 1 tokens.

    >>> lay_out([1, 3], torch.device("cpu")).columns.tolist()
    [0, 0, 1, 2]
    """
    rows = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    columns = torch.cat([torch.arange(count) for count in counts])
    return Layout(torch.tensor(counts, device=device), rows.to(device), columns.to(device), max(counts))


def advance(text_model: Any, states: RowStates, pending: Sequence[Sequence[int]]) -> Tensor:
    """Feed each row its pending tokens; return the normed hidden state after its last, (rows, hidden)."""
    device = states.lengths.device
    layout = lay_out([len(tokens) for tokens in pending], device)
    tokens = torch.tensor([token for row in pending for token in row], device=device)
    places = states.lengths[layout.rows] + layout.columns
    hidden = text_model.embed_tokens(tokens)
    positions = (places + states.rope_deltas[layout.rows])[None, None].expand(3, 1, -1)
    rotation = text_model.rotary_emb(hidden[None], positions)
    newest = int(states.lengths.max()) + layout.width
    last_visible = layout.spread(places)
    visible = torch.arange(newest, device=device) <= last_visible[..., None]
    for layer, state in zip(text_model.layers, states.layers, strict=True):
        normed = layer.input_layernorm(hidden)
        if isinstance(state, AttentionState):
            mixed = _attend(layer.self_attn, state, normed, layout, places, rotation, visible)
        else:
            mixed = _recur(layer.linear_attn, state, normed, layout)
        hidden = hidden + mixed
        hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
    states.lengths = states.lengths + layout.counts
    return text_model.norm(hidden[layout.counts.cumsum(0) - 1])  # type: ignore[no-any-return]


def _attend(
    attention: Any,
    state: AttentionState,
    hidden: Tensor,
    layout: Layout,
    places: Tensor,
    rotation: tuple[Tensor, Tensor],
    visible: Tensor,
) -> Tensor:
    """Gated grouped-query attention of (T, hidden) over each row's past and its new tokens."""
    size = attention.head_dim
    query, gate = attention.q_proj(hidden).view(len(hidden), -1, 2 * size).chunk(2, dim=-1)
    query = attention.q_norm(query).transpose(0, 1)[None]
    key = attention.k_norm(attention.k_proj(hidden).view(len(hidden), -1, size)).transpose(0, 1)[None]
    query, key = apply_rotary_pos_emb(query, key, *rotation)
    value = attention.v_proj(hidden).view(len(hidden), -1, size)
    state.keys[layout.rows, :, places] = key[0].transpose(0, 1)
    state.values[layout.rows, :, places] = value
    # The query heads of one key head become further queries of that head, so that keys are not copied per head.
    rows, width, newest = visible.shape
    heads, group = key.shape[1], attention.num_key_value_groups
    folded = layout.spread(query[0].transpose(0, 1)).view(rows, width, heads, group, size)
    folded = folded.permute(0, 2, 3, 1, 4).reshape(rows, heads, group * width, size)
    mask = visible[:, None, None].expand(rows, 1, group, width, newest).reshape(rows, 1, group * width, newest)
    keys, values = state.keys[:, :, :newest], state.values[:, :, :newest]
    out = scaled_dot_product_attention(folded, keys, values, attn_mask=mask, scale=attention.scaling)
    out = out.view(rows, heads, group, width, size).permute(0, 3, 1, 2, 4).reshape(rows, width, -1)
    return attention.o_proj(layout.gather(out) * torch.sigmoid(gate.reshape(len(hidden), -1)))  # type: ignore[no-any-return]


def _recur(net: Any, state: DeltaState, hidden: Tensor, layout: Layout) -> Tensor:
    """A gated delta net over (T, hidden), carrying each row's state on."""
    mixed = _convolve(net, state, layout.spread(net.in_proj_qkv(hidden)), layout)
    rows, width = mixed.shape[:2]
    query, key, value = torch.split(mixed, [net.key_dim, net.key_dim, net.value_dim], dim=-1)
    repeats = net.num_v_heads // net.num_k_heads
    query = _normed(query.reshape(rows, width, -1, net.head_k_dim)).repeat_interleave(repeats, dim=2)
    key = _normed(key.reshape(rows, width, -1, net.head_k_dim)).repeat_interleave(repeats, dim=2)
    query = query * net.head_k_dim**-0.5
    value = value.reshape(rows, width, -1, net.head_v_dim).float()
    write = layout.spread(net.in_proj_b(hidden).sigmoid().float())
    log_decay = layout.spread(-net.A_log.float().exp() * softplus(net.in_proj_a(hidden).float() + net.dt_bias))
    heads_first = [part.transpose(1, 2) for part in (query, key, value, write, log_decay)]
    chunks = [
        delta_chunk(state.memory, *(part[:, :, start : start + CHUNK] for part in heads_first))
        for start in range(0, width, CHUNK)
    ]
    out = layout.gather(torch.cat(chunks, dim=2).transpose(1, 2)).to(hidden.dtype)
    gate = net.in_proj_z(hidden).view(-1, net.head_v_dim)
    return net.out_proj(net.norm(out.reshape(-1, net.head_v_dim), gate).view(len(hidden), -1))  # type: ignore[no-any-return]


def _normed(vectors: Tensor) -> Tensor:
    vectors = vectors.float()
    return vectors * torch.rsqrt((vectors * vectors).sum(-1, keepdim=True) + 1e-6)


def _convolve(net: Any, state: DeltaState, inputs: Tensor, layout: Layout) -> Tensor:
    """Causal depthwise convolution of (rows, width, channels); `state.conv` becomes each row's last inputs."""
    kernel, width = state.conv.shape[1], inputs.shape[1]
    history = torch.cat([state.conv, inputs], dim=1)
    taps = net.conv1d.weight.squeeze(1).t()
    out = history[:, 1 : 1 + width] * taps[0]
    for place in range(1, kernel):
        out.addcmul_(history[:, 1 + place : 1 + place + width], taps[place])
    last = layout.counts[:, None] + torch.arange(kernel, device=inputs.device)
    state.conv.copy_(history[torch.arange(len(last), device=inputs.device)[:, None], last])
    return silu(out)


def delta_chunk(
    memory: Tensor, query: Tensor, key: Tensor, value: Tensor, write: Tensor, log_decay: Tensor
) -> Tensor:
    """The gated delta rule over a few tokens at once; `memory` is updated in place, fp32 throughout.

    memory (rows, heads, key, value size); query, key, value (rows, heads, width, size); write strength and log of
    the decay (rows, heads, width). Each token first fades the memory, then corrects what it holds under its key;
    all corrections follow from one triangular system (Yang et al. 2024, "Gated Delta Networks", section 3.3).
    Returns what the queries read, (rows, heads, width, value size).
    """
    faded = log_decay.cumsum(-1)
    width = faded.shape[-1]
    read = torch.cat([key, query], dim=-2) @ memory * torch.cat([faded, faded], dim=-1).exp()[..., None]
    held, out = read[..., :width, :], read[..., width:, :]
    correction = write[..., None] * (value - held)
    if width == 1:
        out = out + (query * key).sum(-1, keepdim=True) * correction
        carried = key
    else:
        between = (faded[..., :, None] - faded[..., None, :]).tril().exp().tril()
        overlap = (write[..., None] * key) @ key.transpose(-1, -2) * between
        correction = torch.linalg.solve_triangular(overlap, correction, upper=False, unitriangular=True)
        out = out + (query @ key.transpose(-1, -2) * between) @ correction
        carried = key * (faded[..., -1:] - faded).exp()[..., None]
    memory.mul_(faded[..., -1:].exp()[..., None])
    flat = memory.view(-1, *memory.shape[-2:])
    flat.baddbmm_(
        carried.transpose(-1, -2).reshape(-1, *flat.shape[-2:-1], width),
        correction.reshape(-1, width, flat.shape[-1]),
    )
    return out
