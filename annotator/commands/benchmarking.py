"""`benchmark`: chosen models on the same frames and questions, as one page and one Markdown file."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annotator.cli import Result
from annotator.commands.benchmarking_models import Contestant, contestants
from annotator.commands.benchmarking_runs import Conditions, ModelRun
from annotator.commands.workspace import opened, say
from annotator.errors import InputError
from annotator.files import exclusive_lock
from annotator.frames import load_frame
from annotator.schema import Correction, Frame
from annotator.settings import read_settings
from annotator.store import Store

if TYPE_CHECKING:
    from backends.asking.inquiries import Inquiry
    from exports.benchmark.records import Plan
    from exports.benchmark.scoring import Scene

SENTENCE = "This is a fetal ultrasound image."
FREE_QUESTION = "What anatomical structures can you see in this ultrasound image?"
FREE_TOKENS = 128
KINDS = ("fields", "free", "phases")
VARIANTS = ("plain", "modality")
MOST_PICTURES = 60
"""Frames that the page shows with their answers; the run files hold all."""


def run_benchmark(
    workspace: Path,
    models: Sequence[str],
    *,
    split: str | None = None,
    limit: int | None = None,
    frames: Sequence[str] = (),
    kinds: Sequence[str] = (),
    questions: Sequence[str] = (),
    variants: Sequence[str] = (),
    sentence: str = SENTENCE,
    out: Path | None = None,
    title: str = "Comparison of models",
    redo: bool = False,
    limit_seconds: float = 600.0,
    max_new_tokens: int = FREE_TOKENS,
    **options: Any,
) -> Result:
    """Ask every model, then write `benchmark.html`, `benchmark.md` and `benchmark.json` to `out`.

    `models` as in `contestants`; `kinds` are fields, free and phases. The same command again goes on where it was
    stopped. `options` are those of a BackendChoice that hold for all models (profile, device, precision, ...).
    """
    chosen = contestants(models, options)
    settings = read_settings()
    with opened(workspace, settings) as store:
        selected = choose_frames(store, split, limit, frames)
        plan = _plan(selected, _inquiries(kinds, questions, max_new_tokens), sentence, options.get("profile"))
        folder = out or workspace / "exports" / f"benchmark-{_name_of(plan)}"
        conditions = Conditions(
            plan=plan,
            folder=folder,
            variants=_in_order(variants),
            threads=settings.threads,
            limit_s=limit_seconds,
            load=_loader(store, selected),
        )
        with exclusive_lock(folder / ".lock", "a benchmark of this folder"):
            _ask(chosen, conditions, redo)
            return _report(store, plan, folder, [one.label for one in chosen], selected, title)


def _ask(chosen: Sequence[Contestant], conditions: Conditions, redo: bool) -> None:
    from exports.benchmark.runs import PLAN, RUNS, settle_plan

    if redo:
        (conditions.folder / PLAN).unlink(missing_ok=True)
        for path in (conditions.folder / RUNS).glob("*.jsonl"):
            path.unlink()
    settle_plan(conditions.folder, conditions.plan)
    for one in chosen:
        ModelRun(one, conditions).go()


def choose_frames(store: Store, split: str | None, limit: int | None, wanted: Sequence[str]) -> list[Frame]:
    """Return frames by id or file name, or those of a split; `limit` of them, spread evenly over the workspace.

    Without `split` and `wanted` frames of the training split are left out, unless there are no others. InputError
    where there is none.
    """
    known = list(store.frames(split))
    if wanted:
        return [_named(known, name) for name in dict.fromkeys(wanted)]
    if split is None and (held_out := [frame for frame in known if frame.split != "train"]):
        if len(held_out) < len(known):
            say(f"{len(known) - len(held_out)} frames of the split train are left out; --split train takes them")
        known = held_out
    if not known:
        named = f" of split {split}" if split else ""
        raise InputError(f"the workspace {store.workspace} has no frame{named}; `annotator import` brings them")
    if limit is not None and limit < len(known):
        known = [known[place * len(known) // limit] for place in range(limit)]
    return known


def _named(known: Sequence[Frame], name: str) -> Frame:
    found = [frame for frame in known if name in (frame.frame_id, frame.source_file)]
    if len(found) != 1:
        how_many = f"{len(found)} frames have that name; give the id" if found else "no such frame in the workspace"
        raise InputError(f"--frames {name}: {how_many}")
    return found[0]


def _plan(frames: Sequence[Frame], inquiries: "Sequence[Inquiry]", sentence: str, profile: Path | None) -> "Plan":
    from backends.asking.inquiries import named_modality, words_of
    from backends.prompts import load_profile
    from exports.benchmark.records import Asked, Plan

    if "{" in sentence or not sentence.strip():
        raise InputError("--modality takes a sentence such as 'This is a fetal ultrasound image.', without braces")
    words = load_profile(profile)
    named_modality(words, sentence)
    asked = [
        Asked(
            name=one.name,
            kind=one.kind,
            prompt=words_of(words, one),
            max_new_tokens=one.max_new_tokens if one.kind == "free" else None,
        )
        for one in inquiries
    ]
    return Plan(
        frames=tuple(frame.frame_id for frame in frames),
        questions=tuple(asked),
        sentence=sentence.strip(),
        profile_sha256=words.content_hash,
    )


def _inquiries(kinds: Sequence[str], questions: Sequence[str], max_new_tokens: int) -> "list[Inquiry]":
    """What is asked; a question of one's own asks freely."""
    from backends.asking.inquiries import Inquiry

    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise InputError(f"--questions {unknown[0]}: there is {', '.join(KINDS)}")
    wanted = set(kinds or (("free",) if questions else ("fields",))) | ({"free"} if questions else set())
    found = [Inquiry("eight fields", "fields")] if "fields" in wanted else []
    if "free" in wanted:
        texts = list(dict.fromkeys(text.strip() for text in questions if text.strip())) or [FREE_QUESTION]
        found += [
            Inquiry(f"question {number}", "free", text, max_new_tokens) for number, text in enumerate(texts, 1)
        ]
    return found + ([Inquiry("all phases", "phases")] if "phases" in wanted else [])


