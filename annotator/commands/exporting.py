"""`annotator export`: from the store to data sets."""

from collections.abc import Iterator
from pathlib import Path

from annotator.cli import Result
from annotator.commands.workspace import opened, say
from annotator.errors import InputError
from annotator.schema import Correction, Prediction
from annotator.store import Store


def export_as_coco(workspace: Path, out: Path, which: str, split: str | None, backend: str | None) -> Result:
    """Write a COCO data set of what readers corrected, models predicted, or the reference says."""
    from exports.coco import CocoEntry, export_coco

    with opened(workspace) as store:
        frames = {frame.frame_id: frame for frame in store.frames(split)}
        names = store.names()
        entries = [
            CocoEntry(frames[said.frame_id], said, names.get(said.frame_id, ()))
            for said in _said(store, which, backend)
            if said.frame_id in frames
        ]
        if not entries:
            raise InputError(f"nothing to export: no {which} frame{f' of split {split}' if split else ''}")
        say(f"exporting {len(entries)} frames to {out}")
        paths = {entry.frame.frame_id: store.image_path(entry.frame.frame_id) for entry in entries}
        summary = export_coco(out, entries, paths, which=which)
    document = {"out": str(out), "which": which, "images": summary.images, "annotations": summary.annotations}
    text = f"{summary.images} images and {summary.annotations} annotations in {out / 'annotations.json'}"
    return Result(document, text)


def _said(store: Store, which: str, backend: str | None) -> Iterator[Prediction] | Iterator[Correction]:
    if which == "predicted":
        return store.predictions_by(backend=backend)
    return store.newest_corrections(is_truth=which == "truth")
