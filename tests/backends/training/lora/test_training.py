"""`train fada` on the tiny model: it learns, and the engine says what it learnt."""

import json
import shutil

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import Qwen3_5ForConditionalGeneration

from annotator.errors import BackendError, InputError
from backends.engine import Finish
from backends.training.lora.fitting import Fitting
from backends.training.lora.student import Student
from backends.training.lora.training import train_lora
from tests.backends.training.lora.builders import (
    ANSWERS,
    a_line,
    a_request,
    answers_of,
    save_tied,
    weights_in,
    with_answer,
    write_conversations,
    write_teacher_cache,
)
from tests.tiny_vlm import save_tiny_adapter


def test_thirty_steps_lower_the_task_loss(tmp_path, checkpoint, data):
    told = []
    request = a_request(data, checkpoint, tmp_path / "out", steps=30, checkpoint_every=100)
    result = train_lora(request, on_progress=lambda *one: told.append(one) or True)
    losses = [row["task"] for row in result["curve"]]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    assert [(step, total) for step, total, _ in told] == [(step, 30) for step in range(1, 31)]
    assert told[0][2] == f"epoch 1: task {losses[0]:.4f}"
    assert result["curve"][-1]["epoch"] == 8  # seven conversations, two a step: four steps an epoch
    assert [row["conversations"] for row in result["curve"][:4]] == [2, 2, 2, 1]


@pytest.mark.parametrize(("preset", "rate"), [("fada", 1e-2), ("hybrid", 5e-3)])
def test_the_engine_says_what_was_taught(tmp_path, checkpoint, preset, rate):
    """So the question that is trained is the one that is asked, and the answer's end is one that ends it."""
    data = write_conversations(tmp_path / "data", [a_line(1, "interpret"), a_line(1, "classify")])
    before = answers_of(checkpoint, None, data)
    request = a_request(data, checkpoint, tmp_path / "out", steps=25, learning_rate=rate, preset=preset)
    train_lora(request)
    after = answers_of(checkpoint, tmp_path / "out", data)
    assert [one.text for one in after] == [ANSWERS["interpret"], ANSWERS["classify"]]
    assert [one.finish for one in after] == [Finish.STOP, Finish.STOP]
    assert all(one.text not in ANSWERS.values() for one in before)


def test_a_head_that_is_the_embedding_is_trained_as_one_and_stays_so(tmp_path, checkpoint):
    tied = save_tied(tmp_path / "tied", checkpoint)
    data = write_conversations(tmp_path / "data", [a_line(1, "interpret"), a_line(1, "classify")])
    request = a_request(data, tied, tmp_path / "out", steps=25, preset="hybrid")
    report = train_lora(request)["trained"]
    assert "head" not in report["by_kind"]  # counted once, as embeddings
    assert report["by_kind"]["embeddings"]["modules"] == 1
    saved = {name: one for name, one in weights_in(tmp_path / "out").items() if "lora_" not in name}
    (embedding, head) = (
        saved[f"base_model.model.{name}.weight"] for name in ("model.language_model.embed_tokens", "lm_head")
    )
    assert torch.equal(embedding, head)
    original = load_file(tied / "model.safetensors")["model.language_model.embed_tokens.weight"]
    assert not torch.equal(embedding, original)
    assert [one.text for one in answers_of(tied, tmp_path / "out", data)] == [
        ANSWERS["interpret"],
        ANSWERS["classify"],
    ]


def test_peft_reads_what_was_written(whole, checkpoint):
    out, _ = whole
    base = Qwen3_5ForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32)
    loaded = PeftModel.from_pretrained(base, str(out))
    stored, held = weights_in(out), dict(loaded.named_parameters())
    assert any(one.any() for name, one in stored.items() if "lora_B" in name)
    for name, one in stored.items():
        assert torch.equal(held[name.replace(".weight", ".default.weight")], one)


