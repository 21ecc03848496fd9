"""Ellipses in millimetres: mapped from pixels exactly, fitted to masks without the half-pixel bias.

Fits through the centres of boundary pixels make a head circumference about pi pixels too small; second moments of
the whole mask, and points on pixel edges, do not. In mm, x is column spacing * x_px and y row spacing * y_px.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from annotator.errors import InputError
from annotator.geometry import dice, ellipse_from_moments, ellipse_to_mask, rle_to_mask
from annotator.schema import Ellipse, MaskRle

LEAST_OVERLAP = 0.95
LEAST_VISIBLE = 0.6
LEAST_PART = 0.98
LEAST_PIXELS = 200


class NoEllipseError(InputError):
    """Why an outline gives no ellipse; `measure` turns it into a reason."""


def scaled(ellipse: Ellipse, x_scale: float, y_scale: float) -> Ellipse:
    """Map an ellipse by x * x_scale, y * y_scale, exactly; the x semi-axis of the answer is the major one.

    >>> scaled(Ellipse(cx=10, cy=10, rx=5, ry=20), 2, 1).model_dump()
    {'cx': 20.0, 'cy': 10.0, 'rx': 20.0, 'ry': 10.0, 'angle_deg': -90.0}
    """
    turn = math.radians(ellipse.angle_deg)
    cosine, sine = math.cos(turn), math.sin(turn)
    circle_to_px = np.array([[cosine * ellipse.rx, -sine * ellipse.ry], [sine * ellipse.rx, cosine * ellipse.ry]])
    directions, semi_axes, _ = np.linalg.svd(np.diag([x_scale, y_scale]) @ circle_to_px)
    angle_deg = math.degrees(math.atan2(directions[1, 0], directions[0, 0]))
    return Ellipse(
        cx=ellipse.cx * x_scale,
        cy=ellipse.cy * y_scale,
        rx=float(semi_axes[0]),
        ry=float(semi_axes[1]),
        angle_deg=(angle_deg + 90) % 180 - 90 or 0.0,
    )


def circumference(ellipse: Ellipse) -> float:
    """Perimeter by Ramanujan's second approximation (1914), good to 1e-10 for any head.

    >>> round(circumference(Ellipse(cx=0, cy=0, rx=1, ry=1)) / (2 * math.pi), 12)
    1.0
    """
    total = ellipse.rx + ellipse.ry
    h = ((ellipse.rx - ellipse.ry) / total) ** 2
    return math.pi * total * (1 + 3 * h / (10 + math.sqrt(4 - 3 * h)))


def shrunk(ellipse_mm: Ellipse, by_mm: float) -> Ellipse:
    """Move the outline inwards; NoEllipseError where nothing would be left."""
    if ellipse_mm.ry <= by_mm:
        raise NoEllipseError(f"an outline drawn {2 * by_mm:g} mm wide leaves nothing of it")
    return ellipse_mm.model_copy(update={"rx": ellipse_mm.rx - by_mm, "ry": ellipse_mm.ry - by_mm})


def mask_to_ellipse_mm(rle: MaskRle, pixel_spacing_mm: tuple[float, float]) -> tuple[Ellipse, str]:
    """Return the ellipse of a mask in mm, and the method; NoEllipseError says why there is none.

    Whole masks: equal second moments. Masks cut off by the frame: direct least squares (Fitzgibbon 1999) through
    the midpoints of the pixel edges inside the frame, in mm.
    """
    row_mm, column_mm = pixel_spacing_mm
    mask = _one_part(rle_to_mask(rle))
    if _is_cut_off(mask):
        ellipse_mm, method = _direct_fit_mm(mask, pixel_spacing_mm), "direct fit of the part inside the frame"
    else:
        fitted = ellipse_from_moments(mask)
        assert fitted is not None
        ellipse_mm, method = scaled(fitted, column_mm, row_mm), "second moments of the mask"
    height, width = mask.shape
    overlap = dice(mask, ellipse_to_mask(scaled(ellipse_mm, 1 / column_mm, 1 / row_mm), (width, height)))
    if overlap < LEAST_OVERLAP:
        raise NoEllipseError(
            f"the mask is no ellipse (overlap {overlap:.2f} with the nearest): correct the outline"
        )
    return ellipse_mm, method


def _one_part(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask without specks and holes."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    if count == 1:
        raise NoEllipseError("the mask is empty")
    areas = stats[1:, cv2.CC_STAT_AREA]
    if areas.max() < LEAST_PART * areas.sum():
        raise NoEllipseError(f"the mask is in {count - 1} parts: keep one")
    if areas.max() < LEAST_PIXELS:
        raise NoEllipseError(f"the mask has only {areas.max()} pixels")
    part = (labels == 1 + int(areas.argmax())).astype(np.uint8)
    contours, _ = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(part, contours, -1, 1, cv2.FILLED), bool)


def _is_cut_off(mask: NDArray[np.bool_]) -> bool:
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


def edge_midpoints(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Midpoints (N, 2) in pixels of all edges between mask and background, those on the frame's border left out."""
    rows, columns = np.nonzero(mask[:, 1:] != mask[:, :-1])
    upright = np.column_stack([columns + 1.0, rows + 0.5])
    rows, columns = np.nonzero(mask[1:] != mask[:-1])
    return np.vstack([upright, np.column_stack([columns + 0.5, rows + 1.0])])


def _direct_fit_mm(mask: NDArray[np.bool_], pixel_spacing_mm: tuple[float, float]) -> Ellipse:
    row_mm, column_mm = pixel_spacing_mm
    points = edge_midpoints(mask) * [column_mm, row_mm]
    if len(points) < 10:
        raise NoEllipseError("the frame cuts the structure off on every side")
    centre = points.mean(axis=0)
    (dx, dy), (width, height), angle_deg = cv2.fitEllipseDirect((points - centre).astype(np.float32))
    if not (np.isfinite([dx, dy, width, height]).all() and min(width, height) > 0):
        raise NoEllipseError("too little of the structure lies inside the frame")
    fitted = Ellipse(cx=centre[0] + dx, cy=centre[1] + dy, rx=width / 2, ry=height / 2, angle_deg=angle_deg)
    visible = _share_inside(fitted, (mask.shape[1] * column_mm, mask.shape[0] * row_mm))
    if visible < LEAST_VISIBLE:
        raise NoEllipseError(
            f"the frame shows only {visible:.0%} of the outline, at least {LEAST_VISIBLE:.0%} are needed for a fit"
        )
    return scaled(fitted, 1, 1)


def _share_inside(ellipse_mm: Ellipse, size_wh_mm: tuple[float, float]) -> float:
    """Share of the ellipse's outline (by angle) inside the frame."""
    around = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    turn = math.radians(ellipse_mm.angle_deg)
    u, v = ellipse_mm.rx * np.cos(around), ellipse_mm.ry * np.sin(around)
    x = ellipse_mm.cx + u * math.cos(turn) - v * math.sin(turn)
    y = ellipse_mm.cy + u * math.sin(turn) + v * math.cos(turn)
    return float(((x > 0) & (x < size_wh_mm[0]) & (y > 0) & (y < size_wh_mm[1])).mean())
