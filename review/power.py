"""What a reader study can see: power of the paired tests, and precision of shares and of agreement.

The model of a difference: a frame's grade under the first version follows `grades`; in a fixed share of frames the
second version differs, by one step within the scale, more often for the better the larger the mean difference.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import binom, norm

from review.agreement import Weighting, ac2, coincidences, count_ratings, ordinal_alpha

Floats = NDArray[np.float64]

SEED = 20260101
RUNS = 10_000
DIFFERENCES = (0.05, 0.10, 0.15, 0.20)
# About the published autonomous study (mean grade 1.98), and its guided one (73, 25 and 2 percent).
AUTONOMOUS = (0.35, 0.30, 0.35)
GUIDED = (0.73, 0.25, 0.02)
DISCORDANT = 0.35
COMPARISONS = 3
WANTED = 0.80
ADVISED = "at least 3 readers x 200 frames"
MOVES = ((1, 2), (2, 3), (2, 1), (3, 2))
SAME_VIEW = 0.75


@dataclass(frozen=True)
class Power:
    """Power of Wilcoxon-Pratt on the grades and of exact McNemar on grade 1."""

    wilcoxon: float
    mcnemar: float


def moves_for(difference: float, grades: Sequence[float], discordant: float) -> Floats:
    """Probabilities of the moves 1 to 2, 2 to 3, 2 to 1, 3 to 2 that give the mean difference.

    >>> moves = moves_for(0.1, AUTONOMOUS, 0.35)
    >>> round(float(moves.sum()), 6), round(float(moves[:2].sum() - moves[2:].sum()), 6)
    (0.35, 0.1)
    """
    one, two, three = grades
    shape = np.array([one, two, two, three])

    def spread(worse: float) -> Floats:
        raw = shape * np.array([worse, worse, 1 - worse, 1 - worse])
        scaled: Floats = raw * discordant / raw.sum()
        return scaled

    def excess(worse: float) -> float:
        moves = spread(worse)
        return float(moves[:2].sum() - moves[2:].sum()) - difference

    if abs(difference) >= discordant:
        raise ValueError(f"a mean difference of {difference} needs more than {discordant:.0%} differing frames")
    return spread(float(brentq(excess, 1e-9, 1 - 1e-9)))


def simulated_power(
    frames: int,
    moves: Floats,
    alpha: float,
    *,
    on_grade_1: Sequence[bool] = (True, False, True, False),
    steps: Sequence[int] = (1, 1, -1, -1),
    runs: int = RUNS,
    seed: int = SEED,
) -> Power:
    """Share of simulated studies whose p is below `alpha`.

    `moves` are probabilities of kinds of difference, each of some `steps` and on grade 1 or not; the rest is equal.
    Wilcoxon-Pratt is taken with its permutation variance and the normal approximation, McNemar exactly.
    """
    counts = np.random.default_rng([seed, frames]).multinomial(frames, [*moves, max(0.0, 1 - moves.sum())], runs)
    kinds = np.asarray(steps)
    sizes = {size: counts[:, :-1][:, np.abs(kinds) == size].sum(axis=1) for size in (1, 2)}
    rank_1 = counts[:, -1] + (sizes[1] + 1) / 2
    rank_2 = counts[:, -1] + sizes[1] + (sizes[2] + 1) / 2
    ranks = np.where(np.abs(kinds) == 1, rank_1[:, None], rank_2[:, None])
    total = (counts[:, :-1] * np.sign(kinds) * ranks).sum(axis=1)
    variance = sizes[1] * rank_1**2 + sizes[2] * rank_2**2
    wilcoxon = 2 * norm.sf(np.abs(total) / np.sqrt(np.maximum(variance, 1e-9)))
    touched = np.asarray(on_grade_1)
    up, down = (counts[:, :-1][:, touched & (kinds * sign > 0)].sum(axis=1) for sign in (1, -1))
    mcnemar = np.minimum(1, 2 * binom.cdf(np.minimum(up, down), up + down, 0.5))
    return Power(float((wilcoxon < alpha).mean()), float((mcnemar < alpha).mean()))


def power_of(
    frames: int,
    difference: float,
    *,
    grades: Sequence[float] = AUTONOMOUS,
    discordant: float = DISCORDANT,
    comparisons: int = COMPARISONS,
    seed: int = SEED,
) -> Power:
    """Power to see a mean difference of two versions on the same frames: one reader, alpha 0.05/comparisons."""
    return simulated_power(frames, moves_for(difference, grades, discordant), 0.05 / comparisons, seed=seed)


def smallest_detectable(
    frames: int,
    *,
    grades: Sequence[float] = AUTONOMOUS,
    discordant: float = DISCORDANT,
    comparisons: int = COMPARISONS,
    wanted: float = WANTED,
) -> dict[str, float | None]:
    """The mean difference that each test sees with the wanted power, to 0.005; None where it sees none."""
    grid = np.arange(0.005, discordant, 0.005)
    found: dict[str, float | None] = {}
    for test in ("wilcoxon", "mcnemar"):
        low, high = 0, len(grid)
        while low < high:
            middle = (low + high) // 2
            power = power_of(
                frames, float(grid[middle]), grades=grades, discordant=discordant, comparisons=comparisons
            )
            low, high = (low, middle) if getattr(power, test) >= wanted else (middle + 1, high)
        found[test] = round(float(grid[low]), 3) if low < len(grid) else None
    return found


def wilson_half_width(frames: int, share: float = 0.7) -> float:
    """Half-width of the 95% Wilson interval of a share.

    >>> round(100 * wilson_half_width(237), 1)
    5.8
    """
    z = float(norm.ppf(0.975))
    inside = share * (1 - share) / frames + z**2 / (4 * frames**2)
    return float(z * inside**0.5 / (1 + z**2 / frames))


def agreement_half_widths(
    readers: int, frames: int, *, grades: Sequence[float] = GUIDED, runs: int = 400, seed: int = SEED
) -> dict[str, float]:
    """Simulated half-widths of the 95% intervals of ordinal alpha and quadratic AC2.

    A reader sees a frame's own grade with probability `SAME_VIEW`, else gives one at random; both follow `grades`.
    """
    random = np.random.default_rng([seed, readers, frames])
    alphas, errors = [], []
    for _ in range(runs):
        own = random.choice([1, 2, 3], p=grades, size=(frames, 1))
        other = random.choice([1, 2, 3], p=grades, size=(frames, readers))
        counts = count_ratings(np.where(random.random((frames, readers)) < SAME_VIEW, own, other))
        alphas.append(float(ordinal_alpha(coincidences(counts).sum(axis=0)[None])[0]))
        found = ac2(counts, Weighting.QUADRATIC)
        errors.append(found.se if found is not None and found.se is not None else np.nan)
    z = float(norm.ppf(0.975))
    return {"alpha": z * float(np.nanstd(alphas)), "ac2": z * float(np.nanmean(errors))}


def planned_power(
    frames: int,
    readers: int,
    versions: int,
    *,
    dimensions: int = 2,
    discordant: float = DISCORDANT,
    seed: int = SEED,
) -> dict[str, Any]:
    """What a planned study buys: power per mean difference, the smallest difference seen, precision, and advice.

    `comparisons` counts pairs of versions times dimensions, all of which Holm's method corrects for.
    """
    pairs = len(list(combinations(range(versions), 2)))
    comparisons = max(1, pairs * dimensions)
    plan: dict[str, Any] = {
        "frames": frames,
        "readers": readers,
        "versions": versions,
        "comparisons": comparisons,
        "share_half_width_points": round(100 * wilson_half_width(frames), 1),
    }
    if pairs:
        plan["power"] = [
            {"mean_difference": difference, **_rounded(frames, difference, comparisons, discordant, seed)}
            for difference in DIFFERENCES
        ]
        plan["smallest_difference_at_80_percent"] = smallest_detectable(
            frames, discordant=discordant, comparisons=comparisons
        )
    if readers > 1:
        widths = agreement_half_widths(readers, frames, seed=seed)
        plan["agreement_half_width"] = {name: round(width, 2) for name, width in widths.items()}
    plan["advice"] = _advice(frames, readers)
    plan["text"] = _as_text(plan)
    return plan


def _rounded(frames: int, difference: float, comparisons: int, discordant: float, seed: int) -> dict[str, float]:
    power = power_of(frames, difference, comparisons=comparisons, discordant=discordant, seed=seed)
    return {"wilcoxon": round(power.wilcoxon, 2), "mcnemar": round(power.mcnemar, 2)}


def _advice(frames: int, readers: int) -> list[str]:
    advice = []
    if readers < 2:
        advice.append("One reader: no agreement between readers can be computed.")
    if readers < 3 or frames < 200:
        advice.append(f"Plan {ADVISED} where you can; this plan is smaller.")
    return advice


def _as_text(plan: dict[str, Any]) -> str:
    counts = ((plan["frames"], "frame"), (plan["readers"], "reader"), (plan["versions"], "version"))
    lines = [", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts) + ":"]
    lines += [
        f"  a mean difference of {row['mean_difference']:.2f} is seen with power {row['wilcoxon']:.2f} "
        f"(Wilcoxon-Pratt), {row['mcnemar']:.2f} (McNemar on grade 1)"
        for row in plan.get("power", [])
    ]
    lines.append(f"  a share of 70% is known to within {plan['share_half_width_points']} points")
    if "agreement_half_width" in plan:
        widths = plan["agreement_half_width"]
        lines.append(
            f"  agreement is known to within {widths['alpha']:.2f} (ordinal alpha), {widths['ac2']:.2f} (AC2)"
        )
    return "\n".join([*lines, *(f"  {line}" for line in plan["advice"])])
