"""Questions and engines with defaults, for the tests of the engines that do not run a model themselves."""

from collections.abc import Callable
from typing import Any

from backends.engine import Answer, Phase, Question
from backends.remote_vlm import RemoteEngine
from tests.builders import some_pixels
from tests.openai_server import OpenAiServer

BOX = {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 1000}, "minItems": 4, "maxItems": 4}
BOX_SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"bbox_2d": BOX, "label": {"enum": ["CSP", "LV"]}},
        "required": ["bbox_2d", "label"],
        "additionalProperties": False,
    },
    "maxItems": 8,
}
VIEW_SCHEMA = {"type": "object", "properties": {"label": {"enum": ["BPD_PLANE", "Other"]}}, "required": ["label"]}


def a_question(
    prompt: str = "Where is the CSP?", schema: Any = BOX_SCHEMA, phase: Phase = Phase.DETECT
) -> Question:
    return Question(phase, prompt, schema, 256)


class Waits(list[float]):
    """A sleep that only notes how long it would have been."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def an_engine(server: OpenAiServer | str, model: str = "tiny", **options: Any) -> RemoteEngine:
    options.setdefault("sleep", Waits())
    options.setdefault("retries", 2)
    options.setdefault("timeout_s", 5.0)
    return RemoteEngine(server if isinstance(server, str) else server.url, model, **options)


def ask_one(engine: RemoteEngine, question: Question | None = None) -> Answer:
    (frame,) = engine.open([some_pixels()])
    (answer,) = engine.ask([(frame, question or a_question())])
    return answer


def answer_of(server: OpenAiServer, *faults: Callable[..., Any], **options: Any) -> Answer:
    """Ask one question of a server with some faults due, in a dialect that is settled."""
    engine = an_engine(server, **{"dialect": "openai", **options})
    server.faults = list(faults)
    return ask_one(engine)
