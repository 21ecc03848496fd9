"""Each model type of the catalog in a size that a processor builds in a moment: its configuration, and one image's
worth of input. Only the widths and depths differ from the real ones."""

from collections.abc import Callable
from typing import Any

import torch

Config = dict[str, Any]
Inputs = dict[str, torch.Tensor]

IMAGE = 60  # the token that stands for a piece of the image
VOCABULARY = 64
BODY: Config = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
SIGHT: Config = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "patch_size": 14,
    "image_size": 28,
}
QWEN_SIGHT: Config = {
    "depth": 2,
    "hidden_size": 32,
    "embed_dim": 32,
    "intermediate_size": 64,
    "num_heads": 4,
    "out_hidden_size": 32,
    "num_position_embeddings": 16,
    "deepstack_visual_indexes": [0, 1],
    "fullatt_block_indexes": [1],
}
QWEN_IDS: Config = {
    "image_token_id": IMAGE,
    "video_token_id": 61,
    "vision_start_token_id": 58,
    "vision_end_token_id": 59,
}
ROPE: Config = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1], "mrope_interleaved": True}
HYBRID: Config = BODY | {
    "num_hidden_layers": 4,
    "head_dim": 32,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "rope_parameters": ROPE | {"partial_rotary_factor": 0.25},
}
EXPERTS: Config = {
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
    "shared_expert_intermediate_size": 32,
}


def of_two_towers(text: str = "llama", sight: str = "clip_vision_model", **more: Any) -> Config:
    return {
        "text_config": BODY | {"model_type": text},
        "vision_config": SIGHT | {"model_type": sight, "image_size": 56 if sight == "pixtral" else 28},
        "image_token_id": IMAGE,
        "image_token_index": IMAGE,
        **more,
    }


def with_tokens(pieces: int, **pixels: torch.Tensor) -> Inputs:
    """A prompt of three tokens, with as many image tokens between as the image has pieces."""
    ids = torch.tensor([[1, *[IMAGE] * pieces, 5, 6]])
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), **pixels}


def patches(patch: int) -> Inputs:
    """Four patches of Qwen's, merged into one piece."""
    grid = torch.tensor([[1, 2, 2]])
    found = with_tokens(1, pixel_values=torch.randn(4, 3 * 2 * patch * patch), image_grid_thw=grid)
    return found | {"mm_token_type_ids": (found["input_ids"] == IMAGE).int()}


def pixels(side: int, *leading: int) -> torch.Tensor:
    return torch.randn(*(leading or (1,)), 3, side, side)


def of_lfm() -> Inputs:
    return with_tokens(
        1,
        pixel_values=torch.randn(1, 4, 3 * 14 * 14),
        spatial_shapes=torch.tensor([[2, 2]]),
        pixel_attention_mask=torch.ones(1, 4, dtype=torch.long),
    )


def of_idefics() -> Inputs:
    found = with_tokens(0, pixel_values=pixels(28, 1, 1))
    return found | {"image_attention_mask": torch.ones(1, 3, 1, dtype=torch.long)}


def of_mllama() -> Inputs:
    return with_tokens(
        1,
        pixel_values=pixels(28, 1, 1, 1),
        aspect_ratio_ids=torch.ones(1, 1, dtype=torch.long),
        aspect_ratio_mask=torch.ones(1, 1, 1, dtype=torch.long),
        cross_attention_mask=torch.ones(1, 4, 1, 1, dtype=torch.long),
    )


SIGLIP = "siglip_vision_model"
QWEN_TEXT = BODY | {"rope_parameters": ROPE}
IDEFICS3: Config = {
    "text_config": BODY | {"model_type": "llama"},
    "vision_config": SIGHT,
    "scale_factor": 2,
    "image_token_id": IMAGE,
}

