"""A small OpenAI-compatible server on loopback: it reads the image it is sent, and misbehaves when told to."""

import base64
import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from numpy.typing import NDArray
from PIL import Image

Json = dict[str, Any]
Fault = Callable[[Json], Response | None]

TINY = {"id": "tiny", "object": "model", "owned_by": "tests", "created": 1}
BOXES = [{"bbox_2d": [10, 20, 300, 400], "label": "CSP"}]


def image_of(body: Json) -> NDArray[np.uint8]:
    """Decode the one image of a request, as a real server does."""
    (part,) = [part for part in body["messages"][0]["content"] if part["type"] == "image_url"]
    head, _, code = part["image_url"]["url"].partition(",")
    assert head in ("data:image/png;base64", "data:image/jpeg;base64")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(code, validate=True))))


def prompt_of(body: Json) -> str:
    return str(next(part["text"] for part in body["messages"][0]["content"] if part["type"] == "text"))


def schema_sent(body: Json) -> Json | None:
    """The schema of a request, in whichever dialect it came."""
    form = body.get("response_format", {})
    found: Json | None = form.get("json_schema", {}).get("schema") or form.get("schema")
    return found or body.get("structured_outputs", {}).get("json")


def tokens_of(text: str) -> list[Json]:
    """Split a text into tokens of three bytes, whose probabilities fall: some end within a letter."""
    raw = text.encode()
    pieces = [raw[at : at + 3] for at in range(0, len(raw), 3)]
    return [
        {
            "token": piece.decode("utf-8", "replace"),
            "bytes": list(piece),
            "logprob": -0.01 * (index + 1),
            "top_logprobs": [{"token": "?", "bytes": [63], "logprob": -9.0}],
        }
        for index, piece in enumerate(pieces)
    ]


def completion(text: str | None, *, finish: str = "stop", logprobs: Any = None, **message: Any) -> JSONResponse:
    content = {"role": "assistant", "content": text, **message}
    choice = {"index": 0, "message": content, "finish_reason": finish, "logprobs": logprobs}
    return JSONResponse({"id": "c1", "object": "chat.completion", "model": "tiny", "choices": [choice]})


def says(text: str | None, **more: Any) -> Fault:
    return lambda body: completion(text, **more)


def fails(
    status: int, message: str = "out of order", headers: Mapping[str, str] | None = None, **more: Any
) -> Fault:
    content = {"error": {"message": message, **more}}
    return lambda body: JSONResponse(content, status_code=status, headers=dict(headers or {}))


def sends(
    content: bytes | str,
    media_type: str = "application/json",
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Fault:
    return lambda body: Response(content, status, dict(headers or {}), media_type)


@dataclass
class OpenAiServer:
    """The server: `faults` are used up one a request, then `usual` answers; `bodies` keeps what was asked."""

    faults: list[Fault] = field(default_factory=list)
    usual: Fault | None = None
    key: str | None = None
    models: list[Json] | None = field(default_factory=lambda: [dict(TINY)])
    version: str | None = None
    bodies: list[Json] = field(default_factory=list)
    busiest: int = 0
    url: str = ""
    _busy: int = 0
    _lock: Any = field(default_factory=threading.Lock)

    def reset(self) -> None:
        """Forget what was asked, and behave as at first."""
        self.faults, self.bodies, self.usual = [], [], None
        self.key, self.version, self.models, self.busiest = None, None, [dict(TINY)], 0

    @property
    def images(self) -> list[NDArray[np.uint8]]:
        return [image_of(body) for body in self.bodies]

    def answer(self, body: Json) -> Response:
        """Answer as a server that heeds schemas does, unless a fault is due."""
        with self._lock:
            self.bodies.append(body)
            self._busy += 1
            self.busiest = max(self.busiest, self._busy)
            fault = self.faults.pop(0) if self.faults else self.usual
        try:
            said = fault(body) if fault else None
            return said if said is not None else heed_the_schema(body)
        finally:
            with self._lock:
                self._busy -= 1


def heed_the_schema(body: Json) -> Response:
    image_of(body)
    schema = schema_sent(body)
    value: Any = BOXES
    if schema is not None and schema.get("type") == "object":
        value = {"items": BOXES} if "items" in schema["properties"] else {"label": "BPD_PLANE"}
    text = json.dumps(value)
    return completion(text, logprobs={"content": tokens_of(text)} if body.get("logprobs") else None)


def application(server: OpenAiServer) -> FastAPI:
    app = FastAPI()

    def refused(request: Request) -> Response | None:
        given = request.headers.get("authorization", "")
        if server.key is None or given == f"Bearer {server.key}":
            return None
        return fails(401, f"Incorrect API key provided: {given}")({})

    @app.get("/v1/models")
    def models(request: Request) -> Response:
        if server.models is None:
            return JSONResponse({"detail": "Not Found"}, status_code=404)
        return refused(request) or JSONResponse({"object": "list", "data": server.models})

    @app.get("/version")
    def version() -> Response:
        status = 200 if server.version else 404
        return JSONResponse({"version": server.version}, status_code=status)

    @app.post("/v1/chat/completions")
    def chat(request: Request, body: dict[str, Any]) -> Response:
        return refused(request) or server.answer(body)

    return app


@contextmanager
def running(server: OpenAiServer) -> Iterator[OpenAiServer]:
    """Serve on a free port of this machine until the block ends."""
    # asyncio sends small packets at once only where the socket says that it is TCP
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    server.url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    config = uvicorn.Config(application(server), log_level="critical", timeout_graceful_shutdown=1)
    program = uvicorn.Server(config)
    thread = threading.Thread(target=program.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not program.started:
        time.sleep(0.005)
    try:
        yield server
    finally:
        program.should_exit = True
        thread.join(timeout=10)
        listener.close()


@contextmanager
def hanging_up(after: bytes) -> Iterator[tuple[str, list[int]]]:
    """Yield the URL of a server that sends a few bytes of each reply and then hangs up, and its visits."""
    listener = socket.create_server(("127.0.0.1", 0))
    visits: list[int] = []

    def serve() -> None:
        while True:
            try:
                visitor, _ = listener.accept()
            except OSError:
                return
            with visitor:
                visitor.recv(65536)
                visits.append(1)
                visitor.sendall(after)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1", visits
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(timeout=5)
