"""`annotator import`: images and what a COCO file says of them -> frames and reference corrections."""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annotator.cli import Result
from annotator.commands.intake import Candidate, Deidentify, Intake, Rules, Taken
from annotator.commands.workspace import opened, progress, say
from annotator.deidentify.burned_in_text import TextFound
from annotator.deidentify.pseudonyms import Pseudonyms, open_pseudonyms
from annotator.errors import FrameError, InputError
from annotator.frames import FrameFacts, Kind, Pixels, find_sources, kind_of, save_pixels, subject_from_name
from annotator.frames.duplicates import NearDuplicates
from annotator.schema import Correction, Frame, new_id, utc_now
from annotator.settings import Settings, read_settings
from annotator.store import Store

if TYPE_CHECKING:
    from exports.coco_reading import CocoImage

BATCH = 64
UPLOAD_PREFIX = r"^[0-9a-f]{8}-"  # that Label Studio puts before the names of uploaded files


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
    masked: int = 0
    grouped: int = 0
    perhaps_same: list[dict[str, Any]] = field(default_factory=list)
    sheets: list[str] = field(default_factory=list)
    near: NearDuplicates = field(default_factory=NearDuplicates)


def import_images(
    workspace: Path,
    paths: Sequence[Path],
    source: str,
    site: str | None,
    subject_from: str | None,
    pixel_size_mm: float | None,
    coco_file: Path | None,
    as_truth: bool,
    rules: Rules | None = None,
) -> Result:
    """Import files and folders; one that cannot be used is reported and stops nothing else."""
    if as_truth and coco_file is None:
        raise InputError("--as-truth needs --coco FILE: the annotations come from there")
    if pixel_size_mm is not None and not math.isfinite(pixel_size_mm):
        raise InputError(f"--pixel-size-mm {pixel_size_mm} is no length")
    settings, tally, rules = read_settings(), Tally(), rules or Rules()
    sources = find_sources(paths)
    spacing = (pixel_size_mm, pixel_size_mm) if pixel_size_mm else None
    given = FrameFacts(source=source, site=site, pixel_spacing_mm=spacing)
    if coco_file is None:
        candidates = [Candidate(path, given) for path in sources]
    else:
        candidates = _named_by_coco(coco_file, sources, given, as_truth, tally)
        if rules.deidentify == Deidentify.AUTO:
            say(
                "stills named by the COCO file are taken as de-identified; --deidentify on looks for text there too"
            )
    candidates = [replace(candidate, place=place) for place, candidate in enumerate(candidates, 1)]
    with opened(workspace, settings) as store:
        pseudonyms = open_pseudonyms(workspace, site)
        if subject_from:
            candidates = [_with_subject(candidate, subject_from, pseudonyms) for candidate in candidates]
        with Intake(store, pseudonyms, rules, settings, f"{utc_now():%Y%m%d-%H%M%S}") as intake:
            _import_all(store, intake, candidates, settings, as_truth, tally)
        tally.oddities.update(intake.oddities)
        tally.sheets = [str(path) for path in intake.sheet.pages]
        if coco_file is None:
            _group_duplicates(store, tally)
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
        name = Path(image.file_name).name
        same_name = by_name.get(name) or by_name.get(re.sub(UPLOAD_PREFIX, "", name), [])
        path = _best_match(image.file_name, same_name)
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


def _with_subject(candidate: Candidate, pattern: str, pseudonyms: Pseudonyms) -> Candidate:
    """What the pattern finds may be a hospital's number or a name: its keyed hash is the subject."""
    found = subject_from_name(candidate.path.name, pattern)
    subject = pseudonyms.subject(found) if found else None
    return replace(candidate, facts=replace(candidate.facts, subject=subject or candidate.facts.subject))


def _import_all(
    store: Store, intake: Intake, candidates: Sequence[Candidate], settings: Settings, as_truth: bool, tally: Tally
) -> None:
    with progress(len(candidates), "importing", "file") as bar, ThreadPoolExecutor(settings.threads) as pool:
        for batch in _batches(candidates):
            taken = []
            for candidate, read in _read_ahead(pool, intake, batch):
                try:
                    if isinstance(read, FrameError):
                        raise read
                    parts = [intake.keep_still(candidate, *read)] if read else intake.cine(candidate)
                    for part in parts:
                        taken.append(part)
                        if len(taken) >= BATCH:
                            _add(store, taken, as_truth, tally)
                            taken = []
                except FrameError as error:
                    tally.failures.append({"file": error.source_file, "reason": error.reason})
                bar.update()
            _add(store, taken, as_truth, tally)


