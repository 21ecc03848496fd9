"""What a model that is measured is asked, and what is kept of its answers; nothing here loads a model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from annotator.schema import Prediction
from backends.engine import Finish, Phase
from backends.prompts import PromptProfile, question

MOST_CHARACTERS = 20_000
"""Characters that are kept of an answer; how long it was is kept beside it."""
FREE_TOKENS = 128
"""As many as an answer to a free question may take, unless more are allowed."""
PLAIN, MODALITY = "plain", "modality"
Kind = Literal["fields", "free", "phases"]


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What is asked of every frame: the eight fields in one JSON object, a free question, or all phases.

    `words` and `max_new_tokens` are those of a free question; the others have theirs from the prompt profile.
    """

    name: str
    kind: Kind
    words: str = ""
    max_new_tokens: int = FREE_TOKENS


@dataclass(frozen=True, slots=True)
class Said:
    """One answer, or for `phases` one prediction. `characters` is its length before it was cut.

    `open_seconds` is what showing the frame to the model took; it is the same for all questions about it.
    """

    name: str
    variant: str
    text: str = ""
    characters: int = 0
    finish: str = Finish.STOP.value
    seconds: float = 0.0
    open_seconds: float = 0.0
    tokens_out: int | None = None
    retries: int = 0
    error: str | None = None
    fields: Mapping[str, str] | None = None
    issues: tuple[str, ...] = ()
    prediction: Prediction | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """Which weights answer, and how: equal `sha256`, equal weights. `kinds` is what it can be asked."""

    version: str
    base: str
    sha256: str
    load_seconds: float
    kinds: tuple[Kind, ...]
    variants: tuple[str, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)


def named_modality(profile: PromptProfile, sentence: str) -> PromptProfile:
    """Return the profile with a sentence about the modality before every prompt; InputError where it has braces.

    >>> from backends.prompts import load_profile
    >>> named_modality(load_profile(), "This is a fetal ultrasound image.").prompts[Phase.CLASSIFY][:33]
    'This is a fetal ultrasound image.'
    """
    prompts = {phase.value: f"{sentence}\n{words}" for phase, words in profile.prompts.items()}
    return PromptProfile.model_validate(
        profile.model_dump() | {"prompts": prompts, "name": f"{profile.name}+modality"}
    )


def words_of(profile: PromptProfile, inquiry: Inquiry) -> str:
    """Return the prompt in its plain wording; for all phases that of the first."""
    return inquiry.words if inquiry.kind == "free" else question(profile, Phase.INTERPRET).prompt
