"""Pools of drawn numbers for the tests of strategies."""

from typing import Any

import numpy as np

from annotator.selection import Pool

STRUCTURES = ("NT", "CM", "nasal_bone")


def a_drawn_pool(count: int = 60, *, seed: int = 0, twins: int = 1, **parts: Any) -> Pool:
    """A pool that knows everything; `twins` frames share a unit."""
    rng = np.random.default_rng(seed)
    columns = {
        "ids": tuple(f"f{row:03}" for row in range(count)),
        "strata": tuple(f"s{row % 3}" for row in range(count)),
        "units": tuple(f"u{row // twins}" for row in range(count)),
        "uncertainty": rng.random(count),
        "disagreement": rng.random(count),
        "embeddings": rng.normal(size=(count, 4)).astype(np.float32),
        "labelled_embeddings": rng.normal(size=(5, 4)).astype(np.float32),
        "labelled_strata": ("s0",) * 5,
        "structures": tuple(frozenset({STRUCTURES[row % 3]}) for row in range(count)),
        "labelled_structures": (frozenset({"NT"}),) * 5,
    }
    return Pool(**{**columns, **parts})
