"""What changed between two versions of a data set: frames that came, went, moved or were relabelled."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from annotator.errors import InputError

_NOT_CONTENT = ("id", "image_id", "attributes")
_LABELS = ("origin", "change", "ellipse", "rotated_box", "box_xyxy", "keypoint_names")


@dataclass
class DatasetDiff:
    """Frame ids by what became of them; `moved` maps to (split before, after); findings counted by structure."""

    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    relabelled: list[str] = field(default_factory=list)
    moved: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)
    structures: dict[str, Counter[str]] = field(default_factory=dict)

    def count(self, structure: str, what: str, number: int = 1) -> None:
        """Count findings of a structure as added, removed or changed."""
        if number:
            self.structures.setdefault(structure, Counter())[what] += number


def diff_datasets(before: Path, after: Path) -> DatasetDiff:
    """Compare two folders that `export dataset` or `export coco` wrote; InputError where one is none."""
    old, new = _frames(before), _frames(after)
    diff = DatasetDiff(sorted(new.keys() - old.keys()), sorted(old.keys() - new.keys()))
    for frame_id in sorted(old.keys() | new.keys()):
        was, now = old.get(frame_id, _NOBODY), new.get(frame_id, _NOBODY)
        changed = _compare(was, now, diff)
        if frame_id in old and frame_id in new:
            if changed or was.plane != now.plane or was.interpretation != now.interpretation:
                diff.relabelled.append(frame_id)
            if was.split != now.split:
                diff.moved[frame_id] = (was.split, now.split)
    return diff


@dataclass(frozen=True)
class _Frame:
    split: str | None = None
    plane: str | None = None
    interpretation: Any = None
    findings: dict[str, tuple[str, bytes]] = field(default_factory=dict)


_NOBODY = _Frame()


def _frames(folder: Path) -> dict[str, _Frame]:
    path = folder / "annotations.json"
    try:
        document = orjson.loads(path.read_bytes())
        names = {item["id"]: item["name"] for item in document["categories"]}
        frames = {image["id"]: _frame(image) for image in document["images"]}
        for one in document["annotations"]:
            label = {key: value for key, value in one.items() if key not in _NOT_CONTENT}
            label |= {key: value for key, value in one["attributes"].items() if key in _LABELS}
            finding_id = one["attributes"]["finding_id"]
            content = orjson.dumps(label, option=orjson.OPT_SORT_KEYS)
            frames[one["image_id"]][1].findings[finding_id] = (names[one["category_id"]], content)
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); give folders that export dataset wrote"
        ) from error
    except (KeyError, TypeError, orjson.JSONDecodeError) as error:
        raise InputError(f"{path} is not an export of this tool") from error
    return dict(frames.values())


def _frame(image: dict[str, Any]) -> tuple[str, _Frame]:
    attributes = image["attributes"]
    said = attributes.get("correction") or attributes.get("prediction") or {}
    frame = _Frame(attributes.get("split"), attributes.get("plane"), said.get("interpretation"))
    return attributes["frame_id"], frame


def _compare(was: _Frame, now: _Frame, diff: DatasetDiff) -> bool:
    """Count what became of findings: those of equal content are the same, the others are known by their ids."""
    gone = Counter(was.findings.values()) - Counter(now.findings.values())
    come = Counter(now.findings.values()) - Counter(was.findings.values())
    differs = bool(gone or come)
    for key in was.findings.keys() & now.findings.keys():
        before, after = was.findings[key], now.findings[key]
        if before[0] == after[0] and gone[before] > 0 and come[after] > 0:
            gone[before] -= 1
            come[after] -= 1
            diff.count(after[0], "changed")
    for counted, what in ((gone, "removed"), (come, "added")):
        for (structure, _), number in counted.items():
            diff.count(structure, what, number)
    return differs
