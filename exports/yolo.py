"""Records -> a YOLO data set: `data.yaml`, `images/<split>/`, `labels/<split>/`, one line of fractions a finding.

Class numbers are the taxonomy's order from 0 and never change. For detection a line is `class x y width height`
(centre, then size); for segmentation `class x y x y ...`, one outline along the pixel edges. The format has room
for one outline only: parts and holes are joined to it by bridges of no width, so that the area stays exact.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from annotator import taxonomy
from annotator.errors import InputError
from annotator.files import write_atomically
from annotator.geometry import Ring, clip_box_xyxy, mask_to_edge_rings, rle_to_mask
from annotator.schema import BoxXyxy, Finding
from exports.entries import Entry, ImagePaths, path_finder
from exports.images import ImageFolder, drop_files

_CLASSES = {item.name: place for place, item in enumerate(taxonomy.STRUCTURES)}


class YoloTask(StrEnum):
    """What a line says."""

    DETECT = "detect"
    SEGMENT = "segment"


@dataclass(frozen=True)
class YoloSummary:
    """What an export wrote; `left_out` are findings that lie outside of their frame."""

    path: Path
    images: dict[str, int]
    annotations: int
    left_out: int


def export_yolo(
    out: Path,
    entries: Iterable[Entry],
    image_paths: ImagePaths,
    task: YoloTask = YoloTask.DETECT,
    *,
    advance: Callable[[], object] = lambda: None,
) -> YoloSummary:
    """Write the data set; `data.yaml` comes last. Frames without a split count as `train`.

    Raises InputError where `out` cannot be written.
    """
    path_of, folders = path_finder(image_paths), dict[str, ImageFolder]()
    labels, images, written, left_out = dict[str, set[str]](), dict[str, int](), 0, 0
    try:
        for entry in entries:
            split = entry.frame.split or "train"
            if split not in folders:
                folders[split], labels[split] = ImageFolder(out / "images" / split), set()
            folders[split].add(path_of(entry.frame.frame_id))
            lines = [_line(finding, entry.frame.size_wh, task) for finding in entry.said.findings]
            kept = [line for line in lines if line is not None]
            target = out / "labels" / split / f"{entry.frame.frame_id}.txt"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes("".join(kept).encode("ascii"))  # data.yaml, written last, tells that all are whole
            labels[split].add(target.name)
            images[split] = images.get(split, 0) + 1
            written, left_out = written + len(kept), left_out + len(lines) - len(kept)
            advance()
        for folder in (out / "images", out / "labels"):
            for old in folder.iterdir() if folder.is_dir() else ():
                suffix = "txt" if folder.name == "labels" else "png"
                drop_files(old, {Path(name).stem + "." + suffix for name in labels.get(old.name, ())})
        write_atomically(out / "data.yaml", _data_yaml(list(images)).encode())
    except OSError as error:
        raise InputError(f"cannot write the export to {out}: {error.strerror or error}") from error
    return YoloSummary(out, images, written, left_out)


def _data_yaml(splits: Sequence[str]) -> str:
    """JSON is YAML too, and quotes what has to be quoted."""
    places = {split: f"images/{split}" for split in splits}
    places.setdefault("train", next(iter(places.values()), "images/train"))
    places.setdefault("val", places["train"])  # YOLO refuses a file without it
    lines = [f"{json.dumps(split)}: {json.dumps(place)}" for split, place in sorted(places.items())]
    names = [f"  {place}: {json.dumps(name)}" for name, place in _CLASSES.items()]
    return "\n".join(["path: .", *lines, f"nc: {len(names)}", "names:", *names, ""])


def _line(finding: Finding, size_wh: tuple[int, int], task: YoloTask) -> str | None:
    box = clip_box_xyxy(finding.box_xyxy, size_wh)
    if task is YoloTask.DETECT:
        values = _centre_and_size(box)
    elif finding.mask_rle is not None:
        rings, _ = mask_to_edge_rings(rle_to_mask(finding.mask_rle))
        values = joined(rings) if rings else np.zeros((0, 2))
    else:
        x_min, y_min, x_max, y_max = box
        values = np.array([[x_min, y_min], [x_max, y_min], [x_max, y_max], [x_min, y_max]])
    if not values.size or box[0] >= box[2] or box[1] >= box[3]:
        return None
    numbers = " ".join(f"{value:.9g}" for value in (values / size_wh).ravel())
    return f"{_CLASSES[finding.structure]} {numbers}\n"


def _centre_and_size(box: BoxXyxy) -> Ring:
    x_min, y_min, x_max, y_max = box
    return np.array([[(x_min + x_max) / 2, (y_min + y_max) / 2], [x_max - x_min, y_max - y_min]])


def joined(rings: Sequence[Ring]) -> Ring:
    """Join rings to one closed outline by bridges, walked there and back from where the first ring starts.

    >>> squares = [np.array([[0, 0], [1, 0], [1, 1.0]]), np.array([[5, 5], [6, 5], [6, 6.0]])]
    >>> joined(squares).tolist()
    [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0], [5.0, 5.0], [6.0, 5.0], [6.0, 6.0], [5.0, 5.0]]
    """
    if len(rings) == 1:
        return rings[0]
    hub = rings[0][:1]
    parts = [rings[0], hub]
    for place, ring in enumerate(rings[1:], 1):
        parts += [ring, ring[:1]]
        if place < len(rings) - 1:
            parts.append(hub)
    return np.concatenate(parts)
