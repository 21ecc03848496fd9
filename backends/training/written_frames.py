"""Frames with text burned in as scanners and clinics do it, and where the text lies: invented names only."""

import string
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from backends.training.clutter import draw_clutter

Gray = NDArray[np.uint8]
Floats = NDArray[np.float32]

FIRST = [
    "Anna",
    "Maria",
    "Erika",
    "Fatima",
    "Ngoc",
    "Zoe",
    "Olga",
    "Aaliyah",
    "Li",
    "Ingrid",
    "Chiara",
    "Noor",
    "Elif",
    "Priya",
    "Marie-Claire",
    "Jo",
]
LAST = [
    "Muster",
    "Doe",
    "Nguyen",
    "Garcia",
    "Lopez",
    "O'Neill",
    "Kowalska",
    "Schmidt",
    "van-Dijk",
    "Yilmaz",
    "Sato",
    "Singh",
    "Bakker",
    "Rossi",
    "Li",
]
PLACES = (
    "Hospital",
    "Klinikum",
    "Clinic",
    "Centre",
    "University Hosp.",
    "St. Mary",
    "Radiology",
    "OB/GYN",
    "Praxis",
)
PRESETS = (
    "Har-high", "Har-mid", "FF4 / E2", "Gn -4", "C6 / M7", "P2 / E3", "SRI II 3 / CRI 2", "2. Trim.", "28Hz/15.3cm",
    "TIs 0.2", "MI 1.1", "TIb 0.4", "RAB4-8-D/OB", "C5-1", "FR 31Hz", "2D 56%", "C 55", "P Low", "HGen", "Routine",
    "BPD 45.3mm", "HC 173.2 mm", "AC 15.1 cm", "FL 3.02cm", "GA 20w3d", "EFW 345g", "OFD 60.1", "1 D 1.23cm",
)  # fmt: skip
CJK = (0x4E00, 0x5FFF)
SCRIPTS = {
    "NotoSansCJK": CJK, "NotoSerifCJK": CJK,
    "NotoSansArabic-": (0x0621, 0x064A), "NotoSansHebrew-": (0x05D0, 0x05EA), "NotoSansThai-": (0x0E01, 0x0E2E),
    "NotoSansDevanagari-": (0x0904, 0x0939), "NotoSansBengali-": (0x0985, 0x09B9),
    "NotoSansTamil-": (0x0B85, 0x0BB9), "NotoSansGeorgian-": (0x10D0, 0x10FA),
    "NotoSansArmenian-": (0x0531, 0x0556),
    "NotoSansEthiopic-": (0x1200, 0x1248), "NotoSansKhmer-": (0x1780, 0x17A2),
}  # fmt: skip
GREEK, CYRILLIC, ACCENTED = (0x0391, 0x03C9), (0x0410, 0x044F), (0x00C0, 0x00FF)
NOT_TEXT = (
    "Symbol",
    "Music",
    "Math",
    "Braille",
    "D050000L",
    "LastResort",
    "STIXSiz",
    "STIXNonUni",
    "cmex",
    "cmsy",
    "cmmi",
)


@dataclass(frozen=True)
class Fonts:
    """Font files that hold Latin letters, and those of other scripts with their range of letters."""

    latin: tuple[str, ...]
    other: tuple[tuple[str, tuple[int, int]], ...]


def find_fonts(folders: Sequence[Path], left_out: Sequence[str] = ()) -> Fonts:
    """Sort the font files below `folders`; names that contain one of `left_out` are kept for a test."""
    latin, other = [], []
    for path in sorted(
        path for folder in folders for path in folder.rglob("*") if path.suffix in (".ttf", ".otf", ".ttc")
    ):
        if any(word in path.name for word in (*NOT_TEXT, *left_out)):
            continue
        script = next((letters for start, letters in SCRIPTS.items() if path.name.startswith(start)), None)
        if script:
            other.append((str(path), script))
        elif not path.name.startswith("Noto") or path.name.startswith(
            ("NotoSans-", "NotoSerif-", "NotoSansDisplay-")
        ):
            latin.append(str(path))
    return Fonts(tuple(latin), tuple(other))


def some_words(rng: Generator, fonts: Fonts) -> tuple[str, str]:
    """Return invented text and a font that can write it."""
    kind, font = rng.random(), str(rng.choice(fonts.latin))
    if kind < 0.13 and fonts.other:
        font, (low, high) = fonts.other[rng.integers(len(fonts.other))]
        return _letters(rng, low, high, int(rng.integers(2, 9))), font
    if kind < 0.2:
        low, high = (GREEK, CYRILLIC, ACCENTED)[rng.integers(3)]
        return _letters(rng, low, high, int(rng.integers(3, 14))), font
    if kind < 0.4:
        return _name(rng), font
    if kind < 0.55:
        return _date(rng), font
    if kind < 0.65:
        return f"{rng.choice(PLACES)} {rng.choice(LAST)}", font
    if kind < 0.85:
        return str(rng.choice(PRESETS)), font
    symbols = string.ascii_letters + string.digits * 3 + " -./:#"
    return "".join(rng.choice(list(symbols), int(rng.integers(1, 16)))).strip() or "7", font


