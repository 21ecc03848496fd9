"""What the study had the power to see, with the spread of differences that it found."""

from typing import Any

import numpy as np

from review.power import WANTED, simulated_power
from review.scores_table import ScoresTable

RUNS = 4000
GRID = np.arange(0.01, 1.0, 0.01)


def seen_by_the_study(table: ScoresTable, versions: dict[str, Any]) -> dict[str, Any]:
    """For each pair of versions, the smallest mean difference seen with 80% power in so many frames.

    The differing pairs keep the number and sizes found; only how many of them favour which version is varied. Rows
    of several readers are not independent: the number of frames, not of rows, is taken.
    """
    pairs = [pair for pair in versions["pairs"] if "steps" in pair]
    if not pairs:
        return {"pairs": [], "note": "One version: there is no difference whose power could be told."}
    alpha = 0.05 / len(pairs)
    return {
        "alpha": alpha,
        "wanted": WANTED,
        "runs": RUNS,
        "pairs": [
            {
                **{name: pair[name] for name in ("mode", "dimension", "first", "second")},
                "frames": pair["units"],
                **_smallest(pair, alpha),
            }
            for pair in pairs
        ],
    }


def _smallest(pair: dict[str, Any], alpha: float) -> dict[str, Any]:
    n = pair["n"]
    one, two = ((pair["steps"][str(size)] + pair["steps"][str(-size)]) / n for size in (1, 2))
    largest = one + 2 * two
    on_1 = min(1.0, pair["mcnemar_grade_1"]["discordant"] / max(1, pair["wilcoxon"]["discordant"]))
    found: dict[str, Any] = {"discordant_share": one + two, "wilcoxon": None, "mcnemar": None}
    for test in ("wilcoxon", "mcnemar"):
        reachable = GRID[largest > GRID]
        low, high = 0, len(reachable)
        while low < high:
            middle = (low + high) // 2
            lean = float(reachable[middle]) / largest
            seen = _power(pair["units"], (one, two), on_1, lean, alpha)[test]
            low, high = (low, middle) if seen >= WANTED else (middle + 1, high)
        found[test] = float(reachable[low]) if low < len(reachable) else None
    return found


def _power(frames: int, sizes: tuple[float, float], on_1: float, lean: float, alpha: float) -> dict[str, float]:
    """Power when a share (1 + lean) / 2 of the differing pairs favours one version."""
    kinds = [
        (size * (1 + sign * lean) / 2 * share, step * sign, touches)
        for step, size in enumerate(sizes, start=1)
        for sign in (1, -1)
        for touches, share in ((True, on_1), (False, 1 - on_1))
    ]
    moves, steps, touched = zip(*kinds, strict=True)
    power = simulated_power(frames, np.array(moves), alpha, on_grade_1=touched, steps=steps, runs=RUNS)
    return {"wilcoxon": power.wilcoxon, "mcnemar": power.mcnemar}
