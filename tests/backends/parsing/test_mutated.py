"""Twenty thousand damaged answers: nothing raises, and what is whole in them is found or its loss is said."""

import json
import random
import re
from collections.abc import Iterator

from annotator.geometry import rle_area
from annotator.taxonomy import INTERPRETATION_FIELDS, KEYPOINT_NAMES
from backends.engine import Finish, Phase
from backends.parsing import parse_findings, parse_interpretation
from tests.backends.parsing.answers import SIZE_WH, an_answer, storable

ASKED = {
    Phase.DETECT: ("Brain", "CSP", "nasal_bone", "B"),
    Phase.SEGMENT: ("Brain", "NT"),
    Phase.KEYPOINTS: tuple(KEYPOINT_NAMES),
}
JUNK = [
    *"{}[]\",:'\\ \n0-.",
    "```json\n",
    "<think>",
    "</think>",
    "assistant\n",
    "<|im_end|>",
    "NaN",
    "null",
    "True",
    "// ",
    "\u202e",
    "\ud83d",
    "\x00",
    "9" * 50,
    "[" * 30,
    "{" * 3,
    '"label": ',
    '{"bbox_2d": [',
    "&quot;",
    "“",
    "und",
]
LEFT_OUT = {"thinking", "other_turn", "too_deep", "too_long", "too_many"}


def some_object(rng: random.Random, phase: Phase) -> dict[str, object]:
    x, y = rng.randrange(0, 800), rng.randrange(0, 800)
    width, height = rng.randrange(50, 200), rng.randrange(50, 200)
    item: dict[str, object] = {"bbox_2d": [x, y, x + width, y + height], "label": rng.choice(ASKED[phase])}
    if phase is Phase.SEGMENT:
        item["mask"] = [[x, y], [x + width, y], [x + width, y + height], [x, y + height]][: rng.choice([3, 4])]
    if phase is Phase.KEYPOINTS:
        item["keypoints"] = [[x, y, 2], [x + width, y + height, rng.choice([1, 2])]]
    return item


def damaged(rng: random.Random, text: str) -> str:
    for _ in range(rng.choice([1, 1, 2, 3, 5])):
        place, other = rng.randrange(len(text) + 1), rng.randrange(len(text) + 1)
        first, last = min(place, other), max(place, other)
        match rng.randrange(7):
            case 0:
                text = text[:place]
            case 1:
                text = text[:place] + text[place + rng.randrange(1, 9) :]
            case 2:
                text = text[:last] + text[first:]
            case 3:
                text = text[:place] + rng.choice(JUNK) + text[place:]
            case 4 if last < len(text) and first < last:
                text = text[:first] + text[last] + text[first + 1 : last] + text[first] + text[last + 1 :]
            case 5:
                text = text[:place] + chr(rng.randrange(32, 127)) + text[place + 1 :]
            case _:
                text = text[:first] + text[last : last + 40] + text[first:]
    return text


def is_whole(item: object, phase: Phase) -> bool:
    """Whether an object keeps the contract of its phase, by its own rules: none of the parser's code."""
    keys = {"bbox_2d", "label"} | {Phase.SEGMENT: {"mask"}, Phase.KEYPOINTS: {"keypoints"}}.get(phase, set())
    if not isinstance(item, dict) or set(item) != keys or item["label"] not in ASKED[phase]:
        return False
    box = item["bbox_2d"]
    if not (isinstance(box, list) and len(box) == 4 and all(type(n) is int and 0 <= n <= 1000 for n in box)):
        return False
    x_min, y_min, x_max, y_max = box
    points = item.get("mask") or item.get("keypoints") or []
    width = 2 if phase is Phase.SEGMENT else 3
    if not all(isinstance(p, list) and len(p) == width and all(type(n) is int for n in p) for p in points):
        return False
    near = all(x_min <= p[0] <= x_max and y_min <= p[1] <= y_max for p in points)
    if phase is Phase.SEGMENT:
        crossing_is_possible = len(points) > 4
        area = abs(sum(p[0] * q[1] - p[1] * q[0] for p, q in zip(points, points[1:] + points[:1], strict=True))) / 2
        return x_min < x_max and y_min < y_max and near and not crossing_is_possible and area > 2000
    if phase is Phase.KEYPOINTS:
        return (
            x_min <= x_max and y_min <= y_max and near and len(points) == 2 and all(p[2] in (1, 2) for p in points)
        )
    return x_min < x_max and y_min < y_max


def no_key_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key twice")
    return dict(pairs)


def whole_objects(text: str, phase: Phase) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Label and box, in pixels, of every object that Python's own JSON reader finds between two braces."""
    for found in re.finditer(r"\{[^{}]*\}", text):
        try:
            item = json.loads(found[0], object_pairs_hook=no_key_twice)
        except ValueError:
            continue
        if is_whole(item, phase):
            box = [n * size / 1000 for n, size in zip(item["bbox_2d"], SIZE_WH * 2, strict=True)]
            yield item["label"], tuple(box)


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def test_nothing_that_is_whole_is_lost_from_20000_damaged_answers() -> None:
    rng = random.Random(20260)
    whole = excused = 0
    for number in range(20_000):
        phase = rng.choice([Phase.DETECT, Phase.DETECT, Phase.SEGMENT, Phase.KEYPOINTS])
        objects = [some_object(rng, phase) for _ in range(rng.randrange(1, 4))]
        text = damaged(rng, json.dumps(objects))
        finish = rng.choice([Finish.STOP, Finish.LENGTH])
        findings, issues = parse_findings(an_answer(text, finish), phase, ASKED[phase], SIZE_WH)
        said = {issue.reason for issue in issues}
        found = {(finding.structure, finding.box_xyxy) for finding in findings}
        expected = set(whole_objects(text, phase))
        whole += len(expected)
        if not expected <= found:
            excused += len(expected - found)
            assert said & LEFT_OUT, (number, text, expected - found, said)
        assert issues or len(findings) == len(objects) or is_json(text), (number, text)
        assert issues or is_json(text), (number, text)
        assert all(
            0 <= x_min <= x_max <= SIZE_WH[0] and 0 <= y_min <= y_max <= SIZE_WH[1]
            for _, (x_min, y_min, x_max, y_max) in found
        )
        assert (
            all(one.mask_rle is not None and rle_area(one.mask_rle) for one in findings) or phase != Phase.SEGMENT
        )
        assert storable(issues), (number, text)
    assert whole > 10_000
    assert excused < whole / 20


def test_a_damaged_interpretation_is_never_taken_for_a_whole_one() -> None:
    rng = random.Random(20261)
    clean = json.dumps({name: f"the {name.replace('_', ' ')}, as seen" for name in INTERPRETATION_FIELDS})
    for number in range(1500):
        text = damaged(rng, clean)
        interpretation, issues = parse_interpretation(an_answer(text))
        assert issues or is_json(text), (number, text)
        assert issues or interpretation is not None, (number, text)
        assert storable(issues), (number, text)
        assert interpretation is None or interpretation.model_dump_json()
