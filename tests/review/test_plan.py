"""The plan: balanced, repeatable, hidden repeats after the washout, and the same after a case is added."""

import itertools
from collections import Counter
from typing import Any

import pytest

from annotator.studies import Arm, Mode
from review.plan import PlanInput, PlannedCase, opaque_token, plan_of, williams_rows


def a_plan(
    frames: int = 30,
    versions: int = 3,
    readers: tuple[str, ...] = ("anna", "ben"),
    reader: str = "anna",
    more: tuple[int, ...] = (),
    **wish: Any,
) -> list[PlannedCase]:
    names = iter(f"frame{number}" for number in range(10_000))
    batches = tuple(tuple(itertools.islice(names, size)) for size in (frames, *more))
    wish = {"arm": Arm.AUTONOMOUS, "seed": 7, "repeats": 0.1, **wish}
    return plan_of(PlanInput(batches, versions, readers, **wish), reader)


def firsts(plan: list[PlannedCase]) -> list[PlannedCase]:
    return [case for case in plan if not case.is_repeat]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7])
def test_a_williams_design_has_each_version_in_each_slot_and_after_each_other_equally_often(count: int) -> None:
    rows = williams_rows(count)
    assert len(rows) == (count if count % 2 == 0 or count == 1 else 2 * count)
    places = Counter(pair for row in rows for pair in enumerate(row))
    successions = Counter(pair for row in rows for pair in itertools.pairwise(row))
    assert len(places) == count**2
    assert len(set(places.values())) == 1
    assert len(successions) == count * (count - 1)
    assert len(set(successions.values())) <= 1


def test_the_same_seed_gives_the_same_plan_and_another_seed_another() -> None:
    assert a_plan() == a_plan()
    assert a_plan() != a_plan(seed=8)
    assert a_plan() != a_plan(reader="ben")


def test_a_plan_is_the_same_on_every_machine_and_in_every_release() -> None:
    plan = [(case.frame_id, case.versions, case.period, case.is_repeat) for case in a_plan(frames=5, repeats=0.2)]
    assert plan == [
        ("frame2", (0, 1, 2), 0, False),
        ("frame0", (1, 2, 0), 0, False),
        ("frame4", (2, 1, 0), 0, False),
        ("frame1", (0, 2, 1), 0, False),
        ("frame3", (2, 0, 1), 1, False),
        ("frame4", (1, 2, 0), 1, True),
    ]


def test_every_case_comes_once_and_a_tenth_of_them_again() -> None:
    plan = a_plan(frames=30)
    assert sorted(case.frame_id for case in firsts(plan)) == sorted(f"frame{number}" for number in range(30))
    assert sum(case.is_repeat for case in plan) == 3


def test_repeats_come_after_the_washout_of_frames_read_before_it_and_hide_among_new_cases() -> None:
    for seed in range(50):
        plan = a_plan(frames=40, seed=seed)
        early = {case.frame_id for case in plan if case.period == 0}
        late = [case for case in plan if case.period == 1]
        repeats = [case for case in late if case.is_repeat]
        assert len(repeats) == 4
        assert {case.frame_id for case in repeats} <= early
        assert sum(not case.is_repeat for case in late) == 4
        assert not any(case.is_repeat for case in plan if case.period == 0)
        assert [case.period for case in plan] == sorted(case.period for case in plan)


def test_slots_of_a_repeat_are_drawn_anew() -> None:
    differing = 0
    for seed in range(20):
        plan = a_plan(frames=40, seed=seed)
        shown = {case.frame_id: case.versions for case in firsts(plan)}
        differing += sum(shown[case.frame_id] != case.versions for case in plan if case.is_repeat)
    assert differing > 40


