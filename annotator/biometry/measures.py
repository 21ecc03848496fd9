"""Sizes in mm from the findings of one frame.

| measure | finding | from |
|---|---|---|
| HC, BPD outer-outer, OFD, cephalic index | Brain (the outer skull) | ellipse, else mask |
| BPD outer-inner | Brain | as above, with the inner border of the skull or its thickness |
| AC | abdomen | ellipse, else mask |
| FL | legs, in a femur view | two keypoints, else rotated box, else mask |
| CRL | CRL_KP | crown and rump |
| NT | NTKpoints | the inner and outer caliper |

Points, ellipses and moments are mapped to mm before anything is measured, so pixels need not be square. Nothing is
measured from upright boxes: they do not say how a structure lies.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from annotator.biometry.ellipses import (
    NoEllipseError,
    circumference,
    edge_midpoints,
    mask_to_ellipse_mm,
    scaled,
    shrunk,
)
from annotator.biometry.limits import implausible, positive
from annotator.biometry.records import Biometry, Measurement, MeasureName, Unmeasured
from annotator.geometry import rle_to_mask
from annotator.schema import Ellipse, Finding, Keypoint, MaskRle

FEMUR_VIEWS = ("Femur", "FL_PLANE", "FL")
_NO_SPACING = "no pixel spacing: mark two ticks of the scale bar, or import it with the frame"


@dataclass(frozen=True)
class _Setting:
    """What is known about the frame besides its findings."""

    row_mm: float
    column_mm: float
    plane: str | None = None
    inner_skull: Ellipse | MaskRle | None = None
    skull_mm: float | None = None
    outline_width_mm: float = 0.0

    def distance_mm(self, first: Keypoint, second: Keypoint) -> float:
        return math.hypot((second.x - first.x) * self.column_mm, (second.y - first.y) * self.row_mm)


@dataclass(frozen=True)
class _Size:
    """One measure, or the reason why there is none."""

    name: MeasureName
    value: float | None = None
    method: str = ""
    reason: str = ""


def measure(
    findings: Sequence[Finding],
    pixel_spacing_mm: tuple[float, float] | None,
    *,
    plane: str | None = None,
    inner_skull: Ellipse | MaskRle | None = None,
    skull_mm: float | None = None,
    outline_width_mm: float = 0.0,
) -> Biometry:
    """Measure what the findings of one frame allow; `pixel_spacing_mm` is (row, column), as in a Frame.

    `plane` is needed for FL alone. BPD outer-inner wants `inner_skull`, the skull's inner border in pixels, or
    `skull_mm`, the thickness of the far bone; without either it is left out with a reason. `outline_width_mm` is
    the width of the line where masks were made by filling a drawn outline: its outer half is not the structure.
    InputError for a spacing or width that is no positive number.
    """
    setting = None
    if pixel_spacing_mm is not None:
        row_mm, column_mm = (positive("pixel_spacing_mm", spacing) for spacing in pixel_spacing_mm)
        width_mm = positive("outline_width_mm", outline_width_mm) if outline_width_mm else 0.0
        setting = _Setting(row_mm, column_mm, plane, inner_skull, skull_mm, width_mm)
    measurements, unmeasured = [], []
    for finding in sorted(findings, key=_least_sure_last):
        for size in _sizes(finding, setting):
            finding_id, reason = finding.finding_id, size.reason
            if size.value is not None and not (reason := implausible(size.name, size.value)):
                unit = "%" if size.name is MeasureName.CI else "mm"
                record = Measurement(
                    name=size.name, value=size.value, unit=unit, method=size.method, finding_id=finding_id
                )
                measurements.append(record)
            else:
                unmeasured.append(Unmeasured(name=size.name, reason=reason, finding_id=finding_id))
    return Biometry(measurements=tuple(measurements), unmeasured=tuple(unmeasured))


def _least_sure_last(finding: Finding) -> float:
    """A person's findings have no score and come first."""
    return -math.inf if finding.score is None else -finding.score


def _sizes(finding: Finding, setting: _Setting | None) -> Iterator[_Size]:
    names, rule = _RULES.get(finding.structure, ((), None))
    if rule is None:
        return
    if setting is None:
        yield from (_Size(name, reason=_NO_SPACING) for name in names)
        return
    try:
        yield from rule(finding, setting)
    except NoEllipseError as refusal:
        yield from (_Size(name, reason=str(refusal)) for name in names)


def _ellipse_mm(ellipse: Ellipse | None, rle: MaskRle | None, setting: _Setting) -> tuple[Ellipse, str]:
    if ellipse is not None:
        return scaled(ellipse, setting.column_mm, setting.row_mm), "ellipse as drawn"
    if rle is None:
        raise NoEllipseError("only a box is there: draw an ellipse or a mask")
    ellipse_mm, method = mask_to_ellipse_mm(rle, (setting.row_mm, setting.column_mm))
    if setting.outline_width_mm:
        ellipse_mm = shrunk(ellipse_mm, setting.outline_width_mm / 2)
        method += f", less half of a drawn line of {setting.outline_width_mm:.3g} mm"
    return ellipse_mm, method


def _head(finding: Finding, setting: _Setting) -> Iterator[_Size]:
    skull, method = _ellipse_mm(finding.ellipse, finding.mask_rle, setting)
    yield _Size(MeasureName.HC, circumference(skull), f"{method}; Ramanujan II")
    yield _Size(MeasureName.OFD, 2 * skull.rx, f"{method}; major axis, outer to outer")
    yield _Size(MeasureName.BPD_OO, 2 * skull.ry, f"{method}; minor axis, outer to outer")
    yield _Size(MeasureName.CI, 100 * skull.ry / skull.rx, f"{method}; BPD outer-outer / OFD")
    yield _outer_inner_bpd(skull, method, setting)


