"""`annotator study` and `annotator export scores`: reader studies from the command line."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from annotator.cli import Result
from annotator.commands.workspace import opened, say
from annotator.errors import InputError
from annotator.files import write_atomically
from annotator.schema import Frame
from annotator.store import Store
from annotator.store.studies import Studies
from annotator.studies import Arm, Role, Study


def create(
    workspace: Path,
    name: str,
    *,
    split: str | None,
    frames: Path | None,
    limit: int | None,
    versions: Sequence[str],
    backends: Sequence[str],
    readers: Sequence[str],
    arm: str,
    seed: int,
    add_cases: bool,
    **wish: Any,
) -> Result:
    """Make a study, or add cases and readers to one; tell its size and the power that it buys."""
    from review.setup import StudyWish, add_cases_to, create_study

    with opened(workspace) as store:
        before = _study_if_any(store, name) if add_cases else None
        taken = {case.frame_id for case in before.cases} if before else set()
        chosen = _frames(store, split, frames, limit, seed, taken)
        frame_ids = [frame.frame_id for frame in chosen]
        if add_cases:
            study = add_cases_to(store, name, frame_ids, readers)
        else:
            named = [*versions, *(_newest_version(store, backend) for backend in backends)]
            if not named:
                raise InputError("which outputs are compared? --version NAME or --backend NAME, once for each")
            asked = StudyWish(
                name=name, versions=named, readers=readers, arm=Arm(arm), seed=seed, frame_ids=frame_ids, **wish
            )
            study = create_study(store, asked)
        document = _size(store, study)
    if len(study.readers) < 2:
        say("one reader: no agreement between readers can be computed from this study")
    power = _power(study)
    lines = [_size_line(document), *([power["text"]] if "text" in power else [])]
    return Result({**document, "power": power}, "\n".join(lines))


def account(workspace: Path, login: str, role: str, password: str | None, *, is_active: bool) -> Result:
    """Make an account, or give one a new role and password; a generated password is told once."""
    from review.accounts import Accounts, generated_password

    chosen = password or generated_password()
    with opened(workspace) as store:
        Accounts(store).put(login, Role(role), chosen, active=is_active)
    document: dict[str, Any] = {"login": login, "role": role, "active": is_active}
    if password is not None or not is_active:
        return Result(document, f"{login}: {role}{'' if is_active else ', and may not log in'}")
    text = f"{login}: {role}; password (shown only now): {chosen}"
    return Result({**document, "password": chosen}, text)


def status(workspace: Path, name: str | None) -> Result:
    """Say how far each reader is. Grades are not told: nothing here unblinds."""
    from review.setup import study_status

    with opened(workspace) as store:
        found = study_status(store, name)
    lines = []
    for one in found:
        blinded = f"unblinded {one['unblinded']}" if one["unblinded"] else "blinded"
        lines.append(
            f"{one['study']}: {one['frames']} frames, {one['versions']} versions, {one['arm']}, {blinded}, "
            f"{one['adjudications']} adjudicated grades"
        )
        lines.extend(
            f"  {reader['reader']}: {reader['done']} of {reader['total']} cases, {reader['grades']} grades "
            f"({reader['changed_grades']} changed, {reader['not_gradable']} not gradable), "
            f"{reader['own_views_overturned']} own views overturned"
            for reader in one["readers"]
        )
    return Result({"studies": found}, "\n".join(lines) or "no study yet: annotator study create")


def unblind(workspace: Path, name: str, administrator: str, password: str) -> Result:
    """Tell which version sits behind which letter, noted under the audit chain."""
    from review.accounts import Accounts
    from review.setup import unblind_study

    with opened(workspace) as store:
        if Accounts(store).log_in(administrator, password, "command line") is None:
            raise InputError("wrong login or password")
        study = unblind_study(store, name, administrator)
        rows = _plan(store, study)
    document = {"study": name, "unblinded_by": administrator, "unblinded_at": study.unblinded_at, "plan": rows}
    lines = [f"{row['reader']} {row['position']:4} {row['case']} {row['slots']}" for row in rows]
    return Result(document, "\n".join([f"{name} unblinded by {administrator}; this is in the audit chain", *lines]))


def withdraw(workspace: Path, name: str, version: str) -> Result:
    """Show a version no longer in cases that are still open."""
    from review.setup import withdraw_version

    with opened(workspace) as store:
        study = withdraw_version(store, name, version)
    text = f"{version} is no longer shown in open cases of {name}; grades of it stay"
    return Result({"study": name, "withdrawn": list(study.withdrawn)}, text)


def report(workspace: Path, name: str | None, scores: Path | None, out: Path | None) -> Result:
    """Write the report of a study, or of a CSV in long form."""
    from annotator.commands.study_report import report_scores, report_table
    from review.rows import rows_of_study
    from review.scores_table import table_from_rows

    if (name is None) == (scores is None):
        raise InputError("name a study, or a table of scores by --scores FILE (one of them)")
    if name is None:
        return report_scores(workspace, scores, None, out)
    with opened(workspace) as store:
        study = named_study(store, name)
        rows, plan = list(rows_of_study(store, study)), _plan(store, study)
    if not rows:
        raise InputError(f"nothing has been graded yet in study {name!r}")
    folder = out or workspace / "exports" / "reports" / study.study_id
    result = report_table(table_from_rows(rows), folder, name)
    _write_plan(folder / "plan.csv", plan)
    return result


def export_scores(workspace: Path, out: Path, name: str | None) -> Result:
    """Write OUT/scores.csv with its codebook.csv, and the plans as plan.csv."""
    from review.rows import rows_of_study
    from review.scores_table import table_from_rows, write_codebook, write_scores

    with opened(workspace) as store:
        studies = [named_study(store, name)] if name else _all_studies(store)
        rows = [row for study in studies for row in rows_of_study(store, study)]
        plan = [row for study in studies for row in _plan(store, study)]
    if not rows:
        raise InputError("nothing to export: nothing has been graded yet")
    table = table_from_rows(rows)
    out.mkdir(parents=True, exist_ok=True)
    write_scores(table, out / "scores.csv")
    write_codebook(table.columns, out / "codebook.csv")
    _write_plan(out / "plan.csv", plan)
    document = {"out": str(out), "studies": [study.name for study in studies], "grades": len(rows)}
    return Result(document, f"{len(rows)} grades in {out / 'scores.csv'}, with codebook.csv and plan.csv")


def named_study(store: Store, name: str) -> Study:
    """Return a study by its name; InputError where there is none."""
    found = _study_if_any(store, name)
    if found is None:
        raise InputError(f"there is no study named {name!r}: `annotator study status` lists them")
    return found


def _study_if_any(store: Store, name: str) -> Study | None:
    with Studies(store).reading() as rows:
        return rows.study_named(name)


def _all_studies(store: Store) -> list[Study]:
    with Studies(store).reading() as rows:
        return [study for study_id in rows.study_ids() if (study := rows.study(study_id)) is not None]


def _frames(
    store: Store, split: str | None, listed: Path | None, limit: int | None, seed: int, taken: set[str]
) -> list[Frame]:
    """Return the frames asked for; with a limit, as many as that, drawn by the seed."""
    from review.plan import shared_order

    frames = {frame.frame_id: frame for frame in store.frames(split) if frame.frame_id not in taken}
    if listed is not None:
        wanted = _listed(listed)
        names = store.names()
        frames = {key: frame for key, frame in frames.items() if wanted & {key, *names.get(key, ())}}
    chosen = shared_order(seed, "frames", list(frames))[:limit] if limit is not None else list(frames)
    return [frames[frame_id] for frame_id in chosen]


def _listed(path: Path) -> set[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a list of frames: {error}") from None
    return {line.strip() for line in lines if line.strip()}


def _newest_version(store: Store, backend: str) -> str:
    named = [model.name for model in store.model_versions() if model.backend == backend]
    if not named:
        raise InputError(f"no version of {backend!r} has predicted anything yet: run `annotator preannotate`")
    return named[-1]


def _size(store: Store, study: Study) -> dict[str, Any]:
    with Studies(store).reading() as rows:
        plan = rows.presentations(study.study_id)
    readers = [
        {
            "reader": reader,
            "cases": sum(case.reader == reader for case in plan),
            "repeats": sum(case.reader == reader and case.is_repeat for case in plan),
        }
        for reader in study.readers
    ]
    return {
        "study": study.name,
        "frames": len(study.cases),
        "subjects_frozen": True,
        "versions": list(study.versions),
        "arm": study.arm.value,
        "seed": study.seed,
        "washout_days": study.washout_days,
        "readers": readers,
    }


def _size_line(document: dict[str, Any]) -> str:
    readers = ", ".join(
        f"{one['reader']} {one['cases']} cases ({one['repeats']} repeats)" for one in document["readers"]
    )
    return (
        f"study {document['study']}: {document['frames']} frames, {len(document['versions'])} versions, "
        f"{document['arm']}; {readers}. Its subjects never enter training."
    )


def _power(study: Study) -> dict[str, Any]:
    from review.power import planned_power

    return planned_power(len(study.cases), len(study.readers), len(study.versions))


def _plan(store: Store, study: Study) -> list[dict[str, Any]]:
    from review.rows import plan_rows

    return list(plan_rows(store, study))


def _write_plan(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue().encode())
