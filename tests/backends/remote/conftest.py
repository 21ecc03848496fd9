"""A real OpenAI-compatible server, started once for the tests of a module."""

from collections.abc import Iterator

import pytest

from tests.openai_server import OpenAiServer, running


@pytest.fixture(scope="module")
def running_openai_server() -> Iterator[OpenAiServer]:
    with running(OpenAiServer()) as server:
        yield server


@pytest.fixture
def openai_server(running_openai_server: OpenAiServer) -> OpenAiServer:
    """The server as at first: it heeds schemas and does nothing wrong."""
    running_openai_server.reset()
    return running_openai_server
