"""Rows of reader studies. A `StudyRows` lives within one transaction: what was checked is what is written."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar

from pydantic import BaseModel
from sqlalchemy import Row, Select, delete, func, insert, select, update
from sqlalchemy.engine import Connection

from annotator.schema import Correction, Frame, ModelVersion, Prediction
from annotator.store.store import Store, append_records
from annotator.store.study_tables import DRAFTS, PRESENTATIONS
from annotator.store.tables import (
    ACCOUNTS,
    ADJUDICATIONS,
    CORRECTIONS,
    FRAME_NAMES,
    FRAMES,
    MODEL_VERSIONS,
    PREDICTIONS,
    REVIEW_SCORES,
    STUDIES,
    STUDY_STEPS,
)
from annotator.studies import Account, Adjudication, Mode, ReviewScore, Study, StudyStep

AnyRecord = TypeVar("AnyRecord", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Slot:
    """One output of a case: the letter that the reader sees, and what it hides."""

    letter: str
    model_version: str
    prediction_id: str | None


@dataclass(frozen=True, slots=True)
class Presentation:
    """One case of one reader's plan; `sequence` counts from 0, `done_at` is in seconds since 1970, UTC."""

    token: str
    study_id: str
    reader: str
    sequence: int
    period: int
    mode: Mode
    frame_id: str
    slots: tuple[Slot, ...]
    is_repeat: bool = False
    done: bool = False
    done_at: float | None = None


class Studies:
    """Reader studies of one workspace."""

    def __init__(self, store: Store) -> None:
        """Use the database of `store`."""
        self.store = store
        # SQLite looks for its turn at growing intervals; threads of one server queue up here, in order and at once.
        self._turn = Lock()

    @contextmanager
    def writing(self) -> Iterator["StudyRows"]:
        """One transaction that commits whole or not at all; others wait for their turn."""
        with self._turn, self.store.writing() as connection:
            yield StudyRows(connection)

    @contextmanager
    def reading(self) -> Iterator["StudyRows"]:
        """One consistent view of the database."""
        with self.store.reading() as connection:
            yield StudyRows(connection)


