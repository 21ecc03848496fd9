"""`train embedded` on corrections: from a parent's weights and a data set to a new folder of the same form.

Only the networks that the corrections say something about are taught; the others are the parent's, bit by bit. Each
keeps a checkpoint of its last epoch in `checkpoints/`, so a killed training goes on to the same weights; these are
removed once the folder is whole.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import cv2
import torch
from torch import nn

from annotator.errors import InputError, JobError
from annotator.files import write_atomically
from annotator.taxonomy import BRAIN_PLANES
from backends.embedded import EmbeddedBackend
from backends.embedded.model import WEIGHT_FILES, Networks, content_hash, load_networks
from backends.embedded.networks import BoxNet, HeadNet, PlaneNet
from backends.training.box_task import BoxSettings
from backends.training.data import Example
from backends.training.embedded import save_weights, write_json
from backends.training.finetune.corrections import Corrections, load_corrections
from backends.training.finetune.finish import finish
from backends.training.finetune.rehearsal import simulated_frames
from backends.training.finetune.tasks import BoxLessons, HeadLessons, PlaneLessons, Teaching
from backends.training.loop import Row, Schedule, Task, fit
from backends.training.plane_ensemble import lay_out_heads
from backends.training.plane_task import PlaneSettings

_EMPTY_SHARE = 4  # one frame without boxes to so many with
_COUNTS = ("epochs", "simulated", "least_for_calibration", "batch", "least_per_epoch", "most_per_epoch")

Progress = Callable[[int, int, str], bool]


class TrainingCancelledError(JobError):
    """A training was asked to stop; started again with the same settings it goes on where it was."""


@dataclass(frozen=True)
class FineTuneSettings:
    """Every number that shapes a fine-tuning; `simulated` frames are made to rehearse on.

    Calibration is fitted anew where the split `val` has at least `least_for_calibration` frames that judge it.
    """

    epochs: int = 10
    learning_rate: float = 3e-4
    ema: float = 0.9
    simulated: int = 48
    least_for_calibration: int = 40
    teaching: Teaching = field(default_factory=Teaching)

    @property
    def schedule(self) -> Schedule:
        """The same for all networks; weights decay towards the parent's (`Teaching.anchor`), not towards zero."""
        return Schedule(self.epochs, self.teaching.batch, self.learning_rate, weight_decay=0.0, ema=self.ema)


FINE_TUNE_DEFAULTS = FineTuneSettings()


def fine_tune_settings(given: Mapping[str, Any]) -> FineTuneSettings:
    """The defaults with what is given by name, of FineTuneSettings or Teaching; InputError where it will not do.

    >>> fine_tune_settings({"epochs": 3, "anchor": 0.01}).teaching.anchor
    0.01
    """
    whole = {one.name for one in fields(FineTuneSettings)} - {"teaching"}
    taught = {one.name for one in fields(Teaching)} - {"head_jitter", "origin"}
    for name, value in given.items():
        if name not in whole | taught:
            raise InputError(f"no setting {name!r} of a fine-tuning; there is: {', '.join(sorted(whole | taught))}")
        if type(value) not in (int, float) or not 0 <= value < float("inf"):
            raise InputError(f"the setting {name!r} of a fine-tuning must be a number from 0, got {value!r}")
        if name in _COUNTS and (type(value) is not int or value < 1):
            raise InputError(f"the setting {name!r} of a fine-tuning must be a whole number above 0, got {value!r}")
    default = FINE_TUNE_DEFAULTS
    teaching = replace(default.teaching, **{name: value for name, value in given.items() if name in taught})
    chosen = {name: value for name, value in given.items() if name in whole}
    return replace(default, **chosen, teaching=teaching)


def fine_tune_embedded(
    data: Path,
    parent: Path,
    out: Path,
    *,
    settings: FineTuneSettings = FINE_TUNE_DEFAULTS,
    seed: int = 0,
    threads: int = 1,
    on_progress: Progress | None = None,
) -> dict[str, Any]:
    """Teach the model in `parent` what the data set in `data` corrects; write `out`, return its model.json.

    The same data, parent, settings, seed, threads and machine give the same files, also when it was killed in
    between. `on_progress` gets (steps done, of, what) and returns whether to go on. Raises InputError where there
    is nothing to learn, TrainingCancelledError, BackendError where the parent or a checkpoint does not fit.
    """
    torch.set_num_threads(threads)
    cv2.setNumThreads(1)  # frames are small; cv2's own threads would fight torch's
    corrections = load_corrections(data)
    description, networks = load_networks(parent)
    origin = content_hash(parent)
    teaching = replace(settings.teaching, origin=f"{origin}+{corrections.digest}")
    course = _Course(description, networks, corrections, replace(settings, teaching=teaching), seed, on_progress)
    rows = course.teach(out / "checkpoints")
    _write_weights(course, parent, out)
    write_json(out / "training.json", rows)
    lineage = {
        "parent": {"name": f"{EmbeddedBackend.name}-{origin[:8]}", "content_hash": origin},
        "data": corrections.digest,
        "frames": {name: len(frames) for name, frames in course.lessons.items()},
        "left_out": {**corrections.left_out, **course.left_out},
        "seed": seed,
        "settings": asdict(settings),
        "environment": {"python": platform.python_version(), "torch": torch.__version__, "threads": threads},
    }
    told = description | {"fine_tuned": lineage}
    finished = finish(out, parent, told, corrections.validation, settings.least_for_calibration)
    shutil.rmtree(out / "checkpoints", ignore_errors=True)
    return finished


