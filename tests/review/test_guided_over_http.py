"""Guided cases over HTTP: nothing of the model before the own view, each step a row, grades before corrections."""

from datetime import timedelta
from typing import Any

import pytest

from annotator.schema import Change, Finding, Interpretation, ParseIssue, Prediction
from annotator.store import Store
from annotator.store.studies import Studies
from annotator.studies import Arm, StepKind
from review.rows import rows_of_study
from review.running import Preset, RunProgress, preset_of, targeted, why_not_together
from tests.builders import a_correction, a_finding, a_frame, a_mask, a_masked_finding, a_prediction, keep_frames
from tests.review.reading import Clock, Reader, a_server, a_study, add_account


def a_guided_reader(store: Store, frames: int = 1, **more: Any) -> Reader:
    a_study(store, frames, arm=Arm.GUIDED)
    return a_server(store, **more).reader("anna")


def own_view(reader: Reader, token: str, **more: Any) -> Any:
    said = {"plane": "Trans-ventricular", "normality": "normal", "seen": "midline echo", "seconds": 5, **more}
    return reader.post("guided/own_view", case=token, **said)


def read_text(reader: Reader, token: str, **more: Any) -> Any:
    return reader.post("guided/interpretation", case=token, **{"fields": {}, "seconds": 9, **more})


def look_for(
    reader: Reader, token: str, detect: tuple[str, ...] = ("Brain", "CSP"), segment: Any = ("Brain",)
) -> Any:
    return reader.post("guided/targets", case=token, detect=detect, segment=segment, seconds=2)


def up_to_the_outlines(reader: Reader) -> str:
    token = str(reader.case()["case"])
    assert own_view(reader, token).status_code == 200
    assert read_text(reader, token).status_code == 200
    assert look_for(reader, token).status_code == 200
    assert reader.get("guided/run", case=token).json()["state"] == "done"
    return token


def steps_of(store: Store) -> list[Any]:
    with Studies(store).reading() as rows:
        return [step for study_id in rows.study_ids() for step in rows.steps_of_study(study_id)]


def test_nothing_of_the_model_is_sent_before_the_own_view_is_stored(store: Store) -> None:
    reader = a_guided_reader(store, 2)
    document = reader.case()
    (slot,) = document["slots"]
    assert (slot["interpretation"], slot["plane"], slot["overlay"], slot["failed"]) == (None, None, [], None)
    following = reader.get("next", study=document["study"], after=document["case"]).json()
    assert following["slots"][0]["interpretation"] is None
    assert document["steps"] == dict.fromkeys(("own_view", "interpretation", "targets", "run", "geometry"))
    assert len(document["views"]) > 20
    shown = own_view(reader, document["case"]).json()["case"]["slots"][0]
    assert shown["interpretation"]["imaging_plane"] == "Transthalamic plane"
    assert shown["overlay"] == []


def test_each_step_waits_for_the_one_before_it(store: Store) -> None:
    reader = a_guided_reader(store)
    token = reader.case()["case"]
    assert read_text(reader, token).status_code == 409
    assert look_for(reader, token).status_code == 409
    assert reader.get("guided/run", case=token).status_code == 409
    for dimension in ("interpretation", "annotation"):
        assert reader.grade(token, dimension=dimension).status_code == 409
    own_view(reader, token)
    assert look_for(reader, token).status_code == 409
    assert reader.grade(token, dimension="interpretation").status_code == 200
    assert reader.grade(token).status_code == 409
    assert steps_of(store)[0].step is StepKind.OWN_VIEW
    assert len(steps_of(store)) == 1


def test_the_own_view_is_stored_once_and_stays(store: Store) -> None:
    reader = a_guided_reader(store)
    token = reader.case()["case"]
    assert own_view(reader, token).status_code == 200
    assert own_view(reader, token).status_code == 200
    assert own_view(reader, token, normality="abnormal").status_code == 409
    (step,) = steps_of(store)
    assert (step.own_view.plane, step.own_view.normality, step.seconds) == ("Trans-ventricular", "normal", 5.0)


def test_the_text_is_corrected_field_by_field_and_the_mapping_says_what_to_look_for(store: Store) -> None:
    reader = a_guided_reader(store)
    token = reader.case()["case"]
    own_view(reader, token)
    answer = read_text(
        reader, token, fields={"imaging_plane": "Transventricular plane", "image_quality": ""}
    ).json()
    assert answer["preset"] == {
        "tier": "imaging plane",
        "evidence": ["imaging_plane: transthalamic"],
        "detect": ["Brain", "CSP"],
        "segment": ["Brain"],
    }
    assert ["Brain", "CSP", "LV"] in answer["groups"]
    text = steps_of(store)[-1].text
    assert text.corrected_fields == ("imaging_plane",)
    assert text.interpretation.imaging_plane == "Transventricular plane"
    assert text.interpretation.anatomical_structures == "Skull, midline echo, CSP"


