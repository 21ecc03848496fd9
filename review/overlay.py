"""Findings -> shapes that a browser draws over the frame, in pixels of the original frame."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from annotator import taxonomy
from annotator.biometry import measure
from annotator.geometry import mask_to_edge_rings, rle_to_mask, rotated_box_corners
from annotator.schema import Finding, Frame

# An outline that strays less than this from the mask's pixel edges looks the same and is a tenth of its size.
_STRAY_PX = 0.5


def overlay_of(
    findings: Sequence[Finding], frame: Frame, *, blinded: bool, plane: str | None = None
) -> list[dict[str, Any]]:
    """Return one shape a finding, `id` its finding_id; a blinded shape holds no score.

    Sizes stand with a shape where the frame has a pixel spacing; `plane` is the view's name, which FL needs.
    """
    sizes = _sizes(findings, frame, plane)
    return [_shape(finding, sizes.get(finding.finding_id, []), blinded=blinded) for finding in findings]


def _shape(finding: Finding, sizes: list[str], *, blinded: bool) -> dict[str, Any]:
    structure = taxonomy.structure(finding.structure)
    shape: dict[str, Any] = {
        "id": finding.finding_id,
        "structure": finding.structure,
        "label": structure.long_name,
        "colour": structure.colour,
        "box_xyxy": [round(value, 2) for value in finding.box_xyxy],
        "measures": sizes,
        **_outline(finding),
    }
    if not blinded and finding.score is not None:
        shape["score"] = finding.score
    return shape


def _outline(finding: Finding) -> dict[str, Any]:
    """Return the finest geometry that a finding has; the box where there is nothing finer."""
    if finding.keypoints:
        return {"kind": "keypoints", "points": [point.model_dump() for point in finding.keypoints]}
    if finding.ellipse is not None:
        return {"kind": "ellipse", "ellipse": finding.ellipse.model_dump()}
    if finding.rotated_box is not None:
        return {"kind": "polygon", "rings": [rotated_box_corners(finding.rotated_box).round(2).tolist()]}
    if finding.mask_rle is not None:
        rings, _ = mask_to_edge_rings(rle_to_mask(finding.mask_rle))
        return {"kind": "mask", "rings": [_smoothed(ring).tolist() for ring in rings]}
    return {"kind": "box"}


def _smoothed(ring: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Drop the corners of a ring (N, 2) that do not show."""
    fewer = cv2.approxPolyDP(ring.astype(np.float32)[:, None], _STRAY_PX, closed=True)[:, 0]
    return fewer if len(fewer) >= 3 else ring


def _sizes(findings: Sequence[Finding], frame: Frame, plane: str | None) -> dict[str, list[str]]:
    """Return the sizes of each finding as text, by finding_id; nothing without a pixel spacing."""
    sizes: dict[str, list[str]] = defaultdict(list)
    if frame.pixel_spacing_mm is not None:
        for one in measure(findings, frame.pixel_spacing_mm, plane=plane).measurements:
            sizes[one.finding_id].append(f"{one.name.label} {one.value:.1f} {one.unit}")
    return sizes
