"""Each failure is called by its kind, so that a reader knows what mends it."""

import pytest

from exports.benchmark.failures import Failure, failure_of, kind_of_error
from tests.exports.benchmark.runs import FIELDS, FREE, PHASES, an_answer, frames, predicted

REASONS = [
    ("api.example.org does not accept the key (401); set ANNOTATOR_REMOTE_API_KEY", Failure.WRONG_KEY),
    ("api.example.org answered 429: no credit; the account behind the key needs credit", Failure.QUOTA),
    ("out of memory even for one at a time; use a smaller model", Failure.OUT_OF_MEMORY),
    ("the model's process died; most often the system had no memory left", Failure.DIED),
    ("127.0.0.1 took too long", Failure.TIMEOUT),
    ("the model took longer than 600 s for one frame", Failure.TIMEOUT),
    ("127.0.0.1 answered 500: out of order", Failure.SERVER_ERROR),
    ("127.0.0.1 answered something else than JSON: '<html>'", Failure.SERVER_ERROR),
    ("no answer from http://127.0.0.1:1/v1 (ConnectError); does the server run?", Failure.SERVER_ERROR),
    ("127.0.0.1 answered more than 4 MiB, which is no answer", Failure.OVERSIZED),
    ("empty answer: the token limit was reached before it began", Failure.EMPTY),
    ("IndexError: list index out of range", Failure.ERROR),
]


@pytest.mark.parametrize(("reason", "kind"), REASONS)
def test_the_reason_of_an_error_tells_its_kind(reason: str, kind: Failure) -> None:
    assert kind_of_error(reason) is kind
    (frame,) = frames(1)
    assert failure_of(an_answer(frame, error=reason, finish="error"), FIELDS) is kind


ANSWERS = [
    ({"text": ""}, FREE, Failure.EMPTY),
    ({"text": " ...\n"}, FREE, Failure.EMPTY),
    ({"text": "x y " * 6, "characters": 4_000_000}, FREE, Failure.OVERSIZED),
    ({"text": "the fetal head " * 40}, FREE, Failure.LOOP),
    ({"text": FREE.prompt}, FREE, Failure.COPIED_PROMPT),
    ({"text": "The skull and the", "finish": "length"}, FREE, Failure.TRUNCATED),
    ({"text": "<html>502 Bad Gateway</html>"}, FREE, Failure.SERVER_ERROR),
    ({"text": "The skull is seen.", "fields": None}, FIELDS, Failure.UNREADABLE),
    ({"text": "The skull is seen."}, FREE, None),
    ({}, FIELDS, None),
]


@pytest.mark.parametrize(("said", "asked", "kind"), ANSWERS)
def test_what_is_no_answer_is_told_by_its_text(said, asked, kind) -> None:
    (frame,) = frames(1)
    assert failure_of(an_answer(frame, asked, **said), asked) is kind


def test_a_prediction_fails_only_where_a_model_wrote_something_of_which_nothing_is_left() -> None:
    (frame,) = frames(1)
    drawn = predicted(frame, None, finds=False)
    assert failure_of(an_answer(frame, PHASES, prediction=drawn), PHASES) is None
    written = drawn.model_copy(update={"raw_texts": {"classify": "I cannot tell."}})
    assert failure_of(an_answer(frame, PHASES, prediction=written), PHASES) is Failure.UNREADABLE
    named = written.model_copy(update={"plane": "Trans-thalamic"})
    assert failure_of(an_answer(frame, PHASES, prediction=named), PHASES) is None
