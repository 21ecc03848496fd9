"""/status as a page: what is queued, running, done and failed, and why."""

from collections.abc import Mapping
from html import escape
from typing import Any

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5">
<meta name="viewport" content="width=device-width"><title>Annotator status</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1c2733;
  background: #f6f8fa }}
h1 {{ font-size: 1.5rem }} h2 {{ font-size: 1.1rem; margin-top: 2rem }}
table {{ border-collapse: collapse; width: 100%; background: #fff }}
td, th {{ border: 1px solid #d5dce3; padding: .4rem .7rem; text-align: left; vertical-align: top }}
td.n {{ text-align: right; font-variant-numeric: tabular-nums }} .note {{ color: #52606d }}
</style></head><body><h1>Annotator</h1><p class="note">Research software, not for clinical use.
Model {model}. This page renews itself every 5 seconds.</p>
<table><caption class="note">In the workspace</caption>{counts}</table>{jobs}{refused}</body></html>
"""


def render_status(document: Mapping[str, Any], model_version: str, refused: Mapping[str, int]) -> str:
    """Return the page for the document that `annotator status --json` prints."""
    kinds = ("frames", "predictions", "corrections", "truths", "model_versions")
    counts = "".join(_row(kind.replace("_", " "), document[kind]) for kind in kinds)
    jobs = "".join(_job(job) for job in document["jobs"]) or "<p>No job has run yet.</p>"
    rows = "".join(_row(reason, count) for reason, count in refused.items())
    answered = f"<h2>Requests answered with nothing</h2><table>{rows}</table>" if rows else ""
    return _PAGE.format(model=escape(model_version), counts=counts, jobs=f"<h2>Jobs</h2>{jobs}", refused=answered)


def _job(job: Mapping[str, Any]) -> str:
    states = "".join(_row(state, job[state]) for state in ("queued", "running", "done", "failed"))
    failures = "".join(
        f"<tr><td>{escape(', '.join(failure['source_files']) or failure['frame_id'])}</td>"
        f"<td>{escape(failure['reason'] or '')}</td></tr>"
        for failure in job["failures"]
    )
    listed = f"<table><tr><th>Failed frame</th><th>Reason</th></tr>{failures}</table>" if failures else ""
    title = f"{job['kind']} by {job['model_version']}: {job['state']}"
    return f"<h3>{escape(title)}</h3><table>{states}</table>{listed}"


def _row(what: str, count: object) -> str:
    return f'<tr><td>{escape(what)}</td><td class="n">{escape(str(count))}</td></tr>'
