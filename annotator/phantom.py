"""Simulated ultrasound frames for the demo and the tests: never a patient, always marked as simulated.

Tissue levels (`phantom_anatomy`) are sampled along the lines of a convex probe; complex Gaussian scatterers
are blurred by a resolution cell that is constant in angle, so that it widens with depth; the power is
averaged over a few looks (spatial compounding), log-compressed and scan-converted (Bamber and Dickinson 1980,
doi:10.1088/0031-9155/25/3/006; Wagner et al. 1983, doi:10.1109/T-SU.1983.31404).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from annotator.errors import InputError
from annotator.phantom_anatomy import head_affine, paint_brain, paint_maternal, paint_profile, paint_skull
from annotator.phantom_canvas import Box, Canvas, Field
from annotator.schema import Ellipse
from annotator.taxonomy import BRAIN_PLANES, FIRST_TRIMESTER_PLANE

PLANES = (*BRAIN_PLANES, FIRST_TRIMESTER_PLANE)
MARK = "SIMULATED"

_DYNAMIC_RANGE_DB = 60.0
_LOG_AMPLITUDE_PER_GRAY = _DYNAMIC_RANGE_DB / 255.0 * np.log(10.0) / 20.0
_LOOKS = 5
_SMALLEST_PX = 96
_GRID = (420, 384)  # depths, lines


@dataclass(frozen=True)
class PhantomFrame:
    """One simulated frame (H, W) and its truth, in pixels; `head` is the outer skull."""

    pixels: NDArray[np.uint8]
    plane: str
    pixel_spacing_mm: float
    head: Ellipse | None
    boxes_xyxy: Mapping[str, Box]


@dataclass(frozen=True)
class Fan:
    """Sector of a convex probe: apex, radii of its surface and of the deepest echo, half opening (rad)."""

    apex_xy: tuple[float, float]
    near_px: float
    far_px: float
    half_angle: float

    def lines(self) -> tuple[Field, Field]:
        """Pixel positions x, y of every sample, each (depths, lines)."""
        depth = np.linspace(self.near_px, self.far_px, _GRID[0], dtype=np.float32)[:, None]
        angle = np.linspace(-self.half_angle, self.half_angle, _GRID[1], dtype=np.float32)[None]
        return self.apex_xy[0] + depth * np.sin(angle), self.apex_xy[1] + depth * np.cos(angle)

    def samples(self, cell_px: tuple[float, float]) -> tuple[float, float]:
        """Turn a length across the beam at mid-depth and one along it into lines and depths."""
        line_px = (self.near_px + self.far_px) * self.half_angle / _GRID[1]
        return cell_px[0] / line_px, cell_px[1] / self.depth_px

    @property
    def depth_px(self) -> float:
        """Pixels from one sample of a line to the next."""
        return (self.far_px - self.near_px) / (_GRID[0] - 1)

    def polar(self, size_wh: tuple[int, int]) -> tuple[Field, Field]:
        """Radius (px) and angle (rad, 0 down the axis) of every pixel centre, each (H, W)."""
        x = np.arange(size_wh[0], dtype=np.float32)[None] + 0.5 - self.apex_xy[0]
        y = np.arange(size_wh[1], dtype=np.float32)[:, None] + 0.5 - self.apex_xy[1]
        return np.hypot(x, y), np.arctan2(x, y)

    def beam(self, size_wh: tuple[int, int]) -> tuple[Field, Field]:
        """Unit vector x, y of the beam in every pixel, each (H, W)."""
        angle = self.polar(size_wh)[1]
        return np.sin(angle), np.cos(angle)


def simulate_frame(plane: str, *, seed: int, size_wh: tuple[int, int] | None = None) -> PhantomFrame:
    """Make the frame of `plane` that belongs to `seed`, in a usual size unless one is given.

    Raises InputError where the plane is none of `PLANES`, or the frame too small to show it.
    """
    if plane not in PLANES:
        raise InputError(f"cannot simulate the plane {plane!r}: choose one of {', '.join(PLANES)}")
    if size_wh is not None and min(size_wh) < _SMALLEST_PX:
        raise InputError(f"cannot simulate a frame of {size_wh}: at least {_SMALLEST_PX} px are needed")
    rng = np.random.default_rng([seed, PLANES.index(plane)])
    if plane == FIRST_TRIMESTER_PLANE:
        return _simulate_profile(rng, size_wh or (512, int(rng.integers(340, 372))))
    return _simulate_head(plane, rng, size_wh or ((512, 346) if rng.random() < 0.4 else (400, 276)))


def simulate_set(count: int = 24, *, seed: int = 0) -> list[PhantomFrame]:
    """Make `count` frames, the planes in turn, every one of its own seed."""
    return [simulate_frame(PLANES[i % len(PLANES)], seed=1000 * seed + i) for i in range(count)]


def _simulate_head(plane: str, rng: np.random.Generator, size_wh: tuple[int, int]) -> PhantomFrame:
    width, height = size_wh
    ratio = rng.uniform(0.74, 0.84)
    rx = min(height * rng.uniform(0.28, 0.42) / ratio, 0.44 * width)
    head = Ellipse(
        cx=width * rng.uniform(0.46, 0.53),
        cy=height * rng.uniform(0.48, 0.54),
        rx=rx,
        ry=ratio * rx,
        angle_deg=float(np.clip(rng.normal(0, 6), -12, 12)),
    )
    fan = _fan(rng, size_wh, above=rng.uniform(0.5, 0.9), half_angle=rng.uniform(0.56, 0.7))
    canvas = Canvas(size_wh, head_affine(head, 1 if rng.random() < 0.6 else -1), rng)
    paint_maternal(canvas, head)
    paint_brain(canvas, plane)
    paint_skull(canvas, head, fan.beam(size_wh))
    pixels = _marked(insonify(canvas, fan, (2.0, 0.9)))
    spacing_mm = float(rng.uniform(32, 46)) / rx
    return PhantomFrame(pixels, plane, spacing_mm, head, canvas.boxes_xyxy)


def _simulate_profile(rng: np.random.Generator, size_wh: tuple[int, int]) -> PhantomFrame:
    width, height = size_wh
    unit, side = min(width, height / 0.66) * rng.uniform(0.31, 0.36), 1 if rng.random() < 0.6 else -1
    turn = np.deg2rad(rng.normal(0, 3))
    linear = unit * np.array([[side * np.cos(turn), -np.sin(turn)], [side * np.sin(turn), np.cos(turn)]])
    thalami = (width * (0.5 - side * rng.uniform(0.09, 0.16)), height * rng.uniform(0.42, 0.46))
    canvas = Canvas(size_wh, np.column_stack([linear, thalami]), rng)
    paint_profile(canvas)
    fan = _fan(rng, size_wh, above=rng.uniform(0.9, 1.3), half_angle=rng.uniform(0.46, 0.56))
    pixels = _marked(insonify(canvas, fan, (3.4, 1.1)))
    spacing_mm = float(rng.uniform(18, 22)) / unit
    return PhantomFrame(pixels, FIRST_TRIMESTER_PLANE, spacing_mm, None, canvas.boxes_xyxy)


def _fan(rng: np.random.Generator, size_wh: tuple[int, int], *, above: float, half_angle: float) -> Fan:
    """Sector with its apex `above` the frame (in frame heights), the probe surface near the upper edge."""
    width, height = size_wh
    apex = (width * float(rng.uniform(0.46, 0.54)), -above * height)
    near = (above + rng.uniform(-0.08, 0.04)) * height
    far = (above + 1) * height if rng.random() < 0.3 else np.hypot(0.55 * width, (above + 1) * height)
    return Fan(apex, float(near), float(far), half_angle)


def insonify(canvas: Canvas, fan: Fan, cell_px: tuple[float, float]) -> NDArray[np.uint8]:
    """Scan the tissue into a frame (H, W), black outside the fan.

    `cell_px` is the size (sigma, in a 512 px frame) of a resolution cell across the beam at mid-depth, and
    along it.
    """
    rng = canvas.rng
    uneven = canvas.texture((7, 3), 0.16) + canvas.texture((20, 9), 0.14)
    tissue = _sampled(canvas.gray + uneven * np.minimum(canvas.gray, 90), fan)
    shadow = np.cumsum(_sampled(canvas.bone, fan), axis=0) * fan.depth_px
    absorbed = rng.uniform(0, 14) * np.linspace(0, 1, _GRID[0])[:, None]
    level = np.asarray(tissue - shadow - absorbed - _lost_contact(rng), np.float32)
    scale = canvas.size_wh[0] / 512
    envelope = _speckled(level, fan.samples((scale * cell_px[0], scale * cell_px[1])), rng)
    gray = np.log(envelope + 0.5) / _LOG_AMPLITUDE_PER_GRAY
    gray = rng.uniform(1.15, 1.4) * gray - rng.uniform(8, 22)
    return _scan_converted(np.clip(gray, 0, 245).astype(np.float32), fan, canvas.size_wh)


def _sampled(tissue: Field, fan: Fan) -> Field:
    """Values (depths, lines) of an (H, W) map; what lies outside the frame continues its edge."""
    x, y = fan.lines()
    lines = cv2.remap(tissue, x - 0.5, y - 0.5, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(lines, np.float32)


def _lost_contact(rng: np.random.Generator) -> Field:
    """Gray levels that a few lines lose to poor contact with the skin, smooth across lines, (1, lines)."""
    lines = np.arange(_GRID[1])
    loss = np.zeros(_GRID[1], np.float32)
    for _ in range(3):
        middle, spread = rng.uniform(0, _GRID[1]), rng.uniform(8, 25)
        loss += rng.uniform(0, 25) * np.exp(-(((lines - middle) / spread) ** 2)).astype(np.float32)
    return loss[None]


def _speckled(level: Field, cell: tuple[float, float], rng: np.random.Generator) -> Field:
    """Envelope of a few looks at random scatterers (depths, lines); strong reflectors keep a steady phase."""
    amplitude = np.exp(level * np.float32(_LOG_AMPLITUDE_PER_GRAY))
    steady = np.clip((level - 110) / 130, 0, 0.8)
    unit_power = np.float32(np.sqrt(2 * np.pi * cell[0] * cell[1]))
    power = np.zeros(_GRID, np.float32)
    for _ in range(_LOOKS):
        for phase in (1.0, 0.0):
            scatterers = rng.standard_normal(_GRID, dtype=np.float32) * unit_power
            echo = amplitude * (steady * phase + (1 - steady) * scatterers)
            power += np.square(cv2.GaussianBlur(echo, (0, 0), sigmaX=cell[0], sigmaY=cell[1]))
    return np.asarray(np.sqrt(power / _LOOKS), np.float32)


def _scan_converted(lines: Field, fan: Fan, size_wh: tuple[int, int]) -> NDArray[np.uint8]:
    radius, angle = fan.polar(size_wh)
    depth = (radius - fan.near_px) / fan.depth_px
    line = (angle + fan.half_angle) * ((_GRID[1] - 1) / (2 * fan.half_angle))
    return np.round(cv2.remap(lines, line, depth, cv2.INTER_LINEAR, borderValue=0)).astype(np.uint8)


def _marked(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Burn in the gray bar at the left and the mark in the upper right corner."""
    height, width = pixels.shape
    bar = np.linspace(255, 20, int(0.3 * height)).astype(np.uint8)
    pixels[10 : 10 + bar.size, 2:5] = bar[:, None]
    scale = max(0.3, width / 1300)
    (text_width, text_height), _ = cv2.getTextSize(MARK, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    left, base = width - text_width - 4, text_height + 4
    pixels[: base + 4, left - 4 :] = 0
    cv2.putText(pixels, MARK, (left, base), cv2.FONT_HERSHEY_SIMPLEX, scale, (220,), 1, cv2.LINE_AA)
    return pixels