def _outer_inner_bpd(skull: Ellipse, method: str, setting: _Setting) -> _Size:
    """From the outer edge nearest the probe (taken to be above) to the inner edge of the far bone."""
    name = MeasureName.BPD_OI
    if setting.skull_mm is not None:
        value = 2 * skull.ry - positive("skull_mm", setting.skull_mm)
        return _Size(name, value, f"{method}; minor axis less the far bone of {setting.skull_mm:g} mm")
    if setting.inner_skull is None:
        return _Size(
            name, reason="needs the inner border of the skull or its thickness; only the outer one is there"
        )
    drawn = setting.inner_skull
    try:
        inner, _ = (
            _ellipse_mm(drawn, None, setting) if isinstance(drawn, Ellipse) else _ellipse_mm(None, drawn, setting)
        )
    except NoEllipseError as refusal:
        return _Size(name, reason=f"inner border of the skull: {refusal}")
    turn = math.radians(skull.angle_deg)  # -90 to 90 degrees, so that the minor axis below points down
    down = np.array([-math.sin(turn), math.cos(turn)])
    near = down @ [skull.cx, skull.cy] - skull.ry
    between = math.radians(inner.angle_deg) - math.atan2(down[1], down[0])
    far = down @ [inner.cx, inner.cy] + math.hypot(inner.rx * math.cos(between), inner.ry * math.sin(between))
    if not near < far < near + 2 * skull.ry:
        return _Size(name, reason="the inner border lies outside the outer one: correct the two outlines")
    return _Size(name, float(far - near), f"{method}; minor axis to the inner edge of the far bone")


def _abdomen(finding: Finding, setting: _Setting) -> Iterator[_Size]:
    outline, method = _ellipse_mm(finding.ellipse, finding.mask_rle, setting)
    yield _Size(MeasureName.AC, circumference(outline), f"{method}; Ramanujan II")


def _femur(finding: Finding, setting: _Setting) -> Iterator[_Size]:
    name = MeasureName.FL
    seen = [point for point in finding.keypoints if point.visibility > 0]
    if setting.plane not in FEMUR_VIEWS:
        where = setting.plane or "a frame of unknown plane"
        yield _Size(name, reason=f"measured in femur views only ({', '.join(FEMUR_VIEWS)}), not in {where}")
    elif len(seen) == 2:
        yield _Size(name, setting.distance_mm(*seen), "between the two end points")
    elif finding.rotated_box is not None:
        box = finding.rotated_box
        half = Ellipse(cx=0, cy=0, rx=box.width / 2, ry=box.height / 2, angle_deg=box.angle_deg)
        yield _Size(name, _long_side_mm(half, setting), "long side of the rotated box")
    elif finding.mask_rle is not None:
        yield _femur_of_mask(finding.mask_rle, setting)
    else:
        yield _Size(name, reason="only a box is there: mark the two ends of the femur, or draw a rotated box")


def _long_side_mm(half: Ellipse, setting: _Setting) -> float:
    """Longer side of a turned box of semi-sides rx, ry, whose sides need not stay at right angles in mm."""
    cosine, sine = math.cos(math.radians(half.angle_deg)), math.sin(math.radians(half.angle_deg))
    width = 2 * half.rx * math.hypot(cosine * setting.column_mm, sine * setting.row_mm)
    height = 2 * half.ry * math.hypot(sine * setting.column_mm, cosine * setting.row_mm)
    return max(width, height)


def _femur_of_mask(rle: MaskRle, setting: _Setting) -> _Size:
    """Extent of the mask along its principal axis, in mm."""
    name = MeasureName.FL
    mask = rle_to_mask(rle)
    if not mask.any():
        return _Size(name, reason="the mask is empty")
    if mask[[0, -1]].any() or mask[:, [0, -1]].any():
        return _Size(name, reason="the frame cuts the femur off")
    to_mm = [setting.column_mm, setting.row_mm]
    inside = np.argwhere(mask)[:, ::-1] * to_mm
    axis = np.linalg.eigh(np.cov(inside.T, bias=True))[1][:, -1]
    length = float(np.ptp((edge_midpoints(mask) * to_mm) @ axis))
    return _Size(name, length, "extent of the mask along its long axis")


def _between(name: MeasureName, first: str, second: str) -> Callable[[Finding, _Setting], Iterator[_Size]]:
    def rule(finding: Finding, setting: _Setting) -> Iterator[_Size]:
        points = {point.name: point for point in finding.keypoints if point.visibility > 0}
        if missing := [wanted for wanted in (first, second) if wanted not in points]:
            yield _Size(name, reason=f"not marked: {' and '.join(missing)}")
        else:
            yield _Size(name, setting.distance_mm(points[first], points[second]), f"{first} to {second}")

    return rule


_HEAD = (MeasureName.HC, MeasureName.OFD, MeasureName.BPD_OO, MeasureName.CI, MeasureName.BPD_OI)
_RULES: dict[str, tuple[tuple[MeasureName, ...], Callable[[Finding, _Setting], Iterator[_Size]]]] = {
    "Brain": (_HEAD, _head),
    "abdomen": ((MeasureName.AC,), _abdomen),
    "legs": ((MeasureName.FL,), _femur),
    "CRL_KP": ((MeasureName.CRL,), _between(MeasureName.CRL, "crown", "rump")),
    "NTKpoints": ((MeasureName.NT,), _between(MeasureName.NT, "inner", "outer")),
}
