"""Roughly which part of a frame the scan fills. Advice on what a mask costs; nothing is masked because of it."""

import cv2
import numpy as np
from numpy.typing import NDArray

_LIT = 12
_OPENING_SHARE = 15 / 480  # of the frame's height: text and rulers vanish, tissue stays


def scan_area(gray: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return (H, W): the convex hull of the largest lit region that is no text; all False in a dark frame."""
    side = max(3, round(_OPENING_SHARE * gray.shape[0]))
    lit = (cv2.GaussianBlur(gray, (0, 0), side / 6) > _LIT).astype(np.uint8)
    opened = cv2.morphologyEx(lit, cv2.MORPH_OPEN, np.ones((side, side), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(opened)
    area = np.zeros(gray.shape, np.uint8)
    if count > 1:
        largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
        contours, _ = cv2.findContours(
            (labels == largest).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
        )
        cv2.fillConvexPoly(area, cv2.convexHull(np.concatenate(contours)), (1,))
    return area.astype(bool)
