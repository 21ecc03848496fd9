"""What every way of reading starts from: the store, the clock, whose case it is and whether it is its turn."""

from collections.abc import Callable
from datetime import datetime
from threading import Lock
from typing import Any, TypeVar

from annotator.schema import Frame, utc_now
from annotator.store import Store
from annotator.store.studies import Presentation, Studies, StudyRows
from annotator.studies import Role, Study
from review import timing
from review.accounts import Person
from review.blinding import Redactor, Shown, names_of, shown_output
from review.refusals import NotAllowed, NotNow, OutOfTurn, Unknown

Clock = Callable[[], datetime]
Document = dict[str, Any]
Value = TypeVar("Value")


class Kept:
    """The newest values by key, at most `size` of them; safe for several threads."""

    def __init__(self, size: int) -> None:
        """Keep `size` values."""
        self._size = size
        self._values: dict[Any, Any] = {}
        self._lock = Lock()

    def get(self, key: Any, make: Callable[[], Value]) -> Value:
        """Return the value of a key, made where it is not there; None is not kept."""
        with self._lock:
            if key in self._values:
                self._values[key] = self._values.pop(key)
                return self._values[key]  # type: ignore[no-any-return]
        value = make()
        if value is None:
            return value
        with self._lock:
            self._values[key] = value
            while len(self._values) > self._size:
                del self._values[next(iter(self._values))]
        return value


class Desk:
    """Shared by all requests of one server; what it keeps in memory never changes once it is written.

    Each request uses one connection, its `rows`: a second one inside could wait for itself when all are in use.
    """

    def __init__(self, store: Store, *, clock: Clock = utc_now) -> None:
        """Read from and write to `store`; `clock` tells the time, UTC."""
        self.store = store
        self.studies = Studies(store)
        self.clock = clock
        self._known_studies, self._known_frames, self._known_outputs = Kept(32), Kept(4096), Kept(1024)
        self.kept = Kept(64)

    def now(self) -> float:
        """Return the time in seconds since 1970."""
        return self.clock().timestamp()

    def study(self, rows: StudyRows, study_id: str) -> Study:
        """Return a study as it is now; Unknown where there is none."""
        revision = rows.study_revision(study_id)
        if revision is None:
            raise Unknown("there is no such study")
        study = self._known_studies.get(revision, lambda: rows.study(study_id))
        if study is None:
            raise Unknown("there is no such study")
        return study

    def own_case(self, rows: StudyRows, person: Person, token: str) -> tuple[Study, Presentation]:
        """Return a case of this reader by its token; Unknown or NotAllowed otherwise."""
        require_reader(person)
        found = rows.presentation(token)
        if found is None:
            raise Unknown("there is no such case")
        if found.reader != person.login:
            raise NotAllowed("this case is another reader's")
        return self.study(rows, found.study_id), found

    def check_turn(self, rows: StudyRows, study: Study, case: Presentation) -> None:
        """Pass for a finished case and for the open one; OutOfTurn or NotNow otherwise."""
        if case.done:
            return
        current = rows.first_open(case.study_id, case.reader)
        if current is None or current.token != case.token:
            token = current.token if current else None
            raise OutOfTurn("another case is open: cases are read in their order", current=token)
        blocked = self.blocked(rows, study, case)
        if blocked is not None:
            raise NotNow(blocked[1], timing.moment(blocked[0]))

    def blocked(self, rows: StudyRows, study: Study, case: Presentation) -> tuple[float, str] | None:
        """Return until when the reader must wait before this open case, and why; None where it may be read.

        A case that was begun may always be finished.
        """
        now = self.now()
        if case.period > 0:
            before = rows.finish_times(case.study_id, case.reader, before_period=case.period)
            # Only second periods wait: a batch added later begins with new frames.
            until = timing.washout_until(study, before, now) if case.period % 2 else None
            if until is not None:
                return until, f"washout until {timing.moment(until):%d %B %Y %H:%M} UTC"
        if study.session_cases is None and study.session_minutes is None:
            return None
        if rows.scores(case.token) or rows.steps(case.token):
            return None
        until = timing.limit_until(study, self.sitting(rows, study, case.reader), now)
        if until is None:
            return None
        return until, f"session limit reached: go on after {timing.moment(until):%H:%M} UTC"

    def sitting(self, rows: StudyRows, study: Study, reader: str) -> timing.Sitting:
        """Return how long and how much this reader has read since the last break."""
        enough = max(100, (study.session_cases or 0) + 1)
        times = rows.finish_times(study.study_id, reader, newest=enough)
        return timing.sitting_of(times, self.now(), study.break_minutes * 60)

    def frame(self, rows: StudyRows, frame_id: str) -> Frame:
        """Return the frame of a case."""
        frame = self._known_frames.get(frame_id, lambda: rows.frame(frame_id))
        if frame is None:
            raise Unknown("the frame of this case is not in the workspace any more")
        return frame

    def shown(self, rows: StudyRows, study: Study, frame_id: str, prediction_id: str | None) -> Shown:
        """Return what readers see of one output."""

        def make() -> Shown:
            frame = self.frame(rows, frame_id)
            prediction = rows.prediction(prediction_id) if prediction_id else None
            redact = self.redactor(rows, study, frame)
            return shown_output(prediction, frame, redact, was_made=prediction_id is not None)

        return self._known_outputs.get((study.study_id, frame_id, prediction_id), make)

    def redactor(self, rows: StudyRows, study: Study, frame: Frame) -> Redactor:
        """Return what hides the names of a study's models and of a frame's file."""
        models, names = rows.model_versions(study.versions), rows.frame_names(frame.frame_id)
        return Redactor(names_of(models, study.versions, names))


def require_reader(person: Person) -> None:
    """Refuse everybody but readers: who prepares a study does not grade in it."""
    if person.role is not Role.READER:
        raise NotAllowed(f"an account with the role {person.role.value} does not read cases")


def iso(at: float | None) -> str | None:
    """Return a time as ISO 8601, UTC."""
    return timing.moment(at).isoformat() if at is not None else None
