"""From a file to stored, de-identified frames: what `annotator import` does with each file that it was given."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from annotator.deidentify.burned_in_text import TextFound, find_text, masked, union_of
from annotator.deidentify.contact_sheet import ContactSheet
from annotator.deidentify.pseudonyms import Pseudonyms
from annotator.errors import FrameError
from annotator.frames import FrameFacts, Kind, Pixels, kind_of, make_frame, read_pixels, save_pixels
from annotator.frames.choosing import Choice, Chooser
from annotator.frames.decoding import Decoder
from annotator.frames.duplicates import Thumbnail, thumbnail_of
from annotator.frames.reports import Decoded, Limits, SourceFacts
from annotator.schema import Frame
from annotator.settings import Settings
from annotator.store import Store

if TYPE_CHECKING:
    from exports.coco_reading import CocoImage


class Deidentify(StrEnum):
    """Where burned-in text is looked for: `auto` leaves stills alone that a COCO file describes."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


@dataclass(frozen=True)
class Rules:
    """How files are taken in. `keep_text` looks for text and shows it on the sheet, but leaves it in the frame."""

    deidentify: Deidentify = Deidentify.AUTO
    keep_text: bool = False
    accept_unsure: bool = False
    choice: Choice = field(default_factory=Choice)


@dataclass(frozen=True)
class Candidate:
    """A file to read, what is known of it from outside, and its place (from 1) among the files given."""

    path: Path
    facts: FrameFacts
    coco: "CocoImage | None" = None
    place: int = 0


@dataclass(frozen=True)
class Taken:
    """A frame whose pixels are stored; `masked` tells whether text was taken out."""

    frame: Frame
    coco: "CocoImage | None"
    thumbnail: Thumbnail
    masked: bool = False


class Intake(AbstractContextManager["Intake"]):
    """Reads, de-identifies and stores; the decoding process and the sheet are closed at the end."""

    def __init__(self, store: Store, pseudonyms: Pseudonyms, rules: Rules, settings: Settings, stem: str) -> None:
        self._store, self._rules, self._settings = store, rules, settings
        self._decoder = Decoder(pseudonyms, Limits(max_pixels=settings.max_pixels))
        self.sheet = ContactSheet(store.workspace / "frames" / "second_look", stem)
        self.persons: dict[str, set[str]] = {}
        self.oddities: list[str] = []

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._decoder.__exit__(kind, error, trace)
        self.sheet.close()

    def still(self, candidate: Candidate) -> "tuple[Pixels, TextFound | None] | FrameError":
        """Read a still and look for text in it; safe to call from several threads."""
        try:
            pixels = read_pixels(candidate.path, max_pixels=self._settings.max_pixels)
            _check_size(candidate, pixels)
        except FrameError as error:
            return error
        return pixels, find_text(pixels) if self._looks_for_text(candidate, Kind.RASTER) else None

    def keep_still(self, candidate: Candidate, pixels: Pixels, found: TextFound | None) -> Taken:
        """Store what `still` read; FrameError where it is unsure what is text."""
        return self._keep(candidate, candidate.facts, candidate.path.name, pixels, found)

    def cine(self, candidate: Candidate) -> Iterator[Taken]:
        """Decode a DICOM file or video and store the frames chosen; FrameError under a name that is fit to show.

        It is decoded twice: text is masked in all frames where it is seen in one, and no frame waits in memory.
        """
        kind = kind_of(candidate.path)
        looks = self._looks_for_text(candidate, kind)
        try:
            found = self._text_of(candidate, kind) if looks else None
            source: SourceFacts | None = None
            chooser = Chooser(self._rules.choice)
            count = 0
            for part in self._decoder.read(candidate.path, kind):
                if isinstance(part, SourceFacts):
                    source = part
                    continue
                assert source is not None
                count += 1
                if chooser.wants(part):
                    facts = _facts_from(source, candidate.facts)
                    yield self._keep(candidate, facts, _name_of(source, part), part.pixels, found)
            assert source is not None
            self._note(source, count)
        except FrameError as error:
            shown = f"file {candidate.place}" if kind == Kind.DICOM and candidate.place else ""
            raise FrameError(
                " ".join(filter(None, (error.source_file, shown and f"({shown})"))), error.reason
            ) from None

    def _looks_for_text(self, candidate: Candidate, kind: Kind) -> bool:
        if self._rules.deidentify == Deidentify.AUTO:
            return kind != Kind.RASTER or candidate.coco is None
        return self._rules.deidentify == Deidentify.ON

    def _text_of(self, candidate: Candidate, kind: Kind) -> TextFound:
        chooser, found, last = Chooser(self._rules.choice), [], None
        for part in self._decoder.read(candidate.path, kind):
            if isinstance(part, Decoded) and chooser.wants(part):
                found.append(find_text(part.pixels))
                last = part.pixels
        if last is None:
            raise FrameError(self._decoder.shown_name(candidate.path, kind), "no picture can be decoded")
        return union_of(found, last)

    def _keep(
        self, candidate: Candidate, facts: FrameFacts, name: str, pixels: Pixels, found: TextFound | None
    ) -> Taken:
        refused = found is not None and bool(found.reasons) and not self._rules.accept_unsure
        if found is not None:
            self.sheet.add(name, pixels, _unmasked(found) if self._rules.keep_text else found, refused=refused)
            if refused:
                reason = f"unsure what is text: {'; '.join(found.reasons)}. Look at the sheet, then --accept-unsure"
                raise FrameError(name, reason)
            if not self._rules.keep_text:
                pixels = masked(pixels, found)
        frame = make_frame(pixels, name, facts)
        save_pixels(pixels, self._store.image_path(frame.frame_id))
        taken_out = found is not None and not self._rules.keep_text and bool(found.boxes_xyxy)
        return Taken(frame, candidate.coco, thumbnail_of(pixels), taken_out)

    def _note(self, source: SourceFacts, count: int) -> None:
        if source.frames_declared is not None and source.frames_declared != count:
            self.oddities.append("file whose number of frames is not what its header says")
        if source.subject is not None and source.person is not None:
            persons = self.persons.setdefault(source.subject, set())
            if persons and source.person not in persons:
                self.oddities.append("patient id that comes with more than one name or birth date")
            persons.add(source.person)


def _unmasked(found: TextFound) -> TextFound:
    """The same finding, to be shown as what was left in."""
    suspects = tuple(dict.fromkeys((*found.boxes_xyxy, *found.suspects_xyxy)))
    return replace(found, mask=found.mask & False, boxes_xyxy=(), suspects_xyxy=suspects, scan_share=0.0)


def _check_size(candidate: Candidate, pixels: Pixels) -> None:
    height, width = pixels.shape[:2]
    if candidate.coco is not None and candidate.coco.size_wh != (width, height):
        expected = "x".join(map(str, candidate.coco.size_wh))
        reason = f"is {width}x{height}, the COCO file says {expected}: its annotations would not fit"
        raise FrameError(candidate.path.name, reason)


def _facts_from(source: SourceFacts, given: FrameFacts) -> FrameFacts:
    """What the importing person says counts; else what the file may say."""
    return replace(
        given,
        subject=given.subject or source.subject,
        group=given.group or source.group,
        scanner=given.scanner or source.scanner,
        pixel_spacing_mm=given.pixel_spacing_mm or source.pixel_spacing_mm,
    )


def _name_of(source: SourceFacts, decoded: Decoded) -> str:
    """A file that holds one picture gives its frame its own name; each of several is numbered from 0."""
    return source.name if source.group is None else f"{source.name}#{decoded.number:05}"
