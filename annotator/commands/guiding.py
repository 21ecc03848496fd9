"""What the review panel needs of the rest: the model behind a guided case, and the way to Label Studio."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from annotator.errors import AnnotatorError, StoreError
from annotator.frames import load_frame
from annotator.labelstudio.connect import open_client
from annotator.labelstudio.push import push_one
from annotator.mapping import map_structures
from annotator.schema import GUIDED, Backend, Interpretation, ModelVersion, Prediction, new_id
from annotator.store import Store
from backends.serving_model import serving
from review.running import Preset, RunProgress, RunState

if TYPE_CHECKING:
    from review.fixes import HandOver

RUNS_KEPT = 500


@dataclass
class _Run:
    """One request; `cancelled` drops an answer that is still on its way, for a model cannot be stopped midway."""

    future: "Future[Prediction]"
    asked: str
    begun: float = field(default_factory=time.monotonic)
    cancelled: bool = False


class LiveRunner:
    """A GuidedRunner over a model in a worker process: one request at a time, the others wait their turn."""

    def __init__(self, store: Store, model: Backend) -> None:
        """Ask `model` about frames of `store`."""
        self._store = store
        self._serving = serving(model)
        self._queue = ThreadPoolExecutor(1, thread_name_prefix="guided")
        self._lock = threading.Lock()
        self._runs: dict[str, _Run] = {}

    def preset(self, prediction: Prediction, interpretation: Interpretation) -> Preset:
        """Map the text, as the reader left it, to structures."""
        mapping = map_structures(interpretation, prediction.plane)
        return Preset(mapping.detect, mapping.segment, mapping.tier.value, mapping.evidence)

    def start(
        self, frame_id: str, detect: Sequence[str], segment: Sequence[str], *, prediction_id: str | None = None
    ) -> str:
        """Queue the request; its run is told apart from all others by a random id."""
        run_id = new_id("run")
        asked = ", ".join(dict.fromkeys([*detect, *segment]))
        with self._lock:
            while len(self._runs) >= RUNS_KEPT:
                self._runs.pop(next(iter(self._runs)))
            future = self._queue.submit(self._look, run_id, frame_id, tuple(detect), tuple(segment))
            self._runs[run_id] = _Run(future, asked)
        return run_id

    def progress(self, run: str) -> RunProgress:
        """Return how a run stands; KeyError for one that is not known, as after a restart."""
        known = self._runs[run]
        if known.cancelled:
            return RunProgress("cancelled", line="cancelled")
        if not known.future.done():
            state: RunState = "running" if known.future.running() else "queued"
            waited = time.monotonic() - known.begun
            # How long a model takes is not known beforehand: the bar comes near its end without reaching it.
            return RunProgress(state, waited / (waited + 10.0), f"looking for {known.asked}: {waited:.0f} s")
        error = known.future.exception()
        if error is not None:
            line = str(error) if isinstance(error, AnnotatorError) else f"{type(error).__name__}: {error}"
            return RunProgress("failed", 1.0, line)
        prediction = known.future.result()
        return RunProgress("done", 1.0, "done", prediction.findings, prediction.prediction_id)

    def cancel(self, run: str) -> None:
        """Drop a run; one that is done or not known stays as it is."""
        known = self._runs.get(run)
        if known is not None and not known.future.done():
            known.cancelled = True
            known.future.cancel()

    def _look(self, run_id: str, frame_id: str, detect: tuple[str, ...], segment: tuple[str, ...]) -> Prediction:
        frame = self._store.frame(frame_id)
        if frame is None:
            raise StoreError(f"frame {frame_id} is not in the store")
        loaded = load_frame(frame, self._store.image_path(frame_id))
        with self._serving.pinned() as model:
            version = _guided(model.model)
            prediction = model.look_for(loaded, detect, segment)
        prediction = prediction.model_copy(update={"model_version": version.name})
        with self._lock:
            dropped = run_id in self._runs and self._runs[run_id].cancelled
        if not dropped:
            self._store.add_model_version(version)
            with self._store.writing() as connection:
                self._store.add_predictions(connection, [prediction])
        return prediction


def _guided(model: ModelVersion) -> ModelVersion:
    """The version that answers to what a reader chose to look for."""
    return model.model_copy(
        update={"name": f"{model.name}{GUIDED}", "backend": f"{model.backend}{GUIDED}", "parent": model.name}
    )


def to_label_studio(store: Store) -> "HandOver":
    """Return what opens a prediction of a frame in Label Studio; the correction comes back by webhook or pull."""

    def hand_over(frame_id: str, prediction_id: str, reader: str) -> str:
        prediction = store.prediction(prediction_id)
        if prediction is None:
            raise StoreError(f"prediction {prediction_id} is not in the store")
        with open_client(store.workspace) as client:
            return push_one(store, client, prediction)

    return hand_over
