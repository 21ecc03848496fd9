"""Asking again: at most so many times, each time later, as the server wishes where it says so."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from backends.remote.failures import CallFailedError, Remedy

Reply = TypeVar("Reply")


@dataclass(frozen=True)
class RetryPolicy:
    """`retries` further tries; waits double from `first_wait_s`, and none is longer than `longest_wait_s`."""

    retries: int = 4
    first_wait_s: float = 0.5
    longest_wait_s: float = 60.0

    def wait_s(self, tries_made: int, wished_s: float | None, spread: float) -> float:
        """How long to wait after `tries_made` tries; `spread` (0..1) keeps many clients from coming back at once.

        >>> [RetryPolicy().wait_s(tries, None, 1.0) for tries in (1, 2, 3)]
        [0.5, 1.0, 2.0]
        >>> RetryPolicy().wait_s(1, 3600.0, 0.5)
        60.0
        """
        if wished_s is not None:
            return min(max(wished_s, 0.0), self.longest_wait_s)
        longest = min(self.first_wait_s * 2.0 ** (tries_made - 1), self.longest_wait_s)
        return longest * (0.5 + 0.5 * spread)


def call_with_retries(
    call: Callable[[], Reply],
    policy: RetryPolicy,
    sleep: Callable[[float], None],
    *,
    gives_up: Callable[[CallFailedError, int], bool] = lambda failure, retries: False,
) -> tuple[Reply, int]:
    """Return the reply and how often the call was repeated; the last CallFailedError where none came.

    `gives_up(failure, retries so far)` ends it earlier.
    """
    retries = 0
    while True:
        try:
            return call(), retries
        except CallFailedError as failure:
            failure.retries = retries
            is_over = retries >= policy.retries or gives_up(failure, retries)
            if failure.remedy is not Remedy.WAIT or is_over:
                raise
            retries += 1
            sleep(policy.wait_s(retries, failure.wait_s, random.random()))  # noqa: S311 - no secret
