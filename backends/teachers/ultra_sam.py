"""UltraSAM's image encoder: mmdetection's keys onto transformers' SAM vision model."""

from typing import Any

from torch import Tensor, nn

from backends.teachers.checkpoint import PARTS, Layout, State
from backends.teachers.teacher import Architecture


def shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Every key of the encoder: 177 in the published file."""
    one = architecture
    width, patch = one.width, one.patch
    found: dict[str, tuple[int, ...]] = {
        "backbone.pos_embed": (1, one.grid, one.grid, width),
        "backbone.patch_embed.projection.weight": (width, 3, patch, patch),
        "backbone.patch_embed.projection.bias": (width,),
        "backbone.channel_reduction.0.weight": (one.out, width, 1, 1),
        "backbone.channel_reduction.2.weight": (one.out, one.out, 3, 3),
    }
    for number in (1, 3):
        found |= {f"backbone.channel_reduction.{number}.{part}": (one.out,) for part in PARTS}
    for number in range(one.depth):
        found |= {f"backbone.layers.{number}.{name}": shape for name, shape in _block_shapes(one, number).items()}
    return found


def _block_shapes(one: Architecture, number: int) -> dict[str, tuple[int, ...]]:
    side = one.grid if number in one.global_blocks else one.window
    positions = (2 * side - 1, one.width // one.heads)
    linear = {
        "attn.qkv": (3 * one.width, one.width),
        "attn.proj": (one.width, one.width),
        "ffn.layers.0.0": (one.mlp, one.width),
        "ffn.layers.1": (one.width, one.mlp),
    }
    found: dict[str, tuple[int, ...]] = {
        f"{norm}.{part}": (one.width,) for norm in ("ln1", "ln2") for part in PARTS
    }
    for name, shape in linear.items():
        found |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return found | {"attn.rel_pos_h": positions, "attn.rel_pos_w": positions}


def convert(state: State, architecture: Architecture) -> State:
    """Rename for SamVisionModel; no tensor changes."""
    renamed = {
        "channel_reduction.0": "neck.conv1",
        "channel_reduction.1": "neck.layer_norm1",
        "channel_reduction.2": "neck.conv2",
        "channel_reduction.3": "neck.layer_norm2",
    }
    for number in range(architecture.depth):
        layer = f"layers.{number}"
        renamed |= {
            f"{layer}.ln1": f"{layer}.layer_norm1",
            f"{layer}.ln2": f"{layer}.layer_norm2",
            f"{layer}.ffn.layers.0.0": f"{layer}.mlp.lin1",
            f"{layer}.ffn.layers.1": f"{layer}.mlp.lin2",
        }
    found = State()
    for name in list(state):
        stem, _, part = name.removeprefix("backbone.").rpartition(".")
        new = f"{renamed.get(stem, stem)}.{part}" if stem else part
        found[f"vision_encoder.{new}"] = state.pop(name)
    return found


def build(architecture: Architecture) -> nn.Module:
    """An empty network."""
    from transformers import SamVisionConfig, SamVisionModel

    config = SamVisionConfig(
        hidden_size=architecture.width,
        output_channels=architecture.out,
        num_hidden_layers=architecture.depth,
        num_attention_heads=architecture.heads,
        image_size=architecture.image_size,
        patch_size=architecture.patch,
        hidden_act="gelu",
        layer_norm_eps=architecture.eps,
        window_size=architecture.window,
        global_attn_indexes=list(architecture.global_blocks),
        mlp_dim=architecture.mlp,
    )
    module: nn.Module = SamVisionModel(config)
    return module


def _blocks(module: Any) -> nn.ModuleList:
    return module.vision_encoder.layers  # type: ignore[no-any-return]


def _patch_tokens(output: Tensor) -> Tensor:
    return output.flatten(1, 2)


LAYOUT = Layout(
    shapes=shapes,
    leftovers={
        "mask decoder": r"decoder\..+",
        "prompt encoder": r"prompt_encoder\..+",
        "box head": r"bbox_head\..+",
    },
    convert=convert,
    build=build,
    blocks=_blocks,
    patch_tokens=_patch_tokens,
    images_at_once=1,  # 12 heads over 4,096 tokens take 0.8 GB an image
)
