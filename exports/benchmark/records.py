"""What a benchmark keeps: its plan, and for each model and wording a file of lines, one a record.

A run file has a `head` for each time that the model was opened, an `answer` for each question about each frame, and
an `outcome` for each time that it came to an end, well or not.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from annotator.schema import Prediction, Record

Kind = Literal["fields", "free", "phases"]
PLAIN, MODALITY = "plain", "modality"


class Asked(Record):
    """One question of the plan; `prompt` is its plain wording."""

    name: str
    kind: Kind
    prompt: str
    max_new_tokens: int | None = Field(default=None, description="of a free question; else the profile's")


class Plan(Record):
    """What every model is asked: equal plans, comparable answers."""

    frames: tuple[str, ...] = Field(min_length=1)
    questions: tuple[Asked, ...] = Field(min_length=1)
    sentence: str = Field(description="what names the modality in the variant of that name")
    profile_sha256: str


class Head(Record):
    """Which model answers from here on."""

    record: Literal["head"] = "head"
    label: str
    spec: str
    variant: str
    model_sha256: str
    version: str
    base: str
    kinds: tuple[Kind, ...]
    load_seconds: float
    provenance: dict[str, Any] = Field(default_factory=dict)
    signature: str | None = Field(default=None, description="equal: the model need not be opened to know it")


class AnswerLine(Record):
    """What was said to one question about one frame; `fields` where they could be read."""

    record: Literal["answer"] = "answer"
    model_sha256: str
    variant: str
    frame_id: str
    question: str
    text: str = ""
    characters: int = Field(default=0, description="before it was cut")
    finish: str = "stop"
    seconds: float
    open_seconds: float = 0.0
    tokens_out: int | None = None
    retries: int = 0
    error: str | None = None
    fields: dict[str, str] | None = None
    issues: tuple[str, ...] = ()
    prediction: Prediction | None = None


class Outcome(Record):
    """How it ended: all asked, or why not."""

    record: Literal["outcome"] = "outcome"
    label: str
    spec: str
    variant: str
    model_sha256: str | None = None
    reason: str | None = Field(
        default=None, description="why the model was not asked further; None where all is asked"
    )
    peak_memory_mib: int | None = None
    peak_accelerator_mib: int | None = None


Line = Annotated[Head | AnswerLine | Outcome, Field(discriminator="record")]
LINES: TypeAdapter[Head | AnswerLine | Outcome] = TypeAdapter(Line)
