"""Frames as clinics burn them: invented names, dates, hospitals, presets and logos, and where their ink went.

Not the generator that the detector was taught with, and other fonts than those.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Gray = NDArray[np.uint8]
Ink = NDArray[np.bool_]
Write = Callable[[str, int], NDArray[np.float32]]

NAMES = (
    "MUSTERFRAU, Erika",
    "van den Berg, Saskia",
    "O'Brien Niamh",
    "Hernandez-Ruiz M.",
    "Dr. Adeyemi",
    "Yamada Hanako",
)
DATES = ("14.03.2024", "2023-11-02 09:41", "03/27/1991", "DOB 02-Feb-1988", "11:52:07", "LMP 01.10.23")
PLACES = (
    "St. Elisabeth Hospital",
    "Universitaetsklinikum",
    "Womens Health Center",
    "Praxis Dr. Klein",
    "Maternity Unit 3",
)
NUMBERS = ("ID 00482913", "MRN: 771-204-55", "Acc# 20240314-07", "PID 9921", "G2P1")
PRESETS = (
    "RAB6-D",
    "MI 0.9",
    "TIs 0.1",
    "Frq mid",
    "Gn 12",
    "12.4cm / 26Hz",
    "Obstetric",
    "HC 182.4mm",
    "GA 21w4d",
    "S/A 2/1",
)


@dataclass
class Written:
    """A frame with text: pixels (H, W), and for each line its words and its ink (H, W)."""

    pixels: Gray
    lines: list[tuple[str, Ink]] = field(default_factory=list)

    def put(self, words: str, ink: NDArray[np.float32], left: int, top: int, shade: int) -> None:
        """Burn a line in where it fits."""
        height, width = ink.shape
        if left < 0 or top < 0 or top + height > self.pixels.shape[0] or left + width > self.pixels.shape[1]:
            return
        area = self.pixels[top : top + height, left : left + width]
        area[:] = np.round(area + ink * (shade - area.astype(np.float32))).astype(np.uint8)
        covered = np.zeros(self.pixels.shape, bool)
        covered[top : top + height, left : left + width] = ink > 0.3
        self.lines.append((words, covered))


def font_writer(source: Path | None) -> Write:
    """Write with a font file, or with the one inside Pillow."""

    def write(words: str, size: int) -> NDArray[np.float32]:
        font = ImageFont.truetype(str(source), size) if source else ImageFont.load_default(size)
        left, top, right, bottom = (int(side) for side in font.getbbox(words))
        image = Image.new("L", (right - left, bottom - top))
        ImageDraw.Draw(image).text((-left, -top), words, fill=255, font=font)
        return np.asarray(image, np.float32) / 255

    return write


def stroke_writer(face: int) -> Write:
    """Write with one of OpenCV's stroke fonts, which scanners' own resemble."""

    def write(words: str, size: int) -> NDArray[np.float32]:
        scale = size / 28
        (width, height), base = cv2.getTextSize(words, face, scale, 1)
        canvas = np.zeros((height + base + 2, width + 2), np.uint8)
        cv2.putText(canvas, words, (1, height + 1), face, scale, (255,), 1, cv2.LINE_AA)
        return canvas.astype(np.float32) / 255

    return write


def write_frame(background: Gray, rng: Generator, writers: Sequence[Write]) -> Written:
    """Burn a status bar or a corner of it, presets, sometimes a logo and a line on tissue, into a copy."""
    written = Written(background.copy())
    write = writers[rng.integers(len(writers))]
    if rng.random() < 0.6:
        _status_bar(written, rng, write)
    else:
        _corner(
            written,
            rng,
            write,
            [str(rng.choice(NAMES)), str(rng.choice(DATES)), str(rng.choice(PLACES))],
            left=True,
        )
    presets = [str(word) for word in rng.choice(PRESETS, int(rng.integers(2, 6)), replace=False)]
    _corner(written, rng, writers[rng.integers(len(writers))], presets, left=False)
    if rng.random() < 0.3:
        _logo(written, rng, write)
    if rng.random() < 0.4:
        _on_tissue(written, rng, writers[rng.integers(len(writers))])
    return written


def _status_bar(written: Written, rng: Generator, write: Write) -> None:
    size = int(rng.integers(10, 19))
    shade, ink_shade = ((0, 230), (45, 210), (205, 20), (95, 250))[rng.integers(4)]
    height = 2 * (size + 6)
    bar = written.pixels[:height] if rng.random() < 0.7 else written.pixels[-height:]
    top = 0 if np.shares_memory(bar, written.pixels[:1]) else written.pixels.shape[0] - height
    bar[:] = shade
    for row, kinds in enumerate(((NAMES, NUMBERS), (PLACES, DATES))):
        first, second = (
            write(str(words), size) for words in (kinds[0][rng.integers(5)], kinds[1][rng.integers(5)])
        )
        y = top + 3 + row * (size + 5)
        written.put(kinds[0][0], first, 6, y, ink_shade)
        written.put(kinds[1][0], second, written.pixels.shape[1] - second.shape[1] - 6, y, ink_shade)


def _corner(written: Written, rng: Generator, write: Write, lines: Sequence[str], *, left: bool) -> None:
    size = int(rng.integers(8, 17))
    top = int(rng.integers(36, 60)) if not left else int(rng.integers(2, 12))
    shade = int(rng.integers(120, 256))
    for row, words in enumerate(lines):
        ink = write(words, size)
        x = 5 if left else written.pixels.shape[1] - ink.shape[1] - 5
        y = top + round(row * size * 1.35)
        if y + ink.shape[0] <= written.pixels.shape[0]:
            behind = written.pixels[y : y + ink.shape[0], max(x, 0) : max(x, 0) + ink.shape[1]]
            written.put(words, ink, x, y, max(shade, min(255, int(behind.mean()) + 90)))


def _logo(written: Written, rng: Generator, write: Write) -> None:
    height, width = written.pixels.shape
    ink = write(str(rng.choice(["MediScan", "GYN+", "KLINIK", "Sono"])), int(rng.integers(16, 28)))
    x, y = 8, height - ink.shape[0] - 40
    if x + ink.shape[1] + 8 < width and y > 60:
        cv2.rectangle(written.pixels, (x - 5, y - 5), (x + ink.shape[1] + 5, y + ink.shape[0] + 5), 70, -1)
        written.put("logo", ink, x, y, 240)


def _on_tissue(written: Written, rng: Generator, write: Write) -> None:
    height, width = written.pixels.shape
    words = str(rng.choice([*NAMES, *DATES, *PRESETS]))
    ink = write(words, int(rng.integers(10, 20)))
    x, y = int(rng.integers(width // 5, width // 2)), int(rng.integers(height // 3, 3 * height // 4))
    behind = written.pixels[y : y + ink.shape[0], x : x + ink.shape[1]]
    if behind.shape == ink.shape:
        written.put(words, ink, x, y, 255 if behind.mean() < 140 else 0)
