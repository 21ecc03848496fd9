"""Records -> a folder that `datasets.load_dataset("imagefolder", data_dir=OUT)` reads: images and `metadata.jsonl`.

One folder a split (`train`, `validation`, `test`, and others by their own name), one line an image. `objects`
holds one list a property, the form that the library's guides use for detection: boxes are [x, y, width, height] in
pixels, masks COCO compressed RLE as a string, empty where there is none.
"""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from annotator import taxonomy
from annotator.errors import InputError
from annotator.files import atomic_writer
from annotator.geometry import rle_area
from annotator.schema import Finding, Interpretation
from exports.entries import Entry, ImagePaths, path_finder
from exports.images import ImageFolder, drop_files

_THEIR_NAMES = {"val": "validation"}


@dataclass(frozen=True)
class FolderSummary:
    """What an export wrote."""

    path: Path
    images: dict[str, int]
    annotations: int


def export_hugging_face(
    out: Path, entries: Iterable[Entry], image_paths: ImagePaths, *, advance: Callable[[], object] = lambda: None
) -> FolderSummary:
    """Write the folder; each `metadata.jsonl` is whole or not there. Frames without a split count as `train`.

    Raises InputError where `out` cannot be written.
    """
    path_of, folders, images = path_finder(image_paths), dict[str, tuple[ImageFolder, BinaryIO]](), dict[str, int]()
    annotations = 0
    try:
        with ExitStack() as open_files:
            for entry in entries:
                split = _THEIR_NAMES.get(entry.frame.split or "train", entry.frame.split or "train")
                if split not in folders:
                    stream = open_files.enter_context(atomic_writer(out / split / "metadata.jsonl"))
                    folders[split] = (ImageFolder(out / split), stream)
                folder, stream = folders[split]
                folder.add(path_of(entry.frame.frame_id))
                stream.write(orjson.dumps(_line(entry), option=orjson.OPT_APPEND_NEWLINE))
                images[split] = images.get(split, 0) + 1
                annotations += len(entry.said.findings)
                advance()
        for folder, _ in folders.values():
            folder.drop_others()
        for old in (path.parent for path in out.glob("*/metadata.jsonl") if path.parent.name not in folders):
            drop_files(old, ())
            (old / "metadata.jsonl").unlink()
    except OSError as error:
        raise InputError(f"cannot write the export to {out}: {error.strerror or error}") from error
    return FolderSummary(out, images, annotations)


def _line(entry: Entry) -> dict[str, Any]:
    frame, said = entry.frame, entry.said
    return {
        "file_name": f"{frame.frame_id}.png",
        "frame_id": frame.frame_id,
        "source_file": frame.source_file,
        "source": frame.source,
        "subject": frame.subject or "",
        "group": frame.group or "",
        "site": frame.site or "",
        "scanner": frame.scanner or "",
        "width": frame.width,
        "height": frame.height,
        "pixel_spacing_mm": list(frame.pixel_spacing_mm or ()),
        "simulated": frame.simulated,
        "said_by": entry.said_by,
        "plane": said.plane or "",
        "interpretation": (said.interpretation or Interpretation()).model_dump(),
        "objects": _objects(said.findings),
    }


def _objects(findings: tuple[Finding, ...]) -> dict[str, list[Any]]:
    boxes = [finding.box_xyxy for finding in findings]
    return {
        "id": [finding.finding_id for finding in findings],
        "category": [finding.structure for finding in findings],
        "category_id": [taxonomy.structure(finding.structure).coco_id for finding in findings],
        "bbox": [[float(x), float(y), float(right - x), float(bottom - y)] for x, y, right, bottom in boxes],
        "area": [
            float(rle_area(finding.mask_rle) if finding.mask_rle else (box[2] - box[0]) * (box[3] - box[1]))
            for finding, box in zip(findings, boxes, strict=True)
        ],
        "mask_rle": [finding.mask_rle.counts if finding.mask_rle else "" for finding in findings],
        "score": [finding.score for finding in findings],
    }
