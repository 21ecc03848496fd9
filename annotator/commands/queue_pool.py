"""From the store to the pool that a queue is picked from: who may be labelled next, and what is known of each."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from annotator.commands.exporting import said_of
from annotator.commands.queue_columns import Rows, embeddings, version_disagreement, view_disagreement
from annotator.datasets import DatasetVersion
from annotator.schema import GUIDED, Correction, Frame, ModelVersion, Prediction
from annotator.selection import Checked, Pool
from annotator.store import Store
from annotator.store.datasets import dataset_versions
from annotator.store.learning import queue_rounds
from annotator.store.studies import frozen_frame_ids

if TYPE_CHECKING:
    from backends.embedded import EmbeddedBackend

HELD_BACK = ("val", "test")


@dataclass(frozen=True)
class Labelling:
    """The frames of a workspace as a queue sees them; `said` is what counts of a labelled frame."""

    frames: Mapping[str, Frame]
    candidates: tuple[str, ...]
    said: Mapping[str, Correction]
    frozen: int
    twins: int

    @property
    def labelled(self) -> tuple[str, ...]:
        """Ids of the labelled frames."""
        return tuple(self.said)


def labelling_of(store: Store) -> Labelling:
    """Part the frames into labelled ones, candidates, those of studies, and twins of labelled ones.

    A frame that all its readers skipped is answered: nobody is asked about it again.
    """
    frozen = frozen_frame_ids(store)
    frames = {frame.frame_id: frame for frame in store.frames() if frame.frame_id not in frozen}
    said = {
        one.frame_id: one
        for which in ("corrected", "truth")
        for one in said_of(store, which)
        if isinstance(one, Correction) and one.frame_id in frames
    }
    answered = {one.frame_id for one in store.newest_of_readers()} | set(said)
    units = {unit_of(frames[frame_id]) for frame_id in answered if frame_id in frames}
    waiting = [frame_id for frame_id in frames if frame_id not in answered]
    candidates = tuple(frame_id for frame_id in waiting if unit_of(frames[frame_id]) not in units)
    return Labelling(frames, candidates, said, len(frozen), len(waiting) - len(candidates))


def unit_of(frame: Frame) -> str:
    """Return what must not be labelled twice: the cine loop or group of duplicates, else the frame itself."""
    return f"group:{frame.source}/{frame.group}" if frame.group else f"frame:{frame.frame_id}"


def build_pool(
    store: Store,
    labelling: Labelling,
    version: str | None,
    needs: Collection[str],
    open_model: "Callable[[], EmbeddedBackend]",
) -> Pool:
    """Fill the columns that `needs` names, and those that cost nothing; `version` is the one that serves."""
    ids = labelling.candidates
    newest = {said.frame_id: said for said in store.newest_predictions(version, frame_ids=list(ids))}
    strata = tuple(_stratum(labelling.frames[one], newest[one].plane if one in newest else None) for one in ids)
    said = labelling.said
    rows, labelled_rows = _embedded(store, labelling, open_model) if "embeddings" in needs else (None, None)
    return Pool(
        ids=ids,
        strata=strata,
        units=tuple(unit_of(labelling.frames[one]) for one in ids),
        uncertainty=np.array([_uncertainty(newest.get(one)) for one in ids]) if newest else None,
        disagreement=_disagreement(store, labelling, open_model) if "disagreement" in needs else None,
        embeddings=rows,
        labelled_embeddings=labelled_rows,
        labelled_strata=tuple(_stratum(labelling.frames[one], said[one].plane) for one in said),
        structures=tuple(_structures(newest.get(one)) for one in ids) if newest else (),
        labelled_structures=tuple(_structures(one) for one in said.values()),
        round=sum(not queue.relabels for queue in queue_rounds(store)),
    )


def held_back(store: Store, frames: Sequence[Frame]) -> dict[str, int]:
    """Count the frames that validate or test: a test set needs labels too, though nothing is trained on them."""
    from exports.splits import keys_of

    assigned: dict[str, str] = {}
    for version in dataset_versions(store):
        assigned |= version.assigned
    splits = [next((assigned[key] for key in keys_of(one) if key in assigned), one.split) for one in frames]
    return {split: count for split, count in Counter(splits).items() if split in HELD_BACK}


def checked_frames(store: Store, labelling: Labelling) -> Iterator[Checked]:
    """Yield labelled frames beside the newest answer of a version that was not trained on them."""
    trained_until = _trained_until(store)
    planes = sorted({said.plane for said in labelling.said.values() if said.plane})
    answers: dict[str, Prediction] = {}
    for prediction in _unguided(store, labelling.labelled):
        until = trained_until.get(prediction.model_version)
        if until is None or labelling.said[prediction.frame_id].created_at > until.created_at:
            answers[prediction.frame_id] = prediction
    for frame_id, said in labelling.said.items():
        if frame_id in answers:
            answer = answers[frame_id]
            yield Checked(frame_id, said.plane, _chances(answer, planes), said.findings, answer.findings)


def _unguided(store: Store, frame_ids: Sequence[str]) -> Iterator[Prediction]:
    """Every prediction but those that answer what a person chose to look for."""
    said = store.predictions_of(list(frame_ids))
    return (one for one in said if not one.model_version.endswith(GUIDED))


def _trained_until(store: Store) -> dict[str, DatasetVersion]:
    """For each trained version the newest data set that it or one of its parents learnt from."""
    datasets = {version.dataset_id: version for version in dataset_versions(store)}
    models = {model.name: model for model in store.model_versions()}

    def newest(model: ModelVersion | None, seen: int = 0) -> DatasetVersion | None:
        if model is None or seen > len(models):
            return None
        own = datasets.get(model.dataset or "")
        return own or newest(models.get(model.parent or ""), seen + 1)

    return {name: found for name, model in models.items() if (found := newest(model)) is not None}


def _chances(answer: Prediction, planes: Sequence[str]) -> dict[str, float]:
    """The score of the plane it named; what is left goes to the others in equal parts."""
    if answer.plane is None or answer.plane_score is None:
        return {}
    others = [plane for plane in planes if plane != answer.plane]
    rest = (1 - answer.plane_score) / max(len(others), 1)
    return {answer.plane: answer.plane_score, **dict.fromkeys(others, rest)}


def _stratum(frame: Frame, plane: str | None) -> str:
    return "|".join((plane or "", frame.site or frame.source, frame.scanner or ""))


def _uncertainty(said: Prediction | None) -> float:
    return float("nan") if said is None or said.score is None else 1.0 - said.score


def _structures(said: Prediction | Correction | None) -> frozenset[str]:
    return frozenset(one.structure for one in said.findings) if said else frozenset()


def _disagreement(
    store: Store, labelling: Labelling, open_model: "Callable[[], EmbeddedBackend]"
) -> "np.typing.NDArray[np.float64]":
    """Between the versions that answered, where two did; between views of the frame else."""
    answers: dict[str, list[Prediction]] = {}
    for prediction in _unguided(store, labelling.candidates):
        answers.setdefault(prediction.frame_id, []).append(prediction)
    found = {one: version_disagreement(answers.get(one, [])) for one in labelling.candidates}
    alone = [labelling.frames[one] for one, value in found.items() if value is None]
    views = view_disagreement(store, open_model(), alone) if alone else {}
    known = {one: value if value is not None else views.get(one) for one, value in found.items()}
    return np.array(
        [float("nan") if known[one] is None else known[one] for one in labelling.candidates], np.float64
    )


def _embedded(store: Store, labelling: Labelling, open_model: "Callable[[], EmbeddedBackend]") -> tuple[Rows, Rows]:
    """Features of candidates and labelled frames, each feature with variance 1 / D over all of them.

    A frame that could not be read lies in the middle.
    """
    ids = [*labelling.candidates, *labelling.labelled]
    found = embeddings(store, open_model(), [labelling.frames[one] for one in ids])
    if not found:
        return np.zeros((len(labelling.candidates), 1), np.float32), np.zeros((0, 1), np.float32)
    rows = np.stack(list(found.values()))
    mean, spread = rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-6) * np.sqrt(rows.shape[1])
    scaled = np.stack([(found.get(one, mean) - mean) / spread for one in ids]).astype(np.float32)
    return scaled[: len(labelling.candidates)], scaled[len(labelling.candidates) :]