@pytest.mark.parametrize(
    ("own", "after", "overturned"),
    [
        ({}, {"plane": "Trans-ventricular", "normality": "normal"}, False),
        ({}, {"plane": "Trans-thalamic", "normality": "normal"}, True),
        ({}, {"plane": "Trans-ventricular", "normality": "abnormal"}, True),
        ({}, {}, True),  # the model's plane was left as it stood
        ({"plane": "Trans-thalamic"}, {}, False),
        ({}, {"fields": {"imaging_plane": "Transventricular plane"}}, False),
    ],
)
def test_an_own_view_given_up_for_the_models_is_counted(
    store: Store, own: dict[str, Any], after: dict[str, Any], overturned: bool
) -> None:
    reader = a_guided_reader(store)
    token = reader.case()["case"]
    own_view(reader, token, **own)
    read_text(reader, token, **after)
    assert steps_of(store)[-1].text.overturned is overturned


def test_the_run_shows_what_was_asked_for_and_no_more(store: Store) -> None:
    reader = a_guided_reader(store)
    token = reader.case()["case"]
    own_view(reader, token)
    read_text(reader, token)
    assert look_for(reader, token, ("CSP",), ()).status_code == 200
    run = reader.get("guided/run", case=token).json()
    assert (run["state"], run["progress"]) == ("done", 1.0)
    assert [(shape["structure"], shape["kind"]) for shape in run["overlay"]] == [("CSP", "box")]
    look_for(reader, token, ("Brain",), ())
    again = reader.get("guided/run", case=token).json()["overlay"]
    assert [(shape["structure"], shape["kind"]) for shape in again] == [("Brain", "box")]
    assert reader.case()["slots"][0]["overlay"] == again
    kinds = [step.step for step in steps_of(store)]
    assert kinds.count(StepKind.TARGETS) == 2
    assert kinds[-1] is StepKind.RUN


@pytest.mark.parametrize(
    ("detect", "segment", "fits"),
    [
        (["Brain", "CSP"], ["Brain"], True),
        (["Brain", "NT"], [], True),
        (["CRL", "NT"], ["NT"], True),
        (["thalami", "NT"], [], True),
        (["Brain", "ScaleBar"], [], True),
        (["Brain", "cardiac"], [], False),
        (["Brain", "NT", "CRL"], [], False),
        (["CSP"], ["CSP"], False),
        (["unicorn"], [], False),
        ([], [], False),
    ],
)
def test_structures_are_chosen_within_groups_that_go_together(
    detect: list[str], segment: list[str], fits: bool
) -> None:
    assert (why_not_together(detect, segment) is None) == fits


def test_both_grades_finish_a_guided_case(store: Store) -> None:
    reader = a_guided_reader(store)
    token = up_to_the_outlines(reader)
    assert not reader.grade(token, dimension="interpretation", grade=2).json()["case_done"]
    assert reader.grade(token, grade=1).json()["case_done"]
    assert reader.case()["finished"]
    assert own_view(reader, token).status_code == 409
    assert look_for(reader, token).status_code == 409


def test_geometry_is_corrected_after_the_grade_and_the_correction_says_what_changed(store: Store) -> None:
    reader = a_guided_reader(store)
    token = up_to_the_outlines(reader)
    brain, csp = reader.case()["slots"][0]["overlay"]
    fix = {"case": token, "removed": [brain["id"]], "relabelled": {csp["id"]: "LV"}, "seconds": 7}
    assert reader.post("guided/geometry", **fix).status_code == 409
    reader.grade(token, grade=3)
    reader.grade(token, dimension="interpretation")
    fixed = reader.post("guided/geometry", **fix).json()["overlay"]
    assert [shape["structure"] for shape in fixed] == ["LV"]
    assert reader.post("guided/geometry", case=token, removed=[brain["id"]]).status_code == 409
    (correction,) = store.newest_corrections(is_truth=False)
    assert (correction.reader, correction.lead_time_s) == ("anna", 7.0)
    assert sorted(correction.changes.values()) == [Change.CHANGED, Change.DELETED]
    assert correction.findings[0].parent_finding_id == correction.findings[0].finding_id
    past = reader.case(token)
    assert past["slots"][0]["overlay"] == fixed
    assert past["steps"]["geometry"] == {"removed": 1, "relabelled": 1, "accepted": False, "seconds": 7.0}
    assert store.verify().problems == []


