"""Result regions read back: percent into pixels of the frame; junk is a ValueError, never a guess."""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator import taxonomy
from annotator.geometry import (
    Ring,
    clip_box_xyxy,
    ellipse_to_box_xyxy,
    ellipse_to_mask,
    mask_to_rle,
    points_to_box_xyxy,
    polygons_to_mask,
    rle_to_box_xyxy,
    rotated_box_corners,
)
from annotator.labelstudio.brush import decode_mask
from annotator.labelstudio.regions import PREFIX, to_pixels
from annotator.schema import BoxXyxy, Ellipse, Frame, MaskRle, Origin, RotatedBox

SAME_WITHIN_PX = 0.01
_FARTHEST_PCT = 10_000.0  # what is drawn beyond would only cost memory to fill
_POINT_ID = re.compile(rf"{PREFIX}(?P<finding>.+)\.kp\.(?P<name>.*)\.(?P<visibility>[012])", re.DOTALL)


@dataclass(frozen=True)
class Shape:
    """What was drawn, in pixels; a keypoint has `point_xy` and no area, an ellipse is filled only when asked."""

    box_xyxy: BoxXyxy
    mask_rle: MaskRle | None = None
    ellipse: Ellipse | None = None
    rotated_box: RotatedBox | None = None
    point_xy: tuple[float, float] | None = None

    def is_like(self, other: "Shape") -> bool:
        """Tell whether two shapes are the same up to what rounding in a browser does."""
        if self.mask_rle != other.mask_rle:
            return False
        mine, theirs = self._numbers(), other._numbers()
        return len(mine) == len(theirs) and all(
            abs(a - b) <= SAME_WITHIN_PX for a, b in zip(mine, theirs, strict=True)
        )

    def filled(self, frame: Frame) -> MaskRle | None:
        """Return the mask: painted, traced, or within the ellipse; None for boxes, points and slivers."""
        if self.ellipse is None:
            return self.mask_rle
        mask = ellipse_to_mask(self.ellipse, frame.size_wh)
        return mask_to_rle(mask) if mask.any() else None

    def _numbers(self) -> tuple[float, ...]:
        turned = self.ellipse or self.rotated_box
        return (*self.box_xyxy, *(turned.model_dump().values() if turned else ()), *(self.point_xy or ()))


@dataclass(frozen=True)
class Drawn:
    """One region: what, where, and what Label Studio says of its making."""

    region_id: str
    structure: str
    kind: str
    shape: Shape
    score: float | None
    origin: Origin | None


def read_region(region: Mapping[str, Any], frame: Frame) -> Drawn:
    """Read one shape region; ValueError says in plain words why it cannot be used."""
    kind = region.get("type")
    value = region.get("value")
    if not isinstance(kind, str) or kind not in _READERS:
        raise ValueError(f"a region of type {kind!r} is not one of ours")
    if not isinstance(value, Mapping):
        raise ValueError("the region has no value")
    if region.get("image_rotation") not in (0, None):
        raise ValueError("the image was turned in the editor, so its percentages are of another image")
    structure = _structure(value.get(kind))
    return Drawn(
        region_id=str(region.get("id") or ""),
        structure=structure,
        kind=kind,
        shape=_READERS[kind](value, frame),
        score=_score(region.get("score")),
        origin=_origin(region.get("origin")),
    )


def point_of_id(region_id: str) -> tuple[str, str, int] | None:
    """Return (finding_id, point name, visibility) of a keypoint region that we sent, or None."""
    found = _POINT_ID.fullmatch(region_id)
    return (found["finding"], found["name"], int(found["visibility"])) if found else None


def excerpt_of(region: Any, limit: int = 200) -> str:
    """Return the start of a region as JSON, without the numbers of a mask."""
    if isinstance(region, Mapping) and isinstance(region.get("value"), Mapping) and "rle" in region["value"]:
        region = {**region, "value": {**region["value"], "rle": "..."}}
    try:
        return json.dumps(region, default=str)[:limit]
    except (TypeError, ValueError, RecursionError):
        return f"a {type(region).__name__}"


def _structure(labels: Any) -> str:
    if not isinstance(labels, list) or not labels:
        raise ValueError("the region has no label")
    if len(labels) > 1:
        raise ValueError(f"the region has {len(labels)} labels, it must have one")
    if not isinstance(labels[0], str) or not taxonomy.is_structure(labels[0]):
        raise ValueError(f"unknown label {labels[0]!r}")
    return labels[0]


def _score(value: Any) -> float | None:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and 0.0 <= value <= 1.0
    return float(value) if usable else None


def _origin(value: Any) -> Origin | None:
    return Origin(value) if value in tuple(Origin) else None


def _numbers(value: Mapping[str, Any], *names: str) -> list[float]:
    found = []
    for name in names:
        number = value.get(name, 0.0 if name == "rotation" else None)
        if isinstance(number, bool) or not isinstance(number, int | float) or number != number:
            raise ValueError(f"{name} must be a number, got {number!r}")
        if abs(number) > _FARTHEST_PCT:
            raise ValueError(f"{name} is far outside the image")
        found.append(float(number))
    return found


