"""What a model says of frames for the choice of what to label next, computed once a version and kept."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from annotator.commands.workspace import progress
from annotator.errors import FrameError
from annotator.files import atomic_writer
from annotator.frames import load_frame
from annotator.geometry import box_iou, dice, rle_to_mask
from annotator.schema import Finding, Frame, LoadedFrame, Prediction
from annotator.store import Store

if TYPE_CHECKING:
    from backends.embedded import EmbeddedBackend

BATCH, SAVE_EVERY = 16, 256

Rows = NDArray[np.float32]
Look = Callable[[Sequence[LoadedFrame]], Rows]


def embeddings(store: Store, model: "EmbeddedBackend", frames: Sequence[Frame]) -> Mapping[str, Rows]:
    """Return frame_id -> (D,) features; frames that cannot be read are left out."""
    return _kept(store, f"embeddings-{model.model.name}", frames, model.embed)


def view_disagreement(store: Store, model: "EmbeddedBackend", frames: Sequence[Frame]) -> Mapping[str, float]:
    """Return frame_id -> 0..1, how far a model's answers to changed views of a frame lie apart."""

    def look(batch: Sequence[LoadedFrame]) -> Rows:
        return np.array([[model.disagreement(loaded)] for loaded in batch], np.float32)

    found = _kept(store, f"disagreement-{model.model.name}", frames, look)
    return {frame_id: float(row[0]) for frame_id, row in found.items()}


def version_disagreement(predictions: Sequence[Prediction]) -> float | None:
    """Return 0..1, how far the newest answers of two versions to one frame lie apart; None where only one answered.

    Half for the plane; half for the findings, 1 - Dice of masks or IoU of boxes, 1 where one lacks a structure.
    """
    newest = {said.model_version: said for said in predictions}
    if len(newest) < 2:
        return None
    first, second = list(newest.values())[-2:]
    mine, theirs = ({one.structure: one for one in said.findings} for said in (first, second))
    apart = [1 - _overlap(mine.get(name), theirs.get(name)) for name in sorted({*mine, *theirs})]
    return 0.5 * float(first.plane != second.plane) + 0.5 * float(np.mean(apart or [0.0]))


def _overlap(first: Finding | None, second: Finding | None) -> float:
    if first is None or second is None:
        return 0.0
    masks = first.mask_rle, second.mask_rle
    if masks[0] is not None and masks[1] is not None and masks[0].size_hw == masks[1].size_hw:
        return dice(rle_to_mask(masks[0]), rle_to_mask(masks[1]))
    return box_iou(first.box_xyxy, second.box_xyxy)


def _kept(store: Store, name: str, frames: Sequence[Frame], look: Look) -> dict[str, Rows]:
    """Read what is kept under `name`, look at the other frames, and keep that too, now and then."""
    path = store.workspace / "cache" / f"{name}.npz"
    known = _read(path)
    missing = [frame for frame in frames if frame.frame_id not in known]
    if missing:
        with progress(len(missing), name.partition("-")[0]) as bar:
            for start in range(0, len(missing), SAVE_EVERY):
                for at in range(start, min(start + SAVE_EVERY, len(missing)), BATCH):
                    batch = missing[at : min(at + BATCH, start + SAVE_EVERY)]
                    known |= _looked_at(store, batch, look)
                    bar.update(len(batch))
                _write(path, known)
    return {frame.frame_id: known[frame.frame_id] for frame in frames if frame.frame_id in known}


def _looked_at(store: Store, frames: Sequence[Frame], look: Look) -> dict[str, Rows]:
    loaded = []
    for frame in frames:
        try:
            loaded.append(load_frame(frame, store.image_path(frame.frame_id)))
        except FrameError:
            continue  # what cannot be read cannot be labelled next either; `verify` names it
    if not loaded:
        return {}
    rows = look(loaded)
    return {one.frame.frame_id: row for one, row in zip(loaded, rows, strict=True)}


def _read(path: Path) -> dict[str, Rows]:
    """What cannot be read is computed again."""
    try:
        with np.load(path) as kept:
            return dict(zip(kept["ids"].tolist(), kept["rows"], strict=True))
    except (OSError, ValueError, KeyError):
        return {}


def _write(path: Path, rows: Mapping[str, Rows]) -> None:
    if rows:
        with atomic_writer(path) as stream:
            np.savez(stream, ids=np.array(list(rows)), rows=np.stack(list(rows.values())))