def _letters(rng: Generator, low: int, high: int, count: int) -> str:
    text = "".join(chr(code) for code in rng.integers(low, high + 1, count))
    return text if count < 5 or rng.random() < 0.5 else f"{text[: count // 2]} {text[count // 2 :]}"


def _name(rng: Generator) -> str:
    first, last = str(rng.choice(FIRST)), str(rng.choice(LAST))
    shape = ("{l}, {f}", "{f} {l}", "{l}^{f}", "{L} {F}", "Name: {l} {f}", "{L}")[rng.integers(6)]
    return shape.format(f=first, l=last, F=first.upper(), L=last.upper())


def _date(rng: Generator) -> str:
    year, month, day, number = (
        1960 + rng.integers(70),
        1 + rng.integers(12),
        1 + rng.integers(28),
        rng.integers(10**8),
    )
    shape = (
        "{d:02}.{m:02}.{y}", "{m:02}/{d:02}/{y}", "{y}-{m:02}-{d:02}", "ID: {n}", "{n:08}",
        "{d:02}.{m:02}.{y} {h:02}:{i:02}:{s:02}",
        "DOB {d}/{m}/{y}", "MRN {n}", "{h:02}:{i:02}:{s:02}", "LMP {m:02}/{d:02}/{y}",
    )[rng.integers(10)]  # fmt: skip
    return shape.format(
        y=year, m=month, d=day, n=number, h=rng.integers(24), i=rng.integers(60), s=rng.integers(60)
    )


def drawn(rng: Generator, fonts: Fonts, size_px: float) -> Floats | None:
    """Return the coverage 0..1 of one line of text, cut to its ink, or None where the font failed."""
    if rng.random() < 0.12:
        return _drawn_by_strokes(str(rng.choice([_name(rng), _date(rng), str(rng.choice(PRESETS))])), size_px, rng)
    words, name = some_words(rng, fonts)
    try:
        font = _opened(name, max(5, round(size_px)))
        left, top, right, bottom = font.getbbox(words)
    except (OSError, ValueError):
        return None
    if right - left < 2 or bottom - top < 2 or right - left > 4000:
        return None
    image = Image.new("L", (int(right - left) + 2, int(bottom - top) + 2))
    pen = ImageDraw.Draw(image)
    pen.fontmode = "1" if rng.random() < 0.25 else "L"
    pen.text((1 - left, 1 - top), words, fill=255, font=font)
    return _cut(np.asarray(image, np.float32) / np.float32(255))


