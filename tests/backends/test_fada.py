"""The five phases over an engine whose answers are known."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from annotator.errors import BackendError
from annotator.schema import LoadedFrame, Prompt, PromptPoint
from annotator.taxonomy import INTERPRETATION_FIELDS
from backends.engine import Answer, Finish, Phase, Question, TokenScore
from backends.fada import OPEN_FRAMES, FadaBackend
from tests.builders import a_frame, a_model, some_pixels

SIZE_WH = (200, 100)
BOX = {"bbox_2d": [100, 200, 500, 800], "label": "Brain"}
OUTLINE = {**BOX, "mask": [[100, 200], [500, 200], [500, 800], [100, 800]]}
HEAD_TEXT = {
    **dict.fromkeys(INTERPRETATION_FIELDS, "not assessed"),
    "imaging_plane": "transthalamic plane",
    "anatomical_structures": "fetal brain with falx",
}
USUAL: Mapping[Phase, Any] = {
    Phase.INTERPRET: HEAD_TEXT,
    Phase.CLASSIFY: {"label": "Trans-thalamic"},
    Phase.DETECT: [BOX],
    Phase.SEGMENT: [OUTLINE],
    Phase.KEYPOINTS: [],
}


class ScriptedEngine:
    """An Engine that answers from a table; `opened`, `asked` and `closed` note what it was put to."""

    provenance: Mapping[str, str | int | float | None] = {"model_sha256": "aa", "adapter_sha256": None, "seed": 0}

    def __init__(
        self, answers: Mapping[Phase, Any] = USUAL, failing: Callable[[Question], str | None] | None = None
    ) -> None:
        self.model = a_model("scripted-engine-1", "scripted")
        self.answers = {**USUAL, **answers}
        self.failing = failing or (lambda _: None)
        self.opened: list[int] = []
        self.asked: list[tuple[int, Question]] = []
        self.rounds: list[int] = []
        self.closed: list[int] = []

    def open(self, pixels: Sequence[NDArray[np.uint8]]) -> list[int]:
        handles = [len(self.opened) + place for place in range(len(pixels))]
        self.opened += handles
        return handles

    def ask(self, questions: Sequence[tuple[int, Question]]) -> list[Answer]:
        self.asked += questions
        self.rounds.append(len(questions))
        return [self._answer(question) for _, question in questions]

    def close(self, handle: int) -> None:
        self.closed.append(handle)

    def _answer(self, question: Question) -> Answer:
        error = self.failing(question)
        if error:
            return Answer("", Finish.ERROR, 0.5, error=error)
        scripted = self.answers[question.phase]
        text = scripted if isinstance(scripted, str) else json.dumps(scripted)
        return Answer(text, Finish.STOP, 0.5, tokens=(TokenScore(0, len(text), -0.5, 0.25),))


def a_loaded_frame(seed: int = 0) -> LoadedFrame:
    return LoadedFrame(a_frame(seed, f"{seed}.png", SIZE_WH), some_pixels(seed, SIZE_WH))


def phases(engine: ScriptedEngine) -> list[Phase]:
    return [question.phase for _, question in engine.asked]


def test_a_frame_passes_the_phases_and_its_prediction_holds_what_each_of_them_gave() -> None:
    engine = ScriptedEngine()
    backend = FadaBackend(engine)
    (prediction,) = backend.predict([a_loaded_frame()])
    assert prediction.interpretation is not None
    assert prediction.interpretation.imaging_plane == "transthalamic plane"
    assert prediction.plane == "Trans-thalamic"
    (brain,) = prediction.findings
    assert brain.structure == "Brain"
    assert brain.box_xyxy == pytest.approx((20, 20, 100, 80))
    assert brain.mask_rle is not None
    assert brain.score is not None
    assert brain.removed_mass == 0.25
    assert prediction.mapping_tier
    assert prediction.mapping_evidence
    assert set(prediction.seconds) == {"interpret", "classify", "detect", "segment"}
    assert prediction.asked_for["segment"] == ("Brain",)


def test_what_made_a_prediction_is_stored_with_it() -> None:
    backend = FadaBackend(ScriptedEngine())
    (prediction,) = backend.predict([a_loaded_frame()])
    assert prediction.provenance["model_sha256"] == "aa"
    assert prediction.provenance["seed"] == 0
    assert prediction.provenance["profile"] == backend.model.settings["profile_sha256"]
    assert json.loads(prediction.raw_texts["detect"]) == [BOX]
    assert prediction.model_version == backend.model.name


def test_a_batch_is_opened_at_once_and_asked_in_two_rounds() -> None:
    engine = ScriptedEngine()
    FadaBackend(engine).predict([a_loaded_frame(seed) for seed in range(3)])
    assert len(engine.opened) == 3
    assert len(engine.rounds) == 2
    assert engine.rounds[0] == 6
    assert phases(engine)[:6] == [Phase.INTERPRET, Phase.CLASSIFY] * 3


def test_segmentation_is_skipped_where_the_mapping_names_nothing_to_segment() -> None:
    femur = {**HEAD_TEXT, "imaging_plane": "femur length plane", "anatomical_structures": "femur"}
    engine = ScriptedEngine({Phase.INTERPRET: femur, Phase.CLASSIFY: {"label": "FL_PLANE"}, Phase.DETECT: []})
    (prediction,) = FadaBackend(engine).predict([a_loaded_frame()])
    assert Phase.SEGMENT not in phases(engine)
    assert prediction.asked_for["detect"] == ("legs",)


def test_keypoints_are_asked_for_only_on_request() -> None:
    nt = {**HEAD_TEXT, "imaging_plane": "nuchal translucency view", "anatomical_structures": "nuchal translucency"}
    points = [{"bbox_2d": [100, 100, 200, 200], "label": "NTKpoints", "keypoints": [[100, 100, 2], [200, 200, 2]]}]
    answers = {Phase.INTERPRET: nt, Phase.CLASSIFY: {"label": "NT-View"}, Phase.DETECT: [], Phase.SEGMENT: []}
    silent, asking = ScriptedEngine(answers), ScriptedEngine({**answers, Phase.KEYPOINTS: points})
    FadaBackend(silent).predict([a_loaded_frame()])
    (prediction,) = FadaBackend(asking, asks_keypoints=True).predict([a_loaded_frame()])
    assert Phase.KEYPOINTS not in phases(silent)
    assert [item.structure for item in prediction.findings] == ["NTKpoints"]
    assert [point.name for point in prediction.findings[0].keypoints] == ["inner", "outer"]


def test_the_text_and_the_geometry_are_compared() -> None:
    (prediction,) = FadaBackend(ScriptedEngine({Phase.DETECT: [], Phase.SEGMENT: []})).predict([a_loaded_frame()])
    assert "named_not_found" in [item.kind for item in prediction.inconsistencies]
    (agreeing,) = FadaBackend(ScriptedEngine()).predict([a_loaded_frame()])
    assert not [item for item in agreeing.inconsistencies if item.structure == "Brain"]


def test_one_phase_that_fails_is_an_issue_and_the_others_count() -> None:
    engine = ScriptedEngine(failing=lambda asked: "server said 500" if asked.phase is Phase.SEGMENT else None)
    (prediction,) = FadaBackend(engine).predict([a_loaded_frame()])
    assert [item.structure for item in prediction.findings] == ["Brain"]
    assert any(issue.phase == "segment" and "500" in issue.reason + issue.excerpt for issue in prediction.issues)


def test_a_model_that_answers_nothing_at_all_is_an_error_and_not_an_empty_prediction() -> None:
    engine = ScriptedEngine(failing=lambda _: "out of memory")
    with pytest.raises(BackendError, match="out of memory"):
        FadaBackend(engine).predict([a_loaded_frame()])


@pytest.mark.parametrize("text", ["", "I cannot help with that.", "[]", "\ud800 broken", "<think>", '{"label":'])
def test_nonsense_in_every_phase_gives_issues_for_every_phase_and_still_a_storable_prediction(text: str) -> None:
    engine = ScriptedEngine(dict.fromkeys(USUAL, text))
    (prediction,) = FadaBackend(engine).predict([a_loaded_frame()])
    assert {"interpret", "classify"} <= {issue.phase for issue in prediction.issues}
    assert prediction.findings == ()
    prediction.model_dump_json().encode("utf-8")


def test_chosen_structures_are_asked_for_on_the_frame_that_is_open_already() -> None:
    engine = ScriptedEngine()
    backend, frame = FadaBackend(engine), a_loaded_frame()
    backend.predict([frame])
    prediction = backend.look_for(frame, ["CSP", "Brain"], ["Brain"])
    assert engine.opened == [0]
    assert [question.structures for _, question in engine.asked[-2:]] == [("CSP", "Brain"), ("Brain",)]
    assert prediction.interpretation is None
    assert prediction.asked_for == {"detect": ("CSP", "Brain"), "segment": ("Brain",)}


def test_frames_that_were_not_asked_for_long_are_closed() -> None:
    engine = ScriptedEngine()
    backend = FadaBackend(engine)
    for seed in range(OPEN_FRAMES + 2):
        backend.predict([a_loaded_frame(seed)])
    assert engine.closed == [0, 1]


def test_one_frame_twice_in_a_batch_is_opened_once() -> None:
    engine = ScriptedEngine()
    predictions = FadaBackend(engine).predict([a_loaded_frame(), a_loaded_frame()])
    assert engine.opened == [0]
    assert len(predictions) == 2


@pytest.mark.parametrize(
    ("point", "is_found"),
    [
        (PromptPoint(x=50, y=50), True),
        (PromptPoint(x=150, y=50), False),
        (PromptPoint(x=50, y=50, positive=False), False),
    ],
)
def test_a_click_chooses_the_outline_that_it_lies_in(point: PromptPoint, is_found: bool) -> None:
    backend = FadaBackend(ScriptedEngine())
    findings = backend.prompt(a_loaded_frame(), Prompt(structure="Brain", points=(point,)))
    assert bool(findings) is is_found


def test_a_drawn_box_chooses_the_outline_that_it_meets() -> None:
    backend, frame = FadaBackend(ScriptedEngine()), a_loaded_frame()
    assert backend.prompt(frame, Prompt(structure="Brain", box_xyxy=(0, 0, 60, 60)))
    assert not backend.prompt(frame, Prompt(structure="Brain", box_xyxy=(150, 0, 190, 60)))


def test_another_profile_is_another_version_and_the_same_one_is_the_same() -> None:
    from backends.prompts import load_profile

    profile = load_profile()
    first, again = FadaBackend(ScriptedEngine()), FadaBackend(ScriptedEngine(), profile)
    other = FadaBackend(ScriptedEngine(), profile.model_copy(update={"name": "other words"}))
    assert first.model == again.model
    assert other.model.name != first.model.name
    assert first.model.name.startswith("fada-")
