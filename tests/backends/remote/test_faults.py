"""Everything that goes wrong on the way to a server and back: asked again or recorded, never silently empty."""

import json
import re
import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import pytest
from fastapi.responses import StreamingResponse

from annotator.errors import BackendError
from backends.engine import Finish
from backends.remote.retrying import RetryPolicy
from tests.builders import a_free_port
from tests.openai_server import BOXES, Fault, OpenAiServer, completion, fails, hanging_up, running, says, sends
from tests.remote_builders import Waits, a_question, an_engine, answer_of, ask_one

BOXES_TEXT = json.dumps(BOXES)
HTML = "<html><head><title>502</title></head><body><h1>Bad gateway</h1></body></html>"


def slow(body: dict[str, Any]) -> None:
    time.sleep(0.4)


def trickle(body: dict[str, Any]) -> StreamingResponse:
    """A whole and valid reply, but drop by drop."""

    def drops() -> Iterator[bytes]:
        for _ in range(12):
            time.sleep(0.05)
            yield b" "
        yield bytes(completion(BOXES_TEXT).body)

    return StreamingResponse(drops(), media_type="application/json")


MENDED: list[tuple[str, list[Fault], int]] = [
    ("500", [fails(500)], 1),
    ("500 twice", [fails(500), fails(500)], 2),
    ("502 with a page", [sends(HTML, "text/html", 502)], 1),
    ("503", [fails(503)], 1),
    ("429", [fails(429)], 1),
    ("429 with Retry-After", [fails(429, headers={"retry-after": "3"})], 1),
    ("408", [fails(408)], 1),
    ("wrong JSON", [sends('{"choices": [{"message": {"content": "[]')], 1),
    ("no body", [sends("")], 1),
    ("not UTF-8", [sends(b'{"choices": "\xff\xfe"}')], 1),
    ("a list", [sends("[1, 2]")], 1),
    ("an HTML page for an answer", [sends(HTML, "text/html")], 1),
    ("a boundless nest for a body", [sends("[" * 100_000)], 1),
    ("no choices", [sends('{"choices": []}')], 1),
    ("choices null", [sends('{"choices": null}')], 1),
    ("no message", [sends('{"choices": [{"finish_reason": "stop"}]}')], 1),
    ("content of another kind", [sends('{"choices": [{"message": {"content": 7}}]}')], 1),
    ("an error that says 200", [sends('{"error": {"message": "upstream gone"}}')], 1),
    ("prose instead of JSON", [says("I can see a CSP.")], 1),
    ("JSON of another form", [says('{"findings": "none"}')], 1),
    ("JSON of a label nobody asked for", [says('[{"bbox_2d": [1, 2, 3, 4], "label": "femur"}]')], 1),
    ("a boundless nest", [says("[" * 20_000)], 1),
]


@pytest.mark.parametrize(("faults", "retries"), [row[1:] for row in MENDED], ids=[row[0] for row in MENDED])
def test_what_passes_is_asked_again(openai_server: OpenAiServer, faults: list[Fault], retries: int) -> None:
    answer = answer_of(openai_server, *faults)
    assert json.loads(answer.text) == BOXES
    assert (answer.error, answer.finish, answer.retries) == (None, Finish.STOP, retries)


RECORDED: list[tuple[str, Fault, str, int]] = [
    ("500 for ever", fails(500, "CUDA out of memory"), "answered 500: CUDA out of memory", 3),
    ("503 page for ever", sends(HTML, "text/html", 503), "answered 503: Bad gateway", 3),
    ("429 for ever", fails(429, "slow down"), "answered 429: slow down", 3),
    ("wrong JSON for ever", sends('{"choices"'), "something else than JSON: '{\"choices\"'", 3),
    ("HTML for ever", sends(HTML, "text/html"), "something else than JSON: 'Bad gateway'", 3),
    ("no choices for ever", sends('{"choices": []}'), "no chat completion .choices", 3),
    ("error as 200 for ever", sends('{"error": "upstream gone"}'), "as if it were none: upstream gone", 3),
    ("image not taken", fails(413, "too large"), "answered 413: too large", 1),
    ("content null", says(None), "empty answer", 1),
    ("content empty", says(""), "empty answer", 1),
    ("content blank", says(" \n"), "empty answer", 1),
    ("thoughts alone", says(None, reasoning_content="hmm", finish="length"), "token limit was reached before", 1),
    ("refusal", says(None, refusal="I cannot help with medical images."), "refused to answer: I cannot help", 1),
    ("filtered", says("[{", finish="content_filter"), "ended its answer by 'content_filter'", 1),
    (
        "five megabytes",
        sends(json.dumps({"choices": [{"message": {"content": "x" * 5_000_000}}]})),
        "more than 4 MiB",
        1,
    ),
    ("packed", sends(b"\x1f\x8b", headers={"content-encoding": "gzip"}), "packs its replies", 1),
]


