"""Random variations of a frame: where it lies on the grid, how bright, grainy, blurred and shadowed it is."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from backends.embedded.framing import Framing, Gray

Image = NDArray[np.float32]


@dataclass(frozen=True)
class Jitter:
    """How far a frame may be moved on the grid; the flips are coin tosses where allowed."""

    turn_deg: float
    zoom: tuple[float, float]
    aspect: float
    shift: float
    flip_x: bool = True
    flip_y: bool = False


def jittered(framing: Framing, jitter: Jitter, rng: Generator) -> Framing:
    """Turn, zoom, stretch, shift (in shares of the grid) and flip about the middle of the grid."""
    angle = np.deg2rad(rng.uniform(-jitter.turn_deg, jitter.turn_deg))
    zoom = np.exp(rng.uniform(*np.log(jitter.zoom)))
    stretch = np.exp(rng.uniform(-jitter.aspect, jitter.aspect) / 2)
    signs = [-1.0 if allowed and rng.random() < 0.5 else 1.0 for allowed in (jitter.flip_x, jitter.flip_y)]
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.diag([signs[0] * zoom * stretch, signs[1] * zoom / stretch])
    middle = np.array(framing.size_wh) / 2
    shift = rng.uniform(-jitter.shift, jitter.shift, 2) * framing.size_wh
    matrix = linear @ framing.matrix
    matrix[:, 2] += middle - linear @ middle + shift
    return Framing(matrix, framing.size_wh)


def as_image(image: Gray) -> Image:
    """(H, W) uint8 to float32 in 0..1."""
    return np.asarray(image / np.float32(255), np.float32)


def varied(image: Gray, rng: Generator) -> Image:
    """The look of another machine, setting or operator: (H, W) uint8 to float32 in 0..1."""
    out = np.asarray(as_image(image) ** np.float32(np.exp(rng.uniform(-0.5, 0.5))), np.float32)
    gain, offset = np.float32(rng.uniform(0.7, 1.3)), np.float32(rng.uniform(-0.06, 0.06))
    out = np.asarray(out * gain + offset * (out > 0.01), np.float32)  # what is black stays black
    if rng.random() < 0.3:
        out = _speckled(out, rng)
    if rng.random() < 0.3:
        out = np.asarray(cv2.GaussianBlur(out, (0, 0), rng.uniform(0.4, 1.1)), np.float32)
    if rng.random() < 0.3:
        out = _shadowed(out, rng)
    if rng.random() < 0.3:
        out = _covered(out, rng)
    if rng.random() < 0.2:
        out = _written_on(out, rng)
    return np.clip(out, 0, 1).astype(np.float32)


def relit(image: Gray, rng: Generator) -> Image:
    """Milder than `varied`, for crops in which fine structure is the answer: (H, W) uint8 to float32 in 0..1."""
    out = np.asarray(as_image(image) ** np.float32(np.exp(rng.uniform(-0.4, 0.4))), np.float32)
    out = np.asarray(out * np.float32(rng.uniform(0.75, 1.3)), np.float32)
    if rng.random() < 0.3:
        out = np.asarray(cv2.GaussianBlur(out, (0, 0), rng.uniform(0.3, 0.8)), np.float32)
    if rng.random() < 0.3:
        out = out + rng.uniform(0.01, 0.04) * rng.standard_normal(out.shape, np.float32)
    if rng.random() < 0.2:
        out = _shadowed(out, rng)
    return np.clip(out, 0, 1).astype(np.float32)


def _speckled(image: Image, rng: Generator) -> Image:
    """Multiplicative grain, elongated as speckle is across the beam."""
    grain = rng.standard_normal(image.shape, np.float32)
    width, height = rng.uniform(0.5, 2.0), rng.uniform(0.4, 1.0)
    grain = np.asarray(cv2.GaussianBlur(grain, (0, 0), width, sigmaY=height), np.float32)
    return np.asarray(image * (1 + rng.uniform(0.05, 0.25) * grain / grain.std()), np.float32)


def _shadowed(image: Image, rng: Generator) -> Image:
    """A dark band from the probe downwards, as behind bone or gas."""
    height, width = image.shape
    centre = rng.uniform(0, width) + rng.uniform(-0.5, 0.5) * np.arange(height)[:, None]
    distance = np.abs(np.arange(width)[None, :] - centre) / (width * rng.uniform(0.03, 0.12))
    return np.asarray(image * (1 - rng.uniform(0.3, 0.9) * np.exp(-(distance**2))), np.float32)


def _covered(image: Image, rng: Generator) -> Image:
    """A black box, as anonymisation leaves, or a flat gray one; most often towards a corner."""
    height, width = image.shape
    box_h, box_w = round(height * rng.uniform(0.08, 0.3)), round(width * rng.uniform(0.08, 0.3))
    if rng.random() < 0.7:
        top, left = rng.integers(2) * (height - box_h), rng.integers(2) * (width - box_w)
    else:
        top, left = rng.integers(height - box_h), rng.integers(width - box_w)
    out = image.copy()
    out[top : top + box_h, left : left + box_w] = 0.0 if rng.random() < 0.8 else rng.uniform(0, 0.6)
    return out


def _written_on(image: Image, rng: Generator) -> Image:
    """Lines of letters and digits, as machines print their settings."""
    out = image.copy()
    height, width = image.shape
    x, y = int(rng.uniform(0, width * 0.85)), int(rng.uniform(0, height * 0.8))
    for line in range(int(rng.integers(1, 6))):
        text = "".join(rng.choice(list("ABEFGHMRT0123456789/.:-"), int(rng.integers(2, 9))))
        cv2.putText(out, text, (x, y + 8 * line + 8), cv2.FONT_HERSHEY_PLAIN, 0.55, float(rng.uniform(0.5, 1)), 1)
    return out
