"""An annotation as a Correction: what of the prediction was kept, changed, deleted, and what was added.

Label Studio leaves no trace of a deleted region and no proof of an unchanged one, so every region is compared with
the one that we sent. A finding whose regions came back unchanged is the parent's, exactly, mask and score included.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np

from annotator import taxonomy
from annotator.errors import LabelStudioError
from annotator.geometry import clip_box_xyxy, points_to_box_xyxy
from annotator.labelstudio.drawn import Drawn, excerpt_of, point_of_id, read_region
from annotator.labelstudio.regions import MEASUREMENTS, PLANE, PREFIX, finding_to_regions
from annotator.schema import (
    Change,
    Correction,
    Finding,
    Frame,
    Interpretation,
    Keypoint,
    Origin,
    ParseIssue,
    Prediction,
)

PHASE = "labelstudio"
PROMPTS = ("prompt_point", "prompt_box")


@dataclass
class Reading:
    """What a result says, in the words of our records."""

    findings: list[Finding] = field(default_factory=list)
    changes: dict[str, Change] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    plane: str | None = None
    texts: dict[str, str] = field(default_factory=dict)
    issues: list[ParseIssue] = field(default_factory=list)

    def add(self, finding: Finding, change: Change) -> None:
        """Take a finding in, with what became of it; an id that is taken already gets a new one."""
        while finding.finding_id in self.changes:
            finding = finding.model_copy(update={"finding_id": _hashed_id(finding.finding_id)})
        self.findings.append(finding)
        self.changes[finding.finding_id] = change

    def complain(self, reason: str, subject: Any) -> None:
        """Note something that could not be used."""
        self.issues.append(ParseIssue(phase=PHASE, reason=reason, excerpt=excerpt_of(subject)))


def result_to_findings(
    result: Any, frame: Frame, parent: Prediction | None
) -> tuple[list[Finding], str | None, list[ParseIssue]]:
    """Read a `result`: findings, the plane, and what could not be used; never an exception for what is in it."""
    reading = read_result(result, frame, parent)
    return reading.findings, reading.plane, reading.issues


def correction_from_annotation(
    annotation: Mapping[str, Any], frame: Frame, parent: Prediction | None, reader: str
) -> tuple[Correction, list[ParseIssue]]:
    """Turn an annotation into a Correction and the list of what could not be used.

    A skipped one says nothing about the regions, so it has no findings and no changes. LabelStudioError where it is
    no annotation at all.
    """
    if not isinstance(annotation, Mapping) or not isinstance(annotation.get("id"), int):
        raise LabelStudioError(f"not an annotation of Label Studio: {excerpt_of(annotation)}")
    skipped = bool(annotation.get("was_cancelled"))
    reading = Reading() if skipped else read_result(annotation.get("result"), frame, parent)
    correction = Correction(
        frame_id=frame.frame_id,
        reader=reader,
        prediction_id=parent.prediction_id if parent else None,
        findings=tuple(reading.findings),
        plane=reading.plane,
        interpretation=_interpretation(reading, None if skipped else parent),
        deleted_finding_ids=tuple(reading.deleted),
        changes=reading.changes,
        issues=tuple(reading.issues),
        lead_time_s=_seconds(annotation.get("lead_time")),
        skipped=skipped,
        external_id=str(annotation["id"]),
        external_updated_at=str(annotation.get("updated_at") or ""),
    )
    return correction, reading.issues


def read_result(result: Any, frame: Frame, parent: Prediction | None) -> Reading:
    """Compare a `result` with the prediction it came from, finding by finding."""
    reading = Reading()
    if not isinstance(result, list):
        reading.complain("the result is not a list of regions", result)
        return reading
    drawn, unreadable = _read_all(result, frame, reading)
    loose = dict(drawn)
    for finding in parent.findings if parent else ():
        _compare(finding, loose, unreadable, frame, reading)
    _add_loose(loose.values(), frame, reading)
    return reading


def _read_all(result: Sequence[Any], frame: Frame, reading: Reading) -> tuple[dict[str, Drawn], set[str]]:
    """Read every region by its id; those that cannot be read are complained of and their ids returned."""
    drawn: dict[str, Drawn] = {}
    unreadable: set[str] = set()
    for position, region in enumerate(result):
        try:
            _check_region(region, frame)
            if read_spoken := _SPOKEN.get(str(region.get("type"))):
                read_spoken(region, reading)
                continue
            one = read_region(region, frame)
            name = one.region_id or f"without-id-{position}"
            if name in drawn:
                raise ValueError("two regions have the same id")
            drawn[name] = one
        except ValueError as error:
            reading.complain(str(error), region)
            if isinstance(region, Mapping):
                unreadable.add(str(region.get("id")))
    return drawn, unreadable


def _check_region(region: Any, frame: Frame) -> None:
    if not isinstance(region, Mapping):
        raise ValueError("a region must be an object")
    if region.get("from_name") in PROMPTS:
        raise ValueError("a prompt of a smart tool is not a finding")
    if str(region.get("type")) in _SPOKEN:
        return
    for key, expected in (("original_width", frame.width), ("original_height", frame.height)):
        if region.get(key, expected) not in (expected, None):
            raise ValueError(f"{key} is {region[key]}, the frame has {expected}: it was drawn on another image")


def _read_choice(region: Mapping[str, Any], reading: Reading) -> None:
    value = region.get("value")
    chosen = value.get("choices") if isinstance(value, Mapping) else None
    if region.get("from_name") != PLANE:
        raise ValueError(f"choices named {region.get('from_name')!r} are not ours")
    if not isinstance(chosen, list) or len(chosen) != 1 or not isinstance(chosen[0], str):
        raise ValueError("the plane must be one choice")
    if not taxonomy.is_view(chosen[0]):
        raise ValueError(f"unknown plane {chosen[0]!r}")
    if reading.plane not in (None, chosen[0]):
        raise ValueError(f"a second plane, after {reading.plane!r}")
    reading.plane = chosen[0]


def _read_text(region: Mapping[str, Any], reading: Reading) -> None:
    value, name = region.get("value"), region.get("from_name")
    if name == MEASUREMENTS:  # what the outlines said before the reader touched them: told, not taken back
        return
    lines = value.get("text") if isinstance(value, Mapping) else None
    if name not in taxonomy.INTERPRETATION_FIELDS:
        raise ValueError(f"a text named {name!r} is not ours")
    if isinstance(lines, str):
        lines = [lines]
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise ValueError(f"{name} must be text")
    if name in reading.texts:
        raise ValueError(f"a second text for {name}")
    reading.texts[str(name)] = "\n".join(lines)


_SPOKEN: dict[str, Callable[[Mapping[str, Any], Reading], None]] = {"choices": _read_choice, "textarea": _read_text}


def _interpretation(reading: Reading, parent: Prediction | None) -> Interpretation | None:
    """Return the texts as they stand; where all that the model wrote was deleted, an empty interpretation."""
    had_one = parent is not None and parent.interpretation is not None
    return Interpretation(**reading.texts) if reading.texts or had_one else None


def _compare(
    parent: Finding, loose: dict[str, Drawn], unreadable: set[str], frame: Frame, reading: Reading
) -> None:
    """Settle what became of one finding of the prediction; takes its regions out of `loose`."""
    sent = {region["id"]: region for region in finding_to_regions(parent, frame)}
    found = {region_id: loose.pop(region_id) for region_id in sent if region_id in loose}
    if not found:
        if not unreadable & sent.keys():
            reading.deleted.append(parent.finding_id)
            reading.changes[parent.finding_id] = Change.DELETED
        return
    if len(found) == len(sent) and all(_is_unchanged(found[key], sent[key], frame) for key in sent):
        reading.add(parent.model_copy(update={"parent_finding_id": parent.finding_id}), Change.KEPT)
        return
    parts = list(found.values()) + _joining_points(parent, found, loose)
    update = {"finding_id": parent.finding_id, "parent_finding_id": parent.finding_id}
    changed = _finding(parts, Origin.PREDICTION_CHANGED, None, frame, parent)
    reading.add(changed.model_copy(update=update), Change.CHANGED)


def _is_unchanged(found: Drawn, sent: Mapping[str, Any], frame: Frame) -> bool:
    try:
        before = read_region(sent, frame)
    except ValueError:  # a finding that showed nothing of the image cannot have been looked at and kept
        return False
    same_kind = (found.kind, found.structure) == (before.kind, before.structure)
    return same_kind and found.shape.is_like(before.shape)


def _joining_points(parent: Finding, found: Mapping[str, Drawn], loose: dict[str, Drawn]) -> list[Drawn]:
    """A point set anew where one of the same structure was deleted belongs to the same finding."""
    missing = sum(point.visibility > 0 for point in parent.keypoints) - len(found)
    fresh = [
        key
        for key, one in loose.items()
        if one.shape.point_xy and one.structure == parent.structure and not key.startswith(PREFIX)
    ]
    return [loose.pop(key) for key in fresh[: max(missing, 0)]]


def _add_loose(loose: Iterable[Drawn], frame: Frame, reading: Reading) -> None:
    """Add what the prediction did not have; loose points of one structure make up findings, in order."""
    points: dict[tuple[str, str], list[Drawn]] = {}
    for one in loose:
        if one.shape.point_xy is None:
            reading.add(_finding([one], one.origin or Origin.MANUAL, one.score, frame), Change.ADDED)
            continue
        known = point_of_id(one.region_id)
        points.setdefault((one.structure, known[0] if known else ""), []).append(one)
    for (structure, _), group in points.items():
        size = max(len(taxonomy.KEYPOINT_NAMES.get(structure, ())), 1)
        of_ours = point_of_id(group[0].region_id) is not None
        for start in range(0, len(group), len(group) if of_ours else size):
            parts = group[start:] if of_ours else group[start : start + size]
            reading.add(_finding(parts, parts[0].origin or Origin.MANUAL, parts[0].score, frame), Change.ADDED)


def _finding(
    parts: Sequence[Drawn], origin: Origin, score: float | None, frame: Frame, parent: Finding | None = None
) -> Finding:
    """Make one finding of one shape, or of several points."""
    first = parts[0]
    keypoints = _keypoints(parts, parent)
    box = first.shape.box_xyxy
    if keypoints:
        corners = np.asarray([(point.x, point.y) for point in keypoints], np.float64)
        box = clip_box_xyxy(points_to_box_xyxy(corners), frame.size_wh)
    return Finding(
        finding_id=_finding_id(first.region_id, frame),
        structure=first.structure,
        box_xyxy=box,
        mask_rle=first.shape.filled(frame),
        ellipse=first.shape.ellipse,
        rotated_box=first.shape.rotated_box,
        keypoints=keypoints,
        score=score,
        origin=origin,
    )


def _keypoints(parts: Sequence[Drawn], parent: Finding | None) -> tuple[Keypoint, ...]:
    """Name points: ours by their id, new ones by the names of the structure that are still free."""
    points = [part for part in parts if part.shape.point_xy is not None]
    known = {part.region_id: point_of_id(part.region_id) for part in points}
    taken = {said[1] for said in known.values() if said}
    expected = taxonomy.KEYPOINT_NAMES.get(parts[0].structure, ())
    expected = expected or tuple(point.name for point in (parent.keypoints if parent else ()))
    numbered = [f"point_{number}" for number in range(1, len(points) + 1)]
    free = iter([name for name in (*expected, *numbered) if name not in taken])
    named = []
    for part in points:
        said = known[part.region_id]
        x, y = part.shape.point_xy or (0.0, 0.0)
        name, visibility = (said[1], said[2]) if said else (next(free), 2)
        named.append(Keypoint(name=name, x=x, y=y, visibility=visibility))
    order = {name: position for position, name in enumerate(expected)}
    return tuple(sorted(named, key=lambda point: order.get(point.name, len(order))))


def _finding_id(region_id: str, frame: Frame) -> str:
    """Our own id where the region carries it; else one that stays the same however often the region is read."""
    known = point_of_id(region_id)
    if known:
        return known[0]
    if region_id.startswith(PREFIX) and len(region_id) > len(PREFIX):
        return region_id.removeprefix(PREFIX)
    return _hashed_id(f"{frame.frame_id}/{region_id}")


def _hashed_id(text: str) -> str:
    return f"fnd_{blake2b(text.encode(), digest_size=12).hexdigest()}"


def _seconds(value: Any) -> float | None:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and 0.0 <= value <= 1e9
    return float(value) if usable else None
