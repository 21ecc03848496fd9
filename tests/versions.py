"""Workspaces with frames that are held back, and versions of the embedded model to be judged on them."""

from collections.abc import Iterable
from pathlib import Path

from annotator.commands.simulated import simulated_frames
from annotator.datasets import DatasetVersion, taxonomy_hash
from annotator.frames import save_pixels
from annotator.learning import Decision, Promotion, TrainableBackend, model_folder
from annotator.schema import Correction, Frame, ModelVersion, Prediction
from annotator.store import Store
from annotator.store.datasets import add_dataset_version
from annotator.store.learning import add_promotion, serving_version
from backends.embedded import SHIPPED_WEIGHTS
from backends.embedded.model import content_hash
from exports.splits import keys_of
from tests.builders import a_correction, a_mask, a_masked_finding, a_prediction, keep_frames
from tests.worse_models import equal_copy, noisy_copy

DATASET = "made-up-1"


def note_dataset(store: Store, splits: Iterable[tuple[Frame, str]], name: str = DATASET) -> None:
    """Note a data set in which every frame has its split."""
    assigned = {key: split for frame, split in splits for key in keys_of(frame)}
    version = DatasetVersion(
        dataset_id=name,
        name="made-up",
        which="truth",
        content_hash="0" * 64,
        files={},
        taxonomy_hash=taxonomy_hash(),
        images=len(assigned),
        annotations=0,
        structures={},
        splits={},
        assigned=assigned,
    )
    add_dataset_version(store, version)


def held_back_phantoms(store: Store, count: int = 16) -> list[Frame]:
    """Simulated frames with their reference, all in split test."""
    frames = []
    for pixels, frame, truth in simulated_frames(count, seed=0):
        save_pixels(pixels, store.image_path(frame.frame_id))
        store.add_frames([frame])
        store.add_corrections([truth])
        frames.append(frame)
    note_dataset(store, [(frame, "test") for frame in frames])
    return frames


def labelled(
    store: Store, count: int, *, first_seed: int = 0, is_truth: bool = True
) -> list[tuple[Frame, Correction]]:
    """Small frames of a subject each, with a head and a plane."""
    frames = [
        frame.model_copy(update={"subject": f"subject {frame.source_file}"})
        for frame in keep_frames(store, count, first_seed=first_seed)
    ]
    store.add_frames(frames)
    head = a_masked_finding(a_mask())
    labels = [
        a_correction(frame, "anna", findings=(head,), plane="Trans-thalamic", is_truth=is_truth) for frame in frames
    ]
    store.add_corrections(labels)
    return list(zip(frames, labels, strict=True))


def a_trained(store: Store, folder: Path, parent: str | None = None, dataset: str | None = DATASET) -> ModelVersion:
    """Move a folder of weights to where versions lie, and note it as a version."""
    digest = content_hash(folder)
    name = f"embedded-{digest[:8]}"
    folder.rename(_parent_made(model_folder(store.workspace, name)))
    model = ModelVersion(
        name=name,
        backend="embedded",
        base="fine-tuned",
        content_hash=digest,
        parent=parent,
        dataset=dataset,
        settings={"margins": {"dice": 0.01, "detection": 0.03, "plane": 0.05}},
    )
    store.add_model_version(model)
    return model


def noisy(store: Store, sigma: float = 0.3, seed: int = 0) -> ModelVersion:
    """A version that is worse: the release with noise in its weights."""
    return a_trained(store, noisy_copy(SHIPPED_WEIGHTS, store.workspace / "made" / f"noisy{seed}", sigma, seed))


def equal(store: Store) -> ModelVersion:
    """A version that says what the release says."""
    return a_trained(store, equal_copy(SHIPPED_WEIGHTS, store.workspace / "made" / "equal"))


def a_version(store: Store, name: str, **more: object) -> ModelVersion:
    """A version whose files do not matter, for its predictions are stored."""
    fields = {"backend": "embedded", "base": "scratch", "content_hash": "0" * 64, "dataset": DATASET, **more}
    model = ModelVersion.model_validate({"name": name, **fields})
    store.add_model_version(model)
    model_folder(store.workspace, name).mkdir(parents=True, exist_ok=True)
    return model


def say(store: Store, version: str, labels: Iterable[tuple[Frame, Correction]], *, wrong: int = 0) -> None:
    """Store predictions that are right, but for the first `wrong` ones."""
    predictions: list[Prediction] = []
    for place, (frame, label) in enumerate(labels):
        head = a_masked_finding(a_mask(box=(0, 0, 3, 3)) if place < wrong else a_mask(), score=0.9)
        plane = "Trans-cerebellum" if place < wrong else label.plane
        predictions.append(a_prediction(frame, version, findings=(head,), plane=plane))
    with store.writing() as connection:
        store.add_predictions(connection, predictions)


def promoted(
    store: Store,
    name: str | None,
    decision: Decision = Decision.PROMOTED,
    *,
    backend: TrainableBackend = "embedded",
) -> Promotion:
    """Append a decision by which a version serves."""
    previous = serving_version(store, backend)
    made = Promotion(backend=backend, candidate=name or "", previous=previous, serving=name, decision=decision)
    add_promotion(store, made)
    return made


def _parent_made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
