"""What the simulated fetuses look like, before any physics.

Proportions of the brain planes are in units of the skull's semi-axes, forehead to the right and far side
down; those of the mid-sagittal profile in units of the height from the nasal bone to the cisterna magna,
thalami at the origin, face to the right.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotator.phantom_canvas import FLUID, Box, Canvas, Field, Points, oval
from annotator.schema import Ellipse

BRAIN, SOFT_TISSUE, PLACENTA, BONE = 34.0, 58.0, 96.0, 225.0


def head_affine(head: Ellipse, forehead: int) -> NDArray[np.float64]:
    """Map skull coordinates to pixels, (2, 3); `forehead` is 1 where it lies to the right, -1 to the left."""
    along, across = _axes(head)
    return np.stack([forehead * head.rx * along, head.ry * across, [head.cx, head.cy]], axis=1)


def _axes(head: Ellipse) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    turn = np.deg2rad(head.angle_deg)
    return np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])


def paint_maternal(canvas: Canvas, head: Ellipse) -> None:
    """Surroundings of a second-trimester head: tissue, a pocket of fluid, placenta, the wall above."""
    rng = canvas.rng
    canvas.gray += rng.uniform(18, 42) + canvas.texture((40, 18), 12)
    streaks = canvas.texture((12, 4), 9)
    pocket = oval(rng.normal(0, 0.08), rng.normal(0, 0.08), rng.uniform(1.15, 1.5), rng.uniform(1.0, 1.18))
    canvas.shape(pocket, FLUID + 4, soft=0.05)
    for side in (-1, 1):
        if rng.random() < 0.7:
            near, top = side * rng.uniform(1.12, 1.35), rng.uniform(-0.7, 0.5)
            edge = [(near + rng.normal(0, 0.06), y) for y in (top, 0.5 * top + 0.6, 1.3, 2.5)]
            far_corners = [(3.5 * side, 2.5), (3.5 * side, top - 0.5)]
            canvas.shape([*edge, *far_corners], rng.uniform(0.65, 1.2) * PLACENTA + streaks, soft=0.03)
    wall_px = head.cy - head.ry * rng.uniform(1.0, 1.12)
    rows = np.arange(canvas.size_wh[1], dtype=np.float32)[:, None]
    above = wall_px - rows + canvas.texture((60, 30), 5)
    layers = rng.uniform(45, 85) + 25 * np.sin(above / rng.uniform(2.5, 5.0)) + streaks
    canvas.paint(np.clip(above / 5, 0, 1), layers)


def paint_skull(canvas: Canvas, head: Ellipse, beam_xy: tuple[Field, Field]) -> None:
    """Bone inside the outer ellipse, bright and thick where the beam (unit vectors) meets it squarely."""
    rng = canvas.rng
    outward, facing = _skull_geometry(canvas, head, beam_xy)
    thickness = head.ry * rng.uniform(0.08, 0.125) * (0.6 + 0.4 * np.clip(facing, 0, 1))
    ring = np.exp(-(np.abs(2 * outward / thickness + 1) ** 2.6))
    scalp = np.exp(-((outward / (0.55 * thickness) - 0.6) ** 2))
    sides, crest = rng.uniform(35, 110), rng.uniform(0.85, 1.05) * BONE
    canvas.paint(0.7 * scalp, np.maximum(canvas.gray, 45))
    level = sides + (crest - sides) * np.clip(1.3 * facing - 0.25, 0, 1)
    canvas.paint(ring, level + canvas.texture((24, 24), 12))
    canvas.bone += ring * (0.12 + 3.0 * np.clip(0.8 - facing, 0, 1) ** 2)


def _skull_geometry(canvas: Canvas, head: Ellipse, beam_xy: tuple[Field, Field]) -> tuple[Field, Field]:
    """Distance (px) outwards from the ellipse, and cosine of the beam to its normal: both uneven, (H, W)."""
    width, height = canvas.size_wh
    along, across = _axes(head)
    dx = np.arange(width, dtype=np.float32)[None] + 0.5 - head.cx
    dy = np.arange(height, dtype=np.float32)[:, None] + 0.5 - head.cy
    x, y = (dx * along[0] + dy * along[1]) / head.rx, (dx * across[0] + dy * across[1]) / head.ry
    slope = np.hypot(x / head.rx, y / head.ry) + 1e-6
    normal = [(x / head.rx * along[i] + y / head.ry * across[i]) / slope for i in (0, 1)]
    facing = np.abs(normal[0] * beam_xy[0] + normal[1] * beam_xy[1]) + canvas.texture((30, 30), 0.08)
    outward = (x**2 + y**2 - 1) / (2 * slope) + canvas.texture((50, 50), 0.006 * head.ry)
    return outward.astype(np.float32), facing.astype(np.float32)


def paint_brain(canvas: Canvas, plane: str) -> None:
    """Brain inside the skull, with what makes the plane: thalami, ventricle or cerebellum."""
    rng = canvas.rng
    level = rng.uniform(0.75, 1.25) * BRAIN
    uneven = canvas.texture((6, 4), 9) + canvas.texture((30, 22), 8)
    canvas.shape(oval(0, 0, 0.97, 0.97), level + uneven, soft=0.01)
    canvas.shape(oval(0, -0.55, 0.7, 0.35), level + rng.uniform(4, 16), soft=0.15)
    for _ in range(22):
        x, y = rng.uniform(-0.7, 0.7), rng.uniform(-0.45, 0.75)
        bow = rng.uniform(0.02, 0.1)
        fold = [(x - bow, y + rng.normal(0, 0.04)), (x, y + rng.normal(0, 0.05)), (x + bow, y)]
        canvas.stroke(fold, level + rng.uniform(10, 65), 0.022, soft=0.014)
    tilt = rng.normal(0, 0.015)
    canvas.stroke([(-0.85, tilt), (-0.3, 0), (0.1, -tilt)], rng.uniform(80, 150), 0.02)
    canvas.stroke([(0.62, 0), (0.9, tilt)], rng.uniform(90, 160), 0.02)
    _paint_csp(canvas)
    _PLANE_PAINTERS[plane](canvas)


def _paint_csp(canvas: Canvas) -> None:
    x, half = canvas.rng.uniform(0.42, 0.52), canvas.rng.uniform(0.055, 0.08)
    canvas.shape(oval(x, 0, 0.13, half), FLUID + 6, soft=0.01)
    for side in (-half, half):
        canvas.stroke([(x - 0.12, side), (x + 0.12, side)], canvas.rng.uniform(140, 210), 0.022)
    canvas.note_box("CSP", [(x - 0.14, -half - 0.02), (x + 0.14, half + 0.02)])


def _paint_thalami(canvas: Canvas) -> None:
    rng = canvas.rng
    for side in (-1, 1):
        heart = [(-0.24, 0.05), (-0.1, 0.3), (0.08, 0.26), (0.2, 0.04), (0, 0.02)]
        canvas.shape([(x, side * y) for x, y in heart], 0.6 * BRAIN + 6, soft=0.03)
        rim = [(-0.3, 0.1 * side), (-0.2, 0.26 * side), (-0.1, 0.32 * side)]
        canvas.stroke(rim, rng.uniform(70, 110), 0.03)
    canvas.stroke([(-0.12, 0), (0.12, 0)], rng.uniform(120, 180), 0.03)
    canvas.stroke([(-0.25, 0.55), (0.0, 0.6), (0.2, 0.52), (0.35, 0.6)], rng.uniform(90, 140), 0.035)


def _paint_ventricle(canvas: Canvas) -> None:
    rng = canvas.rng
    horn = [(-0.72, 0.28), (-0.45, 0.22), (-0.1, 0.2), (-0.1, 0.3), (-0.4, 0.5), (-0.68, 0.52)]
    canvas.shape(horn, FLUID + 4, soft=0.015)
    canvas.stroke([(-0.74, 0.26), (-0.45, 0.19), (-0.05, 0.19)], rng.uniform(130, 190), 0.03)
    canvas.stroke([(-0.7, 0.56), (-0.4, 0.53), (-0.05, 0.32)], rng.uniform(130, 190), 0.03)
    plexus = rng.uniform(105, 140) + canvas.texture((3, 3), 14)
    canvas.shape(oval(-0.36, 0.34, 0.22, 0.1, 12), plexus, soft=0.02)
    canvas.stroke([(-0.6, -0.35), (-0.35, -0.28), (-0.1, -0.22)], rng.uniform(70, 110), 0.03)
    canvas.note_box("LV", [(-0.74, 0.18), (-0.05, 0.57)])


def _paint_cerebellum(canvas: Canvas) -> None:
    rng, texture = canvas.rng, canvas.texture((4, 2), 14)
    canvas.shape(oval(-0.78, 0, 0.12, 0.4), FLUID + 6, soft=0.03)
    for side in (-1, 1):
        tilt = 10 * side
        lobe = oval(-0.55, 0.25 * side, 0.19, 0.27, tilt)
        canvas.stroke([*lobe, lobe[0]], rng.uniform(60, 110), 0.04, soft=0.016)
        canvas.shape(oval(-0.55, 0.25 * side, 0.17, 0.24, tilt), 1.3 * BRAIN + texture, soft=0.025)
        for y in (0.14, 0.22, 0.31, 0.38):
            folium = [(-0.66, y * side), (-0.45, (y - 0.02) * side)]
            canvas.stroke(folium, rng.uniform(50, 85), 0.022, soft=0.014)
        peduncle = [(-0.3, 0.04), (-0.15, 0.2), (0.08, 0.2), (0.18, 0.04)]
        canvas.shape([(x, side * y) for x, y in peduncle], 0.6 * BRAIN)
    canvas.shape(oval(-0.53, 0, 0.1, 0.09), rng.uniform(80, 120), soft=0.03)


_PLANE_PAINTERS: Mapping[str, Callable[[Canvas], None]] = {
    "Trans-thalamic": _paint_thalami,
    "Trans-ventricular": _paint_ventricle,
    "Trans-cerebellum": _paint_cerebellum,
}


@dataclass(frozen=True)
class Interface:
    """A bright line: its points, lowest and highest level, width and blur (units), bone."""

    points: Points
    levels: tuple[float, float]
    width: float
    soft: float = 0.008
    bone: float = 0.0

    def paint(self, canvas: Canvas) -> None:
        """Draw it at a level of chance."""
        level = canvas.rng.uniform(*self.levels)
        canvas.stroke(self.points, level, self.width, soft=self.soft, bone=self.bone)


_HEAD_TO_TRUNK: Points = (
    (-0.66, 0.05), (-0.6, -0.34), (-0.34, -0.62), (0.0, -0.71), (0.27, -0.66), (0.43, -0.5), (0.48, -0.46),
    (0.57, -0.475), (0.68, -0.485), (0.71, -0.43), (0.79, -0.34), (0.84, -0.3), (0.82, -0.24), (0.9, -0.16),
    (0.9, -0.04), (0.83, 0.08), (0.86, 0.14), (1.05, 0.06), (1.4, -0.14), (2.2, -0.4), (2.6, 0.78),
    (1.3, 0.79), (0.8, 0.79), (0.3, 0.77), (-0.1, 0.74), (-0.4, 0.6), (-0.6, 0.35),
)  # fmt: skip
_CHEST: Points = ((0.9, 0.2), (1.4, 0.0), (2.4, -0.2), (2.4, 0.5), (1.2, 0.55))
_CHOROID_PLEXUS: Points = (
    (-0.45, 0.1), (-0.45, -0.25), (-0.2, -0.45), (0.05, -0.3), (0.0, -0.15), (-0.2, -0.1), (-0.25, 0.15),
)  # fmt: skip
# Ovals (cx, cy, rx, ry) with their level: thalami, midbrain, IT, the shadowed throat, CM.
_DARK_OVALS = (
    (0.0, 0.0, 0.18, 0.14, 16.0),
    (-0.06, 0.33, 0.13, 0.16, 14.0),
    (0.1, 0.46, 0.12, 0.05, 8.0),
    (0.38, 0.3, 0.16, 0.2, 26.0),
    (0.16, 0.59, 0.18, 0.04, 10.0),
)
# Echoes of the skull base around the thalami.
_BRIGHT_OVALS = (
    (-0.03, -0.18, 0.06, 0.03, 135.0),
    (-0.19, 0.15, 0.06, 0.03, 115.0),
    (0.25, 0.05, 0.05, 0.05, 105.0),
    (0.17, 0.17, 0.08, 0.04, 105.0),
)
_BRAIN_STEM = (
    Interface(((0.0, 0.395), (0.1, 0.39), (0.24, 0.385)), (110, 170), 0.03),
    Interface(((0.02, 0.535), (0.12, 0.515), (0.24, 0.48)), (120, 180), 0.035),
)
_VAULT = (
    Interface(((-0.6, 0.2), (-0.62, -0.05), (-0.52, -0.38), (-0.3, -0.6)), (50, 75), 0.03),
    Interface(((-0.3, -0.61), (-0.15, -0.67), (-0.02, -0.69)), (60, 110), 0.03),
    Interface(((-0.08, -0.69), (0.0, -0.7), (0.1, -0.69)), (205, 225), 0.035, bone=0.05),
    Interface(((0.1, -0.69), (0.25, -0.63), (0.4, -0.49), (0.46, -0.4)), (110, 180), 0.045, bone=0.05),
    Interface(((-0.2, 0.64), (0.0, 0.675), (0.25, 0.67)), (220, 240), 0.06, soft=0.018, bone=0.05),
    Interface(((-0.5, 0.45), (-0.38, 0.56), (-0.2, 0.64)), (65, 95), 0.06, soft=0.03),
)
# Nasal bone, skin over it, tip; maxilla and mandible, which meet in the palate's inverted V.
_FACE = (
    Interface(((0.44, -0.425), (0.51, -0.41), (0.575, -0.4)), (190, 230), 0.032, bone=0.1),
    Interface(((0.47, -0.458), (0.52, -0.463), (0.57, -0.468)), (170, 215), 0.02),
    Interface(((0.58, -0.475), (0.62, -0.482), (0.67, -0.48)), (175, 220), 0.024),
    Interface(((0.42, -0.03), (0.5, -0.12), (0.58, -0.23)), (200, 235), 0.085, soft=0.02, bone=0.16),
    Interface(((0.56, -0.26), (0.68, -0.2), (0.77, -0.06)), (185, 235), 0.075, soft=0.02, bone=0.16),
)
_PROFILE_BOXES: Mapping[str, Box] = {
    "nasal_skin": (0.464, -0.480, 0.578, -0.442),
    "nasal_bone": (0.428, -0.434, 0.586, -0.380),
    "nasal_tip": (0.563, -0.499, 0.683, -0.461),
    "palate": (0.36, -0.29, 0.78, 0.0),
    "thalami": (-0.197, -0.153, 0.197, 0.153),
    "midbrain": (-0.235, 0.158, 0.055, 0.532),
    "IT": (-0.025, 0.391, 0.241, 0.521),
    "CM": (-0.06, 0.531, 0.338, 0.643),
}


def paint_profile(canvas: Canvas) -> None:
    """First-trimester mid-sagittal view: head, face and trunk of a supine fetus in amniotic fluid."""
    rng = canvas.rng
    streaks = canvas.texture((14, 2.2), 11)
    _paint_uterus(canvas, streaks)
    outline = [(x + rng.normal(0, 0.008), y + rng.normal(0, 0.006)) for x, y in _HEAD_TO_TRUNK]
    canvas.shape(outline, rng.uniform(0.8, 1.15) * SOFT_TISSUE + streaks, soft=0.012)
    canvas.shape(_CHEST, PLACENTA - 14 + streaks, soft=0.08)
    _paint_brain_in_profile(canvas)
    canvas.shape(oval(0.64, -0.36, 0.12, 0.07, 20), 85, soft=0.03)
    canvas.shape(oval(0.84, -0.06, 0.05, 0.08), 150, soft=0.03)
    for interface in (*_VAULT, *_FACE):
        interface.paint(canvas)
    _paint_translucency(canvas)
    for name, (left, top, right, bottom) in _PROFILE_BOXES.items():
        canvas.note_box(name, [(left, top), (right, bottom)])


def _paint_uterus(canvas: Canvas, streaks: Field) -> None:
    rng = canvas.rng
    left, right = rng.uniform(0.1, 0.7), rng.uniform(-0.1, 0.7)
    bed = [(-2.5, left - 0.5), (-1.2, left), (-0.7, 0.6), (-0.3, 0.86), (0.6, 0.9), (1.4, 0.88)]
    below = [(1.8, right + 0.2), (2.6, right), (2.6, 2.0), (-2.5, 2.0)]
    canvas.shape([*bed, *below], rng.uniform(70, 105) + streaks + canvas.texture((40, 20), 9), soft=0.03)
    if rng.random() < 0.3:
        roof = rng.uniform(-1.05, -0.85)
        upper_wall = [(-2.5, -2.0), (2.6, -2.0), (2.6, roof), (0.5, roof), (-2.5, roof)]
        canvas.shape(upper_wall, rng.uniform(45, 90) + streaks)
    if rng.random() < 0.4:
        hand = oval(rng.uniform(0.85, 1.1), rng.uniform(-0.75, -0.55), 0.05, 0.09, rng.uniform(-40, 40))
        canvas.shape(hand, 120)


def _paint_brain_in_profile(canvas: Canvas) -> None:
    rng, grain = canvas.rng, canvas.texture((5, 2.5), 13)
    canvas.shape(oval(-0.02, -0.03, 0.6, 0.63), 44 + grain, soft=0.03)
    canvas.shape(_CHOROID_PLEXUS, rng.uniform(72, 95) + grain, soft=0.04)
    canvas.shape(oval(0.1, -0.5, 0.24, 0.12, 15), 22 + 0.5 * grain, soft=0.03)
    for *place, level in _DARK_OVALS:
        canvas.shape(oval(*place), level + 0.5 * grain)
    for *place, level in _BRIGHT_OVALS:
        canvas.shape(oval(*place), level * rng.uniform(0.75, 1.2))
    for interface in _BRAIN_STEM:
        interface.paint(canvas)


def _paint_translucency(canvas: Canvas) -> None:
    """Fluid under the skin of the neck, dark between two bright lines."""
    rng = canvas.rng
    thickness, sag = rng.uniform(0.075, 0.11), rng.uniform(-0.02, 0.04)
    start, end = rng.uniform(0.06, 0.26), rng.uniform(1.05, 1.45)
    x = np.linspace(start, end, 7)
    y = 0.715 + sag * (1 - ((x - 0.7) / 0.6) ** 2)
    inner, skin = list(zip(x, y, strict=True)), list(zip(x, y + thickness, strict=True))
    canvas.shape([*inner, *skin[::-1]], FLUID + 3, soft=0.006)
    Interface(inner, (150, 215), 0.026).paint(canvas)
    Interface([(x, y + 0.012) for x, y in skin], (190, 240), 0.034).paint(canvas)
    canvas.note_box("NT", [(x, y - 0.012) for x, y in inner] + [(x, y + 0.015) for x, y in skin])
