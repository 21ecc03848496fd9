import pytest

from review.power import (
    AUTONOMOUS,
    DIFFERENCES,
    agreement_half_widths,
    moves_for,
    planned_power,
    power_of,
    smallest_detectable,
    wilson_half_width,
)

# The reference's table: Wilcoxon-Pratt / McNemar, alpha 0.05/3, 35 % discordant pairs.
TABLE = {
    49: [(0.04, 0.01), (0.11, 0.05), (0.24, 0.09), (0.49, 0.18)],
    120: [(0.07, 0.05), (0.31, 0.15), (0.66, 0.36), (0.93, 0.65)],
    237: [(0.15, 0.12), (0.57, 0.41), (0.95, 0.79), (1.0, 0.97)],
    400: [(0.23, 0.22), (0.85, 0.67), (1.0, 0.96), (1.0, 1.0)],
}
HALF_WIDTHS = {
    (2, 49): (0.26, 0.07),
    (2, 237): (0.12, 0.03),
    (3, 49): (0.21, 0.06),
    (3, 100): (0.14, 0.04),
    (4, 237): (0.08, 0.03),
}


@pytest.mark.parametrize("frames", TABLE)
def test_power_is_that_of_the_reference_within_the_error_of_simulations(frames: int) -> None:
    for difference, (wilcoxon, mcnemar) in zip(DIFFERENCES, TABLE[frames], strict=True):
        found = power_of(frames, difference)
        assert found.wilcoxon == pytest.approx(wilcoxon, abs=0.04)
        assert found.mcnemar == pytest.approx(mcnemar, abs=0.04)


@pytest.mark.parametrize(("readers", "frames"), HALF_WIDTHS)
def test_agreement_is_as_precise_as_the_reference_says(readers: int, frames: int) -> None:
    alpha, ac2 = HALF_WIDTHS[readers, frames]
    found = agreement_half_widths(readers, frames, runs=300)
    assert found["alpha"] == pytest.approx(alpha, abs=0.03)
    assert found["ac2"] == pytest.approx(ac2, abs=0.01)


@pytest.mark.parametrize(("frames", "points"), [(49, 12.5), (100, 8.8), (237, 5.8), (400, 4.5)])
def test_wilson_half_widths_are_those_of_the_reference(frames: int, points: float) -> None:
    assert round(100 * wilson_half_width(frames), 1) == pytest.approx(points, abs=0.11)


def test_the_moves_of_a_difference_stay_within_the_scale() -> None:
    moves = moves_for(0.2, AUTONOMOUS, 0.35)
    assert (moves > 0).all()
    assert moves.sum() == pytest.approx(0.35)
    with pytest.raises(ValueError, match="more than 35% differing frames"):
        moves_for(0.4, AUTONOMOUS, 0.35)


def test_more_frames_show_smaller_differences() -> None:
    found = [smallest_detectable(frames)["wilcoxon"] for frames in (49, 120, 237)]
    assert found[0] > found[1] > found[2]  # type: ignore[operator]
    assert found[2] == pytest.approx(0.125, abs=0.015)


def test_a_plan_says_what_it_buys_and_what_it_lacks() -> None:
    plan = planned_power(49, 1, 3)
    assert plan["comparisons"] == 6
    assert plan["power"][0]["wilcoxon"] < 0.1
    assert any("no agreement" in line for line in plan["advice"])
    assert "agreement_half_width" not in plan
    assert "49 frames, 1 readers" not in plan["text"]
    assert planned_power(200, 3, 3)["advice"] == []


def test_a_plan_with_one_version_has_nothing_to_compare() -> None:
    plan = planned_power(100, 2, 1)
    assert "power" not in plan
    assert plan["agreement_half_width"]["ac2"] < plan["agreement_half_width"]["alpha"]


def test_a_plan_is_the_same_whenever_it_is_made() -> None:
    assert planned_power(60, 2, 2) == planned_power(60, 2, 2)
