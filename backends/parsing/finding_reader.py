"""One object of an answer -> one Finding, with its score; or the reason why not."""

from collections.abc import Sequence

from annotator.geometry import mask_to_rle
from annotator.schema import BoxXyxy, Finding, Keypoint, MaskRle
from annotator.taxonomy import STRUCTURES
from backends.engine import Phase
from backends.parsing.geometry import (
    box_to_pixels,
    check_within,
    outline_to_mask,
    read_box_norm,
    read_keypoints_norm,
    read_outline_norm,
    to_pixels,
)
from backends.parsing.issues import IssueLog, Reason, RejectedError
from backends.parsing.json_repair import Node
from backends.parsing.labels import parts_of, read_label
from backends.parsing.scores import Span, TokenScores

_STRUCTURE_NAMES = frozenset(structure.name for structure in STRUCTURES)
_WANTED = {
    Phase.DETECT: ("bbox_2d", "label"),
    Phase.SEGMENT: ("bbox_2d", "label", "mask"),
    Phase.KEYPOINTS: ("bbox_2d", "label", "keypoints"),
}


class FindingReader:
    """Turns objects of one answer into findings."""

    def __init__(
        self, phase: Phase, structures: Sequence[str], size_wh: tuple[int, int], log: IssueLog, scores: TokenScores
    ) -> None:
        self._phase, self._size_wh, self._log, self._scores = phase, size_wh, log, scores
        self._structures = [name for name in structures if name in _STRUCTURE_NAMES]

    def read(self, node: Node) -> Finding | None:
        """Return the finding that an object holds, or note why it holds none."""
        try:
            parts = parts_of(node, self._log, _WANTED[self._phase])
            if "label" not in parts:
                raise RejectedError(Reason.OBJECT_CUT if node.cut else Reason.LABEL_MISSING)
            structure = read_label(parts["label"], self._structures, _STRUCTURE_NAMES, self._log)
            return self._finding(structure, parts, node)
        except RejectedError as rejected:
            self._log.add(rejected.reason, node.start, node.stop)
            return None

    def _finding(self, structure: str, parts: dict[str, Node], node: Node) -> Finding:
        if self._phase is Phase.KEYPOINTS:
            box, keypoints = self._points(structure, parts, node)
            mask_rle = None
        elif self._phase is Phase.SEGMENT:
            box, mask_rle = self._outline(parts, node)
            keypoints = ()
        else:
            box, mask_rle, keypoints = read_box_norm(_part(parts, "bbox_2d", node), self._log), None, ()
        placed = parts.get("bbox_2d") or parts.get("mask") or parts["keypoints"]
        label = parts["label"]
        confidence = self._scores.finding((label.start, label.stop), _number_spans(placed))
        return Finding(
            structure=structure,
            box_xyxy=box_to_pixels(box, self._size_wh),
            mask_rle=mask_rle,
            keypoints=keypoints,
            score=confidence.score,
            removed_mass=confidence.removed_mass,
        )

    def _outline(self, parts: dict[str, Node], node: Node) -> tuple[BoxXyxy, MaskRle]:
        outline = _part(parts, "mask", node)
        points = read_outline_norm(outline, self._log)
        if "bbox_2d" in parts:
            box = read_box_norm(parts["bbox_2d"], self._log)
            check_within(points, box, outline, self._log)
        else:
            box = _around(points)
            self._log.add(Reason.BOX_FROM_MASK, node.start, node.stop)
        return box, mask_to_rle(outline_to_mask(points, self._size_wh, self._log))

    def _points(self, structure: str, parts: dict[str, Node], node: Node) -> tuple[BoxXyxy, tuple[Keypoint, ...]]:
        listed = _part(parts, "keypoints", node)
        keypoints = read_keypoints_norm(listed, structure, self._log)
        seen = [(point.x, point.y) for point in keypoints if point.visibility]
        if "bbox_2d" in parts:
            box = read_box_norm(parts["bbox_2d"], self._log, may_be_thin=True)
            check_within(seen, box, listed, self._log)
        else:
            box = _around(seen)
            self._log.add(Reason.BOX_FROM_POINTS, node.start, node.stop)
        return box, tuple(self._in_pixels(point) for point in keypoints)

    def _in_pixels(self, point: Keypoint) -> Keypoint:
        x, y = to_pixels(point.x, point.y, self._size_wh)
        return point.model_copy(update={"x": x, "y": y})


def _part(parts: dict[str, Node], part: str, node: Node) -> Node:
    missing = {
        "bbox_2d": Reason.BOX_MISSING,
        "mask": Reason.MASK_MISSING,
        "keypoints": Reason.KEYPOINTS_MISSING,
    }
    if part not in parts:
        raise RejectedError(Reason.OBJECT_CUT if node.cut else missing[part])
    return parts[part]


def _around(points: Sequence[tuple[float, float]]) -> BoxXyxy:
    x, y = [point[0] for point in points], [point[1] for point in points]
    return (min(x), min(y), max(x), max(y))


def _number_spans(node: Node) -> list[Span]:
    """Where the numbers of a value stand in the text."""
    spans, waiting = [], [node]
    while waiting:
        node = waiting.pop()
        if node.items:
            waiting += node.items
        else:
            spans.append((node.start, node.stop))
    return spans
