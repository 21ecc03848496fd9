"""The record of a data set that left the tool: what it holds, where it came from, and the hashes that prove it."""

import hashlib
import json
from datetime import datetime

from pydantic import Field

from annotator import taxonomy
from annotator.schema import Record, utc_now


class DatasetVersion(Record):
    """One version of a data set. Equal content has an equal `content_hash`, whenever it was written."""

    dataset_id: str = Field(description="name and the beginning of content_hash")
    name: str
    which: str = Field(description="corrected, predicted or truth")
    content_hash: str = Field(description="SHA-256 over the names and hashes of all files")
    files: dict[str, str] = Field(description="file -> SHA-256; images.sha256 holds those of the images")
    card_hash: str = Field(default="", description="SHA-256 of the card, which tells of the content")
    taxonomy_hash: str
    images: int
    annotations: int
    structures: dict[str, int]
    splits: dict[str, int] = Field(description="split -> frames")
    assigned: dict[str, str] = Field(description="subject or group -> split, kept by every later version")
    readers: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    licences: dict[str, str] = Field(default_factory=dict, description="source -> licence, empty where untold")
    parent: str | None = Field(default=None, description="dataset_id of the version before")
    folder: str = Field(default="", description="where it was written, as given")
    created_at: datetime = Field(default_factory=utc_now)


def taxonomy_hash() -> str:
    """Return the SHA-256 over all that gives labels their meaning: structures, keypoints, views."""
    content = [
        [[item.coco_id, item.name, item.long_name, item.group.value] for item in taxonomy.STRUCTURES],
        {name: list(points) for name, points in taxonomy.KEYPOINT_NAMES.items()},
        [[view.name, view.long_name, view.family.value] for view in taxonomy.VIEWS],
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
