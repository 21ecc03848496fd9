"""The probabilities of tokens, and the characters that they belong to."""

import math
from typing import Any

import pytest

from backends.engine import TokenScore
from backends.remote.replies import read_reply, token_scores
from tests.openai_server import OpenAiServer, completion, tokens_of
from tests.remote_builders import a_question, an_engine, answer_of, ask_one


def token(text: str | bytes, logprob: float = -0.5, **more: Any) -> dict[str, Any]:
    raw = text if isinstance(text, bytes) else text.encode()
    return {"token": raw.decode("utf-8", "replace"), "bytes": list(raw), "logprob": logprob, **more}


def scores(text: str, tokens: list[dict[str, Any]], *, greedy: bool = True) -> tuple[TokenScore, ...] | None:
    return token_scores(text, {"content": tokens}, greedy=greedy)


def test_tokens_span_their_characters(openai_server: OpenAiServer) -> None:
    answer = answer_of(openai_server)
    assert answer.tokens is not None
    assert answer.tokens[0].start == 0
    assert answer.tokens[-1].stop == len(answer.text)
    for one, following in zip(answer.tokens, answer.tokens[1:], strict=False):
        assert one.stop == following.start
    assert openai_server.bodies[0]["top_logprobs"] == 5


def test_spans_fit_the_list_that_was_taken_out_of_its_wrapper() -> None:
    text = '{"items": [1, 22]}'
    tokens = [token(piece, -number) for number, piece in enumerate(['{"items', '": [', "1", ",", " 22", "]}"])]
    choice = {"message": {"content": text}, "finish_reason": "stop", "logprobs": {"content": tokens}}
    reply = read_reply({"choices": [choice]}, wrapped=True, greedy=True)
    assert reply.text == "[1, 22]"
    assert reply.tokens is not None
    said = [(reply.text[one.start : one.stop], one.log_probability) for one in reply.tokens]
    assert said == [("[", -1.0), ("1", -2.0), (",", -3.0), (" 22", -4.0), ("]", -5.0)]


def test_a_letter_of_several_bytes_belongs_to_all_of_its_tokens() -> None:
    raw = "4 µm".encode()
    found = scores("4 µm", [token(raw[:3]), token(raw[3:])])
    assert found is not None
    assert [(one.start, one.stop) for one in found] == [(0, 3), (2, 4)]


def test_letters_of_several_bytes_are_counted_as_one() -> None:
    text = "Größe: 3 µm, 胎児 🙂"
    found = scores(text, tokens_of(text))
    assert found is not None
    assert found[-1].stop == len(text)
    assert {index for one in found for index in range(one.start, one.stop)} == set(range(len(text)))


def test_thoughts_before_and_an_end_after_the_answer_are_left_out() -> None:
    found = scores("[1]", [token("<think>[1]</think>"), token("[1"), token("]", -0.25), token("<|im_end|>")])
    assert found == (TokenScore(0, 2, -0.5), TokenScore(2, 3, -0.25))


@pytest.mark.parametrize(
    "logprobs",
    [
        None,
        {},
        {"content": None},
        {"content": []},
        {"content": [token("another text")]},
        {"content": [{"token": "[1]"}]},
        {"content": [{"token": "[1]", "bytes": [999], "logprob": -1.0}]},
        {"tokens": ["[1]"], "token_logprobs": [-0.1]},
        "high",
        [1],
    ],
)
def test_without_tokens_that_spell_the_text_there_are_no_scores(logprobs: Any) -> None:
    assert token_scores("[1]", logprobs, greedy=True) is None


def test_a_server_that_tells_none_gives_none(openai_server: OpenAiServer) -> None:
    assert ask_one(an_engine(openai_server, logprobs=False)).tokens is None
    assert "top_logprobs" not in openai_server.bodies[0]
    openai_server.usual = lambda body: completion("yes")
    assert ask_one(an_engine(openai_server), a_question(schema=None)).tokens is None


def test_tokens_without_bytes_are_spelt_by_their_text() -> None:
    found = scores("[1]", [{"token": "[1", "logprob": -0.1}, {"token": "]", "bytes": None, "logprob": -0.2}])
    assert found is not None
    assert [one.stop for one in found] == [2, 3]


def test_likelier_tokens_that_were_not_taken_must_have_been_removed() -> None:
    others = [token("No", math.log(0.6)), token("[", math.log(0.3)), token("The", math.log(0.05))]
    found = scores("[", [token("[", math.log(0.3), top_logprobs=others)])
    assert found is not None
    assert found[0].removed_mass == pytest.approx(0.6)
    sampled = scores("[", [token("[", math.log(0.3), top_logprobs=others)], greedy=False)
    assert sampled is not None
    assert sampled[0].removed_mass == 0.0


@pytest.mark.parametrize(
    ("told", "kept"),
    [(-1e38, -9999.0), (float("-inf"), -9999.0), (1e-7, 0.0), (float("nan"), None)],
)
def test_probabilities_that_are_none_do_no_harm(told: float, kept: float | None) -> None:
    found = scores("a", [token("a", told)])
    assert found is not None
    assert found[0].log_probability == kept
