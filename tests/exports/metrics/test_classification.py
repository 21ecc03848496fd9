"""Views: the figures are scikit-learn's; no answer is a wrong answer."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score

from annotator.taxonomy import VIEWS
from exports.metrics.cases import Case
from exports.metrics.classification import NO_ANSWER, classification_figures
from tests.builders import a_correction, a_frame, a_prediction

NAMES = [view.name for view in VIEWS]


def a_case(seed: int, truth: str | None, said: str | None, *, failed: bool = False) -> Case:
    frame = a_frame(seed, subject=f"s{seed // 3}")
    prediction = None if failed else a_prediction(frame, plane=said)
    return Case(frame, a_correction(frame, is_truth=True, plane=truth), prediction)


def some_cases(seed: int) -> list[Case]:
    random = np.random.default_rng(seed)
    cases = []
    for number in range(60):
        truth = NAMES[random.integers(4)]
        said = truth if random.random() < 0.6 else NAMES[random.integers(7)]
        cases.append(a_case(number, truth, None if random.random() < 0.1 else said, failed=random.random() < 0.1))
    return cases


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.parametrize("seed", range(3))
def test_the_figures_are_those_of_scikit_learn(seed: int) -> None:
    cases = some_cases(seed)
    truth = [case.truth.plane for case in cases]
    said = [(case.prediction.plane if case.prediction else None) or NO_ANSWER for case in cases]
    figures = classification_figures(cases)
    views, answers = figures["confusion"]["reference"], figures["confusion"]["said"]
    assert figures["accuracy"]["value"] == pytest.approx(accuracy_score(truth, said))
    assert figures["balanced_accuracy"]["value"] == pytest.approx(balanced_accuracy_score(truth, said))
    assert figures["macro_f1"]["value"] == pytest.approx(f1_score(truth, said, labels=views, average="macro"))
    square = confusion_matrix(truth, said, labels=answers)
    assert figures["confusion"]["counts"] == square[: len(views)].tolist()
    assert square[len(views) :].sum() == 0
    for name in ("accuracy", "balanced_accuracy", "macro_f1"):
        low, high = figures[name]["ci95"]
        assert low < figures[name]["value"] < high
        assert (figures[name]["n"], figures[name]["subjects"]) == (60, 20)


def test_frames_whose_view_nobody_named_do_not_count() -> None:
    cases = [a_case(1, None, "Abdomen"), a_case(2, "Abdomen", "Abdomen")]
    assert classification_figures(cases)["accuracy"]["n"] == 1
    assert classification_figures(cases[:1]) == {}


def test_the_commonest_confusion_is_named() -> None:
    cases = [a_case(number, "Abdomen", said) for number, said in enumerate(("Femur", "Femur", "Thorax", "Abdomen"))]
    commonest = classification_figures(cases)["commonest_confusions"]
    assert commonest[0] == {"reference": "Abdomen", "said": "Femur", "n": 2}
    assert [one["n"] for one in commonest] == [2, 1]


def test_a_model_that_names_no_view_at_all_scores_0() -> None:
    figures = classification_figures([a_case(1, "Abdomen", None), a_case(2, "Femur", None, failed=True)])
    assert [figures[name]["value"] for name in ("accuracy", "balanced_accuracy", "macro_f1")] == [0.0, 0.0, 0.0]
    assert figures["confusion"]["said"] == ["Abdomen", "Femur", NO_ANSWER]
