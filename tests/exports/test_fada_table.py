"""FADA's table: the same frames for every row, differences tested in pairs, published figures kept apart."""

import json
from dataclasses import replace

import pytest

from annotator.errors import InputError
from exports.fada_table import COLUMNS, PUBLISHED, fada_table
from exports.fada_table_text import as_markdown, as_text
from exports.metrics.cases import Case, checked
from exports.metrics.detection import detection_figures
from exports.metrics.segmentation import segmentation_figures
from tests.builders import a_correction, a_frame, a_prediction
from tests.exports.metrics.runs import a_run


@pytest.fixture(scope="module")
def runs() -> dict[str, list[Case]]:
    return {"Base": a_run(16, error=4.0), "SKD": a_run(16, error=1.0, seed=1), "FKD": a_run(16, error=1.0, seed=2)}


@pytest.fixture(scope="module")
def table(runs: dict[str, list[Case]]) -> dict:
    return fada_table(runs)


def test_each_row_has_the_papers_columns_with_number_and_interval(table: dict) -> None:
    assert list(table["rows"]) == ["Base", "SKD", "FKD"]
    assert table["columns"] == COLUMNS
    for row in table["rows"].values():
        assert list(row["figures"]) == list(COLUMNS)
        for figure in row["figures"].values():
            low, high = figure["ci95"]
            assert low <= figure["value"] <= high
            assert figure["n"] > 0
            assert figure["subjects"] == 8


def test_a_row_says_the_same_as_the_evaluation_of_its_run(runs: dict[str, list[Case]], table: dict) -> None:
    row = table["rows"]["SKD"]["figures"]
    cases = checked(runs["SKD"])
    boxes, masks = detection_figures(cases), segmentation_figures(cases)
    assert row["map50"]["value"] == pytest.approx(boxes["coco"]["map50"]["value"], rel=1e-12)
    assert row["map75"]["value"] == pytest.approx(boxes["coco"]["map75"]["value"], rel=1e-12)
    assert row["fada_map50"]["value"] == pytest.approx(boxes["fada"]["fada_map50"]["value"], rel=1e-12)
    assert row["f1_50"] == boxes["f1"]["iou_50"]["f1"]
    assert row["dice"] == masks["dice_macro_fada"]
    assert row["iou"] == masks["iou_macro_fada"]


def test_every_two_rows_are_compared_and_a_real_difference_is_found(table: dict) -> None:
    differences = table["differences"]
    assert [(one["first"], one["second"]) for one in differences[:: len(COLUMNS)]] == [
        ("SKD", "Base"),
        ("FKD", "Base"),
        ("FKD", "SKD"),
    ]
    assert len(differences) == 3 * len(COLUMNS)
    for one in differences:
        rows = (table["rows"][one[name]]["figures"][one["column"]]["value"] for name in ("first", "second"))
        first, second = rows
        assert one["value"] == pytest.approx(first - second, abs=1e-9)
        assert one["p"] <= one["p_holm"] <= 1.0
        assert one["ci95"][0] <= one["value"] <= one["ci95"][1]
    better = {one["column"]: one for one in differences if one["second"] == "Base"}
    assert better["f1_50"]["ci95"][0] > 0
    assert better["f1_50"]["p"] < 0.05
    same = [one for one in differences if (one["first"], one["column"]) == ("FKD", "f1_50")][-1]
    assert same["p"] > 0.05


def test_a_run_beside_itself_differs_in_nothing(runs: dict[str, list[Case]]) -> None:
    table = fada_table({"one": runs["SKD"], "other": runs["SKD"]})
    for one in table["differences"]:
        assert (one["value"], one["ci95"], one["p"]) == (0.0, [0.0, 0.0], 1.0)


def test_published_figures_stand_apart_and_are_in_no_test(table: dict) -> None:
    assert table["published"]["rows"]["SKD 4B"]["fada_map50"] == 0.7671
    assert set(table["published"]["rows"]) == set(PUBLISHED)
    assert not set(PUBLISHED) & {one[side] for one in table["differences"] for side in ("first", "second")}
    measured, published = as_markdown(table).split("For comparison only, published by FADA's paper")
    assert "0.7671" not in measured
    assert "| SKD 4B | 0.7671 | 0.4402 | 0.8820 | 0.8149 | 0.8379 |" in published


def test_all_rows_are_of_the_frames_that_all_runs_have(runs: dict[str, list[Case]]) -> None:
    table = fada_table({"Base": runs["Base"][:12], "SKD": runs["SKD"][2:]})
    assert table["frames"] == 10
    assert table["frames_left_out"] == {"Base": 2, "SKD": 4}
    assert "SKD: 4 frames are left out, for another run does not have them" in as_text(table)


def test_a_failed_frame_pulls_a_run_down_and_is_told_first(runs: dict[str, list[Case]]) -> None:
    failing = [replace(case, prediction=None) if place % 2 else case for place, case in enumerate(runs["SKD"])]
    table = fada_table({"whole": runs["SKD"], "failing": failing})
    assert as_text(table).splitlines()[0].startswith("failing: FAILED: 8 of 16 frames")
    for column in ("f1_50", "dice", "accuracy", "json", "map50"):
        whole, half = (table["rows"][name]["figures"][column]["value"] for name in ("whole", "failing"))
        assert half < whole


def test_columns_that_no_frame_allows_are_left_out() -> None:
    frames = [a_frame(seed) for seed in range(4)]
    cases = [
        Case(one, a_correction(one, findings=(), plane="Abdomen"), a_prediction(one, plane="Abdomen"))
        for one in frames
    ]
    table = fada_table({"only": cases})
    assert table["columns"] == {"accuracy": "cls acc"}
    assert table["differences"] == []
    assert table["rows"]["only"]["figures"]["accuracy"]["value"] == 1.0
    assert "1.0000" in as_text(table)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "at least one run"),
        ({"a": a_run(2), "b": []}, "the runs a, b have no frame with a reference in common"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(given: dict[str, list[Case]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        fada_table(given)


def test_ties_are_shown_with_what_they_move() -> None:
    table = fada_table({"constant": a_run(16, error=2.0, constant=True)})
    lines = as_text(table).splitlines()
    assert lines[0].startswith("constant: CONSTANT CONFIDENCE: all ")
    assert any(
        line.startswith("constant, tied scores in other orders of the frames: mAP@.50 (COCO)") for line in lines
    )


def test_the_words_are_aligned_and_the_document_is_json(table: dict) -> None:
    lines = as_text(table).splitlines()
    head = next(place for place, line in enumerate(lines) if line.startswith("model"))
    assert {len(line) for line in lines[head : head + 10 : 3]} == {len(lines[head])}
    assert "SKD - Base" in as_text(table)
    assert json.loads(json.dumps(table, allow_nan=False)) == table
