"""Which frames train, validate and test: by subject and cine group, balanced over planes and sites, for good.

What belongs together is one unit: frames of one subject or one group (a cine loop, near duplicates), and whatever
shares either with them. A unit keeps the split that an earlier version of the data set gave it, so that data may
grow; else the one that its source came with; else the one that its stratum (plane and site) lacks most. New units
are taken in the order of a hash, so that the same frames always part in the same way, in whatever order they come.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from annotator.schema import Frame

SHARES: Mapping[str, float] = {"train": 0.7, "val": 0.15, "test": 0.15}
STUDY = "study"
# Where two claims meet, the more guarded split wins: nothing that was ever held back is trained on.
_GUARDED = (STUDY, "test", "val")
_SPELLINGS = {"training": "train", "valid": "val", "validation": "val", "dev": "val", "testing": "test"}

Stratum = tuple[str, str]


@dataclass(frozen=True)
class Splits:
    """`of_frame` maps frame ids, `assigned` subjects and groups (as keys) to splits; `notes` tell of conflicts."""

    of_frame: dict[str, str] = field(default_factory=dict)
    assigned: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """Return how many frames each split has, train first."""
        order = {split: place for place, split in enumerate((*SHARES, STUDY))}
        counted = Counter(self.of_frame.values())
        return dict(sorted(counted.items(), key=lambda item: (order.get(item[0], len(order)), item[0])))


def keys_of(frame: Frame) -> tuple[str, ...]:
    """Return what a frame may share with others: subject and group within its source, or else only itself.

    A subject's number means something within its source alone.
    """
    named = (("subject", frame.subject), ("group", frame.group))
    return tuple(f"{kind}:{frame.source}/{name}" for kind, name in named if name) or (f"frame:{frame.frame_id}",)


def assign_splits(
    frames: Iterable[tuple[Frame, str | None]],
    *,
    frozen: Collection[str] = frozenset(),
    previous: Mapping[str, str] | None = None,
    shares: Mapping[str, float] = SHARES,
    seed: str = "",
) -> Splits:
    """Give every (frame, plane) a split.

    `frozen` holds the ids of frames that readers are studied on: their units go to the split `study`. `previous` is
    `assigned` of an earlier version. `shares` sum to 1.
    """
    units = _units(frames)
    totals, counts = Counter[Stratum | None](), Counter[tuple[Stratum | None, str]]()
    splits, notes, waiting = Splits(), list[str](), list[_Unit]()

    def settle(unit: _Unit, split: str) -> None:
        for stratum in (None, unit.stratum()):
            totals[stratum] += len(unit.frames)
            counts[stratum, split] += len(unit.frames)
        splits.of_frame.update(dict.fromkeys(unit.frames, split))
        splits.assigned.update(dict.fromkeys(unit.keys, split))

    for unit in units:
        claims = _claims(unit, frozen, previous or {})
        if len(claims) > 1:
            notes.append(f"{min(unit.keys)} was in {' and '.join(sorted(claims))}; it is in {_guarded(claims)} now")
        if claims:
            settle(unit, _guarded(claims))
        else:
            waiting.append(unit)
    for unit in sorted(waiting, key=lambda unit: _hash(seed, min(unit.keys))):
        settle(unit, _lacking(unit, totals, counts, shares))
    return Splits(splits.of_frame, splits.assigned, tuple(sorted(notes)))


@dataclass
class _Unit:
    keys: set[str] = field(default_factory=set)
    frames: list[str] = field(default_factory=list)
    planes: Counter[str] = field(default_factory=Counter)
    sites: Counter[str] = field(default_factory=Counter)
    imported: set[str] = field(default_factory=set)

    def stratum(self) -> Stratum:
        """The plane and site of most of its frames."""
        plane, site = (
            min(counted, key=lambda name: (-counted[name], name)) for counted in (self.planes, self.sites)
        )
        return plane, site


def _units(frames: Iterable[tuple[Frame, str | None]]) -> list[_Unit]:
    parents: dict[str, str] = {}

    def root(key: str) -> str:
        while parents.setdefault(key, key) != key:
            parents[key] = parents[parents[key]]
            key = parents[key]
        return key

    listed = list(frames)
    for frame, _ in listed:
        first, *others = keys_of(frame)
        for other in others:
            parents[root(other)] = root(first)
    units: defaultdict[str, _Unit] = defaultdict(_Unit)
    for frame, plane in listed:
        unit = units[root(keys_of(frame)[0])]
        unit.keys.update(keys_of(frame))
        unit.frames.append(frame.frame_id)
        unit.planes[plane or ""] += 1
        unit.sites[frame.site or frame.source] += 1
        if frame.split and not frame.simulated:  # simulated frames are marked as such, not held back
            unit.imported.add(_SPELLINGS.get(frame.split.casefold(), frame.split.casefold()))
    return list(units.values())


def _claims(unit: _Unit, frozen: Collection[str], previous: Mapping[str, str]) -> set[str]:
    before = {previous[key] for key in unit.keys if key in previous}
    if any(frame_id in frozen for frame_id in unit.frames):
        return before | {STUDY}
    return before or unit.imported


def _guarded(claims: Collection[str]) -> str:
    return next((split for split in _GUARDED if split in claims), min(claims))


def _lacking(
    unit: _Unit,
    totals: Mapping[Stratum | None, int],
    counts: Mapping[tuple[Stratum | None, str], int],
    shares: Mapping[str, float],
) -> str:
    """The split that is filled least, in the stratum and in the whole: a stratum may be of one frame."""
    strata = (unit.stratum(), None)

    def filled(split: str) -> float:
        return sum(
            counts[stratum, split] / (shares[split] * (totals[stratum] + len(unit.frames))) for stratum in strata
        )

    return min(sorted(shares, key=lambda split: -shares[split]), key=filled)


def _hash(seed: str, key: str) -> str:
    return hashlib.sha256(f"{seed}\n{key}".encode()).hexdigest()