def _read_ahead(
    pool: ThreadPoolExecutor, intake: Intake, batch: Sequence[Candidate]
) -> "Iterator[tuple[Candidate, tuple[Pixels, TextFound | None] | FrameError | None]]":
    """Read the stills of a batch side by side; DICOM files and videos come as None, to be decoded in turn."""
    waiting = [
        (candidate, pool.submit(intake.still, candidate) if kind_of(candidate.path) == Kind.RASTER else None)
        for candidate in batch
    ]
    for candidate, future in waiting:
        yield candidate, future.result() if future else None


def _add(store: Store, taken: Sequence[Taken], as_truth: bool, tally: Tally) -> None:
    for one in taken:
        before = tally.seen.setdefault(one.frame.frame_id, one.frame.source_file)
        tally.duplicates += before != one.frame.source_file
        tally.masked += one.masked
        tally.near.add(one.frame.frame_id, one.thumbnail, one.frame.group)
    new = store.add_frames([one.frame for one in taken])
    tally.frames += new
    tally.already_known += len(taken) - new
    if as_truth:
        tally.truths += store.add_corrections([_truth(one.frame, one.coco) for one in taken if one.coco])


def _group_duplicates(store: Store, tally: Tally) -> None:
    """Frames that show nearly the same get one group, so that no split parts them."""
    groups = tally.near.new_groups()
    known = (store.frame(frame_id) for frame_id in groups)
    store.add_frames([frame.model_copy(update={"group": groups[frame.frame_id]}) for frame in known if frame])
    tally.grouped = len(groups)
    tally.perhaps_same = [
        {"files": [tally.seen[one], tally.seen[other]], "likeness": round(likeness, 3)}
        for one, other, likeness in tally.near.unsure()
    ]


def _batches(items: Iterable[Candidate]) -> Iterator[list[Candidate]]:
    iterator = iter(items)
    while batch := list(islice(iterator, BATCH)):
        yield batch


def _truth(frame: Frame, coco: "CocoImage") -> Correction:
    """The same annotations of the same frame are one reference, however often they are imported.

    Of an export of ours, all that was corrected or predicted comes back, not its findings alone.
    """
    said = coco.said
    content = [finding.model_dump_json(exclude={"finding_id"}) for finding in coco.findings]
    if said is not None:
        content = [said.model_dump_json(exclude={"frame_id"})]
    digest = hashlib.sha256("\n".join([str(coco.plane), *content]).encode()).hexdigest()
    outside = {"external_id": f"truth:{frame.frame_id}", "external_updated_at": digest}
    if isinstance(said, Correction):
        ours = {"frame_id": frame.frame_id, "is_truth": True, "correction_id": new_id("cor")}
        return said.model_copy(update={**ours, **outside})
    return Correction(
        frame_id=frame.frame_id,
        reader=f"reference:{coco.facts.source}" if coco.facts.source else "reference",
        is_truth=True,
        prediction_id=said.prediction_id if said else None,
        findings=coco.findings,
        plane=coco.plane,
        interpretation=said.interpretation if said else None,
        **outside,
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
        "masked": tally.masked,
        "grouped": tally.grouped,
        "perhaps_same": tally.perhaps_same,
        "second_look": tally.sheets,
    }
    lines = [f"{tally.frames} frames imported, {tally.already_known} known before, {len(tally.failures)} failed"]
    if tally.duplicates:
        lines.append(f"{tally.duplicates} files have the content of another; both names are kept")
    if tally.truths:
        lines.append(f"{tally.truths} reference annotations")
    if tally.masked:
        lines.append(f"{tally.masked} frames had text burned in, masked by machine: look a second time")
    lines += [f"  sheet {sheet}" for sheet in tally.sheets]
    if tally.grouped:
        lines.append(f"{tally.grouped} frames show nearly what another does and are in its group")
    if tally.perhaps_same:
        lines.append(f"{len(tally.perhaps_same)} pairs of frames may be of one subject (--json lists them)")
    lines += [f"  {failure['file']}: {failure['reason']}" for failure in tally.failures[:20]]
    if len(tally.failures) > 20:
        lines.append(f"  ... and {len(tally.failures) - 20} more (--json lists all)")
    lines += [f"  {count} x {what}" for what, count in tally.oddities.most_common()]
    nothing_usable = not tally.frames and not tally.already_known
    return Result(document, "\n".join(lines), exit_code=1 if nothing_usable else 0)
