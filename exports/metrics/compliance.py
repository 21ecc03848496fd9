"""JSON compliance: was the text that a model wrote the JSON that it was asked for, as it stood?

Judged on the stored text of each phase and on what its parser noted. Models that write no text have no figure.
"""

import json
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import numpy as np

from annotator.schema import Prediction
from annotator.taxonomy import INTERPRETATION_FIELDS
from exports.metrics.bootstrap import Bootstrap
from exports.metrics.cases import Case
from exports.text.resampling import Figure

# The parser's own words (ParseIssue.reason) for an answer of which nothing, or only a part, could be read.
UNREADABLE = frozenset(
    {"error", "empty", "no_json", "truncated", "too_long", "too_deep", "too_many", "object_cut", "not_a_finding"}
)
_BOX_KEYS = ("bbox_2d", "box_2d")  # the second is how older checkpoints spell it
_EXTRA = {"segment": "mask", "keypoints": "keypoints"}


class Outcome(StrEnum):
    """What became of one answer."""

    AS_IT_STOOD = "as_it_stood"
    REPAIRED = "repaired"
    LOST = "lost"


def compliance_figures(cases: Sequence[Case], seed: int = 0) -> Figure:
    """Shares of answers valid as they stood, repaired, and lost, and of frames whose every answer was valid.

    A frame on which the model failed is not valid. Empty where no text is kept.
    """
    if not any(case.prediction and case.prediction.raw_texts for case in cases):
        return {}
    judged = [case for case in cases if case.prediction is None or case.prediction.raw_texts]
    outcomes = [outcomes_of(case.prediction) if case.prediction else {} for case in judged]
    draws = Bootstrap.of(judged, seed)
    phases = sorted({phase_of(key) for one in outcomes for key in one})
    valid = [bool(one) and set(one.values()) == {Outcome.AS_IT_STOOD} for one in outcomes]
    reasons = Counter(
        issue.reason for case in judged if case.prediction for issue in case.prediction.issues if issue.reason
    )
    return {
        "frames": draws.ratio(valid, np.ones(len(judged))),
        "answers": _shares(outcomes, None, draws),
        "per_phase": {phase: _shares(outcomes, phase, draws) for phase in phases},
        "noted_by_the_parser": dict(reasons.most_common()),
    }


def outcomes_of(prediction: Prediction) -> dict[str, Outcome]:
    """The outcome of each answer, by the key under which its text is kept."""
    noted: dict[str, set[str]] = {}
    for issue in prediction.issues:
        noted.setdefault(phase_of(issue.phase), set()).add(issue.reason)
    return {
        key: outcome_of(phase_of(key), text, noted.get(phase_of(key), set()))
        for key, text in prediction.raw_texts.items()
    }


def outcome_of(phase: str, text: str, reasons: set[str]) -> Outcome:
    """Judge one text; `reasons` are what the parser noted of that phase.

    >>> outcome_of("classify", '{"label": "Abdomen"}', set()), outcome_of("classify", "Abdomen", {"bare_label"})
    (<Outcome.AS_IT_STOOD: 'as_it_stood'>, <Outcome.REPAIRED: 'repaired'>)
    """
    if is_as_asked(phase, text):
        return Outcome.AS_IT_STOOD
    return Outcome.LOST if reasons & UNREADABLE or not text.strip() else Outcome.REPAIRED


def phase_of(key: str) -> str:
    """The phase of a stored text: a phase that asked twice keeps its second text as `detect 2`."""
    return key.partition(" ")[0]


def is_as_asked(phase: str, text: str) -> bool:
    """Whether a text is, but for white space around it, strict JSON of the shape that its phase asks for.

    interpret: an object with the eight fields, all strings. classify: an object with a `label`. detect, segment,
    keypoints: a list of objects, each with a label, a box of four numbers, and its outline or points.
    """
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    if phase == "interpret":
        return isinstance(value, dict) and all(isinstance(value.get(name), str) for name in INTERPRETATION_FIELDS)
    if phase == "classify":
        return isinstance(value, dict) and isinstance(value.get("label"), str)
    if phase in ("detect", *_EXTRA):
        return isinstance(value, list) and all(_is_finding(one, _EXTRA.get(phase)) for one in value)
    return isinstance(value, dict | list)


def _is_finding(value: Any, extra: str | None) -> bool:
    if not (isinstance(value, dict) and isinstance(value.get("label"), str)):
        return False
    box = next((value[key] for key in _BOX_KEYS if key in value), None)
    return _are_numbers(box, 4) and (extra is None or _are_points(value.get(extra), extra))


def _are_points(value: Any, extra: str) -> bool:
    fewest, width = (3, 2) if extra == "mask" else (1, 3)
    return isinstance(value, list) and len(value) >= fewest and all(_are_numbers(one, width) for one in value)


def _are_numbers(value: Any, count: int) -> bool:
    return isinstance(value, list) and len(value) == count and all(type(one) in (int, float) for one in value)


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")


def _shares(outcomes: Sequence[dict[str, Outcome]], phase: str | None, draws: Bootstrap) -> Figure:
    kept = [[what for key, what in one.items() if phase in (None, phase_of(key))] for one in outcomes]
    asked = np.array([len(one) for one in kept])
    return {
        outcome.value: draws.ratio([one.count(outcome) for one in kept], asked, n=int(asked.sum()))
        for outcome in Outcome
    }
