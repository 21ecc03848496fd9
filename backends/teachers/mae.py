"""USF-MAE and UltraFedFM: the encoder of a masked autoencoder onto transformers' ViT.

ViTModel, not ViTMAEModel: that one shuffles the tokens even where none is masked.
"""

from typing import Any

from torch import Tensor, nn

from backends.teachers.checkpoint import PARTS, Layout, State, take_renamed, take_thirds
from backends.teachers.teacher import Architecture


def shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Every key of the encoder: 150 in the published files."""
    one = architecture
    width = one.width
    found: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, one.grid**2 + 1, width),
        "patch_embed.proj.weight": (width, 3, one.patch, one.patch),
        "patch_embed.proj.bias": (width,),
    }
    linear = {
        "attn.qkv": (3 * width, width),
        "attn.proj": (width, width),
        "mlp.fc1": (one.mlp, width),
        "mlp.fc2": (width, one.mlp),
    }
    norms = ["norm", *(f"blocks.{number}.norm{which}" for number in range(one.depth) for which in (1, 2))]
    found |= {f"{norm}.{part}": (width,) for norm in norms for part in PARTS}
    for number in range(one.depth):
        for name, shape in linear.items():
            found |= {f"blocks.{number}.{name}.weight": shape, f"blocks.{number}.{name}.bias": shape[:1]}
    return found


def convert(state: State, architecture: Architecture) -> State:
    """Rename for ViTModel; q, k and v are three equal parts."""
    found = State()
    found["embeddings.cls_token"] = state.pop("cls_token")
    found["embeddings.position_embeddings"] = state.pop("pos_embed")
    renamed = {"patch_embed.proj": "embeddings.patch_embeddings.projection", "norm": "layernorm"}
    for number in range(architecture.depth):
        block, layer = f"blocks.{number}", f"layers.{number}"
        found |= take_thirds(state, f"{block}.attn.qkv.{{part}}", f"{layer}.attention.{{letter}}_proj.{{part}}")
        renamed |= {
            f"{block}.norm1": f"{layer}.layernorm_before",
            f"{block}.norm2": f"{layer}.layernorm_after",
            f"{block}.attn.proj": f"{layer}.attention.o_proj",
            f"{block}.mlp.fc1": f"{layer}.mlp.fc1",
            f"{block}.mlp.fc2": f"{layer}.mlp.fc2",
        }
    found |= take_renamed(state, renamed)
    return found


def build(architecture: Architecture) -> nn.Module:
    """An empty network; its own table of positions is another one and never kept."""
    from transformers import ViTConfig, ViTModel

    config = ViTConfig(
        hidden_size=architecture.width,
        intermediate_size=architecture.mlp,
        num_hidden_layers=architecture.depth,
        num_attention_heads=architecture.heads,
        image_size=architecture.image_size,
        patch_size=architecture.patch,
        hidden_act="gelu",
        layer_norm_eps=architecture.eps,
    )
    module: nn.Module = ViTModel(config, add_pooling_layer=False)
    return module


def _blocks(module: Any) -> nn.ModuleList:
    return module.layers  # type: ignore[no-any-return]


def _patch_tokens(output: Tensor) -> Tensor:
    return output[:, 1:]


LAYOUT = Layout(
    shapes=shapes,
    leftovers={"decoder": r"mask_token|decoder_pos_embed|decoder_(embed|norm|pred|blocks)\..+"},
    convert=convert,
    build=build,
    blocks=_blocks,
    patch_tokens=_patch_tokens,
)
