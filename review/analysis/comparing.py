"""Versions and modes compared on the same frames by the same readers, in pairs and all together."""

import warnings
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from review.analysis.figures import Figure
from review.analysis.grades import dimensions_of, first_gradable
from review.analysis.intervals import share_figure
from review.analysis.paired import (
    Test,
    exact_mcnemar,
    hodges_lehmann,
    holm,
    mean_difference,
    superiority,
    wilcoxon_pratt,
)
from review.analysis.resampling import Clusters
from review.scores_table import ScoresTable

PAIR = ["case", "reader"]
SEVERAL = 3
FEWEST_PAIRS = 2


def compare_versions(table: ScoresTable, seed: int) -> dict[str, Any]:
    """Every pair of versions per mode and dimension; p values adjusted by Holm over all of them, per test."""
    rows = first_gradable(table)
    pairs: list[dict[str, Any]] = []
    together: list[dict[str, Any]] = []
    for mode, part in rows.groupby("mode"):
        for dimension in dimensions_of(rows):
            cell = part[part["dimension"] == dimension]
            grid = cell.pivot_table(index=["unit", *PAIR], columns="version", values="grade")
            place = {"mode": mode, "dimension": dimension}
            pairs += [
                {**place, "first": first, "second": second, **_pair(grid, first, second, seed)}
                for first, second in combinations(grid.columns, 2)
            ]
            if len(grid.columns) >= SEVERAL:
                together.append({**place, "friedman": _friedman(grid), "ordinal_gee": ordinal_gee(cell)})
    adjust(pairs)
    if not pairs:
        return {"pairs": [], "together": [], "note": "There is one version: nothing to compare."}
    return {"pairs": pairs, "together": together}


def adjust(pairs: list[dict[str, Any]]) -> None:
    """Add Holm's p to the tests of a family of comparisons, in place."""
    for name in ("wilcoxon", "mcnemar_grade_1"):
        tests = [pair[name] for pair in pairs if name in pair]
        for test, p in zip(tests, holm([test["p"] for test in tests]), strict=True):
            test["p_holm"], test["family"] = p, len(tests)


def _pair(grid: pd.DataFrame, first: str, second: str, seed: int) -> dict[str, Any]:
    both = grid[[first, second]].dropna()
    return compare(both[first], both[second], both.index.get_level_values("unit"), seed)


def compare(first: pd.Series, second: pd.Series, units: Any, seed: int) -> dict[str, Any]:
    """Tests and effect sizes of paired grades; differences are first minus second."""
    if len(first) < FEWEST_PAIRS:
        return {"n": len(first), "note": "fewer than two frames were graded for both"}
    clusters = Clusters.of(units)
    left, right = first.to_numpy(), second.to_numpy()
    apart = left - right
    return {
        "n": len(apart),
        "units": clusters.count,
        "mean_difference": mean_difference(apart, clusters, seed=seed),
        "hodges_lehmann": hodges_lehmann(apart, clusters, seed=seed),
        "better_minus_worse": superiority(apart, clusters, seed=seed),
        "wilcoxon": _test(wilcoxon_pratt(apart, clusters, seed=seed)),
        "mcnemar_grade_1": _test(exact_mcnemar(left == 1, right == 1, clusters, seed=seed)),
        "steps": {str(step): int((apart == step).sum()) for step in range(-2, 3)},
    }


def _test(test: Test) -> dict[str, Any]:
    return {
        "statistic": test.statistic,
        "p": test.p,
        "n": test.n,
        "discordant": test.discordant,
        "method": test.method,
    }


