"""A tiny Qwen3.5-VL checkpoint and a LoRA adapter with random weights, in the files that the real ones come in.

The digits are single tokens, as with Qwen. Weights are drawn wide and the head is untied: with the usual narrow
draw a random model repeats one token, and then equal texts prove nothing.
"""

import json
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import Qwen3_5Config, Qwen3_5ForConditionalGeneration
from transformers.models.qwen3_5.tokenization_qwen3_5 import PRETOKENIZE_REGEX, Qwen3_5Tokenizer

MARKERS = {
    "image_token": "<|image_pad|>",
    "video_token": "<|video_pad|>",
    "vision_start_token": "<|vision_start|>",
    "vision_end_token": "<|vision_end|>",
}
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", *MARKERS.values())
LORA_TARGETS = r".*(q_proj|v_proj|in_proj_qkv|out_proj|gate_proj|down_proj|attn\.qkv|linear_fc1)"
CHAT_TEMPLATE = """\
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' }}
{%- if message.content is string %}{{- message.content }}{% else %}
{%- for part in message.content %}
{%- if part.type == 'image' %}{{- '<|vision_start|><|image_pad|><|vision_end|>' }}
{%- else %}{{- part.text }}{% endif %}
{%- endfor %}{% endif %}
{{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}
{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{% endif %}
{%- endif %}
"""
LEARNT_FROM = (
    json.dumps([{"bbox_2d": [1, 20, 300, 1000], "label": "Brain"}, {"bbox_2d": [4, 5, 6, 7], "label": "CSP"}]),
    json.dumps([{"bbox_2d": [1, 2, 3, 4], "label": "cardiac", "mask": [[1, 20], [300, 4], [56, 78]]}]),
    json.dumps([{"keypoints": [[1, 20, 2], [300, 4, 1]], "label": "NTKpoints"}]),
    json.dumps(dict.fromkeys(("anatomical_structures", "fetal_orientation", "imaging_plane"), "fetal head")),
    json.dumps(dict.fromkeys(("biometric_measurements", "gestational_age", "image_quality"), "not measured")),
    json.dumps(dict.fromkeys(("normality_assessment", "clinical_recommendations", "label"), "BPD_PLANE")),
    "Describe this fetal ultrasound frame as a JSON object. Name its view. Draw a box around each structure.",
)


def train_tokenizer() -> Qwen3_5Tokenizer:
    """A byte-level BPE of about 600 tokens, cut into words by the real model's rule."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False)
    bpe.train_from_iterator(LEARNT_FROM * 3, trainer)
    learnt = json.loads(bpe.to_str())["model"]
    tokenizer = Qwen3_5Tokenizer(
        vocab=learnt["vocab"],
        merges=[tuple(merge) for merge in learnt["merges"]],
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=MARKERS,
        chat_template=CHAT_TEMPLATE,
    )
    tokenizer.add_tokens(list(SPECIAL), special_tokens=True)
    tokenizer.add_tokens(["<think>", "</think>"])  # plain tokens there too: they appear in decoded text
    return tokenizer


def tiny_config(tokenizer: Qwen3_5Tokenizer, **text: Any) -> Qwen3_5Config:
    """Four layers, as the real model repeats them: three with a fixed state, one with full attention."""
    rope = {
        "rope_type": "default",
        "rope_theta": 1e7,
        "partial_rotary_factor": 0.25,
        "mrope_section": [2, 1, 1],
        "mrope_interleaved": True,
    }
    body: dict[str, Any] = {
        "vocab_size": len(tokenizer) + 5,  # as in the real model, there are rows that no token uses
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 4,
        "head_dim": 32,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
        "linear_key_head_dim": 16,
        "linear_value_head_dim": 16,
        "initializer_range": 0.15,
        "rope_parameters": rope,
        "eos_token_id": tokenizer.convert_tokens_to_ids("<|endoftext|>"),
    }
    sight = {
        "depth": 3,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_heads": 4,
        "out_hidden_size": 64,
        "num_position_embeddings": 256,
        "initializer_range": 0.1,
    }
    ids = {f"{name}_id": tokenizer.convert_tokens_to_ids(marker) for name, marker in MARKERS.items()}
    return Qwen3_5Config(text_config=body | text, vision_config=sight, tie_word_embeddings=False, **ids)


def make_attentive(model: Qwen3_5ForConditionalGeneration, mixing: float) -> None:
    """Let what was read long ago weigh on the next token: a freshly drawn model forgets within two tokens."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("A_log"):
                weight.uniform_(-7.0, -2.0)
            elif name.endswith(("o_proj.weight", "out_proj.weight")):
                weight.mul_(mixing)


def save_model(
    folder: Path,
    config: Qwen3_5Config,
    tokenizer: Qwen3_5Tokenizer,
    seed: int,
    mixing: float = 4.0,
    dtype: torch.dtype = torch.float32,
) -> int:
    """Draw the weights and write a checkpoint as the hub holds them: processor parts as files of their own.

    Returns the number of weights.
    """
    torch.manual_seed(seed)
    model = Qwen3_5ForConditionalGeneration(config)
    make_attentive(model, mixing)
    ends = [tokenizer.convert_tokens_to_ids(name) for name in ("<|im_end|>", "<|endoftext|>")]
    model.generation_config.eos_token_id = ends
    model.generation_config.pad_token_id = ends[1]
    model.generation_config.do_sample = True  # the published settings sample; whoever wants greedy must say so
    model.generation_config.top_k = 20
    model.to(dtype).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    pixels = {
        "size": {"shortest_edge": 65536, "longest_edge": 16777216},
        "patch_size": 16,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "processor_class": "Qwen3VLProcessor",
    }
    image = pixels | {"image_processor_type": "Qwen2VLImageProcessorFast"}
    video = pixels | {"video_processor_type": "Qwen3VLVideoProcessor"}
    (folder / "preprocessor_config.json").write_text(json.dumps(image))
    (folder / "video_preprocessor_config.json").write_text(json.dumps(video))
    return int(model.num_parameters())


def save_tiny_checkpoint(folder: str | Path, seed: int = 0, **text: Any) -> None:
    """Write a checkpoint of half a million random weights; `text` overrides the language model's shape."""
    tokenizer = train_tokenizer()
    Path(folder).mkdir(parents=True, exist_ok=True)
    save_model(Path(folder), tiny_config(tokenizer, **text), tokenizer, seed)


def save_tiny_adapter(folder: str | Path, base_folder: str | Path, seed: int = 0) -> None:
    """Write a LoRA adapter for that checkpoint, on vision and language, strong enough to change what it says."""
    base = Qwen3_5ForConditionalGeneration.from_pretrained(base_folder, dtype=torch.float32)
    torch.manual_seed(seed)
    config = LoraConfig(r=4, lora_alpha=4, target_modules=LORA_TARGETS, init_lora_weights=False)
    adapted = get_peft_model(base, config)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_" in name:
                weight.normal_(0.0, 0.2)
    adapted.save_pretrained(str(folder))


def resave_as_shards(folder: Path, shards: int = 2) -> None:
    """Split the weights of a checkpoint over several files with an index, as large models come."""
    from safetensors.torch import load_file

    whole = folder / "model.safetensors"
    weights = load_file(whole)
    names = sorted(weights)
    index: dict[str, str] = {}
    for number in range(shards):
        part = f"model-{number + 1:05}-of-{shards:05}.safetensors"
        mine = names[number::shards]
        save_file({name: weights[name] for name in mine}, folder / part, metadata={"format": "pt"})
        index |= dict.fromkeys(mine, part)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    whole.unlink()
