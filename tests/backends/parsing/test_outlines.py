"""Outlines and keypoints out of what models really write: a row is a kind of fault, with all that comes of it."""

import time

import pytest

from annotator.geometry import rle_to_mask
from backends.engine import Finish, Phase
from backends.parsing import parse_findings
from tests.backends.parsing.answers import (
    ASKED,
    BRAIN,
    SIZE_WH,
    B,
    C,
    Row,
    an_answer,
    outlined,
    reasons,
    storable,
)

CUT = Finish.LENGTH

SQUARE = "[[100, 200], [500, 200], [500, 800], [100, 800]]"
SEGMENT = [
    Row("a clean outline", outlined(SQUARE), [(BRAIN, 4800)]),
    Row("closed explicitly", outlined(f"{SQUARE[:-1]}, [100, 200]]"), [(BRAIN, 4800)]),
    Row("a point twice", outlined(f"[[100, 200], {SQUARE[1:]}"), [(BRAIN, 4800)], "repeated"),
    Row("the outline drawn twice", outlined(f"{SQUARE[:-1]}, {SQUARE[1:]}"), [(BRAIN, 4800)], "repeated"),
    Row("a flat list", outlined("[100, 200, 500, 200, 500, 800, 100, 800]"), [(BRAIN, 4800)], "points_form"),
    Row(
        "a COCO segmentation",
        f'[{B[:-1]}, "segmentation": [[100, 200, 500, 200, 500, 800, 100, 800]]}}]',
        [(BRAIN, 4800)],
        "key_variant points_form",
    ),
    Row("a list too many", outlined(f"[{SQUARE}]"), [(BRAIN, 4800)], "points_form"),
    Row(
        "points as objects",
        outlined('[{"x": 100, "y": 200}, {"x": 500, "y": 200}, {"x": 500, "y": 800}]'),
        [(BRAIN, 2400)],
        "points_form",
    ),
    Row("no box", f'[{{"label": "Brain", "mask": {SQUARE}}}]', [(BRAIN, 4800)], "box_from_mask"),
    Row(
        "a small loop at a corner",
        outlined("[[100, 200], [500, 200], [500, 800], [100, 780], [120, 800]]"),
        [(BRAIN, None)],
        "outline_repaired",
    ),
    Row(
        "a point on the edge of the frame and beyond",
        outlined("[[-3, 200], [500, 200], [500, 800], [-3, 800]]"),
        [(BRAIN, 6000)],
        "clipped points_beyond_box",
    ),
    Row(
        "an outline wider than its box",
        outlined("[[50, 200], [500, 200], [500, 800], [50, 800]]"),
        [(BRAIN, 5400)],
        "points_beyond_box",
    ),
    Row(
        "an outline elsewhere than its box",
        outlined("[[600, 200], [900, 200], [900, 800], [600, 800]]"),
        [],
        "points_outside_box",
    ),
    Row("a figure of eight", outlined("[[100, 200], [500, 800], [500, 200], [100, 800]]"), [], "outline_crossing"),
    Row("two points", outlined("[[100, 200], [500, 800]]"), [], "points_few"),
    Row("one point over and over", outlined(f"[{', '.join(['[100, 200]'] * 30)}]"), [], "repeated points_few"),
    Row("all on one line", outlined("[[100, 200], [300, 500], [500, 800]]"), [], "mask_empty"),
    Row("an empty outline", outlined("[]"), [], "points_malformed"),
    Row("an odd number of coordinates", outlined("[100, 200, 500, 200, 500]"), [], "points_form points_malformed"),
    Row("a point of three numbers", outlined("[[100, 200], [500, 200, 1], [500, 800]]"), [], "points_malformed"),
    Row("two outlines", outlined(f"[{SQUARE}, {SQUARE}]"), [], "several_outlines"),
    Row("run lengths", outlined('"eNrT0"'), [], "points_malformed"),
    Row("no outline", f"[{B}]", [], "mask_missing"),
    Row("null for an outline", outlined("null"), [], "points_malformed"),
    Row("NaN in an outline", outlined("[[100, 200], [NaN, 200], [500, 800]]"), [], "not_a_number"),
    Row(
        "cut in the outline",
        f'[{B[:-1]}, "mask": [[100, 200], [500, 200], [500, 8',
        [],
        "truncated object_cut",
        CUT,
    ),
    Row(
        "cut in the second outline",
        f'[{B[:-1]}, "mask": {SQUARE}}}, {C[:-1]}, "mask": [[300, 400], [3',
        [(BRAIN, 4800)],
        "truncated object_cut",
        CUT,
    ),
    Row(
        "far too many points",
        outlined(f"[{', '.join(f'[{n % 900}, {n % 700}]' for n in range(3000))}]"),
        [],
        "points_malformed",
    ),
]

