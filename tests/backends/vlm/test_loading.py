"""A model that cannot be used says so in one line; every family that transformers knows can be asked."""

import json
import shutil

import huggingface_hub.constants
import jsonschema
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from annotator.errors import BackendError
from backends.engine import Finish, Phase, Question
from backends.local_vlm import LocalEngine
from backends.vlm import loading
from backends.vlm.processor import ImageOnlyProcessor, load_processor
from tests.tiny_other_vlm import save_tiny_idefics3, save_tiny_qwen
from tests.tiny_vlm import resave_as_shards, save_tiny_adapter, save_tiny_checkpoint

CLASSIFY = Question(
    Phase.CLASSIFY,
    "Name its view.",
    {
        "type": "object",
        "properties": {"label": {"type": "string", "enum": ["BPD_PLANE", "FL"]}},
        "required": ["label"],
        "additionalProperties": False,
    },
    40,
)
GRAY = np.random.default_rng(0).integers(0, 256, (120, 160), dtype=np.uint8)


def copy_of(folder, to):
    shutil.copytree(folder, to)
    return to


def rewrite(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refusal(model, adapter=None, **more):
    with pytest.raises(BackendError) as caught:
        LocalEngine(str(model), str(adapter) if adapter else None, device="cpu", **more)
    line = str(caught.value)
    assert "\n" not in line
    return line


def cut_off(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])


def cut_off_in_the_table(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])


def half_a_download(folder):
    (folder / "model.safetensors").rename(folder / "model.safetensors.incomplete")


def a_missing_shard(folder):
    resave_as_shards(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()


def a_broken_index(folder):
    (folder / "model.safetensors.index.json").write_text("{")


def pickled_weights_only(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def a_missing_tensor(folder):
    weights = load_file(folder / "model.safetensors")
    weights.pop("model.language_model.layers.0.mlp.up_proj.weight")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def no_config(folder):
    (folder / "config.json").unlink()


def no_tokenizer(folder):
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()


def no_pixel_settings(folder):
    (folder / "preprocessor_config.json").unlink()


def no_chat_template(folder):
    (folder / "chat_template.jinja").unlink()


def code_of_its_own(folder):
    rewrite(folder / "config.json", model_type="house_made", auto_map={"AutoConfig": "code.HouseConfig"})


def other_markers(folder):
    rewrite(folder / "config.json", image_token_id=3)


def a_larger_tokenizer(folder):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([f"<{number}>" for number in range(9)])
    tokenizer.save_pretrained(folder)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (cut_off, "model.safetensors: cut off or damaged; download"),
        (cut_off_in_the_table, "cut off or damaged"),
        (half_a_download, "model.safetensors is missing (model.safetensors.incomplete is half a download)"),
        (a_missing_shard, "model-00002-of-00002.safetensors is missing"),
        (a_broken_index, "not a readable index"),
        (pickled_weights_only, "only safetensors weights are read"),
        (a_missing_tensor, "the weights lack 1 tensors"),
        (no_config, "no config.json"),
        (no_tokenizer, "tokenizer"),
        (no_pixel_settings, "preprocessor_config.json"),
        (no_chat_template, "chat_template.jinja"),
        (code_of_its_own, "transformers does not know this model"),
        (other_markers, "which is another model's"),
        (a_larger_tokenizer, "it is another model's"),
    ],
)
def test_a_spoilt_checkpoint_is_refused_in_one_line(checkpoint, tmp_path, spoil, says):
    folder = copy_of(checkpoint, tmp_path / "model")
    spoil(folder)
    line = refusal(folder)
    assert says in line
    assert "model" in line


def test_weights_in_shards_are_the_same_model(checkpoint, tmp_path):
    folder = copy_of(checkpoint, tmp_path / "model")
    resave_as_shards(folder, 3)
    texts = []
    for one in (checkpoint, folder):
        engine = LocalEngine(str(one), device="cpu")
        texts.append(engine.ask([(engine.open([GRAY])[0], Question(Phase.DETECT, "x", None, 12))])[0].text)
    assert texts[0] == texts[1]


