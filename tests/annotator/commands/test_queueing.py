"""What is queued to be labelled next: who may be in it, in whose order, and why."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from annotator.commands.queue_columns import embeddings, version_disagreement
from annotator.commands.queueing import make_queue, queue_frames
from annotator.errors import InputError
from annotator.schema import Frame
from annotator.selection import BASELINE, STRATEGIES, Evidence, StrategyEvidence
from annotator.store import Store
from annotator.store.learning import add_evidence, queue_rounds
from tests.builders import a_finding, a_frame, a_model, a_prediction, keep_frames
from tests.trainings import a_settings, correct, freeze

VERSION = "embedded-1a2b3c4d"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "workspace")
    yield opened
    opened.close()


def predicted(
    store: Store, frames: list[Frame], scores: list[float], version: str = VERSION, **more: object
) -> None:
    store.add_model_version(a_model(version))
    said = [
        a_prediction(frame, version, findings=(a_finding("Brain", score=score),), **more)
        for frame, score in zip(frames, scores, strict=True)
    ]
    with store.writing() as connection:
        store.add_predictions(connection, said)


def evidence(strategy: str, low: float, recommended: str, data: str = "phantoms") -> Evidence:
    one = StrategyEvidence(
        strategy=strategy,
        gain=low + 0.02,
        gain_interval=(low, low + 0.04),
        p=0.01,
        wins=9,
        seeds=10,
        labels_saved=12.0,
        labels_saved_interval=(3.0, 20.0),
        balanced_gain=0.0,
        balanced_interval=(-0.1, 0.1),
    )
    facts = {"data": data, "measure": "dice", "start": 20, "step": 20, "rounds": 4, "seeds": 10}
    return Evidence(
        **facts, test_frames=50, curves=(), strategies=(one,), recommended=recommended, raw_sha256="0" * 64
    )


def picked(store: Store, strategy: str = "auto", size: int = 20, **more: object) -> list[str]:
    queue, _ = make_queue(store, a_settings(), strategy, size, **more)  # type: ignore[arg-type]
    return [one.frame_id for one in queue.picks]


def test_labelled_skipped_and_study_frames_and_twins_of_labelled_ones_never_enter(store: Store) -> None:
    frames = keep_frames(store, 12)
    loop = [a_frame(900 + one, f"loop{one}.png", group="loop", source="made up") for one in range(3)]
    fresh = [a_frame(950 + one, f"fresh{one}.png", group="fresh", source="made up") for one in range(3)]
    store.add_frames([*loop, *fresh])
    correct(store, frames[:2])
    correct(store, [frames[2]], skipped=True, findings=())
    correct(store, [frames[3]], is_truth=True)
    correct(store, [loop[0]])
    freeze(store, [frames[4]])
    kin = {frame.frame_id for frame in frames if frame.subject == frames[4].subject}
    queue, notes = make_queue(store, a_settings(), size=50)
    chosen = [one.frame_id for one in queue.picks]
    left_out = {frame.frame_id for frame in frames[:5]} | kin
    free = {frame.frame_id for frame in frames} - left_out
    assert set(chosen) - {frame.frame_id for frame in fresh} == free
    assert len(set(chosen) & {frame.frame_id for frame in fresh}) == 1  # one of a loop at most
    assert notes[:2] == [
        f"{len(kin)} frames of reader studies are never queued",
        "2 frames of a loop or group that is labelled already are left out",
    ]


def test_uncertainty_goes_by_the_scores_of_the_newest_prediction_with_a_share_by_chance(store: Store) -> None:
    frames = keep_frames(store, 40)
    predicted(store, frames, [0.99] * 40)
    predicted(store, frames, np.linspace(0.2, 0.9, 40).tolist())
    queue, _ = make_queue(store, a_settings(), "uncertainty", 20)
    by = Counter(one.by for one in queue.picks)
    assert by == {"uncertainty": 17, BASELINE: 3}
    ordered = [one for one in queue.picks if one.by == "uncertainty"]
    assert ordered[0].value == pytest.approx(0.8)
    assert [one.value for one in ordered] == sorted((one.value for one in ordered), reverse=True)
    assert queue.served == "uncertainty"
    assert queue_rounds(store) == [queue]


def test_auto_serves_stratified_random_until_something_shows_more_and_then_that(store: Store) -> None:
    predicted(store, keep_frames(store, 20), [0.5] * 20)
    first, _ = make_queue(store, a_settings(), size=4)
    assert (first.served, first.evidence_id) == (BASELINE, None)
    assert "annotator simulate" in first.reason
    weak = evidence("uncertainty", -0.01, BASELINE)
    add_evidence(store, weak)
    second, _ = make_queue(store, a_settings(), size=4)
    assert (second.served, second.evidence_id) == (BASELINE, weak.evidence_id)
    strong = evidence("uncertainty", 0.01, "uncertainty")
    add_evidence(store, strong)
    third, _ = make_queue(store, a_settings(), size=4)
    assert (third.served, third.evidence_id) == ("uncertainty", strong.evidence_id)
    add_evidence(store, weak.model_copy(update={"evidence_id": "evd_newest"}))
    assert make_queue(store, a_settings(), size=4)[0].served == BASELINE


def test_what_helps_on_one_data_set_and_not_on_another_is_not_served(store: Store) -> None:
    predicted(store, keep_frames(store, 20), [0.5] * 20)
    add_evidence(store, evidence("uncertainty", 0.01, "uncertainty", "heads"))
    add_evidence(store, evidence("uncertainty", -0.02, BASELINE, "profiles"))
    queue, _ = make_queue(store, a_settings(), size=4)
    assert queue.served == BASELINE
    assert "on heads and profiles on each" in queue.reason
    add_evidence(store, evidence("uncertainty", 0.02, "uncertainty", "profiles"))
    assert make_queue(store, a_settings(), size=4)[0].served == "uncertainty"


def test_the_evidence_is_printed_with_gain_interval_and_wins(tmp_path: Path) -> None:
    store = Store(tmp_path / "w")
    predicted(store, keep_frames(store, 8), [0.5] * 8)
    add_evidence(store, evidence("uncertainty", 0.01, "uncertainty"))
    store.close()
    result = queue_frames(tmp_path / "w", size=3, no_push=True)
    assert "uncertainty          +0.0300 [+0.0100, +0.0500], 9 of 10 seeds" in result.text
    assert "(uncertainty 0.500: the model is least sure)" in result.text
    assert len(result.document["picks"]) == 3


def test_without_what_the_better_strategy_needs_auto_falls_back_and_says_so(store: Store) -> None:
    keep_frames(store, 8)
    add_evidence(store, evidence("uncertainty", 0.01, "uncertainty"))
    queue, _ = make_queue(store, a_settings(), size=3)
    assert queue.served == BASELINE
    assert "uncertainty is better, but" in queue.reason
    with pytest.raises(InputError, match="needs the uncertainty"):
        make_queue(store, a_settings(), "uncertainty", 3)
    with pytest.raises(InputError, match="there is no strategy 'guess'"):
        make_queue(store, a_settings(), "guess", 3)


# Of those that look at embeddings, one: they differ in what `selection` is tested for.
@pytest.mark.parametrize("strategy", sorted({*STRATEGIES} - {"k-center", "typical"}))
def test_every_strategy_gives_as_many_different_frames_as_asked_for_and_the_same_again(
    store: Store, strategy: str
) -> None:
    frames = keep_frames(store, 12)
    predicted(store, frames, np.linspace(0.2, 0.9, 12).tolist(), plane="Trans-thalamic", plane_score=0.9)
    predicted(store, frames, np.linspace(0.9, 0.2, 12).tolist(), "embedded-2b3c4d5e", plane="Trans-cerebellum")
    correct(store, frames[:3])
    chosen = picked(store, strategy, 6, seed=3)
    assert len(set(chosen)) == 6
    assert not set(chosen) & {frame.frame_id for frame in frames[:3]}
    again = picked(store, strategy, 6, seed=3)
    assert strategy == "class-stratified" or chosen == again  # its noise falls with each round


def test_an_empty_pool_gives_an_empty_queue_and_says_so(store: Store) -> None:
    queue, notes = make_queue(store, a_settings(), size=3)
    assert queue.picks == ()
    assert notes == ["no frame is left to queue"]


def test_frames_held_back_for_tests_are_queued_and_counted(store: Store) -> None:
    store.add_frames([a_frame(one, f"{one}.png", split="test" if one < 2 else "train") for one in range(4)])
    _, notes = make_queue(store, a_settings(), size=4)
    assert notes == ["held back from training, but labelled all the same: 2 test"]


def test_disagreement_is_measured_between_the_two_newest_versions() -> None:
    frame = a_frame()
    same = [a_prediction(frame, name, plane="Trans-thalamic") for name in ("a", "b")]
    assert version_disagreement(same[:1]) is None
    assert version_disagreement(same) == 0.0
    other = a_prediction(frame, "c", plane="Trans-cerebellum", findings=())
    assert version_disagreement([*same, other]) == 1.0
    half = a_prediction(frame, "c", plane="Trans-thalamic", findings=(a_finding("CSP", (4.0, 5.0, 12.0, 15.0)),))
    assert version_disagreement([same[0], half]) == pytest.approx(0.25)


def test_embeddings_are_computed_once_for_each_frame_of_each_version(store: Store) -> None:
    from backends.embedded import EmbeddedBackend

    model, asked = EmbeddedBackend(), list[str]()
    embed = model.embed

    def noted(batch):  # type: ignore[no-untyped-def]
        asked.extend(one.frame.frame_id for one in batch)
        return embed(batch)

    model.embed = noted  # type: ignore[method-assign]
    frames = keep_frames(store, 5)
    first = embeddings(store, model, frames[:3])
    store.image_path(frames[4].frame_id).write_bytes(b"no image")
    second = embeddings(store, model, frames)
    assert asked == [frame.frame_id for frame in frames[:4]]
    assert set(second) == {frame.frame_id for frame in frames[:4]}
    assert all((first[key] == second[key]).all() for key in first)
    (kept,) = (store.workspace / "cache").iterdir()
    kept.write_bytes(b"cut off")
    assert set(embeddings(store, model, frames[:2])) == {frame.frame_id for frame in frames[:2]}


def test_the_relabel_queue_names_labels_that_a_model_contradicts_which_was_not_trained_on_them(
    store: Store,
) -> None:
    frames = keep_frames(store, 6)
    correct(store, frames, findings=(a_finding("Brain", (4.0, 5.0, 20.0, 15.0), origin="manual"),))
    predicted(store, frames[:5], [0.9] * 5)
    store.add_model_version(a_model(VERSION))
    said = []
    for frame in frames[:5]:
        box = (22.0, 16.0, 31.0, 23.0) if frame == frames[1] else (4.0, 5.0, 20.0, 15.0)
        said.append(a_prediction(frame, VERSION, findings=(a_finding("Brain", box, score=0.9),)))
    with store.writing() as connection:
        store.add_predictions(connection, said)
    queue, _ = make_queue(store, a_settings(), size=3, relabel=True)
    assert [one.frame_id for one in queue.picks] == [frames[1].frame_id]
    assert (queue.relabels, queue.served) == (True, "label-errors")
    assert "lies elsewhere than predicted" in queue.picks[0].reason
