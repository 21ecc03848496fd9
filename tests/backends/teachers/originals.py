"""The published files in small, and the networks as their authors wrote them: plain tensors, nothing of the loader.

Names and shapes are those of the files' tables; sizes come in as an Architecture.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from backends.teachers.teacher import (
    FETAL_CLIP,
    ULTRA_FED_FM,
    ULTRA_SAM,
    USF_MAE,
    Architecture,
    TeacherRecord,
)

State = dict[str, Tensor]
Shapes = dict[str, tuple[int, ...]]
Activation = Callable[[Tensor], Tensor]

TINY_CLIP = Architecture(width=32, depth=3, heads=4, mlp=64, patch=14, image_size=56, eps=1e-5, out=24)
TINY_MAE = Architecture(width=32, depth=3, heads=4, mlp=64, patch=16, image_size=64, eps=1e-6)
TINY_SAM = Architecture(
    width=32, depth=3, heads=4, mlp=64, patch=16, image_size=96, eps=1e-6, out=16, window=4, global_blocks=(1,)
)


def tiny(record: TeacherRecord) -> TeacherRecord:
    sizes = {"fetal_clip": TINY_CLIP, "ultra_sam": TINY_SAM, "mae": TINY_MAE}
    return replace(record, architecture=sizes[record.format], blocks=(0, 1, 2))


TINY = {one.name: tiny(one) for one in (FETAL_CLIP, ULTRA_SAM, USF_MAE, ULTRA_FED_FM)}


def clip_shapes(one: Architecture) -> Shapes:
    wide, block = one.width, "visual.transformer.resblocks.{}."
    table: Shapes = {
        "visual.class_embedding": (wide,),
        "visual.positional_embedding": ((one.image_size // one.patch) ** 2 + 1, wide),
        "visual.proj": (wide, one.out),
        "visual.conv1.weight": (wide, 3, one.patch, one.patch),
        "visual.ln_pre.weight": (wide,),
        "visual.ln_pre.bias": (wide,),
        "visual.ln_post.weight": (wide,),
        "visual.ln_post.bias": (wide,),
    }
    in_each: Shapes = {
        "ln_1.weight": (wide,),
        "ln_1.bias": (wide,),
        "attn.in_proj_weight": (3 * wide, wide),
        "attn.in_proj_bias": (3 * wide,),
        "attn.out_proj.weight": (wide, wide),
        "attn.out_proj.bias": (wide,),
        "ln_2.weight": (wide,),
        "ln_2.bias": (wide,),
        "mlp.c_fc.weight": (one.mlp, wide),
        "mlp.c_fc.bias": (one.mlp,),
        "mlp.c_proj.weight": (wide, one.mlp),
        "mlp.c_proj.bias": (wide,),
    }
    return table | {block.format(n) + name: shape for n in range(one.depth) for name, shape in in_each.items()}


def sam_shapes(one: Architecture) -> Shapes:
    wide, grid = one.width, one.image_size // one.patch
    table: Shapes = {
        "backbone.pos_embed": (1, grid, grid, wide),
        "backbone.patch_embed.projection.weight": (wide, 3, one.patch, one.patch),
        "backbone.patch_embed.projection.bias": (wide,),
        "backbone.channel_reduction.0.weight": (one.out, wide, 1, 1),
        "backbone.channel_reduction.1.weight": (one.out,),
        "backbone.channel_reduction.1.bias": (one.out,),
        "backbone.channel_reduction.2.weight": (one.out, one.out, 3, 3),
        "backbone.channel_reduction.3.weight": (one.out,),
        "backbone.channel_reduction.3.bias": (one.out,),
    }
    for n in range(one.depth):
        side = grid if n in one.global_blocks else one.window
        in_each: Shapes = {
            "ln1.weight": (wide,),
            "ln1.bias": (wide,),
            "attn.rel_pos_h": (2 * side - 1, wide // one.heads),
            "attn.rel_pos_w": (2 * side - 1, wide // one.heads),
            "attn.qkv.weight": (3 * wide, wide),
            "attn.qkv.bias": (3 * wide,),
            "attn.proj.weight": (wide, wide),
            "attn.proj.bias": (wide,),
            "ln2.weight": (wide,),
            "ln2.bias": (wide,),
            "ffn.layers.0.0.weight": (one.mlp, wide),
            "ffn.layers.0.0.bias": (one.mlp,),
            "ffn.layers.1.weight": (wide, one.mlp),
            "ffn.layers.1.bias": (wide,),
        }
        table |= {f"backbone.layers.{n}.{name}": shape for name, shape in in_each.items()}
    return table


def mae_shapes(one: Architecture) -> Shapes:
    wide = one.width
    table: Shapes = {
        "cls_token": (1, 1, wide),
        "pos_embed": (1, (one.image_size // one.patch) ** 2 + 1, wide),
        "patch_embed.proj.weight": (wide, 3, one.patch, one.patch),
        "patch_embed.proj.bias": (wide,),
        "norm.weight": (wide,),
        "norm.bias": (wide,),
    }
    in_each: Shapes = {
        "norm1.weight": (wide,),
        "norm1.bias": (wide,),
        "attn.qkv.weight": (3 * wide, wide),
        "attn.qkv.bias": (3 * wide,),
        "attn.proj.weight": (wide, wide),
        "attn.proj.bias": (wide,),
        "norm2.weight": (wide,),
        "norm2.bias": (wide,),
        "mlp.fc1.weight": (one.mlp, wide),
        "mlp.fc1.bias": (one.mlp,),
        "mlp.fc2.weight": (wide, one.mlp),
        "mlp.fc2.bias": (wide,),
    }
    return table | {f"blocks.{n}.{name}": shape for n in range(one.depth) for name, shape in in_each.items()}


SHAPES: dict[str, Callable[[Architecture], Shapes]] = {
    "fetal_clip": clip_shapes,
    "ultra_sam": sam_shapes,
    "mae": mae_shapes,
}
LEFTOVERS: dict[str, Shapes] = {
    "fetal_clip": {
        "token_embedding.weight": (9, 8),
        "positional_embedding": (117, 8),
        "transformer.resblocks.0.attn.in_proj_weight": (24, 8),
        "transformer.resblocks.0.ln_1.bias": (8,),
        "ln_final.weight": (8,),
        "text_projection": (8, 24),
        "logit_scale": (),
    },
    "ultra_sam": {
        "decoder.layers.0.norms.0.weight": (8,),
        "prompt_encoder.label_encoder.weight": (2, 8),
        "bbox_head.cls_branches.0.bias": (3,),
    },
    "mae": {
        "mask_token": (1, 1, 16),
        "decoder_pos_embed": (1, 17, 16),
        "decoder_embed.weight": (16, 32),
        "decoder_blocks.0.attn.qkv.bias": (48,),
        "decoder_norm.bias": (16,),
        "decoder_pred.bias": (768,),
    },
}


def random_state(record: TeacherRecord, seed: int = 0, *, leftovers: bool = True) -> State:
    """Random weights, norms and biases too; small, so that the eps of a norm counts."""
    random = torch.Generator().manual_seed(seed)
    shapes = SHAPES[record.format](record.architecture) | (LEFTOVERS[record.format] if leftovers else {})
    state = {}
    for name, shape in shapes.items():
        is_scale = name.endswith("weight") and len(shape) == 1
        noise = torch.randn(shape, generator=random)
        wide = math.sqrt(math.prod(shape[1:])) if len(shape) > 1 and name.endswith("weight") else 0.0
        state[name] = 1.0 + 0.2 * noise if is_scale else noise / wide if wide else 0.05 * noise
    for name in ("visual.conv1.weight", "patch_embed.proj.weight", "backbone.patch_embed.projection.weight"):
        if name in state:
            state[name] *= 0.02
    return state


def in_its_container(record: TeacherRecord, state: State) -> Any:
    """As the authors save it."""
    import argparse

    return {
        "fetal_clip": {"epoch": 5, "name": "run", "state_dict": {f"module.{k}": v for k, v in state.items()}},
        "ultra_sam": {"meta": {"epoch": 8, "cfg": "model = dict()"}, "state_dict": state, "message_hub": {}},
        "usf_mae": state,
        "ultra_fed_fm": {
            "model": state,
            "optimizer": {"state": {}, "param_groups": [{"lr": 1e-4}]},
            "epoch": 200,
            "scaler": {"scale": 1.0},
            "args": argparse.Namespace(batch_size=64, mask_ratio=0.75),
        },
    }[record.name]


def outputs(record: TeacherRecord, state: State, images: Tensor, **changed: Any) -> list[Tensor]:
    """The patch tokens (images, tokens, width) behind each block, computed as the authors do."""
    forward = {"fetal_clip": _clip, "ultra_sam": _sam, "mae": _mae}[record.format]
    return forward(state, images, record.architecture, **changed)


def _norm(x: Tensor, state: State, name: str, eps: float) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    scaled = centred / (centred.pow(2).mean(-1, keepdim=True) + eps).sqrt()
    return scaled * state[f"{name}.weight"] + state[f"{name}.bias"]


def _linear(x: Tensor, state: State, name: str) -> Tensor:
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def _gelu(x: Tensor) -> Tensor:
    return x * 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0)))


def _attend(x: Tensor, weight: Tensor, bias: Tensor, heads: int) -> Tensor:
    """(images, tokens, width), heads side by side in the rows of `weight`: q, then k, then v."""
    images, tokens, width = x.shape
    mixed = (x @ weight.T + bias).reshape(images, tokens, 3, heads, width // heads)
    query, key, value = mixed.permute(2, 0, 3, 1, 4)
    shares = (query @ key.transpose(-1, -2) / math.sqrt(width // heads)).softmax(-1)
    return (shares @ value).transpose(1, 2).reshape(images, tokens, width)


def _clip(state: State, images: Tensor, one: Architecture, gelu: Activation = _gelu) -> list[Tensor]:
    patches = functional.conv2d(images, state["visual.conv1.weight"], stride=one.patch).flatten(2).transpose(1, 2)
    first = state["visual.class_embedding"].expand(len(images), 1, -1)
    x = torch.cat([first, patches], 1) + state["visual.positional_embedding"]
    x = _norm(x, state, "visual.ln_pre", one.eps)
    found = []
    for n in range(one.depth):
        block = f"visual.transformer.resblocks.{n}"
        mixed = [state[f"{block}.attn.in_proj_{part}"] for part in ("weight", "bias")]
        attended = _attend(_norm(x, state, f"{block}.ln_1", one.eps), *mixed, one.heads)
        x = x + _linear(attended, state, f"{block}.attn.out_proj")
        inner = gelu(_linear(_norm(x, state, f"{block}.ln_2", one.eps), state, f"{block}.mlp.c_fc"))
        x = x + _linear(inner, state, f"{block}.mlp.c_proj")
        found.append(x[:, 1:])
    return found


def _mae(state: State, images: Tensor, one: Architecture, eps: float | None = None) -> list[Tensor]:
    eps = one.eps if eps is None else eps
    kernel, bias = state["patch_embed.proj.weight"], state["patch_embed.proj.bias"]
    x = functional.conv2d(images, kernel, bias, stride=one.patch).flatten(2).transpose(1, 2)
    x = x + state["pos_embed"][:, 1:]
    x = torch.cat([(state["cls_token"] + state["pos_embed"][:, :1]).expand(len(images), -1, -1), x], 1)
    found = []
    for n in range(one.depth):
        block = f"blocks.{n}"
        mixed = [state[f"{block}.attn.qkv.{part}"] for part in ("weight", "bias")]
        attended = _attend(_norm(x, state, f"{block}.norm1", eps), *mixed, one.heads)
        x = x + _linear(attended, state, f"{block}.attn.proj")
        inner = _gelu(_linear(_norm(x, state, f"{block}.norm2", eps), state, f"{block}.mlp.fc1"))
        x = x + _linear(inner, state, f"{block}.mlp.fc2")
        found.append(x[:, 1:])
    return found


def _sam(state: State, images: Tensor, one: Architecture, relative: bool = True) -> list[Tensor]:
    kernel, bias = (state[f"backbone.patch_embed.projection.{part}"] for part in ("weight", "bias"))
    x = functional.conv2d(images, kernel, bias, stride=one.patch).permute(0, 2, 3, 1) + state["backbone.pos_embed"]
    found = []
    for n in range(one.depth):
        block = f"backbone.layers.{n}"
        inner = _norm(x, state, f"{block}.ln1", one.eps)
        side = one.grid if n in one.global_blocks else one.window
        x = x + _windows(state, block, inner, side, one.heads, relative)
        inner = _gelu(_linear(_norm(x, state, f"{block}.ln2", one.eps), state, f"{block}.ffn.layers.0.0"))
        x = x + _linear(inner, state, f"{block}.ffn.layers.1")
        found.append(x.flatten(1, 2))
    return found


def _windows(state: State, block: str, x: Tensor, side: int, heads: int, relative: bool) -> Tensor:
    """Attention in squares of `side` patches, zeros beyond the right and lower edge, one square after the other."""
    _, height, width, _ = x.shape
    more = [(-size) % side for size in (height, width)]
    padded = functional.pad(x, (0, 0, 0, more[1], 0, more[0]))
    result = torch.empty_like(padded)
    for top in range(0, padded.shape[1], side):
        for left in range(0, padded.shape[2], side):
            square = padded[:, top : top + side, left : left + side]
            attended = _relative_attention(state, block, square, heads, relative)
            result[:, top : top + side, left : left + side] = attended
    return result[:, :height, :width]


def _relative_attention(state: State, block: str, square: Tensor, heads: int, relative: bool) -> Tensor:
    """Each pair of patches gets q . h[dy] + q . w[dx] on top of its scaled product (He et al., ViTDet)."""
    images, side, _, width = square.shape
    each = width // heads
    tokens = square.reshape(images, side * side, width)
    mixed = _linear(tokens, state, f"{block}.attn.qkv").reshape(images, side * side, 3, heads, each)
    query, key, value = mixed.permute(2, 0, 3, 1, 4)
    scores = query @ key.transpose(-1, -2) / math.sqrt(each)
    if relative:
        rows = torch.arange(side).repeat_interleave(side)
        columns = torch.arange(side).repeat(side)
        for name, places in (("rel_pos_h", rows), ("rel_pos_w", columns)):
            table = state[f"{block}.attn.{name}"][places[:, None] - places[None, :] + side - 1]
            scores = scores + torch.einsum("nhqd,qkd->nhqk", query, table)
    attended = (scores.softmax(-1) @ value).transpose(1, 2).reshape(images, side * side, width)
    return _linear(attended, state, f"{block}.attn.proj").reshape(square.shape)
