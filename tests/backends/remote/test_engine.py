"""A remote model as we meet it: a real server over loopback, images included."""

import json
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from fastapi import Response
from numpy.typing import NDArray
from pydantic import SecretStr

from annotator.errors import BackendError, FrameError, InputError
from backends.engine import Engine, Finish, Phase
from backends.remote.address import server_url, usable_key
from backends.remote_vlm import RemoteEngine, RemoteFrame
from tests.builders import a_free_port, some_pixels
from tests.openai_server import (
    BOXES,
    TINY,
    Json,
    OpenAiServer,
    completion,
    fails,
    heed_the_schema,
    prompt_of,
    says,
    sends,
)
from tests.remote_builders import VIEW_SCHEMA, Waits, a_question, an_engine, ask_one


def an_engine_it_is(engine: RemoteEngine) -> Engine[RemoteFrame]:
    """The type checker holds it to the protocol."""
    return engine


def test_an_answer_comes_with_its_text_finish_and_time(openai_server: OpenAiServer) -> None:
    answer = ask_one(an_engine(openai_server))
    assert json.loads(answer.text) == BOXES
    assert (answer.finish, answer.error, answer.retries) == (Finish.STOP, None, 0)
    assert 0 < answer.seconds < 5


@pytest.mark.parametrize("colour", [False, True])
def test_the_image_arrives_with_exactly_its_pixels(openai_server: OpenAiServer, colour: bool) -> None:
    pixels = some_pixels(3, (61, 47), colour=colour)
    engine = an_engine(openai_server)
    (frame,) = engine.open([pixels])
    engine.ask([(frame, a_question()), (frame, a_question("And the LV?"))])
    assert len(openai_server.images) == 2
    for image in openai_server.images:
        assert np.array_equal(image, pixels)


def test_a_large_frame_is_reduced_to_the_agreed_side(openai_server: OpenAiServer) -> None:
    yy, xx = np.mgrid[0:600, 0:800]
    pixels = ((xx / 800 + yy / 600) * 127).astype(np.uint8)
    engine = an_engine(openai_server, image_max_side_px=200)
    (frame,) = engine.open([pixels])
    engine.ask([(frame, a_question())])
    (image,) = openai_server.images
    assert image.shape == (150, 200)
    reference = cv2.resize(pixels, (200, 150), interpolation=cv2.INTER_AREA)
    assert np.abs(image.astype(int) - reference.astype(int)).max() <= 2


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((0, 5), np.uint8),
        np.zeros((5, 5, 4), np.uint8),
        np.zeros((5, 5), np.uint16),
        np.zeros((2, 900), np.uint8),
    ],
)
def test_a_frame_that_no_model_can_see_is_refused_before_it_is_sent(
    openai_server: OpenAiServer, pixels: NDArray[np.uint8]
) -> None:
    with pytest.raises(FrameError, match=r"frame 2 of 2: (expected uint8|.* too narrow)"):
        an_engine(openai_server).open([some_pixels(), pixels])
    assert openai_server.bodies == []


def test_answers_keep_the_order_of_questions_that_are_asked_side_by_side(openai_server: OpenAiServer) -> None:
    def slow_for_even_ones(body: Json) -> Response:
        number = int(prompt_of(body).split()[-1])
        time.sleep(0.05 if number % 2 == 0 else 0.001)
        return completion(f"answer {number}")

    openai_server.usual = slow_for_even_ones
    engine = an_engine(openai_server, parallel=3, dialect="none")
    frames = engine.open([some_pixels(seed) for seed in range(12)])
    answers = engine.ask([(frame, a_question(f"question {n}", None)) for n, frame in enumerate(frames)])
    assert [answer.text for answer in answers] == [f"answer {n}" for n in range(12)]
    assert 2 <= openai_server.busiest <= 3


def test_one_failing_question_does_not_spoil_the_others(openai_server: OpenAiServer) -> None:
    openai_server.usual = lambda body: fails(400, "bad")(body) if "bad" in prompt_of(body) else completion("good")
    engine = an_engine(openai_server, dialect="none")
    (frame,) = engine.open([some_pixels()])
    answers = engine.ask([(frame, a_question(words, None)) for words in ("one", "bad", "three")])
    assert [answer.text for answer in answers] == ["good", "", "good"]
    assert [answer.error is None for answer in answers] == [True, False, True]