def test_an_adapter_for_another_base_is_refused_by_both_names(checkpoint, tmp_path):
    save_tiny_checkpoint(tmp_path / "wide", hidden_size=96)
    save_tiny_checkpoint(tmp_path / "deep", num_hidden_layers=8)
    for other in ("wide", "deep"):
        save_tiny_adapter(tmp_path / f"for_{other}", tmp_path / other)
        line = refusal(checkpoint, tmp_path / f"for_{other}")
        assert f"for_{other}" in line
        assert str(checkpoint) in line
        assert "another base" in line


def test_a_spoilt_adapter_is_refused(adapter, checkpoint, tmp_path):
    folder = copy_of(adapter, tmp_path / "lora")
    cut = folder / "adapter_model.safetensors"
    cut.write_bytes(cut.read_bytes()[:-10])
    assert "cut off" in refusal(checkpoint, folder)
    cut.unlink()
    assert "adapter_model.safetensors is missing" in refusal(checkpoint, folder)
    (folder / "adapter_config.json").unlink()
    assert "no adapter_config.json" in refusal(checkpoint, folder)


def test_a_name_that_leads_nowhere_says_what_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert "no such folder" in refusal(tmp_path / "nothing")
    assert "owner/name" in refusal("just-a-name")
    assert "owner/name" in refusal("owner/na me")
    line = refusal("owner/model", cache=tmp_path)
    assert "owner/model" in line
    assert "put config.json, *.safetensors" in line


def in_the_cache(folder, cache):
    """Lay a checkpoint down as the hub's client would have."""
    held = cache / "models--owner--tiny"
    (held / "refs").mkdir(parents=True)
    (held / "refs" / "main").write_text("0" * 40)
    return copy_of(folder, held / "snapshots" / ("0" * 40))


def test_what_was_downloaded_once_is_used_without_a_network(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    snapshot = in_the_cache(checkpoint, tmp_path)
    found = loading.find("owner/tiny", cache=tmp_path)
    assert found.folder == snapshot
    assert found.sha256 == loading.find(str(checkpoint)).sha256
    (snapshot / "model.safetensors").unlink()
    line = refusal("owner/tiny", cache=tmp_path)
    assert "owner/tiny: cannot be downloaded" in line or "model.safetensors is missing" in line


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"device": "cuda"}, "--device cpu"),
        ({"device": "abacus"}, "no device 'abacus'"),
        ({"device": "cpu", "load_in_4bit": True}, "4-bit"),
    ],
)
def test_a_device_that_is_not_there_is_named(checkpoint, options, says):
    if options["device"] == "cuda" and torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(BackendError, match=says):
        LocalEngine(str(checkpoint), **options)


def test_a_processor_saved_in_one_file_loads_too(checkpoint, tmp_path):
    split = load_processor(checkpoint, "qwen3_5")
    split.save_pretrained(tmp_path)
    assert (tmp_path / "processor_config.json").is_file()
    assert not (tmp_path / "preprocessor_config.json").is_file()
    whole = load_processor(tmp_path, "qwen3_5")
    assert isinstance(whole, ImageOnlyProcessor)
    text = ["<|vision_start|><|image_pad|><|vision_end|>"]
    batches = [one(text=text, images=[GRAY[..., None].repeat(3, 2)], return_tensors="pt") for one in (split, whole)]
    assert set(batches[0]) == {"input_ids", "attention_mask", "mm_token_type_ids", "pixel_values", "image_grid_thw"}
    assert all(torch.equal(batches[0][name], batches[1][name]) for name in batches[0])


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen3_vl", "idefics3"])
def test_another_family_can_stand_in(family, tmp_path):
    if family == "idefics3":
        save_tiny_idefics3(tmp_path)
    else:
        save_tiny_qwen(tmp_path, family)
    engine = LocalEngine(str(tmp_path), device="cpu")
    handles = engine.open([GRAY, GRAY[:100, :100]])
    asked = [(handle, one) for handle in handles for one in (CLASSIFY, Question(Phase.DETECT, "Go on", None, 9))]
    answers = engine.ask(asked)
    for bound in answers[::2]:
        assert bound.finish is Finish.STOP
        jsonschema.validate(json.loads(bound.text), CLASSIFY.answer_schema)
        assert {token.log_probability is None for token in bound.tokens} == {True, False}
    assert all(answer.text for answer in answers)
