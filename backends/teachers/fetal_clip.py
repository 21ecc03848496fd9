"""FetalCLIP's visual tower: open_clip's keys onto transformers' CLIP vision model."""

import json
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from annotator.errors import BackendError
from backends.teachers.checkpoint import Layout, State, take_renamed, take_thirds
from backends.teachers.teacher import Architecture

_BLOCK = "visual.transformer.resblocks"


def shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Every key of the visual tower: 296 in the published file."""
    one = architecture
    width, tokens = one.width, one.grid**2 + 1
    found: dict[str, tuple[int, ...]] = {
        "visual.class_embedding": (width,),
        "visual.positional_embedding": (tokens, width),
        "visual.proj": (width, one.out),
        "visual.conv1.weight": (width, 3, one.patch, one.patch),
    }
    for name in ("visual.ln_pre", "visual.ln_post"):
        found |= _norm(name, width)
    for number in range(one.depth):
        block = f"{_BLOCK}.{number}"
        found |= _norm(f"{block}.ln_1", width) | _norm(f"{block}.ln_2", width)
        found |= {f"{block}.attn.in_proj_weight": (3 * width, width), f"{block}.attn.in_proj_bias": (3 * width,)}
        found |= _linear(f"{block}.attn.out_proj", width, width)
        found |= _linear(f"{block}.mlp.c_fc", width, one.mlp) | _linear(f"{block}.mlp.c_proj", one.mlp, width)
    return found


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _linear(name: str, width_in: int, width_out: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width_out, width_in), f"{name}.bias": (width_out,)}


def convert(state: State, architecture: Architecture) -> State:
    """Rename for CLIPVisionModelWithProjection; q, k and v are three equal parts, the projection is transposed."""
    body, found = "vision_model.", State()
    found[f"{body}embeddings.class_embedding"] = state.pop("visual.class_embedding")
    found[f"{body}embeddings.position_embedding.weight"] = state.pop("visual.positional_embedding")
    found[f"{body}embeddings.patch_embedding.weight"] = state.pop("visual.conv1.weight")
    found["visual_projection.weight"] = state.pop("visual.proj").T.contiguous()
    renamed = {"visual.ln_pre": f"{body}pre_layrnorm", "visual.ln_post": f"{body}post_layernorm"}
    for number in range(architecture.depth):
        block, layer = f"{_BLOCK}.{number}", f"{body}encoder.layers.{number}"
        found |= take_thirds(state, f"{block}.attn.in_proj_{{part}}", f"{layer}.self_attn.{{letter}}_proj.{{part}}")
        renamed |= {
            f"{block}.attn.out_proj": f"{layer}.self_attn.out_proj",
            f"{block}.ln_1": f"{layer}.layer_norm1",
            f"{block}.ln_2": f"{layer}.layer_norm2",
            f"{block}.mlp.c_fc": f"{layer}.mlp.fc1",
            f"{block}.mlp.c_proj": f"{layer}.mlp.fc2",
        }
    found |= take_renamed(state, renamed)
    return found


def build(architecture: Architecture) -> nn.Module:
    """An empty network: exact GELU, for CLIP's usual quick one takes the same keys and drifts by a percent."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    config = CLIPVisionConfig(
        hidden_size=architecture.width,
        intermediate_size=architecture.mlp,
        num_hidden_layers=architecture.depth,
        num_attention_heads=architecture.heads,
        image_size=architecture.image_size,
        patch_size=architecture.patch,
        projection_dim=architecture.out,
        hidden_act="gelu",
        layer_norm_eps=architecture.eps,
    )
    module: nn.Module = CLIPVisionModelWithProjection(config)
    return module


def check_config(path: Path, architecture: Architecture) -> None:
    """Compare FetalCLIP_config.json, where it lies beside the weights: it tells what their keys cannot."""
    beside = path.with_name("FetalCLIP_config.json")
    if not beside.is_file():
        return
    try:
        document: dict[str, Any] = json.loads(beside.read_text(encoding="utf-8"))
        model = document.get("model_cfg", document)
        vision = model["vision_cfg"]
        found = {name: vision.get(name) for name in ("layers", "width", "patch_size", "image_size")}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BackendError(f"{beside} is no open_clip configuration; get it again beside the weights") from None
    one = architecture
    wanted = {"layers": one.depth, "width": one.width, "patch_size": one.patch, "image_size": one.image_size}
    wrong = [f"{name} {found[name]} instead of {value}" for name, value in wanted.items() if found[name] != value]
    wrong += ["quick_gelu instead of the exact GELU"] if model.get("quick_gelu") else []
    if wrong:
        raise BackendError(f"{beside} is of another model than FetalCLIP: {', '.join(wrong)}")


def _blocks(module: Any) -> nn.ModuleList:
    return module.vision_model.encoder.layers  # type: ignore[no-any-return]


def _patch_tokens(output: Tensor) -> Tensor:
    return output[:, 1:]


LAYOUT = Layout(
    shapes=shapes,
    leftovers={
        "text tower": r"token_embedding\.weight|positional_embedding|text_projection|ln_final\.(weight|bias)"
        r"|transformer\.resblocks\.\d+\.\w+(\.\w+)*",
        "logit scale": r"logit_scale|logit_bias",
    },
    convert=convert,
    build=build,
    blocks=_blocks,
    patch_tokens=_patch_tokens,
    check_beside=check_config,
)
