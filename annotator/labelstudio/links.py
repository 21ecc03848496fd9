"""Which Prediction of ours a prediction row of the server shows: noted when known, else found by its regions.

The server's rows carry no id of ours, and Label Studio makes rows itself whenever it asks the ML backend. The ids
of the regions tell: each finding's id is in exactly one Prediction.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from annotator.labelstudio.client import Client
from annotator.labelstudio.drawn import point_of_id
from annotator.labelstudio.regions import MEASUREMENTS, PLANE, PREFIX
from annotator.schema import Prediction
from annotator.store import Links, Store
from annotator.taxonomy import INTERPRETATION_FIELDS

_QUEUE_MARK = re.compile(r" \(queue [0-9a-f]+\)$")


def queued_version(model_version: str, mark: str) -> str:
    """Return the name under which the rows of a queue repeat predictions; `mark` is in hex.

    >>> queued_version("embedded-1a2b3c4d", "9f3e")
    'embedded-1a2b3c4d (queue 9f3e)'
    """
    return f"{plain_version(model_version)} (queue {mark})"


def plain_version(shown: str) -> str:
    """Return the model version without the mark of a queue.

    >>> plain_version("embedded-1a2b3c4d (queue 9f3e)"), plain_version("embedded-1a2b3c4d")
    ('embedded-1a2b3c4d', 'embedded-1a2b3c4d')
    """
    return _QUEUE_MARK.sub("", shown)


def is_of_queue(row: Mapping[str, Any]) -> bool:
    """Tell whether a prediction row is there for its place in the queue: it repeats another row."""
    return _QUEUE_MARK.search(str(row.get("model_version") or "")) is not None


def relink(store: Store, client: Client, project_id: int) -> dict[int, str]:
    """Compare the notes with the server's prediction rows; return server id -> prediction_id, as it is now."""
    return relink_rows(store, project_id, client.predictions(project_id))


def relink_rows(store: Store, project_id: int, rows: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """Do the same with rows that were fetched already; new matches are noted."""
    links = Links(store)
    noted = links.prediction_links(project_id)
    found = {row["id"]: noted[row["id"]] for row in rows if row["id"] in noted}
    strange = [row for row in rows if row["id"] not in noted]
    if strange:
        frame_of = {task_id: frame_id for frame_id, task_id in links.task_links(project_id).items()}
        fresh = match_rows(store, strange, frame_of)
        links.link_predictions(project_id, fresh)
        found |= fresh
    return found


def match_rows(store: Store, rows: Sequence[Mapping[str, Any]], frame_of: Mapping[int, str]) -> dict[int, str]:
    """Return server id -> prediction_id for those rows that show a Prediction of ours; `frame_of` is by task id."""
    frame_ids = sorted({frame_of[row["task"]] for row in rows if row.get("task") in frame_of})
    by_finding: dict[str, str] = {}
    bare: dict[tuple[str, str], str] = {}
    for prediction in store.predictions_of(frame_ids):
        by_finding |= dict.fromkeys(_own_ids(prediction), prediction.prediction_id)
        if not prediction.findings and prediction.plane is None and prediction.interpretation is None:
            bare[prediction.frame_id, prediction.model_version] = prediction.prediction_id
    matched = {}
    for row in rows:
        ids = finding_ids(row.get("result"))
        known = next((by_finding[one] for one in ids if one in by_finding), None)
        if not ids:
            version = plain_version(str(row.get("model_version")))
            known = bare.get((frame_of.get(row.get("task", 0), ""), version))
        if known is not None:
            matched[int(row["id"])] = known
    return matched


def finding_ids(result: Any) -> list[str]:
    """Return the ids of ours that the regions of a result carry, without the prefix and the names of points."""
    regions = result if isinstance(result, list) else []
    ids = [str(region.get("id") or "") for region in regions if isinstance(region, Mapping)]
    return [_plain(region_id) for region_id in ids if region_id.startswith(PREFIX)]


def _plain(region_id: str) -> str:
    point = point_of_id(region_id)
    return point[0] if point else region_id.removeprefix(PREFIX)


def _own_ids(prediction: Prediction) -> Iterable[str]:
    yield from (finding.finding_id for finding in prediction.findings)
    yield from (f"{name}-{prediction.prediction_id}" for name in (PLANE, MEASUREMENTS, *INTERPRETATION_FIELDS))
