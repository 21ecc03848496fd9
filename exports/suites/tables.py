"""The suite's .tsv files, a row at a time: masks reach 22 MB and images are base64 text, so nothing is kept."""

import base64
import binascii
import csv
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from annotator.errors import InputError

# What the published files, and the older ones of the kits, call each column.
COLUMNS: dict[str, tuple[str, ...]] = {
    "id": ("id", "index"),
    "image": ("img_data", "image"),
    "image_file": ("img_path", "image_path"),
    "patient": ("patient_id",),
    "prompt": ("prompt", "question"),
    "label": ("class_label", "classes", "class"),
    "options": ("options",),
    "box": ("gt_bbox",),
    "keypoints": ("keypoints",),
    "measurement": ("measurement",),
    "report": ("report",),
    "caption": ("caption",),
}
_SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*")


@dataclass(frozen=True)
class TableRow:
    """One row by our own column names; `number` counts from 0 behind the row that explains the columns."""

    file: Path
    number: int
    values: Mapping[str, str]

    @property
    def key(self) -> str:
        """What predictions call the row: its own id, else its number."""
        return self.values.get("id") or str(self.number)

    def image(self) -> bytes:
        """The content of its image file; InputError where there is none."""
        text = self.values.get("image", "")
        if text:
            content = _decoded(text)
            if content is None:
                raise InputError(f"{self.file.name}: row {self.number} holds no base64 image in img_data")
            return content
        named = self.values.get("image_file", "")
        path = self.file.parent / named
        if not named or not path.is_file():
            raise InputError(f"{self.file.name}: row {self.number} has no image ({named or 'no img_data'})")
        return path.read_bytes()


def read_table(path: Path, needs_one_of: tuple[str, ...]) -> Iterator[TableRow]:
    """Go through a file; InputError where a needed column is missing under each known name, or a row is torn."""
    csv.field_size_limit(sys.maxsize)  # the process's own; the module knows no other
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.reader(stream, delimiter="\t")
            header = [name.strip() for name in next(rows, [])]
            places = _places(path, header, needs_one_of)
            skipped = 0
            for line, row in enumerate(rows):
                if not row:
                    continue
                if len(row) != len(header):
                    raise InputError(
                        f"{path.name}: row {line + 1} has {len(row)} fields where the header names {len(header)}"
                    )
                values = {name: row[place].strip() for name, place in places.items()}
                if line == 0 and _explains(values):
                    skipped = 1
                    continue
                yield TableRow(path, line - skipped, values)
    except UnicodeDecodeError:
        raise InputError(f"{path.name}: no UTF-8 text; download it again") from None
    except csv.Error as error:
        raise InputError(f"{path.name}: no table of tab-separated values: {error}") from None


def _places(path: Path, header: list[str], needs_one_of: tuple[str, ...]) -> dict[str, int]:
    names = [name.lower() for name in header]
    places = {
        ours: names.index(found)
        for ours, known in COLUMNS.items()
        if (found := next((one for one in known if one in names), None)) is not None
    }
    if not any(name in places for name in needs_one_of):
        wanted = ", ".join(name for ours in needs_one_of for name in COLUMNS[ours])
        raise InputError(f"{path.name}: no column {wanted}; found {', '.join(header[:20]) or 'an empty file'}")
    return places


def _explains(values: Mapping[str, str]) -> bool:
    """Whether this row, the first, tells what the columns mean: its image is then a sentence, no image."""
    return bool(values.get("image")) and _decoded(values["image"]) is None


def _decoded(text: str) -> bytes | None:
    """The content of an image given as base64, with or without `data:...;base64,` in front."""
    try:
        content = base64.b64decode(text.partition("base64,")[2] or text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return content if content.startswith(_SIGNATURES) else None