def _friedman(grid: pd.DataFrame) -> dict[str, Any]:
    """Friedman's test over frames; a frame's grades of a version are averaged over its readers first."""
    from scipy.stats import friedmanchisquare

    frames = grid.dropna().groupby(level="case").mean()
    if len(frames) < FEWEST_PAIRS or np.ptp(frames.to_numpy()) == 0:
        return {"n": len(frames), "note": "not computed: too few frames have all versions, or all grades are equal"}
    found = friedmanchisquare(*(frames[name] for name in frames))
    if not np.isfinite(found.statistic):
        return {"n": len(frames), "note": "not computed: no frame was graded differently between versions"}
    freedom = len(grid.columns) - 1
    return {"statistic": float(found.statistic), "df": freedom, "p": float(found.pvalue), "n": len(frames)}


def ordinal_gee(rows: pd.DataFrame, factor: str = "version", adjusted: tuple[str, ...] = ()) -> dict[str, Any]:
    """Proportional-odds GEE with robust errors by subject: odds ratios of a worse grade against the first level.

    Readers enter as fixed effects where there are several. Where the fit fails, `note` gives the reason.
    """
    levels = sorted(rows[factor].unique())
    design = _dummies(rows, factor, *(["reader"] if rows["reader"].nunique() > 1 else []), *adjusted)
    result = _fit(rows, design)
    if isinstance(result, str):
        return {"n": len(rows), "note": f"not computed: {result}"}
    covariance = np.asarray(result.cov_params())
    estimates, errors = np.asarray(result.params), np.sqrt(np.diag(covariance))
    start = len(estimates) - design.shape[1]
    wanted = slice(start, start + len(levels) - 1)
    wald = float(estimates[wanted] @ np.linalg.solve(covariance[wanted, wanted], estimates[wanted]))
    from scipy.stats import chi2

    n, units = len(rows), int(rows["unit"].nunique())
    ratios = {
        str(level): Figure(float(np.exp(b)), *_around(b, se), n, units, "ordinal GEE, robust by subject")
        for level, b, se in zip(levels[1:], estimates[wanted], errors[wanted], strict=True)
    }
    return {
        "reference": levels[0],
        "odds_ratios_of_worse": ratios,
        "wald": wald,
        "df": len(levels) - 1,
        "p": float(chi2.sf(wald, len(levels) - 1)),
        "n": n,
        "units": units,
    }


def _around(estimate: float, error: float) -> tuple[float, float]:
    return float(np.exp(estimate - 1.959964 * error)), float(np.exp(estimate + 1.959964 * error))


def _dummies(rows: pd.DataFrame, *names: str) -> NDArray[np.float64]:
    parts = [pd.get_dummies(rows[name], drop_first=True).to_numpy(np.float64) for name in names]
    return np.concatenate(parts, axis=1)


