"""`annotator demo --check`: a correction made through Label Studio's API must arrive in the COCO file exactly."""

import contextlib
import io
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from annotator.cli import Result
from annotator.commands.exporting import export_as_coco
from annotator.commands.inspecting import verify_workspace
from annotator.commands.labelstudio import pull
from annotator.commands.workspace import opened, say
from annotator.errors import AnnotatorError
from annotator.labelstudio.client import Client
from annotator.labelstudio.connect import connected_project, open_client
from annotator.labelstudio.links import relink
from annotator.labelstudio.regions import BOX, IMAGE, PREFIX
from annotator.schema import Change, Correction, Frame, Prediction
from annotator.store import Store

ARRIVAL_LIMIT_S = 30.0
MOVE_PCT = 2.0
ADDED = "CSP"


@dataclass(frozen=True)
class Edit:
    """What a reader did to a prediction: one region deleted, one moved (where there were that many), one added."""

    result: list[dict[str, Any]]
    deleted_id: str | None
    moved_id: str | None


@dataclass(frozen=True)
class Made:
    """A correction made on the server."""

    annotation_id: int
    frame: Frame
    prediction: Prediction
    edit: Edit

    def finding_id(self, region_id: str | None) -> str | None:
        """Return the finding that a region shows."""
        ids = {f"{PREFIX}{finding.finding_id}": finding.finding_id for finding in self.prediction.findings}
        return ids.get(region_id or "")


def check_loop(workspace: Path, labelstudio_url: str) -> Result:
    """Correct a frame, wait until the correction has come back, export, compare; AnnotatorError on a difference."""
    with opened(workspace) as store, open_client(workspace) as client:
        made = _correct_one(store, client)
        say(f"corrected {made.frame.source_file} in Label Studio at {labelstudio_url}")
        correction, came_by = _arrived(store, workspace, made)
        again = pull(workspace).document["corrections_new"]
        _expect(again == 0, f"a second pull made {again} more corrections of what was there")
        counts = store.counts()
    out = workspace / "exports" / "check"
    exported = export_as_coco(workspace, out, "corrected", None, None)
    _compare_with_export(out, made, correction)
    verified = verify_workspace(workspace)
    _expect(verified.document["clean"], f"annotator verify found: {verified.document['problems']}")
    became = list(correction.changes.values())
    changes = {change.value: became.count(change) for change in Change}
    document = {
        **counts,
        "correction_came_by": came_by,
        "changes": changes,
        "export": exported.document,
        "audit_rows": verified.document["rows"],
    }
    lines = [
        f"{counts['frames']} frames, {counts['predictions']} predictions in Label Studio",
        f"one frame corrected there, back by {came_by}: " + ", ".join(f"{n} {kind}" for kind, n in changes.items()),
        exported.text,
        "the COCO file holds exactly that, by pycocotools; the audit chain is clean",
        "the whole loop works",
    ]
    return Result(document, "\n".join(lines))


def _correct_one(store: Store, client: Client) -> Made:
    """Submit an annotation made from the prediction that has most to correct."""
    project_id = connected_project(store)
    corrected = {correction.frame_id for correction in store.newest_corrections(is_truth=False)}
    frames = {frame.frame_id: frame for frame in store.frames() if frame.frame_id not in corrected}
    candidates = [
        (row_id, prediction)
        for row_id, prediction_id in relink(store, client, project_id).items()
        if (prediction := store.prediction(prediction_id)) is not None and prediction.frame_id in frames
    ]
    if not candidates:
        raise AnnotatorError("every frame was corrected already; give more frames, or another workspace")
    row_id, prediction = max(candidates, key=lambda candidate: len(candidate[1].findings))
    frame = frames[prediction.frame_id]
    row = client.prediction(row_id)
    edit = _edited(row["result"], frame)
    annotation = {"result": edit.result, "parent_prediction": row_id, "lead_time": 12.5}
    answer = client.create_annotation(row["task"], annotation)
    return Made(answer["id"], frame, prediction, edit)