def test_accepting_all_is_a_correction_that_kept_everything_and_fixes_the_run(store: Store) -> None:
    reader = a_guided_reader(store)
    token = up_to_the_outlines(reader)
    assert reader.post("guided/geometry", case=token, accepted=True).status_code == 200
    (correction,) = store.newest_corrections(is_truth=False)
    assert set(correction.changes.values()) == {Change.KEPT}
    assert look_for(reader, token).status_code == 409


@pytest.mark.parametrize("shape", ["0" * 16, "fnd_1", "../x"])
def test_an_outline_that_is_not_shown_cannot_be_removed(store: Store, shape: str) -> None:
    reader = a_guided_reader(store)
    token = up_to_the_outlines(reader)
    reader.grade(token)
    assert reader.post("guided/geometry", case=token, removed=[shape]).status_code == 409
    assert list(store.newest_corrections(is_truth=False)) == []


def test_label_studio_opens_the_same_frame_and_its_correction_comes_back(store: Store) -> None:
    asked: list[tuple[str, str, str]] = []

    def hand_over(frame_id: str, prediction_id: str, reader: str) -> str:
        asked.append((frame_id, prediction_id, reader))
        return "http://127.0.0.1:8080/projects/1/data?task=1"

    clock = Clock()
    reader = a_guided_reader(store, clock=clock, hand_over=hand_over)
    add_account(store, "ben")
    token = up_to_the_outlines(reader)
    assert reader.post("guided/labelstudio", case=token).status_code == 409
    reader.grade(token, grade=2)
    assert reader.post("guided/labelstudio", case=token).json()["url"].endswith("task=1")
    assert asked[0][2] == "anna"
    assert not reader.get("guided/geometry", case=token).json()["corrected_in_labelstudio"]
    frame = a_frame(0)
    early, later = clock.at - timedelta(hours=1), clock.at + timedelta(minutes=5)
    moved = a_masked_finding(a_mask(box=(6, 5, 22, 15)))
    store.add_corrections(
        [
            a_correction(frame, "ls user", external_id="ls:1", external_updated_at="1", created_at=early),
            a_correction(frame, "ben", external_id="ls:2", external_updated_at="1", created_at=later),
        ]
    )
    assert not reader.get("guided/geometry", case=token).json()["corrected_in_labelstudio"]
    back = a_correction(
        frame,
        "ls user",
        findings=(moved,),
        external_id="ls:3",
        external_updated_at="1",
        created_at=later,
        lead_time_s=40,
    )
    store.add_corrections([back])
    watched = reader.get("guided/geometry", case=token).json()
    assert watched["corrected_in_labelstudio"]
    assert [shape["structure"] for shape in watched["overlay"]] == ["Brain"]
    with Studies(store).reading() as rows:
        study = rows.study(rows.study_ids()[0])
    assert study is not None
    (row,) = rows_of_study(store, study)
    assert row["edit_seconds"] == 40
    assert row["apl_px"] > 0
    assert 0 < row["dice_change"] < 1


def test_without_label_studio_its_button_says_how_to_connect(store: Store) -> None:
    reader = a_guided_reader(store)
    token = up_to_the_outlines(reader)
    reader.grade(token)
    answer = reader.post("guided/labelstudio", case=token)
    assert (answer.status_code, answer.json()["error"]) == (
        409,
        "Label Studio is not connected: annotator labelstudio connect",
    )


class SlowRunner:
    """A runner whose runs stand where the test puts them."""

    def __init__(self) -> None:
        self.standing: dict[str, RunProgress] = {}
        self.cancelled: list[str] = []

    def preset(self, prediction: Prediction, interpretation: Interpretation) -> Preset:
        return preset_of(prediction)

    def start(self, frame_id: str, detect: Any, segment: Any, *, prediction_id: str | None = None) -> str:
        run = f"run{len(self.standing)}"
        self.standing[run] = RunProgress("running", 0.3, "looking for 2 structures with skd-4b-9f3a")
        return run

    def progress(self, run: str) -> RunProgress:
        return self.standing[run]

    def cancel(self, run: str) -> None:
        self.cancelled.append(run)


def before_the_run(reader: Reader) -> str:
    token = str(reader.case()["case"])
    own_view(reader, token)
    read_text(reader, token)
    look_for(reader, token)
    return token


