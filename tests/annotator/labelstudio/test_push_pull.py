"""Push and pull against a Label Studio in memory: repeated, interrupted, and met with nonsense."""

from collections.abc import Callable
from typing import Any

import pytest

from annotator.errors import JobError, LabelStudioError
from annotator.files import exclusive_lock
from annotator.labelstudio import push as pushing
from annotator.labelstudio.connect import SETTING
from annotator.labelstudio.pull import PullReport, pull, pull_one
from annotator.labelstudio.push import PushReport, push
from annotator.labelstudio.regions import prediction_to_result
from annotator.schema import Change, Correction, Frame, Prediction
from annotator.store import Links, Store
from tests.annotator.labelstudio.fake_server import PROJECT_ID, FakeLabelStudio
from tests.builders import a_finding, a_model, a_prediction, keep_frames


class Killed(BaseException):
    """The process ends here."""


def a_store_with(store: Store, count: int = 5, **prediction: Any) -> list[Frame]:
    frames = keep_frames(store, count)
    predict(store, frames, **prediction)
    Links(store).set_setting(SETTING, {"project_id": PROJECT_ID, "title": "t"})
    return frames


def predict(store: Store, frames: list[Frame], model_version: str = "embedded-1", **more: Any) -> list[Prediction]:
    predictions = [
        a_prediction(frame, model_version, **({"findings": (a_finding(score=0.5), a_finding("LV"))} | more))
        for frame in frames
    ]
    store.add_model_version(a_model(model_version))
    with store.writing() as connection:
        store.add_predictions(connection, predictions)
    return predictions


def push_to(server: FakeLabelStudio, store: Store, **options: Any) -> PushReport:
    with server.client() as client:
        return push(store, client, **options)


def pull_from(server: FakeLabelStudio, store: Store) -> PullReport:
    with server.client() as client:
        return pull(store, client)


def kill_after(server: FakeLabelStudio, what: str) -> None:
    """Let the server do a request, and the process end before it hears of it."""

    def end(done: str) -> None:
        if done == what:
            server.after = lambda _: None
            raise Killed

    server.after = end


def corrections(store: Store) -> list[Correction]:
    return list(store.newest_corrections(is_truth=False))


@pytest.fixture
def server() -> FakeLabelStudio:
    return FakeLabelStudio()


def submit_as_predicted(server: FakeLabelStudio, task_id: int, **more: Any) -> int:
    row = server.predictions_of(task_id)[0]
    return server.annotate(task_id, row["result"], parent_prediction=row["id"], **more)


def test_every_frame_becomes_a_task_and_every_prediction_a_row(store: Store, server: FakeLabelStudio) -> None:
    frames = a_store_with(store)
    report = push_to(server, store)
    assert (report.tasks_made, report.predictions_sent, report.predictions_on_server) == (5, 5, 5)
    assert {task["data"]["frame_id"] for task in server.tasks.values()} == {frame.frame_id for frame in frames}
    assert server.model_version == "embedded-1"


def test_pushing_twice_leaves_exactly_the_same(store: Store, server: FakeLabelStudio) -> None:
    a_store_with(store)
    push_to(server, store)
    before = (dict(server.tasks), dict(server.predictions))
    report = push_to(server, store)
    assert (report.tasks_made, report.predictions_sent) == (0, 0)
    assert (server.tasks, server.predictions) == before


def test_pushing_from_another_machine_without_notes_makes_no_doubles(store: Store, server: FakeLabelStudio) -> None:
    a_store_with(store)
    push_to(server, store)
    Links(store).forget_project(PROJECT_ID)
    push_to(server, store)
    assert (len(server.tasks), len(server.predictions)) == (5, 5)
    assert len(Links(store).prediction_links(PROJECT_ID)) == 5


@pytest.mark.parametrize("what", ["import", "import/predictions"])
def test_a_push_killed_before_it_could_note_what_the_server_made_is_mended(
    store: Store, server: FakeLabelStudio, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pushing, "TASK_CHUNK", 2)
    monkeypatch.setattr(pushing, "PREDICTION_CHUNK", 2)
    a_store_with(store)
    for _ in range(3):
        kill_after(server, f"POST /api/projects/{PROJECT_ID}/{what}")
        with pytest.raises(Killed):
            push_to(server, store)
    report = push_to(server, store)
    assert (len(server.tasks), len(server.predictions)) == (5, 5)
    assert (report.tasks_on_server, report.predictions_on_server) == (5, 5)


