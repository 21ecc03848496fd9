"""What each strategy chooses, against what can be counted or computed otherwise."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from annotator.errors import InputError
from annotator.selection import BASELINE, STRATEGIES
from tests.annotator.selection.pools import a_drawn_pool

NAMES = tuple(STRATEGIES)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("count", "twins", "asked", "wanted"),
    [
        (0, 1, 5, 0),  # an empty pool
        (60, 1, 0, 0),
        (60, 1, 7, 7),
        (60, 1, 99, 60),  # fewer frames than asked for: what there is
        (60, 6, 99, 10),  # one of each cine loop
        (1, 1, 3, 1),
        (3, 3, 2, 1),  # all are twins
    ],
)
def test_every_strategy_takes_one_frame_of_each_unit_and_no_more_than_asked(
    name: str, count: int, twins: int, asked: int, wanted: int
) -> None:
    pool = a_drawn_pool(count, twins=twins)
    rows = STRATEGIES[name].order(pool, asked, rng())
    assert len(rows) == wanted
    assert len({pool.units[row] for row in rows}) == wanted


@pytest.mark.parametrize("name", NAMES)
def test_frames_that_look_all_the_same_are_no_obstacle(name: str) -> None:
    same = {
        "uncertainty": np.full(30, 0.5),
        "disagreement": np.zeros(30),
        "embeddings": np.ones((30, 4), np.float32),
    }
    pool = a_drawn_pool(30, strata=("one",) * 30, structures=(frozenset(),) * 30, **same)
    assert len(set(STRATEGIES[name].order(pool, 12, rng()).tolist())) == 12


@pytest.mark.parametrize("name", NAMES)
def test_equal_seeds_give_equal_orders(name: str) -> None:
    pool = a_drawn_pool()
    first, second = (STRATEGIES[name].order(pool, 20, rng(7)).tolist() for _ in range(2))
    assert first == second


@pytest.mark.parametrize("name", [name for name in NAMES if STRATEGIES[name].needs])
def test_a_missing_part_is_named_with_the_mend(name: str) -> None:
    for part in STRATEGIES[name].needs:
        lacking = replace(a_drawn_pool(), **{part: () if part == "structures" else None})
        with pytest.raises(InputError, match=f"strategy {name} needs the {part}.*or choose another"):
            STRATEGIES[name].order(lacking, 5, rng())


@pytest.mark.parametrize("name", ["uncertainty", "disagreement", "hybrid", "class-stratified"])
def test_a_pool_in_which_nothing_is_known_lacks_the_part(name: str) -> None:
    nothing = np.full(60, np.nan)
    with pytest.raises(InputError, match="needs the"):
        STRATEGIES[name].order(a_drawn_pool(uncertainty=nothing, disagreement=nothing), 5, rng())


def test_the_baseline_fills_the_strata_that_have_least() -> None:
    pool = a_drawn_pool(labelled_strata=("s0",) * 4 + ("s1",))
    rows = STRATEGIES[BASELINE].order(pool, 7, rng())
    assert Counter(pool.strata[row] for row in rows) == {"s2": 4, "s1": 3}
    small = a_drawn_pool(9, strata=("rare",) + ("common",) * 8, labelled_strata=())
    taken = STRATEGIES[BASELINE].order(small, 6, rng())
    assert Counter(small.strata[row] for row in taken) == {"rare": 1, "common": 5}


def test_the_baseline_draws_every_frame_of_a_stratum_alike() -> None:
    pool = a_drawn_pool(6, strata=("one",) * 6)
    drawn = Counter(int(STRATEGIES[BASELINE].order(pool, 1, rng(seed))[0]) for seed in range(600))
    assert min(drawn[row] for row in range(6)) > 60  # 100 expected, sd 9


@pytest.mark.parametrize("name", ["uncertainty", "disagreement"])
def test_the_highest_come_first_and_the_unknown_last(name: str) -> None:
    value = np.array([0.2, np.nan, 0.9, 0.0, 0.9])
    pool = a_drawn_pool(5, uncertainty=value, disagreement=value)
    orders = [STRATEGIES[name].order(pool, 5, rng(seed)).tolist() for seed in range(20)]
    assert all(set(order[:2]) == {2, 4} and order[2:] == [0, 3, 1] for order in orders)
    assert {order[0] for order in orders} == {2, 4}  # ties by chance


def brute_force_k_center(points: np.ndarray, labelled: np.ndarray, count: int) -> list[int]:
    chosen: list[int] = []
    for _ in range(count):
        covered = [*labelled, *(points[row] for row in chosen)]
        nearest = [min(float(np.linalg.norm(point - one)) for one in covered) for point in points]
        chosen.append(max((row for row in range(len(points)) if row not in chosen), key=lambda row: nearest[row]))
    return chosen


@pytest.mark.parametrize("seed", range(3))
def test_k_center_agrees_with_brute_force(seed: int) -> None:
    pool = a_drawn_pool(40, seed=seed)
    assert pool.embeddings is not None
    assert pool.labelled_embeddings is not None
    expected = brute_force_k_center(pool.embeddings.astype(float), pool.labelled_embeddings.astype(float), 15)
    assert STRATEGIES["k-center"].order(pool, 15, rng()).tolist() == expected


def test_k_center_starts_in_the_middle_where_nothing_is_labelled() -> None:
    points = np.array([[0.0], [4.0], [5.0], [11.0]], np.float32)
    pool = a_drawn_pool(4, embeddings=points, labelled_embeddings=None)
    assert STRATEGIES["k-center"].order(pool, 3, rng()).tolist() == [2, 3, 0]


def clusters(sizes: dict[float, int]) -> np.ndarray:
    draw = np.random.default_rng(3)
    return np.concatenate([middle + 0.1 * draw.normal(size=(size, 2)) for middle, size in sizes.items()])


def test_typical_picks_go_to_the_clusters_that_nothing_labelled_lies_in_the_largest_first() -> None:
    points = clusters({0.0: 20, 10.0: 12, 20.0: 16}).astype(np.float32)
    pool = a_drawn_pool(48, embeddings=points, labelled_embeddings=np.array([[0.0, 0.0]], np.float32))
    rows = STRATEGIES["typical"].order(pool, 2, rng())
    assert [round(float(points[row, 0]), -1) for row in rows] == [20.0, 10.0]


def test_the_typical_frame_of_a_cluster_lies_in_its_midst() -> None:
    points = np.array([[0.0], [0.9], [1.0], [1.1], [3.0]], np.float32)
    pool = a_drawn_pool(5, embeddings=points, labelled_embeddings=None)
    assert STRATEGIES["typical"].order(pool, 1, rng()).tolist() == [2]


def test_hybrid_takes_the_least_sure_frame_of_every_cluster_before_a_second_of_any() -> None:
    points = clusters({0.0: 10, 10.0: 10, 20.0: 10}).astype(np.float32)
    unsure = np.tile(np.linspace(0.1, 0.8, 10), 3) + np.repeat([0.0, 0.2, 0.1], 10)
    pool = a_drawn_pool(30, embeddings=points, uncertainty=unsure)
    assert STRATEGIES["hybrid"].order(pool, 3, rng()).tolist() == [19, 29, 9]


def test_class_stratified_goes_round_what_was_found_and_labelled_least() -> None:
    found = tuple(frozenset({"NT"} if row < 50 else {"CM"} if row < 58 else ()) for row in range(60))
    pool = a_drawn_pool(structures=found, labelled_structures=(frozenset({"NT"}),) * 9, round=50)
    rows = STRATEGIES["class-stratified"].order(pool, 9, rng())
    names = ["".join(found[row]) for row in rows[:6]]
    assert Counter(names) == {"": 2, "CM": 4}  # two thirds of the picks, frames with nothing found being two


def test_the_noise_of_class_stratified_decays_by_round() -> None:
    def overlap(turn: int) -> float:
        pool = a_drawn_pool(structures=(frozenset({"NT"}),) * 60, round=turn)
        assert pool.uncertainty is not None
        best = set(np.argsort(-pool.uncertainty)[:10].tolist())
        taken = [set(STRATEGIES["class-stratified"].order(pool, 10, rng(seed)).tolist()) for seed in range(30)]
        return float(np.mean([len(best & rows) / 10 for rows in taken]))

    assert overlap(0) < 0.5 < overlap(3) < overlap(40) == 1.0