# Configuration and input of each type.
TINY: dict[str, tuple[Config, Callable[[], Inputs]]] = {
    "qwen3_5": ({"text_config": HYBRID, "vision_config": QWEN_SIGHT, **QWEN_IDS}, lambda: patches(16)),
    "qwen3_5_moe": (
        {"text_config": HYBRID | EXPERTS, "vision_config": QWEN_SIGHT, **QWEN_IDS},
        lambda: patches(16),
    ),
    "qwen3_vl": ({"text_config": QWEN_TEXT, "vision_config": QWEN_SIGHT, **QWEN_IDS}, lambda: patches(16)),
    "qwen2_5_vl": ({"text_config": QWEN_TEXT, "vision_config": QWEN_SIGHT, **QWEN_IDS}, lambda: patches(14)),
    "qwen2_vl": (
        {"text_config": QWEN_TEXT, "vision_config": QWEN_SIGHT | {"hidden_size": 32, "mlp_ratio": 2}, **QWEN_IDS},
        lambda: patches(14),
    ),
    "internvl": (
        {
            "text_config": BODY | {"model_type": "qwen2"},
            "vision_config": SIGHT | {"image_size": [28, 28], "patch_size": [14, 14]},
            "image_token_id": IMAGE,
        },
        lambda: with_tokens(1, pixel_values=pixels(28)),
    ),
    "mistral3": (
        of_two_towers("mistral", "pixtral", spatial_merge_size=2),
        lambda: with_tokens(4, pixel_values=pixels(56), image_sizes=torch.tensor([[56, 56]])),
    ),
    "gemma3": (
        of_two_towers("gemma3_text", SIGLIP, mm_tokens_per_image=4),
        lambda: with_tokens(4, pixel_values=pixels(28)),
    ),
    "paligemma": (
        of_two_towers("gemma", SIGLIP, projection_dim=32),
        lambda: with_tokens(4, pixel_values=pixels(28)),
    ),
    "llava": (of_two_towers(), lambda: with_tokens(4, pixel_values=pixels(28))),
    "llava_next": (
        of_two_towers(image_grid_pinpoints=[[28, 28]]),
        lambda: with_tokens(10, pixel_values=pixels(28, 1, 2), image_sizes=torch.tensor([[28, 28]])),
    ),
    "llava_onevision": (
        of_two_towers("qwen2", SIGLIP, image_grid_pinpoints=[[28, 28]]),
        lambda: with_tokens(10, pixel_values=pixels(28, 1, 2), image_sizes=torch.tensor([[28, 28]])),
    ),
    "idefics": (
        BODY
        | {
            "additional_vocab_size": 0,
            "cross_layer_interval": 1,
            "use_resampler": False,
            "vision_config": SIGHT | {"embed_dim": 32},
        },
        of_idefics,
    ),
    "idefics3": (IDEFICS3, lambda: with_tokens(1, pixel_values=pixels(28, 1, 1))),
    "smolvlm": (IDEFICS3, lambda: with_tokens(1, pixel_values=pixels(28, 1, 1))),
    "lfm2_vl": (
        {
            "text_config": BODY | {"model_type": "lfm2", "layer_types": ["conv", "full_attention"]},
            "vision_config": SIGHT | {"num_patches": 16},
            "downsample_factor": 2,
            "image_token_id": IMAGE,
        },
        of_lfm,
    ),
    "blip-2": (
        {
            "text_config": {
                **{"model_type": "opt", "vocab_size": VOCABULARY, "hidden_size": 32, "word_embed_proj_dim": 32},
                **{"ffn_dim": 64, "num_hidden_layers": 2, "num_attention_heads": 4},
            },
            "vision_config": SIGHT | {"initializer_range": 0.02},  # as it comes, 1e-10: blind until trained
            "qformer_config": {
                **{"vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2},
                **{"num_attention_heads": 4, "encoder_hidden_size": 32},
            },
            "num_query_tokens": 4,
            "image_token_index": IMAGE,
        },
        lambda: with_tokens(4, pixel_values=pixels(28)),
    ),
    "florence2": (
        {
            "text_config": {
                **{"model_type": "bart", "vocab_size": VOCABULARY, "d_model": 32, "encoder_layers": 1},
                **{"decoder_layers": 1, "encoder_attention_heads": 4, "decoder_attention_heads": 4},
                **{"encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": 256},
            },
            "vision_config": {
                **{"embed_dim": [16, 32], "depths": [1, 1], "num_heads": [2, 4], "num_groups": [2, 4]},
                **{"patch_size": [7, 3], "patch_stride": [4, 2], "patch_padding": [3, 1]},
                **{"patch_prenorm": [False, True], "window_size": 4, "projection_dim": 32},
            },
            "image_token_id": IMAGE,
        },
        lambda: with_tokens(17, pixel_values=pixels(32)),
    ),
    "mllama": (
        {
            "text_config": BODY
            | {"cross_attention_layers": [1], "rope_parameters": {"rope_type": "default", "rope_theta": 1e4}},
            "vision_config": {
                **{"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_global_layers": 1},
                **{"attention_heads": 4, "image_size": 28, "patch_size": 14, "max_num_tiles": 1},
                **{
                    "supported_aspect_ratios": [[1, 1]],
                    "intermediate_layers_indices": [0],
                    "vision_output_dim": 64,
                },
            },
            "image_token_index": IMAGE,
        },
        of_mllama,
    ),
}
