"""How a model is asked: prompt profiles, kept in one data file each, and the questions made from them."""

import hashlib
import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator

from annotator.errors import InputError
from annotator.schema import Record
from annotator.taxonomy import INTERPRETATION_FIELDS, KEYPOINT_NAMES, is_structure, is_view, structure
from backends.engine import Phase, Question
from backends.schemas import FIELD_CHARS, answer_schema, worst_case_tokens

DEFAULT_PROFILE = Path(__file__).parent / "prompt_profiles" / "default.toml"
_MOST_BYTES = 1_000_000
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_STRUCTURE_WORDS = frozenset({"structures", "meanings", "box_key", "points"})
_ALLOWED: Mapping[Phase, frozenset[str]] = {
    Phase.INTERPRET: frozenset({"fields"}),
    Phase.CLASSIFY: frozenset({"views"}),
    Phase.DETECT: _STRUCTURE_WORDS - {"points"},
    Phase.SEGMENT: _STRUCTURE_WORDS - {"points"},
    Phase.KEYPOINTS: _STRUCTURE_WORDS,
}
_STRUCTURE_PHASES = (Phase.DETECT, Phase.SEGMENT, Phase.KEYPOINTS)

Template = Annotated[str, Field(strict=True, max_length=20_000)]
Tokens = Annotated[int, Field(strict=True, ge=1, le=32_768)]
Name = Annotated[str, Field(strict=True, min_length=1, max_length=100)]


class PromptProfile(Record):
    """The words for each phase, and what belongs to them. Equal `content_hash`, equal questions."""

    name: Name
    version: Name
    prompts: dict[Phase, Template]
    max_new_tokens: dict[Phase, Tokens]
    box_key: Literal["bbox_2d", "box_2d"] = "bbox_2d"
    image_max_side_px: Annotated[int, Field(strict=True, ge=64, le=8192)] = 1024
    field_characters: Annotated[int, Field(strict=True, ge=8, le=4000)] = FIELD_CHARS

    @field_validator("prompts")
    @classmethod
    def _are_usable(cls, prompts: dict[Phase, str]) -> dict[Phase, str]:
        for phase, template in prompts.items():
            if not template.strip():
                raise ValueError(f"{phase.value} is empty")
            unknown = set(_PLACEHOLDER.findall(template)) - _ALLOWED[phase]
            if unknown:
                known = ", ".join(f"{{{word}}}" for word in sorted(_ALLOWED[phase]))
                raise ValueError(f"{phase.value} holds {{{min(unknown)}}}; it can hold {known}")
            if phase in _STRUCTURE_PHASES and "{structures}" not in template:
                raise ValueError(f"{phase.value} lacks {{structures}}, so the model is not told what to look for")
        return prompts

    @field_validator("prompts", "max_new_tokens")
    @classmethod
    def _are_complete(cls, entries: dict[Phase, Any]) -> dict[Phase, Any]:
        missing = [phase.value for phase in Phase if phase not in entries]
        if missing:
            raise ValueError(f"{missing[0]} is missing")
        return entries

    @property
    def content_hash(self) -> str:
        """SHA-256 over all that the profile says, whatever its file looks like (hexadecimal)."""
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(content.encode("ascii")).hexdigest()


def load_profile(path: Path | None = None) -> PromptProfile:
    """Read a profile, by default the one that comes with the tool; InputError names the file and the key at fault.

    >>> load_profile().box_key
    'bbox_2d'
    """
    path = path or DEFAULT_PROFILE
    try:
        return PromptProfile.model_validate(_read_toml(path))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"] if part != "[key]")
        reason = first["msg"].removeprefix("Value error, ").replace("\n", " ")
        raise InputError(f"{path}: {place}: {reason}") from error


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path} is too large to be a prompt profile; give a TOML file like {DEFAULT_PROFILE}")
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: the prompt profile cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path} is no TOML file in UTF-8: {error}") from error


def question(
    profile: PromptProfile, phase: Phase, structures: Sequence[str] = (), views: Sequence[str] = ()
) -> Question:
    """Put a phase into words, with the schema of its answer; InputError names a structure or view nobody knows.

    The token limit is the profile's, or less where the longest answer that the schema allows is shorter.
    """
    _check_asked(phase, structures, views)
    schema = answer_schema(phase, structures, views, profile.box_key, profile.field_characters)
    words: Mapping[str, Callable[[], str]] = {
        "structures": lambda: ", ".join(structures),
        "meanings": lambda: "; ".join(f"{name} = {structure(name).long_name}" for name in structures),
        "points": lambda: "; ".join(f"{name}: {', '.join(KEYPOINT_NAMES[name])}" for name in structures),
        "views": lambda: ", ".join(views),
        "fields": lambda: ", ".join(INTERPRETATION_FIELDS),
        "box_key": lambda: profile.box_key,
    }
    return Question(
        phase=phase,
        prompt=_PLACEHOLDER.sub(lambda found: words[found[1]](), profile.prompts[phase]).strip(),
        answer_schema=schema,
        max_new_tokens=min(profile.max_new_tokens[phase], worst_case_tokens(schema)),
        structures=tuple(structures) if phase in _STRUCTURE_PHASES else (),
    )


def _check_asked(phase: Phase, structures: Sequence[str], views: Sequence[str]) -> None:
    strange = [name for name in structures if not is_structure(name)]
    if strange:
        raise InputError(f"nobody knows the structure {strange[0]!r}; the taxonomy holds the labels that exist")
    strange = [name for name in views if not is_view(name)]
    if strange:
        raise InputError(f"nobody knows the view {strange[0]!r}; the taxonomy holds the views that exist")
    if phase in _STRUCTURE_PHASES and not structures:
        raise InputError(f"{phase.value} needs at least one structure to look for")
    if phase is Phase.CLASSIFY and not views:
        raise InputError("classify needs at least one view to choose from")
    pointless = [name for name in structures if name not in KEYPOINT_NAMES]
    if phase is Phase.KEYPOINTS and pointless:
        raise InputError(f"{pointless[0]} has no keypoints; those that have: {', '.join(KEYPOINT_NAMES)}")
