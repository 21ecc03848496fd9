"""What a reader may see of an output: its words without names of models and files, its shapes without scores."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from annotator.biometry import report
from annotator.schema import Frame, Interpretation, ModelVersion, Prediction
from annotator.taxonomy import INTERPRETATION_FIELDS, is_view, view
from review.overlay import overlay_of
from review.plan import opaque_token

FAILED = "This output could not be produced."
GONE = "This output is no longer available."
HIDDEN = "[...]"
_PRODUCT = "FADA"


@dataclass(frozen=True)
class Shown:
    """One output as readers see it; shapes still bear the ids of findings."""

    failed: str | None
    plane: str | None
    plane_name: str | None
    interpretation: dict[str, str] | None
    shapes: tuple[dict[str, Any], ...]
    contradiction: str | None = None


class Redactor:
    """Replaces whole words that would tell a model, version or file."""

    def __init__(self, terms: Iterable[str]) -> None:
        """Hide `terms`, whatever their case."""
        wanted = sorted(set(terms), key=len, reverse=True)
        joined = "|".join(re.escape(term) for term in [*wanted, _PRODUCT])
        self._pattern = re.compile(rf"(?<!\w)(?:{joined})(?!\w)", re.IGNORECASE)

    def __call__(self, text: str) -> str:
        """Return the text with every such word replaced.

        >>> Redactor(["fada-skd-4b"])("Written by FADA-SKD-4B.")
        'Written by [...].'
        """
        return self._pattern.sub(HIDDEN, text)


def names_of(models: Iterable[ModelVersion], versions: Iterable[str], names: Iterable[tuple[str, str]]) -> set[str]:
    """Return the words that tell a model or a file: versions, their bases and parents, sources and file names.

    A word or number that a sonographer might write ("hospital", "12") is left alone where it is no version or file.
    """
    shown, sources = set(versions), list(names)
    maybe = {word for source, file in sources for word in (source, PurePath(file).stem)}
    for model in models:
        if model.name in shown:
            maybe |= {model.base, PurePath(model.base).name, model.parent or "", model.content_hash}
    telling = {term for term in maybe if len(term) >= 5 and not term.isalpha() and not term.isdigit()}
    return telling | {term for term in (*shown, *(file for _, file in sources)) if len(term) >= 3}


def shown_output(prediction: Prediction | None, frame: Frame, redact: Redactor, *, was_made: bool) -> Shown:
    """Return what may be seen of a prediction; `was_made` tells one that was lost from one that never was."""
    if prediction is None:
        return Shown(GONE if was_made else FAILED, None, None, None, ())
    has_failed = not prediction.findings and prediction.interpretation is None and bool(prediction.issues)
    if has_failed:
        return Shown(FAILED, None, None, None, ())
    return Shown(
        failed=None,
        plane=view(prediction.plane).long_name if prediction.plane and is_view(prediction.plane) else None,
        plane_name=prediction.plane,
        interpretation=_fields(prediction.interpretation, redact),
        shapes=tuple(overlay_of(prediction.findings, frame, blinded=True, plane=prediction.plane)),
        contradiction=_contradiction(prediction, frame, redact),
    )


def opaque_shapes(shapes: Iterable[dict[str, Any]], secret: str, token: str) -> list[dict[str, Any]]:
    """Give shapes ids that mean nothing outside their case."""
    return [{**shape, "id": opaque_shape_id(secret, token, shape["id"])} for shape in shapes]


def opaque_shape_id(secret: str, token: str, finding_id: str) -> str:
    """Return the id under which a finding is shown in one case."""
    return opaque_token(secret, "shape", token, finding_id)[:16]


def _contradiction(prediction: Prediction, frame: Frame, redact: Redactor) -> str | None:
    """Return how the age that the text states and the measured one disagree beyond the formula's error."""
    if frame.pixel_spacing_mm is None or prediction.interpretation is None:
        return None
    found = report(frame, prediction).contradiction
    return redact(found.message) if found else None


def _fields(interpretation: Interpretation | None, redact: Redactor) -> dict[str, str] | None:
    if interpretation is None:
        return None
    return {name: redact(getattr(interpretation, name)) for name in INTERPRETATION_FIELDS}