def test_a_closed_frame_lets_go_of_its_image_and_cannot_be_asked_about(openai_server: OpenAiServer) -> None:
    engine = an_engine(openai_server)
    (frame,) = engine.open([some_pixels()])
    assert "base64" not in repr(frame)
    engine.close(frame)
    (answer,) = engine.ask([(frame, a_question())])
    assert frame.image_url is None
    assert answer.finish is Finish.ERROR
    assert "closed" in str(answer.error)
    assert openai_server.bodies == []


def test_decoding_is_greedy_and_seeded(openai_server: OpenAiServer) -> None:
    ask_one(an_engine(openai_server, seed=7))
    (body,) = openai_server.bodies
    assert (body["temperature"], body["seed"], body["max_tokens"], body["model"]) == (0.0, 7, 256, "tiny")


def test_nothing_to_ask_asks_nothing(openai_server: OpenAiServer) -> None:
    engine = an_engine(openai_server)
    assert engine.open([]) == []
    assert engine.ask([]) == []


# Who serves, and what


def test_the_version_names_the_model_and_changes_with_what_the_server_tells(openai_server: OpenAiServer) -> None:
    first = an_engine(openai_server).model
    openai_server.models = [{**TINY, "created": 2, "permission": [{"id": "random"}]}]
    again = an_engine(openai_server).model
    openai_server.version = "0.33.0"
    upgraded = an_engine(openai_server).model
    assert (first.base, first.backend) == ("tiny", "remote")
    assert first.name == again.name == f"remote-{first.content_hash[:12]}"
    assert upgraded.name != first.name
    assert upgraded.settings["server_version"] == "0.33.0"


def test_an_unknown_model_is_told_with_the_models_that_there_are(openai_server: OpenAiServer) -> None:
    with pytest.raises(BackendError, match="has no model 'large'; it has: tiny"):
        an_engine(openai_server, "large")


def test_a_model_that_disappears_is_told_when_it_is_asked(openai_server: OpenAiServer) -> None:
    engine = an_engine(openai_server)
    openai_server.models = [{"id": "other"}]
    openai_server.faults = [fails(404, "The model `tiny` does not exist.")]
    with pytest.raises(BackendError, match="has no model 'tiny'; it has: other"):
        ask_one(engine)


def test_another_kind_of_404_is_told_in_the_words_of_the_server(openai_server: OpenAiServer) -> None:
    engine = an_engine(openai_server)
    openai_server.faults = [fails(404, "No endpoint of this model takes images")]
    with pytest.raises(BackendError, match="answered 404: No endpoint of this model takes images"):
        ask_one(engine)


def test_a_server_that_lists_no_models_is_good_enough(openai_server: OpenAiServer) -> None:
    openai_server.models = None
    assert ask_one(an_engine(openai_server)).error is None


def test_a_folder_is_asked_for_although_the_server_does_not_list_it(openai_server: OpenAiServer) -> None:
    assert ask_one(an_engine(openai_server, "/models/fada")).error is None


def test_no_server_is_an_error_at_once_that_says_where(openai_server: OpenAiServer) -> None:
    port = a_free_port()
    with pytest.raises(BackendError, match=rf"no answer from http://127.0.0.1:{port}/v1 .*does the server run"):
        an_engine(f"http://127.0.0.1:{port}")


# Where images may go


@pytest.mark.parametrize(
    ("url", "allow_upload", "complaint"),
    [
        ("https://models.example.org/v1", False, "--allow-upload"),
        ("http://192.168.7.7:8000/v1", False, "--allow-upload"),  # the ward's own net is another machine too
        ("http://0.0.0.0:8000/v1", False, "--allow-upload"),
        ("http://localhost.example.org/v1", False, "--allow-upload"),
        ("http://127.1:8000/v1", False, "--allow-upload"),
        ("http://8.8.8.8/v1", True, "over https only"),
        ("http://name:secret@localhost/v1", False, "no name, password"),
        ("http://localhost/v1?api_key=secret", False, "no name, password"),
        ("http://localhost/v1#secret", False, "no name, password"),
        ("ftp://localhost/v1", False, "looks like http"),
        ("localhost:8000", False, "looks like http"),
        ("http://", False, "looks like http"),
        ("http://localhost:99999/", False, "looks like http"),
        ("http://[::1", False, "looks like http"),
        ("", False, "looks like http"),
    ],
)
def test_images_go_nowhere_unasked(url: str, allow_upload: bool, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as raised:
        RemoteEngine(url, "tiny", allow_upload=allow_upload)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://localhost:8000", "http://localhost:8000/v1"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/v1"),
        ("http://[::1]:8000/v1/", "http://[::1]:8000/v1"),
        ("http://10.1.2.3:8000/v1", "http://10.1.2.3:8000/v1"),
        ("https://93.184.216.34/api/v3", "https://93.184.216.34/api/v3"),
    ],
)
def test_an_address_becomes_the_base_of_the_api(url: str, base: str) -> None:
    assert server_url(url, allow_upload=True) == base


