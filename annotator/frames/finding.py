"""Which files among those named are stills, DICOM files and videos."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path

from annotator.errors import InputError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff"})
VIDEO_SUFFIXES = frozenset({".avi", ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".wmv", ".asf", ".mpg", ".mpeg"})
DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".dic", ".ima"})
_DICOM_MARK, _DICOM_MARK_AT = b"DICM", 128


class Kind(StrEnum):
    """How a file is read."""

    RASTER = "raster"
    DICOM = "dicom"
    VIDEO = "video"


def find_images(paths: Sequence[Path]) -> list[Path]:
    """Return the PNG, JPEG and TIFF files named by or below `paths`, sorted; InputError where there are none."""
    return _found(paths, frozenset({Kind.RASTER}), "PNG, JPEG or TIFF image")


def find_sources(paths: Sequence[Path]) -> list[Path]:
    """Return stills, DICOM files and videos named by or below `paths`, sorted; InputError where there are none."""
    return _found(paths, frozenset(Kind), "PNG, JPEG or TIFF image, DICOM file or video")


def kind_of(path: Path) -> Kind:
    """Tell by its content whether a file is DICOM, by its name whether it is a video; all else is read as a still.

    >>> kind_of(Path("cine.AVI")), kind_of(Path("head.png"))
    (<Kind.VIDEO: 'video'>, <Kind.RASTER: 'raster'>)
    """
    suffix = path.suffix.lower()
    if suffix in DICOM_SUFFIXES or _has_dicom_mark(path):
        return Kind.DICOM
    return Kind.VIDEO if suffix in VIDEO_SUFFIXES else Kind.RASTER


def _has_dicom_mark(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(_DICOM_MARK_AT + 4)[_DICOM_MARK_AT:] == _DICOM_MARK
    except (OSError, ValueError):
        return False  # reading it will say why


def _found(paths: Sequence[Path], kinds: frozenset[Kind], what: str) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        found.extend(_files_below(path, kinds) if _is_folder(path) else [path])
    if not found:
        raise InputError(f"no {what} in {', '.join(map(str, paths))}")
    return list(dict.fromkeys(found))


def _is_folder(path: Path) -> bool:
    """Tell a folder from a file; InputError for what is neither, such as a pipe that would never end."""
    try:
        exists, is_folder, is_file = path.exists(), path.is_dir(), path.is_file()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if not exists:
        raise InputError(f"{path} does not exist")
    if not is_folder and not is_file:
        raise InputError(f"{path} is neither a file nor a folder")
    return is_folder


def _files_below(folder: Path, kinds: frozenset[Kind]) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and path.is_file() and _is_wanted(path, kinds):
            yield path


def _is_wanted(path: Path, kinds: frozenset[Kind]) -> bool:
    """Scanners name DICOM files anyhow (IM_0001, 1.2.840.113619...): the mark inside decides."""
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        return Kind.RASTER in kinds
    if suffix in VIDEO_SUFFIXES:
        return Kind.VIDEO in kinds
    return Kind.DICOM in kinds and path.name != "DICOMDIR" and (suffix in DICOM_SUFFIXES or _has_dicom_mark(path))
