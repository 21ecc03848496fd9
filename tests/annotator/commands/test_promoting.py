"""A version serves on evidence only: what it is judged on, what is noted, and the way back."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from annotator import jobs
from annotator.commands.frozen import frozen_set
from annotator.commands.promoting import list_versions, promote, rollback
from annotator.errors import AnnotatorError, InputError, JobError
from annotator.learning import Decision, Promotion, model_folder
from annotator.schema import ModelVersion
from annotator.store import Store
from annotator.store.learning import promotions, serving_version
from annotator.store.versions import unpromoted_versions
from tests import versions
from tests.builders import a_correction
from tests.versions import DATASET, a_version, labelled, note_dataset, say
from tests.workers import start


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "workspace")
    yield opened
    opened.close()


@pytest.fixture
def judged(store: Store) -> Store:
    """30 held-back frames, `good` that serves, and the candidates `same` and `bad`; all have spoken already."""
    labels = labelled(store, 30)
    note_dataset(store, [(frame, "test") for frame, _ in labels])
    for name, wrong in (("good", 0), ("same", 0), ("bad", 12)):
        a_version(store, name)
        say(store, name, labels, wrong=wrong)
    versions.promoted(store, "good")
    return store


def newest(store: Store) -> Promotion:
    return promotions(store, "embedded")[-1]


def test_a_version_that_is_as_good_is_promoted_with_its_figures_and_margins(judged: Store) -> None:
    result = promote(judged.workspace, "same")
    assert result.exit_code == 0
    assert result.document["decision"] == "promoted"
    assert serving_version(judged, "embedded") == "same"
    made = newest(judged)
    assert (made.previous, made.serving, len(made.frozen_set)) == ("good", "same", 64)
    assert {(one.measure, one.what, one.difference) for one in made.comparisons} == {
        ("dice", "Brain", 0.0),
        ("detection", "Brain", 0.0),
        ("plane", "Trans-thalamic", 0.0),
    }
    assert "dice of Brain: 1.0000 -> 1.0000" in result.text


def test_a_version_that_is_worse_is_kept_out_and_the_reasons_are_told_without_an_error(judged: Store) -> None:
    result = promote(judged.workspace, "bad")
    assert result.exit_code == 0
    assert result.document["decision"] == "kept"
    assert serving_version(judged, "embedded") == "good"
    assert newest(judged).decision is Decision.KEPT
    assert "kept: good serves" in result.text
    assert "kept: it may be worse in dice of Brain" in result.text
    assert judged.verify().problems == []


def test_the_margins_are_those_declared_when_the_training_was_queued(
    judged: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = {"dice": 0.9, "detection": 0.9, "plane": 0.9}
    a_version(judged, "lenient", settings={"margins": declared})
    say(judged, "lenient", labelled_again(judged), wrong=3)
    monkeypatch.setenv("ANNOTATOR_MARGIN_DICE", "0.001")
    result = promote(judged.workspace, "lenient")
    assert result.document["margins"] == declared
    assert "declared when its training was queued; the settings say Dice 0.001" in result.text
    assert result.document["decision"] == "promoted"


def labelled_again(store: Store) -> list[tuple[versions.Frame, versions.Correction]]:
    frozen = frozen_set(store, [])
    return list(frozen.labelled)


def test_frames_that_a_version_or_a_parent_learnt_from_are_left_out_and_it_is_told(store: Store) -> None:
    labels = labelled(store, 30)
    frames = [frame for frame, _ in labels]
    note_dataset(store, [(frame, "train" if place < 5 else "test") for place, frame in enumerate(frames)], "first")
    note_dataset(store, [(frame, "test") for frame in frames], "second")
    a_version(store, "grandparent", dataset="first")
    a_version(store, "parent", dataset="second", parent="grandparent")
    child = a_version(store, "child", dataset="second", parent="parent")
    frozen = frozen_set(store, [child])
    assert {frame.frame_id for frame, _ in frozen.labelled} == {frame.frame_id for frame in frames[5:]}
    assert "5 frames left out" in frozen.notes[0]
    assert len(frozen_set(store, []).labelled) == 30


def test_a_version_whose_data_set_is_unknown_is_not_judged(judged: Store) -> None:
    a_version(judged, "stranger", dataset="from elsewhere")
    with pytest.raises(InputError, match="stranger learnt from from elsewhere, which this workspace does not know"):
        promote(judged.workspace, "stranger")


def test_only_frames_whose_split_is_settled_are_frozen_and_test_comes_before_val(store: Store) -> None:
    labels = labelled(store, 9)
    frames = [frame for frame, _ in labels]
    splits = ["test"] * 3 + ["val"] * 3
    note_dataset(store, zip(frames, splits, strict=False))
    frozen = frozen_set(store, [])
    assert (frozen.split, {frame.frame_id for frame, _ in frozen.labelled}) == (
        "test",
        {frame.frame_id for frame in frames[:3]},
    )
    note_dataset(store, [(frame, "train") for frame in frames[:3]], "later")
    assert frozen_set(store, []).split == "val"
    assert "no labelled frame is in split test" in frozen_set(store, []).notes[-1]


def test_what_readers_settled_on_counts_where_there_is_no_reference(store: Store) -> None:
    by_reader = labelled(store, 2, is_truth=False)
    both = labelled(store, 2, first_seed=50)
    store.add_corrections([a_correction(frame, "berta", plane="Trans-cerebellum") for frame, _ in both])
    skipped = labelled(store, 1, first_seed=90, is_truth=False)[0][0]
    store.add_corrections([a_correction(skipped, "anna", findings=(), skipped=True)])
    everything = [frame for frame, _ in [*by_reader, *both]] + [skipped]
    note_dataset(store, [(frame, "test") for frame in everything])
    found = {frame.frame_id: label.correction_id for frame, label in frozen_set(store, []).labelled}
    assert found == {frame.frame_id: label.correction_id for frame, label in [*by_reader, *both]}


def test_without_held_back_frames_nothing_is_promoted(store: Store) -> None:
    for name in ("good", "new"):
        a_version(store, name, dataset=None)
    versions.promoted(store, "good")
    result = promote(store.workspace, "new")
    assert result.document["decision"] == "kept"
    assert "the frozen set has 0 labelled subjects" in result.text


def lose_files(store: Store, name: str) -> None:
    model_folder(store.workspace, name).rmdir()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nobody", "no version 'nobody' was trained.*there is: good"),
        ("", "no version ''"),
        ("good", "serves already"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_one_line(judged: Store, name: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as error:
        promote(judged.workspace, name)
    assert "\n" not in str(error.value)
    assert len(promotions(judged)) == 1


def test_a_candidate_without_files_is_refused(judged: Store) -> None:
    lose_files(judged, "bad")
    with pytest.raises(InputError, match="the files of bad are not in"):
        promote(judged.workspace, "bad")


def test_two_judgements_at_once_are_one_too_many(judged: Store) -> None:
    with jobs.one_at_a_time(judged, "promotion"), pytest.raises(JobError, match="already running"):
        promote(judged.workspace, "same")


def test_rollback_goes_back_step_by_step_to_the_model_of_the_release(judged: Store) -> None:
    promote(judged.workspace, "same")
    promote(judged.workspace, "bad")
    before = list(judged.newest_predictions("same"))
    assert rollback(judged.workspace).document["serving"] == "good"
    assert serving_version(judged, "embedded") == "good"
    assert rollback(judged.workspace, "embedded").document["serving"] is None
    assert newest(judged).decision is Decision.ROLLED_BACK
    assert list(judged.newest_predictions("same")) == before
    with pytest.raises(InputError, match="nothing to go back from"):
        rollback(judged.workspace)


def test_after_a_rollback_a_version_can_be_promoted_again_and_gone_back_from_again(judged: Store) -> None:
    promote(judged.workspace, "same")
    rollback(judged.workspace)
    promote(judged.workspace, "same")
    assert rollback(judged.workspace).document["serving"] == "good"


def test_rollback_passes_over_a_version_whose_files_are_gone(judged: Store) -> None:
    promote(judged.workspace, "same")
    lose_files(judged, "good")
    result = rollback(judged.workspace)
    assert result.document["serving"] is None
    assert "good was passed over, its files are gone" in result.text


def test_predictions_of_versions_out_of_service_are_kept_but_not_shown(judged: Store) -> None:
    """Judging makes predictions of the frozen frames: those of a refused version are no pre-annotation."""
    promote(judged.workspace, "same")
    promote(judged.workspace, "bad")
    assert unpromoted_versions(judged) == {"bad"}
    shown = {one.model_version for one in judged.newest_predictions(without=unpromoted_versions(judged))}
    assert shown == {"same"}
    assert {one.model_version for one in judged.newest_predictions()} == {"bad"}
    by_backend = judged.predictions_by(backend="embedded", without=unpromoted_versions(judged))
    assert {one.model_version for one in by_backend} == {"same"}
    rollback(judged.workspace)
    assert unpromoted_versions(judged) == {"same", "bad"}
    assert len(list(judged.newest_predictions("same"))) == 30


def test_nothing_to_go_back_from_is_an_error_of_one_line(store: Store) -> None:
    with pytest.raises(InputError, match="no fada version serves"):
        rollback(store.workspace, "fada")


def test_the_list_tells_parent_data_fate_and_who_serves(judged: Store) -> None:
    promote(judged.workspace, "bad")
    a_version(judged, "young", parent="good")
    lose_files(judged, "young")
    result = list_versions(judged.workspace)
    rows = {row["name"]: row for row in result.document["versions"]}
    assert {name: (row["decision"], row["serves"]) for name, row in rows.items()} == {
        "good": ("promoted", True),
        "same": (None, False),
        "bad": ("kept", False),
        "young": (None, False),
    }
    assert (rows["young"]["parent"], rows["young"]["dataset"], rows["young"]["has_files"]) == (
        "good",
        DATASET,
        False,
    )
    assert result.document["serving"] == {"embedded": "good", "fada": None}
    assert "* good" in result.text


def judge_slowly(workspace: Path, name: str) -> None:
    """Judge in a process of its own, a frame at a time, so that it can be killed in between."""
    os.environ["ANNOTATOR_BATCH_SIZE"] = "1"
    promote(workspace, name)


def spoken(store: Store, version: ModelVersion) -> int:
    return len(list(store.newest_predictions(version.name)))


def test_real_versions_a_noisy_one_is_refused_an_equal_one_promoted_and_a_kill_decides_nothing(
    store: Store,
) -> None:
    frames = versions.held_back_phantoms(store)
    noisy, equal = versions.noisy(store), versions.equal(store)
    process = start(judge_slowly, store.workspace, noisy.name)
    deadline = time.monotonic() + 120
    while spoken(store, noisy) < 3 and process.is_alive():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    said = spoken(store, noisy)
    assert 3 <= said < len(frames)
    assert promotions(store) == []

    refused = promote(store.workspace, noisy.name)
    assert refused.document["decision"] == "kept"
    assert len(list(store.predictions_of([frame.frame_id for frame in frames]))) == 2 * len(
        frames
    )  # none is doubled

    taken = promote(store.workspace, equal.name)
    assert taken.document["decision"] == "promoted"
    assert {one["difference"] for one in taken.document["comparisons"]} == {0.0}
    assert [one.decision for one in promotions(store)] == [Decision.KEPT, Decision.PROMOTED]
    assert store.verify().problems == []


def test_a_version_whose_files_were_changed_does_not_answer_under_its_name(store: Store) -> None:
    versions.held_back_phantoms(store, 2)
    version = versions.equal(store)
    with (model_folder(store.workspace, version.name) / "model.json").open("a") as stream:
        stream.write("\n")
    with pytest.raises(AnnotatorError, match="are not those it was made with"):
        promote(store.workspace, version.name)
