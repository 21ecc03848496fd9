import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from review.analysis import effort
from review.analysis.intervals import effective_n, mean_for_other_readers, share_figure, simultaneous_shares
from review.analysis.resampling import Clusters, bootstrap, draws_of, mean_figure, ratio


def alone(n: int) -> Clusters:
    return Clusters(np.arange(n), n)


GUIDED = np.repeat([1.0, 2.0, 3.0], [36, 12, 1])


@pytest.mark.parametrize("counts", [(36, 12, 1), (31, 14, 4), (20, 20, 9)])
def test_the_bootstrap_of_a_mean_agrees_with_scipys_bca(counts: tuple[int, int, int]) -> None:
    grades = np.repeat([1.0, 2.0, 3.0], counts)
    expected = stats.bootstrap((grades,), np.mean, n_resamples=9999, method="BCa", rng=1).confidence_interval
    found = mean_figure(grades, alone(len(grades)))
    assert found.value == pytest.approx(grades.mean())
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1.01 / len(grades))


@pytest.mark.parametrize("hits", [0, 1, 36, 49])
def test_shares_of_independent_frames_have_wilsons_interval(hits: int) -> None:
    found = share_figure(np.arange(49) < hits, alone(49))
    expected = proportion_confint(hits, 49, method="wilson")
    assert (found.low, found.high) == pytest.approx(expected)


def test_copies_of_a_frame_do_not_narrow_an_interval() -> None:
    once, twice = alone(49), Clusters(np.repeat(np.arange(49), 2), 49)
    doubled = np.repeat(GUIDED, 2)
    assert effective_n(np.repeat(GUIDED == 1, 2).astype(float), twice) == pytest.approx(49)
    single, double = (
        share_figure(grades == 1, clusters) for grades, clusters in ((GUIDED, once), (doubled, twice))
    )
    assert (double.low, double.high) == pytest.approx((single.low, single.high))
    assert mean_figure(doubled, twice).high == pytest.approx(mean_figure(GUIDED, once).high)
    assert double.n == 98
    assert double.units == 49


def test_simultaneous_intervals_are_wider_than_single_ones() -> None:
    single = share_figure(GUIDED == 1, alone(49))
    together = simultaneous_shares(GUIDED, alone(49))
    assert single.low is not None
    assert together[0][0] < single.low
    assert len(together) == 3


def test_an_interval_for_other_readers_grows_with_their_spread() -> None:
    units, readers = Clusters(np.tile(np.arange(50), 3), 50), Clusters(np.repeat(np.arange(3), 50), 3)
    alike = np.tile(np.r_[np.ones(30), np.full(20, 2.0)], 3)
    apart = np.clip(alike + np.repeat([0, 0, 1], 50), 1, 3)
    widths = [mean_for_other_readers(grades, units, readers) for grades in (alike, apart)]
    assert widths[0].high is not None
    assert widths[0].high - widths[0].low < 0.3  # type: ignore[operator]
    assert widths[1].high - widths[1].low > 1.0  # type: ignore[operator]


def test_grades_that_do_not_vary_have_no_interval_and_say_so() -> None:
    found = mean_figure(np.ones(20), alone(20))
    assert (found.value, found.low) == (1.0, None)
    assert "do not vary" in found.note
    assert mean_figure([], Clusters(np.zeros(0, int), 0)).note == "no data"
    assert "one cluster" in mean_figure([1, 2], Clusters(np.zeros(2, int), 1)).note


def test_draws_are_the_same_whether_remembered_or_made_in_pieces() -> None:
    whole = next(iter(draws_of(50)))
    assert whole.shape == (4000, 50)
    assert (whole.sum(axis=1) == 50).all()
    pieces = list(draws_of(3000))
    assert len(pieces) > 1
    assert sum(len(piece) for piece in pieces) == 4000
    assert all((piece.sum(axis=1, dtype=int) == 3000).all() for piece in pieces)


def test_a_statistic_that_is_not_defined_has_no_value() -> None:
    found = bootstrap(np.zeros((4, 2)), alone(4), ratio, "a ratio")
    assert found.value is None


@pytest.mark.parametrize("seed", range(3))
def test_spearman_equals_scipy_and_its_interval_holds_the_value(seed: int) -> None:
    random = np.random.default_rng(seed)
    grades = random.integers(1, 4, 80).astype(float)
    path = 30 * grades + random.normal(0, 30, 80)
    found = effort.spearman_figure(grades, path, alone(80))
    assert found.value == pytest.approx(stats.spearmanr(grades, path).statistic)
    assert found.low < found.value < found.high  # type: ignore[operator]


def test_the_median_and_its_interval_are_those_of_plain_resampling() -> None:
    seconds = np.random.default_rng(0).gamma(3, 5, 61)
    found = effort.median_figure(seconds, alone(61))
    random = np.random.default_rng(5)
    plain = np.median(seconds[random.integers(0, 61, (4000, 61))], axis=1)
    assert found.value == np.median(seconds)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(plain, [0.025, 0.975])), rel=0.06)
