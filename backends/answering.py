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

log = logging.getLogger(__name__)

Answer = dict[str, Any]


class Answers:
    """Answers for Label Studio's tasks: always as many as there are tasks, in their order, each of them valid."""

    def __init__(self, store: Store, model: Backend, *, limit_s: float) -> None:
        """Answer from `store` and `model`; what would take longer than `limit_s` is queued instead."""
        self._store = store
        self._model = model
        self._limit_s = limit_s
        self.refused: Counter[str] = Counter()

    @property
    def model_version(self) -> str:
        """The version that every answer carries."""
        return self._model.model.name

    def predict(self, tasks: Sequence[Any], context: Mapping[str, Any] | None) -> list[Answer]:
        """Answer each task; one that cannot be answered gets an empty result, and the reason is counted."""
        frames = [self._frame_of(task) for task in tasks]
        if context is not None:
            return [self._prompted(frame, context) for frame in frames]
        known = self._known([frame.frame_id for frame in frames if frame])
        deadline = time.monotonic() + self._limit_s
        answers, late = [], []
        for frame in frames:
            prediction = known.get(frame.frame_id) if frame else None
            if frame and prediction is None:
                if time.monotonic() < deadline:
                    prediction = known[frame.frame_id] = self._ask_model(frame)
                else:
                    late.append(frame.frame_id)
            answers.append(self._answer(prediction, frame))
        if late:
            self._refuse(f"no time: {len(late)} frames queued")
            jobs.queue_job(self._store, jobs.PREANNOTATE, self.model_version, late)
        return answers

    def _frame_of(self, task: Any) -> Frame | None:
        frame_id = frame_id_from_task(task) if isinstance(task, dict) else None
        frame = self._store.frame(frame_id) if frame_id else None
        if frame is None:
            self._refuse("a task whose image is not in the store")
        return frame

    def _known(self, frame_ids: Sequence[str]) -> dict[str, Prediction | None]:
        found: dict[str, Prediction | None] = {}
        for start in range(0, len(frame_ids), 500):
            chunk = frame_ids[start : start + 500]
            predictions = self._store.newest_predictions(self.model_version, frame_ids=chunk)
            found.update({prediction.frame_id: prediction for prediction in predictions})
        return found

    def _ask_model(self, frame: Frame) -> Prediction | None:
        try:
            loaded = load_frame(frame, self._store.image_path(frame.frame_id))
            (prediction,) = self._model.predict([loaded])
        except AnnotatorError as error:
            self._refuse(str(error))
            return None
        self._store.add_model_version(self._model.model)
        with self._store.writing() as connection:
            self._store.add_predictions(connection, [prediction])
        return prediction

    def _prompted(self, frame: Frame | None, context: Mapping[str, Any]) -> Answer:
        """Answer a smart tool; its regions are suggestions, and are stored when the reader submits them."""
        prompt = prompt_from_context(dict(context), frame) if frame else None
        if frame is None or prompt is None:
            return self._answer(None, None)
        try:
            loaded = load_frame(frame, self._store.image_path(frame.frame_id))
            findings = self._model.prompt(loaded, prompt)
        except AnnotatorError as error:
            self._refuse(str(error))
            return self._answer(None, None)
        regions = [region for finding in findings for region in finding_to_regions(finding, frame)]
        scores = [finding.score for finding in findings if finding.score is not None]
        return {"result": regions, "score": min(scores, default=0.0), "model_version": self.model_version}

    def _answer(self, prediction: Prediction | None, frame: Frame | None) -> Answer:
        if prediction is None or frame is None:
            return {"result": [], "score": 0.0, "model_version": self.model_version}
        result = prediction_to_result(prediction, frame)
        return {"result": result, "score": prediction.score or 0.0, "model_version": self.model_version}

    def _refuse(self, reason: str) -> None:
        self.refused[reason] += 1
        log.warning("answered nothing: %s", reason)
