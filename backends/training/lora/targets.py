"""Which layers a preset trains, by their full names in each family: a bare suffix would hit the vision tower too.

Presets after the captioning study, whose wording names kinds of layers; ranks are not in it: 16, and alpha 32 as in
its LLaVA runs (scaling 2). FADA's own is r = alpha = 16 on attention and MLP of vision and language.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from annotator.errors import BackendError

EMBEDDINGS, HEAD = "embeddings", "head"
CONNECTOR = "connector"
TARGETED = ("language q k v", "language mlp", CONNECTOR)
OUTPUTS = ("language attention output", "vision attention output", "vision mlp")
FADA = (
    "language q k v",
    "language gates",
    "language attention output",
    "language mlp",
    "vision q k v",
    "vision attention output",
    "vision mlp",
)


@dataclass(frozen=True)
class Preset:
    """LoRA on some kinds of layers, and kinds that are trained in full."""

    kinds: tuple[str, ...]
    rank: int
    alpha: int
    dropout: float
    in_full: tuple[str, ...] = ()


PRESETS: Mapping[str, Preset] = {
    "targeted": Preset(TARGETED, 16, 32, 0.0),
    "extended": Preset((*TARGETED, *OUTPUTS), 16, 32, 0.0),
    "hybrid": Preset(TARGETED, 16, 32, 0.0, in_full=(EMBEDDINGS, HEAD)),
    "fada": Preset(FADA, 16, 16, 0.0),
}


@dataclass(frozen=True)
class Family:
    """Regular expressions over full module names, by kind of layer; the name of the list of vision blocks."""

    kinds: Mapping[str, str]
    vision_blocks: str


def _language(body: str) -> dict[str, str]:
    layer = rf"{body}\.layers\.\d+"
    return {
        "language q k v": rf"{layer}\.self_attn\.(q|k|v)_proj",
        "language attention output": rf"{layer}\.self_attn\.o_proj",
        "language mlp": rf"{layer}\.mlp\.(gate|up|down)_proj",
        EMBEDDINGS: rf"{body}\.embed_tokens",
        HEAD: "lm_head",
    }


def _hybrid_language(body: str) -> dict[str, str]:
    """Qwen3.5: three of four layers are gated delta nets, whose q, k and v are one matrix."""
    layer, kinds = rf"{body}\.layers\.\d+", _language(body)
    return kinds | {
        "language q k v": rf"{layer}\.(self_attn\.(q|k|v)_proj|linear_attn\.in_proj_qkv)",
        "language attention output": rf"{layer}\.(self_attn\.o_proj|linear_attn\.out_proj)",
        "language gates": rf"{layer}\.linear_attn\.in_proj_(z|b|a)",
    }


def _qwen(mlp: str, connector: str, language: Mapping[str, str] | None = None) -> Family:
    block = r"model\.visual\.blocks\.\d+"
    sight = {
        "vision q k v": rf"{block}\.attn\.qkv",
        "vision attention output": rf"{block}\.attn\.proj",
        "vision mlp": rf"{block}\.mlp\.({mlp})",
        CONNECTOR: rf"model\.visual\.{connector}",
    }
    return Family({**(language or _language(r"model\.language_model")), **sight}, "model.visual.blocks")


def _clip_like(tower: str, body: str, connector: str) -> Family:
    block = rf"{tower}\.encoder\.layers\.\d+"
    sight = {
        "vision q k v": rf"{block}\.self_attn\.(q|k|v)_proj",
        "vision attention output": rf"{block}\.self_attn\.out_proj",
        "vision mlp": rf"{block}\.mlp\.fc(1|2)",
        CONNECTOR: connector,
    }
    return Family({**_language(body), **sight}, f"{tower}.encoder.layers".replace("\\", ""))


def _internvl() -> Family:
    block = r"model\.vision_tower\.encoder\.layer\.\d+"
    sight = {
        "vision q k v": rf"{block}\.attention\.(q|k|v)_proj",
        "vision attention output": rf"{block}\.attention\.projection_layer",
        "vision mlp": rf"{block}\.mlp\.fc(1|2)",
        CONNECTOR: PROJECTOR,
    }
    return Family({**_language(r"model\.language_model"), **sight}, "model.vision_tower.encoder.layer")


PROJECTOR = r"model\.multi_modal_projector\.linear_(1|2)"
LINEAR_FC, DEEPSTACK = "linear_fc(1|2)", r"(merger|deepstack_merger_list\.\d+)\.linear_fc(1|2)"
_LLAVA = _clip_like(r"model\.vision_tower", r"model\.language_model", PROJECTOR)
_IDEFICS3 = _clip_like(r"model\.vision_model", r"model\.text_model", r"model\.connector\.modality_projection\.proj")
FAMILIES: Mapping[str, Family] = {
    "qwen3_5": _qwen(LINEAR_FC, r"merger\.linear_fc(1|2)", _hybrid_language(r"model\.language_model")),
    "qwen3_vl": _qwen(LINEAR_FC, DEEPSTACK),
    "qwen2_5_vl": _qwen("(gate|up|down)_proj", r"merger\.mlp\.(0|2)"),
    "qwen2_vl": _qwen("fc(1|2)", r"merger\.mlp\.(0|2)"),
    "idefics3": _IDEFICS3,
    "smolvlm": _IDEFICS3,
    "llava": _LLAVA,
    "llava_next": _LLAVA,
    "internvl": _internvl(),
}


@dataclass(frozen=True)
class Targets:
    """The modules of one model that a preset trains, by kind: those with LoRA, and those trained in full."""

    lora: Mapping[str, tuple[str, ...]]
    in_full: Mapping[str, tuple[str, ...]]
    pattern: str

    @property
    def names_in_full(self) -> list[str]:
        """Modules trained in full, by full name."""
        return [name for names in self.in_full.values() for name in names]


def family_of(model: Any) -> Family:
    """Return what is known of a model's family; BackendError, with the layers it has, where nothing is."""
    family = FAMILIES.get(model.config.model_type)
    if family is None:
        layers = ", ".join(sorted({re.sub(r"\.\d+\.", ".N.", name) for name in _linear_names(model)}))
        known = ", ".join(FAMILIES)
        raise BackendError(
            f"no preset knows the family {model.config.model_type} (known: {known}); its linear layers are {layers}"
        )
    return family


