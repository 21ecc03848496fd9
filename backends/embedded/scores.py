"""What the scores of the embedded model mean, and the few constants that make them mean it.

- box: the probability that it matches a sonographer's box of that structure with IoU >= 0.5
- head: the probability that the mask reaches Dice >= 0.95 with a sonographer's ellipse
- plane: the probability that the named plane is the right one

All constants are fitted on the validation split (Platt 1999; temperature: Guo et al. 2017, arXiv:1706.04599).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """Slopes and offsets of logits; scores under the `least_` ones are not worth a region."""

    head: tuple[float, float]
    boxes: dict[str, tuple[float, float]]
    view_temperature: float
    plane_temperature: float
    least_head_score: float
    least_box_score: float

    @classmethod
    def from_settings(cls, settings: dict[str, Any]) -> Calibration:
        """Read the `calibration` part of model.json."""
        boxes = {structure: (slope, offset) for structure, (slope, offset) in settings["boxes"].items()}
        slope, offset = settings["head"]
        return cls(**{**settings, "head": (slope, offset), "boxes": boxes})

    def head_score(self, agreement: float) -> float:
        """Score of a head from the Dice (0..1) of its ellipse with the probability map."""
        return sigmoid(self.head[0] * logit(agreement) + self.head[1])

    def box_score(self, structure: str, heat: float) -> float:
        """Score of a box from the logit of its centre."""
        slope, offset = self.boxes[structure]
        return sigmoid(slope * heat + offset)

    def view_probabilities(self, logits: NDArray[np.float32]) -> Vector:
        """(views,) probabilities of the kinds of frame."""
        return softmax(logits / self.view_temperature)

    def plane_probabilities(self, logits: NDArray[np.float32]) -> Vector:
        """(planes,) probabilities of the brain planes."""
        return softmax(logits / self.plane_temperature)


def sigmoid(value: float) -> float:
    """Logistic function, safe for any float."""
    return float(0.5 * (1 + np.tanh(0.5 * value)))


def logit(share: float) -> float:
    """Log odds of a share, which is kept a millionth away from 0 and 1."""
    inner = min(max(share, 1e-6), 1 - 1e-6)
    return float(np.log(inner / (1 - inner)))


def softmax(logits: NDArray[np.floating[Any]]) -> Vector:
    """(K,) probabilities.

    >>> softmax(np.zeros(4)).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    raised = np.exp(logits.astype(np.float64) - logits.max())
    return np.asarray(raised / raised.sum())
