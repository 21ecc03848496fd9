"""What a browser may send: validated here, so that everything behind can rely on it."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints, field_validator

from annotator.schema import Record
from annotator.studies import LONGEST_COMMENT, Dimension, Grade, Normality, Suggestion
from annotator.taxonomy import INTERPRETATION_FIELDS, is_view
from review.rubric import ERROR_TYPES

Text = Annotated[str, StringConstraints(max_length=LONGEST_COMMENT)]
Token = Annotated[str, StringConstraints(max_length=64)]
Names = Annotated[tuple[Annotated[str, StringConstraints(max_length=64)], ...], Field(max_length=64)]
ClientSeconds = Annotated[float, Field(ge=0, le=7 * 86_400, allow_inf_nan=False)]


class GradeRequest(Record):
    """One grade."""

    case: Token
    slot: Annotated[str, StringConstraints(min_length=1, max_length=1)]
    dimension: Dimension
    grade: Grade
    suggested: Suggestion | None = None
    criteria: Names = ()
    error_types: dict[str, Names] = Field(default_factory=dict)
    comment: Text = ""
    seconds: ClientSeconds | None = None
    client_id: Annotated[str, StringConstraints(min_length=8, max_length=64)]
    reason: Text | None = None

    @field_validator("error_types")
    @classmethod
    def _known_errors(cls, named: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        stray = (set(named) - set(INTERPRETATION_FIELDS)) | {
            kind for kinds in named.values() for kind in kinds if kind not in ERROR_TYPES
        }
        if stray:
            raise ValueError("unknown field or kind of error")
        return named


class DraftRequest(Record):
    """What was typed and not yet sent."""

    case: Token
    draft: dict[str, Any]


def _known_plane(plane: str | None) -> str | None:
    if plane is not None and plane != "other" and not is_view(plane):
        raise ValueError("unknown plane")
    return plane


class OwnViewRequest(Record):
    """The reader's own view."""

    case: Token
    plane: Annotated[str, StringConstraints(max_length=64)]
    normality: Normality
    seen: Text = ""
    seconds: ClientSeconds | None = None

    _plane = field_validator("plane")(_known_plane)


class InterpretationRequest(Record):
    """The model's text as the reader left it, and the reader's view after reading."""

    case: Token
    fields: dict[str, Text] = Field(default_factory=dict)
    plane: Annotated[str, StringConstraints(max_length=64)] | None = None
    normality: Normality | None = None
    seconds: ClientSeconds | None = None

    _plane = field_validator("plane")(_known_plane)

    @field_validator("fields")
    @classmethod
    def _known_fields(cls, fields: dict[str, str]) -> dict[str, str]:
        if set(fields) - set(INTERPRETATION_FIELDS):
            raise ValueError("unknown field")
        return fields


class TargetsRequest(Record):
    """What to look for."""

    case: Token
    detect: Names = ()
    segment: Names = ()
    seconds: ClientSeconds | None = None


class CaseRequest(Record):
    """A case, and nothing else."""

    case: Token


class GeometryRequest(Record):
    """Simple fixes in place."""

    case: Token
    removed: Annotated[tuple[Token, ...], Field(max_length=500)] = ()
    relabelled: Annotated[dict[Token, Token], Field(max_length=500)] = Field(default_factory=dict)
    accepted: bool = False
    seconds: ClientSeconds | None = None
