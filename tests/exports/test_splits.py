"""Splits: subjects are never parted, never move, and every plane and site has its share of each split."""

import itertools
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pytest

from annotator.schema import Frame
from exports.splits import SHARES, STUDY, Splits, assign_splits

Member = tuple[Frame, str | None]
PLANES = ("Trans-thalamic", "Trans-cerebellum", "NT-View")
_numbers = itertools.count()


def member(plane: str | None = "Trans-thalamic", **facts: Any) -> Member:
    frame_id = f"{next(_numbers):032x}"
    facts.setdefault("source", "made up")
    return Frame(frame_id=frame_id, width=8, height=8, source_file="f.png", **facts), plane


def some_members(subjects: int = 300, seed: int = 0) -> list[Member]:
    random = np.random.default_rng(seed)
    found = []
    for subject in range(subjects):
        plane, site = PLANES[random.integers(3)], f"site {random.integers(2)}"
        found += [member(plane, subject=f"{seed}-{subject}", site=site) for _ in range(random.integers(1, 6))]
    return found


def of(splits: Splits, *members: Member) -> list[str]:
    return [splits.of_frame[frame.frame_id] for frame, _ in members]


def test_no_subject_and_no_cine_loop_is_parted() -> None:
    members = some_members() + [member(group=f"loop {place % 9}") for place in range(60)]
    splits = assign_splits(members)
    sides = defaultdict(set)
    for frame, _ in members:
        sides[frame.subject or frame.group].add(splits.of_frame[frame.frame_id])
    assert all(len(side) == 1 for side in sides.values())
    assert len(splits.of_frame) == len(members)


def test_a_loop_of_two_subjects_holds_them_together() -> None:
    chain = [
        member(subject="a"),
        member(subject="a", group="g"),
        member(subject="b", group="g"),
        member(subject="b"),
    ]
    for others in range(10):
        assert len(set(of(assign_splits([*some_members(others), *chain]), *chain))) == 1


def test_equal_numbers_of_two_sources_are_two_subjects() -> None:
    members = [member(source=f"source {place}", subject="17") for place in range(40)]
    assert len(set(of(assign_splits(members), *members))) > 1


def test_every_plane_and_site_gets_its_share() -> None:
    members = some_members(600)
    splits = assign_splits(members)
    for plane, site in itertools.product(PLANES, ("site 0", "site 1")):
        counted = Counter(of(splits, *[one for one in members if one[1] == plane and one[0].site == site]))
        for split, share in SHARES.items():
            assert counted[split] / counted.total() == pytest.approx(share, abs=0.04)


def test_many_strata_of_one_subject_still_add_up() -> None:
    members = [member(subject=str(place), site=f"site {place}") for place in range(200)]
    counted = Counter(of(assign_splits(members), *members))
    for split, share in SHARES.items():
        assert counted[split] / 200 == pytest.approx(share, abs=0.05)


def test_the_order_in_which_frames_come_changes_nothing() -> None:
    members = some_members()
    shuffled = [members[place] for place in np.random.default_rng(3).permutation(len(members))]
    assert assign_splits(members).of_frame == assign_splits(shuffled).of_frame
    assert assign_splits(members).of_frame != assign_splits(members, seed="another").of_frame


def test_subjects_keep_their_split_while_data_grow_ten_times() -> None:
    members, before = some_members(60), {}
    for seed in range(1, 10):
        splits = assign_splits(members, previous=before)
        for key, split in before.items():
            assert splits.assigned[key] == split
        before = splits.assigned
        # new subjects, and more frames of known ones
        members = members + some_members(60, seed) + [member(subject=f"0-{place}") for place in range(0, 60, 5)]
    counted = Counter(splits.of_frame.values())
    assert counted["train"] / counted.total() == pytest.approx(0.7, abs=0.05)
    assert not splits.notes


def test_a_split_that_came_with_the_data_is_kept_by_whatever_spelling() -> None:
    members = [member(subject=name, split=name) for name in ("train", "validation", "TEST", "external")]
    assert of(assign_splits(members), *members) == ["train", "val", "test", "external"]


def test_the_first_version_counts_more_than_a_later_import() -> None:
    one = member(subject="a", split="train")
    assert of(assign_splits([one], previous={"subject:made up/a": "test"}), one) == ["test"]


def test_where_claims_meet_the_more_guarded_split_wins_and_it_is_said() -> None:
    members = [member(subject="a", split="train"), member(subject="a", split="test")]
    splits = assign_splits(members)
    assert of(splits, *members) == ["test", "test"]
    assert splits.notes == ("subject:made up/a was in test and train; it is in test now",)


def test_frames_of_reader_studies_stand_apart_with_all_of_their_subject() -> None:
    shown, sister, other = member(subject="a"), member(subject="a", split="train"), member(subject="b")
    frozen = {shown[0].frame_id}
    splits = assign_splits([shown, sister, other], frozen=frozen)
    assert of(splits, shown, sister) == [STUDY, STUDY]
    assert of(splits, other) != [STUDY]
    later = assign_splits([shown, sister, other], previous=splits.assigned)
    assert of(later, shown, sister) == [STUDY, STUDY]  # what readers have seen stays apart


def test_a_subject_that_was_trained_on_before_its_study_is_named() -> None:
    shown = member(subject="a")
    splits = assign_splits([shown], frozen={shown[0].frame_id}, previous={"subject:made up/a": "train"})
    assert of(splits, shown) == [STUDY]
    assert splits.notes == ("subject:made up/a was in study and train; it is in study now",)


def test_nothing_gives_nothing() -> None:
    assert assign_splits([]) == Splits()
