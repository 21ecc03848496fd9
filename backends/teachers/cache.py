"""Features of the teachers, computed once: one HDF5 file that says of itself what made it.

    /features/{teacher}_layer{block}   float16 (images, dim); attributes: teacher, block, dim, and what made them
    /image_id                          the hash of each image's content, in the order of the rows
    attributes of the file             schema

A cache is whole or absent: it is written under another name and renamed. Whatever is asked of it is compared with
its attributes when it is opened, so that features of another file, layer or image size never reach a loss.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np
from numpy.typing import NDArray

from annotator.errors import BackendError
from backends.teachers.teacher import POOLING, TEACHERS

SCHEMA = 1
Pair = tuple[str, int]
Vector = NDArray[np.float32]
Row = Mapping[Pair, NDArray[Any]]
_ROWS_AT_ONCE = 1024
_LONGEST_ID = 64
_ROOM_PER_DATASET = 16384


@dataclass(frozen=True)
class Source:
    """What made one teacher's features; `image_size` is the side of the square it saw, in pixels."""

    sha256: str
    licence: str
    non_commercial: bool
    preprocessing: str
    image_size: int
    pooling: str = POOLING


@dataclass(frozen=True)
class Asked:
    """What a cache must hold of one teacher; what is None may be anything."""

    teacher: str
    blocks: tuple[int, ...] | None = None
    dim: int | None = None
    image_size: int | None = None
    pooling: str | None = POOLING
    sha256: str | None = None


def as_published(teachers: Sequence[str] = tuple(TEACHERS)) -> tuple[Asked, ...]:
    """What FADA's distillation needs of these teachers."""
    records = [TEACHERS[name] for name in teachers]
    return tuple(Asked(one.name, one.blocks, one.dim, one.image_size) for one in records)


def dataset_name(pair: Pair) -> str:
    """Name of a dataset.

    >>> dataset_name(("usf_mae", 3))
    'features/usf_mae_layer3'
    """
    return f"features/{pair[0]}_layer{pair[1]}"


class TeacherCache:
    """A cache that is read; it opens its file again in each process, so that workers may share the object.

    BackendError, in one line, where the file is no cache, contradicts itself, or does not hold what is `asked`.
    """

    def __init__(self, path: Path, asked: Sequence[Asked] = ()) -> None:
        self.path = Path(path)
        self._opened: tuple[int, Any, dict[str, int]] | None = None
        with _reading(self.path) as file:
            self.dims, self.sources, self.image_ids = _checked(self.path, file)
        for one in asked:
            self._compare(one)

    @property
    def teachers(self) -> tuple[str, ...]:
        """Names of the teachers, in the order of FADA's table."""
        return tuple(name for name in TEACHERS if name in self.sources)

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Every (teacher, block)."""
        return tuple(self.dims)

    def dim(self, teacher: str) -> int:
        """Width of a teacher's vectors."""
        return next(dim for pair, dim in self.dims.items() if pair[0] == teacher)

    @property
    def provenance(self) -> dict[str, dict[str, Any]]:
        """For each teacher the hash of its file, its licence, preprocessing, pooling and image size."""
        return {name: asdict(self.sources[name]) for name in self.teachers}

    def features(self, image_id: str) -> Mapping[Pair, Vector] | None:
        """All vectors (dim,) of an image, or None where the cache does not hold it."""
        file, rows = self._here()
        row = rows.get(image_id)
        if row is None:
            return None
        return {pair: np.asarray(file[dataset_name(pair)][row], np.float32) for pair in self.dims}

    def __len__(self) -> int:
        return len(self.image_ids)

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._here()[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}

    def _here(self) -> tuple[Any, dict[str, int]]:
        """The file as this process opened it: a handle inherited by a fork shares its place with the parent."""
        if self._opened is None or self._opened[0] != os.getpid():
            rows = {image_id: row for row, image_id in enumerate(self.image_ids)}
            self._opened = os.getpid(), _open(self.path), rows
        return self._opened[1], self._opened[2]

    def _compare(self, asked: Asked) -> None:
        source = self.sources.get(asked.teacher)
        if source is None:
            there = ", ".join(self.teachers)
            raise BackendError(f"{self.path} holds no features of {asked.teacher}, only of {there}; {_mend(asked)}")
        blocks = tuple(block for teacher, block in self.dims if teacher == asked.teacher)
        pairs = (
            ("blocks", blocks, asked.blocks),
            ("vectors of width", self.dim(asked.teacher), asked.dim),
            ("images of side", source.image_size, asked.image_size),
            ("pooling", source.pooling, asked.pooling),
            ("features of the file with SHA-256", source.sha256, asked.sha256),
        )
        for what, found, wanted in pairs:
            if wanted is not None and found != wanted:
                told = f"{what} {found} where {wanted} is asked"
                raise BackendError(f"{self.path}: {asked.teacher} has {told}; {_mend(asked)}")


def _mend(asked: Asked) -> str:
    return f"make a new cache with `annotator teachers cache --teacher {asked.teacher}=FILE --out FILE`"


