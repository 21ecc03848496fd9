"""The Store: records in, records out. Nothing is ever overwritten; the newest row counts."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Select, Table, func, insert, select, tuple_
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from annotator.errors import StoreError
from annotator.schema import GUIDED, Correction, Frame, ModelVersion, Prediction, Record, new_id, utc_now
from annotator.store import audit
from annotator.store.engine import make_engine, reason_of
from annotator.store.migrate import upgrade_to_head
from annotator.store.tables import CHAINED, CORRECTIONS, FRAME_NAMES, FRAMES, MODEL_VERSIONS, PREDICTIONS

AnyRecord = TypeVar("AnyRecord", bound=BaseModel)


class FrameName(Record):
    """One name that a frame came under."""

    frame_id: str
    source: str
    source_file: str
    imported_at: datetime


class Store:
    """A workspace's database and its content-addressed images.

    Layout: `annotator.db` (unless another database URL is given) and `frames/images/aa/<frame_id>.png`.
    """

    def __init__(self, workspace: Path, url: str | None = None) -> None:
        """Open `workspace`, creating or migrating its database; StoreError where that cannot be done."""
        self.workspace = workspace
        self.images = workspace / "frames" / "images"
        try:
            self.images.mkdir(parents=True, exist_ok=True)
            self._url = url or f"sqlite:///{workspace / 'annotator.db'}"
            upgrade_to_head(self._url)
        except OSError as error:
            raise StoreError(f"cannot use the workspace {workspace}: {error.strerror or error}") from error
        self._writer = make_engine(self._url, writes=True)
        self._reader = make_engine(self._url, writes=False)

    def close(self) -> None:
        """Let go of the database."""
        self._writer.dispose()
        self._reader.dispose()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction that commits whole or not at all; others wait for their turn."""
        try:
            with self._writer.begin() as connection:
                yield connection
        except DBAPIError as error:
            raise StoreError(f"the workspace database refused a write: {reason_of(error)}") from error

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view of the database."""
        try:
            with self._reader.connect() as connection:
                yield connection
        except DBAPIError as error:
            raise StoreError(f"the workspace database could not be read: {reason_of(error)}") from error

    def image_path(self, frame_id: str) -> Path:
        """Return where the pixels of a frame lie."""
        return self.images / frame_id[:2] / f"{frame_id}.png"

    def add_frames(self, frames: Sequence[Frame]) -> int:
        """Append frames and their names; return how many were new or say something new."""
        with self.writing() as connection:
            known = self._newest_frames(connection, [frame.frame_id for frame in frames])
            fresh: dict[str, Frame] = {}
            for frame in frames:
                before = fresh.get(frame.frame_id) or known.get(frame.frame_id)
                merged = _merge_frames(before, frame)
                if merged != before:
                    fresh[frame.frame_id] = merged
            append_records(connection, "frame", {new_id("frm"): frame for frame in fresh.values()})
            self._add_names(connection, frames)
            return len(fresh)

    def _newest_frames(self, connection: Connection, frame_ids: Sequence[str]) -> dict[str, Frame]:
        found = {}
        for chunk in _chunks(frame_ids):
            rows = connection.execute(_newest(FRAMES).where(FRAMES.c.frame_id.in_(chunk)))
            found.update({row.frame_id: Frame.model_validate_json(row.payload) for row in rows})
        return found

    def _add_names(self, connection: Connection, frames: Sequence[Frame]) -> None:
        wanted = {(frame.frame_id, frame.source, frame.source_file) for frame in frames}
        key = [FRAME_NAMES.c.frame_id, FRAME_NAMES.c.source, FRAME_NAMES.c.source_file]
        for chunk in _chunks(sorted(wanted)):
            known = connection.execute(select(*key).where(tuple_(*key).in_(chunk)))
            wanted -= {(row.frame_id, row.source, row.source_file) for row in known}
        names = {
            new_id("nam"): FrameName(frame_id=frame_id, source=source, source_file=name, imported_at=utc_now())
            for frame_id, source, name in sorted(wanted)
        }
        append_records(connection, "frame_name", names)

    def frames(self, split: str | None = None) -> Iterator[Frame]:
        """Yield every frame as it is known now, in the order of first import."""
        for frame in self._stream(_newest(FRAMES).order_by("first_seq"), Frame):
            if split is None or frame.split == split:
                yield frame

    def frame(self, frame_id: str) -> Frame | None:
        """Return a frame as it is known now, or None."""
        with self.reading() as connection:
            return self._newest_frames(connection, [frame_id]).get(frame_id)

    def names(self) -> dict[str, list[str]]:
        """Return for every frame all the file names that its content came under, oldest first."""
        names: dict[str, list[str]] = {}
        query = select(FRAME_NAMES.c.frame_id, FRAME_NAMES.c.source_file).order_by(FRAME_NAMES.c.seq)
        with self.reading() as connection:
            for frame_id, source_file in connection.execute(query):
                names.setdefault(frame_id, []).append(source_file)
        return names

    def add_predictions(self, connection: Connection, predictions: Sequence[Prediction]) -> None:
        """Append predictions within the transaction that also marks their work as done."""
        by_id = {item.prediction_id: item for item in predictions}
        if len(by_id) < len(predictions):
            raise StoreError("two predictions have one id; a backend must give each its own")
        append_records(connection, "prediction", by_id)

    def newest_predictions(
        self,
        model_version: str | None = None,
        *,
        frame_ids: Sequence[str] | None = None,
        without: Collection[str] = (),
    ) -> Iterator[Prediction]:
        """Yield the newest prediction of each frame, of one model version or of whichever spoke last unguided.

        Versions in `without` are passed over.
        """
        version = PREDICTIONS.c.model_version
        wanted = ~version.endswith(GUIDED) if model_version is None else version == model_version
        if without:
            wanted &= version.not_in(without)
        if frame_ids is None:
            yield from self._stream(_newest(PREDICTIONS, wanted).order_by("first_seq"), Prediction)
            return
        for chunk in _chunks(frame_ids):
            some = _newest(PREDICTIONS, wanted & PREDICTIONS.c.frame_id.in_(chunk))
            yield from self._stream(some.order_by("first_seq"), Prediction)

    def predictions_by(self, *, backend: str | None = None, without: Collection[str] = ()) -> Iterator[Prediction]:
        """Yield the newest prediction of each frame made by any version of `backend` that is not in `without`."""
        names = [
            model.name
            for model in self.model_versions()
            if (backend is None or model.backend == backend) and model.name not in without
        ]
        condition = PREDICTIONS.c.model_version.in_(names)
        yield from self._stream(_newest(PREDICTIONS, condition).order_by("first_seq"), Prediction)

    def predictions_of(self, frame_ids: Sequence[str]) -> Iterator[Prediction]:
        """Yield every prediction that was ever made of some frames, oldest first."""
        for chunk in _chunks(frame_ids):
            query = select(PREDICTIONS).where(PREDICTIONS.c.frame_id.in_(chunk)).order_by(PREDICTIONS.c.seq)
            yield from self._stream(query, Prediction)

    def prediction(self, prediction_id: str) -> Prediction | None:
        """Return one prediction, or None."""
        query = select(PREDICTIONS.c.payload).where(PREDICTIONS.c.record_id == prediction_id)
        with self.reading() as connection:
            payload = connection.execute(query).scalar()
        return Prediction.model_validate_json(payload) if payload else None

    def add_corrections(self, corrections: Sequence[Correction]) -> int:
        """Append corrections, committed on return; one already known by its external id and time is left out."""
        with self.writing() as connection:
            known = _known_external(connection, corrections)
            fresh: dict[str, Correction] = {}
            for item in corrections:
                key = (item.external_id, item.external_updated_at)
                if item.external_id is None or key not in known:
                    fresh[item.correction_id] = item
                    known.add(key)
            append_records(connection, "correction", fresh)
            return len(fresh)

    def newest_of_readers(self) -> Iterator[Correction]:
        """Yield what each reader said last about each frame, all of a frame together, the newest last."""
        table = CORRECTIONS
        spoken = select(func.max(table.c.seq)).where(table.c.is_truth.is_(False))
        counts = table.c.seq.in_(spoken.group_by(table.c.frame_id, table.c.reader))
        first = func.min(table.c.seq).over(partition_by=table.c.frame_id)
        query = select(table, first.label("first_seq")).where(counts).order_by("first_seq", table.c.seq)
        yield from self._stream(query, Correction)

    def newest_corrections(self, *, is_truth: bool) -> Iterator[Correction]:
        """Yield for each frame what the reference standard, or else its readers, said last.

        The newest of each reader counts, and of several readers the newest that was not skipped.
        """
        table = CORRECTIONS
        spoken = select(func.max(table.c.seq).label("seq")).where(table.c.is_truth == is_truth)
        spoken_rows = spoken.group_by(table.c.frame_id, table.c.reader).subquery()
        counts = table.c.seq.in_(select(spoken_rows.c.seq)) & table.c.skipped.is_(False)
        yield from self._stream(_newest(table, counts).order_by("first_seq"), Correction)

    def add_model_version(self, model: ModelVersion) -> None:
        """Append a model version unless it is known."""
        with self.writing() as connection:
            query = select(MODEL_VERSIONS.c.seq).where(MODEL_VERSIONS.c.record_id == model.name)
            if connection.execute(query).first() is None:
                append_records(connection, "model_version", {model.name: model})

    def model_versions(self) -> list[ModelVersion]:
        """Return all model versions, oldest first."""
        query = select(MODEL_VERSIONS.c.payload).order_by(MODEL_VERSIONS.c.seq)
        with self.reading() as connection:
            return [ModelVersion.model_validate_json(payload) for payload in connection.execute(query).scalars()]

    def counts(self) -> dict[str, int]:
        """Count frames, predictions, corrections by readers and references, and model versions."""
        frames = select(func.count(FRAMES.c.frame_id.distinct()))
        by_truth = select(func.count()).select_from(CORRECTIONS)
        with self.reading() as connection:
            return {
                "frames": connection.execute(frames).scalar_one(),
                "predictions": connection.execute(select(func.count()).select_from(PREDICTIONS)).scalar_one(),
                "corrections": connection.execute(by_truth.where(CORRECTIONS.c.is_truth.is_(False))).scalar_one(),
                "truths": connection.execute(by_truth.where(CORRECTIONS.c.is_truth.is_(True))).scalar_one(),
                "model_versions": connection.execute(select(func.count()).select_from(MODEL_VERSIONS)).scalar_one(),
            }

    def verify(self) -> audit.AuditReport:
        """Walk the chain of hashes over all append-only rows."""
        with self.reading() as connection:
            return audit.verify_chain(connection)

    def _stream(self, query: Select[Any], model: type[AnyRecord]) -> Iterator[AnyRecord]:
        with self.reading() as connection:
            for row in connection.execute(query.execution_options(yield_per=1000)):
                yield model.model_validate_json(row.payload)


def _merge_frames(before: Frame | None, frame: Frame) -> Frame:
    """What was known stays unless the new import says something; the first name stays the frame's own."""
    if before is None:
        return frame
    said = {
        key: value
        for key, value in frame.model_dump().items()
        if value not in (None, "") and key not in ("source_file", "source", "simulated")
    }
    return before.model_copy(update={**said, "simulated": before.simulated or frame.simulated})


