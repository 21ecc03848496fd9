"""Fill a cache of teachers' features: frame by frame, safe to kill at any moment, never a mix of two sources."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from annotator.errors import BackendError
from annotator.files import exclusive_lock
from backends.teachers.cache import Pair, Row, Source, TeacherCache, write_rows
from backends.teachers.rows import RowFile
from backends.teachers.teacher import TeacherRecord

Pixels = NDArray[np.uint8]


class Featuring(Protocol):
    """What is asked of a teacher here; `opening.Teacher` is one."""

    record: TeacherRecord
    images_at_once: int

    @property
    def source(self) -> Source:
        """What its features are made by."""
        ...

    def features(self, images: Sequence[Pixels]) -> Mapping[int, NDArray[np.float32]]:
        """For each block, vectors (images, dim)."""
        ...


def cache_features(
    frames: Iterable[tuple[str, Pixels]],
    teachers: Sequence[Featuring],
    path: Path,
    *,
    on_progress: Callable[[int], None] = lambda count: None,
) -> int:
    """Compute what `path` lacks of (image id, pixels) and write the whole cache anew; return how many rows are new.

    Rows wait in a file beside `path` until all are there; a run that was killed goes on behind its last sound row.
    BackendError where what exists was made by other files, with another preprocessing, or for other blocks.
    """
    dims, sources = _made_of(teachers)
    with exclusive_lock(path.with_name(f".{path.name}.lock"), f"caching to {path}"):
        before = _existing(path, dims, sources)
        waiting = RowFile(_rows_beside(path), dims, sources)
        done = {*waiting.ids, *(before.image_ids if before else ())}
        for batch in _batches(frames, done, min(teacher.images_at_once for teacher in teachers)):
            waiting.append(_computed(batch, teachers))
            on_progress(len(batch))
        fresh = [image_id for image_id in waiting.ids if before is None or image_id not in before]
        if fresh or before is None:
            rows = _all_rows(before, waiting, frozenset(fresh))
            write_rows(path, rows, len(fresh) + (len(before) if before else 0), dims, sources)
        waiting.delete()
    return len(fresh)


def rows_done(path: Path, teachers: Sequence[Featuring]) -> set[str]:
    """Images that need not be loaded again, as they have a row; refuses what `cache_features` would refuse."""
    dims, sources = _made_of(teachers)
    before = _existing(path, dims, sources)
    beside = _rows_beside(path)
    waiting = RowFile(beside, dims, sources).ids if beside.exists() else []
    return {*waiting, *(before.image_ids if before else ())}


def _rows_beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.rows")


def _made_of(teachers: Sequence[Featuring]) -> tuple[dict[Pair, int], dict[str, Source]]:
    names = [teacher.record.name for teacher in teachers]
    if not names or len(set(names)) != len(names):
        raise BackendError("a cache is of one or more teachers, each given once")
    dims = {(one.record.name, block): one.record.dim for one in teachers for block in one.record.blocks}
    return dims, {one.record.name: one.source for one in teachers}


def _existing(path: Path, dims: dict[Pair, int], sources: dict[str, Source]) -> TeacherCache | None:
    """The cache that is there, if any; BackendError unless it was made just so."""
    if not path.exists():
        return None
    cache = TeacherCache(path)
    differing = [name for name in {**cache.sources, **sources} if cache.sources.get(name) != sources.get(name)]
    if differing or cache.dims != dims:
        named = ", ".join(sorted(differing)) or "its blocks"
        raise BackendError(f"{path} was made otherwise ({named} differs); choose another --out, or delete it")
    return cache


def _batches(frames: Iterable[tuple[str, Pixels]], done: set[str], at_once: int) -> Iterator[dict[str, Pixels]]:
    batch: dict[str, Pixels] = {}
    for image_id, pixels in frames:
        if image_id in done or image_id in batch:
            continue
        batch[image_id] = pixels
        if len(batch) == at_once:
            yield batch
            done.update(batch)
            batch = {}
    if batch:
        yield batch


def _computed(batch: dict[str, Pixels], teachers: Sequence[Featuring]) -> dict[str, Row]:
    found: dict[str, dict[Pair, NDArray[np.float32]]] = {image_id: {} for image_id in batch}
    for teacher in teachers:
        for block, vectors in teacher.features(list(batch.values())).items():
            for image_id, vector in zip(batch, vectors, strict=True):
                found[image_id][teacher.record.name, block] = vector
    return dict(found)


def _all_rows(before: TeacherCache | None, waiting: RowFile, fresh: frozenset[str]) -> Iterator[tuple[str, Row]]:
    for image_id in before.image_ids if before else ():
        row = before.features(image_id) if before else None
        if row is not None:
            yield image_id, row
    for image_id, row in waiting.rows():
        if image_id in fresh:
            yield image_id, row