@lru_cache(maxsize=512)
def _opened(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(name, size, layout_engine=ImageFont.Layout.BASIC)


def _drawn_by_strokes(words: str, size_px: float, rng: Generator) -> Floats | None:
    face, scale = int(rng.choice([0, 1, 2, 3, 4, 5])), size_px / 30
    (width, height), base = cv2.getTextSize(words, face, scale, 1)
    canvas = np.zeros((height + base + 4, width + 4), np.uint8)
    thickness = 2 if size_px > 16 and rng.random() < 0.4 else 1
    cv2.putText(canvas, words, (2, height + 2), face, scale, (255,), thickness, cv2.LINE_AA)
    return _cut(canvas.astype(np.float32) / np.float32(255))


def _cut(coverage: Floats) -> Floats | None:
    rows, columns = (np.flatnonzero(coverage.max(axis) > 0.1) for axis in (1, 0))
    if rows.size < 2 or columns.size < 1:
        return None
    return coverage[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


@dataclass
class Page:
    """A frame being written on: gray values (H, W), and where there is text, 1, or may be, -1."""

    gray: Floats
    text: NDArray[np.int8]

    def wipe(self, left: int, top: int, size_hw: tuple[int, ...], shade: float) -> None:
        """Fill a rectangle; what was written there is gone."""
        area = slice(top, top + size_hw[0]), slice(left, left + size_hw[1])
        self.gray[area], self.text[area] = shade, 0

    def write(self, ink: Floats, left: int, top: int, shade: float, opacity: float, shadow: bool) -> bool:
        """Put a line down; False where it does not fit in at least a good part."""
        height, width = ink.shape
        x0, y0 = max(left, 0), max(top, 0)
        x1, y1 = min(left + width, self.gray.shape[1]), min(top + height, self.gray.shape[0])
        if x1 - x0 < 0.3 * width or y1 - y0 < 0.6 * height:
            return False
        part = ink[y0 - top : y1 - top, x0 - left : x1 - left]
        if shadow and y1 < self.gray.shape[0] and x1 < self.gray.shape[1]:
            self.gray[y0 + 1 : y1 + 1, x0 + 1 : x1 + 1] *= 1 - 0.8 * part
        self.gray[y0:y1, x0:x1] += part * opacity * (shade - self.gray[y0:y1, x0:x1])
        self.text[y0:y1, x0:x1] = 1
        return True


def write_page(gray: Gray, known: NDArray[np.int8], rng: Generator, fonts: Fonts) -> Page:
    """Burn bars, corner blocks, loose text, logos and things that are no text into a copy of `gray`."""
    page = Page(gray.astype(np.float32), known.copy())
    for _ in range(rng.integers(0, 7)):
        draw_clutter(page.gray, rng)
    if rng.random() < 0.25:
        _status_bar(page, rng, fonts)
    for _ in range(rng.integers(0, 3)):
        _block(page, rng, fonts)
    for _ in range(rng.integers(0, 4)):
        _loose(page, rng, fonts)
    if rng.random() < 0.15:
        _logo(page, rng, fonts)
    return page


def _size_px(rng: Generator) -> float:
    return float(np.exp(rng.uniform(np.log(6.5), np.log(34))) if rng.random() < 0.85 else rng.uniform(6, 9))


def _shade_on(rng: Generator, behind: float) -> float:
    """A gray that a person can tell from what is behind, often barely."""
    contrast = rng.uniform(28, 60) if rng.random() < 0.3 else rng.uniform(60, 255)
    up, down = behind + contrast, behind - contrast
    if up > 255 and down < 0:
        return 255.0 if behind < 128 else 0.0
    return up if down < 0 or (up <= 255 and rng.random() < 0.85) else down


def _status_bar(page: Page, rng: Generator, fonts: Fonts) -> None:
    height, width = page.gray.shape
    size = min(_size_px(rng), height / 8)
    rows = int(rng.integers(1, 4))
    bar = min(int(size * 1.5 * rows) + 4, height // 2)
    top = 0 if rng.random() < 0.7 else height - bar
    shade = float(rng.choice([0, 0, 20, 60, 120, 190, 235]))
    page.gray[top : top + bar], page.text[top : top + bar] = shade, 0
    for row in range(rows):
        left = int(rng.integers(0, 12))
        while left < width - 20:
            ink = drawn(rng, fonts, size)
            if ink is None:
                break
            page.write(ink, left, top + 2 + int(row * size * 1.5), _shade_on(rng, shade), 1.0, False)
            left += ink.shape[1] + int(rng.integers(12, max(width // 2, 13)))


def _block(page: Page, rng: Generator, fonts: Fonts) -> None:
    height, width = page.gray.shape
    size, right_aligned = min(_size_px(rng), height / 9), rng.random() < 0.5
    inset, top = int(rng.integers(1, 14)), int(rng.integers(0, max(height - 20, 1)))
    if rng.random() < 0.6:
        top = int(rng.integers(0, 12))
    left = 0 if rng.random() < 0.7 else int(rng.integers(0, width))
    shade, step, backed = None, size * rng.uniform(1.05, 1.7), rng.random() < 0.3
    for row in range(int(rng.integers(2, 9))):
        ink = drawn(rng, fonts, size)
        y = top + round(row * step)
        if ink is None or y + ink.shape[0] > height:
            continue
        x = width - inset - ink.shape[1] if right_aligned else left + inset
        behind = page.gray[y : y + ink.shape[0], max(x, 0) : x + ink.shape[1]]
        if behind.size == 0:
            continue
        if backed:
            page.wipe(max(x, 0), y, ink.shape, 8.0)
        if shade is None or rng.random() < 0.1:
            shade = _shade_on(rng, float(behind.mean()))
        page.write(ink, x, y, shade, 1.0, False)


def _loose(page: Page, rng: Generator, fonts: Fonts) -> None:
    height, width = page.gray.shape
    ink = drawn(rng, fonts, _size_px(rng))
    if ink is None:
        return
    if rng.random() < 0.04:
        ink = np.ascontiguousarray(np.rot90(ink, int(rng.choice([1, 3]))))
    x, y = int(rng.integers(-4, max(width - 8, 1))), int(rng.integers(0, max(height - 6, 1)))
    behind = page.gray[y : y + ink.shape[0], max(x, 0) : max(x, 0) + ink.shape[1]]
    if behind.size == 0:
        return
    if rng.random() < 0.2:
        page.wipe(max(x, 0), y, ink.shape, float(rng.choice([0, 15, 60, 200])))
    spread = min(float(behind.std()) * 1.5, 60.0)
    shade = _shade_on(rng, float(behind.mean()))
    shade = float(np.clip(shade + np.sign(shade - behind.mean()) * spread, 0, 255))
    page.write(ink, x, y, shade, float(rng.uniform(0.6, 1)), rng.random() < 0.2)


def _logo(page: Page, rng: Generator, fonts: Fonts) -> None:
    ink = drawn(rng, fonts, float(rng.uniform(12, 44)))
    if ink is None:
        return
    height, width = ink.shape
    x, y = (
        int(rng.integers(2, max(side, 3)))
        for side in (page.gray.shape[1] - width - 12, page.gray.shape[0] - height - 12)
    )
    shade, centre = float(rng.uniform(60, 255)), (x + width // 2, y + height // 2)
    axes = (int(width * 0.62) + 4, int(height * 0.8) + 4)
    cv2.ellipse(page.gray, centre, axes, 0, 0, 360, shade, -1 if rng.random() < 0.5 else 2, cv2.LINE_AA)
    page.write(ink, x, y, _shade_on(rng, float(page.gray[y : y + height, x : x + width].mean() or 0)), 1.0, False)