K = '{"bbox_2d": [100, 200, 500, 800], "label": "CRL_KP", "keypoints": [[100, 200, 2], [500, 800, 1]]}'
ENDS = [("crown", 20.0, 20.0, 2), ("rump", 100.0, 80.0, 1)]
SEEN = [("crown", 20.0, 20.0, 2), ("rump", 100.0, 80.0, 2)]
KEYPOINTS = [
    Row("clean points", f"[{K}]", ENDS),
    Row(
        "points on one line need no area",
        '[{"bbox_2d": [100, 500, 500, 500], "label": "CRL_KP", "keypoints": [[100, 500, 2], [500, 500, 2]]}]',
        [("crown", 20.0, 50.0, 2), ("rump", 100.0, 50.0, 2)],
    ),
    Row(
        "no visibility",
        '[{"bbox_2d": [100, 200, 500, 800], "label": "CRL_KP", "keypoints": [[100, 200], [500, 800]]}]',
        SEEN,
        "visibility_missing",
    ),
    Row(
        "a flat list", K.replace("[[", "[").replace("]]", "]").replace("], [", ", ").join("[]"), ENDS, "points_form"
    ),
    Row("no box", '[{"label": "CRL_KP", "keypoints": [[100, 200, 2], [500, 800, 1]]}]', ENDS, "box_from_points"),
    Row(
        "one point absent",
        '[{"label": "CRL_KP", "keypoints": [[100, 200, 2], [0, 0, 0]]}]',
        [("crown", 20.0, 20.0, 2), ("rump", 0.0, 0.0, 0)],
        "box_from_points",
    ),
    Row("three points for two", f"[{K[:-2]}, [1, 2, 2]]}}]", [], "keypoints_count"),
    Row("one point for two", '[{"label": "CRL_KP", "keypoints": [[100, 200, 2]]}]', [], "keypoints_count"),
    Row("a visibility nobody knows", f"[{K.replace('800, 1', '800, 7')}]", [], "visibility"),
    Row("all absent", f"[{K.replace(', 2]', ', 0]').replace('800, 1', '800, 0')}]", [], "keypoints_absent"),
    Row("no points", '[{"bbox_2d": [100, 200, 500, 800], "label": "CRL_KP"}]', [], "keypoints_missing"),
    Row("points of a structure that has none", f"[{K.replace('CRL_KP', 'Brain')}]", [], "keypoints_unnamed"),
    Row(
        "points outside their box",
        f"[{K.replace('[100, 200, 500, 800]', '[600, 200, 900, 800]')}]",
        [],
        "points_outside_box",
    ),
    Row(
        "points at a slip of the edge",
        f"[{K.replace('[500, 800, 1]', '[500, 1003, 1]')}]",
        [("crown", 20.0, 20.0, 2), ("rump", 100.0, 100.0, 1)],
        "clipped points_beyond_box",
    ),
]


@pytest.mark.parametrize("row", SEGMENT, ids=[row.why for row in SEGMENT])
def test_outlines(row: Row) -> None:
    findings, issues = parse_findings(an_answer(row.text, row.finish), Phase.SEGMENT, ASKED, SIZE_WH)
    assert [(finding.structure, finding.box_xyxy) for finding in findings] == [found for found, _ in row.found]
    for finding, (_, area) in zip(findings, row.found, strict=True):
        assert finding.mask_rle is not None
        assert rle_to_mask(finding.mask_rle).sum() == (area or pytest.approx(4800, rel=0.05))
    assert reasons(issues) == row.issues.split()
    assert storable(issues)


@pytest.mark.parametrize("row", KEYPOINTS, ids=[row.why for row in KEYPOINTS])
def test_keypoints(row: Row) -> None:
    asked = ("CRL_KP", "Brain")
    findings, issues = parse_findings(an_answer(row.text, row.finish), Phase.KEYPOINTS, asked, SIZE_WH)
    points = [(point.name, point.x, point.y, point.visibility) for one in findings for point in one.keypoints]
    assert points == list(row.found)
    assert reasons(issues) == row.issues.split()
    assert storable(issues)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 10**6,
        '{"a":' * 200_000,
        "[" + '"' * 10**6,
        "[1]" * 300_000,
        outlined("[" + "[1, 2], " * 90_000),
        "{:" * 10**6,
    ],
    ids=["lists", "objects", "quotes", "short lists", "points", "colons"],
)
def test_megabytes_of_nonsense_take_no_more_than_seconds(text: str) -> None:
    begun = time.process_time()
    _, issues = parse_findings(an_answer(text), Phase.SEGMENT, ASKED, SIZE_WH)
    assert time.process_time() - begun < 5
    assert "too_long" in reasons(issues)


def test_all_parts_of_a_frame_can_be_reached_and_its_far_edge_is_1000() -> None:
    whole = outlined(
        "[[0, 0], [1000, 0], [1000, 1000], [0, 1000]]", B.replace("100, 200, 500, 800", "0, 0, 1000, 1000")
    )
    for size_wh in ((200, 100), (640, 481), (7, 3), (1, 1)):
        (finding,), issues = parse_findings(an_answer(whole), Phase.SEGMENT, ASKED, size_wh)
        assert issues == ()
        assert finding.box_xyxy == (0, 0, *size_wh)
        assert finding.mask_rle is not None
        assert rle_to_mask(finding.mask_rle).all()
        assert finding.mask_rle.size_hw == size_wh[::-1]
