"""Strategies that look at how frames lie among each other: core-set, typical frames of clusters, and the hybrid."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from annotator.selection.pool import Column, Points, Pool, Rows, column, first_of_units, require

_NEIGHBOURS = 20
_MOST_CLUSTERS = 500


class KCenter:
    """The frame farthest from all that is labelled or picked (greedy core-set, Sener and Savarese 2018).

    O(n) for each labelled frame and each pick.
    """

    name: ClassVar[str] = "k-center"
    needs: ClassVar[tuple[str, ...]] = ("embeddings",)
    reason: ClassVar[str] = "unlike anything that is labelled"

    def order(self, pool: Pool, count: int, rng: Generator) -> Rows:
        """With nothing labelled the first frame is the one nearest to the middle of all."""
        require(self.name, self.needs, pool)
        points, units = _points(pool), np.array(pool.units)
        nearest, chance, free = _to_labelled(pool, points), rng.permutation(len(pool)), np.ones(len(pool), bool)
        chosen: list[int] = []
        while free.any() and len(chosen) < count:
            wanted = nearest if np.isfinite(nearest[0]) else -_squared(points, points.mean(axis=0))
            row = int(chance[np.argmax(np.where(free, wanted, -np.inf)[chance])])
            chosen.append(row)
            free &= units != units[row]
            nearest = np.minimum(nearest, _squared(points, points[row]))
        return np.array(chosen, np.intp)

    def values(self, pool: Pool) -> Column | None:
        """The distance to the nearest labelled frame, before any pick; None where nothing is labelled."""
        nearest = _to_labelled(pool, _points(pool))
        return np.sqrt(nearest) if np.isfinite(nearest).all() else None


class Typical:
    """The most typical frame of the largest cluster that holds nothing labelled (TypiClust, Hacohen et al. 2022).

    As many clusters as there are labelled frames and picks together, over both. Typical is what lies nearest to
    its 20 nearest neighbours in its cluster.
    """

    name: ClassVar[str] = "typical"
    needs: ClassVar[tuple[str, ...]] = ("embeddings",)
    reason: ClassVar[str] = "most typical of a kind that is not labelled"

    def order(self, pool: Pool, count: int, rng: Generator) -> Rows:
        """Clusters by how few of their frames are labelled or picked, then by size."""
        require(self.name, self.needs, pool)
        if not len(pool) or count < 1:
            return np.zeros(0, np.intp)
        points, labelled = _points(pool), _labelled(pool)
        cluster = _clusters(np.concatenate((points, labelled)), len(labelled) + count, rng)
        ours = cluster[: len(pool)]
        size = np.bincount(ours, minlength=cluster.max() + 1)
        covered = np.bincount(cluster[len(pool) :], minlength=len(size))
        queues = {name: _by_typicality(points, np.flatnonzero(ours == name)) for name in np.flatnonzero(size)}
        chosen, taken = list[int](), set[str]()
        while queues and len(chosen) < count:
            name = min(queues, key=lambda name: (covered[name], -size[name], name))
            row = next((one for one in queues[name] if pool.units[one] not in taken), None)
            if row is None:
                del queues[name]
                continue
            queues[name].remove(row)
            chosen.append(row)
            taken.add(pool.units[row])
            covered[name] += 1
        return np.array(chosen, np.intp)

    def values(self, pool: Pool) -> None:
        """None: what is typical depends on the clusters of the moment."""


class Hybrid:
    """The least sure frame of each of as many clusters as there are picks, the least sure cluster first."""

    name: ClassVar[str] = "hybrid"
    needs: ClassVar[tuple[str, ...]] = ("uncertainty", "embeddings")
    reason: ClassVar[str] = "the least sure of its kind"

    def order(self, pool: Pool, count: int, rng: Generator) -> Rows:
        """Clusters in turn; within a cluster the least sure frame first, the unknown last."""
        require(self.name, self.needs, pool)
        if not len(pool) or count < 1:
            return np.zeros(0, np.intp)
        cluster = _clusters(_points(pool), count, rng)
        unsure = np.nan_to_num(column(pool, "uncertainty"), nan=-1.0)
        means = np.bincount(cluster, unsure) / np.maximum(np.bincount(cluster), 1)
        chance = rng.permutation(len(pool))
        ranked = first_of_units(pool, chance[np.argsort(-unsure[chance], kind="stable")], len(pool))
        turns: dict[int, int] = {}
        keys = []
        for row in ranked:
            name = int(cluster[row])
            turns[name] = turns.get(name, 0) + 1
            keys.append((turns[name], -means[name], name))
        in_turn = sorted(range(len(ranked)), key=lambda place: keys[place])
        return ranked[np.array(in_turn[:count], np.intp)]

    def values(self, pool: Pool) -> Column:
        """The uncertainty."""
        return column(pool, "uncertainty")


def _points(pool: Pool) -> NDArray[np.float64]:
    assert pool.embeddings is not None
    return pool.embeddings.astype(np.float64)


def _labelled(pool: Pool) -> NDArray[np.float64]:
    labelled: Points | None = pool.labelled_embeddings
    if labelled is None or not len(labelled):
        return np.zeros((0, _points(pool).shape[1]))
    return labelled.astype(np.float64)


def _to_labelled(pool: Pool, points: NDArray[np.float64]) -> Column:
    """(n,) squared distance to the nearest labelled frame, infinite where nothing is labelled."""
    nearest = np.full(len(points), np.inf)
    for labelled in _labelled(pool):
        nearest = np.minimum(nearest, _squared(points, labelled))
    return nearest


def _squared(points: NDArray[np.float64], centre: NDArray[np.float64]) -> Column:
    return np.asarray(((points - centre) ** 2).sum(axis=1), np.float64)


def _clusters(points: NDArray[np.float64], count: int, rng: Generator) -> NDArray[np.int64]:
    """(n,) cluster of each point by k-means; equal points need no cluster each."""
    from sklearn.cluster import KMeans

    distinct = len(np.unique(points, axis=0))
    means = KMeans(min(count, distinct, _MOST_CLUSTERS), n_init=1, random_state=int(rng.integers(2**31)))
    return np.asarray(means.fit_predict(points), np.int64)


def _by_typicality(points: NDArray[np.float64], rows: Rows) -> list[int]:
    """Rows of one cluster, the one with the nearest neighbours first."""
    from sklearn.neighbors import NearestNeighbors

    if len(rows) < 3:
        return [int(row) for row in rows]
    neighbours = min(_NEIGHBOURS, len(rows) - 1)
    distances, _ = NearestNeighbors(n_neighbors=neighbours).fit(points[rows]).kneighbors()
    return [int(row) for row in rows[np.argsort(distances.mean(axis=1), kind="stable")]]