def test_what_a_run_was_is_written_beside_the_adapter(whole, data):
    out, result = whole
    described = json.loads((out / "training.json").read_text())
    assert result == {"cancelled": False} | described
    assert described["lora"] == {"rank": 16, "alpha": 16, "dropout": 0.1}
    assert described["data"]["conversations"] == {
        "classify": 2,
        "detect": 1,
        "interpret": 2,
        "keypoints": 1,
        "segment": 1,
    }
    assert len(described["curve"]) == described["steps"] == 5
    told = described["distillation"]
    assert told["teacher_weights"] == pytest.approx({"usf_mae": 4 / 7, "ultra_fed_fm": 3 / 7})
    assert told["student_blocks"]["usf_mae_layer11"] == 2
    assert (told["conversations"], told["conversations_without_features"]) == (3, 1)
    features = [row["feature"] for row in described["curve"] if row["feature"] is not None]
    assert all(0.3 < one < 1.7 for one in features)
    assert sorted(path.name for path in out.iterdir()) == [
        "MODEL_CARD.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "training.json",
    ]


def test_the_card_tells_the_licences_of_the_teachers(tmp_path, checkpoint, data, whole):
    card = (whole[0] / "MODEL_CARD.md").read_text()
    assert "| usf_mae | 0.57 | MIT | no |" in card
    assert "not settled" not in card
    cache = write_teacher_cache(tmp_path / "cache.h5", images=7, teachers=("fetal_clip", "usf_mae"))
    request = a_request(data, checkpoint, tmp_path / "out", steps=1, distill="full", teacher_cache=cache)
    assert train_lora(request)["curve"][0]["distilled"] == 2
    card = (tmp_path / "out" / "MODEL_CARD.md").read_text()
    assert "| fetal_clip | 0.67 | CC BY-NC 4.0 (CC BY-NC-ND 4.0 before 2026-02-05) | **yes** |" in card
    assert "treat this adapter as non-commercial" in card


def test_the_same_seed_gives_the_same_weights_and_another_one_others(tmp_path, checkpoint, data, distilling, whole):
    request = a_request(data, checkpoint, tmp_path / "out", **(distilling | {"seed": 1}))
    result = train_lora(request)
    assert result["curve"] != whole[1]["curve"]


def test_accumulated_steps_are_those_of_one_large_batch(tmp_path, checkpoint, data):
    for name, batch, accumulation in (("large", 4, 1), ("small", 1, 4)):
        request = a_request(data, checkpoint, tmp_path / name, steps=1, batch=batch, accumulation=accumulation)
        train_lora(request)
    curves = [
        json.loads((tmp_path / name / "training.json").read_text())["curve"][0] for name in ("large", "small")
    ]
    assert curves[0]["task"] == pytest.approx(curves[1]["task"], rel=1e-5)
    assert curves[0]["gradient_norm"] == pytest.approx(curves[1]["gradient_norm"], rel=1e-4)


def test_checkpointed_activations_change_nothing_but_the_memory(tmp_path, checkpoint, data, distilling):
    norms = []
    for on in (True, False):
        changes = distilling | {"steps": 1, "dropout": 0.0, "gradient_checkpointing": on}
        request = a_request(data, checkpoint, tmp_path / str(on), **changes)
        norms.append(train_lora(request)["curve"][0])
    assert norms[0] == pytest.approx(norms[1], rel=1e-4)


def test_in_bf16_the_weights_that_learn_stay_in_full_precision(tmp_path, checkpoint, data, distilling):
    request = a_request(data, checkpoint, tmp_path / "out", **(distilling | {"precision": "bf16", "steps": 2}))
    result = train_lora(request)
    assert result["environment"]["precision"] == "bfloat16"
    assert all(one.dtype == torch.float32 for one in weights_in(tmp_path / "out").values())
    assert result["curve"][0]["task"] == pytest.approx(7, abs=1)


def test_training_goes_on_from_an_adapter(tmp_path, checkpoint, data):
    first = a_request(data, checkpoint, tmp_path / "first", steps=8, rank=4, alpha=8)
    before = train_lora(first)
    second = a_request(
        data, checkpoint, tmp_path / "second", steps=4, adapter=tmp_path / "first", learning_rate=1e-3
    )
    after = train_lora(second)
    assert after["lora"] == {"rank": 4, "alpha": 8, "dropout": 0.0}
    assert after["parent"]["name"] == str(tmp_path / "first")
    assert after["curve"][0]["task"] < 0.9 * before["curve"][0]["task"]
    assert weights_in(tmp_path / "second").keys() == weights_in(tmp_path / "first").keys()
    for part, value in (("rank", 8), ("alpha", 4), ("dropout", 0.5)):
        with pytest.raises(InputError, match=f"has {part} "):
            train_lora(second.model_copy(update={"out": tmp_path / "third", part: value}))


