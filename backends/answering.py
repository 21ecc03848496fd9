"""What the ML backend answers: predictions from the store where a frame is known, else from the model in time."""

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from annotator import jobs
from annotator.errors import AnnotatorError
from annotator.frames import load_frame
from annotator.labelstudio.regions import finding_to_regions, prediction_to_result
from annotator.labelstudio.tasks import frame_id_from_task, prompt_from_context
from annotator.schema import Backend, Frame, Prediction
from annotator.store import Store
from annotator.store.versions import predicting_versions
from backends.serving_model import serving

log = logging.getLogger(__name__)

Answer = dict[str, Any]


class Answers:
    """Answers for Label Studio's tasks: always as many as there are tasks, in their order, each of them valid."""

    def __init__(self, store: Store, model: Backend, *, limit_s: float) -> None:
        """Answer from `store` and `model`; what would take longer than `limit_s` is queued instead.

        A ServingModel may be exchanged at any time: all answers of one request are of one version.
        """
        self._store = store
        self._serving = serving(model)
        self._limit_s = limit_s
        self.refused: Counter[str] = Counter()

    @property
    def model_version(self) -> str:
        """The version that answers carry from now on."""
        return self._serving.model.name

    def versions(self) -> list[str]:
        """The version that serves, and before it all others that ever pre-annotated a frame here."""
        current = self.model_version
        return [*(name for name in predicting_versions(self._store) if name != current), current]

    def predict(self, tasks: Sequence[Any], context: Mapping[str, Any] | None) -> list[Answer]:
        """Answer each task; one that cannot be answered gets an empty result, and the reason is counted."""
        frames = [self._frame_of(task) for task in tasks]
        with self._serving.pinned() as model:
            if context is not None:
                return [self._prompted(model, frame, context) for frame in frames]
            return self._predicted(model, frames)

    def _predicted(self, model: Backend, frames: Sequence[Frame | None]) -> list[Answer]:
        version = model.model.name
        known = self._known(version, [frame.frame_id for frame in frames if frame])
        deadline = time.monotonic() + self._limit_s
        answers, late = [], []
        for frame in frames:
            prediction = known.get(frame.frame_id) if frame else None
            if frame and prediction is None:
                if time.monotonic() < deadline:
                    prediction = known[frame.frame_id] = self._ask_model(model, frame)
                else:
                    late.append(frame.frame_id)
            answers.append(_answer(version, prediction, frame))
        if late:
            self._refuse(f"no time: {len(late)} frames queued")
            jobs.queue_job(self._store, jobs.PREANNOTATE, version, late)
        return answers

    def _frame_of(self, task: Any) -> Frame | None:
        frame_id = frame_id_from_task(task) if isinstance(task, dict) else None
        frame = self._store.frame(frame_id) if frame_id else None
        if frame is None:
            self._refuse("a task whose image is not in the store")
        return frame

    def _known(self, version: str, frame_ids: Sequence[str]) -> dict[str, Prediction | None]:
        found: dict[str, Prediction | None] = {}
        for start in range(0, len(frame_ids), 500):
            chunk = frame_ids[start : start + 500]
            predictions = self._store.newest_predictions(version, frame_ids=chunk)
            found.update({prediction.frame_id: prediction for prediction in predictions})
        return found

    def _ask_model(self, model: Backend, frame: Frame) -> Prediction | None:
        try:
            loaded = load_frame(frame, self._store.image_path(frame.frame_id))
            (prediction,) = model.predict([loaded])
        except AnnotatorError as error:
            self._refuse(str(error))
            return None
        self._store.add_model_version(model.model)
        with self._store.writing() as connection:
            self._store.add_predictions(connection, [prediction])
        return prediction

    def _prompted(self, model: Backend, frame: Frame | None, context: Mapping[str, Any]) -> Answer:
        """Answer a smart tool; its regions are suggestions, and are stored when the reader submits them."""
        prompt = prompt_from_context(dict(context), frame) if frame else None
        if frame is None or prompt is None:
            return _answer(model.model.name, None, None)
        try:
            loaded = load_frame(frame, self._store.image_path(frame.frame_id))
            findings = model.prompt(loaded, prompt)
        except AnnotatorError as error:
            self._refuse(str(error))
            return _answer(model.model.name, None, None)
        regions = [region for finding in findings for region in finding_to_regions(finding, frame)]
        scores = [finding.score for finding in findings if finding.score is not None]
        return {"result": regions, "score": min(scores, default=0.0), "model_version": model.model.name}

    def _refuse(self, reason: str) -> None:
        self.refused[reason] += 1
        log.warning("answered nothing: %s", reason)


def _answer(version: str, prediction: Prediction | None, frame: Frame | None) -> Answer:
    if prediction is None or frame is None:
        return {"result": [], "score": 0.0, "model_version": version}
    result = prediction_to_result(prediction, frame)
    return {"result": result, "score": prediction.score or 0.0, "model_version": version}
