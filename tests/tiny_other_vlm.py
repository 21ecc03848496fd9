"""Tiny random checkpoints of other image-text families that transformers loads without remote code."""

import json
from pathlib import Path

import torch
from transformers import (
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessorPil,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

from tests.tiny_vlm import MARKERS, train_tokenizer

IDEFICS_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + ':' }}{% for part in message.content %}"
    "{{ '<image>' if part.type == 'image' else part.text }}{% endfor %}<|im_end|>\n{% endfor %}assistant:"
)
TEXT = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.15,
}


def save_tiny_qwen(folder: Path, family: str) -> None:
    """Write `qwen2_vl` or `qwen3_vl`, whose stock processors need torchvision for videos."""
    tokenizer = train_tokenizer()
    ids = {f"{name}_id": tokenizer.convert_tokens_to_ids(marker) for name, marker in MARKERS.items()}
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [4, 2, 2]}
    text = TEXT | {"vocab_size": len(tokenizer), "rope_parameters": rope, "head_dim": 16}
    torch.manual_seed(0)
    if family == "qwen2_vl":
        sight = {"depth": 2, "embed_dim": 32, "hidden_size": 64, "num_heads": 2, "patch_size": 14}
        model = Qwen2VLForConditionalGeneration(Qwen2VLConfig(text_config=text, vision_config=sight, **ids))
    else:
        sight = {
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "patch_size": 16,
            "out_hidden_size": 64,
            "deepstack_visual_indexes": [0],
            "num_position_embeddings": 64,
        }
        model = Qwen3VLForConditionalGeneration(Qwen3VLConfig(text_config=text, vision_config=sight, **ids))
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    pixels = {
        "size": {"shortest_edge": 3136, "longest_edge": 100352},
        "patch_size": sight["patch_size"],
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_processor_type": "Qwen2VLImageProcessor",
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(pixels))


def save_tiny_idefics3(folder: Path) -> None:
    """Write an Idefics3: another vision tower, another prompt format, a processor of its own."""
    from transformers import Idefics3Processor

    tokenizer = train_tokenizer()
    tokenizer.add_tokens(["<fake_token_around_image>", "<image>", "<end_of_utterance>"], special_tokens=True)
    tokenizer.add_tokens(["<global-img>"], special_tokens=True)
    torch.manual_seed(0)
    config = Idefics3Config(
        text_config=TEXT | {"model_type": "llama", "vocab_size": len(tokenizer)},
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "patch_size": 16,
            "image_size": 64,
        },
        scale_factor=2,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=tokenizer.pad_token_id,
    )
    model = Idefics3ForConditionalGeneration(config)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    pixels = Idefics3ImageProcessorPil(
        size={"longest_edge": 64}, max_image_size={"longest_edge": 64}, do_image_splitting=False
    )
    Idefics3Processor(pixels, tokenizer, image_seq_len=4, chat_template=IDEFICS_TEMPLATE).save_pretrained(folder)