class StudyRows:
    """The rows as one transaction sees and changes them."""

    def __init__(self, connection: Connection) -> None:
        """Work within the transaction of `connection`."""
        self._connection = connection

    def add_account(self, account: Account) -> None:
        """Append an account, or a newer version of one."""
        append_records(self._connection, "account", {account.account_id: account})

    def add_study(self, study: Study) -> None:
        """Append a study, or a newer version of one."""
        append_records(self._connection, "study", {study.revision_id: study})

    def add_score(self, score: ReviewScore) -> None:
        """Append a grade."""
        append_records(self._connection, "review_score", {score.score_id: score})

    def add_step(self, step: StudyStep) -> None:
        """Append a step of a guided case."""
        append_records(self._connection, "study_step", {step.step_id: step})

    def add_adjudication(self, adjudication: Adjudication) -> None:
        """Append an adjudicator's grade."""
        append_records(self._connection, "adjudication", {adjudication.adjudication_id: adjudication})

    def add_correction(self, correction: Correction) -> None:
        """Append a correction made in the panel, in the transaction of its step."""
        append_records(self._connection, "correction", {correction.correction_id: correction})

    def account(self, login: str) -> Account | None:
        """Return an account as it is now, or None."""
        query = select(ACCOUNTS).where(ACCOUNTS.c.login == login).order_by(ACCOUNTS.c.seq.desc()).limit(1)
        return self._one(query, Account)

    def accounts(self) -> list[Account]:
        """Return all accounts as they are now, by login."""
        newest = select(func.max(ACCOUNTS.c.seq)).group_by(ACCOUNTS.c.login)
        query = select(ACCOUNTS).where(ACCOUNTS.c.seq.in_(newest)).order_by(ACCOUNTS.c.login)
        return self._all(query, Account)

    def study_revision(self, study_id: str) -> str | None:
        """Return the id of the newest version of a study, or None where there is no such study."""
        query = select(STUDIES.c.record_id).where(STUDIES.c.study_id == study_id)
        found: str | None = self._connection.execute(query.order_by(STUDIES.c.seq.desc()).limit(1)).scalar()
        return found

    def study(self, study_id: str) -> Study | None:
        """Return a study as it is now, or None."""
        query = select(STUDIES).where(STUDIES.c.study_id == study_id).order_by(STUDIES.c.seq.desc()).limit(1)
        return self._one(query, Study)

    def study_named(self, name: str) -> Study | None:
        """Return the study of that name as it is now, or None."""
        query = select(STUDIES).where(STUDIES.c.name == name).order_by(STUDIES.c.seq.desc()).limit(1)
        return self._one(query, Study)

    def study_ids(self) -> list[str]:
        """Return all studies' ids, oldest first."""
        query = select(STUDIES.c.study_id).group_by(STUDIES.c.study_id).order_by(func.min(STUDIES.c.seq))
        return list(self._connection.execute(query).scalars())

    def studies_of(self, reader: str) -> list[str]:
        """Return the ids of the studies in whose plan a reader has cases."""
        # One look into the index for each study: an index over readers alone would be for this list only.
        some = select(PRESENTATIONS.c.token).where(PRESENTATIONS.c.reader == reader).limit(1)
        return [
            study_id
            for study_id in self.study_ids()
            if self._connection.execute(some.where(PRESENTATIONS.c.study_id == study_id)).first()
        ]

    def add_presentations(self, presentations: Sequence[Presentation]) -> None:
        """Keep the plan's new cases."""
        rows = []
        for item in presentations:
            slots = [[slot.letter, slot.model_version, slot.prediction_id] for slot in item.slots]
            fields = {column.name: getattr(item, column.name) for column in PRESENTATIONS.columns}
            rows.append({**fields, "mode": item.mode.value, "slots": json.dumps(slots)})
        for start in range(0, len(rows), 1000):
            self._connection.execute(insert(PRESENTATIONS), rows[start : start + 1000])

    def presentation(self, token: str) -> Presentation | None:
        """Return one case of a plan by its token, or None."""
        row = self._connection.execute(select(PRESENTATIONS).where(PRESENTATIONS.c.token == token)).first()
        return _presentation(row) if row else None

    def presentations(self, study_id: str, reader: str | None = None) -> list[Presentation]:
        """Return the whole plan of a study, by reader and in order."""
        query = select(PRESENTATIONS).where(PRESENTATIONS.c.study_id == study_id)
        if reader is not None:
            query = query.where(PRESENTATIONS.c.reader == reader)
        rows = self._connection.execute(query.order_by(PRESENTATIONS.c.reader, PRESENTATIONS.c.sequence))
        return [_presentation(row) for row in rows]

    def first_open(self, study_id: str, reader: str) -> Presentation | None:
        """Return the first case that the reader has not finished, or None."""
        query = self._mine(study_id, reader).where(PRESENTATIONS.c.done.is_(False))
        row = self._connection.execute(query.order_by(PRESENTATIONS.c.sequence).limit(1)).first()
        return _presentation(row) if row else None

    def following(self, presentation: Presentation) -> Presentation | None:
        """Return the case after another in the same reader's plan, or None."""
        query = self._mine(presentation.study_id, presentation.reader)
        query = query.where(PRESENTATIONS.c.sequence == presentation.sequence + 1)
        row = self._connection.execute(query).first()
        return _presentation(row) if row else None

    def progress(self, study_id: str, reader: str) -> tuple[int, int]:
        """Return how many cases a reader has finished, and how many there are."""
        counting = select(PRESENTATIONS.c.done, func.count()).group_by(PRESENTATIONS.c.done)
        mine = (PRESENTATIONS.c.study_id == study_id, PRESENTATIONS.c.reader == reader)
        counts = {bool(done): int(count) for done, count in self._connection.execute(counting.where(*mine))}
        return counts.get(True, 0), sum(counts.values())

    def finish_times(
        self, study_id: str, reader: str, *, before_period: int | None = None, newest: int = 300
    ) -> list[float]:
        """Return when the reader finished the last cases (of periods before one), in plan order."""
        mine = (PRESENTATIONS.c.study_id == study_id, PRESENTATIONS.c.reader == reader)
        query = select(PRESENTATIONS.c.done_at).where(*mine, PRESENTATIONS.c.done.is_(True))
        if before_period is not None:
            query = query.where(PRESENTATIONS.c.period < before_period)
        newest_first = self._connection.execute(query.order_by(PRESENTATIONS.c.sequence.desc()).limit(newest))
        return [float(at) for at in newest_first.scalars()][::-1]

    def finish(self, token: str, at: float) -> None:
        """Mark a case as done, and forget its draft."""
        done = update(PRESENTATIONS).where(PRESENTATIONS.c.token == token)
        self._connection.execute(done.values(done=True, done_at=at))
        self._connection.execute(delete(DRAFTS).where(DRAFTS.c.token == token))

    def scores(self, token: str) -> list[ReviewScore]:
        """Return every grade of a case, oldest first."""
        query = select(REVIEW_SCORES).where(REVIEW_SCORES.c.token == token).order_by(REVIEW_SCORES.c.seq)
        return self._all(query, ReviewScore)

    def scores_of_study(self, study_id: str) -> list[ReviewScore]:
        """Return every grade of a study, oldest first."""
        query = select(REVIEW_SCORES).where(REVIEW_SCORES.c.study_id == study_id).order_by(REVIEW_SCORES.c.seq)
        return self._all(query, ReviewScore)

    def score_count(self, study_id: str) -> int:
        """Count the grades of a study: where it is the same, nothing was graded meanwhile."""
        query = select(func.count()).select_from(REVIEW_SCORES).where(REVIEW_SCORES.c.study_id == study_id)
        return int(self._connection.execute(query).scalar_one())

    def score_sent(self, reader: str, client_id: str) -> ReviewScore | None:
        """Return what a request of this reader stored before, or None."""
        mine = (REVIEW_SCORES.c.reader == reader, REVIEW_SCORES.c.client_id == client_id)
        return self._one(select(REVIEW_SCORES).where(*mine), ReviewScore)

    def steps(self, token: str) -> list[StudyStep]:
        """Return every step of a guided case, oldest first."""
        query = select(STUDY_STEPS).where(STUDY_STEPS.c.token == token).order_by(STUDY_STEPS.c.seq)
        return self._all(query, StudyStep)

    def steps_of_study(self, study_id: str) -> list[StudyStep]:
        """Return every step of a study, oldest first."""
        query = select(STUDY_STEPS).where(STUDY_STEPS.c.study_id == study_id).order_by(STUDY_STEPS.c.seq)
        return self._all(query, StudyStep)

    def adjudications(self, study_id: str) -> list[Adjudication]:
        """Return every adjudicator's grade of a study, oldest first."""
        query = select(ADJUDICATIONS).where(ADJUDICATIONS.c.study_id == study_id).order_by(ADJUDICATIONS.c.seq)
        return self._all(query, Adjudication)

    def prediction(self, prediction_id: str) -> Prediction | None:
        """Return one prediction, or None."""
        return self._one(select(PREDICTIONS).where(PREDICTIONS.c.record_id == prediction_id), Prediction)

    def frame(self, frame_id: str) -> Frame | None:
        """Return a frame as it is known now, or None."""
        query = select(FRAMES).where(FRAMES.c.frame_id == frame_id).order_by(FRAMES.c.seq.desc()).limit(1)
        return self._one(query, Frame)

    def frame_names(self, frame_id: str) -> list[tuple[str, str]]:
        """Return every source and file name that a frame came under."""
        query = select(FRAME_NAMES.c.source, FRAME_NAMES.c.source_file).where(FRAME_NAMES.c.frame_id == frame_id)
        return [(row.source, row.source_file) for row in self._connection.execute(query)]

    def model_versions(self, names: Sequence[str]) -> list[ModelVersion]:
        """Return the model versions of these names that are known."""
        return self._all(select(MODEL_VERSIONS).where(MODEL_VERSIONS.c.record_id.in_(names)), ModelVersion)

    def corrections_of(self, frame_id: str) -> list[Correction]:
        """Return what readers ever said about a frame, oldest first."""
        query = select(CORRECTIONS).where(CORRECTIONS.c.frame_id == frame_id, CORRECTIONS.c.is_truth.is_(False))
        return self._all(query.order_by(CORRECTIONS.c.seq), Correction)

    def adjudication_sent(self, adjudicator: str, client_id: str) -> Adjudication | None:
        """Return what a request of this adjudicator stored before, or None."""
        mine = (ADJUDICATIONS.c.adjudicator == adjudicator, ADJUDICATIONS.c.client_id == client_id)
        return self._one(select(ADJUDICATIONS).where(*mine), Adjudication)

    def draft(self, token: str) -> dict[str, Any] | None:
        """Return what was typed and not yet sent, or None."""
        payload = self._connection.execute(select(DRAFTS.c.payload).where(DRAFTS.c.token == token)).scalar()
        return json.loads(payload) if payload else None

    def put_draft(self, token: str, draft: dict[str, Any], at: float) -> None:
        """Keep what was typed, in place of what was typed before."""
        self._connection.execute(delete(DRAFTS).where(DRAFTS.c.token == token))
        self._connection.execute(insert(DRAFTS), {"token": token, "payload": json.dumps(draft), "updated_at": at})

    def _mine(self, study_id: str, reader: str) -> Select[Any]:
        return select(PRESENTATIONS).where(PRESENTATIONS.c.study_id == study_id, PRESENTATIONS.c.reader == reader)

    def _one(self, query: Select[Any], model: type[AnyRecord]) -> AnyRecord | None:
        row = self._connection.execute(query).first()
        return model.model_validate_json(row.payload) if row else None

    def _all(self, query: Select[Any], model: type[AnyRecord]) -> list[AnyRecord]:
        return [model.model_validate_json(row.payload) for row in self._connection.execute(query)]