def _in_order(variants: Sequence[str]) -> tuple[str, ...]:
    """The wordings, plain first: it is what others are compared with."""
    unknown = [one for one in variants if one not in VARIANTS]
    if unknown:
        raise InputError(f"--prompt-variant {unknown[0]}: there is {', '.join(VARIANTS)}")
    return tuple(one for one in VARIANTS if one == "plain" or one in variants)


def _name_of(plan: "Plan") -> str:
    return hashlib.sha256(plan.model_dump_json().encode()).hexdigest()[:8]


def _loader(store: Store, frames: Sequence[Frame]) -> Any:
    known = {frame.frame_id: frame for frame in frames}
    return lambda frame_id: load_frame(known[frame_id], store.image_path(frame_id))


def _report(
    store: Store, plan: "Plan", folder: Path, labels: Sequence[str], frames: Sequence[Frame], title: str
) -> Result:
    from exports.benchmark.runs import read_runs
    from exports.benchmark.writing import in_words, write_report

    say("writing the report")
    runs = read_runs(folder, labels)
    report = write_report(folder, plan, runs, _scenes(store, frames), title=title)
    answered = any(run.answers for run in runs if run.label in labels)
    return Result(report.as_dict(), in_words(report), exit_code=0 if answered else 1)


def _scenes(store: Store, frames: Sequence[Frame]) -> "list[Scene]":
    """The frames with their reference, a standard before a correction, and small pictures of the first."""
    from exports.benchmark.pictures import thumbnail
    from exports.benchmark.scoring import Scene

    wanted = {frame.frame_id for frame in frames}
    truths: dict[str, Correction] = {}
    for is_truth in (False, True):
        said = (one for one in store.newest_corrections(is_truth=is_truth) if not one.skipped)
        truths |= {one.frame_id: one for one in said if one.frame_id in wanted}
    scenes = []
    for place, frame in enumerate(frames):
        loaded = load_frame(frame, store.image_path(frame.frame_id)) if place < MOST_PICTURES else None
        picture = thumbnail(loaded.pixels) if loaded else ""
        scenes.append(Scene(frame, truths.get(frame.frame_id), picture))
    return scenes
