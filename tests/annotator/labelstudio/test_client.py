"""Requests to Label Studio when things go wrong: one clear line, no token in it, nothing written twice."""

import socket
from collections.abc import Callable

import httpx
import pytest

from annotator.errors import LabelStudioError
from annotator.labelstudio import client as client_module
from annotator.labelstudio.client import Client, NotFoundError

TOKEN = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module.time, "sleep", lambda seconds: None)


def answering(*answers: httpx.Response | Exception) -> tuple[Client, list[str]]:
    """A client whose server gives these answers one after the other, and what it was asked."""
    waiting, asked = list(answers), []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url.path}")
        following = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if isinstance(following, Exception):
            raise following
        return following

    return Client("http://labelstudio.test/", TOKEN, transport=httpx.MockTransport(answer)), asked


def message_of(call: Callable[[], object]) -> str:
    with pytest.raises(LabelStudioError) as caught:
        call()
    message = str(caught.value)
    assert TOKEN not in message
    assert "\n" not in message
    return message


REFUSALS = [
    (httpx.ConnectError("refused"), "is not answering at http://labelstudio.test; start it with"),
    (httpx.ConnectTimeout("slow"), "is not answering"),
    (httpx.ReadTimeout("slow"), "took too long on GET /api/current-user/whoami"),
    (httpx.RemoteProtocolError("cut"), "is not answering"),
    (httpx.Response(401, json={"detail": "Invalid token."}), "refuses this workspace's token"),
    (httpx.Response(403, json={"detail": "You do not\nhave permission"}), "(403): You do not have permission"),
    (httpx.Response(404, json={"detail": "Not found."}), "run `annotator labelstudio connect`"),
    (httpx.Response(400, json={"validation_errors": {"label_config": ["bad"]}}), "label_config: ['bad']"),
    (httpx.Response(500, json={"detail": "database is locked"}), "(500): database is locked; look at its log"),
    (httpx.Response(500, json={"detail": "database or disk is full"}), "disk is full; free some space"),
    (httpx.Response(500, text="OSError: No space left on device"), "disk is full; free some space"),
    (httpx.Response(502, text="<html>", headers={"content-type": "text/html"}), "(502): no reason given"),
    (httpx.Response(200, text="<html>hello</html>"), "does not answer as Label Studio does"),
]


@pytest.mark.parametrize(("answer", "expected"), REFUSALS)
def test_every_failure_is_one_clear_line(answer: httpx.Response | Exception, expected: str) -> None:
    client, _ = answering(answer)
    assert expected in message_of(client.whoami)


@pytest.mark.parametrize("first", [httpx.ConnectError("x"), httpx.Response(503), httpx.RemoteProtocolError("x")])
def test_a_read_is_tried_again_when_the_server_was_away_for_a_moment(first: httpx.Response | Exception) -> None:
    client, asked = answering(first, httpx.Response(200, json={"id": 1}))
    assert client.whoami() == {"id": 1}
    assert len(asked) == 2


def test_reads_are_given_up_after_three_tries() -> None:
    client, asked = answering(httpx.ConnectError("x"))
    message_of(client.whoami)
    assert len(asked) == 3


@pytest.mark.parametrize("answer", [httpx.ConnectError("x"), httpx.Response(500), httpx.ReadTimeout("x")])
def test_a_write_is_never_repeated(answer: httpx.Response | Exception) -> None:
    client, asked = answering(answer)
    message_of(lambda: client.import_predictions(1, []))
    assert len(asked) == 1


def test_a_refusal_is_not_asked_again() -> None:
    client, asked = answering(httpx.Response(401))
    message_of(client.whoami)
    assert len(asked) == 1


def test_what_does_not_exist_can_be_told_from_other_refusals() -> None:
    client, _ = answering(httpx.Response(404))
    with pytest.raises(NotFoundError):
        client.annotation(4711)


def test_fewer_tasks_than_sent_is_an_error() -> None:
    client, _ = answering(httpx.Response(201, json={"task_ids": [1]}))
    assert "made 1 of 2 tasks" in message_of(lambda: client.import_tasks(1, [{}, {}]))


def test_the_sdk_goes_the_same_way_and_its_errors_are_the_same() -> None:
    client, asked = answering(httpx.Response(500, json={"detail": "database or disk is full"}))

    def list_projects() -> None:
        with client.calling("the list of projects"):
            list(client.sdk.projects.list())

    assert "disk is full" in message_of(list_projects)
    assert len(asked) == 1


def test_a_port_where_nobody_listens_is_said_so() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with Client(f"http://127.0.0.1:{port}", TOKEN) as client:
        assert "is not answering" in message_of(client.whoami)


def test_a_client_does_not_show_its_token() -> None:
    client, _ = answering(httpx.Response(200, json={}))
    assert TOKEN not in repr(client)
