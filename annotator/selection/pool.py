"""The frames that may be labelled next, column by column, and what is labelled already."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from annotator.errors import InputError

Column = NDArray[np.float64]
Points = NDArray[np.float32]
Rows = NDArray[np.intp]

_MENDS: Mapping[str, str] = {
    "uncertainty": "pre-annotate the frames with a model that gives scores",
    "disagreement": "let a second version of the model, or augmented views, look at the frames",
    "embeddings": "let a model with an encoder, such as the embedded one, look at the frames",
    "structures": "pre-annotate the frames first",
}


@dataclass(frozen=True, eq=False)
class Pool:
    """Candidates by column; a column that nobody could fill is None or, for `structures`, empty.

    `strata` are "plane|site|scanner" as known before labelling. `units` name what must not be labelled twice: the
    subject or cine group; frames of one unit are twins. `uncertainty` and `disagreement` run from 0 to 1, 1 where
    the model is least sure, nan where nothing is known. Distances between `embeddings` (n, d) mean unlikeness:
    whoever builds the pool scales them. `structures` are what the model found. `round` counts from 0.

    Raises InputError where the columns differ in length or a frame is named twice.
    """

    ids: tuple[str, ...]
    strata: tuple[str, ...]
    units: tuple[str, ...]
    uncertainty: Column | None = None
    disagreement: Column | None = None
    embeddings: Points | None = None
    labelled_embeddings: Points | None = None
    labelled_strata: tuple[str, ...] = ()
    structures: tuple[frozenset[str], ...] = ()
    labelled_structures: tuple[frozenset[str], ...] = ()
    round: int = 0

    def __post_init__(self) -> None:
        known = [self.structures] if self.structures else []
        columns = [self.strata, self.units, self.uncertainty, self.disagreement, self.embeddings, *known]
        if any(column is not None and len(column) != len(self.ids) for column in columns):
            raise InputError(f"the columns of a pool must all have {len(self.ids)} rows, one a frame")
        if len(set(self.ids)) != len(self.ids):
            raise InputError("a frame stands twice in the pool; give each frame once")
        for points in (self.embeddings, self.labelled_embeddings):
            if points is not None and (points.ndim != 2 or not np.isfinite(points).all()):
                raise InputError("embeddings of a pool must be finite numbers, one row a frame")

    def __len__(self) -> int:
        return len(self.ids)

    def without(self, ids: Collection[str] = (), *, units: Collection[str] = ()) -> Pool:
        """Leave out frames by id, and all frames of some units: study frames, twins of what is labelled.

        >>> Pool(("a", "b", "c"), ("", "", ""), ("u", "u", "v")).without(["a"], units=["v"]).ids
        ('b',)
        """
        gone, gone_units = set(ids), set(units)
        kept = [
            row
            for row, (frame_id, unit) in enumerate(zip(self.ids, self.units, strict=True))
            if frame_id not in gone and unit not in gone_units
        ]
        return self._of(np.array(kept, np.intp))

    def labelling(self, rows: Rows) -> Pool:
        """Take frames as labelled: they count among what is covered, and their twins are gone."""
        chosen = [int(row) for row in rows]
        left = self.without(units={self.units[row] for row in chosen})
        covered = self.labelled_embeddings
        if self.embeddings is not None:
            before = [] if covered is None else [covered]
            covered = np.concatenate([*before, self.embeddings[chosen]])
        found = tuple(self.structures[row] for row in chosen) if self.structures else ()
        return replace(
            left,
            labelled_embeddings=covered,
            labelled_strata=(*self.labelled_strata, *(self.strata[row] for row in chosen)),
            labelled_structures=(*self.labelled_structures, *found),
        )

    def _of(self, rows: Rows) -> Pool:
        def names(column: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(column[row] for row in rows)

        return replace(
            self,
            ids=names(self.ids),
            strata=names(self.strata),
            units=names(self.units),
            uncertainty=None if self.uncertainty is None else self.uncertainty[rows],
            disagreement=None if self.disagreement is None else self.disagreement[rows],
            embeddings=None if self.embeddings is None else self.embeddings[rows],
            structures=tuple(self.structures[row] for row in rows) if self.structures else (),
        )


def require(strategy: str, needs: Collection[str], pool: Pool) -> None:
    """Raise InputError, with the mend, where frames wait and a part is missing or nothing is known in it."""
    for part in needs if len(pool) else ():
        values = getattr(pool, part)
        is_unknown = values is None or len(values) == 0
        if is_unknown or (part != "structures" and bool(np.isnan(values).all())):
            mend = f"{_MENDS[part]}, or choose another strategy"
            raise InputError(f"strategy {strategy} needs the {part} of the frames; {mend}")


def column(pool: Pool, part: str) -> Column:
    """One column of numbers, nan where nothing is known."""
    values = getattr(pool, part)
    return np.full(len(pool), np.nan) if values is None else np.asarray(values, np.float64)


def first_of_units(pool: Pool, order: Rows, count: int) -> Rows:
    """Go through rows in order and keep the first frame of each unit, `count` at most."""
    seen, kept = set[str](), list[int]()
    for row in order.tolist():
        if len(kept) >= count:
            break
        if pool.units[row] not in seen:
            seen.add(pool.units[row])
            kept.append(row)
    return np.array(kept, np.intp)
