"""Findings over a frame as shapes of an SVG, in pixels of the frame."""

from typing import Any

from annotator.geometry import mask_to_edge_rings, rle_to_mask
from annotator.schema import Finding, Prediction
from annotator.taxonomy import structure

_MOST_CORNERS = 120


def shapes(prediction: Prediction | None) -> list[dict[str, Any]]:
    """Return an ellipse, an outline or a box for each finding, with its colour and what it is."""
    findings = prediction.findings if prediction else ()
    return [_shape(finding) for finding in findings]


def _shape(finding: Finding) -> dict[str, Any]:
    named = structure(finding.structure)
    score = "" if finding.score is None else f", score {finding.score:.2f}"
    about = {"colour": named.colour, "title": f"{named.long_name}{score}", "name": named.name}
    if finding.ellipse is not None:
        one = finding.ellipse
        place = {"cx": one.cx, "cy": one.cy, "rx": one.rx, "ry": one.ry}
        return {"form": "ellipse", **place, "angle": one.angle_deg, **about}
    if finding.mask_rle is not None:
        return {"form": "path", "d": _outline(finding), **about}
    x_min, y_min, x_max, y_max = finding.box_xyxy
    return {"form": "rect", "x": x_min, "y": y_min, "width": x_max - x_min, "height": y_max - y_min, **about}


def _outline(finding: Finding) -> str:
    assert finding.mask_rle is not None
    parts = []
    rings, _ = mask_to_edge_rings(rle_to_mask(finding.mask_rle))
    for ring in rings:
        corners = ring[:: max(1, len(ring) // _MOST_CORNERS)]
        parts.append("M" + "L".join(f"{x:.0f} {y:.0f}" for x, y in corners) + "Z")
    return "".join(parts)
