"""Boxes, outlines and keypoints of an answer: from values in the model's 0..1000 to pixels of the original frame.

Only what has one reading is repaired, and noted; anything else is rejected with its reason. The left or upper edge
of the frame is 0, the right or lower 1000, so that a coordinate c of an axis of N pixels lies at c * N / 1000.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.geometry import Ring, polygons_to_mask
from annotator.schema import BoxXyxy, Keypoint
from annotator.taxonomy import KEYPOINT_NAMES
from backends.parsing.issues import IssueLog, Reason, RejectedError
from backends.parsing.json_repair import Kind, Node
from backends.parsing.json_tokens import to_number

FULL = 1000
FAR_OUTSIDE = 1000  # as far off as the frame is wide: not a slip of the edge but another space, such as pixels
MOST_POINTS = 2000
AGREEMENT = 0.9
BEYOND = 10.0  # 1 % of the frame
_CORNERS = (("x1", "y1", "x2", "y2"), ("xmin", "ymin", "xmax", "ymax"), ("left", "top", "right", "bottom"))

Point = tuple[float, float]


def read_box_norm(node: Node, log: IssueLog, *, may_be_thin: bool = False) -> BoxXyxy:
    """Read four numbers, x first, as a box within 0..1000 with its corners in order; RejectedError otherwise.

    `may_be_thin` lets a box without area pass, as around two points on one line.
    """
    numbers = [read_number(value, log) for value in _four(node, log)]
    _reject_other_spaces(numbers)
    x_first, y_first, x_second, y_second = (_clipped(number, node, log) for number in numbers)
    box = (min(x_first, x_second), min(y_first, y_second), max(x_first, x_second), max(y_first, y_second))
    if box != (x_first, y_first, x_second, y_second):
        log.add(Reason.BOX_REORDERED, node.start, node.stop)
    if not may_be_thin and (box[0] == box[2] or box[1] == box[3]):
        raise RejectedError(Reason.BOX_EMPTY)
    return box


def _four(node: Node, log: IssueLog) -> list[Node]:
    """The four values of a box, however they are wrapped."""
    if node.kind is Kind.OBJECT:
        values = {key.lower().replace("_", ""): value for key, value in node.pairs()}
        for names in _CORNERS:
            if set(values) == set(names):
                log.add(Reason.BOX_FORM, node.start, node.stop)
                return [values[name] for name in names]
    if node.kind is not Kind.ARRAY or node.cut:
        raise RejectedError(Reason.OBJECT_CUT if node.cut else Reason.BOX_MALFORMED)
    items = node.items
    if items and all(item.kind is Kind.ARRAY for item in items):
        sizes = [len(item.items) for item in items]
        if sizes in ([4], [2, 2]):  # one box in a list, or two corners
            log.add(Reason.BOX_FORM, node.start, node.stop)
            items = [value for item in items for value in item.items]
    if len(items) != 4:
        raise RejectedError(Reason.BOX_MALFORMED)
    return items


def read_number(node: Node, log: IssueLog) -> float:
    """Read one finite number, also from a string of digits; RejectedError otherwise."""
    value = node.value
    if node.kind is Kind.STRING:
        value = to_number(str(value).strip())
        if value is not None:
            log.add(Reason.NUMBER_TEXT, node.start, node.stop)
    elif node.kind is not Kind.NUMBER:
        value = None
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise RejectedError(Reason.NOT_A_NUMBER)
    if isinstance(value, float):
        log.add(Reason.NOT_WHOLE, node.start, node.stop)
    return float(value)


def _reject_other_spaces(numbers: Sequence[float]) -> None:
    """Fractions of the frame would be a speck in the corner here; pixels of a large frame lie far outside."""
    if all(0 <= number <= 1 for number in numbers) and any(number != int(number) for number in numbers):
        raise RejectedError(Reason.FRACTIONS)
    if not all(-FAR_OUTSIDE <= number <= FULL + FAR_OUTSIDE for number in numbers):
        raise RejectedError(Reason.FAR_OUTSIDE)


def _clipped(number: float, node: Node, log: IssueLog) -> float:
    if 0 <= number <= FULL:
        return number
    log.add(Reason.CLIPPED, node.start, node.stop)
    return min(max(number, 0.0), float(FULL))


def read_outline_norm(node: Node, log: IssueLog) -> list[Point]:
    """Read the corners of one polygon within 0..1000, at least 3 different ones; RejectedError otherwise."""
    if node.cut:
        raise RejectedError(Reason.OBJECT_CUT)
    rows = [[read_number(value, log) for value in row] for row in _rows(node, 2, log)]
    _reject_other_spaces([number for row in rows for number in row])
    points = [(_clipped(x, node, log), _clipped(y, node, log)) for x, y in rows]
    if len(points) > 1 and points[0] == points[-1]:
        points.pop()  # closed explicitly: the same outline
    distinct = _without_repeats(points)
    if len(distinct) < len(points):
        log.add(Reason.REPEATED, node.start, node.stop)
    if len(distinct) < 3:
        raise RejectedError(Reason.POINTS_FEW)
    return distinct


def _rows(node: Node, width: int, log: IssueLog) -> list[list[Node]]:
    """The points of a list, `width` values each, also where they stand flat, as objects, or one list too deep."""
    if node.kind is not Kind.ARRAY or not node.items or len(node.items) > MOST_POINTS:
        raise RejectedError(Reason.POINTS_MALFORMED)
    items = node.items
    if all(_is_list_of(item, Kind.ARRAY) or len(item.items) > 5 for item in items):
        if len(items) > 1:
            raise RejectedError(Reason.SEVERAL_OUTLINES)
        log.add(Reason.POINTS_FORM, node.start, node.stop)
        items = items[0].items
    rows = [item.items for item in items]
    if all(item.kind is Kind.OBJECT for item in items):
        log.add(Reason.POINTS_FORM, node.start, node.stop)
        rows = [_point_of_object(item) for item in items]
    elif all(item.kind is Kind.NUMBER for item in items):
        log.add(Reason.POINTS_FORM, node.start, node.stop)
        rows = [items[place : place + width] for place in range(0, len(items), width)]
    if any(len(row) != width for row in rows):
        raise RejectedError(Reason.POINTS_MALFORMED)
    return rows


def _is_list_of(node: Node, kind: Kind) -> bool:
    return node.kind is Kind.ARRAY and bool(node.items) and all(item.kind is kind for item in node.items)


def _point_of_object(node: Node) -> list[Node]:
    values = dict(node.pairs())
    if set(values) not in ({"x", "y"}, {"x", "y", "v"}, {"x", "y", "visibility"}):
        raise RejectedError(Reason.POINTS_MALFORMED)
    return [values[key] for key in ("x", "y", "v", "visibility") if key in values]


def _without_repeats(points: list[Point]) -> list[Point]:
    """Drop a point that stands twice in a row, and the rounds after the first of an outline drawn several times."""
    distinct = [point for place, point in enumerate(points) if place == 0 or point != points[place - 1]]
    again = next((place for place in range(1, len(distinct)) if distinct[place] == distinct[0]), None)
    if again is not None and all(distinct[place] == distinct[place % again] for place in range(len(distinct))):
        return distinct[:again]
    return distinct


def outline_to_mask(points: Sequence[Point], size_wh: tuple[int, int], log: IssueLog) -> NDArray[np.bool_]:
    """Fill an outline of 0..1000; RejectedError where it covers no pixel or crosses itself with several readings.

    A crossing outline is kept where the rules of filling agree: the area that its turns enclose (shoelace) and the
    area of its parts (even-odd) differ by at most a tenth, as with a small loop at a corner. In a figure of eight
    they do not.
    """
    from shapely import Polygon

    width, height = size_wh
    scale = np.array([width, height], np.float64) / FULL
    drawn = Polygon(points)
    if drawn.is_valid:
        mask = polygons_to_mask([np.asarray(points, np.float64) * scale], size_wh)
    else:
        outer, holes = _taken_apart(drawn)
        mask = polygons_to_mask([ring * scale for ring in outer], size_wh)
        mask &= ~polygons_to_mask([ring * scale for ring in holes], size_wh)
    if not mask.any():
        raise RejectedError(Reason.MASK_EMPTY)
    if not drawn.is_valid:
        log.add_text(Reason.OUTLINE_REPAIRED, str([list(point) for point in points]))
    return mask


def _taken_apart(drawn: Any) -> tuple[list[Ring], list[Ring]]:
    """The outer rings and holes of an outline that crosses or touches itself."""
    from shapely import make_valid

    repaired = make_valid(drawn)
    members = list(getattr(repaired, "geoms", [repaired]))
    nested = [part for member in members for part in getattr(member, "geoms", [member])]
    polygons = [part for part in nested if part.geom_type == "Polygon"]
    area = sum(part.area for part in polygons)
    if area == 0:
        raise RejectedError(Reason.MASK_EMPTY)
    x, y = np.asarray(drawn.exterior.coords).T
    turned = abs(float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]))) / 2
    if min(turned, area) < AGREEMENT * max(turned, area):
        raise RejectedError(Reason.OUTLINE_CROSSING)
    outer = [np.asarray(part.exterior.coords, np.float64)[:-1] for part in polygons]
    holes = [np.asarray(hole.coords, np.float64)[:-1] for part in polygons for hole in part.interiors]
    return outer, holes


def check_within(points: Sequence[Point], box: BoxXyxy, node: Node, log: IssueLog) -> None:
    """Note points that lie outside their box; RejectedError where most of what they span does.

    Which of the two the model meant cannot be told then.
    """
    x, y = [point[0] for point in points], [point[1] for point in points]
    spans = ((min(x), max(x), box[0], box[2]), (min(y), max(y), box[1], box[3]))
    inside = 1.0
    for low, high, box_low, box_high in spans:
        shared = min(high, box_high) - max(low, box_low)
        inside *= (shared >= 0) if high == low else max(shared, 0.0) / (high - low)
    if inside < 0.5:
        raise RejectedError(Reason.POINTS_OUTSIDE_BOX)
    if any(low < box_low - BEYOND or high > box_high + BEYOND for low, high, box_low, box_high in spans):
        log.add(Reason.POINTS_BEYOND_BOX, node.start, node.stop)


def read_keypoints_norm(node: Node, structure: str, log: IssueLog) -> tuple[Keypoint, ...]:
    """Read the named points of a structure, x and y within 0..1000; RejectedError otherwise."""
    names = KEYPOINT_NAMES.get(structure)
    if names is None:
        raise RejectedError(Reason.KEYPOINTS_UNNAMED)
    if node.cut:
        raise RejectedError(Reason.OBJECT_CUT)
    rows = _rows(node, _values_each(node, len(names)), log)
    if len(rows) != len(names):
        raise RejectedError(Reason.KEYPOINTS_COUNT)
    if any(len(row) == 2 for row in rows):
        log.add(Reason.VISIBILITY_MISSING, node.start, node.stop)
    numbers = [[read_number(value, log) for value in row] for row in rows]
    _reject_other_spaces([number for row in numbers for number in row[:2]])
    points = tuple(_keypoint(name, row, node, log) for name, row in zip(names, numbers, strict=True))
    if not any(point.visibility for point in points):
        raise RejectedError(Reason.KEYPOINTS_ABSENT)
    return points


def _values_each(node: Node, count: int) -> int:
    """3 values a point, or 2 where the visibility was left out."""
    first = node.items[0] if node.items else node
    if first.kind is Kind.ARRAY and first.items and first.items[0].kind is Kind.ARRAY:
        first = first.items[0]
    pairs = len(node.items) == 2 * count if first.kind is Kind.NUMBER else len(first.items) == 2
    return 2 if pairs else 3


def _keypoint(name: str, row: Sequence[float], node: Node, log: IssueLog) -> Keypoint:
    visibility = row[2] if len(row) == 3 else 2.0
    if visibility not in (0.0, 1.0, 2.0):
        raise RejectedError(Reason.VISIBILITY)
    x, y = (_clipped(value, node, log) for value in row[:2])
    return Keypoint(name=name, x=x, y=y, visibility=int(visibility))


def to_pixels(x: float, y: float, size_wh: tuple[int, int]) -> Point:
    """Map a point of 0..1000 to pixels, edges to edges.

    >>> to_pixels(1000, 250, (640, 480))
    (640.0, 120.0)
    """
    return x * size_wh[0] / FULL, y * size_wh[1] / FULL


def box_to_pixels(box: BoxXyxy, size_wh: tuple[int, int]) -> BoxXyxy:
    """Map a box of 0..1000 to pixels."""
    return (*to_pixels(box[0], box[1], size_wh), *to_pixels(box[2], box[3], size_wh))
