"""From a chat completion to a text with the probabilities of its tokens; nothing that came is taken on trust."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jsonschema
from pydantic import BaseModel, Field, ValidationError

from backends.engine import Finish, TokenScore
from backends.remote.dialects import unwrapped_span, without_bounds
from backends.remote.failures import CallFailedError, Remedy, clean

_AROUND = re.compile(r"(?s)^\s*(?:<think>.*?</think>)?\s*(?:```(?:json)?\s*\n(.*?)\n?\s*```)?\s*$")
_SMALLEST = -9999.0
_THOUGHT = re.compile(r"(?s)^\s*<think>.*?</think>")


class _Alternative(BaseModel):
    token: str
    logprob: float
    utf8: list[int] | None = Field(default=None, alias="bytes")


class _Token(_Alternative):
    top_logprobs: list[_Alternative] | None = None

    @property
    def raw(self) -> bytes:
        return bytes(self.utf8) if self.utf8 is not None else self.token.encode("utf-8", "replace")


class _Logprobs(BaseModel):
    content: list[_Token] | None = None


class _Part(BaseModel):
    text: str = ""


class _Message(BaseModel):
    content: str | list[_Part] | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None
    logprobs: Any = None


class _Completion(BaseModel):
    choices: list[_Choice] = Field(min_length=1)


@dataclass(frozen=True)
class Reply:
    """A completion that holds a text, or says in `error` why it has none."""

    text: str
    finish: Finish
    tokens: tuple[TokenScore, ...] | None = None
    error: str | None = None


def read_reply(document: Mapping[str, Any], *, wrapped: bool, greedy: bool) -> Reply:
    """Understand a completion; CallFailedError where it is none, in which case it may be asked for again.

    Reasoning beside the answer is ignored. `wrapped` takes the list out of the object that a dialect asked for.
    """
    try:
        choice = _Completion.model_validate(document).choices[0]
    except ValidationError as error:
        raise CallFailedError(_no_completion(document, error), Remedy.WAIT) from None
    message, finish = choice.message, _finish(choice.finish_reason)
    text = _storable(message.content if isinstance(message.content, str) else _joined(message.content))
    if not text.strip():
        return Reply("", Finish.ERROR, error=_why_empty(message, choice.finish_reason))
    if finish is Finish.ERROR:
        said = clean(str(choice.finish_reason))
        return Reply("", Finish.ERROR, error=f"the server ended its answer by {said!r} after {len(text)} letters")
    tokens = token_scores(text, choice.logprobs, greedy=greedy)
    start, stop = unwrapped_span(text) if wrapped else (0, len(text))
    return Reply(text[start:stop], finish, _within(tokens, start, stop))


def satisfies(text: str, schema: Mapping[str, Any]) -> bool:
    """Tell whether an answer has the form of a schema; bounds are left to the parser, which can mend them.

    Thoughts in front and one fence of code around the JSON do not count, words do.
    """
    fenced = _AROUND.match(text)
    inner = fenced.group(1) if fenced and fenced.group(1) else _THOUGHT.sub("", text)
    try:
        value = json.loads(inner)
    except (ValueError, RecursionError):
        return False
    try:
        return bool(jsonschema.Draft202012Validator(without_bounds(schema)).is_valid(value))
    except RecursionError:
        return False


def token_scores(text: str, logprobs: Any, *, greedy: bool) -> tuple[TokenScore, ...] | None:
    """Map the tokens of `choices[].logprobs` to characters of `text`; None where they do not spell it.

    vLLM and llama.cpp tell the model's own probabilities, before the constraint; a hosted server may tell those
    after it, and none tells what it removed. In greedy decoding a likelier alternative that was not taken must
    have been removed: the sum of these is given as `removed_mass`, which is therefore a lower bound.
    Tokens that share a character of several bytes both span it.
    """
    try:
        tokens = (_Logprobs.model_validate(logprobs).content or []) if logprobs else []
        joined = b"".join(token.raw for token in tokens)
    except (ValidationError, ValueError):
        return None
    whole = text.encode("utf-8", "replace")
    begin = joined.rfind(whole)  # thoughts come before the answer, an end-of-text token after it
    if begin < 0 or not tokens:
        return None
    starts = _character_of_byte(text)
    scores, at = [], -begin
    for token in tokens:
        first, last = max(at, 0), min(at + len(token.raw), len(whole)) - 1
        at += len(token.raw)
        if first <= last:
            removed = _removed_mass(token) if greedy else 0.0
            scores.append(TokenScore(starts[first], starts[last] + 1, _log_probability(token.logprob), removed))
    return tuple(scores)


def _joined(parts: Sequence[_Part] | None) -> str:
    return "".join(part.text for part in parts or ())


def _storable(text: str) -> str:
    """Replace halves of a letter and the zero byte, which JSON can carry but no file or database keeps."""
    return re.sub("[\ud800-\udfff\x00]", "\ufffd", text)


def _finish(reason: str | None) -> Finish:
    if reason == "length":
        return Finish.LENGTH
    return Finish.STOP if reason in (None, "stop", "eos", "end_turn") else Finish.ERROR


def _why_empty(message: _Message, reason: str | None) -> str:
    if message.refusal:
        return f"the model refused to answer: {clean(message.refusal)}"
    if reason == "length":
        return "empty answer: the token limit was reached before it began"
    return "empty answer" if reason in (None, "stop") else f"empty answer ({clean(reason)})"


def _no_completion(document: Mapping[str, Any], error: ValidationError) -> str:
    complaint = document.get("error")
    if complaint:
        said = complaint.get("message") if isinstance(complaint, dict) else complaint
        return f"the server answered an error as if it were none: {clean(str(said))}"
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"the server's reply is no chat completion ({where}: {first['msg']})"


def _character_of_byte(text: str) -> list[int]:
    return [index for index, letter in enumerate(text) for _ in letter.encode("utf-8", "replace")]


def _log_probability(value: float) -> float | None:
    """Servers say -9999 or minus infinity where it is very small."""
    return None if math.isnan(value) else min(max(value, _SMALLEST), 0.0)


def _removed_mass(token: _Token) -> float:
    likelier = [other.logprob for other in token.top_logprobs or [] if other.logprob > token.logprob]
    return min(1.0, sum((math.exp(min(value, 0.0)) for value in likelier), 0.0))


def _within(tokens: Sequence[TokenScore] | None, start: int, stop: int) -> tuple[TokenScore, ...] | None:
    if tokens is None:
        return None
    return tuple(
        TokenScore(
            max(token.start, start) - start,
            min(token.stop, stop) - start,
            token.log_probability,
            token.removed_mass,
        )
        for token in tokens
        if token.stop > start and token.start < stop
    )