def test_a_redirect_to_another_host_is_not_followed(openai_server: OpenAiServer) -> None:
    engine = an_engine(openai_server)
    openai_server.faults = [
        sends("", status=307, headers={"location": "http://elsewhere.example.org/v1/chat/completions"})
    ]
    with pytest.raises(BackendError, match=r"sends us on to elsewhere\.example\.org"):
        ask_one(engine)
    assert len(openai_server.bodies) == 1


def test_no_proxy_stands_between_us_and_this_machine(
    openai_server: OpenAiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{a_free_port()}")
    assert ask_one(an_engine(openai_server)).error is None


# Keys


def test_the_key_opens_the_server(openai_server: OpenAiServer) -> None:
    openai_server.key = "sk-right"
    assert ask_one(an_engine(openai_server, api_key=SecretStr("sk-right\n"))).error is None


@pytest.mark.parametrize("key", [None, SecretStr("sk-wrong")])
def test_a_wrong_key_ends_it_at_once_and_names_the_variable(
    openai_server: OpenAiServer, key: SecretStr | None
) -> None:
    openai_server.key = "sk-right"
    waits = Waits()
    with pytest.raises(BackendError, match="ANNOTATOR_REMOTE_API_KEY") as raised:
        an_engine(openai_server, api_key=key, sleep=waits)
    assert "sk-" not in str(raised.value)
    assert waits == []


def test_a_key_that_expires_ends_the_batch(openai_server: OpenAiServer) -> None:
    engine = an_engine(openai_server)
    openai_server.key = "sk-new"
    (frame,) = engine.open([some_pixels()])
    with pytest.raises(BackendError, match="does not accept the key"):
        engine.ask([(frame, a_question())] * 5)


def test_an_openai_key_of_the_environment_is_not_sent_unasked(
    openai_server: OpenAiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    openai_server.key = "sk-mine"
    with pytest.raises(BackendError, match="does not accept the key"):
        an_engine(openai_server)


def test_a_key_that_cannot_be_one_is_not_shown() -> None:
    with pytest.raises(InputError) as raised:
        usable_key(SecretStr("sk-a\nHost: evil"))
    assert "sk-a" not in str(raised.value)


def test_neither_key_nor_image_is_ever_logged_or_told(
    openai_server: OpenAiServer, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level("DEBUG")
    openai_server.key = "sk-very-secret"
    engine = an_engine(openai_server, api_key=SecretStr("sk-very-secret"))
    (frame,) = engine.open([some_pixels(9)])
    image = str(frame.image_url)
    openai_server.faults = [
        fails(500, f"Bearer sk-very-secret could not read {image}"),
        fails(400, f"invalid: {image} minItems sk-very-secret"),
        sends(f"<html>sk-very-secret {image}</html>", "text/html"),
        says("prose"),
        fails(400, f"{image.partition(',')[2]}"),
    ]
    questions = [(frame, a_question()), (frame, a_question("view?", VIEW_SCHEMA, Phase.CLASSIFY))]
    answers = engine.ask(questions)
    openai_server.usual = fails(400, f"sk-very-secret {image}")
    answers += engine.ask(questions)
    told = f"{caplog.text} {answers} {engine.provenance} {engine.model} {engine.__dict__}"
    assert "asked again in vain" in caplog.text
    assert "sk-very-secret" not in told
    assert image[40:80] not in told


def test_the_server_of_these_tests_reads_what_it_is_sent(openai_server: OpenAiServer) -> None:
    with pytest.raises(Exception, match=r"cannot identify|padding"):
        heed_the_schema(
            {"messages": [{"content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAA="}}]}]}
        )
