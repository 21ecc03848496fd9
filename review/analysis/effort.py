"""What grading costs and what bends it: time per case, edit effort against the grade, position, slot."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

from review.agreement import divided
from review.analysis.figures import LEVEL, Figure, no_figure
from review.analysis.grades import dimensions_of, first_gradable
from review.analysis.resampling import SEED, Clusters, draws_of, mean_figure, percentile_name
from review.scores_table import ScoresTable

Floats = NDArray[np.float64]
EFFORTS = {
    "apl_px": "added path length (px)",
    "dice_change": "1 - Dice",
    "hd95_change_px": "HD95 change (px)",
    "edit_seconds": "editing time (s)",
}
THIRDS = ("first third", "second third", "last third")
FEWEST = 5
RANK_RESAMPLES = 1000


def time_per_case(table: ScoresTable, seed: int) -> list[dict[str, Any]]:
    """Seconds a case took a reader (all its rows of a mode summed), per mode, over all readers and each one."""
    rows = table.rows[table.rows["showing"] == 0].dropna(subset=["seconds"])
    cases = rows.groupby(["mode", "reader", "unit", "case"], as_index=False)["seconds"].sum()
    found = []
    for mode, part in cases.groupby("mode"):
        groups = [("all", part)] if part["reader"].nunique() > 1 else []
        groups += [(str(reader), chosen) for reader, chosen in part.groupby("reader")]
        for reader, chosen in groups:
            seconds = chosen["seconds"].to_numpy(np.float64)
            quartiles = [float(q) for q in np.quantile(seconds, [0.25, 0.75])]
            median = median_figure(seconds, Clusters.of(chosen["unit"]), seed=seed)
            found.append({"mode": mode, "reader": reader, "median_s": median, "iqr_s": quartiles})
    return found


def median_figure(values: ArrayLike, clusters: Clusters, *, seed: int = SEED) -> Figure:
    """The median with a percentile bootstrap interval, resampling clusters."""
    numbers = np.asarray(values, np.float64)
    n = len(numbers)
    if clusters.count < 2:
        return Figure(
            float(np.median(numbers)), None, None, n, clusters.count, "", "one cluster alone has no interval"
        )
    order = np.argsort(numbers, kind="stable")
    placed, codes = numbers[order], clusters.codes[order]
    medians = []
    for draws in draws_of(clusters.count, seed):
        running = np.cumsum(draws[:, codes], axis=1, dtype=np.int32)
        half = running[:, -1:] / 2
        lower, upper = (running >= half).argmax(axis=1), (running > half).argmax(axis=1)
        medians.append((placed[lower] + placed[upper]) / 2)
    low, high = np.quantile(np.concatenate(medians), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Figure(
        float(np.median(numbers)), float(low), float(high), n, clusters.count, percentile_name(clusters, n)
    )


def effort_against_grade(table: ScoresTable, seed: int) -> list[dict[str, Any]]:
    """Spearman's correlation of the grade and each measure of the correction, and its median per grade."""
    rows = first_gradable(table)
    found = []
    for name, label in EFFORTS.items():
        for dimension in dimensions_of(table.rows):
            known = rows[(rows["dimension"] == dimension) & rows[name].notna()]
            if len(known) < FEWEST:
                continue
            grades, efforts = (known[column].to_numpy(np.float64) for column in ("grade", name))
            medians = {f"{grade:.0f}": float(np.median(efforts[grades == grade])) for grade in np.unique(grades)}
            found.append(
                {
                    "measure": name,
                    "label": label,
                    "dimension": dimension,
                    "spearman": spearman_figure(grades, efforts, Clusters.of(known["unit"]), seed=seed),
                    "median_by_grade": medians,
                    "grade_1_with_large_edit": _large_edits(grades, efforts),
                }
            )
    return found


def _large_edits(grades: Floats, efforts: Floats) -> int | None:
    """Frames called acceptable whose edit is larger than the median edit of those with major errors."""
    major = efforts[grades == 3]
    return int((efforts[grades == 1] > np.median(major)).sum()) if major.size else None


