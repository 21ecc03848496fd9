"""`annotator export dataset`: a version of the data, with splits, a card and hashes; and what changed since."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from annotator.cli import Result
from annotator.commands.exporting import in_splits, planned_splits
from annotator.commands.workspace import opened, progress, say
from annotator.datasets import DatasetVersion, taxonomy_hash
from annotator.errors import InputError
from annotator.files import write_atomically
from annotator.store import Store
from annotator.store.datasets import add_dataset_version, dataset_versions

if TYPE_CHECKING:
    from exports.card import Contents
    from exports.entries import Entry
    from exports.splits import Splits


def export_dataset(
    workspace: Path, out: Path, which: str, name: str | None, licences: Sequence[str], masks: str
) -> Result:
    """Write a version of the data set and note it in the store."""
    named, name = _licences(licences), name or out.resolve().name
    with opened(workspace) as store:
        splits = planned_splits(store, which)
        version = write_dataset(store, out, which, name, splits, named, masks)
        is_new = add_dataset_version(store, version)
    document = {
        "out": str(out),
        "dataset": version.dataset_id,
        "new": is_new,
        "images": version.images,
        "annotations": version.annotations,
        "splits": version.splits,
        "notes": splits.notes,
    }
    counted = ", ".join(f"{count} {split}" for split, count in version.splits.items())
    lines = [
        f"{version.dataset_id}: {version.images} images ({counted}), {version.annotations} annotations in {out}"
    ]
    return Result(document, "\n".join([*lines, *(f"  {note}" for note in splits.notes)]))


def write_dataset(
    store: Store,
    out: Path,
    which: str,
    name: str,
    splits: "Splits",
    licences: Mapping[str, str],
    masks: str = "polygons",
) -> DatasetVersion:
    """Write the files of a version, its record the last of them; the caller notes it in the store."""
    from exports.card import Contents
    from exports.manifest import CARD, hash_file, write_version

    contents = Contents()
    _write_files(store, out, which, splits, contents, masks)
    version = _version(store, out, which, name, contents, splits, licences)
    card = _card(store, version, contents, splits)
    write_atomically(out / CARD, card.encode())
    version = version.model_copy(update={"card_hash": hash_file(out / CARD)})
    write_version(out, version.model_copy(update={"folder": ""}))  # the names of folders stay at home
    return version


def _licences(given: Sequence[str]) -> dict[str, str]:
    pairs = [item.partition("=") for item in given]
    wrong = next((item for item, (_, sign, _) in zip(given, pairs, strict=True) if not sign), None)
    if wrong is not None:
        raise InputError(f"--licence {wrong!r} must be SOURCE=LICENCE, such as 'hc18=CC BY 4.0'")
    return {source.strip(): licence.strip() for source, _, licence in pairs}


def _write_files(store: Store, out: Path, which: str, splits: "Splits", contents: "Contents", masks: str) -> None:
    """All of it as one COCO file beside the images, each split as one more, and which image is in which."""
    from exports.coco import export_coco, write_annotations
    from exports.coco_records import MaskForm
    from exports.manifest import write_image_hashes

    def counted(entries: "Iterator[Entry]") -> "Iterator[Entry]":
        for entry in entries:
            contents.add(entry)
            yield entry

    form = MaskForm(masks)
    with progress(len(splits.of_frame), "exporting") as bar:
        entries = counted(in_splits(store, which, splits))
        export_coco(out, entries, store.image_path, which=which, masks=form, advance=bar.update)
    for old in out.glob("annotations_*.json"):
        old.unlink()
    listed: dict[str, list[str]] = {}
    for frame_id, split in sorted(splits.of_frame.items()):
        listed.setdefault(split, []).append(f"images/{frame_id}.png")
    for split in listed:
        path = out / f"annotations_{split}.json"
        write_annotations(path, in_splits(store, which, splits, split), which=which, masks=form)
    write_atomically(out / "splits.json", orjson.dumps(listed, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))
    say("hashing images")
    write_image_hashes(out, contents.image_names)


def _version(
    store: Store,
    out: Path,
    which: str,
    name: str,
    contents: "Contents",
    splits: "Splits",
    licences: Mapping[str, str],
) -> DatasetVersion:
    """The record of what was written; equal content is the version that the store knows already."""
    from exports.manifest import IMAGE_HASHES, content_hash, hash_files

    names = [path.name for path in out.glob("annotations*.json")]
    files = hash_files(out, [*names, "splits.json", IMAGE_HASHES])
    digest = content_hash(files)
    before = [version for version in dataset_versions(store) if version.name == name]
    known = next((version for version in before if version.content_hash == digest), None)
    if known is not None:
        return known
    return DatasetVersion(
        dataset_id=f"{name}-{digest[:12]}",
        name=name,
        which=which,
        content_hash=digest,
        files=files,
        taxonomy_hash=taxonomy_hash(),
        images=contents.images,
        annotations=contents.structures.total(),
        structures=dict(contents.structures),
        splits=splits.counts(),
        assigned=dict(sorted(splits.assigned.items())),
        readers=tuple(sorted(contents.readers)),
        models=tuple(sorted(contents.models)),
        licences={source: licences.get(source, "") for source in sorted(contents.facts["source"])},
        parent=before[-1].dataset_id if before else None,
        folder=str(out),
    )


def _card(store: Store, version: DatasetVersion, contents: "Contents", splits: "Splits") -> str:
    from exports.card import write_card

    left_out = {"in the workspace, but not labelled so": store.counts()["frames"] - contents.images}
    return write_card(version, contents, left_out, splits.notes)


def diff_versions(workspace: Path, before: str, after: str) -> Result:
    """Say what changed from one version to another; each is a folder, or an id that the store noted."""
    from exports.diff import diff_datasets

    diff = diff_datasets(*(_folder(workspace, named) for named in (before, after)))
    document = {
        "added": diff.added,
        "removed": diff.removed,
        "relabelled": diff.relabelled,
        "moved": diff.moved,
        "structures": diff.structures,
    }
    lines = [
        f"frames: {len(diff.added)} added, {len(diff.removed)} removed, {len(diff.relabelled)} relabelled, "
        f"{len(diff.moved)} in another split"
    ]
    for structure, counted in sorted(diff.structures.items()):
        lines.append(f"  {structure}: " + ", ".join(f"{count} {what}" for what, count in sorted(counted.items())))
    return Result(document, "\n".join(lines))


def _folder(workspace: Path, named: str) -> Path:
    if Path(named).is_dir():
        return Path(named)
    with opened(workspace) as store:
        found = [version for version in dataset_versions(store) if version.dataset_id == named]
    if not found:
        raise InputError(f"{named} is neither a folder nor a data set version of this workspace")
    return Path(found[-1].folder)


def dataset_problems(store: Store, folders: Sequence[Path]) -> tuple[list[str], list[str]]:
    """Check data sets, those given or else all that the store noted: problems, and notes on what is not there."""
    from exports.manifest import VERSION_FILE, changes_of, read_version

    known = {version.dataset_id: version for version in dataset_versions(store)}
    problems, notes = list[str](), list[str]()
    if not folders:
        newest = {version.folder: version for version in known.values()}
        for name, version in newest.items():
            if (Path(name) / VERSION_FILE).is_file():
                problems += changes_of(Path(name), version)
            else:
                notes.append(f"{version.dataset_id} is not in {name} any more: not checked")
    for folder in folders:
        problems += changes_of(folder, known.get(read_version(folder).dataset_id))
    return problems, notes
