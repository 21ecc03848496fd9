"""What was graded and how: the data described, means and shares of 1, 2 and 3, by version, reader and place."""

from typing import Any

import numpy as np
import pandas as pd

from review.analysis.figures import Figure, no_figure
from review.analysis.intervals import mean_for_other_readers, share_figure, simultaneous_shares
from review.analysis.resampling import Clusters, bca_name, bootstrap, mean_figure, percentile_mean, ratio
from review.scores_table import ScoresTable

GRADES = (1, 2, 3)
FACTORS = ("plane", "site", "scanner", "split")
READERS_TO_GENERALISE = 3
BOTH_DIMENSIONS = 2


def first_gradable(table: ScoresTable) -> pd.DataFrame:
    """The rows that the means are taken of: no hidden repeats, nothing that could not be graded."""
    rows = table.rows
    return rows[(rows["showing"] == 0) & ~rows["not_gradable"]]


def describe(table: ScoresTable) -> dict[str, Any]:
    """Count frames, subjects, places, readers, repeats and what could not be graded."""
    rows = table.rows
    cases = rows.drop_duplicates("case")
    factors = {
        name: {str(level): int(count) for level, count in cases[name].value_counts().sort_index().items()}
        for name in FACTORS
        if table.has(name)
    }
    return {
        "grades": len(rows),
        "cases": len(cases),
        "subjects": int(cases["subject"].nunique()) if table.has("subject") else None,
        "unit": table.unit,
        "units": int(rows["unit"].nunique()),
        "readers": sorted(rows["reader"].unique()),
        "modes": sorted(rows["mode"].unique()),
        "versions": sorted(rows["version"].unique()),
        "dimensions": dimensions_of(rows),
        "repeats": int((rows["showing"] > 0).sum()),
        "not_gradable": int(rows["not_gradable"].sum()),
        "factors": factors,
        "per_mode": [_mode(mode, part) for mode, part in rows.groupby("mode")],
    }


def _mode(mode: str, rows: pd.DataFrame) -> dict[str, Any]:
    return {
        "mode": mode,
        "cases": int(rows["case"].nunique()),
        "units": int(rows["unit"].nunique()),
        "readers": int(rows["reader"].nunique()),
        "versions": int(rows["version"].nunique()),
        "grades": len(rows),
        "repeats": int((rows["showing"] > 0).sum()),
        "not_gradable": int(rows["not_gradable"].sum()),
    }


def dimensions_of(rows: pd.DataFrame) -> list[str]:
    """The dimensions, interpretation before annotation as they are graded, then any other."""
    usual = ["interpretation", "annotation"]
    return sorted(rows["dimension"].unique(), key=lambda name: (usual.index(name) if name in usual else 9, name))


def grade_cells(table: ScoresTable, seed: int) -> list[dict[str, Any]]:
    """Mean and shares per mode, version and dimension."""
    rows = table.rows[table.rows["showing"] == 0]
    order = dimensions_of(rows)
    cells = []
    for (mode, version), part in rows.groupby(["mode", "version"]):
        for dimension in order:
            cell = part[part["dimension"] == dimension]
            if len(cell):
                cells.append({"mode": mode, "version": version, "dimension": dimension, **summary(cell, seed)})
    return cells


def summary(rows: pd.DataFrame, seed: int) -> dict[str, Any]:
    """The figures of any set of rows, those that could not be graded counted apart."""
    graded = rows[~rows["not_gradable"]]
    counts = {str(grade): int((graded["grade"] == grade).sum()) for grade in GRADES}
    found: dict[str, Any] = {
        "cases": int(graded["case"].nunique()),
        "readers": int(graded["reader"].nunique()),
        "not_gradable": int(rows["not_gradable"].sum()),
        "counts": counts,
    }
    if graded.empty:
        nothing = no_figure("nothing could be graded")
        return {**found, "mean": nothing, "shares": {}, "simultaneous": {}}
    units, grades = Clusters.of(graded["unit"]), graded["grade"].to_numpy()
    found["mean"] = mean_figure(grades, units, seed=seed)
    found["mean_percentile"] = percentile_mean(grades, units, seed=seed)
    if found["readers"] >= READERS_TO_GENERALISE and units.count > 1:
        found["mean_other_readers"] = mean_for_other_readers(grades, units, Clusters.of(graded["reader"]))
    found["shares"] = {str(grade): share_figure((grades == grade).astype(float), units) for grade in GRADES}
    found["share_1_or_2"] = share_figure((grades <= 2).astype(float), units)
    found["simultaneous"] = dict(zip(counts, simultaneous_shares(grades, units), strict=True))
    return found


def overall_means(table: ScoresTable, seed: int) -> list[dict[str, Any]]:
    """Per mode and version, the mean of the dimensions' means: what the published study calls overall."""
    rows = first_gradable(table)
    return [
        {"mode": mode, "version": version, "mean": _mean_of_dimensions(part, seed)}
        for (mode, version), part in rows.groupby(["mode", "version"])
        if part["dimension"].nunique() >= BOTH_DIMENSIONS
    ]


def _mean_of_dimensions(rows: pd.DataFrame, seed: int) -> Figure:
    clusters = Clusters.of(rows["unit"])
    names = sorted(rows["dimension"].unique())
    member = (rows["dimension"].to_numpy()[:, None] == np.array(names)).astype(float)
    columns = np.concatenate([member * rows["grade"].to_numpy()[:, None], member], axis=1)
    width = len(names)

    def mean_of_means(totals: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        means = [ratio(totals[:, [place, place + width]]) for place in range(width)]
        return np.mean(means, axis=0)  # type: ignore[no-any-return]

    return bootstrap(columns, clusters, mean_of_means, bca_name(clusters, len(rows)), seed=seed)


def by_reader(table: ScoresTable, seed: int) -> list[dict[str, Any]]:
    """Each reader's mean and share of grade 1 per mode and dimension, over all versions."""
    return _grouped(table, "reader", seed)


def by_factor(table: ScoresTable, seed: int) -> dict[str, list[dict[str, Any]]]:
    """Mean and share of grade 1 by plane, site, scanner and split, where the table has them."""
    return {name: _grouped(table, name, seed) for name in FACTORS if table.has(name)}


def _grouped(table: ScoresTable, name: str, seed: int) -> list[dict[str, Any]]:
    rows = first_gradable(table)
    order = dimensions_of(table.rows)
    found = []
    for (mode, level), part in rows.groupby(["mode", name]):
        for dimension in order:
            cell = part[part["dimension"] == dimension]
            if cell.empty:
                continue
            units = Clusters.of(cell["unit"])
            found.append(
                {
                    "mode": mode,
                    "dimension": dimension,
                    name: level or "not stated",
                    "cases": int(cell["case"].nunique()),
                    "mean": mean_figure(cell["grade"], units, seed=seed),
                    "share_1": share_figure((cell["grade"] == 1).astype(float), units),
                }
            )
    return found
