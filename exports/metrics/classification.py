"""Planes and views: accuracy, balanced accuracy, macro F1, and which view is taken for which."""

from collections.abc import Sequence

import numpy as np

from annotator import taxonomy
from exports.metrics.bootstrap import Bootstrap
from exports.metrics.cases import Case
from exports.metrics.ranking import Floats, Weights
from exports.text.resampling import Figure

NO_ANSWER = "(no view named)"
_MOST_CONFUSIONS = 10


def classification_figures(cases: Sequence[Case], seed: int = 0) -> Figure:
    """Over the frames whose view the reference names; empty without one.

    Balanced accuracy is the mean recall of the views of the reference, macro F1 the mean F1 of the same views, as
    scikit-learn's with `labels` set to them. No answer is a wrong answer.
    """
    judged = [case for case in cases if case.truth.plane is not None]
    if not judged:
        return {}
    views, answers = _labels(judged)
    truth = np.array([views.index(str(case.truth.plane)) for case in judged])
    said = np.array([answers.index(_answer(case)) for case in judged])
    draws, there = Bootstrap.of(judged, seed), np.ones(len(judged), bool)
    cell = truth * len(answers) + said

    def counted(weights: Weights) -> Floats:
        cells = len(views) * len(answers)
        rows = [np.bincount(cell, row, cells) for row in weights]
        return np.array(rows, np.float64).reshape(-1, len(views), len(answers))

    matrix, drawn = counted(np.ones((1, len(judged)), np.int64)), draws.drawn(counted)
    return {
        "accuracy": draws.ratio(truth == said, there),
        "balanced_accuracy": draws.figure(float(balanced_accuracy(matrix)[0]), balanced_accuracy(drawn), there),
        "macro_f1": draws.figure(float(macro_f1(matrix)[0]), macro_f1(drawn), there),
        "views": {
            view: {"recall": draws.ratio((truth == place) & (said == place), truth == place)}
            for place, view in enumerate(views)
        },
        "confusion": {"reference": views, "said": answers, "counts": matrix[0].astype(int).tolist()},
        "commonest_confusions": _commonest(matrix[0].astype(int), views, answers),
    }


def balanced_accuracy(matrices: Floats) -> Floats:
    """(S,) mean recall of the views that occur, from (S, views, answers) counts; answers begin with the views."""
    right = np.diagonal(matrices, axis1=1, axis2=2)
    return _mean_there(right, matrices.sum(axis=2), matrices.sum(axis=2) > 0)


def macro_f1(matrices: Floats) -> Floats:
    """(S,) mean F1 of the views that occur, of the same counts."""
    right, views = np.diagonal(matrices, axis1=1, axis2=2), matrices.shape[1]
    total = matrices.sum(axis=2) + matrices.sum(axis=1)[:, :views]
    return _mean_there(2 * right, total, matrices.sum(axis=2) > 0)


def _mean_there(tops: Floats, bottoms: Floats, there: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Floats:
    each = np.divide(tops, bottoms, out=np.zeros(tops.shape), where=bottoms > 0)
    return np.asarray((each * there).sum(axis=1) / there.sum(axis=1))


def _labels(cases: Sequence[Case]) -> tuple[list[str], list[str]]:
    """The views of the reference, and what may be answered: these, then others that were, then no answer."""
    order = {view.name: place for place, view in enumerate(taxonomy.VIEWS)}
    views = sorted({str(case.truth.plane) for case in cases}, key=order.__getitem__)
    others = {_answer(case) for case in cases} - set(views)
    return views, [*views, *sorted(others, key=lambda name: order.get(name, len(order)))]


def _answer(case: Case) -> str:
    return (case.prediction.plane if case.prediction else None) or NO_ANSWER


def _commonest(
    matrix: np.ndarray[tuple[int, ...], np.dtype[np.int_]], views: Sequence[str], answers: Sequence[str]
) -> list[dict[str, object]]:
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_CONFUSIONS]
    cells = [divmod(int(place), len(answers)) for place in order]
    return [
        {"reference": views[row], "said": answers[column], "n": int(wrong[row, column])}
        for row, column in cells
        if wrong[row, column]
    ]