def test_a_run_tells_its_progress_without_naming_the_model_and_its_output_is_what_is_graded(store: Store) -> None:
    runner = SlowRunner()
    reader = a_guided_reader(store, runner=runner)
    token = before_the_run(reader)
    run = reader.get("guided/run", case=token).json()
    assert run == {
        "state": "running",
        "progress": 0.3,
        "line": "looking for 2 structures with [...]",
        "overlay": [],
    }
    assert reader.grade(token, grade="NG").status_code == 409
    live = a_prediction(a_frame(0), "skd-4b-9f3a", findings=(a_finding("CSP", (1, 2, 3, 4)),))
    with store.writing() as connection:
        store.add_predictions(connection, [live])
    runner.standing["run0"] = RunProgress("done", 1.0, "done", live.findings, live.prediction_id)
    for _ in range(2):
        (shape,) = reader.get("guided/run", case=token).json()["overlay"]
        assert shape["box_xyxy"] == [1, 2, 3, 4]
    reader.grade(token)
    with Studies(store).reading() as rows:
        (score,) = rows.scores(token)
    assert score.prediction_id == live.prediction_id
    assert [step.step for step in steps_of(store)].count(StepKind.RUN) == 2


@pytest.mark.parametrize("end", ["cancelled", "failed", "lost"])
def test_a_run_that_came_to_nothing_can_be_begun_again_or_graded_as_not_gradable(store: Store, end: str) -> None:
    runner = SlowRunner()
    reader = a_guided_reader(store, runner=runner)
    token = before_the_run(reader)
    if end == "cancelled":
        assert reader.post("guided/cancel", case=token).json() == {"cancelled": True}
        assert reader.post("guided/cancel", case=token).json() == {"cancelled": False}
        assert runner.cancelled == ["run0"]
    elif end == "failed":
        runner.standing["run0"] = RunProgress("failed", line="out of memory")
    else:
        runner.standing.clear()
    run = reader.get("guided/run", case=token).json()
    assert run["state"] == ("failed" if end == "lost" else end)
    assert run["line"]
    assert reader.grade(token, grade=1).status_code == 409
    assert look_for(reader, token).status_code == 200
    runner.standing = {name: RunProgress("failed", line="again") for name in ("run0", "run1")}
    reader.get("guided/run", case=token)
    assert reader.grade(token, grade="NG").status_code == 200


def test_a_failed_output_is_told_after_the_own_view_and_graded_as_not_gradable(store: Store) -> None:
    (frame,) = keep_frames(store, 1)
    issue = ParseIssue(phase="interpret", reason="no JSON")
    with store.writing() as connection:
        store.add_predictions(connection, [a_prediction(frame, "v1-aaaa", findings=(), issues=(issue,))])
    a_study(store, [frame], versions=("v1-aaaa",), arm=Arm.GUIDED, predicted=True)
    reader = a_server(store).reader("anna")
    token = reader.case()["case"]
    assert reader.case()["slots"][0]["failed"] is None
    own_view(reader, token)
    assert reader.case()["slots"][0]["failed"] == "This output could not be produced."
    assert reader.grade(token, grade=3).status_code == 400
    assert reader.grade_all(reader.case(), "NG")["case_done"]


def test_choosing_again_cancels_the_run_before(store: Store) -> None:
    runner = SlowRunner()
    reader = a_guided_reader(store, runner=runner)
    token = before_the_run(reader)
    look_for(reader, token, ("CSP",), ())
    assert runner.cancelled == ["run0"]
    assert reader.get("guided/run", case=token).json()["state"] == "running"


def test_a_mask_that_was_not_asked_for_is_left_off() -> None:
    masked: Finding = a_masked_finding(a_mask())
    (kept,) = targeted([masked, a_finding("CSP")], ["Brain"], [])
    assert kept.mask_rle is None
    assert kept.box_xyxy == masked.box_xyxy


def test_a_crossover_reader_reads_both_modes_in_the_order_of_the_plan(store: Store) -> None:
    study = a_study(store, 4, arm=Arm.BOTH, washout_days=0)
    reader = a_server(store).reader("anna")
    seen = []
    while "case" in (document := reader.case()):
        seen.append(document["case"])
        if document["mode"] == "guided":
            up_to_the_outlines(reader)
        reader.grade_all(document)
    with Studies(store).reading() as rows:
        assert seen == [case.token for case in rows.presentations(study.study_id)]
    assert len(seen) == 8
