"""What the decoding process tells the importing one: records that hold nothing of a header but what is allowed."""

from dataclasses import dataclass

from annotator.frames.records import Pixels


class DecodingError(Exception):
    """A file cannot be decoded; its reason is written here and never holds a value of the file."""


@dataclass(frozen=True)
class SourceFacts:
    """What may be known of a DICOM file or video beside its pixels; names are pseudonyms already.

    `frames_declared` is what the file says, which may be wrong; `person` tells two persons under one id apart and
    is not stored.
    """

    name: str
    subject: str | None = None
    group: str | None = None
    person: str | None = None
    scanner: str | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    frames_declared: int | None = None


@dataclass(frozen=True)
class Decoded:
    """One picture of a file: its number in decoding order, seconds from the first (if known), uint8 pixels."""

    number: int
    time_s: float | None
    pixels: Pixels


@dataclass(frozen=True)
class Limits:
    """What one file may ask for; a file that asks for more is refused."""

    max_pixels: int = 50_000_000
    max_frames: int = 20_000
    max_inflated_bytes: int = 256 * 1024 * 1024
    memory_bytes: int = 4 * 1024**3
    seconds_per_frame: float = 60.0
