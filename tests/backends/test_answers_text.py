"""What the tool writes as a model's answer is read back as what it was."""

import json

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from annotator.geometry import dice, ellipse_to_mask, mask_to_rle, rle_to_mask
from annotator.schema import Ellipse, Finding, Interpretation, Keypoint
from annotator.taxonomy import INTERPRETATION_FIELDS, VIEWS
from backends.answers_text import findings_to_text, interpretation_to_text, view_to_text
from backends.engine import Phase
from backends.parsing import parse_findings, parse_interpretation, parse_view
from backends.schemas import answer_schema
from tests.backends.parsing.answers import an_answer
from tests.builders import a_finding, a_mask, a_masked_finding

FRAME = (640, 480)
VIEW_NAMES = [view.name for view in VIEWS]
# Where a score or an identity comes from is no part of the answer.
SAME = {"finding_id", "score", "removed_mass"}


def read_back(findings: list[Finding], phase: Phase, size_wh: tuple[int, int] = FRAME) -> list[Finding]:
    """Write, check against the schema, read; no issue may come of it."""
    names = sorted({finding.structure for finding in findings})
    text = findings_to_text(findings, phase, size_wh)
    jsonschema.validate(json.loads(text), answer_schema(phase, names))
    found, issues = parse_findings(an_answer(text), phase, names, size_wh)
    assert issues == ()
    assert findings_to_text(found, phase, size_wh) == text or phase is Phase.SEGMENT
    return list(found)


grid = st.integers(0, 1000)


@given(grid, grid, grid, grid, st.sampled_from([(1000, 1000), (640, 480), (1024, 768), (37, 5000)]))
def test_a_box_on_the_grid_comes_back_exactly(a: int, b: int, c: int, d: int, size_wh: tuple[int, int]) -> None:
    if a == c or b == d:
        return
    box = (
        min(a, c) * size_wh[0] / 1000,
        min(b, d) * size_wh[1] / 1000,
        max(a, c) * size_wh[0] / 1000,
        max(b, d) * size_wh[1] / 1000,
    )
    finding = a_finding("LV", box)
    assert read_back([finding], Phase.DETECT, size_wh)[0].model_dump(exclude=SAME) == finding.model_dump(
        exclude=SAME
    )


@given(st.floats(0, 640), st.floats(0, 480), st.floats(1e-6, 640), st.floats(1e-6, 480))
def test_any_box_comes_back_within_half_a_unit_or_one_where_it_was_smaller(
    x: float, y: float, width: float, height: float
) -> None:
    box = (x, y, min(x + width, 640.0), min(y + height, 480.0))
    (found,) = read_back([a_finding("LV", box)], Phase.DETECT)
    for got, meant, side in zip(found.box_xyxy, box, FRAME * 2, strict=True):
        assert abs(got - meant) <= 1.0001 * side / 1000


def test_points_on_the_grid_come_back_exactly() -> None:
    points = (Keypoint(name="crown", x=64.0, y=48.0), Keypoint(name="rump", x=320.0, y=48.0, visibility=1))
    finding = a_finding("CRL_KP", (64.0, 48.0, 320.0, 48.0), keypoints=points)
    (found,) = read_back([finding], Phase.KEYPOINTS)
    assert found.model_dump(exclude=SAME) == finding.model_dump(exclude=SAME)


def a_ring() -> NDArray[np.bool_]:
    outer, inner = Ellipse(cx=300, cy=200, rx=150, ry=100), Ellipse(cx=300, cy=200, rx=30, ry=30)
    return ellipse_to_mask(outer, FRAME) & ~ellipse_to_mask(inner, FRAME)


def test_a_skull_comes_back_as_nearly_the_same_mask_and_ever_after_stays_as_it_is() -> None:
    mask = ellipse_to_mask(Ellipse(cx=310, cy=230, rx=170, ry=120, angle_deg=25), FRAME)
    (once,) = read_back([a_masked_finding(mask)], Phase.SEGMENT)
    assert once.mask_rle is not None
    assert dice(rle_to_mask(once.mask_rle), mask) > 0.99
    (twice,) = read_back([once], Phase.SEGMENT)
    assert twice.mask_rle is not None
    assert dice(rle_to_mask(twice.mask_rle), rle_to_mask(once.mask_rle)) > 0.99