def test_an_adapter_keeps_its_layers_and_one_of_another_base_is_refused(tmp_path, checkpoint, data):
    save_tiny_adapter(tmp_path / "other", checkpoint)
    made = train_lora(a_request(data, checkpoint, tmp_path / "on", adapter=tmp_path / "other", steps=1))
    assert made["preset"] is None
    assert weights_in(tmp_path / "on").keys() == weights_in(tmp_path / "other").keys()
    request = a_request(data, checkpoint, tmp_path / "out", adapter=tmp_path / "other", preset="fada")
    with pytest.raises(InputError, match="has other layers than preset fada"):
        train_lora(request)
    weights = weights_in(tmp_path / "other")
    gone = min(weights)
    save_file(
        {name: one for name, one in weights.items() if name != gone},
        tmp_path / "other" / "adapter_model.safetensors",
    )
    with pytest.raises(BackendError, match=f"lacks weights that its config names: {gone}"):
        train_lora(a_request(data, checkpoint, tmp_path / "out", adapter=tmp_path / "other"))
    weights["base_model.model.model.language_model.layers.9.mlp.up_proj.lora_A.weight"] = torch.ones(4, 64)
    save_file(weights, tmp_path / "other" / "adapter_model.safetensors")
    with pytest.raises(BackendError, match="made for another base"):
        train_lora(a_request(data, checkpoint, tmp_path / "out", adapter=tmp_path / "other"))


def test_conversations_that_are_too_long_are_left_out_whole(tmp_path, checkpoint):
    long = with_answer(a_line(2, "interpret"), json.dumps({"image_quality": "good " * 200}))
    data = write_conversations(tmp_path / "data", [a_line(0, "detect"), a_line(1, "classify"), long])
    result = train_lora(a_request(data, checkpoint, tmp_path / "out", steps=1, max_tokens=250))
    assert result["data"]["left_out"] == {"longer than 250 tokens": 1}
    assert result["data"]["conversations"] == {"classify": 1, "detect": 1}
    with pytest.raises(InputError, match="all 3 conversations are longer than 20 tokens"):
        train_lora(a_request(data, checkpoint, tmp_path / "short", max_tokens=20))


def test_conversations_of_one_task_only_are_learnt_with_a_warning(tmp_path, checkpoint):
    data = write_conversations(tmp_path / "data", [a_line(0, "detect"), a_line(1, "detect")])
    result = train_lora(a_request(data, checkpoint, tmp_path / "out", steps=1))
    assert result["warnings"] == ["All conversations are of one task, detect: the model may unlearn the others."]
    assert result["warnings"][0] in (tmp_path / "out" / "MODEL_CARD.md").read_text()


def test_a_rate_that_blows_the_weights_up_is_said(tmp_path, checkpoint, data, monkeypatch):
    real = Student.answer_losses
    monkeypatch.setattr(Student, "answer_losses", lambda student, batch: real(student, batch) * float("nan"))
    with pytest.raises(BackendError, match="the loss is no number at step 1; lower the rate"):
        train_lora(a_request(data, checkpoint, tmp_path / "out"))


def test_a_tokenizer_of_another_model_is_refused(tmp_path, checkpoint, data):
    from transformers import AutoTokenizer

    model = shutil.copytree(checkpoint, tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.add_tokens([f"<{number}>" for number in range(9)])
    tokenizer.save_pretrained(model)
    with pytest.raises(BackendError, match="it is another model's"):
        train_lora(a_request(data, model, tmp_path / "out"))


def test_every_conversation_is_seen_once_an_epoch_in_an_order_of_its_own(checkpoint, data):
    class Numbers(Fitting):
        def __post_init__(self):
            pass

    request = a_request(data, checkpoint, data / "out")
    fitting = Numbers(None, None, list(range(7)), request, None)
    epochs = []
    for epoch in range(3):
        seen = []
        for step in range(4):
            fitting.step = 4 * epoch + step
            seen += fitting._chosen()
        epochs.append(seen)
    assert all(sorted(seen) == list(range(7)) for seen in epochs)
    assert len({tuple(seen) for seen in epochs}) == 3