class _Course:
    """One training: which network learns from which frames, and how far it is."""

    def __init__(
        self,
        description: Mapping[str, Any],
        networks: Networks,
        corrections: Corrections,
        settings: FineTuneSettings,
        seed: int,
        on_progress: Progress | None,
    ) -> None:
        self.description, self.networks, self.settings, self.seed = description, networks, settings, seed
        self.left_out = dict[str, int]()
        self.lessons = self._lessons(corrections.train)
        self.rehearsed = simulated_frames(settings.simulated, seed)
        self._on_progress, self._done, self._total = on_progress, 0, 0

    def teach(self, checkpoints: Path) -> list[Row]:
        """Teach the head first: the planes are read from heads that it lays straight."""
        members = self.networks.members if "planes" in self.lessons else []
        networks = {"planes": len(members)}
        steps = self.settings.teaching.steps
        each = [networks.get(name, 1) * steps(len(frames)) for name, frames in self.lessons.items()]
        self._total = self.settings.epochs * sum(each)
        rows: list[Row] = []
        if "head" in self.lessons:
            head, rows = self._fit(self._head_lessons(), checkpoints)
            assert isinstance(head, HeadNet)
            self.networks = replace(self.networks, head=head)
        if "boxes" in self.lessons:
            boxes, box_rows = self._fit(self._box_lessons(), checkpoints)
            assert isinstance(boxes, BoxNet)
            self.networks, rows = replace(self.networks, boxes=boxes), rows + box_rows
        for task in self._plane_lessons() if members else ():
            learnt, plane_rows = self._fit(task, checkpoints)
            assert isinstance(learnt, PlaneNet)
            members[task.member].learnt, rows = learnt, rows + plane_rows
        return rows

    def _lessons(self, train: Sequence[Example]) -> dict[str, list[Example]]:
        """The frames each network can learn from; InputError where there is nothing for any."""
        with_boxes = [example for example in train if example.boxes]
        without = [example for example in train if not example.boxes and example.kind in ("brain", "other")]
        planes = [example for example in train if example.plane in BRAIN_PLANES]
        if len({example.plane for example in planes}) == 1:
            self.left_out[f"plane {planes[0].plane}, the only one: no difference to learn"] = len(planes)
            planes = []
        kinds = {example.kind for example in train if example.kind is not None}
        if not planes and len(kinds) < 2 and not any(one.boxes or one.mask is not None for one in train):
            classes = {str(example.plane or example.kind) for example in train}
            raise InputError(f"all corrections are of one class ({', '.join(sorted(classes))}): nothing to learn")
        lessons = {
            "head": [example for example in train if example.mask is not None or example.kind is not None],
            "boxes": [*with_boxes, *without[: len(with_boxes) // _EMPTY_SHARE]] if with_boxes else [],
            "planes": planes,
        }
        return {name: frames for name, frames in lessons.items() if frames}

    def _head_lessons(self) -> HeadLessons:
        size_wh = tuple(self.description["head"]["size_wh"])
        return HeadLessons(
            self.networks.head, self.lessons["head"], self.rehearsed, size_wh, self.settings.teaching
        )

    def _box_lessons(self) -> BoxLessons:
        boxes = BoxSettings(size_wh=tuple(self.description["boxes"]["size_wh"]))
        return BoxLessons(self.networks.boxes, self.lessons["boxes"], self.rehearsed, boxes, self.settings.teaching)

    def _plane_lessons(self) -> list[PlaneLessons]:
        planes = self.description["planes"]
        settings = PlaneSettings(size_wh=tuple(planes["size_wh"]), margin=planes["margin"])
        size_wh = tuple(self.description["head"]["size_wh"])
        corrected, rehearsed = (
            lay_out_heads(self.networks.head, frames, size_wh)
            for frames in (self.lessons["planes"], [one for one in self.rehearsed if one.plane in BRAIN_PLANES])
        )
        return [
            PlaneLessons(member.learnt, corrected, rehearsed, number, settings, self.settings.teaching)
            for number, member in enumerate(self.networks.members)
        ]

    def _fit(self, task: Task, checkpoints: Path) -> tuple[nn.Module, list[Row]]:
        before = self._done

        def on_step(step: int) -> None:
            if self._on_progress and not self._on_progress(before + step, self._total, f"teaching {task.name}"):
                raise TrainingCancelledError("the training was cancelled; asked for again, it goes on where it was")

        fitted = fit(task, self.settings.schedule, self.seed, checkpoints / f"{task.name}.ckpt", on_step)
        self._done += self.settings.epochs * task.steps
        return fitted


def _write_weights(course: _Course, parent: Path, out: Path) -> None:
    """What was taught as it is now, the rest as the parent's file."""
    networks = (course.networks.head, course.networks.boxes, course.networks.planes)
    for lesson, network, name in zip(("head", "boxes", "planes"), networks, WEIGHT_FILES, strict=True):
        if lesson in course.lessons:
            save_weights(network, out / name)
        else:
            write_atomically(out / name, (parent / name).read_bytes())