@pytest.mark.parametrize(
    ("fault", "error", "requests"), [row[1:] for row in RECORDED], ids=[row[0] for row in RECORDED]
)
def test_what_stays_is_recorded(openai_server: OpenAiServer, fault: Fault, error: str, requests: int) -> None:
    openai_server.usual = fault
    answer = answer_of(openai_server)
    assert (answer.text, answer.finish, answer.tokens) == ("", Finish.ERROR, None)
    assert re.search(error, str(answer.error))
    assert "\n" not in str(answer.error)
    assert "<" not in str(answer.error)
    assert len(openai_server.bodies) == requests
    assert answer.retries == requests - 1


def test_a_request_that_no_dialect_can_mend_is_recorded_with_the_reason(openai_server: OpenAiServer) -> None:
    openai_server.usual = fails(400, "the prompt has 9000 tokens, the context 4096")
    answer = answer_of(openai_server)
    assert answer.error is not None
    assert "context 4096" in answer.error
    assert answer.retries == len(openai_server.bodies) - 1 == 3  # once a dialect


def test_an_account_without_credit_is_not_asked_again(openai_server: OpenAiServer) -> None:
    with pytest.raises(BackendError, match="needs credit"):
        answer_of(openai_server, fails(429, "You exceeded your quota", code="insufficient_quota"))
    assert len(openai_server.bodies) == 1


def test_a_server_that_takes_too_long_is_asked_again(openai_server: OpenAiServer) -> None:
    answer = answer_of(openai_server, slow, timeout_s=0.2)
    assert (answer.error, answer.retries) == (None, 1)


def test_a_server_that_always_takes_too_long_is_recorded(openai_server: OpenAiServer) -> None:
    answer = answer_of(openai_server, slow, slow, timeout_s=0.2, retries=1)
    assert "took too long" in str(answer.error)


def test_a_reply_that_trickles_counts_as_too_late(openai_server: OpenAiServer) -> None:
    answer = answer_of(openai_server, trickle, timeout_s=0.3)
    assert (answer.error, answer.retries) == (None, 1)


@pytest.mark.parametrize("after", [b"", b'HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{"choices": ['])
def test_a_connection_dropped_midway_is_tried_again_and_told(after: bytes) -> None:
    waits = Waits()
    with hanging_up(after) as (url, visits), pytest.raises(BackendError, match="no answer from"):
        an_engine(url, sleep=waits)
    assert len(visits) == 3
    assert len(waits) == 2


def test_a_server_that_stops_while_we_ask_is_recorded() -> None:
    with running(OpenAiServer()) as server:
        engine = an_engine(server, dialect="openai")
    answer = ask_one(engine)
    assert "does the server run" in str(answer.error)
    assert answer.retries == 2


def test_a_server_that_is_still_starting_is_waited_for() -> None:
    waits = Waits()
    with pytest.raises(BackendError):
        an_engine(f"http://127.0.0.1:{a_free_port()}", sleep=waits, retries=4)
    assert len(waits) == 4


# How long we wait


