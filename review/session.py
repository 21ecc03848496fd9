"""The state of a reader's work, in plain Python over the store: what is open, what is graded, what may change.

What counts is in the store alone, so that a refresh, a crash or another computer goes on at the same case. Every
decision is made inside the transaction that writes, so that two windows of one reader cannot both be right.
"""

from annotator.store.studies import Presentation, Slot, StudyRows
from annotator.studies import Dimension, Mode, ReviewScore, Study
from review import timing
from review.accounts import Person
from review.desk import Desk, Document, iso, require_reader
from review.documents import (
    case_document,
    grade_record,
    newest_scores,
    rubric_document,
    saved_grades,
    slot_document,
)
from review.guided import GuidedCases
from review.refusals import OutOfTurn, Unknown, Unusable
from review.requests import DraftRequest, GradeRequest
from review.rubric import severities, suggest_grade


class Reading:
    """What readers do: autonomous cases here, the steps of guided ones in `guided`."""

    def __init__(self, desk: Desk, guided: GuidedCases) -> None:
        """Work on `desk`."""
        self._desk = desk
        self._guided = guided

    def studies(self, rows: StudyRows, person: Person) -> list[Document]:
        """List the reader's studies with progress and what keeps them waiting."""
        require_reader(person)
        return [self._standing(rows, study_id, person) for study_id in rows.studies_of(person.login)]

    def _standing(self, rows: StudyRows, study_id: str, person: Person) -> Document:
        study = self._desk.study(rows, study_id)
        done, total = rows.progress(study_id, person.login)
        current = rows.first_open(study_id, person.login)
        blocked = self._desk.blocked(rows, study, current) if current else None
        mode = current.mode if current else Mode.GUIDED if study.arm == "guided" else Mode.AUTONOMOUS
        return {
            "study": study_id,
            "title": study.title,
            "mode": mode.value,
            "done": done,
            "total": total,
            "open_until": None,
            "blocked": blocked[1] if blocked else None,
        }

    def case(self, person: Person, study_id: str, token: str | None = None) -> Document:
        """Return the open case, or a finished one by its token."""
        with self._desk.studies.reading() as rows:
            if token is not None:
                study, case = self._desk.own_case(rows, person, token)
                self._desk.check_turn(rows, study, case)
                return self.document(rows, study, case)
            require_reader(person)
            current = rows.first_open(study_id, person.login)
            if current is None and rows.progress(study_id, person.login)[1] == 0:
                raise Unknown("there is no such study")
            study = self._desk.study(rows, study_id)
            blocked = self._desk.blocked(rows, study, current) if current else None
            if current is None or blocked is not None:
                return self._finished(rows, study, person, blocked)
            return self.document(rows, study, current)

    def following(self, person: Person, study_id: str, after: str) -> Document:
        """Return the case after a finished or open one, for prefetching: nothing of a guided case's gated parts."""
        with self._desk.studies.reading() as rows:
            study, case = self._desk.own_case(rows, person, after)
            self._desk.check_turn(rows, study, case)
            found = rows.following(case)
            if study.study_id != study_id:
                raise Unknown("this case is of another study")
            blocked = self._desk.blocked(rows, study, found) if found and not found.done else None
            if found is None or (blocked is not None and found.period != case.period):
                return self._finished(rows, study, person, blocked)
            return self.document(rows, study, found)

    def _finished(
        self, rows: StudyRows, study: Study, person: Person, blocked: tuple[float, str] | None
    ) -> Document:
        done, total = rows.progress(study.study_id, person.login)
        until, reason = blocked if blocked else (None, None)
        return {"finished": True, "waiting_until": iso(until), "reason": reason, "done": done, "total": total}

    def document(self, rows: StudyRows, study: Study, case: Presentation) -> Document:
        """Return a case as its reader may see it now."""
        frame = self._desk.frame(rows, case.frame_id)
        scores = rows.scores(case.token)
        slots = []
        planes: list[str | None] = []
        for slot in visible_slots(study, case, scores):
            shown = self._desk.shown(rows, study, case.frame_id, slot.prediction_id)
            planes.append(shown.plane_name)
            saved = saved_grades(scores, slot.letter)
            slots.append({**slot_document(slot.letter, shown, study, case.token), "saved": saved})
        _, total = rows.progress(study.study_id, case.reader)
        document = case_document(study, case.mode.value, case, frame, total=total, slots=slots)
        document["session"] = self._sitting(rows, study, case.reader)
        document["draft"] = rows.draft(case.token)
        document["rubric"] = rubric_document(planes)
        if case.mode is Mode.GUIDED:
            self._guided.gate(rows, study, case, document)
        return document

    def _sitting(self, rows: StudyRows, study: Study, reader: str) -> Document:
        sitting = self._desk.sitting(rows, study, reader)
        left = timing.minutes_left(study, sitting, self._desk.now())
        return {"graded": sitting.cases, "limit": study.session_cases, "minutes_left": left}

    def grade(self, person: Person, asked: GradeRequest) -> Document:
        """Store a grade, committed on return. The same `client_id` again is one row and the same answer."""
        with self._desk.studies.writing() as rows:
            study, case = self._desk.own_case(rows, person, asked.case)
            sent = rows.score_sent(person.login, asked.client_id)
            if sent is not None:
                if (sent.token, sent.slot, sent.dimension) != (asked.case, asked.slot, asked.dimension):
                    raise OutOfTurn("this client_id was used for another grade")
                return _answer(sent, rows.scores(case.token), is_done=case.done)
            self._desk.check_turn(rows, study, case)
            scores = rows.scores(case.token)
            slot = self._slot(study, case, scores, asked)
            self._check_grade(rows, study, case, slot, asked)
            before = newest_scores(scores).get((asked.slot, asked.dimension))
            if case.done and (before is None or not (asked.reason or "").strip()):
                raise OutOfTurn("this grade is locked; a change needs a reason", current=None)
            score = self._score(study, case, slot, asked, before)
            score = self._guided.graded(rows, case, score) if case.mode is Mode.GUIDED else score
            rows.add_score(score)
            scores.append(score)
            is_done = case.done or is_complete(study, case, scores)
            if is_done and not case.done:
                rows.finish(case.token, self._desk.now())
            return _answer(score, scores, is_done=is_done)

    def _slot(self, study: Study, case: Presentation, scores: list[ReviewScore], asked: GradeRequest) -> Slot:
        for slot in visible_slots(study, case, scores):
            if slot.letter == asked.slot:
                return slot
        raise Unusable(f"this case shows no output {asked.slot!r}")

    def _check_grade(
        self, rows: StudyRows, study: Study, case: Presentation, slot: Slot, asked: GradeRequest
    ) -> None:
        if not set(asked.criteria) <= set(severities(asked.dimension)):
            raise Unusable("a ticked criterion is not on the checklist of this dimension")
        if asked.error_types and asked.dimension is not Dimension.INTERPRETATION:
            raise Unusable("kinds of error belong to the interpretation")
        shown = self._desk.shown(rows, study, case.frame_id, slot.prediction_id)
        if shown.failed and asked.grade != "NG":
            raise Unusable("this output failed: the only grade is 'not gradable' (NG)")
        if case.mode is Mode.GUIDED:
            self._guided.check_gradable(rows, case, asked, has_failed=shown.failed is not None)

    def _score(
        self, study: Study, case: Presentation, slot: Slot, asked: GradeRequest, before: ReviewScore | None
    ) -> ReviewScore:
        used_checklist = asked.suggested is not None or bool(asked.criteria)
        return ReviewScore(
            study_id=study.study_id,
            token=case.token,
            frame_id=case.frame_id,
            prediction_id=slot.prediction_id,
            model_version=slot.model_version,
            reader=case.reader,
            mode=case.mode,
            dimension=asked.dimension,
            grade=asked.grade,
            suggested=suggest_grade(asked.dimension, asked.criteria) if used_checklist else None,
            criteria=asked.criteria,
            error_types=asked.error_types,
            blinded=study.unblinded_at is None,
            slot=slot.letter,
            position=case.sequence + 1,
            repeat=case.is_repeat,
            seconds=asked.seconds,
            comment=asked.comment,
            reason=asked.reason or "",
            replaces=before.score_id if before else None,
            client_id=asked.client_id,
            created_at=self._desk.clock(),
        )

    def draft(self, person: Person, asked: DraftRequest) -> Document:
        """Keep what was typed; a finished case keeps none."""
        with self._desk.studies.writing() as rows:
            study, case = self._desk.own_case(rows, person, asked.case)
            self._desk.check_turn(rows, study, case)
            if not case.done:
                rows.put_draft(case.token, asked.draft, self._desk.now())
        return {"saved": True}

    def frame_id(self, person: Person, token: str) -> str:
        """Return the frame behind a case's token, for its reader only."""
        with self._desk.studies.reading() as rows:
            return self._desk.own_case(rows, person, token)[1].frame_id


def visible_slots(study: Study, case: Presentation, scores: list[ReviewScore]) -> list[Slot]:
    """Return the outputs that are shown: those of a withdrawn version only where they were graded before."""
    graded = {score.slot for score in scores}
    return [slot for slot in case.slots if slot.model_version not in study.withdrawn or slot.letter in graded]


def is_complete(study: Study, case: Presentation, scores: list[ReviewScore]) -> bool:
    """Tell whether every slot is graded in every dimension; what was withdrawn half-way need not be."""
    newest = newest_scores(scores)
    wanted = [slot for slot in case.slots if slot.model_version not in study.withdrawn]
    return all((slot.letter, dimension) in newest for slot in wanted for dimension in Dimension)


def _answer(score: ReviewScore, scores: list[ReviewScore], *, is_done: bool) -> Document:
    changed = sum(one.slot == score.slot and one.dimension is score.dimension for one in scores) - 1
    return {"saved": grade_record(score, changed), "case_done": is_done, "locked": is_done}
