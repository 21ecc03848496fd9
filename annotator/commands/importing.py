"""`annotator import`: images and what a COCO file says of them -> frames and reference corrections."""

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annotator.cli import Result
from annotator.commands.workspace import opened, progress
from annotator.errors import FrameError, InputError
from annotator.frames import (
    FrameFacts,
    Pixels,
    find_images,
    make_frame,
    read_pixels,
    save_pixels,
    subject_from_name,
)
from annotator.schema import Correction, Frame
from annotator.settings import Settings, read_settings
from annotator.store import Store

if TYPE_CHECKING:
    from exports.coco_reading import CocoImage

BATCH = 64


@dataclass(frozen=True)
class Candidate:
    """A file to read, and what a COCO file says of it."""

    path: Path
    facts: FrameFacts
    coco: "CocoImage | None" = None


@dataclass
class Tally:
    """What became of the files."""

    frames: int = 0
    already_known: int = 0
    truths: int = 0
    failures: list[dict[str, str]] = field(default_factory=list)
    oddities: Counter[str] = field(default_factory=Counter)
    seen: dict[str, str] = field(default_factory=dict)
    duplicates: int = 0


def import_images(
    workspace: Path,
    paths: Sequence[Path],
    source: str,
    site: str | None,
    subject_from: str | None,
    pixel_size_mm: float | None,
    coco_file: Path | None,
    as_truth: bool,
) -> Result:
    """Import files and folders; one that cannot be used is reported and stops nothing else."""
    if as_truth and coco_file is None:
        raise InputError("--as-truth needs --coco FILE: the annotations come from there")
    if pixel_size_mm is not None and not math.isfinite(pixel_size_mm):
        raise InputError(f"--pixel-size-mm {pixel_size_mm} is no length")
    settings, tally = read_settings(), Tally()
    images = find_images(paths)
    spacing = (pixel_size_mm, pixel_size_mm) if pixel_size_mm else None
    given = FrameFacts(source=source, site=site, pixel_spacing_mm=spacing)
    if coco_file is None:
        candidates = [Candidate(path, given) for path in images]
    else:
        candidates = _named_by_coco(coco_file, images, given, as_truth, tally)
    if subject_from:
        candidates = [_with_subject(candidate, subject_from) for candidate in candidates]
    with opened(workspace, settings) as store:
        _import_all(store, candidates, settings, as_truth, tally)
    return _report(tally)


def add_simulated_frames(store: Store, count: int, seed: int) -> int:
    """Make simulated frames and add them, with what is known of them as the reference standard."""
    from annotator.commands.simulated import simulated_frames

    frames, truths = [], []
    for pixels, frame, truth in simulated_frames(count, seed):
        save_pixels(pixels, store.image_path(frame.frame_id))
        frames.append(frame)
        truths.append(truth)
    store.add_frames(frames)
    store.add_corrections(truths)
    return len(frames)


def _named_by_coco(
    coco_file: Path, images: Sequence[Path], given: FrameFacts, as_truth: bool, tally: Tally
) -> list[Candidate]:
    """Match the images that the COCO file names with the files that were found, by the longest common path end."""
    from exports.coco_reading import read_coco

    content = read_coco(coco_file, source=given.source, with_annotations=as_truth)
    tally.oddities.update(content.oddities)
    by_name: dict[str, list[Path]] = {}
    for found in images:
        by_name.setdefault(found.name, []).append(found)
    candidates = []
    for image in content.images:
        path = _best_match(image.file_name, by_name.get(Path(image.file_name).name, []))
        if path is None:
            reason = "named by the COCO file, but not among the images given"
            tally.failures.append({"file": image.file_name, "reason": reason})
            continue
        facts = replace(
            image.facts,
            site=given.site or image.facts.site,
            pixel_spacing_mm=given.pixel_spacing_mm or image.facts.pixel_spacing_mm,
        )
        candidates.append(Candidate(path, facts, image))
    left_out = len(set(images) - {candidate.path for candidate in candidates})
    if left_out:
        tally.oddities["image that the COCO file does not name, left out"] += left_out
    return candidates


def _best_match(file_name: str, paths: Sequence[Path]) -> Path | None:
    wanted = Path(file_name.replace("\\", "/")).parts[::-1]

    def common(path: Path) -> int:
        pairs = zip(wanted, path.parts[::-1], strict=False)
        return next((length for length, (ours, theirs) in enumerate(pairs) if ours != theirs), len(wanted))

    return max(paths, key=common, default=None)


