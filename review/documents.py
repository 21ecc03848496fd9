"""The JSON that the page gets for a case. Built from what readers may see, never from a Prediction itself."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from annotator.schema import Frame
from annotator.store.studies import Presentation
from annotator.studies import Dimension, ReviewScore, Study
from annotator.taxonomy import INTERPRETATION_FIELDS, STRUCTURES, VIEWS, Family
from review.blinding import Shown, opaque_shapes
from review.rubric import ERROR_TYPES, Criterion, criteria_of, family_of

Newest = Mapping[tuple[str, Dimension], ReviewScore]


def newest_scores(scores: Sequence[ReviewScore]) -> dict[tuple[str, Dimension], ReviewScore]:
    """Return the grade that counts for each slot and dimension."""
    return {(score.slot, score.dimension): score for score in scores}


def grade_record(score: Any, changed: int = 0) -> dict[str, Any]:
    """Return a stored grade as the page shows it."""
    return {
        "grade": score.grade,
        "suggested": score.suggested,
        "criteria": list(score.criteria),
        "error_types": {field: list(kinds) for field, kinds in score.error_types.items()},
        "comment": score.comment,
        "reason": score.reason or None,
        "changed": changed,
        "at": score.created_at.isoformat(),
    }


def saved_grades(scores: Sequence[ReviewScore], slot: str) -> dict[str, Any]:
    """Return the grades of one slot that count, by dimension."""
    saved: dict[str, Any] = {}
    for dimension in Dimension:
        mine = [score for score in scores if score.slot == slot and score.dimension is dimension]
        saved[dimension.value] = grade_record(mine[-1], len(mine) - 1) if mine else None
    return saved


def slot_document(letter: str, shown: Shown, study: Study, token: str) -> dict[str, Any]:
    """Return one output under its letter."""
    return {
        "slot": letter,
        "failed": shown.failed,
        "plane": shown.plane,
        "interpretation": shown.interpretation,
        "contradiction": shown.contradiction,
        "overlay": opaque_shapes(shown.shapes, study.secret, token),
    }


def case_document(
    study: Study, mode: str, case: Presentation, frame: Frame, *, total: int, slots: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return what every kind of case has in common."""
    spacing = frame.pixel_spacing_mm
    return {
        "study": study.study_id,
        "mode": mode,
        "case": case.token,
        "position": case.sequence + 1,
        "total": total,
        "frame": {
            "url": f"/review/api/frame/{case.token}.png",
            "width": frame.width,
            "height": frame.height,
            "pixel_spacing_mm": list(spacing) if spacing else None,
            "simulated": frame.simulated,
        },
        "slots": slots,
        "dimensions": [dimension.value for dimension in Dimension],
        "locked": case.done,
    }


def rubric_document(planes: Sequence[str | None]) -> dict[str, Any]:
    """Return the checklists for what most of the outputs take the frame for; the general one where none says."""
    families = Counter(family for family in map(family_of, planes) if family is not None)
    family: Family | None = families.most_common(1)[0][0] if families else None
    return {
        "interpretation": {
            "criteria": [_criterion(item) for item in criteria_of(Dimension.INTERPRETATION, family)],
            "fields": list(INTERPRETATION_FIELDS),
            "error_types": [{"id": name, "text": text} for name, text in ERROR_TYPES.items()],
        },
        "annotation": {"criteria": [_criterion(item) for item in criteria_of(Dimension.ANNOTATION, family)]},
    }


def _criterion(item: Criterion) -> dict[str, str]:
    return {"id": item.criterion_id, "text": item.text, "severity": item.severity}


def choices_document() -> dict[str, Any]:
    """Return the views and structures that a guided case lets one choose from."""
    structures = [
        {
            "name": item.name,
            "label": item.long_name,
            "group": item.group.value,
            "kinds": [kind.value for kind in item.kinds],
        }
        for item in STRUCTURES
    ]
    return {"views": [{"name": item.name, "label": item.long_name} for item in VIEWS], "structures": structures}
