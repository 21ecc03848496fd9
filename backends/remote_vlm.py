"""A vision-language model behind any OpenAI-compatible server: vLLM, llama.cpp, `transformers serve`, hosted ones.

The schema is sent in the server's dialect and, where a server does not take or heed it, in words; the parser
validates every answer all the same. What fails is asked again a bounded number of times, and then is an Answer with
an error. Images leave this machine only where that was allowed. Nothing is logged that holds a key or an image.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import SecretStr

from annotator.schema import ModelVersion
from backends.engine import Answer, Finish, Question
from backends.remote.address import server_url, usable_key
from backends.remote.connection import Connection
from backends.remote.dialects import Dialect, Json, Manner, is_wrapped, milder, request_body
from backends.remote.facts import ServerFacts, ask_facts, no_longer_there
from backends.remote.failures import CallFailedError, Remedy
from backends.remote.images import image_data_url
from backends.remote.replies import Reply, read_reply, satisfies
from backends.remote.retrying import RetryPolicy, call_with_retries

log = logging.getLogger(__name__)
_SERVER_ERRORS = (500, 501)


@dataclass
class RemoteFrame:
    """An open frame: its image as a data URL, None once it is closed."""

    image_url: str | None = field(repr=False)


@dataclass
class _Conversation:
    """How one question is being asked: the manner in use, and how many requests were repeated."""

    question: Question
    image_url: str
    manner: Manner
    retries: int = 0


class RemoteEngine:
    """An Engine over one server and one of its models.

    `model.content_hash` covers what the server tells of itself (address, model id, version, size). Its weights
    cannot be hashed from here: whoever runs the server answers for the same id meaning the same weights.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        api_key: SecretStr | None = None,
        dialect: Literal["auto", "openai", "vllm", "llamacpp", "none"] = "auto",
        timeout_s: float = 300.0,
        retries: int = 4,
        parallel: int = 4,
        allow_upload: bool = False,
        image_max_side_px: int = 1024,
        temperature: float = 0.0,
        seed: int = 0,
        logprobs: bool = True,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Meet the server at `url`; InputError for an address that may not be used, BackendError where it fails."""
        self._connection = Connection(
            server_url(url, allow_upload=allow_upload), usable_key(api_key), timeout_s=timeout_s
        )
        self._policy, self._sleep, self._parallel = RetryPolicy(retries), sleep, parallel
        self._image_max_side_px = image_max_side_px
        self._settings: Json = {
            "model": model,
            "temperature": temperature,
            "seed": seed,
            "logprobs": logprobs,
            "stream": False,
        }
        facts = ask_facts(self._connection, model, self._policy, sleep)
        self._lock = threading.Lock()
        self._manner = Manner(_first_dialect(facts) if dialect == "auto" else dialect)
        self._is_settled = dialect != "auto"  # whether a server error may still mean that it dislikes the dialect
        self.model = self._model_version(facts, dialect)
        self.provenance: Mapping[str, str | int | float | None] = self._told()

    def open(self, pixels: Sequence[NDArray[np.uint8]]) -> list[RemoteFrame]:
        """Encode frames, (H, W) gray or (H, W, 3) RGB, once each; FrameError for what is no image."""
        side_px, count = self._image_max_side_px, len(pixels)
        named = [(one, f"frame {place} of {count}") for place, one in enumerate(pixels, start=1)]
        return [RemoteFrame(image_data_url(one, side_px, name)) for one, name in named]

    def ask(self, questions: Sequence[tuple[RemoteFrame, Question]]) -> list[Answer]:
        """Answer in order, several requests at a time; BackendError where the server refuses the key or model."""
        alone = 0 if self._is_settled else 1  # the first one finds the dialect out for all
        answers = [self._answer(*item) for item in questions[:alone]]
        pool = ThreadPoolExecutor(self._parallel, thread_name_prefix="remote-vlm")
        try:
            answers += pool.map(lambda item: self._answer(*item), questions[alone:])
        finally:
            pool.shutdown(cancel_futures=True)
        return answers

    def close(self, handle: RemoteFrame) -> None:
        """Let go of a frame's image."""
        handle.image_url = None

    def _answer(self, frame: RemoteFrame, question: Question) -> Answer:
        begun = time.perf_counter()
        if frame.image_url is None:
            return Answer("", Finish.ERROR, 0.0, error="the frame was closed before it was asked about")
        talk = _Conversation(question, frame.image_url, self._manner)
        try:
            reply = self._heeded(talk, self._in_some_manner(talk))
        except CallFailedError as failure:
            if failure.status == 404:
                raise no_longer_there(self._connection, str(self._settings["model"]), failure) from None
            log.warning("%s question failed: %s", question.phase, failure.reason)
            reply = Reply("", Finish.ERROR, error=failure.reason)
        seconds = time.perf_counter() - begun
        return Answer(reply.text, reply.finish, seconds, reply.tokens, reply.error, talk.retries)

    def _in_some_manner(self, talk: _Conversation) -> Reply:
        """Ask in the usual manner, then in milder ones where the server refuses it; remember what it takes."""
        while True:
            try:
                reply = self._request(talk)
            except CallFailedError as failure:
                has_schema = talk.question.answer_schema is not None
                manner = milder(talk.manner, failure.reason, has_schema=has_schema)
                if not self._is_about_manner(failure, has_schema) or manner is None:
                    raise
                log.warning("%s; asking %s without that", failure.reason, self._connection.host)
                talk.manner = manner
                talk.retries += 1
            else:
                self._learn(talk.manner)
                return reply

    def _heeded(self, talk: _Conversation, reply: Reply) -> Reply:
        """Ask once more, in words too, where the answer ignores the schema; what comes then is for the parser."""
        schema = talk.question.answer_schema
        if schema is None or reply.finish is not Finish.STOP:
            return reply
        if satisfies(reply.text, schema):
            self._is_settled = True
            return reply
        log.warning("%s ignored the schema of a %s question", self._connection.host, talk.question.phase)
        talk.manner = replace(talk.manner, spells_out=True)
        talk.retries += 1
        try:
            second = self._request(talk)
        except CallFailedError as failure:
            log.warning("asked again in vain: %s", failure.reason)
            return reply
        if second.finish is Finish.STOP and satisfies(second.text, schema):
            self._learn(talk.manner)
            self._is_settled = True
        return reply if second.error else second

    def _request(self, talk: _Conversation) -> Reply:
        question, manner = talk.question, talk.manner
        settings = {**self._settings, "max_tokens": question.max_new_tokens}
        body = request_body(manner, talk.image_url, question.prompt, question.answer_schema, settings)
        wrapped = is_wrapped(manner.dialect, question.answer_schema)
        greedy = self._settings["temperature"] == 0 and "temperature" not in manner.without

        def call() -> Reply:
            return read_reply(self._connection.post("/chat/completions", body), wrapped=wrapped, greedy=greedy)

        def gives_up(failure: CallFailedError, retries: int) -> bool:
            return retries >= 1 and self._is_about_manner(failure, question.answer_schema is not None)

        try:
            reply, retries = call_with_retries(call, self._policy, self._sleep, gives_up=gives_up)
        except CallFailedError as failure:
            talk.retries += failure.retries
            raise
        talk.retries += retries
        return reply

    def _is_about_manner(self, failure: CallFailedError, has_schema: bool) -> bool:
        """A refusal may be; a server error too, until a schema was heeded: llama-cpp-python answers 500."""
        if failure.remedy is Remedy.ASK_DIFFERENTLY:
            return True
        names_a_setting = milder(Manner("none"), failure.reason, has_schema=False) is not None
        is_open = has_schema and not self._is_settled
        return failure.status in _SERVER_ERRORS and (is_open or names_a_setting)

    def _learn(self, manner: Manner) -> None:
        with self._lock:
            if manner != self._manner:
                log.warning("%s is asked in the manner %s from now on", self._connection.host, _described(manner))
                self._manner = manner
                self.provenance = self._told()

    def _told(self) -> dict[str, str | int | float | None]:
        told = "as the server tells them; removed_mass is a lower bound"
        omitted = self._manner.without
        return {
            "engine": "remote",
            "url": self._connection.url,
            "served_model": str(self._settings["model"]),
            "dialect": self._manner.dialect,
            "schema_in_words": int(self._manner.spells_out or self._manner.dialect == "none"),
            "omitted_settings": ", ".join(sorted(omitted)) or None,
            "temperature": None if "temperature" in omitted else float(self._settings["temperature"]),
            "seed": None if "seed" in omitted else int(self._settings["seed"]),
            "image_max_side_px": self._image_max_side_px,
            "log_probabilities": told if self._settings["logprobs"] and "logprobs" not in omitted else None,
        }

    def _model_version(self, facts: ServerFacts, dialect: str) -> ModelVersion:
        model = str(self._settings["model"])
        content_hash = facts.content_hash(self._connection.url, model)
        return ModelVersion(
            name=f"remote-{content_hash[:12]}",
            backend="remote",
            base=model,
            content_hash=content_hash,
            settings={
                "url": self._connection.url,
                "dialect": dialect,
                "server_version": facts.version,
                "served": facts.served,
                "image_max_side_px": self._image_max_side_px,
                "temperature": self._settings["temperature"],
                "seed": self._settings["seed"],
            },
        )


def _first_dialect(facts: ServerFacts) -> Dialect:
    if facts.maker == "vllm":
        return "vllm"
    return "llamacpp" if facts.maker == "llamacpp" else "openai"


def _described(manner: Manner) -> str:
    words = " with the schema in words" if manner.spells_out else ""
    return f"{manner.dialect}{words}{' without ' + ', '.join(sorted(manner.without)) if manner.without else ''}"