@pytest.mark.parametrize(
    ("wish", "shortest", "longest"),
    [
        ("3", 3.0, 3.0),
        ("0", 0.0, 0.0),
        ("86400", 60.0, 60.0),  # a day is not waited for
        ("in 40 s", 30.0, 40.0),
        ("soon", 0.25, 0.5),
        ("-5", 0.25, 0.5),
        ("nan", 0.25, 0.5),
        (None, 0.25, 0.5),
    ],
)
def test_the_wish_of_the_server_is_heeded(
    openai_server: OpenAiServer, wish: str | None, shortest: float, longest: float
) -> None:
    if wish == "in 40 s":
        wish = formatdate(time.time() + 40, usegmt=True)
    waits = Waits()
    answer_of(openai_server, fails(429, headers={"retry-after": wish} if wish else None), sleep=waits)
    (wait,) = waits
    assert shortest <= wait <= longest


def test_waits_double_and_are_spread(openai_server: OpenAiServer) -> None:
    waits = Waits()
    openai_server.usual = fails(503)
    answer_of(openai_server, retries=5, sleep=waits)
    for number, wait in enumerate(waits):
        assert 0.25 * 2**number <= wait <= 0.5 * 2**number
    assert RetryPolicy().wait_s(30, None, 1.0) == 60.0


# Answers that came, whatever they are


def test_an_answer_cut_off_is_kept_and_says_so(openai_server: OpenAiServer) -> None:
    answer = answer_of(openai_server, says('{"items": [{"bbox_2d": [1, 2', finish="length"))
    assert (answer.text, answer.finish, answer.retries) == ('[{"bbox_2d": [1, 2', Finish.LENGTH, 0)


def test_a_server_that_never_heeds_the_schema_gives_what_it_says_to_the_parser(openai_server: OpenAiServer) -> None:
    openai_server.usual = says("I see a CSP.")
    answer = answer_of(openai_server)
    assert (answer.text, answer.finish, answer.error, answer.retries) == ("I see a CSP.", Finish.STOP, None, 1)


def test_asking_again_in_vain_keeps_the_first_answer(openai_server: OpenAiServer) -> None:
    answer = answer_of(openai_server, says("I see a CSP."), fails(418, "teapot"))
    assert (answer.text, answer.error) == ("I see a CSP.", None)
    answer = answer_of(openai_server, says("I see a CSP."), says(None))
    assert (answer.text, answer.error) == ("I see a CSP.", None)


@pytest.mark.parametrize(
    "text",
    [
        f"<think>\n\n</think>\n\n{BOXES_TEXT}",
        f"```json\n{BOXES_TEXT}\n```",
        f"```\n{BOXES_TEXT}\n```\n",
        '[{"bbox_2d": [1, 2, 3, 99999], "label": "LV"}]',  # out of range: the parser's business
        "[]",
    ],
)
def test_what_the_parser_mends_is_not_asked_again(openai_server: OpenAiServer, text: str) -> None:
    answer = answer_of(openai_server, says(text))
    assert (answer.text, answer.retries) == (text, 0)


def test_thoughts_beside_the_answer_are_ignored(openai_server: OpenAiServer) -> None:
    answer = answer_of(openai_server, says(BOXES_TEXT, reasoning_content="The CSP is the box in the midline."))
    assert answer.text == BOXES_TEXT


def test_content_in_parts_is_put_together(openai_server: OpenAiServer) -> None:
    parts = [{"type": "text", "text": BOXES_TEXT[:9]}, {"type": "text", "text": BOXES_TEXT[9:]}]
    assert answer_of(openai_server, lambda body: completion(parts)).text == BOXES_TEXT  # type: ignore[arg-type]


def test_letters_that_nothing_can_store_are_replaced(openai_server: OpenAiServer) -> None:
    body = '{"choices": [{"message": {"content": "a\\ud800b\\u0000c"}, "finish_reason": "stop"}]}'
    openai_server.usual = sends(body)
    answer = ask_one(an_engine(openai_server), a_question(schema=None))
    assert answer.text == "a\ufffdb\ufffdc"


def test_a_question_without_a_schema_takes_any_text(openai_server: OpenAiServer) -> None:
    openai_server.usual = says("A transventricular plane.")
    answer = ask_one(an_engine(openai_server), a_question(schema=None))
    assert (answer.text, answer.retries) == ("A transventricular plane.", 0)
