"""The card of a data set in Markdown: what a paper, an ethics board or a colleague asks of data."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from annotator import taxonomy
from annotator.datasets import DatasetVersion
from annotator.schema import Change, Correction
from exports.entries import Entry

UNTOLD = "not stated"


@dataclass
class Contents:
    """What is counted while frames pass by."""

    images: int = 0
    simulated: int = 0
    with_spacing: int = 0
    interpreted: int = 0
    subjects: set[str] = field(default_factory=set)
    no_subject: int = 0
    facts: dict[str, Counter[str]] = field(
        default_factory=lambda: {
            name: Counter() for name in ("source", "site", "scanner", "plane", "split", "said by")
        }
    )
    structures: Counter[str] = field(default_factory=Counter)
    outlined: Counter[str] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)
    lead_times_s: list[float] = field(default_factory=list)
    corrected: int = 0
    models: set[str] = field(default_factory=set)
    readers: set[str] = field(default_factory=set)
    image_names: list[str] = field(default_factory=list)

    def add(self, entry: Entry) -> None:
        """Count one frame."""
        frame, said = entry.frame, entry.said
        self.images += 1
        self.simulated += frame.simulated
        self.with_spacing += frame.pixel_spacing_mm is not None
        self.interpreted += said.interpretation is not None
        self.image_names.append(f"images/{frame.frame_id}.png")
        if frame.subject:
            self.subjects.add(f"{frame.source}/{frame.subject}")
        else:
            self.no_subject += 1
        told = (frame.source, frame.site, frame.scanner, said.plane, frame.split, entry.said_by)
        for counted, value in zip(self.facts.values(), told, strict=True):
            counted[value or UNTOLD] += 1
        self.structures.update(finding.structure for finding in said.findings)
        self.outlined.update(finding.structure for finding in said.findings if finding.mask_rle is not None)
        if isinstance(said, Correction):
            self._add_effort(said)
        else:
            self.models.add(said.model_version)

    def _add_effort(self, said: Correction) -> None:
        self.readers.add(said.reader)
        self.corrected += said.prediction_id is not None
        self.changes.update(change.value for change in said.changes.values())
        if said.lead_time_s is not None:
            self.lead_times_s.append(said.lead_time_s)


def write_card(
    version: DatasetVersion, contents: Contents, exclusions: Mapping[str, int], notes: Sequence[str]
) -> str:
    """Return the card. `exclusions` says how many frames were left out and why; `notes` tell of split conflicts."""
    by_plane = [(name, count, _long_name(name)) for name, count in contents.facts["plane"].most_common()]
    structures = [
        (name, count, contents.outlined[name], taxonomy.structure(name).long_name)
        for name, count in contents.structures.most_common()
    ]
    parts = [
        f"# {version.name}",
        "Research data, not for clinical use. Made with fetal-annotator; the version is in `dataset.json`.",
        _table(("question", "answer"), _answers(version, contents)),
        "## Splits",
        "Frames of one subject, cine loop or group of near duplicates are never parted, and keep their split in "
        "later versions. `study` holds frames that readers are studied on: they are never trained on.",
        _table(("split", "frames"), version.splits.items()),
        *(f"- {note}" for note in notes),
        "## Planes",
        _table(("plane", "frames", "meaning"), by_plane),
        "## Structures",
        _table(("label", "findings", "with a mask", "meaning"), structures),
        "## Sources, sites and scanners",
        _table(
            ("source", "frames", "licence"),
            [
                (name, count, version.licences.get(name) or UNTOLD)
                for name, count in contents.facts["source"].most_common()
            ],
        ),
        *(_table((name, "frames"), contents.facts[name].most_common()) for name in ("site", "scanner")),
        "## Label effort",
        _table(("said by", "frames"), contents.facts["said by"].most_common()),
        _effort(contents),
        "## Left out",
        _table(("reason", "frames"), exclusions.items()),
        "## Known limits",
        "Boxes and masks follow the edge convention of pycocotools: pixel i covers [i, i + 1). A structure that is "
        "not labelled in a frame may still be visible in it: references often cover only what they were made for.",
    ]
    return "\n\n".join(parts) + "\n"


def _answers(version: DatasetVersion, contents: Contents) -> list[tuple[str, object]]:
    subjects = f"{len(contents.subjects)}"
    if contents.no_subject:
        subjects += f" known; {contents.no_subject} frames name none"
    return [
        ("version", version.dataset_id),
        ("made on", f"{version.created_at:%Y-%m-%d}"),
        ("follows", version.parent or "no earlier version"),
        (
            "labels",
            {"truth": "reference standard", "corrected": "corrected by readers"}.get(version.which, "predicted"),
        ),
        ("frames", contents.images),
        ("findings", version.annotations),
        ("subjects", subjects),
        ("simulated frames", contents.simulated),
        ("frames with pixel spacing", contents.with_spacing),
        ("frames with a written interpretation", contents.interpreted),
        ("content", f"`{version.content_hash}`"),
        ("taxonomy", f"`{version.taxonomy_hash}`"),
    ]


def _effort(contents: Contents) -> str:
    changed = ", ".join(f"{contents.changes[change.value]} {change.value}" for change in Change)
    lines = [f"{contents.corrected} frames began from a prediction. Regions: {changed}."]
    if contents.lead_times_s:
        hours = sum(contents.lead_times_s) / 3600
        middle = median(contents.lead_times_s)
        count = len(contents.lead_times_s)
        lines.append(f"Time in the editor: {hours:.1f} hours over {count} frames, median {middle:.0f} s a frame.")
    return " ".join(lines)


def _long_name(plane: str) -> str:
    return taxonomy.view(plane).long_name if taxonomy.is_view(plane) else ""


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(_cell(value) for value in line) + " |" for line in lines)


def _cell(value: object) -> str:
    """A value that cannot break the table."""
    return " ".join(str(value).split()).replace("|", "\\|")