@pytest.mark.parametrize("versions", [3, 4])
def test_over_a_thousand_plans_every_version_is_in_every_slot_equally_often(versions: int) -> None:
    """Exactly so within whole designs; what is left over of one is spread evenly by chance."""
    size = len(williams_rows(versions))
    places: Counter[tuple[int, int]] = Counter()
    for seed in range(1000):
        plan = firsts(a_plan(frames=2 * size + 1, versions=versions, seed=seed, repeats=0.0))
        whole = Counter(pair for case in plan[: 2 * size] for pair in enumerate(case.versions))
        assert set(whole.values()) == {2 * size // versions}
        places.update(enumerate(plan[-1].versions))
    expected = 1000 / versions
    chi_square = sum(
        (places[slot, one] - expected) ** 2 / expected for slot in range(versions) for one in range(versions)
    )
    assert chi_square < 3 * versions**2


def test_over_a_thousand_plans_every_frame_is_at_every_place_equally_often() -> None:
    places = Counter(
        (case.frame_id, at) for seed in range(1000) for at, case in enumerate(a_plan(6, seed=seed, repeats=0))
    )
    assert len(places) == 36
    assert sum((count - 1000 / 6) ** 2 / (1000 / 6) for count in places.values()) < 55  # 25 degrees of freedom


@pytest.mark.parametrize("arm", list(Arm))
def test_adding_a_case_changes_nothing_before_it(arm: Arm) -> None:
    for seed in range(200):
        before = a_plan(frames=11, seed=seed, arm=arm)
        after = a_plan(frames=11, more=(1,), seed=seed, arm=arm)
        assert after[: len(before)] == before
        assert {case.frame_id for case in after[len(before) :]} == {"frame11"}
        assert after[-1].period > before[-1].period


def test_cases_added_one_by_one_are_repeated_as_often_and_stay_balanced_as_if_they_came_at_once() -> None:
    plan = a_plan(frames=20, more=(4,) * 10, repeats=0.25)
    assert sum(case.is_repeat for case in plan) == 15
    slots = Counter(pair for case in firsts(plan) for pair in enumerate(case.versions))
    assert set(slots.values()) == {20}


def test_adding_a_reader_leaves_the_others_alone() -> None:
    assert a_plan(readers=("anna", "ben", "carl")) == a_plan(readers=("anna", "ben"))


def test_in_the_crossover_each_frame_is_read_in_both_modes_with_the_washout_between() -> None:
    plan = firsts(a_plan(frames=21, arm=Arm.BOTH))
    seen = {(case.frame_id, case.mode): case.period for case in plan}
    assert len(seen) == len(plan) == 42
    for number in range(21):
        periods = {seen[f"frame{number}", mode] for mode in Mode}
        assert periods == {0, 1}


def test_in_the_crossover_half_of_the_cases_and_half_of_the_readers_begin_in_each_mode() -> None:
    readers = ("anna", "ben", "carl", "dora")
    began: Counter[tuple[str, Mode]] = Counter()
    for reader in readers:
        plan = [
            case for case in a_plan(frames=20, readers=readers, reader=reader, arm=Arm.BOTH) if case.period == 0
        ]
        assert Counter(case.mode for case in plan) == {Mode.AUTONOMOUS: 10, Mode.GUIDED: 10}
        began.update((case.frame_id, case.mode) for case in plan)
    assert set(began.values()) == {2}
    blocks = [a_plan(frames=20, readers=readers, reader=reader, arm=Arm.BOTH)[0].mode for reader in readers]
    assert Counter(blocks) == {Mode.AUTONOMOUS: 2, Mode.GUIDED: 2}


def test_guided_cases_show_each_version_equally_often_and_each_reader_another_of_a_frame() -> None:
    plans = {name: a_plan(frames=30, arm=Arm.GUIDED, repeats=0, reader=name) for name in ("anna", "ben")}
    for plan in plans.values():
        assert set(Counter(case.versions for case in plan).values()) == {10}
    shown = {name: {case.frame_id: case.versions for case in plan} for name, plan in plans.items()}
    assert all(shown["anna"][frame] != shown["ben"][frame] for frame in shown["anna"])


@pytest.mark.parametrize("frames", [0, 1, 2, 3])
def test_the_smallest_studies_have_a_plan(frames: int) -> None:
    for arm in Arm:
        plan = a_plan(frames=frames, versions=1, arm=arm, repeats=0.5)
        assert len({case.frame_id for case in plan}) == frames


def test_tokens_tell_nothing_and_never_meet() -> None:
    tokens = {opaque_token("secret", "case", reader, str(at)) for reader in ("anna", "ben") for at in range(500)}
    assert len(tokens) == 1000
    assert opaque_token("a", "bc", "d") != opaque_token("a", "b", "cd")
    assert opaque_token("other", "case", "anna", "1") not in tokens