def study_subjects(store: Store) -> frozenset[str]:
    """Return the pseudonyms of all subjects that any study shows: none of their frames may be trained on."""
    frames = _study_frame_ids(store)
    return frozenset(frame.subject for frame in store.frames() if frame.frame_id in frames and frame.subject)


def frozen_frame_ids(store: Store) -> frozenset[str]:
    """Return the frames that never enter training: those of studies, and their subjects' and groups' others."""
    shown = _study_frame_ids(store)
    if not shown:
        return frozenset()
    frames = list(store.frames())
    keys = {key for frame in frames if frame.frame_id in shown for key in _kin(frame)}
    return shown | {frame.frame_id for frame in frames if keys & _kin(frame)}


def _kin(frame: Frame) -> set[tuple[str, str]]:
    """Subjects are the same person whatever source names them: to be frozen by mistake does no harm."""
    named = (("subject", frame.subject), ("group", frame.group))
    return {(kind, name) for kind, name in named if name}


def _study_frame_ids(store: Store) -> frozenset[str]:
    with Studies(store).reading() as rows:
        found = [rows.study(study_id) for study_id in rows.study_ids()]
    return frozenset(case.frame_id for study in found if study for case in study.cases)


def _presentation(row: Row[Any]) -> Presentation:
    fields = row._asdict()
    slots = tuple(Slot(*slot) for slot in json.loads(fields.pop("slots")))
    return Presentation(**{**fields, "mode": Mode(fields["mode"])}, slots=slots)
