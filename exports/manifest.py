"""A data set on disk as a version: hashes when it is written, and the proof later that nothing has changed."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import orjson
from pydantic import ValidationError

from annotator.datasets import DatasetVersion
from annotator.errors import InputError
from annotator.files import write_atomically

VERSION_FILE, IMAGE_HASHES, CARD = "dataset.json", "images.sha256", "DATASET_CARD.md"


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_image_hashes(folder: Path, names: Iterable[str]) -> None:
    """Write `images.sha256` in the form that `sha256sum --check` reads; `names` are relative to `folder`."""
    lines = "".join(f"{hash_file(folder / name)}  {name}\n" for name in sorted(names))
    write_atomically(folder / IMAGE_HASHES, lines.encode())


def hash_files(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the hash of each file of a data set."""
    return {name: hash_file(folder / name) for name in sorted(names)}


def content_hash(files: dict[str, str]) -> str:
    """Return the hash that stands for all files together."""
    return hashlib.sha256(orjson.dumps(files, option=orjson.OPT_SORT_KEYS)).hexdigest()


def write_version(folder: Path, version: DatasetVersion) -> None:
    """Write `dataset.json`, the last file of a data set: without it the others are not a version."""
    write_atomically(
        folder / VERSION_FILE, orjson.dumps(version.model_dump(mode="json"), option=orjson.OPT_INDENT_2)
    )


def read_version(folder: Path) -> DatasetVersion:
    """Read `dataset.json`; InputError where a folder holds none that can be read."""
    path = folder / VERSION_FILE
    try:
        return DatasetVersion.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(
            f"{folder} holds no data set version: {path.name} cannot be read ({error.strerror})"
        ) from error
    except ValidationError as error:
        raise InputError(f"{path} is not the record of a data set version") from error


def changes_of(folder: Path, known: DatasetVersion | None = None) -> Iterator[str]:
    """Yield one line for whatever is not as it was written, down to each image; `known` is what the store noted.

    Raises InputError where `folder` holds no version at all.
    """
    version = read_version(folder)
    if known is not None and version.content_hash != known.content_hash:
        yield f"{folder}: {VERSION_FILE} is not the version {known.dataset_id} that this workspace wrote"
    files = known.files if known is not None else version.files
    if content_hash(version.files) != version.content_hash:
        yield f"{folder}: {VERSION_FILE} was changed"
    yield from _differences(folder, {**files, CARD: (known or version).card_hash})
    if _hash_or_none(folder / IMAGE_HASHES) == files.get(IMAGE_HASHES):
        lines = (folder / IMAGE_HASHES).read_text(encoding="utf-8").splitlines()
        listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
        yield from _differences(folder, listed)
        strays = {f"images/{path.name}" for path in (folder / "images").iterdir()} - set(listed)
        yield from (f"{folder / name} was added" for name in sorted(strays))


def _differences(folder: Path, files: dict[str, str]) -> Iterator[str]:
    for name, expected in files.items():
        found = _hash_or_none(folder / name)
        if found != expected:
            yield f"{folder / name} was {'removed' if found is None else 'changed'}"


def _hash_or_none(path: Path) -> str | None:
    try:
        return hash_file(path)
    except OSError:
        return None