def test_predictions_without_a_finding_are_not_sent_again_either(store: Store, server: FakeLabelStudio) -> None:
    a_store_with(store, findings=())
    push_to(server, store)
    Links(store).forget_project(PROJECT_ID)
    push_to(server, store)
    assert len(server.predictions) == 5


def test_rows_that_label_studio_made_from_our_backend_are_recognised(store: Store, server: FakeLabelStudio) -> None:
    (frame,) = a_store_with(store, 1)
    (prediction,) = store.newest_predictions()
    push_to(server, store)
    server.predictions.clear()
    (task_id,) = server.tasks
    server.add_prediction(task_id, prediction_to_result(prediction, frame), "embedded-1")
    assert push_to(server, store).predictions_sent == 0


def test_what_the_model_said_before_is_replaced(store: Store, server: FakeLabelStudio) -> None:
    frames = a_store_with(store)
    push_to(server, store)
    again = predict(store, frames)
    report = push_to(server, store)
    assert (report.predictions_sent, report.predictions_replaced, len(server.predictions)) == (5, 5, 5)
    shown = Links(store).prediction_links(PROJECT_ID)
    assert {shown[row_id] for row_id in server.predictions} == {item.prediction_id for item in again}


def test_what_a_reader_has_corrected_is_not_removed_under_them(store: Store, server: FakeLabelStudio) -> None:
    frames = a_store_with(store, 1)
    push_to(server, store)
    submit_as_predicted(server, next(iter(server.tasks)))
    predict(store, frames)
    push_to(server, store)
    assert len(server.predictions) == 2


def test_another_model_s_predictions_stand_beside(store: Store, server: FakeLabelStudio) -> None:
    frames = a_store_with(store)
    push_to(server, store)
    predict(store, frames, "embedded-2")
    push_to(server, store)
    assert len(server.predictions) == 10
    assert server.model_version == "embedded-2"


def test_predictions_that_the_server_drops_without_a_word_are_told(store: Store, server: FakeLabelStudio) -> None:
    a_store_with(store)
    server.drops = lambda row: row["task"] == min(server.tasks)
    report = push_to(server, store)
    assert (report.predictions_sent, report.predictions_on_server) == (4, 4)
    assert report.refused == ["it made fewer than the 5 sent and gives no reason"]
    server.drops = lambda row: False
    push_to(server, store)
    assert len(server.predictions) == 5


def test_a_task_that_was_deleted_on_the_server_is_made_again(store: Store, server: FakeLabelStudio) -> None:
    a_store_with(store)
    push_to(server, store)
    gone = min(server.tasks)
    del server.tasks[gone]
    server.predictions = {key: row for key, row in server.predictions.items() if row["task"] != gone}
    push_to(server, store)
    assert (len(server.tasks), len(server.predictions)) == (5, 5)


def test_foreign_and_double_tasks_of_the_project_are_left_alone(store: Store, server: FakeLabelStudio) -> None:
    a_store_with(store)
    push_to(server, store)
    server.tasks[900] = {"id": 900, "data": {"image": "https://elsewhere.example/1.png"}, "updated_at": ""}
    server.tasks[901] = {**server.tasks[min(server.tasks)], "id": 901}
    report = push_to(server, store)
    assert (report.tasks_made, report.double_tasks, report.tasks_on_server) == (0, 1, 5)


def test_only_a_split_can_be_pushed(store: Store, server: FakeLabelStudio) -> None:
    frames = a_store_with(store)
    store.add_frames([frames[0].model_copy(update={"split": "train"})])
    assert push_to(server, store, split="train").tasks_on_server == 1
    assert len(server.predictions) == 1