def _edited(result: list[dict[str, Any]], frame: Frame) -> Edit:
    shapes = [region for region in result if "x" in region.get("value", {}) and region["type"] != "keypointlabels"]
    moved = shapes[-1]["id"] if shapes else None
    deleted = shapes[0]["id"] if len(shapes) > 1 else None
    kept = [_moved(region) if region["id"] == moved else region for region in result if region["id"] != deleted]
    return Edit([*kept, _added(frame)], deleted, moved)


def _moved(region: dict[str, Any]) -> dict[str, Any]:
    value = {**region["value"], "x": region["value"]["x"] + _step_pct(region)}
    return {**region, "value": value, "origin": "prediction-changed"}


def _step_pct(region: Mapping[str, Any]) -> float:
    """Towards the middle, so that nothing leaves the frame."""
    return MOVE_PCT if region["value"]["x"] < 50 else -MOVE_PCT


def _added(frame: Frame) -> dict[str, Any]:
    shape = {"x": 10.0, "y": 10.0, "width": 5.0, "height": 5.0, "rotation": 0}
    return {
        "id": "by-check-1",
        "type": "rectanglelabels",
        "from_name": BOX,
        "to_name": IMAGE,
        "origin": "manual",
        "original_width": frame.width,
        "original_height": frame.height,
        "value": {**shape, "rectanglelabels": [ADDED]},
    }


def _arrived(store: Store, workspace: Path, made: Made) -> tuple[Correction, str]:
    """Wait for the webhook to bring the correction; fetch it where it does not."""
    deadline = time.monotonic() + ARRIVAL_LIMIT_S
    while time.monotonic() < deadline:
        if (found := _find(store, made)) is not None:
            return found, "webhook"
        time.sleep(0.5)
    pull(workspace)
    found = _find(store, made)
    if found is None:
        raise AnnotatorError(f"annotation {made.annotation_id} did not come back from Label Studio")
    return found, "pull"


def _find(store: Store, made: Made) -> Correction | None:
    corrections = store.newest_corrections(is_truth=False)
    return next((item for item in corrections if item.frame_id == made.frame.frame_id), None)


def _compare_with_export(out: Path, made: Made, correction: Correction) -> None:
    """Read the file with pycocotools and find the deletion, the move, the addition, and the rest as it was."""
    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(out / "annotations.json"))
    image = next(item for item in coco.imgs.values() if item["attributes"]["frame_id"] == made.frame.frame_id)
    annotations = {item["attributes"]["finding_id"]: item for item in coco.imgToAnns[image["id"]]}
    predicted = {finding.finding_id: finding for finding in made.prediction.findings}
    deleted, moved = made.finding_id(made.edit.deleted_id), made.finding_id(made.edit.moved_id)
    left = set(predicted) - {deleted}
    _expect(left <= set(annotations), "a region that was left in Label Studio is missing in the export")
    added = [item for finding_id, item in annotations.items() if finding_id not in left]
    categories = [coco.cats[item["category_id"]]["name"] for item in added]
    _expect(
        categories == [ADDED],
        f"beside what was left, the export holds {categories}, not the {ADDED} that was added",
    )
    _expect(np.allclose(added[0]["bbox"], _added_bbox(made.frame)), f"the added box is {added[0]['bbox']}")
    for finding_id in left:
        before, after = predicted[finding_id].box_xyxy[0], annotations[finding_id]["bbox"][0]
        wanted_px = MOVE_PCT * made.frame.width / 100 if finding_id == moved else 0.0
        _expect(
            _is_near(abs(after - before), wanted_px, annotations[finding_id]),
            f"{finding_id} moved by {abs(after - before)} px, not {wanted_px}",
        )
        wanted = Change.CHANGED if finding_id == moved else Change.KEPT
        _expect(correction.changes[finding_id] == wanted, f"{finding_id} is not called {wanted}")


def _added_bbox(frame: Frame) -> list[float]:
    return [frame.width * 0.10, frame.height * 0.10, frame.width * 0.05, frame.height * 0.05]


def _is_near(moved_px: float, wanted_px: float, annotation: Mapping[str, Any]) -> bool:
    """Masks move by whole pixels, boxes exactly."""
    return abs(moved_px - wanted_px) <= (1.0 if annotation["segmentation"] else 1e-3)


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AnnotatorError(f"the check failed: {otherwise}")