def _with_subject(candidate: Candidate, pattern: str) -> Candidate:
    subject = subject_from_name(candidate.path.name, pattern) or candidate.facts.subject
    return replace(candidate, facts=replace(candidate.facts, subject=subject))


def _import_all(
    store: Store, candidates: Sequence[Candidate], settings: Settings, as_truth: bool, tally: Tally
) -> None:
    with progress(len(candidates), "importing") as bar, ThreadPoolExecutor(settings.threads) as pool:
        for batch in _batches(candidates):
            read = list(pool.map(lambda candidate: _read(store, candidate, settings), batch))
            kept = [item for item in read if isinstance(item, tuple)]
            tally.failures += [
                {"file": item.source_file, "reason": item.reason} for item in read if isinstance(item, FrameError)
            ]
            _note_duplicates(kept, tally)
            new = store.add_frames([frame for frame, _ in kept])
            tally.frames += new
            tally.already_known += len(kept) - new
            if as_truth:
                tally.truths += store.add_corrections([_truth(frame, coco) for frame, coco in kept if coco])
            bar.update(len(batch))


def _batches(items: Iterable[Candidate]) -> Iterator[list[Candidate]]:
    iterator = iter(items)
    while batch := list(islice(iterator, BATCH)):
        yield batch


def _read(store: Store, candidate: Candidate, settings: Settings) -> "tuple[Frame, CocoImage | None] | FrameError":
    try:
        pixels = read_pixels(candidate.path, max_pixels=settings.max_pixels)
        _check_size(candidate, pixels)
        frame = make_frame(pixels, candidate.path.name, candidate.facts)
        save_pixels(pixels, store.image_path(frame.frame_id))
    except FrameError as error:
        return error
    return frame, candidate.coco


def _check_size(candidate: Candidate, pixels: Pixels) -> None:
    height, width = pixels.shape[:2]
    if candidate.coco is not None and candidate.coco.size_wh != (width, height):
        expected = "x".join(map(str, candidate.coco.size_wh))
        reason = f"is {width}x{height}, the COCO file says {expected}: its annotations would not fit"
        raise FrameError(candidate.path.name, reason)


def _note_duplicates(kept: Sequence[tuple[Frame, Any]], tally: Tally) -> None:
    for frame, _ in kept:
        before = tally.seen.setdefault(frame.frame_id, frame.source_file)
        tally.duplicates += before != frame.source_file


def _truth(frame: Frame, coco: "CocoImage") -> Correction:
    """The same annotations of the same frame are one reference, however often they are imported."""
    content = [finding.model_dump_json(exclude={"finding_id"}) for finding in coco.findings]
    digest = hashlib.sha256("\n".join([str(coco.plane), *content]).encode()).hexdigest()
    return Correction(
        frame_id=frame.frame_id,
        reader=f"reference:{coco.facts.source}" if coco.facts.source else "reference",
        is_truth=True,
        findings=coco.findings,
        plane=coco.plane,
        external_id=f"truth:{frame.frame_id}",
        external_updated_at=digest,
    )


def _report(tally: Tally) -> Result:
    document = {
        "imported": tally.frames,
        "already_known": tally.already_known,
        "duplicates": tally.duplicates,
        "truths": tally.truths,
        "failed": len(tally.failures),
        "failures": tally.failures,
        "oddities": dict(tally.oddities),
    }
    lines = [f"{tally.frames} frames imported, {tally.already_known} known before, {len(tally.failures)} failed"]
    if tally.duplicates:
        lines.append(f"{tally.duplicates} files have the content of another; both names are kept")
    if tally.truths:
        lines.append(f"{tally.truths} reference annotations")
    lines += [f"  {failure['file']}: {failure['reason']}" for failure in tally.failures[:20]]
    if len(tally.failures) > 20:
        lines.append(f"  ... and {len(tally.failures) - 20} more (--json lists all)")
    lines += [f"  {count} x {what}" for what, count in tally.oddities.most_common()]
    nothing_usable = not tally.frames and not tally.already_known
    return Result(document, "\n".join(lines), exit_code=1 if nothing_usable else 0)
