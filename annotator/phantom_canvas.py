"""The slate on which simulated anatomy is painted: echo levels, bone and boxes, in anatomical coordinates."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Floats = NDArray[np.floating]
Points = Sequence[tuple[float, float]]
Box = tuple[float, float, float, float]

FLUID = 2.0
_SUBPIXEL_BITS = 4


@dataclass
class Canvas:
    """Echo level and bone of every pixel, each (H, W); `to_px` (2, 3) takes anatomical points to pixels.

    A level is the mean gray (0..255, log-compressed) that a tissue would show at the focus; bone is the gray
    levels that a beam loses per pixel of its way.
    """

    size_wh: tuple[int, int]
    to_px: NDArray[np.float64]
    rng: np.random.Generator
    gray: Field = field(init=False)
    bone: Field = field(init=False)
    ripple: Field = field(init=False)
    bend: NDArray[np.float64] = field(init=False)
    phase: NDArray[np.float64] = field(init=False)
    boxes_xyxy: dict[str, Box] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.bend, self.phase = self.rng.uniform(0, 0.035, 2), self.rng.uniform(0, 2 * np.pi, 2)
        self.ripple = self.texture((8, 6), 1.0)
        self.gray = np.full(self.size_wh[::-1], FLUID, np.float32)
        self.bone = np.zeros(self.size_wh[::-1], np.float32)

    @property
    def unit_px(self) -> float:
        """Length of one vertical anatomical unit in pixels."""
        return float(np.hypot(*self.to_px[:, 1]))

    def mask(self, points: Points, *, width: float = 0.0, soft: float = 0.01) -> Field:
        """Coverage 0..1 of a closed shape, or of an open stroke where `width` (units) is given."""
        curve = smooth(np.asarray(points, np.float64), closed=width == 0.0)
        fixed = np.round((self.pixels_of(curve) - 0.5) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
        drawn = np.zeros(self.size_wh[::-1], np.uint8)
        if width:
            thickness = max(1, round(width * self.unit_px))
            cv2.polylines(drawn, [fixed], False, (255,), thickness, cv2.LINE_AA, _SUBPIXEL_BITS)
        else:
            cv2.fillPoly(drawn, [fixed], (255,), cv2.LINE_AA, _SUBPIXEL_BITS)
        coverage = cv2.GaussianBlur(drawn.astype(np.float32) / 255.0, (0, 0), max(0.6, soft * self.unit_px))
        return coverage.astype(np.float32)

    def pixels_of(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map anatomical points (N, 2) to pixels, slightly bent, since no two fetuses are alike."""
        points = points + self.bend * np.sin(2.5 * points[:, ::-1] + self.phase)
        return points @ self.to_px[:, :2].T + self.to_px[:, 2]

    def paint(self, coverage: Floats, level: float | Floats, *, bone: float = 0.0) -> None:
        """Let `level` replace what is there, in proportion to the coverage."""
        self.gray += coverage * (level - self.gray)
        if bone:
            self.bone = np.maximum(self.bone, bone * coverage)

    def shape(self, points: Points, level: float | Floats, *, soft: float = 0.02, bone: float = 0.0) -> None:
        """Fill a closed shape whose edge is blurred by `soft` units."""
        self.paint(self.mask(points, soft=soft), level, bone=bone)

    def stroke(
        self,
        points: Points,
        level: float,
        width: float,
        *,
        soft: float = 0.008,
        bone: float = 0.0,
    ) -> None:
        """Draw an interface, which ripples and breaks as real ones do."""
        coverage = self.mask(points, width=width, soft=soft) * np.clip(0.95 + 0.35 * self.ripple, 0, 1)
        self.paint(coverage, level + 10 * self.ripple, bone=bone)

    def texture(self, grain_px: tuple[float, float], amount: float) -> Field:
        """Smooth noise (H, W) of standard deviation `amount`; `grain_px` (x, y) is for a 512 px frame."""
        width, height = self.size_wh
        along, down = (max(1.0, grain * width / 1024) for grain in grain_px)
        noise = self.rng.standard_normal((int(height / down) + 2, int(width / along) + 2), dtype=np.float32)
        grain = cv2.resize(cv2.GaussianBlur(noise, (0, 0), 1.4), self.size_wh, interpolation=cv2.INTER_LINEAR)
        return np.asarray(grain * (amount / grain.std()), np.float32)

    def note_box(self, name: str, points: Points) -> None:
        """Record the pixel box around anatomical points, cut to the frame."""
        px = self.pixels_of(np.asarray(points, np.float64))
        low, high = np.clip(px.min(0), 0, self.size_wh), np.clip(px.max(0), 0, self.size_wh)
        self.boxes_xyxy[name] = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))


def smooth(points: NDArray[np.float64], *, closed: bool) -> NDArray[np.float64]:
    """Round the corners of a polyline (N, 2) by Chaikin's corner cutting, three times."""
    for _ in range(3):
        following = np.roll(points, -1, axis=0) if closed else points[1:]
        start = points if closed else points[:-1]
        cut = np.stack([0.75 * start + 0.25 * following, 0.25 * start + 0.75 * following], axis=1)
        cut = cut.reshape(-1, 2)
        points = cut if closed else np.concatenate([points[:1], cut, points[-1:]])
    return points


def oval(cx: float, cy: float, rx: float, ry: float, tilt_deg: float = 0.0) -> list[tuple[float, float]]:
    """Sixteen points of an ellipse."""
    turn, around = np.deg2rad(tilt_deg), np.linspace(0, 2 * np.pi, 16, endpoint=False)
    x, y = rx * np.cos(around), ry * np.sin(around)
    across, down = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
    return list(zip(cx + across, cy + down, strict=True))
