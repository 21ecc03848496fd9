"""JSON schemas of the answers: what a constrained decoder lets a model write, and what a server is asked for.

Everything is bounded and the order of keys is fixed, so that no answer is endless and a token limit can be chosen
above the longest. A schema cannot say that corners are in order or that an outline does not cross itself: the
parser looks after that, for every engine alike.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from annotator.taxonomy import INTERPRETATION_FIELDS, KEYPOINT_NAMES
from backends.engine import Phase

Schema = dict[str, Any]

FIELD_CHARS = 400
MOST_POINTS = 32
_COORDINATE: Schema = {"type": "integer", "minimum": 0, "maximum": 1000}
_VISIBILITY: Schema = {"type": "integer", "minimum": 0, "maximum": 2}


def interpret_schema(max_chars: int = FIELD_CHARS) -> Schema:
    """Eight texts of at most `max_chars` characters each."""
    return _record({name: {"type": "string", "maxLength": max_chars} for name in INTERPRETATION_FIELDS})


def classify_schema(views: Sequence[str]) -> Schema:
    """One of `views`."""
    return _record({"label": _one_of(views)})


def detect_schema(structures: Sequence[str], max_items: int | None = None, box_key: str = "bbox_2d") -> Schema:
    """Boxes of `structures`; at most `max_items` of them, by default two a structure and two more."""
    item = {box_key: _box(), "label": _one_of(structures)}
    return _series(_record(item), 0, max_items or min(2 * len(structures) + 2, 16))


def segment_schema(
    structures: Sequence[str],
    max_items: int | None = None,
    max_points: int = MOST_POINTS,
    box_key: str = "bbox_2d",
) -> Schema:
    """Boxes with outlines of 3 to `max_points` corners; by default at most one a structure and two more."""
    outline = _series(_series(_COORDINATE, 2, 2), 3, max_points)
    item = {box_key: _box(), "label": _one_of(structures), "mask": outline}
    return _series(_record(item), 0, max_items or min(len(structures) + 2, 8))


def keypoints_schema(structures: Sequence[str], max_items: int | None = None, box_key: str = "bbox_2d") -> Schema:
    """Boxes with points `[x, y, visibility]`; by default at most one a structure and two more."""
    counts = [len(KEYPOINT_NAMES[name]) for name in structures]
    point = {"type": "array", "prefixItems": [_COORDINATE, _COORDINATE, _VISIBILITY], "items": False}
    points = _series({**point, "minItems": 3, "maxItems": 3}, min(counts, default=0), max(counts, default=0))
    item = {box_key: _box(), "label": _one_of(structures), "keypoints": points}
    return _series(_record(item), 0, max_items or min(len(structures) + 2, 8))


def answer_schema(
    phase: Phase,
    structures: Sequence[str] = (),
    views: Sequence[str] = (),
    box_key: str = "bbox_2d",
    max_chars: int = FIELD_CHARS,
) -> Schema:
    """Return the schema of a phase with its usual bounds."""
    match phase:
        case Phase.INTERPRET:
            return interpret_schema(max_chars)
        case Phase.CLASSIFY:
            return classify_schema(views)
        case Phase.DETECT:
            return detect_schema(structures, box_key=box_key)
        case Phase.SEGMENT:
            return segment_schema(structures, box_key=box_key)
        case Phase.KEYPOINTS:
            return keypoints_schema(structures, box_key=box_key)


def worst_case_tokens(schema: Mapping[str, Any]) -> int:
    """Return how many tokens the longest answer of a schema can take, its end-of-text token included.

    It is the number of characters of that answer, written with ", " and ": ": in byte-level vocabularies no token
    is shorter than one ASCII character, and Qwen's gives each digit a token of its own. (A text all of escapes or
    of characters outside ASCII can take more; the parser reports the cut.)

    >>> worst_case_tokens(classify_schema(["Femur", "Cervix"])) == len('{"label": "Cervix"}') + 1
    True
    """
    return _longest(schema) + 1


def _longest(schema: Mapping[str, Any]) -> int:
    if "enum" in schema:
        return max((len(json.dumps(value, ensure_ascii=False)) for value in schema["enum"]), default=0)
    match schema["type"]:
        case "integer":
            return max(len(str(schema["minimum"])), len(str(schema["maximum"])))
        case "string":
            return int(schema["maxLength"]) + 2
        case "array":
            items = schema.get("prefixItems") or [schema["items"]] * schema["maxItems"]
            return 2 + sum(map(_longest, items)) + 2 * max(len(items) - 1, 0)
        case _:
            parts = [len(key) + 4 + _longest(value) for key, value in schema["properties"].items()]
            return 2 + sum(parts) + 2 * max(len(parts) - 1, 0)


def _record(properties: Mapping[str, Schema]) -> Schema:
    """An object with exactly these keys, in this order."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def _series(item: Schema, least: int, most: int) -> Schema:
    return {"type": "array", "items": item, "minItems": least, "maxItems": most}


def _one_of(names: Sequence[str]) -> Schema:
    return {"type": "string", "enum": list(names)}


def _box() -> Schema:
    return _series(_COORDINATE, 4, 4)
