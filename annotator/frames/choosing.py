"""Which pictures of a cine become frames: all, one in so many seconds, those that differ, or one a scene."""

from dataclasses import dataclass
from enum import StrEnum

from annotator.frames.duplicates import CUT, SAME, Thumbnail, thumbnail_of
from annotator.frames.reports import Decoded


class Keep(StrEnum):
    """Rule by which pictures of a cine are kept, after the rate has thinned them."""

    ALL = "all"
    DISTINCT = "distinct"
    SCENES = "scenes"


@dataclass(frozen=True)
class Choice:
    """What to keep; `per_second` is at most so many pictures a second of cine, None is no limit."""

    keep: Keep = Keep.ALL
    per_second: float | None = None


class Chooser:
    """Decides on the pictures of one cine in their order, the same way every time it is run anew."""

    def __init__(self, choice: Choice) -> None:
        self._choice = choice
        self._next_s = 0.0
        self._last: Thumbnail | None = None

    def wants(self, decoded: Decoded) -> bool:
        """Tell whether this picture becomes a frame. Without a time, no rate can thin; the first is always kept.

        `distinct` drops what correlates at 0.95 or more with the last one kept. `scenes` keeps what correlates
        below 0.5 with the picture before: unrelated views correlate at 0.51 at most.
        """
        if self._choice.per_second is not None and decoded.time_s is not None:
            if decoded.time_s < self._next_s - 1e-6:
                return False
            self._next_s = max(self._next_s + 1 / self._choice.per_second, decoded.time_s)
        if self._choice.keep == Keep.ALL:
            return True
        thumbnail = thumbnail_of(decoded.pixels)
        likeness = -1.0 if self._last is None else float(thumbnail @ self._last)
        if self._choice.keep == Keep.SCENES:
            self._last = thumbnail
            return likeness < CUT
        if likeness >= SAME:
            return False
        self._last = thumbnail
        return True
