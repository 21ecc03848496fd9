import krippendorff
import numpy as np
import pytest
from numpy.typing import NDArray
from statsmodels.stats.inter_rater import cohens_kappa, fleiss_kappa

from review import agreement
from review.agreement import Weighting

# The two data sets of the reference, whose AC2 was computed by another program.
A = [(1, 1)] * 216 + [(2, 2)] * 3 + [(1, 2)] * 9 + [(2, 1)] * 9
B = [
    [np.nan if sign == "-" else int(sign) for sign in word]
    for word in ["111", "121", "22-", "323", "11-", "233", "1--", "112", "333", "212"]
]

AC2_VALUES = {
    "A": (A, {"quadratic": (0.97899, 0.00513), "linear": (0.95872, 0.00995), "ordinal": (0.97216, 0.00677)}),
    "B": (B, {"quadratic": (0.74438, 0.11577), "linear": (0.60474, 0.14530), "ordinal": (0.68954, 0.12659)}),
}
AC2_VALUES["A"][1]["identity"] = (0.92022, 0.01876)
AC2_VALUES["B"][1]["identity"] = (0.45623, 0.18068)


def random_ratings(seed: int, readers: int = 3, missing: float = 0.2) -> NDArray[np.float64]:
    random = np.random.default_rng(seed)
    quality = random.normal(size=(40, 1))
    grades = 1.0 + np.digitize(quality + random.normal(0, 0.7, (40, readers)), [0.2, 1.0])
    grades[random.random(grades.shape) < missing] = np.nan
    return grades


@pytest.mark.parametrize("name", ["A", "B"])
@pytest.mark.parametrize("weighting", list(Weighting))
def test_ac2_and_its_error_equal_the_check_values_to_five_decimals(name: str, weighting: Weighting) -> None:
    ratings, expected = AC2_VALUES[name]
    found = agreement.ac2(agreement.count_ratings(ratings), weighting)
    assert found is not None
    assert found.se is not None
    assert (round(found.value, 5), round(found.se, 5)) == expected[weighting.value]


def test_the_check_data_have_the_published_raw_agreement_kappa_and_alpha() -> None:
    counts = agreement.count_ratings(A)
    assert round(100 * agreement.raw_agreement(counts), 1) == 92.4
    tables = agreement.pair_tables(*np.array(A).T).sum(axis=0)
    assert round(float(agreement.weighted_kappa(tables[None])[0]), 2) == 0.21
    assert alpha_of(np.array(A, float)) == pytest.approx(0.21, abs=0.005)
    assert round(alpha_of(np.array(B)), 3) == 0.703


def alpha_of(ratings: NDArray[np.float64]) -> float:
    rows = agreement.coincidences(agreement.count_ratings(ratings))
    return float(agreement.ordinal_alpha(rows.sum(axis=0)[None])[0])


@pytest.mark.parametrize("seed", range(5))
def test_alpha_equals_the_krippendorff_package_with_missing_grades(seed: int) -> None:
    ratings = random_ratings(seed)
    expected = krippendorff.alpha(ratings.T, level_of_measurement="ordinal", value_domain=[1, 2, 3])
    assert alpha_of(ratings) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("weighting", [Weighting.IDENTITY, Weighting.LINEAR, Weighting.QUADRATIC])
def test_kappa_equals_statsmodels(weighting: Weighting) -> None:
    ratings = random_ratings(3, readers=2, missing=0)
    tables = agreement.pair_tables(*ratings.T).sum(axis=0)
    wt = None if weighting is Weighting.IDENTITY else weighting.value
    expected = cohens_kappa(tables.reshape(3, 3), wt=wt, return_results=False)
    assert agreement.weighted_kappa(tables[None], weighting)[0] == pytest.approx(expected)


def test_identity_ac2_with_uniform_chance_is_the_brennan_prediger_like_kappa() -> None:
    # With equal prevalence AC1's chance term is 1/q, the one that Randolph's free-marginal kappa always has.
    ratings = [(1, 1), (2, 2), (3, 3), (1, 2), (2, 3), (3, 1)]
    counts = agreement.count_ratings(ratings)
    found = agreement.ac2(counts, Weighting.IDENTITY)
    assert found is not None
    assert found.value == pytest.approx(fleiss_kappa(counts, method="randolph"))


def test_errors_by_cluster_equal_those_of_independent_items_when_each_is_its_own() -> None:
    counts = agreement.count_ratings(random_ratings(1))
    alone = agreement.ac2(counts, Weighting.LINEAR)
    clustered = agreement.ac2(counts, Weighting.LINEAR, np.arange(len(counts)))
    assert alone == clustered


def test_showing_every_frame_twice_does_not_make_agreement_look_surer() -> None:
    counts = agreement.count_ratings(random_ratings(2, missing=0))
    once = agreement.ac2(counts, Weighting.LINEAR)
    doubled = np.repeat(counts, 2, axis=0)
    twice = agreement.ac2(doubled, Weighting.LINEAR, np.repeat(np.arange(len(counts)), 2))
    assert once is not None
    assert twice is not None
    assert twice.se == pytest.approx(once.se)


def test_what_is_not_defined_is_not_a_number() -> None:
    same = np.ones((10, 2))
    assert np.isnan(alpha_of(same))
    assert np.isnan(agreement.weighted_kappa(agreement.pair_tables(*same.T).sum(axis=0)[None])[0])
    assert np.isnan(agreement.raw_agreement(agreement.count_ratings([[1, np.nan], [np.nan, 2]])))
    assert agreement.ac2(agreement.count_ratings([[1, np.nan]]), Weighting.LINEAR) is None
    full = agreement.ac2(agreement.count_ratings(same), Weighting.LINEAR)
    assert full is not None
    assert (full.value, full.se) == (1.0, 0.0)


def test_frames_without_any_grade_change_nothing() -> None:
    ratings = random_ratings(4)
    padded = np.vstack([ratings, np.full((5, 3), np.nan)])
    for weighting in Weighting:
        assert agreement.ac2(agreement.count_ratings(ratings), weighting) == agreement.ac2(
            agreement.count_ratings(padded), weighting
        )
