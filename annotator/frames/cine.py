"""AVI and MP4 cine -> pictures in decoding order. Runs in the decoding process.

Read from the front, numbered as they come: seeking hits wrong frames in MPEG-4 with B-frames, and declared counts
and rates lie. Times are the pictures' own (pts), so a variable rate is right too. Damage is an error, not a gray
patch (`err_detect explode`). Only the file itself is opened: a playlist in a video's clothes reaches nothing else.
"""

import hashlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame

from annotator.deidentify.pseudonyms import Pseudonyms
from annotator.frames.records import Pixels, readable_name
from annotator.frames.reports import Decoded, DecodingError, Limits, SourceFacts

CONTAINERS = "avi,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,asf,mpeg,mpegvideo,mpegts"
_SAFELY = {"protocol_whitelist": "file", "format_whitelist": CONTAINERS}


class CineFile:
    """One video; its titles and tags are not looked at."""

    def __init__(self, path: Path, pseudonyms: Pseudonyms, limits: Limits) -> None:
        """Check that there is a picture stream of a bearable size; DecodingError where not."""
        self._path, self._limits = path, limits
        with self._opened() as container:
            stream = container.streams.video[0]
            width, height = stream.codec_context.width, stream.codec_context.height
        if width * height > limits.max_pixels:
            raise DecodingError(f"{width}x{height} pixels are more than the {limits.max_pixels:,} allowed")
        if min(width, height) < 16:
            raise DecodingError(f"{width}x{height} pixels are too small, each side needs 16 or more")
        self._size_wh = (width, height)
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        self.facts = SourceFacts(name=readable_name(path.name), group=pseudonyms.group(digest))

    def frames(self) -> Iterator[Decoded]:
        """Yield the pictures in order, one in memory at a time: uint8, (H, W) gray or (H, W, 3) RGB."""
        with self._opened() as container:
            stream = container.streams.video[0]
            stream.codec_context.options = {"err_detect": "explode"}
            first: Fraction | None = None
            number = -1
            try:
                for number, picture in enumerate(container.decode(stream)):
                    self._check(number, picture)
                    first, time_s = _time_of(picture, first)
                    yield Decoded(number, time_s, _pixels_of(picture))
            except av.error.FFmpegError:
                raise DecodingError(f"damaged after {number + 1} frames") from None
            if number < 0:
                raise DecodingError("no picture can be decoded")

    def _opened(self) -> "av.container.InputContainer":
        try:
            container = av.open(str(self._path), options=_SAFELY)
        except av.error.FFmpegError:
            raise DecodingError("not a video that can be read, or cut off before its index") from None
        if not container.streams.video:
            container.close()
            raise DecodingError("it holds no pictures")
        return container

    def _check(self, number: int, picture: VideoFrame) -> None:
        if number >= self._limits.max_frames:
            raise DecodingError(f"more than {self._limits.max_frames} frames")
        if (picture.width, picture.height) != self._size_wh:
            raise DecodingError(f"its size changes after {number} frames")
        if picture.is_corrupt:
            raise DecodingError(f"damaged after {number} frames")


def _time_of(picture: VideoFrame, first: Fraction | None) -> tuple[Fraction | None, float | None]:
    if picture.pts is None or picture.time_base is None:
        return first, None
    moment = picture.pts * picture.time_base
    first = moment if first is None else first
    return first, float(moment - first)


def _pixels_of(picture: VideoFrame) -> Pixels:
    if picture.format.name in ("gray", "gray8"):
        pixels = picture.to_ndarray(format="gray")
    else:
        pixels = picture.to_ndarray(format="rgb24")
        if bool((pixels[..., :1] == pixels).all()):
            pixels = pixels[..., 0]
    return np.ascontiguousarray(np.rot90(pixels, round(picture.rotation / 90)))