def spearman_figure(first: ArrayLike, second: ArrayLike, clusters: Clusters, *, seed: int = SEED) -> Figure:
    """Spearman's rank correlation with a percentile interval; ranks are taken anew in every resample."""
    columns = [np.asarray(values, np.float64) for values in (first, second)]
    n, codes = len(columns[0]), clusters.codes
    value = float(_weighted_spearman(columns, np.ones((1, n)))[0])
    if not np.isfinite(value):
        return no_figure("not defined: one of the two does not vary", n, clusters.count)
    step = max(1, 1_000_000 // n)
    resampled = np.concatenate(
        [
            _weighted_spearman(columns, draws[begun : begun + step, codes].astype(np.float64))
            for draws in draws_of(clusters.count, seed, RANK_RESAMPLES)
            for begun in range(0, len(draws), step)
        ]
    )
    low, high = np.nanquantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    method = f"Spearman, {percentile_name(clusters, n)}, {RANK_RESAMPLES} resamples"
    return Figure(value, float(low), float(high), n, clusters.count, method)


def _weighted_spearman(columns: list[Floats], weights: Floats) -> Floats:
    """Rank correlations of (n,) columns whose rows count `weights` (m, n) times."""
    ranks = [_weighted_ranks(values, weights) for values in columns]
    total = weights.sum(axis=1, keepdims=True)
    left, right = (rank - (weights * rank).sum(axis=1, keepdims=True) / total for rank in ranks)
    product, squares = (weights * left * right).sum(axis=1), [(weights * x * x).sum(axis=1) for x in (left, right)]
    scale = np.sqrt(squares[0] * squares[1])
    return divided(product, scale)


def _weighted_ranks(values: Floats, weights: Floats) -> Floats:
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(values[order]) > 0])
    per_value = np.add.reduceat(weights[:, order], starts, axis=1)
    middle = np.cumsum(per_value, axis=1) - (per_value - 1) / 2
    _, which = np.unique(values, return_inverse=True)
    return np.asarray(middle[:, which], np.float64)


def position_effects(table: ScoresTable, seed: int) -> list[dict[str, Any]]:
    """Does the grade drift with the place in a reader's order? Means by thirds, and the slope within readers."""
    rows = first_gradable(table)
    rows = rows.dropna(subset=["position"])
    found = []
    for mode, part in rows.groupby("mode"):
        for dimension in dimensions_of(rows):
            cell = part[part["dimension"] == dimension]
            if len(cell) < FEWEST:
                continue
            place = cell.groupby("reader")["position"].rank(method="average", pct=True).to_numpy()
            third = np.minimum((place * 3 - 1e-9).astype(int), 2)
            thirds = [
                {
                    "part": name,
                    "mean": mean_figure(
                        cell["grade"][third == k], Clusters.of(cell["unit"][third == k]), seed=seed
                    ),
                }
                for k, name in enumerate(THIRDS)
                if (third == k).any()
            ]
            found.append({"mode": mode, "dimension": dimension, "thirds": thirds, "slope": _slope(cell)})
    return found


def _slope(cell: pd.DataFrame) -> dict[str, Any]:
    """Change of the grade per 100 places within readers, least squares, errors by subject, t with units - 1."""
    by_reader = cell.groupby("reader")
    place = (cell["position"] - by_reader["position"].transform("mean")).to_numpy() / 100
    grade = (cell["grade"] - by_reader["grade"].transform("mean")).to_numpy()
    units, spread = Clusters.of(cell["unit"]), float((place**2).sum())
    method = "least squares within readers, robust by " + ("subject" if units.count < len(cell) else "row")
    if spread == 0 or units.count <= 2:
        return {"per_100": no_figure("no figure: the positions do not vary", len(cell), units.count), "p": None}
    slope = float((place * grade).sum()) / spread
    scores = np.bincount(units.codes, weights=place * (grade - slope * place))
    error = float((scores**2).sum() * units.count / (units.count - 1)) ** 0.5 / spread
    if error < 1e-12:
        return {"per_100": no_figure("no figure: the grades do not vary", len(cell), units.count), "p": None}
    half = float(student.ppf((1 + LEVEL) / 2, units.count - 1)) * error
    figure = Figure(slope, slope - half, slope + half, len(cell), units.count, method)
    return {"per_100": figure, "p": float(2 * student.sf(abs(slope) / error, units.count - 1))}


def slot_effects(table: ScoresTable, seed: int) -> list[dict[str, Any]]:
    """Mean grade by anonymous slot, per dimension: a slot that does better betrays an order effect."""
    rows = first_gradable(table)
    rows = rows[(rows["mode"] == "autonomous") & (rows["slot"] != "")]
    return [
        {
            "dimension": dimension,
            "slots": [
                {"slot": slot, "mean": mean_figure(part["grade"], Clusters.of(part["unit"]), seed=seed)}
                for slot, part in rows[rows["dimension"] == dimension].groupby("slot")
            ],
        }
        for dimension in dimensions_of(rows)
    ]
