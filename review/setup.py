"""Studies as curators and administrators see them: made, extended, a version withdrawn, unblinded, counted."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from annotator.errors import InputError
from annotator.schema import utc_now
from annotator.store import Store
from annotator.store.studies import Presentation, Slot, Studies, StudyRows
from annotator.studies import Arm, Role, Study, StudyCase
from review.plan import ALGORITHM, LETTERS, PlanInput, opaque_token, plan_of
from review.rubric import VERSION as RUBRIC_VERSION
from review.session import is_complete

Clock = Callable[[], datetime]


@dataclass(frozen=True)
class StudyWish:
    """What `study create` asks for."""

    name: str
    title: str = ""
    versions: Sequence[str] = ()
    readers: Sequence[str] = ()
    arm: Arm = Arm.AUTONOMOUS
    seed: int = 0
    repeats: float = 0.1
    washout_days: float = 14.0
    session_cases: int | None = None
    session_minutes: float | None = None
    created_by: str = ""
    frame_ids: Sequence[str] = field(default_factory=tuple)


def create_study(store: Store, wish: StudyWish, *, clock: Clock = utc_now) -> Study:
    """Store a study and its whole plan; InputError names what is missing."""
    cases = _cases(store, wish.frame_ids, wish.versions)
    studies = Studies(store)
    with studies.writing() as rows:
        if rows.study_named(wish.name) is not None:
            raise InputError(f"there is a study named {wish.name!r}: use another name, or --add-cases")
        _check_readers(rows, wish.readers)
        try:
            study = Study(
                name=wish.name,
                title=wish.title or f"Reader study {len(rows.study_ids()) + 1}",
                batches=(tuple(cases),),
                versions=tuple(wish.versions),
                readers=tuple(wish.readers),
                arm=wish.arm,
                seed=wish.seed,
                algorithm=ALGORITHM,
                secret=secrets.token_hex(32),
                repeats=wish.repeats,
                washout_days=wish.washout_days,
                session_cases=wish.session_cases,
                session_minutes=wish.session_minutes,
                rubric=RUBRIC_VERSION,
                created_by=wish.created_by,
                created_at=clock(),
            )
        except ValueError as error:
            raise InputError(f"the study cannot be made: {_first_line(error)}") from error
        rows.add_study(study)
        rows.add_presentations(planned(study, study.readers))
    return study


def add_cases_to(
    store: Store, name: str, frame_ids: Sequence[str], readers: Sequence[str] = (), *, clock: Clock = utc_now
) -> Study:
    """Append a batch of new cases, and new readers; what was planned before stays as it is."""
    studies = Studies(store)
    with studies.writing() as rows:
        before = _named(rows, name)
        if before.algorithm != ALGORITHM:
            raise InputError(f"study {name!r} was planned by {before.algorithm}, this program plans by {ALGORITHM}")
        known = {case.frame_id for case in before.cases}
        new_frames = [frame_id for frame_id in frame_ids if frame_id not in known]
        new_readers = [reader for reader in readers if reader not in before.readers]
        if not new_frames and not new_readers:
            raise InputError(f"nothing to add to study {name!r}: all its frames and readers are in it already")
        if new_readers:
            _check_readers(rows, new_readers)
    batch = tuple(_cases(store, new_frames, before.versions)) if new_frames else ()
    with studies.writing() as rows:
        if _named(rows, name) != before:
            raise InputError(f"study {name!r} was changed meanwhile: try again")
        study = _revised(
            before,
            clock,
            batches=(*before.batches, *([batch] if batch else [])),
            readers=(*before.readers, *new_readers),
        )
        known_tokens = {case.token for case in rows.presentations(study.study_id)}
        rows.add_study(study)
        rows.add_presentations([case for case in planned(study, study.readers) if case.token not in known_tokens])
    return study


def withdraw_version(store: Store, name: str, version: str, *, clock: Clock = utc_now) -> Study:
    """Show a version no longer in open cases; what was graded of it stays."""
    with Studies(store).writing() as rows:
        before = _named(rows, name)
        if version not in before.versions or version in before.withdrawn:
            raise InputError(f"study {name!r} does not show {version!r}")
        if len(before.withdrawn) + 1 == len(before.versions):
            raise InputError(f"{version!r} is the only version that study {name!r} still shows")
        study = _revised(before, clock, withdrawn=(*before.withdrawn, version))
        rows.add_study(study)
        for case in rows.presentations(study.study_id):
            shows_it = any(slot.model_version == version for slot in case.slots)
            if shows_it and not case.done and is_complete(study, case, rows.scores(case.token)):
                rows.finish(case.token, clock().timestamp())
    return study


def unblind_study(store: Store, name: str, administrator: str, *, clock: Clock = utc_now) -> Study:
    """Note under the audit chain who looked behind the letters; grades after it count as not blinded."""
    with Studies(store).writing() as rows:
        account = rows.account(administrator)
        if account is None or account.role is not Role.ADMINISTRATOR or not account.active:
            raise InputError("only an administrator may unblind a study")
        before = _named(rows, name)
        study = _revised(before, clock, unblinded_by=administrator, unblinded_at=clock())
        rows.add_study(study)
    return study


def _revised(before: Study, clock: Clock, **changes: Any) -> Study:
    fresh = {"revision_id": f"{before.study_id}.{secrets.token_hex(6)}", "created_at": clock()}
    return Study.model_validate({**before.model_dump(), **fresh, **changes})


def planned(study: Study, readers: Sequence[str]) -> list[Presentation]:
    """Return the presentations that a study's seed gives its readers."""
    by_frame = {case.frame_id: case for case in study.cases}
    batches = tuple(tuple(case.frame_id for case in batch) for batch in study.batches)
    plan_input = PlanInput(batches, len(study.versions), study.readers, study.arm, study.seed, study.repeats)
    return [
        Presentation(
            token=opaque_token(study.secret, "case", reader, str(sequence)),
            study_id=study.study_id,
            reader=reader,
            sequence=sequence,
            period=item.period,
            mode=item.mode,
            frame_id=item.frame_id,
            slots=tuple(
                Slot(letter, study.versions[version], by_frame[item.frame_id].prediction_ids[version])
                for letter, version in zip(LETTERS, item.versions, strict=False)
            ),
            is_repeat=item.is_repeat,
        )
        for reader in readers
        for sequence, item in enumerate(plan_of(plan_input, reader))
    ]


