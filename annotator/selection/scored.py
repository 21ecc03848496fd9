"""Strategies that rank frames by chance or by one number each: the baseline, the least sure, by what was found."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from annotator.selection.pool import Column, Pool, Rows, column, first_of_units, require

BASELINE = "stratified-random"


class StratifiedRandom:
    """The baseline: always a frame of the stratum that has the fewest, counting what is labelled already."""

    name: ClassVar[str] = BASELINE
    needs: ClassVar[tuple[str, ...]] = ()
    reason: ClassVar[str] = "drawn at random within its stratum"

    def order(self, pool: Pool, count: int, rng: Generator) -> Rows:
        """Strata in turn, the frame within a stratum by chance."""
        waiting: dict[str, list[int]] = {}
        for row in first_of_units(pool, rng.permutation(len(pool)), len(pool)):
            waiting.setdefault(pool.strata[row], []).append(int(row))
        have = Counter(pool.labelled_strata)
        chance = dict(zip(sorted(waiting), rng.permutation(len(waiting)).tolist(), strict=True))
        chosen: list[int] = []
        while waiting and len(chosen) < count:
            stratum = min(waiting, key=lambda name: (have[name], chance[name]))
            chosen.append(waiting[stratum].pop())
            have[stratum] += 1
            if not waiting[stratum]:
                del waiting[stratum]
        return np.array(chosen, np.intp)

    def values(self, pool: Pool) -> None:
        """None: chance looks at no number."""


class Highest:
    """The frames with the highest values of one column; those of which nothing is known come last."""

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.needs, self.reason = name, (name,), reason

    def order(self, pool: Pool, count: int, rng: Generator) -> Rows:
        """Descending, ties by chance."""
        require(self.name, self.needs, pool)
        chance = rng.permutation(len(pool))
        value = np.nan_to_num(column(pool, self.name), nan=-1.0)
        return first_of_units(pool, chance[np.argsort(-value[chance], kind="stable")], count)

    def values(self, pool: Pool) -> Column:
        """The column itself."""
        return column(pool, self.name)


class ClassStratified:
    """By what the model found, structures with the fewest labels first, and within them by a noised uncertainty.

    After ClaSP PE: two thirds of the picks go round the structures, the rest to whatever is least sure. Gumbel
    noise on the logarithm draws frames in proportion to a power of their uncertainty; the power doubles each round,
    so that early picks, by a model that knows little, are more random.
    """

    name: ClassVar[str] = "class-stratified"
    needs: ClassVar[tuple[str, ...]] = ("uncertainty", "structures")
    reason: ClassVar[str] = "unsure among frames with the structures labelled least"
    stratified_share: ClassVar[float] = 2 / 3

    def order(self, pool: Pool, count: int, rng: Generator) -> Rows:
        """Frames in which nothing was found are a group of their own."""
        require(self.name, self.needs, pool)
        unsure = np.nan_to_num(column(pool, "uncertainty"), nan=0.0)
        noised = np.log(np.maximum(unsure, 1e-6)) + rng.gumbel(size=len(pool)) / 2.0 ** min(pool.round, 60)
        ranked = np.argsort(-noised, kind="stable").tolist()
        groups = _groups(pool, ranked)
        have = Counter(name for found in pool.labelled_structures for name in found or {""})
        everything, chosen, taken = deque(ranked), list[int](), set[str]()
        while len(chosen) < count:
            for name in [name for name, queue in groups.items() if not _next(pool, queue, taken)]:
                del groups[name]
            if not _next(pool, everything, taken):
                break
            in_turn = len(chosen) < self.stratified_share * count
            queue = groups[min(groups, key=lambda name: (have[name], name))] if in_turn else everything
            row = queue.popleft()
            chosen.append(row)
            taken.add(pool.units[row])
            have.update(pool.structures[row] or {""})
        return np.array(chosen, np.intp)

    def values(self, pool: Pool) -> Column:
        """The uncertainty before the noise."""
        return column(pool, "uncertainty")


def _groups(pool: Pool, ranked: Iterable[int]) -> dict[str, deque[int]]:
    groups: dict[str, deque[int]] = {}
    for row in ranked:
        for name in pool.structures[row] or {""}:
            groups.setdefault(name, deque()).append(row)
    return groups


def _next(pool: Pool, queue: deque[int], taken: set[str]) -> bool:
    """Drop what is taken from the front; False where nothing is left."""
    while queue and pool.units[queue[0]] in taken:
        queue.popleft()
    return bool(queue)
