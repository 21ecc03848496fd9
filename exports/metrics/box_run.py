"""One run of a model over the frames whose reference boxes something, as arrays."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from exports.metrics.box_matching import IOU_THRESHOLDS, Boxes, boxes_of, rank_as_coco
from exports.metrics.cases import Case, boxed, in_taxonomy_order
from exports.metrics.fada_detection import rank_as_fada
from exports.metrics.ranking import Floats, Ranked

ORDERS = 50
TIE_RULE = "ties in score keep the order of frame ids and, within a frame, of the findings"


@dataclass(frozen=True)
class BoxRun:
    """What a model said of the frames; `names` are the structures of reference or prediction.

    A frame on which the model failed has its truths and no detections; a detection without a score counts as 0.0.
    """

    cases: Sequence[Case]
    names: Sequence[str]
    truth: Boxes
    found: Boxes

    def as_coco(self, thresholds: Floats = IOU_THRESHOLDS) -> list[Ranked]:
        """Ranked detections of each structure by COCO's rule, at its ten thresholds unless others are given."""
        return rank_as_coco(self.truth, self.found, len(self.cases), len(self.names), thresholds)

    def as_fada(self) -> list[Ranked]:
        """Ranked detections by FADA's rule at IoU .50 and .75, every confidence 1.0 as in its script."""
        alike = replace(self.found, score=np.ones(len(self.found)))
        return rank_as_fada(self.truth, alike, len(self.cases), len(self.names))

    @property
    def tied(self) -> int:
        """How many detections share their score with another one of the same structure."""
        if not len(self.found):
            return 0
        pairs = np.stack([self.found.category, self.found.score], axis=1)
        _, counts = np.unique(pairs, axis=0, return_counts=True)
        return int(counts[counts > 1].sum())

    def shuffled(self, random: np.random.Generator) -> "BoxRun":
        """The same frames and findings in another order, in which only ties can tell."""
        moved = random.permutation(len(self.cases))
        found = self.found.chosen(random.permutation(len(self.found)))
        found = found.chosen(np.argsort(moved[found.frame], kind="stable"))
        truth = replace(self.truth, frame=moved[self.truth.frame])
        return replace(self, truth=truth, found=replace(found, frame=moved[found.frame]))

    def over_orders(self, measure: Callable[["BoxRun"], Floats], seed: int = 0) -> Floats:
        """(ORDERS, figures) what is measured in random orders of the frames and of their findings."""
        random = np.random.default_rng(seed)
        return np.array([measure(self.shuffled(random)) for _ in range(ORDERS)])


def box_run(cases: Sequence[Case], names: Sequence[str] | None = None) -> BoxRun:
    """Take the cases whose reference boxes something; `names` fixes the structures, so that runs can be paired."""
    judged = [case for case in cases if boxed(case.truth.findings)]
    truths = [boxed(case.truth.findings) for case in judged]
    said = [boxed(case.said) for case in judged]
    if names is None:
        names = in_taxonomy_order(item.structure for items in (*truths, *said) for item in items)
    return BoxRun(judged, names, boxes_of(truths, names), boxes_of(said, names))
