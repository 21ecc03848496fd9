"""The second look: pages that show every frame after masking, so that a person finds what the machine missed.

Text that was masked is outlined in red and stays black; what may be text is outlined in amber. The pages lie beside
the frames, readable by their owner only, and are part of no export: a name that was missed would be on them.
"""

import base64
import html
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from annotator.deidentify.burned_in_text import Box, TextFound
from annotator.files import write_atomically
from annotator.frames.records import Pixels

PER_PAGE = 120
_WIDEST = 640
_RED, _AMBER = (230, 40, 40), (240, 170, 20)
_STYLE = (
    "body{font:14px system-ui;background:#111;color:#ddd;margin:1rem}main{display:flex;flex-wrap:wrap;gap:12px}"
    "figure{margin:0;max-width:640px}img{max-width:100%}figcaption{overflow-wrap:anywhere}.refused{color:#fb7}"
)
_EXPLANATION = (
    "Every frame after masking, those most worth a look first. Red: masked by machine. Amber: perhaps text, not "
    "masked. Look for names, dates, numbers and places that are left. Research software, not for clinical use."
)


@dataclass(frozen=True)
class _Tile:
    name: str
    caption: str
    jpeg: bytes
    refused: bool
    suspicion: float


@dataclass
class ContactSheet:
    """Collects the frames of one import and writes page after page into `folder`."""

    folder: Path
    stem: str
    pages: list[Path] = field(default_factory=list)
    _tiles: list[_Tile] = field(default_factory=list)

    def add(self, name: str, pixels: Pixels, found: TextFound, *, refused: bool = False) -> None:
        """Show a frame as it is stored. A refused one is shown with all that is suspected masked as well."""
        caption = [f"{len(found.boxes_xyxy)} masked", f"{len(found.suspects_xyxy)} unsure", *found.reasons]
        if refused:
            caption.append("refused, not imported")
        jpeg = _drawn(pixels, found, refused)
        self._tiles.append(_Tile(name, ", ".join(caption), jpeg, refused, found.suspicion + 10 * refused))
        if len(self._tiles) == PER_PAGE:
            self.close()

    def close(self) -> None:
        """Write what is not yet on a page."""
        if not self._tiles:
            return
        number = len(self.pages) + 1
        path = self.folder / f"{self.stem}-{number:03}.html"
        figures = "\n".join(_figure(tile) for tile in sorted(self._tiles, key=lambda tile: -tile.suspicion))
        page = (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Second look, page {number}</title>'
            f"<style>{_STYLE}</style><h1>Second look, page {number}</h1><p>{_EXPLANATION}</p>\n"
            f"<main>\n{figures}\n</main></html>\n"
        )
        write_atomically(path, page.encode(), mode=0o600)
        self.pages.append(path)
        self._tiles = []


def _figure(tile: _Tile) -> str:
    picture = base64.b64encode(tile.jpeg).decode("ascii")
    kind = ' class="refused"' if tile.refused else ""
    name, caption = html.escape(tile.name), html.escape(tile.caption)
    return (
        f'<figure><img alt="{name}" src="data:image/jpeg;base64,{picture}">'
        f"<figcaption{kind}>{name}: {caption}</figcaption></figure>"
    )


def _drawn(pixels: Pixels, found: TextFound, refused: bool) -> bytes:
    shown = np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels.copy()
    shown[found.mask] = 0
    if refused:
        for x0, y0, x1, y1 in found.suspects_xyxy:
            shown[y0:y1, x0:x1] = 0
    scale = min(1.0, _WIDEST / shown.shape[1])
    size_wh = (max(round(shown.shape[1] * scale), 1), max(round(shown.shape[0] * scale), 1))
    shown = np.ascontiguousarray(cv2.resize(shown, size_wh, interpolation=cv2.INTER_AREA))
    _outline(shown, found.boxes_xyxy, scale, _RED)
    _outline(shown, found.suspects_xyxy, scale, _AMBER)
    done, coded = cv2.imencode(".jpg", shown[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    assert done
    return coded.tobytes()


def _outline(shown: Pixels, boxes: tuple[Box, ...], scale: float, colour: tuple[int, int, int]) -> None:
    for box in boxes:
        x0, y0, x1, y1 = (round(value * scale) for value in box)
        cv2.rectangle(shown, (x0, y0), (max(x1 - 1, x0), max(y1 - 1, y0)), colour, 1)
