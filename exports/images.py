"""Image files of an export: copied beside it, each whole or absent, and none left over from the export before."""

import os
import re
import shutil
import tempfile
from collections.abc import Collection
from pathlib import Path

from annotator.errors import CocoError

_OURS = re.compile(r"[0-9a-f]{32}\.(png|txt)")


class ImageFolder:
    """A folder that holds exactly the images that were asked for, besides files that are not ours."""

    def __init__(self, folder: Path) -> None:
        """Make `folder` where it is not there."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._names: set[str] = set()

    def add(self, source: Path) -> None:
        """Copy a stored image; CocoError where it is missing. One that was copied before is left as it is."""
        target = self._folder / source.name
        self._names.add(source.name)
        try:
            size = source.stat().st_size
        except FileNotFoundError:
            raise CocoError(f"the stored image {source.name} is missing; import it again") from None
        if not target.exists() or target.stat().st_size != size:
            _copy(source, target)

    def drop_others(self) -> None:
        """Remove images that an earlier export left; files of other names are not ours."""
        drop_files(self._folder, self._names)


def drop_files(folder: Path, kept: Collection[str]) -> None:
    """Remove the images and labels of ours in a folder whose names are not among `kept`."""
    for path in folder.iterdir():
        if _OURS.fullmatch(path.name) and path.name not in kept:
            path.unlink()


def _copy(source: Path, target: Path) -> None:
    """Copy under a temporary name. A crash may leave a short file, which the next export finds by its size."""
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    os.close(handle)
    try:
        shutil.copyfile(source, name)
        Path(name).chmod(0o644)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
