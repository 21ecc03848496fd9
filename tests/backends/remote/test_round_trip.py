"""The five phases through a real OpenAI-compatible server: what goes wrong is mended, or told on the Prediction."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import Response

from annotator.errors import BackendError
from annotator.schema import LoadedFrame, Prediction
from annotator.taxonomy import INTERPRETATION_FIELDS
from backends.engine import Phase
from backends.fada import FadaBackend
from backends.recorded import RecordedEngine, RecordingEngine
from tests.builders import a_frame, some_pixels
from tests.openai_server import Fault, Json, OpenAiServer, completion, fails, says, schema_sent, sends, tokens_of
from tests.remote_builders import an_engine

SIZE_WH = (200, 100)
BOX = {"bbox_2d": [100, 200, 500, 800], "label": "Brain"}
OUTLINE = {**BOX, "mask": [[100, 200], [500, 200], [500, 800], [100, 800]]}
HEAD_TEXT = {
    **dict.fromkeys(INTERPRETATION_FIELDS, "not assessed"),
    "imaging_plane": "transthalamic plane",
    "anatomical_structures": "fetal brain with falx",
}


def a_loaded_frame(seed: int = 0) -> LoadedFrame:
    return LoadedFrame(a_frame(seed, size_wh=SIZE_WH), some_pixels(seed, SIZE_WH))


def phase_of(body: Json) -> Phase:
    """Which question a request holds, from its schema."""
    properties = (schema_sent(body) or {})["properties"]
    if "items" not in properties:
        return Phase.CLASSIFY if "label" in properties else Phase.INTERPRET
    item = properties["items"]["items"]["properties"]
    return Phase.SEGMENT if "mask" in item else Phase.DETECT


def a_brain(body: Json) -> Response:
    """Answer as a model that sees a brain."""
    said: dict[Phase, Any] = {
        Phase.INTERPRET: HEAD_TEXT,
        Phase.CLASSIFY: {"label": "Trans-thalamic"},
        Phase.DETECT: {"items": [BOX]},
        Phase.SEGMENT: {"items": [OUTLINE]},
    }
    text = json.dumps(said[phase_of(body)])
    return completion(text, logprobs={"content": tokens_of(text)})


class Failing:
    """Some phases fail by a fault, `times` times each; all else is answered by `a_brain`."""

    def __init__(self, fault: Fault, *phases: Phase, times: int = 99) -> None:
        self.fault = fault
        self.left = dict.fromkeys(phases, times)

    def __call__(self, body: Json) -> Response | None:
        phase = phase_of(body)
        if self.left.get(phase, 0) > 0:
            self.left[phase] -= 1
            return self.fault(body)
        return a_brain(body)


def predict(server: OpenAiServer, usual: Fault, seed: int = 0) -> Prediction:
    server.usual = usual
    backend = FadaBackend(an_engine(server, dialect="openai"), name="remote")
    (prediction,) = backend.predict([a_loaded_frame(seed)])
    return prediction


def test_a_frame_gets_its_findings_plane_and_words_with_scores(openai_server: OpenAiServer) -> None:
    prediction = predict(openai_server, a_brain)
    boxes = [finding for finding in prediction.findings if finding.structure == "Brain"]
    assert boxes
    assert boxes[0].box_xyxy == pytest.approx((20.0, 20.0, 100.0, 80.0), abs=1.0)
    assert boxes[0].mask_rle is not None
    assert boxes[0].score is not None
    assert 0 < boxes[0].score < 1
    assert (prediction.plane, prediction.issues) == ("Trans-thalamic", ())
    assert prediction.interpretation is not None
    assert prediction.interpretation.imaging_plane == "transthalamic plane"
    for image in openai_server.images:
        assert np.array_equal(image, some_pixels(0, SIZE_WH))


PASSING: list[tuple[str, Fault]] = [
    ("wrong JSON", sends('{"choices": [')),
    ("429", fails(429, headers={"retry-after": "1"})),
    ("500", fails(500)),
    ("503 page", sends("<html>busy</html>", "text/html", 503)),
    ("schema ignored", says("There is a brain.")),
]
PHASES = (Phase.INTERPRET, Phase.CLASSIFY, Phase.DETECT, Phase.SEGMENT)


@pytest.mark.parametrize("fault", [row[1] for row in PASSING], ids=[row[0] for row in PASSING])
def test_what_passes_leaves_no_trace_in_the_findings(openai_server: OpenAiServer, fault: Fault) -> None:
    prediction = predict(openai_server, Failing(fault, *PHASES, times=1))
    untroubled = predict(openai_server, a_brain)
    assert prediction.issues == ()
    assert [(f.structure, f.box_xyxy, f.score) for f in prediction.findings] == [
        (f.structure, f.box_xyxy, f.score) for f in untroubled.findings
    ]


STAYING: list[tuple[str, Fault]] = [
    *PASSING,
    ("cut off", says('{"items": [{"bbox_2d": [100, 200, 50', finish="length")),
    ("empty", says(None)),
    ("no choices", sends('{"choices": []}')),
    ("refused", says(None, refusal="I cannot help with that.")),
]


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("fault", [row[1] for row in STAYING], ids=[row[0] for row in STAYING])
def test_what_stays_is_told_on_the_prediction(openai_server: OpenAiServer, fault: Fault, phase: Phase) -> None:
    prediction = predict(openai_server, Failing(fault, phase))
    assert [issue for issue in prediction.issues if issue.phase == phase.value]


@pytest.mark.parametrize("fault", [fails(500, "out of memory"), says(None)])
def test_a_server_that_answers_nothing_is_no_empty_frame(openai_server: OpenAiServer, fault: Fault) -> None:
    with pytest.raises(BackendError, match=r"the model answered nothing: .*(out of memory|empty answer)"):
        predict(openai_server, fault)


def test_a_recorded_run_gives_the_same_prediction_without_the_server(
    openai_server: OpenAiServer, tmp_path: Path
) -> None:
    path = tmp_path / "answers.jsonl"
    openai_server.usual = Failing(says("There is a brain."), Phase.SEGMENT)
    live = FadaBackend(RecordingEngine(an_engine(openai_server, dialect="openai"), path))
    frames = [a_loaded_frame(seed) for seed in range(3)]
    said = live.predict(frames)
    replayed = FadaBackend(RecordedEngine(path))
    own = {"prediction_id", "created_at", "model_version", "provenance"}
    for one, again in zip(said, replayed.predict(frames), strict=True):
        kept, repeated = (item.model_dump(exclude={*own, "findings"}) for item in (one, again))
        assert kept == repeated
        assert [f.model_dump(exclude={"finding_id"}) for f in one.findings] == [
            f.model_dump(exclude={"finding_id"}) for f in again.findings
        ]