def targets_of(model: Any, preset_name: str) -> Targets:
    """Return the modules that a preset trains; BackendError where the family is unknown or a kind has no layer."""
    preset, family = PRESETS[preset_name], family_of(model)
    wanted = [kind for kind in preset.kinds if kind in family.kinds]  # only Qwen3.5 has gates
    by_kind = {kind: _matching(model, family.kinds[kind]) for kind in (*wanted, *preset.in_full)}
    empty = [kind for kind, names in by_kind.items() if not names]
    if empty:
        raise BackendError(
            f"this {model.config.model_type} has no {empty[0]} where preset {preset_name} looks for it"
        )
    pattern = "|".join(f"(?:{family.kinds[kind]})" for kind in wanted)
    return Targets(
        {kind: by_kind[kind] for kind in wanted}, {kind: by_kind[kind] for kind in preset.in_full}, pattern
    )


def _linear_names(model: Any) -> Iterator[str]:
    return (name for name, module in model.named_modules() if isinstance(module, nn.Linear))


def _matching(model: Any, pattern: str) -> tuple[str, ...]:
    modules: Iterator[tuple[str, nn.Module]] = model.named_modules()
    found = (nn.Linear, nn.Embedding)
    return tuple(name for name, one in modules if isinstance(one, found) and re.fullmatch(pattern, name))


def trainable_report(model: Any) -> dict[str, Any]:
    """Count what is trained: parameters, their share of all in percent, and parameters and modules by kind.

    `model` is a network with an adapter, as peft wraps it. Weights that two modules share count once.
    """
    base = model.get_base_model()
    family = family_of(base)
    by_kind: dict[str, dict[str, int]] = {}
    modules: set[str] = set()
    for name, weight in base.named_parameters():
        if weight.requires_grad:
            module = re.sub(r"\.(lora_\w+|modules_to_save)\..*|\.weight$", "", name)
            kind = next((kind for kind, pattern in family.kinds.items() if re.fullmatch(pattern, module)), "other")
            counts = by_kind.setdefault(kind, {"parameters": 0, "modules": 0})
            counts["parameters"] += weight.numel()
            counts["modules"] += module not in modules
            modules.add(module)
    trained = sum(counts["parameters"] for counts in by_kind.values())
    total = sum(weight.numel() for weight in base.parameters())
    return {
        "trained": trained,
        "total": total,
        "share_percent": round(100 * trained / total, 4),
        "by_kind": by_kind,
    }


def vision_width(model: Any) -> int:
    """Return how many numbers a vision block gives per patch; configurations call it by different names."""
    pattern = family_of(model).kinds["vision q k v"]
    return next(int(module.in_features) for name, module in model.named_modules() if re.fullmatch(pattern, name))


def vision_blocks(model: Any) -> list[torch.nn.Module]:
    """Return the blocks of the vision tower, first to last."""
    return list(model.get_submodule(family_of(model).vision_blocks))
