"""A conversation is learnt exactly as the model is asked later, alone or beside others."""

import dataclasses

import pytest
import torch
from PIL import Image

from annotator.errors import InputError
from backends.engine import Phase
from backends.training.lora.batches import Encoder, collate
from backends.training.lora.conversations import read_conversations
from backends.training.lora.student import load_student
from backends.vlm import loading
from backends.vlm.processor import chat, split_chat
from tests.backends.training.lora.builders import a_line, a_request, some_lines, with_answer, write_conversations
from tests.tiny_other_vlm import save_tiny_idefics3, save_tiny_qwen


def a_student(model, data, **changes):
    request = a_request(data, model, data / "out", **changes)
    student = load_student(request, loading.find(str(model)), None)
    return student, Encoder(student.processor, student.base, request.image_max_side_px)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    lines = some_lines(count=10)
    lines[4] = with_answer(lines[4], "[]")
    return write_conversations(tmp_path_factory.mktemp("data"), lines)


@pytest.fixture(scope="module")
def taught(checkpoint, data):
    return a_student(checkpoint, data)


@pytest.fixture(scope="module")
def conversations(data):
    return read_conversations(data).learnt


def test_the_question_is_what_inference_prefills_and_the_answer_follows_it(taught, conversations):
    """Also the closed think block, which this template puts before an answer, is asked and not learnt."""
    student, encoder = taught
    tokenizer = student.processor.tokenizer
    for conversation in conversations[:5]:
        encoded = encoder.encode(conversation)
        ids = encoded.inputs["input_ids"][0].tolist()
        before, after = split_chat(student.processor, conversation.prompt)
        image = Image.open(conversation.image).convert("RGB")
        prefix = student.processor(text=[before], images=[image], return_tensors="pt")["input_ids"][0].tolist()
        suffix = tokenizer(after, add_special_tokens=False)["input_ids"]
        assert after.endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")
        assert ids[: encoded.answer_start] == prefix + suffix
        assert tokenizer.decode(ids[encoded.answer_start :]) == conversation.answer + "<|im_end|>"


def test_question_and_answer_are_what_the_processor_makes_of_both_in_one(taught, conversations):
    student, encoder = taught
    for conversation in conversations[:5]:
        encoded = encoder.encode(conversation)
        text = chat(student.processor, conversation.prompt) + conversation.answer + "<|im_end|>"
        image = Image.open(conversation.image).convert("RGB")
        whole = student.processor(text=[text], images=[image], return_tensors="pt")
        assert encoded.inputs.keys() == whole.keys()
        for name, part in whole.items():
            assert torch.equal(encoded.inputs[name], part), name


def test_the_length_of_a_conversation_is_told_without_its_pixels(taught, conversations):
    _, encoder = taught
    assert [encoder.length(one) for one in conversations] == [encoder.encode(one).length for one in conversations]


def test_a_conversation_costs_the_same_alone_and_beside_one_or_four_others(taught, conversations):
    student, encoder = taught
    rows = [encoder.encode(one) for one in conversations]
    assert len({row.length for row in rows}) > 3
    assert len({row.inputs["pixel_values"].shape[0] for row in rows}) == 3
    with torch.no_grad():
        alone, by_two, by_five = (
            torch.cat(
                [
                    student.answer_losses(collate(rows[start : start + size], student.pad_token))
                    for start in range(0, 10, size)
                ]
            )
            for size in (1, 2, 5)
        )
    torch.testing.assert_close(by_two, alone, rtol=1e-5, atol=0)
    torch.testing.assert_close(by_five, alone, rtol=1e-5, atol=0)
    assert alone.std() > 0.05  # else equality would prove little


def test_the_loss_is_that_of_transformers_with_all_but_the_answer_masked(taught, conversations):
    student, encoder = taught
    row = encoder.encode(conversations[0])
    labels = row.inputs["input_ids"].clone()
    labels[:, : row.answer_start] = -100
    with torch.no_grad():
        expected = student.base(**row.inputs, labels=labels, use_cache=False).loss
        found = student.answer_losses(collate([row], student.pad_token))[0]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)


def test_a_long_answer_counts_no_more_than_a_short_one(taught, data):
    """The mean is over conversations: twice the same words cost about what they cost once, not twice."""
    student, encoder = taught
    short = read_conversations(data).learnt[1]
    rows = [encoder.encode(one) for one in (short, dataclasses.replace(short, answer=short.answer * 2))]
    lengths = [row.length - row.answer_start for row in rows]
    assert lengths[1] > 1.8 * lengths[0]
    with torch.no_grad():
        once, twice = student.answer_losses(collate(rows, student.pad_token)).tolist()
    assert twice < 1.2 * once


def test_what_pads_a_row_gets_no_part_in_the_loss(taught, conversations):
    student, encoder = taught
    rows = sorted((encoder.encode(one) for one in conversations[:2]), key=lambda row: row.length)
    batch = collate(rows, student.pad_token)
    ids = batch.inputs["input_ids"].clone()
    assert (batch.inputs["attention_mask"][0, rows[0].length :] == 0).all()
    ids[0, rows[0].length :] = 3
    other = dataclasses.replace(batch, inputs={**batch.inputs, "input_ids": ids})
    with torch.no_grad():
        assert torch.equal(student.answer_losses(batch), student.answer_losses(other))


def save_family(folder, family):
    if family == "idefics3":
        save_tiny_idefics3(folder)
    else:
        save_tiny_qwen(folder, family)


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen3_vl", "idefics3"])
def test_other_families_are_taught_in_the_same_way(tmp_path, data, conversations, family):
    save_family(tmp_path / family, family)
    student, encoder = a_student(tmp_path / family, data)
    rows = [encoder.encode(one) for one in conversations[:3]]
    assert [encoder.length(one) for one in conversations[:3]] == [row.length for row in rows]
    with torch.no_grad():
        alone = torch.cat([student.answer_losses(collate([row], student.pad_token)) for row in rows])
    together = student.answer_losses(collate(rows, student.pad_token))
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=0)
    asked = student.processor.tokenizer.decode(rows[0].inputs["input_ids"][0, : rows[0].answer_start])
    assert asked.endswith(chat(student.processor, conversations[0].prompt)[-12:])
    together.mean().backward()
    assert any(weight.grad is not None and weight.grad.any() for _, weight in student.trained())


def test_an_image_that_cannot_be_read_is_named(taught, tmp_path):
    _, encoder = taught
    data = write_conversations(tmp_path, [a_line(0, "detect"), a_line(1, "detect")])
    no_image, cut = read_conversations(data).learnt
    no_image.image.write_bytes(b"no image")
    cut.image.write_bytes(cut.image.read_bytes()[:-400])
    for ask, conversation in ((encoder.length, no_image), (encoder.encode, no_image), (encoder.encode, cut)):
        with pytest.raises(InputError, match=conversation.image.name):
            ask(conversation)


def test_a_strip_that_no_model_takes_is_named(taught, tmp_path):
    _, encoder = taught
    data = write_conversations(tmp_path, [a_line(0, "detect")])
    Image.new("L", (1000, 2)).save(data / "images" / f"{0:032x}.png")
    with pytest.raises(InputError, match="too narrow"):
        encoder.length(read_conversations(data).learnt[0])


def test_tasks_and_images_stay_with_their_rows(taught, conversations):
    _, encoder = taught
    batch = collate([encoder.encode(one) for one in conversations[:3]], 0)
    assert batch.tasks == (Phase.INTERPRET, Phase.CLASSIFY, Phase.DETECT)
    assert batch.image_ids == tuple(one.image_id for one in conversations[:3])
