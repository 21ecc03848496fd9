"""Overlap of masks, counted on their run lengths: no mask is decoded."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from annotator.geometry import rle_as_coco
from annotator.schema import Finding, Frame


@dataclass(frozen=True)
class Overlap:
    """Pixels of the reference, of the prediction, and of both.

    >>> Overlap(10, 30, 10).dice, Overlap(10, 0, 0).dice
    (0.5, 0.0)
    """

    truth: int
    said: int
    shared: int

    @property
    def dice(self) -> float:
        """2 |A and B| / (|A| + |B|); 1.0 where both are empty."""
        total = self.truth + self.said
        return 2.0 * self.shared / total if total else 1.0

    @property
    def iou(self) -> float:
        """|A and B| / |A or B|; 1.0 where both are empty."""
        either = self.truth + self.said - self.shared
        return self.shared / either if either else 1.0


def overlap(truth: Iterable[Finding], said: Iterable[Finding]) -> Overlap:
    """Overlap of the unions of two sets of findings with masks, all of one frame size."""
    union_true, union_said = union_rle(truth), union_rle(said)
    shared = 0
    if union_true is not None and union_said is not None:
        shared = int(coco_mask.area(coco_mask.merge([union_true, union_said], intersect=True)))
    return Overlap(_area(union_true), _area(union_said), shared)


def union_rle(findings: Iterable[Finding]) -> dict[str, Any] | None:
    """The union of the masks as pycocotools holds it; None without a mask."""
    rles = [rle_as_coco(item.mask_rle) for item in findings if item.mask_rle is not None]
    return coco_mask.merge(rles) if rles else None


def decoded(findings: Iterable[Finding], frame: Frame) -> NDArray[np.bool_]:
    """The union of the masks as a (height, width) array; all False without a mask."""
    union = union_rle(findings)
    if union is None:
        return np.zeros((frame.height, frame.width), bool)
    return np.ascontiguousarray(coco_mask.decode(union)).astype(bool)


def _area(rle: dict[str, Any] | None) -> int:
    return int(coco_mask.area(rle)) if rle is not None else 0
