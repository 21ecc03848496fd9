"""The plan of a reader study: which case comes when for whom, and which version sits behind which letter.

Pure: seed and algorithm give the same plan on every machine. All chance is the order of SHA-256 digests of named
things, so that no library's generator is part of it, and a case that is added later changes nothing before it.

Per reader, each batch of cases (those of `study create`, then those of each addition) is read in two periods with
the washout between. One mode: period 1 shows most cases, period 2 the rest, mixed with hidden repeats of cases from
period 1, so that a repeat is not known by its place. Both modes: half of the cases start in each mode, the halves
changing over from reader to reader; period 2 shows each case in its other mode, and the hidden repeats.
"""

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from annotator.studies import Arm, Mode

ALGORITHM = "sha256-order/1"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class PlannedCase:
    """One presentation: `versions` are indices into the study's versions, in the order of slots A, B, C."""

    frame_id: str
    mode: Mode
    period: int
    versions: tuple[int, ...]
    is_repeat: bool = False


@dataclass(frozen=True, slots=True)
class PlanInput:
    """What decides a plan. Batches hold frame ids; `readers` are in the order in which they joined."""

    batches: tuple[tuple[str, ...], ...]
    version_count: int
    readers: tuple[str, ...]
    arm: Arm
    seed: int
    repeats: float


@cache
def williams_rows(count: int) -> tuple[tuple[int, ...], ...]:
    """Return a Williams design: each item in each place equally often, each before each other equally often.

    `count` rows where it is even, twice as many where it is odd (Williams 1949).

    >>> williams_rows(3)
    ((0, 2, 1), (1, 0, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1), (0, 1, 2))
    """
    first, low, high = [0], 1, count - 1
    while len(first) < count:
        first.append(high if len(first) % 2 else low)
        high, low = (high - 1, low) if len(first) % 2 == 0 else (high, low + 1)
    rows = [tuple((item + shift) % count for item in first) for shift in range(count)]
    if count % 2 and count > 1:
        rows += [tuple(reversed(row)) for row in rows]
    return tuple(rows)


def plan_of(study: PlanInput, reader: str) -> list[PlannedCase]:
    """Return all cases of one reader, in order."""
    draw = _Draw(study, reader)
    planned: list[PlannedCase] = []
    read = repeated = 0
    for number, frames in enumerate(study.batches):
        read += len(frames)
        count = min(_rounded(study.repeats * read) - repeated, len(frames) // 2)
        repeated += count
        planned.extend(_batch(draw, number, frames, count))
    return planned


def opaque_token(secret: str, *parts: str) -> str:
    """Return a name that tells nothing, and that nobody can guess without the study's secret (HMAC-SHA256)."""
    message = "\x1f".join(parts).encode()
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()[:32]


def shared_order(seed: int, purpose: str, items: Sequence[str]) -> list[str]:
    """Return items in an order drawn once for all readers."""
    return sorted(items, key=lambda item: hashlib.sha256(f"{seed}|{purpose}|{item}".encode()).digest())


def _rounded(value: float) -> int:
    """Round half up, as sonographers do, not to even."""
    return int(value + 0.5)


class _Draw:
    """All draws of one reader: what is shuffled, and in what order the slots and guided versions come."""

    def __init__(self, study: PlanInput, reader: str) -> None:
        self.study = study
        self.reader = reader
        self.place = study.readers.index(reader)
        self._counts: dict[str, int] = {}
        self._guided: dict[str, int] = {}

    def shuffled(self, items: Sequence[str], *purpose: object) -> list[str]:
        return sorted(items, key=lambda item: self._digest(*purpose, item))

    def slots(self, stream: str) -> tuple[int, ...]:
        """Return the next row of the design: whole designs in shuffled order, one after the other."""
        rows = williams_rows(self.study.version_count)
        block, place = divmod(self._next(stream), len(rows))
        order = self.shuffled([str(number) for number in range(len(rows))], stream, "rows", block)
        names = self.shuffled([str(number) for number in range(self.study.version_count)], stream, "names")
        return tuple(int(names[item]) for item in rows[int(order[place])])

    def begin_batch(self, number: int, frames: Sequence[str]) -> None:
        """Deal the versions for guided cases: each equally often; the next reader gets the next of each frame."""
        before = sum(len(batch) for batch in self.study.batches[:number])
        for rank, frame_id in enumerate(shared_order(self.study.seed, "guided", frames)):
            self._guided[frame_id] = (before + rank + self.place) % self.study.version_count

    def guided_version(self, frame_id: str) -> tuple[int, ...]:
        return (self._guided[frame_id],)

    def _next(self, stream: str) -> int:
        self._counts[stream] = self._counts.get(stream, -1) + 1
        return self._counts[stream]

    def _digest(self, *purpose: object) -> bytes:
        named = "|".join(str(part) for part in (self.study.seed, self.reader, *purpose))
        return hashlib.sha256(named.encode()).digest()


def _batch(draw: _Draw, number: int, frames: Sequence[str], repeat_count: int) -> Iterator[PlannedCase]:
    draw.begin_batch(number, frames)
    order = draw.shuffled(frames, "order", number)
    if draw.study.arm is Arm.BOTH:
        return _crossed_batch(draw, number, order, repeat_count)
    return _plain_batch(draw, number, order, repeat_count)


def _plain_batch(draw: _Draw, number: int, order: list[str], repeat_count: int) -> Iterator[PlannedCase]:
    mode = Mode(draw.study.arm.value)
    held_back = len(order) - repeat_count
    early, late = order[:held_back], order[held_back:]
    repeats = draw.shuffled(early, "repeats", number)[:repeat_count]
    for frame_id in early:
        yield _case(draw, frame_id, mode, 2 * number)
    for frame_id in draw.shuffled([*late, *repeats], "mixed", number):
        yield _case(draw, frame_id, mode, 2 * number + 1, is_repeat=frame_id in repeats)


def _crossed_batch(draw: _Draw, number: int, order: list[str], repeat_count: int) -> Iterator[PlannedCase]:
    # The halves are the same for all readers and change places from one to the next: over each pair of readers
    # every case starts once in each mode. Every second pair begins with the other block of modes.
    shared = shared_order(draw.study.seed, "half", order)
    half = set(shared[: (len(shared) + number % 2) // 2])
    starts_autonomous = half if draw.place % 2 == 0 else set(order) - half
    autonomous = [frame_id for frame_id in order if frame_id in starts_autonomous]
    guided = [frame_id for frame_id in order if frame_id not in starts_autonomous]
    repeats = draw.shuffled(autonomous, "repeats", number)[:repeat_count]
    modes = [Mode.AUTONOMOUS, Mode.GUIDED]
    if draw.place // 2 % 2:
        modes.reverse()
    for mode in modes:
        for frame_id in autonomous if mode is Mode.AUTONOMOUS else guided:
            yield _case(draw, frame_id, mode, 2 * number)
    for mode in modes:
        second = [*guided, *repeats] if mode is Mode.AUTONOMOUS else autonomous
        for frame_id in draw.shuffled(second, "crossed", number, mode):
            is_repeat = mode is Mode.AUTONOMOUS and frame_id in repeats
            yield _case(draw, frame_id, mode, 2 * number + 1, is_repeat=is_repeat)


def _case(draw: _Draw, frame_id: str, mode: Mode, period: int, *, is_repeat: bool = False) -> PlannedCase:
    if mode is Mode.GUIDED:
        versions = draw.guided_version(frame_id)
    else:
        versions = draw.slots("repeat" if is_repeat else "first")
    return PlannedCase(frame_id, mode, period, versions, is_repeat)
