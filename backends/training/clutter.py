"""What scanners draw that is no text: bars, rulers, callipers, outlines; so that a detector learns to leave it."""

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Place = tuple[int, int]


def draw_clutter(gray: Floats, rng: Generator) -> None:
    """Draw one thing that is no text into gray values (H, W)."""
    height, width = gray.shape
    place, shade = (int(rng.integers(width)), int(rng.integers(height))), float(rng.uniform(90, 255))
    kinds = (_ramp, _ruler, _marker, _dotted_ellipse, _line, _rectangle, _curve, _spots, _dotted)
    kinds[rng.integers(len(kinds))](gray, rng, place, shade)


def _ramp(gray: Floats, rng: Generator, place: Place, shade: float) -> None:
    x, y = place
    length = int(rng.integers(20, max(gray.shape[0] // 2, 21)))
    ramp = np.linspace(shade, 5, length)[: gray.shape[0] - y, None]
    gray[y : y + length, x : x + int(rng.integers(2, 14))] = ramp


def _ruler(gray: Floats, rng: Generator, place: Place, shade: float) -> None:
    x, y = place
    for tick in range(y % 20, gray.shape[0], int(rng.integers(6, 40))):
        gray[tick : tick + 2, x : x + int(rng.integers(2, 9))] = shade


def _marker(gray: Floats, rng: Generator, place: Place, shade: float) -> None:
    kinds = (cv2.MARKER_CROSS, cv2.MARKER_TILTED_CROSS, cv2.MARKER_STAR, cv2.MARKER_TRIANGLE_UP)
    size, thickness = int(rng.integers(5, 17)), int(rng.integers(1, 3))
    cv2.drawMarker(gray, place, shade, int(rng.choice(kinds)), size, thickness, cv2.LINE_AA)


def _dotted_ellipse(gray: Floats, rng: Generator, place: Place, shade: float) -> None:
    height, width = gray.shape
    axes = (int(rng.integers(8, max(width // 3, 9))), int(rng.integers(8, max(height // 3, 9))))
    step = int(rng.integers(3, 9))
    for angle in range(0, 360, step):
        cv2.ellipse(gray, place, axes, 20, angle, angle + max(step // 2, 1), shade, 1, cv2.LINE_AA)


def _line(gray: Floats, rng: Generator, place: Place, shade: float) -> None:
    end = (int(rng.integers(gray.shape[1])), int(rng.integers(gray.shape[0])))
    cv2.line(gray, place, end, shade, int(rng.integers(1, 3)), cv2.LINE_AA)


def _rectangle(gray: Floats, rng: Generator, place: Place, shade: float) -> None:
    corner = (place[0] + int(rng.integers(20, 120)), place[1] + int(rng.integers(15, 80)))
    cv2.rectangle(gray, place, corner, float(rng.choice([0, shade])), int(rng.choice([-1, 1])))


def _curve(gray: Floats, rng: Generator, place: Place, shade: float) -> None:
    points = np.cumsum(rng.normal(0, 6, (30, 2)), axis=0) + np.array(place)
    cv2.polylines(gray, [points.astype(np.int32)], False, shade, 1, cv2.LINE_AA)


def _spots(gray: Floats, rng: Generator, place: Place, shade: float) -> None:
    for column, row in rng.integers(0, 25, (12, 2)) + np.array(place):
        gray[row : row + 2, column : column + 2] = shade


def _dotted(gray: Floats, rng: Generator, place: Place, shade: float) -> None:
    start, end = np.array(place), rng.uniform(0, gray.shape[::-1])
    for share in np.linspace(0, 1, int(rng.integers(8, 50))):
        column, row = (start + share * (end - start)).astype(int)
        gray[row : row + 2, column : column + 2] = shade
