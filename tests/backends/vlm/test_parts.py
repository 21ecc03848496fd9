"""The parts of the engine, each against something that was not written here."""

import numpy as np
import pytest
import torch
from torch import nn
from transformers.models.qwen3_5.modeling_qwen3_5 import torch_recurrent_gated_delta_rule

from annotator.errors import BackendError
from backends.engine import Finish, Phase, Question
from backends.local_vlm import LocalEngine
from backends.vlm.cpu import PackedLinear
from backends.vlm.devices import Halving, is_out_of_memory
from backends.vlm.drafts import text_and_spans
from backends.vlm.packed import delta_chunk, lay_out


@pytest.mark.parametrize("width", [1, 2, 7, 64])
def test_the_delta_rule_is_that_of_transformers(width):
    torch.manual_seed(width)
    query, key, value = (torch.randn(2, width, 3, 8) for _ in range(3))
    write, log_decay = torch.rand(2, width, 3), -torch.rand(2, width, 3)
    memory = torch.randn(2, 3, 8, 8)
    expected, expected_memory = torch_recurrent_gated_delta_rule(
        query, key, value, g=log_decay, beta=write, initial_state=memory, output_final_state=True,
        use_qk_l2norm_in_kernel=True,
    )  # fmt: skip
    query, key = (part / (part.pow(2).sum(-1, keepdim=True) + 1e-6).sqrt() for part in (query, key))
    heads_first = [part.transpose(1, 2) for part in (query / 8**0.5, key, value, write, log_decay)]
    out = delta_chunk(memory, *heads_first)
    torch.testing.assert_close(out.transpose(1, 2), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(memory, expected_memory, rtol=1e-4, atol=1e-5)


def test_padding_leaves_the_memory_alone():
    torch.manual_seed(0)
    query, key, value = (torch.randn(1, 2, 5, 4) for _ in range(3))
    write, log_decay = torch.rand(1, 2, 5), -torch.rand(1, 2, 5)
    whole = torch.randn(1, 2, 4, 4)
    part = whole.clone()
    write[..., 3:], log_decay[..., 3:] = 0.0, 0.0
    delta_chunk(whole, query, key, value, write, log_decay)
    delta_chunk(part, *(one[:, :, :3] for one in (query, key, value, write, log_decay)))
    torch.testing.assert_close(whole, part)


def test_packed_tokens_are_spread_over_rows_and_gathered_again():
    layout = lay_out([2, 1, 3], torch.device("cpu"))
    packed = torch.arange(1, 7).float()[:, None]
    spread = layout.spread(packed)
    assert spread[..., 0].tolist() == [[1, 2, 0], [3, 0, 0], [4, 5, 6]]
    assert torch.equal(layout.gather(spread), packed)
    even = lay_out([2, 2], torch.device("cpu"))
    assert torch.equal(even.gather(even.spread(packed[:4])), packed[:4])


@pytest.mark.parametrize("shape", [(1, 16), (5, 16), (2, 7, 16), (100, 16)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("both", [True, False])
def test_a_packed_linear_layer_computes_the_same(shape, bias, both):
    torch.manual_seed(0)
    linear = nn.Linear(16, 24, bias=bias)
    inputs = torch.randn(shape)
    with torch.inference_mode():
        torch.testing.assert_close(PackedLinear(linear, both=both)(inputs), linear(inputs), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("text", ["plain", "Fötus 3 µm", "胎兒 😀!", ""])
def test_text_is_cut_into_tokens_at_any_byte(text):
    pieces = [bytes([byte]) for byte in text.encode()]
    found, spans = text_and_spans(pieces)
    assert found == text
    assert spans == [(place, place + 1) for place, letter in enumerate(text) for _ in letter.encode()]


def test_bytes_that_are_no_text_decode_as_in_transformers():
    pieces = [b"a\xe2\x82", b"b", b"\xff", b"", b"\xf0\x9f"]
    text, spans = text_and_spans(pieces)
    assert text == b"".join(pieces).decode("utf-8", "replace")
    assert spans[0][0] == 0
    assert spans[-1][1] == len(text)


def out_of_memory_above(limit):
    asked = []

    def work(batch):
        asked.append(len(batch))
        if len(batch) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return [item * 2 for item in batch]

    return work, asked


def test_a_batch_that_does_not_fit_is_halved_for_good():
    work, asked = out_of_memory_above(3)
    batches = Halving(16)
    assert list(batches.run(list(range(10)), work)) == [item * 2 for item in range(10)]
    assert asked == [10, 5, 2, 2, 2, 2, 2]
    assert batches.size == 2


def test_what_fits_not_even_alone_is_one_clear_line():
    work, _ = out_of_memory_above(0)
    with pytest.raises(BackendError, match="out of memory even for one at a time"):
        list(Halving(4).run([1, 2], work))


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (MemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("MPS backend out of memory"), True),
        (RuntimeError("shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_running_out_of_memory_is_told_from_other_errors(error, is_one):
    assert is_out_of_memory(error) is is_one


def test_answers_that_fit_in_no_memory_fail_by_themselves(checkpoint):
    engine = LocalEngine(str(checkpoint), device="cpu")
    (handle,) = engine.open([np.zeros((64, 64), np.uint8)])
    write = engine._writer.write

    def short_of_memory(frames, drafts):
        if len(drafts) > 1 or drafts[0].question.prompt == "large":
            raise torch.OutOfMemoryError("CUDA out of memory")
        write(frames, drafts)

    engine._writer.write = short_of_memory
    prompts = ["small", "large", "small"]
    answers = engine.ask([(handle, Question(Phase.DETECT, prompt, None, 5)) for prompt in prompts])
    assert [answer.finish for answer in answers] == [Finish.LENGTH, Finish.ERROR, Finish.LENGTH]
    assert "out of memory" in answers[1].error
    assert answers[0].text == answers[2].text