def study_status(store: Store, name: str | None = None) -> list[dict[str, Any]]:
    """Count per study and reader what is done, graded, repeated and overturned; no grades, so nothing unblinds."""
    with Studies(store).reading() as rows:
        found = [rows.study(study_id) for study_id in rows.study_ids()]
        wanted = [study for study in found if study is not None and name in (None, study.name)]
        if name is not None and not wanted:
            raise InputError(f"there is no study named {name!r}")
        return [_status(rows, study) for study in wanted]


def _status(rows: StudyRows, study: Study) -> dict[str, Any]:
    scores, steps = rows.scores_of_study(study.study_id), rows.steps_of_study(study.study_id)
    readers = []
    for reader in study.readers:
        done, total = rows.progress(study.study_id, reader)
        mine = [score for score in scores if score.reader == reader]
        texts = {one.token: one.text for one in steps if one.reader == reader and one.text is not None}
        readers.append(
            {
                "reader": reader,
                "done": done,
                "total": total,
                "grades": len(mine),
                "changed_grades": sum(score.replaces is not None for score in mine),
                "not_gradable": sum(score.grade == "NG" for score in mine),
                "own_views_overturned": sum(text.overturned is True for text in texts.values()),
            }
        )
    return {
        "study": study.name,
        "title": study.title,
        "arm": study.arm.value,
        "frames": len(study.cases),
        "versions": len(study.versions),
        "withdrawn": len(study.withdrawn),
        "readers": readers,
        "adjudications": len(rows.adjudications(study.study_id)),
        "unblinded": study.unblinded_at.isoformat() if study.unblinded_at else None,
    }


def _named(rows: StudyRows, name: str) -> Study:
    study = rows.study_named(name)
    if study is None:
        raise InputError(f"there is no study named {name!r}: `annotator study status` lists them")
    return study


def _check_readers(rows: StudyRows, readers: Sequence[str]) -> None:
    if not readers:
        raise InputError("a study needs a reader: --reader LOGIN")
    if len(set(readers)) < len(readers):
        raise InputError("a reader is named twice")
    for login in readers:
        account = rows.account(login)
        if account is None or not account.active:
            raise InputError(f"there is no account {login!r}: annotator study account {login} --role reader")
        if account.role is not Role.READER:
            raise InputError(f"{login!r} has the role {account.role.value} and cannot be a reader of a study")


def _cases(store: Store, frame_ids: Sequence[str], versions: Sequence[str]) -> list[StudyCase]:
    """Fix what each case shows: the newest prediction of each version. Frames that no version read are left out."""
    if not versions or len(set(versions)) < len(versions):
        raise InputError("a study needs at least one model version, each named once")
    if len(versions) > len(LETTERS):
        raise InputError(f"a study compares at most {len(LETTERS)} versions")
    newest = {
        version: {
            item.frame_id: item.prediction_id for item in store.newest_predictions(version, frame_ids=frame_ids)
        }
        for version in versions
    }
    for version, found in newest.items():
        if not found:
            raise InputError(f"{version!r} has no prediction of these frames: run `annotator preannotate` first")
    return [
        StudyCase(frame_id=frame_id, prediction_ids=tuple(newest[version].get(frame_id) for version in versions))
        for frame_id in frame_ids
        if any(frame_id in found for found in newest.values())
    ]


def _first_line(error: ValueError) -> str:
    problems = getattr(error, "errors", None)
    if problems is None:
        return str(error).splitlines()[0]
    first = problems()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
