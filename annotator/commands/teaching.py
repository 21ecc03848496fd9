"""`annotator teachers`: which there are, and the cache of their features."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from annotator.cli import Result
from annotator.commands.workspace import opened, progress, say
from annotator.errors import FrameError, InputError
from annotator.frames import Pixels, load_frame
from annotator.store import Store

if TYPE_CHECKING:
    from backends.teachers.opening import Teacher

CACHE_FILE = Path("teachers") / "features.h5"


def list_teachers(workspace: Path) -> Result:
    """Tell of each teacher: its share of the loss, blocks, licence, where its file is to be had."""
    from backends.teachers.teacher import TEACHERS

    document = {
        name: {
            "title": one.title,
            "weight": one.weight,
            "blocks": list(one.blocks),
            "dim": one.dim,
            "image_size": one.image_size,
            "file": one.file_name,
            "from": one.source,
            "licence": one.licence,
            "non_commercial": one.non_commercial,
            "preprocessing": one.preprocessing,
            "citation": one.citation,
        }
        for name, one in TEACHERS.items()
    }
    lines = [
        f"{name:13} {one.title:10} weight {one.weight:.2f}, blocks {one.blocks}, {one.dim} wide\n"
        f"{'':13} {one.licence}{'; NON-COMMERCIAL' if one.non_commercial else ''}\n"
        f"{'':13} {one.file_name} from {one.source}"
        for name, one in TEACHERS.items()
    ]
    lines.append(
        "None ships with this tool; `annotator teachers cache --teacher NAME=FILE` makes a cache of those given."
    )
    return Result({"teachers": document}, "\n".join(lines))


def cache_teachers(
    workspace: Path, teachers: Sequence[str], out: Path | None = None, split: str | None = None, device: str = "cpu"
) -> Result:
    """Compute the features of the stored frames by each NAME=FILE; a killed run goes on where it was."""
    from backends.teachers.filling import cache_features, rows_done
    from backends.teachers.opening import open_teacher

    files = _files(teachers)
    path = out or workspace / CACHE_FILE
    with opened(workspace) as store:
        chosen = [open_teacher(name, file, device=device) for name, file in files.items()]
        for teacher in chosen:
            say(_told(teacher))
        done = rows_done(path, chosen)
        missing = [frame.frame_id for frame in store.frames(split) if frame.frame_id not in done]
        skipped: dict[str, str] = {}
        with progress(len(missing), "features of teachers") as bar:
            rows = cache_features(_pixels(store, missing, skipped), chosen, path, on_progress=bar.update)
    document = {
        "cache": str(path),
        "teachers": {one.record.name: {"sha256": one.sha256, "licence": one.record.licence} for one in chosen},
        "computed": rows,
        "there_before": len(done),
        "unreadable": skipped,
    }
    lines = [f"{path}: {rows:,} rows computed, {len(done):,} were there, {len(skipped)} frames could not be read"]
    lines += [f"  {frame_id}: {reason}" for frame_id, reason in list(skipped.items())[:20]]
    return Result(document, "\n".join(lines), exit_code=1 if skipped and not rows and not done else 0)


def _files(teachers: Sequence[str]) -> dict[str, Path]:
    from backends.teachers.opening import record_of

    files: dict[str, Path] = {}
    for given in teachers:
        name, equals, file = given.partition("=")
        if not equals or not file:
            raise InputError(f"--teacher {given}: give it as NAME=FILE, such as usf_mae=USF-MAE.pt")
        if record_of(name).name in files:
            raise InputError(f"--teacher {name} is given twice")
        files[name] = Path(file)
    if not files:
        raise InputError("no teacher given; --teacher NAME=FILE, and `annotator teachers list` names them")
    return files


def _told(teacher: "Teacher") -> str:
    record = teacher.record
    unused = ", ".join(f"{group} ({len(names)})" for group, names in teacher.leftovers.items())
    left_out = f"; not needed of its file: {unused}" if unused else ""
    warning = "; NON-COMMERCIAL, so are the features" if record.non_commercial else ""
    return f"{record.title}: SHA-256 {teacher.sha256[:16]}, {record.licence}{warning}{left_out}"


def _pixels(store: Store, frame_ids: Sequence[str], skipped: dict[str, str]) -> Iterator[tuple[str, Pixels]]:
    for frame_id in frame_ids:
        frame = store.frame(frame_id)
        try:
            if frame is not None:
                yield frame_id, load_frame(frame, store.image_path(frame_id)).pixels
        except FrameError as error:
            skipped[frame_id] = str(error)
