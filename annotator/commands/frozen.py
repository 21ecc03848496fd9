"""The frames that versions are judged on: labelled, held back for good, and never trained on by either of them."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from annotator.commands.exporting import said_of
from annotator.errors import InputError
from annotator.schema import Correction, Frame, ModelVersion
from annotator.store import Store
from annotator.store.datasets import dataset_versions
from annotator.store.studies import frozen_frame_ids

HELD_BACK = ("test", "val")  # the first that holds a labelled frame is taken


@dataclass(frozen=True)
class FrozenSet:
    """Frames with what counts as true of each, in one order; `notes` tell what was left out, and why."""

    split: str = HELD_BACK[0]
    labelled: tuple[tuple[Frame, Correction], ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def digest(self) -> str:
        """SHA-256 over the frames and their labels."""
        lines = [f"{frame.frame_id} {label.correction_id}" for frame, label in self.labelled]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def __str__(self) -> str:
        counted = Counter("reference" if label.is_truth else "corrected" for _, label in self.labelled)
        by = ", ".join(f"{count} {name}" for name, count in sorted(counted.items())) or "none"
        return f"judged on labelled frames of split {self.split}: {by}"


def frozen_set(store: Store, versions: Sequence[ModelVersion]) -> FrozenSet:
    """Return the labelled frames of split test, or else val, that none of `versions` nor their parents learnt from.

    A frame's label is the reference standard's, or else what its readers settled on. Only splits that are settled
    count: imported, or given by a data set that was written. Frames of reader studies belong to their readers.
    InputError where it cannot be told what a version learnt from.
    """
    labels = {label.frame_id: label for label in said_of(store, "corrected") if isinstance(label, Correction)}
    labels |= {label.frame_id: label for label in store.newest_corrections(is_truth=True)}
    frames = [frame for frame in store.frames() if frame.frame_id in labels]
    splits = _settled_splits(store, frames, labels)
    split = next((name for name in HELD_BACK if name in splits.values()), HELD_BACK[0])
    held_back = [frame for frame in frames if splits.get(frame.frame_id) == split]
    learnt = _learnt_from(store, versions)
    unseen = sorted((frame for frame in held_back if not _keys(frame) & learnt), key=lambda one: one.frame_id)
    notes = []
    if len(unseen) < len(held_back):
        notes.append(f"{len(held_back) - len(unseen)} frames left out: a version or its parent was trained on them")
    if split != HELD_BACK[0] and unseen:
        notes.append(
            f"no labelled frame is in split test; training may have looked at split {split} to stop in time"
        )
    return FrozenSet(split, tuple((frame, labels[frame.frame_id]) for frame in unseen), tuple(notes))


def _settled_splits(store: Store, frames: Iterable[Frame], labels: dict[str, Correction]) -> dict[str, str]:
    from exports.splits import assign_splits

    previous: dict[str, str] = {}
    for version in dataset_versions(store):
        previous |= version.assigned
    settled = [
        (frame, labels[frame.frame_id].plane)
        for frame in frames
        if (frame.split and not frame.simulated) or any(key in previous for key in _keys(frame))
    ]
    return assign_splits(settled, frozen=frozen_frame_ids(store), previous=previous).of_frame


def _learnt_from(store: Store, versions: Sequence[ModelVersion]) -> set[str]:
    """Subjects, groups and frames in the training splits of the data sets of versions and all their parents."""
    known = {model.name: model for model in store.model_versions()}
    datasets = {version.dataset_id: version for version in dataset_versions(store)}
    waiting, seen, learnt = list(versions), set[str](), set[str]()
    while waiting:
        model = waiting.pop()
        if model.name in seen:
            continue
        seen.add(model.name)
        if model.dataset is not None and model.dataset not in datasets:
            raise InputError(
                f"{model.name} learnt from {model.dataset}, which this workspace does not know: whether the frozen "
                "frames were held back from it cannot be told"
            )
        if model.dataset is not None:
            learnt |= {key for key, split in datasets[model.dataset].assigned.items() if split == "train"}
        if model.parent in known:
            waiting.append(known[model.parent])
    return learnt


def _keys(frame: Frame) -> set[str]:
    from exports.splits import keys_of

    return set(keys_of(frame))
