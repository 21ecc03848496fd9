"""Agreement between readers, and of readers with their own grades on hidden repeats, all with intervals."""

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t as student

from review import agreement
from review.agreement import Weighting
from review.analysis.figures import LEVEL, Figure, no_figure
from review.analysis.grades import dimensions_of
from review.analysis.resampling import Clusters, bca_name, bootstrap, mean_figure
from review.scores_table import ScoresTable

ITEM = ["unit", "mode", "version", "dimension", "case"]
FEWEST_REPEATS = 2
FEWEST_READERS = 2


def between_readers(table: ScoresTable, seed: int) -> dict[str, Any]:
    """Per mode and dimension over all versions, and per version where there are several."""
    rows = table.rows[table.rows["showing"] == 0]
    readers = rows["reader"].nunique()
    if readers < FEWEST_READERS:
        return {"cells": [], "note": "There is one reader: no agreement between readers can be computed."}
    cells = []
    for mode, part in rows.groupby("mode"):
        for dimension in dimensions_of(rows):
            cell = part[part["dimension"] == dimension]
            place = {"mode": mode, "dimension": dimension}
            cells.append({**place, "version": "all", **_agreement(_grid(cell, "reader"), seed)})
            versions = sorted(cell["version"].unique())
            cells += [
                {**place, "version": version, **_agreement(_grid(cell[cell["version"] == version], "reader"), seed)}
                for version in (versions if len(versions) > 1 else [])
            ]
    if not any(cell["items"] for cell in cells):
        return {"cells": [], "note": "No frame was graded by two readers: no agreement can be computed."}
    return {"cells": cells, "readers": readers}


def within_readers(table: ScoresTable, seed: int) -> dict[str, Any]:
    """Each reader's first grade against the first hidden repeat, per dimension and over all."""
    rows = table.rows[table.rows["showing"] <= 1]
    if not (rows["showing"] == 1).any():
        return {"cells": [], "note": "There are no hidden repeats: no agreement within readers can be computed."}
    cells = []
    for dimension in dimensions_of(rows):
        part = rows[rows["dimension"] == dimension]
        groups = [("all", part)] if part["reader"].nunique() > 1 else []
        groups += [(str(reader), chosen) for reader, chosen in part.groupby("reader")]
        for reader, chosen in groups:
            grid = _grid(chosen, "showing", ["reader"]).dropna()
            found = _agreement(grid, seed)
            if len(grid) >= FEWEST_REPEATS:
                drift = grid.iloc[:, 1] - grid.iloc[:, 0]
                found["drift"] = mean_figure(drift, Clusters.of(grid.index.get_level_values("unit")), seed=seed)
            cells.append({"reader": reader, "dimension": dimension, **found})
    return {"cells": cells}


def _grid(rows: pd.DataFrame, across: str, more: list[str] | None = None) -> pd.DataFrame:
    """Items by raters: a grade, or NaN where none was given or the frame could not be graded."""
    graded = rows[~rows["not_gradable"]]
    return graded.pivot_table(index=[*ITEM, *(more or [])], columns=across, values="grade")


def _agreement(grid: pd.DataFrame, seed: int) -> dict[str, Any]:
    ratings = grid.to_numpy(np.float64)
    counts = agreement.count_ratings(ratings) if ratings.size else np.zeros((0, 3), np.int64)
    paired = counts.sum(axis=1) > 1
    found: dict[str, Any] = {"items": int(paired.sum()), "raters": grid.shape[1]}
    if not paired.any():
        return {**found, "note": "no frame was graded twice"}
    clusters = Clusters.of(grid.index.get_level_values("unit"))
    shares = counts[paired].sum(axis=0) / counts[paired].sum()
    found["prevalence"] = {str(grade): float(share) for grade, share in enumerate(shares, start=1)}
    together = Clusters.of(clusters.codes[paired])
    raw = agreement.item_agreement(counts[paired], agreement.agreement_weights(Weighting.IDENTITY))
    found["raw"] = mean_figure(raw, together, seed=seed)
    found["kappa_quadratic"] = _kappas(grid, clusters, seed)
    found["alpha_ordinal"] = bootstrap(
        agreement.coincidences(counts[paired]),
        together,
        agreement.ordinal_alpha,
        bca_name(together, int(paired.sum())),
        seed=seed,
    )
    found["ac2"] = {weighting.value: _ac2(counts, weighting, clusters) for weighting in Weighting}
    found["matrix"] = agreement.coincidences(counts[paired]).sum(axis=0).reshape(3, 3).tolist()
    return found


def _ac2(counts: NDArray[np.int64], weighting: Weighting, clusters: Clusters) -> Figure:
    found = agreement.ac2(counts, weighting, clusters.codes)
    if found is None:
        return no_figure("no frame was graded twice")
    units = clusters.count
    method = f"AC2, {weighting.value} weights; t" + ("" if units == len(counts) else ", errors by subject")
    if found.se is None:
        return Figure(found.value, None, None, found.items, units, method, "one subject alone has no interval")
    if found.se < 1e-12:
        note = "no interval: every item agrees alike"
        return Figure(found.value, None, None, found.items, units, method, note)
    half = float(student.ppf((1 + LEVEL) / 2, units - 1)) * found.se
    return Figure(
        found.value, max(-1.0, found.value - half), min(1.0, found.value + half), found.items, units, method
    )


def _kappas(grid: pd.DataFrame, clusters: Clusters, seed: int) -> list[dict[str, Any]]:
    found = []
    for first, second in combinations(grid.columns, 2):
        tables = agreement.pair_tables(grid[first], grid[second])
        both = tables.sum(axis=1) > 0
        if both.any():
            figure = _kappa(tables[both], Clusters.of(clusters.codes[both]), seed)
            found.append({"first": str(first), "second": str(second), "kappa": figure})
    return found


def _kappa(tables: NDArray[np.float64], clusters: Clusters, seed: int) -> Figure:
    """Asymptotic interval (Fleiss, Cohen and Everitt 1969) for independent items, else the cluster bootstrap."""
    n = len(tables)
    if clusters.count < n:
        return bootstrap(tables, clusters, agreement.weighted_kappa, bca_name(clusters, n), seed=seed)
    from statsmodels.stats.inter_rater import cohens_kappa

    if not np.isfinite(agreement.weighted_kappa(tables.sum(axis=0)[None])[0]):
        return no_figure("not defined: the grades do not vary", n, clusters.count)
    with np.errstate(all="ignore"):
        result = cohens_kappa(tables.sum(axis=0).reshape(3, 3), wt="quadratic")
    low, high = float(result.kappa_low), float(result.kappa_upp)
    if not (np.isfinite(low) and high - low > 1e-12):
        return Figure(float(result.kappa), None, None, n, n, "asymptotic", "no interval: no spread")
    return Figure(float(result.kappa), max(-1.0, low), min(1.0, high), n, n, "asymptotic (Fleiss-Cohen-Everitt)")
