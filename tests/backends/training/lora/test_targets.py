"""A preset trains the layers it names, in every family, by full name: never like-named ones of the other tower."""

import re

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import AutoConfig, AutoModelForImageTextToText

from annotator.errors import BackendError
from backends.training.lora.targets import FAMILIES, PRESETS, targets_of, trainable_report, vision_blocks
from tests.backends.tiny_configs import TINY

# Written out by hand from the models, a layer each; N stands for any number.
LANGUAGE = {
    "model.language_model.layers.N.self_attn.q_proj",
    "model.language_model.layers.N.self_attn.k_proj",
    "model.language_model.layers.N.self_attn.v_proj",
    "model.language_model.layers.N.mlp.gate_proj",
    "model.language_model.layers.N.mlp.up_proj",
    "model.language_model.layers.N.mlp.down_proj",
}
LANGUAGE_OUTPUT = {"model.language_model.layers.N.self_attn.o_proj"}
DELTA = {"model.language_model.layers.N.linear_attn.in_proj_qkv"}
DELTA_OUTPUT = {"model.language_model.layers.N.linear_attn.out_proj"}
DELTA_GATES = {f"model.language_model.layers.N.linear_attn.in_proj_{gate}" for gate in "zba"}
IDEFICS_LANGUAGE = {name.replace("language_model", "text_model") for name in LANGUAGE}
IDEFICS_OUTPUT = {name.replace("language_model", "text_model") for name in LANGUAGE_OUTPUT}
PROJECTOR = {"model.multi_modal_projector.linear_1", "model.multi_modal_projector.linear_2"}
MERGER = {"model.visual.merger.linear_fc1", "model.visual.merger.linear_fc2"}
DEEPSTACK = {"model.visual.deepstack_merger_list.N.linear_fc1", "model.visual.deepstack_merger_list.N.linear_fc2"}
MERGER_MLP = {"model.visual.merger.mlp.0", "model.visual.merger.mlp.2"}
IDEFICS_CONNECTOR = {"model.connector.modality_projection.proj"}


def of_qwen(*mlp):
    return {"model.visual.blocks.N.attn.qkv"}, {
        "model.visual.blocks.N.attn.proj",
        *(f"model.visual.blocks.N.mlp.{name}" for name in mlp),
    }


def of_clip(tower="model.vision_tower.encoder.layers.N", attention="self_attn", output="out_proj"):
    return {f"{tower}.{attention}.{name}_proj" for name in "qkv"}, {
        f"{tower}.{attention}.{output}",
        f"{tower}.mlp.fc1",
        f"{tower}.mlp.fc2",
    }


# targeted, what extended adds in the language model, vision q k v, vision outputs and MLP, connector, gates
EXPECTED = {
    "qwen3_5": (
        LANGUAGE | DELTA,
        LANGUAGE_OUTPUT | DELTA_OUTPUT,
        *of_qwen("linear_fc1", "linear_fc2"),
        MERGER,
        DELTA_GATES,
    ),
    "qwen3_vl": (LANGUAGE, LANGUAGE_OUTPUT, *of_qwen("linear_fc1", "linear_fc2"), MERGER | DEEPSTACK, set()),
    "qwen2_5_vl": (
        LANGUAGE,
        LANGUAGE_OUTPUT,
        *of_qwen("gate_proj", "up_proj", "down_proj"),
        MERGER_MLP,
        set(),
    ),
    "qwen2_vl": (LANGUAGE, LANGUAGE_OUTPUT, *of_qwen("fc1", "fc2"), MERGER_MLP, set()),
    "idefics3": (
        IDEFICS_LANGUAGE,
        IDEFICS_OUTPUT,
        *of_clip("model.vision_model.encoder.layers.N"),
        IDEFICS_CONNECTOR,
        set(),
    ),
    "llava": (LANGUAGE, LANGUAGE_OUTPUT, *of_clip(), PROJECTOR, set()),
    "internvl": (
        LANGUAGE,
        LANGUAGE_OUTPUT,
        *of_clip("model.vision_tower.encoder.layer.N", "attention", "projection_layer"),
        PROJECTOR,
        set(),
    ),
}
EXPECTED["smolvlm"], EXPECTED["llava_next"] = EXPECTED["idefics3"], EXPECTED["llava"]


