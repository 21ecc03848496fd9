"""/status as a page: what is queued, running, done and failed, and why."""

from collections.abc import Mapping
from html import escape
from typing import Any

KINDS = ("frames", "predictions", "corrections", "truths", "model_versions")
STATES = ("queued", "running", "done", "failed")

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5">
<meta name="viewport" content="width=device-width"><title>Annotator status</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 58rem; padding: 0 1rem; color: #1c2733;
  background: #f4f6f8 }}
h1 {{ font-size: 1.6rem; margin-bottom: 0 }} h2 {{ font-size: 1.1rem; margin: 2rem 0 .5rem }}
.note {{ color: #52606d; margin-top: .2rem }}
.cards {{ display: flex; flex-wrap: wrap; gap: .8rem; padding: 0; list-style: none }}
.cards li {{ background: #fff; border: 1px solid #d5dce3; border-radius: 8px; flex: 1 1 8rem; padding: .8rem 1rem }}
.cards b {{ display: block; font-size: 1.7rem; font-variant-numeric: tabular-nums }}
table {{ background: #fff; border-collapse: collapse; width: 100% }}
td, th {{ border: 1px solid #d5dce3; padding: .4rem .7rem; text-align: left; vertical-align: top }}
th {{ background: #e9eef3; font-weight: 600 }}
progress {{ width: 8rem }} pre {{ margin: 0; white-space: pre-wrap; font-size: .8rem }} form {{ margin: 0 0 .6rem }}
button {{ background: #0b5c8a; border: 0; border-radius: 6px; color: #fff; cursor: pointer; font: inherit;
  padding: .35rem .9rem }} button:focus-visible {{ outline: 3px solid #f0a500 }} td code {{ font-size: .8rem }}
td.number {{ text-align: right; font-variant-numeric: tabular-nums }}
</style></head><body><h1>Annotator</h1>
<p class="note">Model {model}. Research software, not for clinical use. This page renews itself every 5 seconds.</p>
{note}<h2>In the workspace</h2><ul class="cards">{cards}</ul>
<h2>Trainings</h2>{trainings}<h2>Jobs</h2>{jobs}{failures}{refused}</body></html>
"""


def render_status(
    document: Mapping[str, Any], model_version: str, refused: Mapping[str, int], note: str = ""
) -> str:
    """Return the page for the document that `annotator status --json` prints.

    `refused` counts reasons; `note` is what went wrong with the model, if anything.
    """
    cards = "".join(f"<li><b>{document[kind]}</b>{kind.replace('_', ' ')}</li>" for kind in KINDS)
    rows = [
        [job["kind"], job["model_version"], job["state"], *(job[state] for state in STATES)]
        for job in document["jobs"]
    ]
    jobs = (
        _table(["Job", "Model", "State", *map(str.capitalize, STATES)], rows)
        if rows
        else "<p>None has run yet.</p>"
    )
    failures = [
        [", ".join(failure["source_files"]) or failure["frame_id"], failure["reason"] or ""]
        for job in document["jobs"]
        for failure in job["failures"]
    ]
    return _PAGE.format(
        model=escape(model_version),
        note=f"<p><strong>{escape(note)}</strong></p>" if note else "",
        cards=cards,
        trainings=_trainings(document),
        jobs=jobs,
        failures=_section("Failed frames", ["Frame", "Reason"], failures),
        refused=_section(
            "Requests answered with nothing", ["Reason", "Times"], [list(row) for row in refused.items()]
        ),
    )


def _trainings(document: Mapping[str, Any]) -> str:
    """The newest trainings with their buttons, and what became of the last wish for one."""
    asked, note = document.get("training_asked"), document.get("training_note")
    told = "A training was asked for; it begins when no other is running." if asked else note or ""
    button = '<form method="post" action="/train"><button>Train on the corrections</button></form>'
    heads = "".join(f"<th>{text}</th>" for text in ("Training", "State", "Progress", "Message", ""))
    rows = "".join(map(_training, document.get("trainings", ())))
    table = f"<table><tr>{heads}</tr>{rows}</table>" if rows else ""
    return f"<p>{escape(told)}</p>{button}{table}"


def _training(run: Mapping[str, Any]) -> str:
    is_open = run["state"] in ("queued", "running")
    bar = f'<progress max="{run["total"] or 1}" value="{run["step"]}"></progress>'
    log = "\n".join(run["log_tail"])
    told = f"{escape(run['message'])}<pre>{escape(log)}</pre>"
    state = "stopping" if is_open and run["cancel_asked"] else run["state"]
    cancel = (
        '<form method="post" action="/train/cancel"><input type="hidden" name="run_id" '
        f'value="{escape(run["run_id"])}"><button>Cancel</button></form>'
        if is_open
        else ""
    )
    cells = (f"{escape(run['backend'])}<br><code>{escape(run['run_id'])}</code>", escape(state), bar, told, cancel)
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _section(title: str, heads: list[str], rows: list[list[Any]]) -> str:
    return f"<h2>{escape(title)}</h2>{_table(heads, rows)}" if rows else ""


def _table(heads: list[str], rows: list[list[Any]]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _cell(value: object) -> str:
    kind = ' class="number"' if isinstance(value, int) else ""
    return f"<td{kind}>{escape(str(value))}</td>"
