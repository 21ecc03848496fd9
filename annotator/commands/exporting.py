"""`annotator export`: from the store to data sets."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annotator.cli import Result
from annotator.commands.workspace import opened, progress
from annotator.contradictions import settled_corrections
from annotator.errors import InputError
from annotator.schema import Correction, Prediction
from annotator.settings import read_settings
from annotator.store import Store
from annotator.store.versions import unpromoted_versions

if TYPE_CHECKING:
    from exports.entries import Entry
    from exports.splits import Splits


def entries_of(store: Store, which: str, split: str | None, backend: str | None) -> "Iterator[Entry]":
    """Yield the frames that have what is wanted, one by one; InputError where there is none."""
    from exports.entries import Entry

    frames = {frame.frame_id: frame for frame in store.frames(split)}
    names = store.names()
    found = (
        Entry(frames[said.frame_id], said, names.get(said.frame_id, ()))
        for said in said_of(store, which, backend)
        if said.frame_id in frames
    )
    first = next(found, None)
    if first is None:
        raise InputError(f"nothing to export: no {which} frame{f' of split {split}' if split else ''}")
    return chain([first], found)


def said_of(store: Store, which: str, backend: str | None = None) -> Iterator[Prediction] | Iterator[Correction]:
    """Yield what counts of each frame: predicted, the reference's truth, or what its readers settled on.

    Where readers contradict each other the settings say whose correction counts.
    """
    if which == "predicted":
        return store.predictions_by(backend=backend, without=unpromoted_versions(store))
    if which == "truth":
        return store.newest_corrections(is_truth=True)
    settings = read_settings()
    return settled_corrections(
        store.newest_of_readers(), adjudicator=settings.adjudicator, rule=settings.contradiction
    )


def planned_splits(store: Store, which: str, backend: str | None = None) -> "Splits":
    """Give every frame that has what is wanted a split, the one that earlier data sets gave it where there are any.

    All exports of a workspace agree: a subject is on the same side in each.
    """
    from annotator.store.datasets import dataset_versions
    from annotator.store.studies import frozen_frame_ids
    from exports.splits import assign_splits

    previous: dict[str, str] = {}
    for version in dataset_versions(store):
        previous |= version.assigned
    frames = ((entry.frame, entry.said.plane) for entry in entries_of(store, which, None, backend))
    return assign_splits(frames, frozen=frozen_frame_ids(store), previous=previous)


def in_splits(
    store: Store, which: str, splits: "Splits", split: str | None = None, backend: str | None = None
) -> "Iterator[Entry]":
    """Yield the frames with their planned split in place of the one that they were imported with."""
    found = (
        replace(entry, frame=entry.frame.model_copy(update={"split": splits.of_frame[entry.frame.frame_id]}))
        for entry in entries_of(store, which, None, backend)
        if entry.frame.frame_id in splits.of_frame  # one that came meanwhile waits for the next export
    )
    wanted = (entry for entry in found if split is None or entry.frame.split == split)
    first = next(wanted, None)
    if first is None:
        raise InputError(f"nothing to export: no {which} frame of split {split}; there are {splits.counts()}")
    return chain([first], wanted)


def export_as_coco(
    workspace: Path, out: Path, which: str, split: str | None, backend: str | None, masks: str = "polygons"
) -> Result:
    """Write a COCO data set of what readers corrected, models predicted, or the reference says."""
    from exports.coco import export_coco
    from exports.coco_records import MaskForm

    with opened(workspace) as store, progress(store.counts()["frames"], "exporting") as bar:
        entries = entries_of(store, which, split, backend)
        summary = export_coco(
            out, entries, store.image_path, which=which, masks=MaskForm(masks), advance=bar.update
        )
    document = {"out": str(out), "which": which, "images": summary.images, "annotations": summary.annotations}
    text = f"{summary.images} images and {summary.annotations} annotations in {out / 'annotations.json'}"
    return Result(document, text)


def export_as_conversations(
    workspace: Path, out: Path, which: str, split: str | None, backend: str | None, profile: Path | None
) -> Result:
    """Write training conversations in the words of a prompt profile."""
    from annotator.commands.conversing import conversation_turns, looked_for_by
    from backends.prompts import load_profile
    from exports.conversations import FILE_NAME, export_conversations

    with opened(workspace) as store, progress(store.counts()["frames"], "exporting") as bar:

        def asked_for(entry: "Entry") -> Any:
            said = entry.said
            if isinstance(said, Prediction):
                return looked_for_by(said)
            return looked_for_by(store.prediction(said.prediction_id) if said.prediction_id else None)

        entries = in_splits(store, which, planned_splits(store, which, backend), split, backend)
        turns = conversation_turns(load_profile(profile), asked_for)
        summary = export_conversations(out, entries, store.image_path, turns, advance=bar.update)
    document = {"out": str(out), "which": which, "images": summary.images, "lines": summary.lines}
    counted = ", ".join(f"{count} {task}" for task, count in summary.lines.items()) or "none"
    return Result(document, f"{summary.images} images, conversations: {counted}; in {out / FILE_NAME}")


def export_as_yolo(
    workspace: Path, out: Path, which: str, split: str | None, backend: str | None, task: str
) -> Result:
    """Write a YOLO data set."""
    from exports.yolo import YoloTask, export_yolo

    with opened(workspace) as store, progress(store.counts()["frames"], "exporting") as bar:
        entries = in_splits(store, which, planned_splits(store, which, backend), split, backend)
        summary = export_yolo(out, entries, store.image_path, YoloTask(task), advance=bar.update)
    return _split_result(out, which, summary.images, summary.annotations, "data.yaml", left_out=summary.left_out)


def export_as_image_folder(
    workspace: Path, out: Path, which: str, split: str | None, backend: str | None
) -> Result:
    """Write a folder that Hugging Face `datasets` reads as an image folder."""
    from exports.hugging_face import export_hugging_face

    with opened(workspace) as store, progress(store.counts()["frames"], "exporting") as bar:
        entries = in_splits(store, which, planned_splits(store, which, backend), split, backend)
        summary = export_hugging_face(out, entries, store.image_path, advance=bar.update)
    return _split_result(out, which, summary.images, summary.annotations, "")


def _split_result(
    out: Path, which: str, images: dict[str, int], annotations: int, file: str, **more: Any
) -> Result:
    document = {"out": str(out), "which": which, "images": images, "annotations": annotations, **more}
    counted = ", ".join(f"{count} {split}" for split, count in images.items())
    return Result(document, f"images: {counted}; {annotations} annotations; in {out / file}")