def _read_rectangle(value: Mapping[str, Any], frame: Frame) -> Shape:
    x, y, width, height, turn = _numbers(value, "x", "y", "width", "height", "rotation")
    if turn % 360.0:
        return _read_rotated(x, y, width, height, turn, frame)
    # The far edges are summed in percent, so that clamped boxes come back to the same pixel.
    x_min, x_max = sorted((to_pixels(x, frame.width), to_pixels(x + width, frame.width)))
    y_min, y_max = sorted((to_pixels(y, frame.height), to_pixels(y + height, frame.height)))
    return Shape(box_xyxy=_visible((x_min, y_min, x_max, y_max), frame))


def _read_rotated(x: float, y: float, width: float, height: float, turn: float, frame: Frame) -> Shape:
    angle = math.radians(turn)
    wide, high = width * frame.width / 100.0, height * frame.height / 100.0
    if wide <= 0 or high <= 0:
        raise ValueError("the box has no area")
    half_x, half_y = wide / 2, high / 2
    box = RotatedBox(
        cx=round(x * frame.width / 100.0 + half_x * math.cos(angle) - half_y * math.sin(angle), 6),
        cy=round(y * frame.height / 100.0 + half_x * math.sin(angle) + half_y * math.cos(angle), 6),
        width=round(wide, 6),
        height=round(high, 6),
        angle_deg=turn,
    )
    return Shape(box_xyxy=_visible(points_to_box_xyxy(rotated_box_corners(box)), frame), rotated_box=box)


def _read_ellipse(value: Mapping[str, Any], frame: Frame) -> Shape:
    x, y, radius_x, radius_y, turn = _numbers(value, "x", "y", "radiusX", "radiusY", "rotation")
    if radius_x <= 0 or radius_y <= 0:
        raise ValueError("the ellipse has no area")
    ellipse = Ellipse(
        cx=to_pixels(x, frame.width),
        cy=to_pixels(y, frame.height),
        rx=to_pixels(radius_x, frame.width),
        ry=to_pixels(radius_y, frame.height),
        angle_deg=turn,
    )
    return Shape(box_xyxy=_visible(ellipse_to_box_xyxy(ellipse), frame), ellipse=ellipse)


def _read_brush(value: Mapping[str, Any], frame: Frame) -> Shape:
    if value.get("format", "rle") != "rle" or "rle" not in value:
        raise ValueError("the brush has no run-length code")
    return _masked(decode_mask(value["rle"], frame.size_wh), "nothing is painted")


def _read_polygon(value: Mapping[str, Any], frame: Frame) -> Shape:
    points = value.get("points")
    if not isinstance(points, list) or len(points) < 3:
        raise ValueError("a polygon needs three points")
    ring = []
    for point in points:
        if not isinstance(point, list | tuple) or len(point) != 2:
            raise ValueError(f"a point of a polygon must be two numbers, got {point!r}")
        x, y = _numbers({"x": point[0], "y": point[1]}, "x", "y")
        ring.append((to_pixels(x, frame.width), to_pixels(y, frame.height)))
    return _masked(_fill(np.asarray(ring, np.float64), frame.size_wh), "the polygon covers no pixel")


def _fill(ring: Ring, size_wh: tuple[int, int]) -> NDArray[np.bool_]:
    """Fill a hand-drawn outline; one that crosses itself is taken apart first, so that no lobe is lost."""
    from shapely import Polygon, make_valid

    drawn = Polygon(ring)
    if drawn.is_valid:
        return polygons_to_mask([ring], size_wh)
    repaired = make_valid(drawn)
    parts = [part for part in getattr(repaired, "geoms", [repaired]) if part.geom_type.endswith("Polygon")]
    polygons = [polygon for part in parts for polygon in getattr(part, "geoms", [part])]
    outer = polygons_to_mask([np.asarray(polygon.exterior.coords[:-1]) for polygon in polygons], size_wh)
    holes = [np.asarray(hole.coords[:-1]) for polygon in polygons for hole in polygon.interiors]
    return outer & ~polygons_to_mask(holes, size_wh)


def _read_keypoint(value: Mapping[str, Any], frame: Frame) -> Shape:
    x, y = _numbers(value, "x", "y")
    point = (to_pixels(x, frame.width), to_pixels(y, frame.height))
    return Shape(box_xyxy=(*point, *point), point_xy=point)


def _masked(mask: NDArray[np.bool_], if_empty: str) -> Shape:
    if not mask.any():
        raise ValueError(if_empty)
    rle = mask_to_rle(mask)
    return Shape(box_xyxy=rle_to_box_xyxy(rle), mask_rle=rle)


def _visible(box: BoxXyxy, frame: Frame) -> BoxXyxy:
    clipped = clip_box_xyxy(box, frame.size_wh)
    if clipped[2] <= clipped[0] or clipped[3] <= clipped[1]:
        raise ValueError("the region covers nothing of the image")
    return clipped


_READERS: dict[str, Callable[[Mapping[str, Any], Frame], Shape]] = {
    "rectanglelabels": _read_rectangle,
    "ellipselabels": _read_ellipse,
    "brushlabels": _read_brush,
    "polygonlabels": _read_polygon,
    "keypointlabels": _read_keypoint,
}
