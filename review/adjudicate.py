"""Blinded adjudication: where readers' first grades of one output differ, a third person grades beside them.

An adjudicator sees the frame, one output and the grades as "Reader 1, 2, ..." in an order of its own for each case.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from annotator.store.studies import Presentation, Slot, StudyRows
from annotator.studies import Adjudication, Dimension, Mode, ReviewScore, Role, Study
from review.accounts import Person
from review.desk import Desk, Document
from review.documents import case_document, grade_record, rubric_document, slot_document
from review.plan import opaque_token
from review.refusals import NotAllowed, OutOfTurn, Unknown, Unusable
from review.requests import DraftRequest, GradeRequest
from review.rubric import severities, suggest_grade

MODE = "adjudication"
LETTER = "A"


@dataclass(frozen=True)
class Disagreement:
    """One output about which readers differ, and the grades that do, by dimension."""

    token: str
    frame_id: str
    model_version: str
    prediction_id: str | None
    mode: Mode
    grades: dict[Dimension, tuple[ReviewScore, ...]]


def disagreements(study: Study, scores: Sequence[ReviewScore], adjudicator: str) -> list[Disagreement]:
    """Return what an adjudicator has to settle, in an order that tells nothing. Hidden repeats do not count."""
    newest = {(one.token, one.slot, one.dimension): one for one in scores if not one.repeat}
    grouped: dict[tuple[str, str, Mode], dict[Dimension, list[ReviewScore]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for one in newest.values():
        grouped[one.frame_id, one.model_version, one.mode][one.dimension].append(one)
    found = []
    for (frame_id, version, mode), by_dimension in grouped.items():
        differing = {
            dimension: tuple(grades)
            for dimension, grades in by_dimension.items()
            if len({one.grade for one in grades}) > 1 and len({one.reader for one in grades}) > 1
        }
        if differing:
            token = opaque_token(study.secret, MODE, adjudicator, frame_id, version, mode.value)
            first = next(iter(differing.values()))[0]
            found.append(Disagreement(token, frame_id, version, first.prediction_id, mode, differing))
    return sorted(found, key=lambda one: one.token)


class Adjudicating:
    """What adjudicators do."""

    def __init__(self, desk: Desk) -> None:
        """Work on `desk`."""
        self._desk = desk

    def studies(self, rows: StudyRows, person: Person) -> list[Document]:
        """List the studies in which readers disagree."""
        listed = []
        for study_id in rows.study_ids():
            study = self._desk.study(rows, study_id)
            items, settled = self._items(rows, study, person)
            done = sum(_is_settled(item, settled) for item in items)
            if items:
                progress = {"done": done, "total": len(items), "open_until": None, "blocked": None}
                listed.append({"study": study_id, "title": study.title, "mode": MODE, **progress})
        return listed

    def case(self, person: Person, study_id: str, token: str | None = None) -> Document:
        """Return the first open disagreement, or one by its token."""
        with self._desk.studies.reading() as rows:
            study = self._study(rows, person, study_id)
            items, settled = self._items(rows, study, person)
            wanted = [item for item in items if item.token == token] if token else []
            if token and not wanted:
                raise Unknown("there is no such case")
            open_items = wanted or [item for item in items if not _is_settled(item, settled)]
            if not open_items:
                total = len(items)
                return {"finished": True, "waiting_until": None, "reason": None, "done": total, "total": total}
            return self._document(rows, study, person, open_items[0], items, settled)

    def following(self, person: Person, study_id: str, after: str) -> Document:
        """Return the next open disagreement after another."""
        with self._desk.studies.reading() as rows:
            study = self._study(rows, person, study_id)
            items, settled = self._items(rows, study, person)
            for item in items:
                if item.token > after and not _is_settled(item, settled):
                    return self._document(rows, study, person, item, items, settled)
            done = sum(_is_settled(item, settled) for item in items)
            return {"finished": True, "waiting_until": None, "reason": None, "done": done, "total": len(items)}

    def grade(self, person: Person, asked: GradeRequest) -> Document:
        """Store an adjudicator's grade beside the readers'."""
        with self._desk.studies.writing() as rows:
            study, item = self._find(rows, person, asked.case)
            sent = rows.adjudication_sent(person.login, asked.client_id)
            _, settled = self._items(rows, study, person)
            if sent is not None:
                if (sent.token, sent.dimension) != (asked.case, asked.dimension):
                    raise OutOfTurn("this client_id was used for another grade")
                is_done = _is_settled(item, settled)
                return {"saved": grade_record(sent), "case_done": is_done, "locked": is_done}
            if asked.slot != LETTER or asked.dimension not in item.grades:
                raise Unusable("there is nothing to settle in this dimension of this output")
            if not set(asked.criteria) <= set(severities(asked.dimension)):
                raise Unusable("a ticked criterion is not on the checklist of this dimension")
            before = settled.get((item.token, asked.dimension))
            if _is_settled(item, settled) and not (asked.reason or "").strip():
                raise OutOfTurn("this grade is locked; a change needs a reason", current=None)
            made = self._adjudication(study, item, person, asked, before)
            rows.add_adjudication(made)
            is_done = _is_settled(item, {**settled, (item.token, asked.dimension): made})
            return {"saved": grade_record(made), "case_done": is_done, "locked": is_done}

    def draft(self, person: Person, asked: DraftRequest) -> Document:
        """Keep what was typed."""
        with self._desk.studies.writing() as rows:
            self._find(rows, person, asked.case)
            rows.put_draft(asked.case, asked.draft, self._desk.now())
        return {"saved": True}

    def frame_id(self, person: Person, token: str) -> str:
        """Return the frame behind a token, for this adjudicator only."""
        with self._desk.studies.reading() as rows:
            return self._find(rows, person, token)[1].frame_id

    def _find(self, rows: StudyRows, person: Person, token: str) -> tuple[Study, Disagreement]:
        for study_id in rows.study_ids():
            study = self._study(rows, person, study_id)
            for item in self._items(rows, study, person)[0]:
                if item.token == token:
                    return study, item
        raise Unknown("there is no such case")

    def _study(self, rows: StudyRows, person: Person, study_id: str) -> Study:
        if person.role is not Role.ADJUDICATOR:
            raise NotAllowed("only an adjudicator settles disagreements")
        return self._desk.study(rows, study_id)

    def _items(
        self, rows: StudyRows, study: Study, person: Person
    ) -> tuple[list[Disagreement], dict[tuple[str, Dimension], Adjudication]]:
        key = ("disagreements", study.revision_id, rows.score_count(study.study_id), person.login)
        items = self._desk.kept.get(
            key, lambda: disagreements(study, rows.scores_of_study(study.study_id), person.login)
        )
        mine = [one for one in rows.adjudications(study.study_id) if one.adjudicator == person.login]
        return items, {(one.token, one.dimension): one for one in mine}

    def _document(
        self,
        rows: StudyRows,
        study: Study,
        person: Person,
        item: Disagreement,
        items: Sequence[Disagreement],
        settled: dict[tuple[str, Dimension], Adjudication],
    ) -> Document:
        shown = self._desk.shown(rows, study, item.frame_id, item.prediction_id)
        slot = slot_document(LETTER, shown, study, item.token)
        saved = {one: settled.get((item.token, one)) for one in Dimension}
        slot["saved"] = {one.value: grade_record(made) if made else None for one, made in saved.items()}
        slot["grades"] = {one.value: _anonymous(study, item, grades) for one, grades in item.grades.items()}
        case = Presentation(
            token=item.token,
            study_id=study.study_id,
            reader=person.login,
            sequence=items.index(item),
            period=0,
            mode=item.mode,
            frame_id=item.frame_id,
            slots=(Slot(LETTER, item.model_version, item.prediction_id),),
            done=_is_settled(item, settled),
        )
        frame = self._desk.frame(rows, item.frame_id)
        document = case_document(study, MODE, case, frame, total=len(items), slots=[slot])
        document["dimensions"] = [one.value for one in Dimension if one in item.grades]
        document["session"] = {"graded": len(settled), "limit": None, "minutes_left": None}
        document["draft"] = rows.draft(item.token)
        document["rubric"] = rubric_document([shown.plane_name])
        return document

    def _adjudication(
        self, study: Study, item: Disagreement, person: Person, asked: GradeRequest, before: Adjudication | None
    ) -> Adjudication:
        used_checklist = asked.suggested is not None or bool(asked.criteria)
        return Adjudication(
            study_id=study.study_id,
            token=item.token,
            frame_id=item.frame_id,
            prediction_id=item.prediction_id,
            model_version=item.model_version,
            mode=item.mode,
            adjudicator=person.login,
            dimension=asked.dimension,
            grade=asked.grade,
            suggested=suggest_grade(asked.dimension, asked.criteria) if used_checklist else None,
            criteria=asked.criteria,
            error_types=asked.error_types,
            settles=tuple(one.score_id for one in item.grades[asked.dimension]),
            comment=asked.comment,
            reason=asked.reason or "",
            replaces=before.adjudication_id if before else None,
            seconds=asked.seconds,
            client_id=asked.client_id,
            created_at=self._desk.clock(),
        )


def _is_settled(item: Disagreement, settled: dict[tuple[str, Dimension], Adjudication]) -> bool:
    return all((item.token, dimension) in settled for dimension in item.grades)


def _anonymous(study: Study, item: Disagreement, grades: Sequence[ReviewScore]) -> list[Document]:
    """Number the readers of one case in an order that is the same for both dimensions, and another in the next."""
    ordered = sorted(grades, key=lambda one: opaque_token(study.secret, "order", item.token, one.reader))
    return [{"reader": f"Reader {number}", "grade": one.grade} for number, one in enumerate(ordered, start=1)]
