"""Picks: always a share by chance, deterministic, told why."""

import json

import pytest

from annotator.errors import InputError
from annotator.selection import BASELINE, STRATEGIES, Pick, pick
from annotator.selection.picking import random_places
from tests.annotator.selection.pools import a_drawn_pool

OTHERS = tuple(name for name in STRATEGIES if name != BASELINE)


@pytest.mark.parametrize("strategy", OTHERS)
@pytest.mark.parametrize("share", [0.1, 0.15, 0.2])
def test_every_beginning_of_the_list_holds_its_share_by_chance(strategy: str, share: float) -> None:
    picks = pick(strategy, a_drawn_pool(), 40, seed=1, random_share=share)
    by_chance = [one.by == BASELINE for one in picks]
    for length in range(1, 41):
        assert abs(sum(by_chance[:length]) - share * length) <= 0.5 + 1e-9
    assert {one.by for one in picks} == {strategy, BASELINE}


@pytest.mark.parametrize("total", [0, 1, 3, 4, 20, 333])
def test_places_by_chance_are_as_many_as_the_share(total: int) -> None:
    assert abs(len(random_places(total, 0.15)) - 0.15 * total) <= 0.5


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_picks_are_distinct_frames_of_distinct_units_and_the_same_for_a_seed(strategy: str) -> None:
    pool = a_drawn_pool(60, twins=2)
    picks = pick(strategy, pool, 25, seed=5)
    units = dict(zip(pool.ids, pool.units, strict=True))
    assert len({units[one.frame_id] for one in picks}) == 25
    assert picks == pick(strategy, pool, 25, seed=5)
    assert picks != pick(strategy, pool, 25, seed=6)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    ("frames", "twins", "count", "wanted"), [(0, 1, 5, 0), (9, 1, 0, 0), (9, 1, 50, 9), (9, 9, 4, 1)]
)
def test_there_are_never_more_picks_than_units(
    strategy: str, frames: int, twins: int, count: int, wanted: int
) -> None:
    assert len(pick(strategy, a_drawn_pool(frames, twins=twins), count, seed=0)) == wanted


def test_a_pick_tells_the_number_that_the_strategy_saw_and_why() -> None:
    pool = a_drawn_pool()
    assert pool.uncertainty is not None
    for one in pick("uncertainty", pool, 20, seed=0):
        seen = pool.uncertainty[pool.ids.index(one.frame_id)]
        assert one.value == (None if one.by == BASELINE else pytest.approx(seen, abs=1e-6))
        assert one.reason
    picks = pick("k-center", pool, 5, seed=0)
    assert Pick.model_validate(json.loads(picks[0].model_dump_json())) == picks[0]


def test_a_frame_picked_by_chance_covers_its_surroundings() -> None:
    picks = pick("k-center", a_drawn_pool(labelled_embeddings=None), 8, seed=3)
    assert len({one.frame_id for one in picks}) == 8


@pytest.mark.parametrize(
    ("strategy", "count", "share", "told"),
    [
        ("entropy", 5, 0.15, "no strategy 'entropy'; choose one of stratified-random"),
        ("uncertainty", -1, 0.15, "negative"),
        ("uncertainty", 5, 0.0, "0.1 to 0.2"),
        ("uncertainty", 5, 0.21, "0.1 to 0.2"),
        (BASELINE, 5, 1.0, "0.1 to 0.2"),
    ],
)
def test_what_cannot_be_done_is_refused(strategy: str, count: int, share: float, told: str) -> None:
    with pytest.raises(InputError, match=told):
        pick(strategy, a_drawn_pool(), count, seed=0, random_share=share)
