"""The strategies by name, each one small class behind `order`.

Every strategy takes one frame of each unit at most, breaks ties by chance, and returns fewer where there are fewer.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from numpy.random import Generator

from annotator.selection.coverage import Hybrid, KCenter, Typical
from annotator.selection.pool import Column, Pool, Rows
from annotator.selection.scored import BASELINE, ClassStratified, Highest, StratifiedRandom

__all__ = ["BASELINE", "STRATEGIES", "Strategy"]


class Strategy(Protocol):
    """One way to choose; `needs` names the parts of a Pool without which it cannot, `reason` is told to readers."""

    @property
    def name(self) -> str:
        """As on the command line."""
        ...

    @property
    def needs(self) -> tuple[str, ...]:
        """Columns of the Pool."""
        ...

    @property
    def reason(self) -> str:
        """Why a frame was picked, in few words."""
        ...

    def order(self, pool: Pool, count: int, rng: Generator) -> Rows:
        """Return at most `count` rows of the pool, the one to label first coming first.

        Raises InputError where a part that it needs is not there, naming it and the mend.
        """
        ...

    def values(self, pool: Pool) -> Column | None:
        """Return the number that each frame is seen by, or None where there is none."""
        ...


_ALL: tuple[Strategy, ...] = (
    StratifiedRandom(),
    Highest("uncertainty", "the model is least sure"),
    Highest("disagreement", "versions or views of the frame disagree most"),
    KCenter(),
    Typical(),
    Hybrid(),
    ClassStratified(),
)
STRATEGIES: Mapping[str, Strategy] = MappingProxyType({strategy.name: strategy for strategy in _ALL})
