"""`status`, `verify` and `doctor`: how things stand, and what is wrong."""

import importlib.util
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from annotator import jobs
from annotator.cli import Result
from annotator.commands.datasets import dataset_problems
from annotator.commands.training_desk import trainings_document
from annotator.commands.workspace import opened, progress
from annotator.errors import FrameError
from annotator.frames import load_frame
from annotator.settings import read_settings
from annotator.store import Store

LEAST_FREE_BYTES = 2 * 1024**3


def status_document(store: Store) -> dict[str, Any]:
    """Count rows by kind and frames by split, and report on the newest jobs."""
    names = store.names()
    return {
        "workspace": str(store.workspace),
        **store.counts(),
        "splits": dict(Counter(frame.split or "none" for frame in store.frames())),
        "jobs": [_job_document(report, names) for report in jobs.newest_jobs(store)],
        **trainings_document(store),
    }


def _job_document(report: jobs.JobReport, names: Mapping[str, list[str]]) -> dict[str, Any]:
    failures = [
        {"frame_id": frame_id, "source_files": names.get(frame_id, []), "reason": reason}
        for frame_id, reason in report.failures.items()
    ]
    return {
        "job": report.job_id,
        "kind": report.kind,
        "model_version": report.target,
        "state": report.state.value,
        **report.counts,
        "failures": failures,
    }


def show_status(workspace: Path) -> Result:
    """Say what is in the workspace and how its jobs stand."""
    with opened(workspace) as store:
        document = status_document(store)
    kinds = ("frames", "predictions", "corrections", "truths", "model_versions")
    lines = [f"{document[kind]:8} {kind.replace('_', ' ')}" for kind in kinds]
    for job in document["jobs"]:
        counts = ", ".join(f"{job[state]} {state}" for state in jobs.State if job[state])
        lines.append(f"{job['kind']} by {job['model_version']}: {counts or 'nothing to do'}")
        for failure in job["failures"][:20]:
            lines.append(f"  {', '.join(failure['source_files']) or failure['frame_id']}: {failure['reason']}")
    lines += [
        f"training {run['run_id']} of {run['backend']}: {run['state']} {run['message']}".rstrip()
        for run in document["trainings"]
    ]
    return Result(document, "\n".join(lines))


def verify_workspace(workspace: Path, datasets: Sequence[Path] = ()) -> Result:
    """Walk the audit chain and hash every image again; exit 1 where anything is not as it was written.

    So are the data sets that were written, those in `datasets` or else all that lie where they were.
    """
    with opened(workspace) as store:
        report = store.verify()
        problems, frames = list(report.problems), list(store.frames())
        with progress(len(frames), "checking images") as bar:
            for frame in frames:
                try:
                    load_frame(frame, store.image_path(frame.frame_id))
                except FrameError as error:
                    problems.append(str(error))
                bar.update(1)
        in_datasets, notes = dataset_problems(store, datasets)
        problems += in_datasets
    document = {
        "clean": not problems,
        "rows": report.rows,
        "images": len(frames),
        "head": report.head,
        "problems": problems,
        "notes": notes,
    }
    verdict = "clean" if not problems else f"{len(problems)} problems"
    lines = [f"{verdict}: {report.rows} rows, {len(frames)} images; head of the chain {report.head}"]
    lines += [f"  {line}" for line in (*problems, *notes)]
    return Result(document, "\n".join(lines), exit_code=int(bool(problems)))


def examine_machine(workspace: Path) -> Result:
    """Look for what the main job needs; exit 1 where something is missing."""
    from annotator.labelstudio.environment import is_installed

    settings = read_settings()
    free = shutil.disk_usage(workspace if workspace.exists() else Path.cwd()).free
    checks = {
        "torch": (importlib.util.find_spec("torch") is not None, "pip install torch==2.13.0"),
        "Label Studio": (is_installed(settings.labelstudio_env), "annotator labelstudio install"),
        "2 GiB of free disk": (free >= LEAST_FREE_BYTES, "free some space"),
        "embedded weights": (_has_weights(), "reinstall this package, or annotator train embedded --data DIR"),
    }
    missing = {what: mend for what, (is_there, mend) in checks.items() if not is_there}
    lines = [
        f"{'ok' if is_there else 'missing':8} {what}" + ("" if is_there else f"  ->  {mend}")
        for what, (is_there, mend) in checks.items()
    ]
    return Result({"ok": not missing, "missing": missing}, "\n".join(lines), exit_code=int(bool(missing)))


def _has_weights() -> bool:
    package = importlib.util.find_spec("backends")
    folders = [Path(place) / "weights" for place in (package.submodule_search_locations or [])] if package else []
    return any(any(folder.glob("*.safetensors")) for folder in folders)