def test_progress_reaches_the_end(store: Store, server: FakeLabelStudio) -> None:
    a_store_with(store)
    told: list[tuple[str, int, int]] = []
    push_to(server, store, progress=lambda *step: told.append(step))
    assert ("tasks", 5, 5) in told
    assert ("predictions", 5, 5) in told


def test_two_pushes_at_once_cannot_double_anything(store: Store, server: FakeLabelStudio) -> None:
    a_store_with(store, 1)
    with (
        exclusive_lock(store.workspace / "locks" / "push.lock", "push"),
        pytest.raises(JobError, match="already running"),
    ):
        push_to(server, store)


def test_pushing_without_a_project_says_what_to_do(store: Store, server: FakeLabelStudio) -> None:
    keep_frames(store, 1)
    with pytest.raises(LabelStudioError, match="annotator labelstudio connect"):
        push_to(server, store)


def test_what_a_reader_submits_comes_in_once(store: Store, server: FakeLabelStudio) -> None:
    a_store_with(store)
    push_to(server, store)
    for task_id in list(server.tasks)[:3]:
        submit_as_predicted(server, task_id)
    report = pull_from(server, store)
    assert (report.annotations_read, report.corrections_new, report.problems) == (3, 3, [])
    assert report.regions[Change.KEPT] == 6
    assert {item.reader for item in corrections(store)} == {"anna@lab.local"}
    again = pull_from(server, store)
    assert (again.annotations_read, again.corrections_new) == (0, 0)


def test_a_later_edit_comes_in_and_counts(store: Store, server: FakeLabelStudio) -> None:
    a_store_with(store, 1)
    push_to(server, store)
    annotation = submit_as_predicted(server, next(iter(server.tasks)))
    pull_from(server, store)
    server.change(annotation, result=server.annotations[annotation]["result"][:1])
    assert pull_from(server, store).regions[Change.DELETED] == 1
    assert store.counts()["corrections"] == 2
    assert len(corrections(store)[0].findings) == 1


def test_a_bulk_action_that_leaves_the_time_of_the_task_is_noticed(store: Store, server: FakeLabelStudio) -> None:
    a_store_with(store, 1)
    push_to(server, store)
    (task_id,) = server.tasks
    submit_as_predicted(server, task_id)
    pull_from(server, store)
    before = server.tasks[task_id]["updated_at"]
    submit_as_predicted(server, task_id, completed_by=2)
    server.tasks[task_id]["updated_at"] = before
    assert pull_from(server, store).corrections_new == 1


def test_an_annotation_deleted_on_the_server_is_reported_once_and_kept_here(
    store: Store, server: FakeLabelStudio
) -> None:
    a_store_with(store)
    push_to(server, store)
    first, second = (submit_as_predicted(server, task_id) for task_id in list(server.tasks)[:2])
    pull_from(server, store)
    server.delete_annotation(first)
    assert pull_from(server, store).deleted_on_server == [str(first)]
    assert pull_from(server, store).deleted_on_server == []
    server.annotate(server.annotations[second]["task"], [])
    server.delete_annotation(second)
    assert pull_from(server, store).deleted_on_server == [str(second)]
    assert store.counts()["corrections"] == 3


@pytest.mark.parametrize(
    "damage",
    [
        {"result": None},
        {"result": "regions"},
        {"result": [None, 5, {"type": "rectanglelabels", "value": {}}]},
        {"result": [{"id": "x", "type": "brushlabels", "value": {"rle": [1], "brushlabels": ["liver"]}}]},
        {"id": None},
    ],
)
def test_one_bad_annotation_never_stops_the_others(
    store: Store, server: FakeLabelStudio, damage: dict[str, Any]
) -> None:
    a_store_with(store)
    push_to(server, store)
    tasks = list(server.tasks)
    for task_id in tasks[:3]:
        submit_as_predicted(server, task_id)
    server.annotations[min(server.annotations)] |= damage
    report = pull_from(server, store)
    assert len(report.problems) >= 1
    assert {item.frame_id for item in corrections(store)} >= {
        server.tasks[task_id]["data"]["frame_id"] for task_id in tasks[1:3]
    }