@pytest.mark.parametrize(
    "box", [(4, 5, 20, 15), (0, 0, 640, 480), (5, 5, 6, 6), (0, 100, 640, 101), (639, 479, 640, 480)]
)
def test_a_rectangular_mask_of_any_size_comes_back_where_it_was(box: tuple[int, int, int, int]) -> None:
    mask = a_mask(FRAME, box)
    (found,) = read_back([a_masked_finding(mask)], Phase.SEGMENT)
    assert found.mask_rle is not None
    read = rle_to_mask(found.mask_rle)
    assert (read & mask).any()
    assert abs(int(read.sum()) - int(mask.sum())) <= 2 * (box[2] - box[0] + box[3] - box[1])


def largest_parts_filled(mask: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """The largest part without its holes, by another library than the tool's; all that are equally large."""
    parts, _ = ndimage.label(mask)
    sizes = np.bincount(parts.ravel())[1:]
    return [ndimage.binary_fill_holes(parts == place + 1) for place in np.flatnonzero(sizes == sizes.max())]


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_of_a_ragged_mask_the_largest_part_comes_back(seed: int) -> None:
    rng = np.random.default_rng(seed)
    coarse = rng.random((12, 16)) < rng.uniform(0.3, 0.95)
    coarse[2:5, 3:5] = True
    mask = np.kron(coarse, np.ones((10, 10), bool))
    (found,) = read_back([a_masked_finding(mask)], Phase.SEGMENT, (160, 120))
    assert found.mask_rle is not None
    read = rle_to_mask(found.mask_rle)
    assert max(dice(read, part) for part in largest_parts_filled(mask)) > 0.8


def test_a_hole_cannot_be_written_and_is_filled() -> None:
    (found,) = read_back([a_masked_finding(a_ring())], Phase.SEGMENT)
    assert found.mask_rle is not None
    assert rle_to_mask(found.mask_rle)[200, 300]
    assert not a_ring()[200, 300]


def test_what_a_phase_does_not_ask_is_left_out() -> None:
    boxed, masked = a_finding("LV"), a_masked_finding(a_mask())
    assert findings_to_text([boxed], Phase.SEGMENT, (32, 24)) == "[]"
    assert findings_to_text([boxed, masked], Phase.KEYPOINTS, (32, 24)) == "[]"
    assert "mask" not in findings_to_text([masked], Phase.DETECT, (32, 24))
    empty = a_finding("Brain", mask_rle=mask_to_rle(np.zeros((24, 32), bool)))
    assert findings_to_text([empty], Phase.SEGMENT, (32, 24)) == "[]"


def test_the_text_is_what_json_dumps_writes() -> None:
    text = findings_to_text([a_finding("LV", (64, 48, 320, 240))], Phase.DETECT, FRAME)
    assert text == '[{"bbox_2d": [100, 100, 500, 500], "label": "LV"}]'
    old = findings_to_text([a_finding("LV", (64, 48, 320, 240))], Phase.DETECT, FRAME, box_key="box_2d")
    assert old == '[{"box_2d": [100, 100, 500, 500], "label": "LV"}]'


@pytest.mark.parametrize("view", VIEW_NAMES)
def test_every_view_comes_back(view: str) -> None:
    text = view_to_text(view)
    jsonschema.validate(json.loads(text), answer_schema(Phase.CLASSIFY, views=VIEW_NAMES))
    assert parse_view(an_answer(text), VIEW_NAMES) == (view, None, ())


@pytest.mark.parametrize(
    "value", ["", "transthalamic plane", 'a "good" image\nat 20 °C', "back\\slash {x} [y]", "</p>"]
)
def test_an_interpretation_comes_back_word_for_word(value: str) -> None:
    written = Interpretation(**dict.fromkeys(INTERPRETATION_FIELDS, value))
    text = interpretation_to_text(written)
    jsonschema.validate(json.loads(text), answer_schema(Phase.INTERPRET))
    assert parse_interpretation(an_answer(text)) == (written, ())
