"""Simulated studies of known truth: how often intervals hold it, and how often tests reject what is true."""

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from review import agreement
from review.agreement import Weighting
from review.analysis.comparing import ordinal_gee
from review.analysis.figures import Figure
from review.analysis.intervals import mean_for_other_readers, share_figure
from review.analysis.paired import exact_mcnemar, mean_difference, wilcoxon_pratt
from review.analysis.resampling import Clusters, bootstrap, mean_figure
from review.scores_table import table_from_rows

SPREAD = (0.55, 0.33, 0.12)
CUTS = np.array([0.3, 1.2])
FRAMES = 120
READERS = 3


def alone(n: int) -> Clusters:
    return Clusters(np.arange(n), n)


def holds(figure: Figure, value: float) -> bool:
    return figure.low is not None and figure.high is not None and figure.low <= value <= figure.high


def grades_of(latent: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1.0 + np.digitize(latent, CUTS)


def clustered(
    random: np.random.Generator, subjects: int = 80, frames: int = 3
) -> tuple[NDArray[np.float64], Clusters]:
    """Frames of subjects who resemble themselves."""
    latent = random.normal(0, 0.8, (subjects, 1)) + random.normal(0, 0.6, (subjects, frames))
    return grades_of(latent).ravel(), Clusters(np.repeat(np.arange(subjects), frames), subjects)


def mean_of_frames(runs: int) -> float:
    random = np.random.default_rng(11)
    truth = float(np.dot(SPREAD, [1, 2, 3]))
    return float(
        np.mean(
            [
                holds(mean_figure(random.choice([1.0, 2, 3], FRAMES, p=SPREAD), alone(FRAMES)), truth)
                for _ in range(runs)
            ]
        )
    )


def mean_of_clustered_frames(runs: int, *, as_if_independent: bool = False) -> float:
    random = np.random.default_rng(12)
    truth = float(clustered(np.random.default_rng(1), 300_000)[0].mean())
    studies = (clustered(random) for _ in range(runs))
    return float(
        np.mean(
            [holds(mean_figure(y, alone(len(y)) if as_if_independent else units), truth) for y, units in studies]
        )
    )


def share_of_clustered_frames(runs: int) -> float:
    random = np.random.default_rng(13)
    truth = float((clustered(np.random.default_rng(1), 300_000)[0] == 1).mean())
    return float(
        np.mean(
            [
                holds(share_figure((y == 1).astype(float), units), truth)
                for y, units in (clustered(random) for _ in range(runs))
            ]
        )
    )


def mean_for_all_readers(runs: int, readers: int = 5) -> float:
    """Readers are drawn anew in every study: the interval for other readers must hold the mean over all readers."""
    random, subjects = np.random.default_rng(14), 60
    units, who = (
        Clusters(np.tile(np.arange(subjects), readers), subjects),
        Clusters(np.repeat(np.arange(readers), subjects), readers),
    )
    large = np.random.default_rng(2)
    truth = float(grades_of(large.normal(0, (0.8**2 + 0.3**2 + 0.5**2) ** 0.5, 2_000_000)).mean())
    held = []
    for _ in range(runs):
        latent = (
            random.normal(0, 0.3, (readers, 1))
            + random.normal(0, 0.8, subjects)
            + random.normal(0, 0.5, (readers, subjects))
        )
        held.append(holds(mean_for_other_readers(grades_of(latent).ravel(), units, who), truth))
    return float(np.mean(held))


def difference_of_versions(runs: int) -> float:
    random = np.random.default_rng(15)
    truth = float(np.mean(pair_of_versions(np.random.default_rng(3), 1_000_000, 0.3)))
    return float(
        np.mean(
            [
                holds(mean_difference(pair_of_versions(random, FRAMES, 0.3), alone(FRAMES)), truth)
                for _ in range(runs)
            ]
        )
    )


def pair_of_versions(random: np.random.Generator, frames: int, shift: float) -> NDArray[np.float64]:
    shared = random.normal(0, 0.8, frames)
    first, second = (grades_of(shared + random.normal(0, 0.6, frames) + by) for by in (0.0, -shift))
    return first - second


def readings(random: np.random.Generator, frames: int = FRAMES) -> NDArray[np.int64]:
    return agreement.count_ratings(
        grades_of(random.normal(0, 0.8, (frames, 1)) + random.normal(0, 0.5, (frames, READERS)))
    )


@cache
def true_agreement(weighting: Weighting) -> tuple[float, float]:
    """Alpha and AC2 of a study of half a million frames."""
    counts = readings(np.random.default_rng(4), 500_000)
    found = agreement.ac2(counts, weighting)
    assert found is not None
    return float(agreement.ordinal_alpha(agreement.coincidences(counts).sum(axis=0)[None])[0]), found.value


def ac2_of_readers(runs: int) -> float:
    random, (_, truth) = np.random.default_rng(16), true_agreement(Weighting.LINEAR)
    held = []
    for _ in range(runs):
        found = agreement.ac2(readings(random), Weighting.LINEAR)
        assert found is not None
        assert found.se is not None
        held.append(abs(found.value - truth) < 1.98 * found.se)
    return float(np.mean(held))


def alpha_of_readers(runs: int) -> float:
    random, (truth, _) = np.random.default_rng(17), true_agreement(Weighting.LINEAR)
    rows = (agreement.coincidences(readings(random)) for _ in range(runs))
    return float(
        np.mean([holds(bootstrap(part, alone(FRAMES), agreement.ordinal_alpha, "BCa"), truth) for part in rows])
    )


def level_of_wilcoxon(runs: int) -> float:
    random = np.random.default_rng(18)
    return float(
        np.mean(
            [wilcoxon_pratt(pair_of_versions(random, FRAMES, 0.0), alone(FRAMES)).p < 0.05 for _ in range(runs)]
        )
    )


def level_of_wilcoxon_in_clusters(runs: int) -> float:
    random, subjects = np.random.default_rng(19), 40
    units = Clusters(np.repeat(np.arange(subjects), 3), subjects)
    rejected = []
    for _ in range(runs):
        lean = np.repeat(random.normal(0, 0.8, subjects), 3)  # a subject favours a version in all of its frames
        rejected.append(wilcoxon_pratt(np.clip(np.rint(lean + random.normal(0, 0.3, 120)), -2, 2), units).p < 0.05)
    return float(np.mean(rejected))


def level_of_mcnemar(runs: int) -> float:
    random = np.random.default_rng(20)
    rejected = []
    for _ in range(runs):
        shared = random.normal(0, 0.8, FRAMES)
        first, second = (grades_of(shared + random.normal(0, 0.6, FRAMES)) == 1 for _ in range(2))
        rejected.append(exact_mcnemar(first, second, alone(FRAMES)).p < 0.05)
    return float(np.mean(rejected))


def level_of_the_ordinal_model(runs: int) -> float:
    """Fitted by statsmodels, a few milliseconds a frame: a third of the runs."""
    random = np.random.default_rng(21)
    rejected = []
    for _ in range(runs // 3):
        shared = random.normal(0, 0.8, (FRAMES, 1))
        grades = grades_of(shared + random.normal(0, 0.6, (FRAMES, 3)))
        rows = [
            {
                "case": f"c{case}",
                "reader": "r",
                "mode": "m",
                "version": f"v{v}",
                "dimension": "d",
                "grade": int(grade),
            }
            for case, line in enumerate(grades)
            for v, grade in enumerate(line)
        ]
        rejected.append(ordinal_gee(table_from_rows(rows).rows)["p"] < 0.05)
    return float(np.mean(rejected))


INTERVALS: dict[str, Callable[[int], float]] = {
    "mean, BCa": mean_of_frames,
    "mean of clustered frames, BCa": mean_of_clustered_frames,
    "share of clustered frames, Wilson": share_of_clustered_frames,
    "mean for all readers, t": mean_for_all_readers,
    "difference of versions, BCa": difference_of_versions,
    "AC2, linear": ac2_of_readers,
    "ordinal alpha, BCa": alpha_of_readers,
}
TESTS: dict[str, Callable[[int], float]] = {
    "Wilcoxon-Pratt": level_of_wilcoxon,
    "Wilcoxon-Pratt in clusters": level_of_wilcoxon_in_clusters,
    "McNemar": level_of_mcnemar,
}
SLOW_TESTS: dict[str, Callable[[int], float]] = {"ordinal GEE": level_of_the_ordinal_model}
