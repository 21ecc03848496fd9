"""The replayed loop: same start for all, frozen test frames, and a killed run that ends as if it had not been."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotator.errors import InputError
from annotator.selection import BASELINE
from annotator.selection.evidence import Round
from backends.training.simulation import SimulationSettings, learner_for, simulate_loop
from backends.training.simulation.boxes import BoxLearner
from backends.training.simulation.data import LabelledSet, load_labelled
from backends.training.simulation.learners import Learner, LearnerSettings, View, views
from backends.training.simulation.masks import MaskLearner
from backends.training.simulation.measure import average_precision_50, mean_dice
from tests.backends.training.simulated_sets import write_set

TINY = LearnerSettings(widths=(4, 4, 4, 4), decoder_widths=(4, 4), start_steps=2, steps=1, batch=2)
SETTINGS = SimulationSettings(seeds=2, start=4, step=4, rounds=2, strategies=(BASELINE, "uncertainty", "typical"))


def tiny_learner(labelled: LabelledSet) -> Learner:
    return (MaskLearner if labelled.kind == "masks" else BoxLearner)(labelled.structures, TINY)


def without_time(rounds: list[Round]) -> list[Round]:
    return [row.model_copy(update={"seconds": 0.0}) for row in rounds]


def test_all_strategies_of_a_seed_start_alike_and_go_on_their_own(tmp_path: Path) -> None:
    labelled = load_labelled(write_set(tmp_path / "set"))
    rounds = simulate_loop(labelled, tiny_learner(labelled), SETTINGS, tmp_path / "raw.jsonl")
    assert [(row.seed, row.strategy, row.round) for row in rounds] == [
        (seed, strategy, turn) for seed in range(2) for strategy in SETTINGS.strategies for turn in range(3)
    ]
    starts = {(row.seed, row.value, row.balanced) for row in rounds if row.round == 0}
    assert len(starts) == 2
    assert [row.labels for row in rounds[:3]] == [4, 8, 12]
    first = [row.picked for row in rounds if (row.seed, row.round) == (0, 0)]
    assert len(set(first)) == 3
    assert {row.by_chance for row in rounds if row.strategy == "uncertainty" and row.round < 2} == {1}  # of 4


def test_neither_test_frames_nor_twins_are_ever_labelled(tmp_path: Path) -> None:
    labelled = load_labelled(write_set(tmp_path / "set", frames=48, twins=2))
    unit_of = {sample.frame_id: sample.unit for sample in labelled.pool}
    assert not {sample.unit for sample in labelled.test} & set(unit_of.values())
    rounds = simulate_loop(labelled, tiny_learner(labelled), SETTINGS, tmp_path / "raw.jsonl")
    for strategy in SETTINGS.strategies:
        picked = [unit_of[one] for row in rounds if (row.seed, row.strategy) == (0, strategy) for one in row.picked]
        assert len(set(picked)) == len(picked) == 8


@pytest.mark.parametrize("masks", [True, False])
def test_a_killed_run_ends_as_one_that_was_not(tmp_path: Path, masks: bool) -> None:
    labelled = load_labelled(write_set(tmp_path / "set", masks=masks))
    learner = tiny_learner(labelled)
    whole = simulate_loop(labelled, learner, SETTINGS, tmp_path / "whole.jsonl")
    for stop in (0, 1, 5, 10):
        with pytest.raises(KeyboardInterrupt):
            simulate_loop(labelled, learner, SETTINGS, tmp_path / "killed.jsonl", stopping_at(stop))
    with (tmp_path / "killed.jsonl").open("ab") as file:
        file.write(b'{"seed": 0, "stra')  # cut off while it was written
    told: list[int] = []
    resumed = simulate_loop(labelled, learner, SETTINGS, tmp_path / "killed.jsonl", told.append)
    assert told == list(range(10, 19))  # nothing that was there is done again
    assert without_time(resumed) == without_time(whole)
    again = simulate_loop(labelled, learner, SETTINGS, tmp_path / "killed.jsonl", told.append)
    assert (again, told[-1], len(told)) == (resumed, 18, 10)


def stopping_at(stop: int) -> Callable[[int], None]:
    def told(done: int) -> None:
        if done == stop:
            raise KeyboardInterrupt

    return told


def test_seeds_can_be_added_later_but_nothing_else_may_change(tmp_path: Path) -> None:
    labelled = load_labelled(write_set(tmp_path / "set"))
    raw, learner = tmp_path / "raw.jsonl", tiny_learner(labelled)
    few = SimulationSettings(1, 4, 4, 1, (BASELINE, "uncertainty"))
    simulate_loop(labelled, learner, few, raw)
    assert len(simulate_loop(labelled, learner, SimulationSettings(2, 4, 4, 1, few.strategies), raw)) == 8
    before = raw.read_bytes()
    with pytest.raises(InputError, match=r"raw\.jsonl was begun with another set or other settings"):
        simulate_loop(labelled, learner, SimulationSettings(2, 4, 5, 1, few.strategies), raw)
    with pytest.raises(InputError, match="another set"):
        simulate_loop(labelled, learner_for(labelled), few, raw)
    assert raw.read_bytes() == before


def test_a_set_that_is_too_small_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    labelled = load_labelled(write_set(tmp_path / "set", frames=12))
    with pytest.raises(InputError, match="9 subjects to label, 12 are asked for; take fewer rounds"):
        simulate_loop(labelled, tiny_learner(labelled), SETTINGS, tmp_path / "raw.jsonl")
    assert not (tmp_path / "raw.jsonl").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"strategies": (BASELINE, "entropy")}, "no strategy 'entropy'"),
        ({"strategies": ("uncertainty",)}, BASELINE),
        ({"strategies": (BASELINE, BASELINE)}, "once"),
        ({"rounds": 0}, "at least 1"),
        ({"seeds": 0}, "at least 1"),
    ],
)
def test_settings_that_show_nothing_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        SimulationSettings(**options)


def test_only_what_is_known_before_labelling_makes_the_strata(tmp_path: Path) -> None:
    labelled = load_labelled(write_set(tmp_path / "set", scanner="GE", site="north"))
    strata = {sample.stratum for sample in (*labelled.pool, *labelled.test)}
    assert strata == {f"north|GE|spacing {band}" for band in ("low", "middle", "high")}
    narrow = load_labelled(write_set(tmp_path / "other", pixel_size_mm=None))
    assert {sample.stratum for sample in narrow.pool} == {"||width low"}


def test_without_a_split_every_fifth_subject_or_so_is_held_back_whole(tmp_path: Path) -> None:
    labelled = load_labelled(write_set(tmp_path / "set", frames=60, twins=2, split=None))
    assert 4 <= len(labelled.test) <= 24
    assert not {one.unit for one in labelled.test} & {one.unit for one in labelled.pool}


def test_a_set_that_this_tool_exported_is_read_and_study_frames_stay_out(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", frames=24, twins=2)
    coco = json.loads((folder / "annotations.json").read_text())
    for row, image in enumerate(coco["images"]):
        known = {"subject": image.pop("subject_id"), "split": image.pop("split"), "source": "clinic"}
        image["attributes"] = {**known, "pixel_spacing_mm": [image.pop("pixel_size_mm")] * 2, "scanner": "GE"}
        if row == 2:
            image["attributes"]["split"] = "study"
    changed(folder, images=coco["images"])
    labelled = load_labelled(folder)
    names = {sample.frame_id for sample in (*labelled.pool, *labelled.test)}
    assert len(names) == 22
    assert not {"images/002.png", "images/003.png"} & names  # the frame of the study, and its twin
    assert {sample.unit for sample in labelled.test} == {"clinic/s0", "clinic/s4", "clinic/s8"}
    assert {sample.stratum for sample in labelled.pool} == {
        f"|GE|spacing {one}" for one in ("low", "middle", "high")
    }


def changed(folder: Path, **parts: Any) -> None:
    coco = json.loads((folder / "annotations.json").read_text())
    (folder / "annotations.json").write_text(json.dumps({**coco, **parts}))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda folder: (folder / "annotations.json").unlink(), "annotations.json is missing"),
        (lambda folder: (folder / "annotations.json").write_text("{"), "no COCO file"),
        (lambda folder: (folder / "annotations.json").write_text("[]"), "no COCO file"),
        (lambda folder: changed(folder, annotations=[]), "no annotations"),
        (lambda folder: (folder / "images" / "003.png").write_bytes(b"no image"), "cannot be read as an image"),
    ],
)
def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path, spoil: Callable[[Path], Any], told: str) -> None:
    folder = write_set(tmp_path / "set", frames=8)
    spoil(folder)
    with pytest.raises(InputError, match=told):
        load_labelled(folder)


def test_masks_and_boxes_of_one_folder_can_be_chosen_between(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", frames=8)
    masks, boxes = load_labelled(folder), load_labelled(folder, "boxes")
    assert (masks.kind, boxes.kind) == ("masks", "boxes")
    assert masks.pool[0].masks.shape == (1, 48, 64)
    x, y, x_max, y_max = boxes.pool[0].boxes[0] / 2  # boxes lie on a grid of 128 x 88, masks on 64 x 48 with bars
    rows, columns = np.nonzero(masks.pool[0].masks[0])
    assert (columns.min(), columns.max() + 1) == (pytest.approx(x, abs=1), pytest.approx(x_max, abs=1))
    assert (rows.min() - 2, rows.max() - 1) == (pytest.approx(y, abs=1), pytest.approx(y_max, abs=1))
    assert masks.pool[0].present(masks.structures) == boxes.pool[0].present(boxes.structures) == {"Brain"}
    with pytest.raises(InputError, match="no annotations"):
        load_labelled(write_set(tmp_path / "only boxes", frames=8, masks=False), "masks")


@pytest.mark.parametrize("masks", [True, False])
def test_a_learner_learns_and_is_surer_of_what_it_knows(tmp_path: Path, masks: bool) -> None:
    labelled = load_labelled(write_set(tmp_path / "set", masks=masks))
    settings = LearnerSettings(widths=(4, 8, 8, 8), decoder_widths=(8, 8), start_steps=60, steps=5, batch=4)
    learner = (MaskLearner if masks else BoxLearner)(labelled.structures, settings)
    network = learner.fit(labelled.pool, 0, 0, None)
    assert learner.score(network, labelled.test).value > (0.85 if masks else 0.6)
    speckle = np.random.default_rng(0).integers(0, 80, labelled.test[0].pixels.shape).astype(np.uint8)
    nothing_there = replace(labelled.test[0], pixels=speckle)
    reading = learner.read(network, [*labelled.test, nothing_there], with_views=True)
    assert reading.disagreement is not None
    for column in (reading.uncertainty, reading.disagreement):
        assert ((column >= 0) & (column <= 1)).all()
        assert column[-1] > np.median(column[:-1])
    assert np.linalg.norm(reading.embeddings, axis=1) == pytest.approx(1, abs=1e-5)
    assert learner.read(network, labelled.test, with_views=False).disagreement is None


def test_a_view_is_laid_back_where_it_came_from_and_never_mirrored() -> None:
    pixels = np.zeros((48, 64), np.uint8)
    pixels[10:30, 12:25] = 200
    for view in views((64, 48)):
        assert np.linalg.det(view.grid.matrix[:, :2]) > 0
        back = view.back().warp(view.grid.warp(pixels))
        assert np.mean(np.abs(back.astype(int) - pixels) > 60) < 0.02
    plain = View(views((64, 48))[0].grid)
    assert np.array_equal(plain.shown(pixels), pixels / np.float32(255))


def test_dice_and_average_precision_are_those_counted_by_hand(tmp_path: Path) -> None:
    labelled = load_labelled(write_set(tmp_path / "set", frames=12))
    truth = np.stack([sample.masks for sample in labelled.test]).astype(bool)
    nothing = np.zeros_like(truth)
    assert mean_dice(truth, labelled.test) == (1.0, 1.0)
    first = np.concatenate((truth[:1], nothing[1:]))
    assert mean_dice(first, labelled.test).value == pytest.approx(1 / len(truth))
    boxes = load_labelled(tmp_path / "set", "boxes").test
    found = np.stack([sample.boxes for sample in boxes])
    scores = np.array([[0.9], [0.5], [0.4]])
    assert average_precision_50(scores, found, boxes).value == pytest.approx(1.0)
    found[0] += 100  # the surest lies elsewhere: precision is 1/2, then 2/3, and one of three is never found
    assert average_precision_50(scores, found, boxes).value == pytest.approx(2 / 3 * 67 / 101, abs=0.01)
