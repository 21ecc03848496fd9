import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from review.analysis import paired
from review.analysis.resampling import Clusters


def alone(n: int) -> Clusters:
    return Clusters(np.arange(n), n)


def some_differences(seed: int, n: int = 40) -> NDArray[np.int64]:
    return np.random.default_rng(seed).choice([-2, -1, 0, 1, 2], n, p=[0.03, 0.12, 0.55, 0.25, 0.05])


@pytest.mark.parametrize("seed", range(3))
def test_wilcoxon_pratt_equals_scipys_permutation_of_the_same_statistic(seed: int) -> None:
    differences = some_differences(seed, 8)
    every_flip = stats.PermutationMethod(n_resamples=np.inf)
    expected = stats.wilcoxon(differences, zero_method="pratt", method=every_flip)
    found = paired.wilcoxon_pratt(differences, alone(8))
    assert found.p == pytest.approx(expected.pvalue, abs=1e-9)
    assert found.statistic == stats.wilcoxon(differences, zero_method="pratt", alternative="greater").statistic


@pytest.mark.parametrize("seed", range(4))
def test_wilcoxon_pratt_is_near_scipys_normal_approximation_in_large_samples(seed: int) -> None:
    differences = some_differences(seed, 400)
    expected = stats.wilcoxon(differences, zero_method="pratt", method="asymptotic").pvalue
    found = paired.wilcoxon_pratt(differences, alone(400)).p
    assert found == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(("only_first", "only_second"), [(0, 0), (5, 5), (9, 2), (1, 12), (40, 22)])
def test_mcnemar_equals_statsmodels(only_first: int, only_second: int) -> None:
    first = np.r_[np.ones(only_first), np.zeros(only_second), np.ones(20)].astype(bool)
    second = np.r_[np.zeros(only_first), np.ones(only_second), np.ones(20)].astype(bool)
    expected = mcnemar([[20, only_first], [only_second, 0]], exact=True).pvalue
    found = paired.exact_mcnemar(first, second, alone(len(first)))
    assert found.p == pytest.approx(expected)
    assert found.statistic == only_first


def test_pairs_of_one_subject_are_exchanged_together() -> None:
    # Ten identical pairs of one subject are one piece of evidence: nothing can be shown.
    same = Clusters(np.zeros(10, int), 1)
    assert paired.wilcoxon_pratt(np.ones(10), same).p == 1.0
    assert paired.wilcoxon_pratt(np.ones(10), alone(10)).p == pytest.approx(2 / 2**10)


def test_random_flips_agree_with_the_exact_p_and_repeat_with_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = some_differences(7, 60)
    exact = paired.wilcoxon_pratt(differences, alone(60))
    monkeypatch.setattr(paired, "LARGEST_EXACT", 10)
    drawn = [paired.wilcoxon_pratt(differences, alone(60), seed=3) for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert "20000 random" in drawn[0].method
    assert drawn[0].p == pytest.approx(exact.p, abs=4 * (exact.p * (1 - exact.p) / paired.FLIPS) ** 0.5)


@pytest.mark.parametrize("seed", range(3))
def test_hodges_lehmann_is_the_median_of_all_walsh_averages(seed: int) -> None:
    differences = some_differences(seed, 31) + (seed % 2)
    differences = np.clip(differences, -2, 2)
    averages = [(a + b) / 2 for i, a in enumerate(differences) for b in differences[i:]]
    assert paired.hodges_lehmann(differences, alone(31)).value == np.median(averages)


def test_superiority_favours_the_lower_grades() -> None:
    found = paired.superiority([-1, -1, 0, 1], alone(4))
    assert found.value == 0.25


def test_holm_adjusts_as_by_hand() -> None:
    assert paired.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert paired.holm([]) == []