def _newest(table: Table, condition: ColumnElement[bool] | None = None) -> Select[Any]:
    """Select the newest row per frame among those that meet `condition`; `first_seq` gives a stable order."""
    ends = select(func.max(table.c.seq).label("last_seq"), func.min(table.c.seq).label("first_seq"))
    if condition is not None:
        ends = ends.where(condition)
    newest = ends.group_by(table.c.frame_id).subquery()
    return select(table, newest.c.first_seq).join(newest, table.c.seq == newest.c.last_seq)


def _known_external(
    connection: Connection, corrections: Sequence[Correction]
) -> set[tuple[str | None, str | None]]:
    """Which of these external ids and times are stored already."""
    columns = (CORRECTIONS.c.external_id, CORRECTIONS.c.external_updated_at)
    known: set[tuple[str | None, str | None]] = set()
    for chunk in _chunks([item.external_id for item in corrections if item.external_id is not None]):
        rows = connection.execute(select(*columns).where(CORRECTIONS.c.external_id.in_(chunk)))
        known.update((row.external_id, row.external_updated_at) for row in rows)
    return known


def append_records(connection: Connection, kind: str, records: Mapping[str, BaseModel]) -> None:
    """Append records (id -> record) with the key columns of their table, and their links in the chain."""
    if not records:
        return
    table = CHAINED[kind]
    columns = [column.name for column in table.columns if column.name not in ("seq", "record_id", "payload")]
    rows = [
        {
            "record_id": record_id,
            "payload": record.model_dump_json(),
            **{column: getattr(record, column) for column in columns},
        }
        for record_id, record in records.items()
    ]
    connection.execute(insert(table), rows)
    audit.append(connection, kind, [(row["record_id"], row["payload"]) for row in rows])


def _chunks(items: Sequence[Any], size: int = 500) -> Iterator[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))
