"""The schemas of the answers: bounded, ordered, and followed by what the tool itself writes."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from annotator.taxonomy import INTERPRETATION_FIELDS, STRUCTURES, VIEWS, Group, Kind
from backends import schemas
from backends.engine import Phase
from backends.prompts import load_profile
from backends.schemas import answer_schema, worst_case_tokens

VIEW_NAMES = [view.name for view in VIEWS]
KINDS = {Phase.DETECT: Kind.BOX, Phase.SEGMENT: Kind.MASK, Phase.KEYPOINTS: Kind.KEYPOINTS}


def usual_schemas() -> Iterator[tuple[Phase, dict[str, Any]]]:
    """Every schema that a group of structures, or a pair of groups asked together, gives rise to."""
    yield Phase.INTERPRET, answer_schema(Phase.INTERPRET)
    yield Phase.CLASSIFY, answer_schema(Phase.CLASSIFY, views=VIEW_NAMES)
    for phase, kind in KINDS.items():
        for group in Group:
            for other in (group, Group.NT_NASAL):
                names = [one.name for one in STRUCTURES if kind in one.kinds and one.group in (group, other)]
                if names:
                    yield phase, answer_schema(phase, names)


def nodes(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from nodes(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from nodes(value)


def test_every_schema_is_a_schema_and_bounds_all_that_it_lets_in() -> None:
    for _, schema in usual_schemas():
        jsonschema.Draft202012Validator.check_schema(schema)
        for node in nodes(schema):
            match node.get("type"):
                case "object":
                    assert node["additionalProperties"] is False
                    assert node["required"] == list(node["properties"])
                case "array":
                    assert node["maxItems"] >= node["minItems"]
                case "integer":
                    assert node["minimum"] == 0
                    assert node["maximum"] <= 1000
                case "string":
                    assert "enum" in node or node["maxLength"] > 0


def test_the_keys_come_in_the_order_that_the_checkpoints_learnt() -> None:
    assert list(schemas.interpret_schema()["properties"]) == list(INTERPRETATION_FIELDS)
    assert list(schemas.segment_schema(["Brain"])["items"]["properties"]) == ["bbox_2d", "label", "mask"]
    assert list(schemas.detect_schema(["Brain"], box_key="box_2d")["items"]["properties"]) == ["box_2d", "label"]


@pytest.mark.parametrize(
    ("phase", "item"),
    [
        (Phase.DETECT, {"bbox_2d": [0, 0, 1001, 5], "label": "Brain"}),
        (Phase.DETECT, {"bbox_2d": [0, 0, 5], "label": "Brain"}),
        (Phase.DETECT, {"bbox_2d": [0, 0, 5, 5.5], "label": "Brain"}),
        (Phase.DETECT, {"bbox_2d": [0, 0, 5, 5], "label": "thorax"}),
        (Phase.DETECT, {"bbox_2d": [0, 0, 5, 5], "label": "Brain", "score": 1}),
        (Phase.DETECT, {"label": "Brain"}),
        (Phase.SEGMENT, {"bbox_2d": [0, 0, 5, 5], "label": "Brain", "mask": [[0, 0], [5, 5]]}),
        (Phase.SEGMENT, {"bbox_2d": [0, 0, 5, 5], "label": "Brain", "mask": [[0, 0]] * 33}),
        (Phase.KEYPOINTS, {"bbox_2d": [0, 0, 5, 5], "label": "CRL_KP", "keypoints": [[0, 0, 3], [5, 5, 2]]}),
        (Phase.KEYPOINTS, {"bbox_2d": [0, 0, 5, 5], "label": "CRL_KP", "keypoints": [[0, 0, 2]]}),
    ],
)
def test_what_breaks_the_contract_is_kept_out(phase: Phase, item: Any) -> None:
    schema = answer_schema(phase, ["CRL_KP"] if phase is Phase.KEYPOINTS else ["Brain"])
    assert list(jsonschema.Draft202012Validator(schema).iter_errors([item]))


def longest(schema: dict[str, Any]) -> Any:
    """A longest instance, built without the code under test."""
    if "enum" in schema:
        return max(schema["enum"], key=len)
    match schema["type"]:
        case "integer":
            return schema["maximum"]
        case "string":
            return "x" * schema["maxLength"]
        case "array":
            parts = schema.get("prefixItems")
            return [longest(part) for part in parts] if parts else [longest(schema["items"])] * schema["maxItems"]
        case _:
            return {key: longest(value) for key, value in schema["properties"].items()}


def test_the_token_bound_is_the_length_of_the_longest_answer() -> None:
    for _, schema in usual_schemas():
        answer = longest(schema)
        jsonschema.validate(answer, schema)
        assert worst_case_tokens(schema) == len(json.dumps(answer)) + 1


def test_the_default_profile_leaves_room_for_the_longest_answer_of_every_group() -> None:
    limits = load_profile().max_new_tokens
    for phase, schema in usual_schemas():
        assert worst_case_tokens(schema) <= limits[phase]
