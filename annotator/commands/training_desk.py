"""What `annotator serve` does about trainings: takes wishes at once, has a process of its own work them off."""

import logging
import subprocess
import sys
import time
from typing import Any

from annotator.commands.training_jobs import ASKED, NOTE, ask_for_training
from annotator.commands.training_runs import TRAIN, log_path
from annotator.errors import JobError
from annotator.files import exclusive_lock
from annotator.learning import OPEN_STATES, TrainingRun
from annotator.schema import utc_now
from annotator.store import Links, Store
from annotator.store.learning import cancel_training, training_runs

log = logging.getLogger(__name__)

TRAINABLE = ("embedded", "fada")
AGAIN_AFTER_S = 30.0
LOG_LINES, LOG_BYTES = 5, 4000


class TrainingDesk:
    """A chore: it starts one process for whatever is asked for or queued, and never trains itself."""

    def __init__(self, store: Store, backend: str) -> None:
        """Take wishes for trainings of `backend`, the one that serves."""
        self._store, self._backend = store, backend
        self._process: subprocess.Popen[bytes] | None = None
        self._next_start = 0.0
        self._log = store.workspace / "logs" / "train.log"

    def ask(self, asked_by: str) -> bool:
        """Note a wish; False where one waits already, or where this backend is not trained here."""
        if self._backend not in TRAINABLE:
            note = f"the {self._backend} model is not trained here; serve {' or '.join(TRAINABLE)}"
            Links(self._store).set_setting(NOTE, {"text": note, "at": utc_now().isoformat()})
            return False
        return ask_for_training(self._store, self._backend, asked_by)

    def cancel(self, run_id: str) -> None:
        """Stop a training; JobError where it is unknown or ended already."""
        cancel_training(self._store, run_id)

    def __call__(self) -> None:
        """Start a process where there is something to train and nobody is at it."""
        if self._process is not None:
            code = self._process.poll()
            if code is None:
                return
            self._process = None
            if code != 0:
                log.warning("the training process ended with %s; see %s", code, self._log)
                self._next_start = time.monotonic() + AGAIN_AFTER_S
        if time.monotonic() >= self._next_start and self._is_wanted() and self._is_free():
            self._process = self._start()

    @property
    def is_busy(self) -> bool:
        """Whether its process runs, or ran until the last call."""
        return self._process is not None

    def close(self) -> None:
        """End the process; its training goes on from the checkpoint when this server or another starts again."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(10)

    def _is_wanted(self) -> bool:
        if Links(self._store).setting(ASKED):
            return True
        return any(run.state in OPEN_STATES for run in training_runs(self._store))

    def _is_free(self) -> bool:
        """Whether no other process of the workspace trains; if one does, it works off what is queued."""
        try:
            with exclusive_lock(self._store.workspace / "locks" / f"{TRAIN}.lock", TRAIN):
                return True
        except JobError:
            return False

    def _start(self) -> "subprocess.Popen[bytes]":
        self._log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "annotator.cli", "--workspace", str(self._store.workspace)]
        with self._log.open("ab") as stream:
            return subprocess.Popen(
                [*command, "train", "resume"], stdin=subprocess.DEVNULL, stdout=stream, stderr=stream
            )


def trainings_document(store: Store) -> dict[str, Any]:
    """Return the newest trainings with the end of their logs, and what became of the last wish for one."""
    links = Links(store)
    runs = training_runs(store, limit=5)
    return {
        "trainings": [_document(store, run, is_newest=place == 0) for place, run in enumerate(runs)],
        "training_asked": links.setting(ASKED),
        "training_note": (links.setting(NOTE) or {}).get("text", ""),
    }


def _document(store: Store, run: TrainingRun, *, is_newest: bool) -> dict[str, Any]:
    shows_log = is_newest or run.state in OPEN_STATES
    fields = run.model_dump(mode="json", exclude={"spec"})
    return fields | {"asked_by": run.spec.asked_by, "log_tail": _log_tail(store, run) if shows_log else []}


def _log_tail(store: Store, run: TrainingRun) -> list[str]:
    try:
        with log_path(store.workspace, run.run_id).open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(stream.tell() - LOG_BYTES, 0))
            return stream.read().decode("utf-8", "replace").splitlines()[-LOG_LINES:]
    except OSError:
        return []
