"""Rows of a cache that is being made: a file that only grows, so that a process killed at any moment loses one row.

HDF5 itself does not survive the death of its writer. Each row here is its checksum, the image's id and the float16
vectors; on opening, whatever follows the last sound row is cut off. The finished cache is made of the rows at once.
"""

import errno
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.errors import BackendError
from annotator.files import write_atomically
from backends.teachers.cache import SCHEMA, Pair, Row, Source

_ID_BYTES = 64
_SUM_BYTES = 4


class RowFile:
    """Rows on the disk, in order; `ids` are the images that have one. It belongs to one process at a time."""

    def __init__(self, path: Path, dims: Mapping[Pair, int], sources: Mapping[str, Source]) -> None:
        self.path, self._dims = path, dict(dims)
        self._width = _ID_BYTES + 2 * sum(dims.values())
        header = _header(dims, sources)
        try:
            if not path.exists():
                write_atomically(path, header)
            with path.open("rb") as stream:
                found = stream.readline()
        except OSError as error:
            raise _cannot_write(path, 0, error) from None
        if found != header:
            raise BackendError(
                f"{path} holds rows made otherwise ({_what(found)}); go on with the same files, or delete it"
            )
        self._start = len(header)
        self.ids = [image_id for image_id, _ in self._sound_rows()]

    def append(self, rows: Mapping[str, Row]) -> None:
        """Add rows; on return they are on the disk."""
        content = b"".join(self._packed(image_id, row) for image_id, row in rows.items())
        try:
            with self.path.open("r+b") as stream:
                stream.seek(self._end())
                stream.write(content)
                stream.truncate()  # what an interrupted write left behind the last sound row
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise _cannot_write(self.path, len(self.ids), error) from None
        self.ids += rows

    def rows(self) -> Iterator[tuple[str, Row]]:
        """Each image's vectors, float16."""
        yield from self._sound_rows()

    def delete(self) -> None:
        """Remove the file: its rows are in the cache."""
        self.path.unlink(missing_ok=True)

    def _end(self) -> int:
        return self._start + len(self.ids) * (_SUM_BYTES + self._width)

    def _packed(self, image_id: str, row: Row) -> bytes:
        name = image_id.encode()
        if not 0 < len(name) <= _ID_BYTES:
            raise BackendError(f"{image_id!r} is no id of an image: it needs 1 to {_ID_BYTES} bytes")
        vectors = np.concatenate([_as_half(row[pair], pair, image_id) for pair in self._dims])
        body = name.ljust(_ID_BYTES, b"\0") + vectors.tobytes()
        return zlib.crc32(body).to_bytes(_SUM_BYTES, "little") + body

    def _sound_rows(self) -> Iterator[tuple[str, Row]]:
        with self.path.open("rb") as stream:
            stream.seek(self._start)
            while len(record := stream.read(_SUM_BYTES + self._width)) == _SUM_BYTES + self._width:
                total, body = record[:_SUM_BYTES], record[_SUM_BYTES:]
                if zlib.crc32(body).to_bytes(_SUM_BYTES, "little") != total:
                    return
                yield body[:_ID_BYTES].rstrip(b"\0").decode(), self._unpacked(body[_ID_BYTES:])

    def _unpacked(self, content: bytes) -> Row:
        values = np.frombuffer(content, "<f2")
        ends = np.cumsum(list(self._dims.values()))[:-1]
        return dict(zip(self._dims, np.split(values, ends), strict=True))


def _as_half(vector: NDArray[Any], pair: Pair, image_id: str) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):
        half = vector.astype("<f2")
    if not np.isfinite(half).all():
        raise BackendError(
            f"{pair[0]}, block {pair[1]}: the features of image {image_id} are no finite float16 numbers; "
            "the file of weights is damaged or of another model"
        )
    return half


def _header(dims: Mapping[Pair, int], sources: Mapping[str, Source]) -> bytes:
    pairs = [[*pair, dim] for pair, dim in dims.items()]
    made_by = {name: asdict(source) for name, source in sources.items()}
    document = {"schema": SCHEMA, "pairs": pairs, "sources": made_by}
    return json.dumps(document, sort_keys=True).encode() + b"\n"


def _what(header: bytes) -> str:
    """What an unfinished cache was made of, in a few words."""
    try:
        sources = json.loads(header)["sources"]
        return ", ".join(f"{name} of {source['sha256'][:12]}" for name, source in sources.items())
    except (ValueError, KeyError, TypeError, AttributeError):
        return "its first line is no header"


def _cannot_write(path: Path, done: int, error: OSError) -> BackendError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return BackendError(
            f"{path}: the disk is full after {done:,} rows; make room and run again, it goes on there"
        )
    return BackendError(f"{path} cannot be written: {error.strerror or error}")
