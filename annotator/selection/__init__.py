"""What to label next, and the proof that it helps: a pool, strategies, picks with their reasons, evidence."""

from annotator.selection.evidence import Evidence, StrategyEvidence
from annotator.selection.label_errors import Checked, likely_errors
from annotator.selection.picking import Pick, pick
from annotator.selection.pool import Pool
from annotator.selection.strategies import BASELINE, STRATEGIES, Strategy

__all__ = [
    "BASELINE",
    "STRATEGIES",
    "Checked",
    "Evidence",
    "Pick",
    "Pool",
    "Strategy",
    "StrategyEvidence",
    "likely_errors",
    "pick",
]