def test_annotations_of_foreign_tasks_are_told(store: Store, server: FakeLabelStudio) -> None:
    a_store_with(store, 1)
    push_to(server, store)
    server.tasks[900] = {"id": 900, "project": PROJECT_ID, "data": {"image": "https://elsewhere.example/1.png"}}
    server.annotate(900, [])
    assert [problem.reason for problem in pull_from(server, store).problems] == [
        "task 900 shows no frame of this workspace"
    ]


def test_the_prediction_is_found_though_its_row_is_not_noted(store: Store, server: FakeLabelStudio) -> None:
    """Label Studio asked the ML backend by itself, so that nobody noted the row."""
    (frame,) = a_store_with(store, 1)
    push_to(server, store)
    (task_id,) = server.tasks
    (prediction,) = store.newest_predictions()
    row = server.add_prediction(task_id, prediction_to_result(prediction, frame), "embedded-1")
    server.annotate(task_id, [], parent_prediction=row)
    assert pull_from(server, store).regions[Change.DELETED] == 2
    assert Links(store).prediction_links(PROJECT_ID)[row] == prediction.prediction_id


def test_the_prediction_is_found_by_its_regions_when_label_studio_forgot_it(
    store: Store, server: FakeLabelStudio
) -> None:
    a_store_with(store, 1)
    push_to(server, store)
    (task_id,) = server.tasks
    regions = server.predictions_of(task_id)[0]["result"]
    server.annotate(task_id, regions[:1], parent_prediction=None)
    server.annotate(task_id, regions[:1], parent_prediction=4711)
    report = pull_from(server, store)
    assert (report.regions[Change.KEPT], report.regions[Change.DELETED]) == (2, 2)


def test_skipped_frames_are_counted_and_say_nothing(store: Store, server: FakeLabelStudio) -> None:
    a_store_with(store, 1)
    push_to(server, store)
    submit_as_predicted(server, next(iter(server.tasks)), was_cancelled=True)
    report = pull_from(server, store)
    assert (report.skipped, report.corrections_new, sum(report.regions.values())) == (1, 1, 0)


def killing_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """End the process between the commit of the corrections and the note that they are in."""

    def end(self: Links, key: str, value: Any) -> None:
        raise Killed

    monkeypatch.setattr(Links, "set_setting", end)


def killing_store(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(self: Store, items: Any) -> int:
        raise Killed

    monkeypatch.setattr(Store, "add_corrections", end)


@pytest.mark.parametrize("kill", [killing_links, killing_store])
def test_a_killed_pull_loses_nothing_and_doubles_nothing(
    store: Store,
    server: FakeLabelStudio,
    kill: Callable[[pytest.MonkeyPatch], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("annotator.labelstudio.pull.BATCH", 2)
    a_store_with(store)
    push_to(server, store)
    for task_id in server.tasks:
        submit_as_predicted(server, task_id)
    with monkeypatch.context() as ending:
        kill(ending)
        with pytest.raises(Killed):
            pull_from(server, store)
    pull_from(server, store)
    assert store.counts()["corrections"] == 5
    assert store.verify().problems == []


def test_a_webhook_s_annotation_comes_in_alone_and_pull_adds_no_second(
    store: Store, server: FakeLabelStudio
) -> None:
    a_store_with(store)
    push_to(server, store)
    first, *_ = [submit_as_predicted(server, task_id) for task_id in server.tasks]
    with server.client() as client:
        assert pull_one(store, client, first).corrections_new == 1
        assert pull_one(store, client, first).corrections_new == 0
    assert pull_from(server, store).corrections_new == 4
    assert store.counts()["corrections"] == 5


def test_a_webhook_of_something_that_is_gone_or_foreign_is_one_clear_line(
    store: Store, server: FakeLabelStudio
) -> None:
    a_store_with(store, 1)
    push_to(server, store)
    annotation = submit_as_predicted(server, next(iter(server.tasks)))
    server.tasks[min(server.tasks)]["project"] = 99
    with server.client() as client:
        with pytest.raises(LabelStudioError, match="nothing at GET /api/annotations/4711/"):
            pull_one(store, client, 4711)
        with pytest.raises(LabelStudioError, match="belongs to another project"):
            pull_one(store, client, annotation)