def a_model(family):
    with torch.device("meta"):
        return AutoModelForImageTextToText.from_config(AutoConfig.for_model(family, **TINY[family][0]))


def patterns(names):
    return {re.sub(r"\.\d+\.", ".N.", name) for name in names}


def lora_names(targets):
    return [name for names in targets.lora.values() for name in names]


def of_preset(family, preset):
    targeted, outputs, sight, sight_rest, connector, gates = EXPECTED[family]
    return {
        "targeted": targeted | connector,
        "hybrid": targeted | connector,
        "extended": targeted | connector | outputs | sight_rest,
        "fada": targeted | outputs | gates | sight | sight_rest,
    }[preset]


def test_the_expectations_cover_all_families():
    assert EXPECTED.keys() == FAMILIES.keys()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_finds_exactly_the_layers_it_names(family, preset):
    model = a_model(family)
    targets = targets_of(model, preset)
    names = lora_names(targets)
    assert patterns(names) == of_preset(family, preset)
    assert len(names) == len(set(names))
    expected = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and patterns([name]) <= of_preset(family, preset)
    ]
    assert sorted(names) == sorted(expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_targeted_leaves_the_vision_tower_alone(family):
    tower = FAMILIES[family].vision_blocks
    assert not [name for name in lora_names(targets_of(a_model(family), "targeted")) if name.startswith(tower)]


@pytest.mark.parametrize("family", FAMILIES)
def test_only_the_head_and_the_connector_are_no_part_of_fada(family):
    model = a_model(family)
    linear = {name for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    left = linear - set(lora_names(targets_of(model, "fada")))
    assert patterns(left) == EXPECTED[family][4] | {"lm_head"}


@pytest.mark.parametrize("family", FAMILIES)
def test_peft_puts_lora_on_what_was_found_and_nothing_else(family):
    model = a_model(family)
    targets = targets_of(model, "extended")
    network = get_peft_model(model, LoraConfig(r=2, lora_alpha=2, target_modules=targets.pattern))
    adapted = {name.partition(".lora_A.")[0] for name, _ in model.named_parameters() if ".lora_A." in name}
    assert adapted == set(lora_names(targets))
    report = trainable_report(network)
    assert {kind: counts["modules"] for kind, counts in report["by_kind"].items()} == {
        kind: len(names) for kind, names in targets.lora.items()
    }
    trained, total = network.get_nb_trainable_parameters()
    assert (report["trained"], report["total"]) == (trained, total)
    assert sum(counts["parameters"] for counts in report["by_kind"].values()) == trained
    assert report["share_percent"] == pytest.approx(100 * trained / total, abs=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_hybrid_trains_embeddings_and_head_in_full(family):
    model = a_model(family)
    targets = targets_of(model, "hybrid")
    body = "text_model" if family in ("idefics3", "smolvlm") else "language_model"
    assert targets.names_in_full == [f"model.{body}.embed_tokens", "lm_head"]
    config = LoraConfig(r=2, target_modules=targets.pattern, modules_to_save=targets.names_in_full)
    by_kind = trainable_report(get_peft_model(model, config))["by_kind"]
    rows = model.get_input_embeddings().weight.numel()
    assert by_kind["embeddings"] == {"parameters": rows, "modules": 1}
    assert by_kind["head"] == {"parameters": rows, "modules": 1}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_blocks_of_the_vision_tower_are_found(family):
    model = a_model(family)
    vision = model.config.vision_config
    assert len(vision_blocks(model)) == getattr(vision, "depth", getattr(vision, "num_hidden_layers", None)) == 2


@pytest.mark.parametrize("family", ["gemma3", "mistral3", "qwen3_5_moe"])
def test_a_family_without_presets_is_refused_with_the_layers_it_has(family):
    with pytest.raises(BackendError) as caught:
        targets_of(a_model(family), "fada")
    line = str(caught.value)
    assert "\n" not in line
    assert family in line
    assert "qwen3_5, " in line
    assert "model.language_model.layers.N.self_attn.q_proj" in line


def test_a_model_that_lacks_a_kind_of_layer_is_refused():
    model = a_model("llava")
    model.model.multi_modal_projector = nn.Identity()
    with pytest.raises(BackendError, match="no connector where preset targeted looks"):
        targets_of(model, "targeted")
