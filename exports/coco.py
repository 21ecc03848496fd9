"""Records -> a COCO data set that pycocotools reads back as exactly what the sonographer left.

Ids start at 1 (pycocotools takes id 0 for "no match"), `iscrowd` is always 0, masks are lossless: polygons along
the pixel edges where that says everything, RLE where a mask has holes. The same records give the same bytes.
Frames pass through one by one: memory does not grow with their number.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import orjson

import annotator
from annotator.errors import CocoError
from annotator.files import atomic_writer
from annotator.schema import Correction
from exports.coco_records import (
    MaskForm,
    Place,
    annotation_records,
    categories,
    image_record,
    shared_attributes,
)
from exports.entries import Entry, ImagePaths, path_finder
from exports.images import ImageFolder

CHUNK = 100  # records at a time: small enough to be gone before the garbage collector looks at them, twice as fast
NOT_FOR_CLINICAL_USE = "Research software, not for clinical use."


@dataclass(frozen=True)
class CocoSummary:
    """What an export wrote."""

    path: Path
    images: int
    annotations: int


def export_coco(
    out: Path,
    entries: Iterable[Entry],
    image_paths: ImagePaths,
    *,
    which: str,
    masks: MaskForm = MaskForm.POLYGONS,
    advance: Callable[[], object] = lambda: None,
) -> CocoSummary:
    """Write `out/images/` and `out/annotations.json`, the latter whole or not at all.

    `image_paths` gives the stored PNG of a frame_id; `advance` is called after each frame. Raises CocoError where
    `out` cannot be written or an image is missing: the annotations of an earlier export are then as they were.
    """
    path_of = path_finder(image_paths)
    try:
        folder = ImageFolder(out / "images")

        def copied(entry: Entry) -> Entry:
            folder.add(path_of(entry.frame.frame_id))
            advance()
            return entry

        summary = write_annotations(out / "annotations.json", map(copied, entries), which=which, masks=masks)
        folder.drop_others()
    except OSError as error:
        raise CocoError(f"cannot write the export to {out}: {error.strerror or error}") from error
    return CocoSummary(out, summary.images, summary.annotations)


def write_annotations(
    path: Path, entries: Iterable[Entry], *, which: str, masks: MaskForm = MaskForm.POLYGONS
) -> CocoSummary:
    """Write one COCO file, whole or not at all, reading `entries` once."""
    with atomic_writer(path) as stream, tempfile.TemporaryFile(dir=path.parent) as annotations:
        info = {
            "description": f"Fetal ultrasound annotations ({which}). {NOT_FOR_CLINICAL_USE}",
            "version": annotator.__version__,
            "which": which,
            "pixel_convention": "edge: pixel i covers [i, i + 1)",
        }
        stream.write(b'{"info":' + orjson.dumps(info) + b',"licenses":[],"categories":')
        stream.write(orjson.dumps(categories()) + b',"images":')
        writer = _Writer(_JsonArray(stream), _JsonArray(annotations), masks)
        for entry in entries:
            writer.add(entry)
        writer.flush()
        stream.write(b',"annotations":')
        annotations.seek(0)
        shutil.copyfileobj(annotations, stream, 1 << 20)
        stream.write(b"}\n")
    return CocoSummary(path, writer.images, writer.annotations)


class _JsonArray:
    """A JSON array written in chunks."""

    def __init__(self, stream: BinaryIO | Any) -> None:
        self._stream = stream
        self._before = b"["

    def extend(self, records: list[dict[str, Any]]) -> None:
        if records:
            self._stream.write(self._before + orjson.dumps(records)[1:-1])
            self._before = b","

    def close(self) -> None:
        self._stream.write(b"[]" if self._before == b"[" else b"]")


class _Writer:
    """Numbers frames and findings, and writes them down in chunks."""

    def __init__(self, images: _JsonArray, annotations: _JsonArray, masks: MaskForm) -> None:
        self.images = self.annotations = 0
        self._image_array, self._annotation_array, self._masks = images, annotations, masks
        self._image_chunk: list[dict[str, Any]] = []
        self._places: list[Place] = []

    def add(self, entry: Entry) -> None:
        self.images += 1
        self._image_chunk.append(image_record(self.images, entry))
        shared = shared_attributes(entry.said)
        changes = entry.said.changes if isinstance(entry.said, Correction) else {}
        for finding in entry.said.findings:
            self.annotations += 1
            change = changes.get(finding.finding_id)
            self._places.append((self.annotations, self.images, finding, shared, change))
            if len(self._places) >= CHUNK:
                self._write_chunk()
        if len(self._image_chunk) >= CHUNK:
            self._write_chunk()

    def _write_chunk(self) -> None:
        self._image_array.extend(self._image_chunk)
        self._annotation_array.extend(annotation_records(self._places, self._masks))
        self._image_chunk, self._places = [], []

    def flush(self) -> None:
        self._write_chunk()
        self._image_array.close()
        self._annotation_array.close()