def write_cache(
    path: Path,
    image_ids: Sequence[str],
    features: Mapping[Pair, NDArray[Any]],
    provenance: Mapping[str, Source],
) -> None:
    """Write a whole cache: for each (teacher, block) an array (images, dim) in the order of `image_ids`."""
    _check_arrays(path, image_ids, features)
    dims = {pair: int(array.shape[1]) for pair, array in features.items()}
    row = ({pair: array[place] for pair, array in features.items()} for place in range(len(image_ids)))
    write_rows(path, dict(zip(image_ids, row, strict=True)).items(), len(image_ids), dims, provenance)


def _check_arrays(path: Path, image_ids: Sequence[str], features: Mapping[Pair, NDArray[Any]]) -> None:
    if len(set(image_ids)) != len(image_ids):
        raise BackendError(f"{path}: an image is named twice; each has one row")
    for pair, array in features.items():
        if array.ndim != 2 or len(array) != len(image_ids):
            shape = "x".join(map(str, array.shape))
            raise BackendError(f"{path}: {dataset_name(pair)} is {shape}, not {len(image_ids)} rows")


def write_rows(
    path: Path,
    rows: Iterable[tuple[str, Row]],
    count: int,
    dims: Mapping[Pair, int],
    sources: Mapping[str, Source],
) -> None:
    """Write a cache of `count` rows from an iterator of (image id, vectors): never all in memory."""
    room = _room(count, dims)
    with _replacing(path, room) as stream, h5py.File(stream, "w", libver=("v110", "v110")) as file:
        os.posix_fallocate(stream.fileno(), 0, room)  # closing cuts off what was not needed
        file.attrs["schema"] = SCHEMA
        for pair, dim in dims.items():
            dataset = file.create_dataset(dataset_name(pair), (count, dim), np.float16)
            dataset.attrs.update({"teacher": pair[0], "block": pair[1], "dim": dim, **asdict(sources[pair[0]])})
        _fill(file, rows, dims)


def _room(count: int, dims: Mapping[Pair, int]) -> int:
    """Bytes that a cache will not exceed."""
    return count * (2 * sum(dims.values()) + _LONGEST_ID) + _ROOM_PER_DATASET * (len(dims) + 2)


def _fill(file: Any, rows: Iterable[tuple[str, Row]], dims: Mapping[Pair, int]) -> None:
    image_ids: list[bytes] = []
    waiting: list[Row] = []

    def flush() -> None:
        start = len(image_ids) - len(waiting)
        for pair in dims if waiting else ():
            block = np.stack([vectors[pair] for vectors in waiting]).astype(np.float16)
            file[dataset_name(pair)][start : len(image_ids)] = block
        waiting.clear()

    for image_id, vectors in rows:
        image_ids.append(image_id.encode())
        waiting.append(vectors)
        if len(waiting) == _ROWS_AT_ONCE:
            flush()
    flush()
    file.create_dataset("image_id", data=np.array(image_ids, dtype=bytes if image_ids else "S1"))


@contextmanager
def _replacing(path: Path, room: int) -> Iterator[BinaryIO]:
    """A stream that becomes `path` on success, once there is room for it: HDF5 crashes where a disk fills."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w+b") as stream:
            os.posix_fallocate(stream.fileno(), 0, room)
            stream.truncate(0)  # HDF5 begins with an empty file
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or error
        raise BackendError(f"{path} cannot be written: {reason}; make room for {room:,} bytes, run again") from None
    finally:
        temporary.unlink(missing_ok=True)


def _open(path: Path) -> Any:
    if not path.is_file():
        raise BackendError(f"{path}: no such cache; make it with `annotator teachers cache`")
    try:
        # A finished cache never changes: locks would only fail on network folders.
        return h5py.File(path, "r", locking=False)
    except OSError:
        raise BackendError(f"{path}: no HDF5 file, or a damaged one; make it again") from None


@contextmanager
def _reading(path: Path) -> Iterator[Any]:
    with _open(path) as file:
        yield file


def _checked(path: Path, file: Any) -> tuple[dict[Pair, int], dict[str, Source], tuple[str, ...]]:
    """Dims, sources and image ids; BackendError where names, attributes and shapes contradict each other."""
    if file.attrs.get("schema") != SCHEMA:
        raise BackendError(f"{path}: no cache of this tool's schema {SCHEMA}; make it again")
    try:
        image_ids = tuple(name.decode() for name in file["image_id"][:])
        dims: dict[Pair, int] = {}
        sources: dict[str, Source] = {}
        for dataset in sorted(file["features"].values(), key=_place):
            attributes = {key: _plain(value) for key, value in dataset.attrs.items()}
            pair = str(attributes.pop("teacher")), int(attributes.pop("block"))
            dims[pair], source = int(attributes.pop("dim")), Source(**attributes)
            is_sound = dataset.name == f"/{dataset_name(pair)}" and dataset.dtype == np.float16
            if not is_sound or dataset.shape != (len(image_ids), dims[pair]):
                raise BackendError(f"{path}: {dataset.name} is not what its attributes say; make the cache again")
            if sources.setdefault(pair[0], source) != source:
                raise BackendError(f"{path}: the layers of {pair[0]} come from different files; make it again")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BackendError(f"{path}: a damaged cache ({error}); make it again") from None
    return dims, sources, image_ids


def _place(dataset: Any) -> tuple[int, int]:
    names = list(TEACHERS)
    teacher = dataset.attrs["teacher"]
    return names.index(teacher) if teacher in names else len(names), int(dataset.attrs["block"])


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