def _start(grades: NDArray[np.float64], design: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the fit begins: the cut points of the grades as they are, and no effects."""
    above = np.array([(grades > cut).mean() for cut in np.unique(grades)[:-1]])
    return np.concatenate([np.log(above / (1 - above)), np.zeros(design.shape[1])])


def _fit(rows: pd.DataFrame, design: NDArray[np.float64]) -> Any:
    """The fitted model, or why there is none."""
    from statsmodels.genmod.generalized_estimating_equations import OrdinalGEE

    grades = rows["grade"].to_numpy()
    if len(np.unique(grades)) < FEWEST_PAIRS or rows["unit"].nunique() < 2 * FEWEST_PAIRS:
        return "all grades are equal, or there are too few subjects"
    if np.linalg.matrix_rank(np.c_[np.ones(len(design)), design]) <= design.shape[1]:
        return "what is compared cannot be told apart from the reader or the period"
    groups = Clusters.of(rows["unit"]).codes
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            result = OrdinalGEE(grades, design, groups).fit(maxiter=100, start_params=_start(grades, design))
            covariance = np.asarray(result.cov_params())
    except (np.linalg.LinAlgError, ValueError, FloatingPointError) as error:
        return f"the model could not be fitted ({error})"
    # Without a grade somewhere the odds run off to infinity: the fit stops, but means nothing.
    sound = np.isfinite(covariance).all() and np.abs(np.asarray(result.params)).max() < 15
    return result if result.converged and sound else "the fit did not converge"


def compare_modes(table: ScoresTable, seed: int) -> dict[str, Any]:
    """Autonomous minus guided for the same frame, version and reader; refused where none are the same."""
    rows = first_gradable(table)
    modes = set(rows["mode"])
    if not {"autonomous", "guided"} <= modes:
        return {"pairs": [], "note": f"Only {_and(sorted(modes)) or 'no mode'} was graded: nothing to compare."}
    key = ["version", *PAIR, "dimension"]
    halves = {mode: rows[rows["mode"] == mode] for mode in ("autonomous", "guided")}
    both = halves["autonomous"].merge(halves["guided"], on=key, suffixes=("_autonomous", "_guided"))
    if both.empty:
        return {"pairs": [], "note": _why_apart(halves), "refused": True}
    pairs = []
    for version, part in both.groupby("version"):
        for dimension in dimensions_of(part):
            cell = part[part["dimension"] == dimension]
            found = compare(cell["grade_autonomous"], cell["grade_guided"], cell["unit_guided"], seed)
            pairs.append({"version": version, "dimension": dimension, **found, **_times(cell, seed)})
    adjust(pairs)
    shared = both["case"].nunique()
    counts = {mode: int(half["case"].nunique()) for mode, half in halves.items()}
    apart = f"{counts['autonomous']} autonomous and {counts['guided']} guided"
    note = f"{shared} frames were graded in both modes, of {apart}."
    found = {"pairs": pairs, "frames_in_both": int(shared), "frames": counts, "note": note}
    return {**found, "ordinal_gee": _mode_models(rows, both[key])}


def _mode_models(rows: pd.DataFrame, shared: pd.DataFrame) -> list[dict[str, Any]]:
    """The odds of a worse grade in guided against autonomous mode, adjusted for the period where it is noted."""
    chosen = rows.merge(shared, on=list(shared.columns))
    adjusted = ("period",) if chosen["period"].notna().all() and chosen["period"].nunique() > 1 else ()
    return [
        {
            "dimension": dimension,
            "adjusted_for": list(adjusted),
            **ordinal_gee(chosen[chosen["dimension"] == dimension], "mode", adjusted),
        }
        for dimension in dimensions_of(chosen)
    ]


def _times(cell: pd.DataFrame, seed: int) -> dict[str, Any]:
    timed = cell[["seconds_autonomous", "seconds_guided", "unit_guided"]].dropna()
    if len(timed) < FEWEST_PAIRS:
        return {}
    apart = timed["seconds_autonomous"] - timed["seconds_guided"]
    return {"seconds_difference": mean_difference(apart, Clusters.of(timed["unit_guided"]), seed=seed)}


def _why_apart(halves: dict[str, pd.DataFrame]) -> str:
    autonomous, guided = halves["autonomous"], halves["guided"]
    for name, plural in (("case", "frames"), ("version", "versions"), ("reader", "readers")):
        if not set(autonomous[name]) & set(guided[name]):
            return (
                f"Not compared: the two modes have no {plural} in common "
                f"({autonomous['case'].nunique()} autonomous frames, {guided['case'].nunique()} guided). "
                "A difference of their means would mix the modes with the frames."
            )
    return "Not compared: no reader graded the same version of the same frame in both modes."


def own_views(table: ScoresTable) -> dict[str, Any]:
    """Guided mode: how often the reader's own view agreed with the model's, and was given up for it."""
    rows = table.rows[(table.rows["mode"] == "guided") & (table.rows["showing"] == 0)]
    found: dict[str, Any] = {}
    for name in ("own_view_agrees", "overturned"):
        # The view is one a showing, though each dimension has a row.
        known = rows.dropna(subset=[name]).drop_duplicates([*PAIR, "version"])
        if len(known):
            found[name] = share_figure(known[name], Clusters.of(known["unit"]))
    return found


def _and(names: list[str]) -> str:
    return " and ".join(names)
