"""The report on a file of answers: alarms first, failures score 0, absent metrics are null with their reason."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from exports.answers import read_answers
from exports.text.report import (
    CONSTANT,
    FIELD_MEAN,
    OVERALL,
    as_text,
    compare_answers,
    comparison_as_text,
    report_answers,
)
from exports.text.scoring import EXACT, MEASURED_VALUES, Scored
from tests.exports.answer_files import SERVER_ERROR, write_interpretations, write_rows

FREE = {"image": "a.png", "question": "Is the stomach seen?", "answer": "Yes.", "expected": "yes"}


def scored(path: Path, rows: Sequence[dict[str, Any]], **more: Any) -> Scored:
    return Scored(read_answers(write_rows(path, rows)), **more)


class LengthScorer:
    """A scorer whose score can be told by hand."""

    name, metric, judges_by = "BERTScore F1 (by length)", "BERTScore F1", "reference"

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        return [min(len(answer), len(reference)) / max(len(answer), len(reference)) for answer, reference in pairs]


def test_right_answers_score_1_throughout(tmp_path: Path) -> None:
    path = write_interpretations(tmp_path / "a.jsonl", 30, lambda field, truth, chance: truth)
    document = report_answers(Scored(read_answers(path)))
    assert document["figures"][OVERALL]["value"] == document["figures"][FIELD_MEAN]["value"] == 1.0
    assert document["figures"][MEASURED_VALUES]["value"] == 1.0
    assert document["figures"][CONSTANT]["value"] < 0.8
    assert {figure["value"] for figure in document["text"].values()} == {1.0}
    assert document["normality"]["balanced_accuracy"]["value"] == 1.0
    assert document["resampled_by"] == "subject"
    assert document["figures"][OVERALL]["subjects"] == 15


def test_every_figure_has_n_and_an_interval_or_a_reason(tmp_path: Path) -> None:
    path = write_interpretations(tmp_path / "a.jsonl", 30, lambda field, truth, chance: truth)
    document = report_answers(Scored(read_answers(path)))
    figures = {**document["figures"], **document["fields"], **document["text"]}
    for name, figure in figures.items():
        if figure["value"] is None:
            assert figure["reason"], name
        else:
            assert figure["n"] > 0, name
            assert len(figure["ci95"]) == 2, name
    assert document["fields"]["clinical_recommendations"]["value"] is None


@pytest.mark.parametrize("failure", [SERVER_ERROR, "", "normal " * 30, '{"normality_assessment": "nor'])
def test_a_failure_scores_0_whatever_its_words_would(tmp_path: Path, failure: str) -> None:
    row = {"image": "a", "field": "normality_assessment", "expected": "normal"}
    document = report_answers(
        scored(tmp_path / "a.jsonl", [{**row, "answer": "normal"}, {**row, "image": "b", "answer": failure}])
    )
    assert document["fields"]["normality_assessment"]["value"] == 0.5
    assert {figure["value"] for name, figure in document["text"].items() if figure["n"]} <= {0.5}
    assert document["normality"]["confusion"]["normal"] == {"normal": 1, "abnormal": 0, "neither": 1}


def test_answers_on_training_frames_are_not_scored(tmp_path: Path) -> None:
    row = {"field": "image_quality", "expected": "good"}
    rows = [{**row, "image": "a", "answer": "good"}, {**row, "image": "b", "answer": "low"}]
    document = report_answers(scored(tmp_path / "a.jsonl", rows, splits={"a": "train"}))
    assert (document["scored"], document["fields"]["image_quality"]["value"]) == (1, 0.0)
    assert document["verdicts"][0].startswith("TRAIN FRAMES: 1 of 2")


def test_answers_without_references_are_looked_over_only(tmp_path: Path) -> None:
    rows = [{"image": str(place), "answer": SERVER_ERROR} for place in range(4)]
    document = report_answers(scored(tmp_path / "a.jsonl", rows))
    assert document["verdicts"][0].startswith("ERRORS: 100.0 %")
    assert document["verdicts"][-1].startswith("nothing to score")
    assert "fields" not in document


def test_free_questions_are_scored_by_their_words(tmp_path: Path) -> None:
    document = report_answers(scored(tmp_path / "a.jsonl", [FREE, {**FREE, "image": "b.png", "answer": "No"}]))
    assert document["figures"] == {EXACT: document["figures"][EXACT]}
    assert document["figures"][EXACT]["value"] == 0.5


def test_a_model_no_better_than_a_constant_is_called_so(tmp_path: Path) -> None:
    path = write_interpretations(
        tmp_path / "a.jsonl",
        60,
        lambda field, truth, chance: truth if chance.random() < 0.2 else f"x{chance.random()}",
    )
    document = report_answers(Scored(read_answers(path)))
    assert document["verdicts"][0].startswith("NO BETTER THAN A CONSTANT")


def test_advice_is_scored_by_bertscore_where_there_is_one(tmp_path: Path) -> None:
    row = {"image": "a", "field": "clinical_recommendations", "answer": "12345", "expected": "1234567890"}
    document = report_answers(scored(tmp_path / "a.jsonl", [row], scorers=[LengthScorer()]))
    assert document["fields"]["clinical_recommendations"]["value"] == 0.5
    assert document["text"]["BERTScore F1 (by length)"]["value"] == 0.5
    assert "BERTScore F1" not in document["absent"]


class UndecidedScorer(LengthScorer):
    """As BERTScore with idf where all references are one text: no token has weight."""

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        return [float("nan")] * len(pairs)


def test_a_metric_that_cannot_judge_is_null_and_not_the_failures_0(tmp_path: Path) -> None:
    rows = [FREE, {**FREE, "image": "b.png", "answer": SERVER_ERROR}]
    document = report_answers(scored(tmp_path / "a.jsonl", rows, scorers=[UndecidedScorer()]))
    assert document["text"]["BERTScore F1 (by length)"] == {"value": None, "n": 0}


def test_what_needs_weights_is_absent_under_its_own_name(tmp_path: Path) -> None:
    document = report_answers(scored(tmp_path / "a.jsonl", [FREE]))
    assert set(document["absent"]) == {
        "BERTScore F1",
        "BERTScore recall, idf",
        "BLEURT-20",
        "UMLS concept F1",
        "AlignScore",
        "MedImageInsight image-text similarity",
        "image-text cosine",
        "sentence cosine",
    }
    assert document["study"]["overall"] == {"value": None, "reason": "without relevance, factuality"}
    assert "absent: BLEURT-20: " in as_text(document)


def test_alarms_are_the_first_lines_of_the_text(tmp_path: Path) -> None:
    path = write_interpretations(tmp_path / "a.jsonl", 100, lambda field, truth, chance: f"a {field}")
    text = as_text(report_answers(Scored(read_answers(path))))
    assert text.startswith("COLLAPSED: 8 distinct answers among 800")


def test_two_files_are_compared_where_both_answer_the_same_question(tmp_path: Path) -> None:
    row = {"field": "image_quality", "expected": "good"}
    first = [{**row, "image": str(place), "answer": "good"} for place in range(10)]
    second = [{**row, "image": str(place), "answer": "low"} for place in range(4, 12)]
    second[0]["expected"] = "low"  # another reference: no pair
    document = compare_answers(scored(tmp_path / "a.jsonl", first), scored(tmp_path / "b.jsonl", second))
    assert (document["pairs"], document["unpaired"]) == (5, [5, 3])
    assert document["figures"]["image_quality"]["value"] == 1.0
    assert comparison_as_text(document).startswith("a.jsonl minus b.jsonl, 5 pairs; 5 and 3 answers without")


def test_files_without_a_common_answer_compare_to_nothing(tmp_path: Path) -> None:
    first, second = (scored(tmp_path / f"{name}.jsonl", [{**FREE, "image": name}]) for name in "ab")
    assert compare_answers(first, second) == {
        "difference": "a.jsonl minus b.jsonl",
        "pairs": 0,
        "unpaired": [1, 1],
    }


class ImageScorer:
    """Tells which image it was given."""

    name, metric, judges_by = "image-text cosine (by name)", "image-text cosine", "image"

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        return [float(image == "a.png") for _, image in pairs]


def test_a_metric_that_looks_at_the_image_is_given_its_name(tmp_path: Path) -> None:
    rows = [FREE, {**FREE, "image": "b.png"}]
    document = report_answers(scored(tmp_path / "a.jsonl", rows, scorers=[ImageScorer()]))
    assert document["text"]["image-text cosine (by name)"]["value"] == 0.5
    assert "image-text cosine" not in document["absent"]
