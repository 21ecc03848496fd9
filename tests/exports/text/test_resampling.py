"""Intervals are drawn by subject, come again with the same seed, and pairs are compared pair by pair."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exports.text.resampling import RESAMPLES, Resampler

scores = st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=1, max_size=30)


def by_the_textbook(units: list[str], values: list[float], seed: int) -> tuple[float, float]:
    """A bootstrap of whole subjects as it is usually written, with its own draws."""
    names = sorted(set(units))
    members = {name: [value for unit, value in zip(units, values, strict=True) if unit == name] for name in names}
    random = np.random.default_rng(seed)
    means = [
        float(np.mean([value for name in random.choice(names, len(names)) for value in members[name]]))
        for _ in range(4000)
    ]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def test_the_interval_is_that_of_whole_subjects() -> None:
    random = np.random.default_rng(3)
    units = [f"s{place // 5}" for place in range(200)]
    levels = np.repeat(random.random(40), 5)
    values = np.clip(levels + random.normal(0, 0.05, 200), 0, 1).tolist()
    figure = Resampler(units).mean(values)
    assert figure["ci95"] == pytest.approx(by_the_textbook(units, values, 5), abs=0.015)
    assert (figure["n"], figure["subjects"]) == (200, 40)
    by_answer = Resampler([str(place) for place in range(200)]).mean(values)["ci95"]
    assert by_answer[1] - by_answer[0] < 0.6 * (figure["ci95"][1] - figure["ci95"][0])


@settings(max_examples=30, deadline=None)
@given(scores)
def test_a_mean_lies_within_its_bounds_and_comes_again(values: list[float | None]) -> None:
    units = [f"s{place % 4}" for place in range(len(values))]
    figure = Resampler(units).mean(values)
    known = [value for value in values if value is not None]
    if not known:
        assert figure == {"value": None, "n": 0}
        return
    assert figure["value"] == pytest.approx(float(np.mean(known)))
    assert min(known) - 1e-9 <= figure["ci95"][0] <= figure["ci95"][1] <= max(known) + 1e-9
    assert Resampler(units).mean(values) == figure


def test_a_difference_of_a_thing_and_itself_is_nothing() -> None:
    figure = Resampler(["a", "b", "c"]).difference([0.1, 0.5, 0.9], [0.1, 0.5, 0.9])
    assert (figure["value"], figure["ci95"], figure["p"]) == (0.0, [0.0, 0.0], 1.0)


def test_pairs_show_a_difference_that_their_spread_would_hide() -> None:
    random = np.random.default_rng(0)
    hard = random.random(60)
    figure = Resampler([str(place) for place in range(60)]).difference((hard + 0.05).tolist(), hard.tolist())
    assert figure["ci95"] == [pytest.approx(0.05), pytest.approx(0.05)]
    assert figure["p"] == pytest.approx(1 / (RESAMPLES + 1))


def test_only_full_pairs_count() -> None:
    figure = Resampler(["a", "b", "c"]).difference([1.0, None, 0.5], [0.0, 0.0, None])
    assert (figure["value"], figure["n"]) == (1.0, 1)


def test_a_mean_of_means_gives_rare_kinds_their_full_weight() -> None:
    resampler = Resampler([str(place) for place in range(20)])
    rare: list[float | None] = [0.0, 0.0, *[None] * 18]
    common: list[float | None] = [None, None, *[1.0] * 18]
    assert resampler.mean_of_means([rare, common])["value"] == 0.5
