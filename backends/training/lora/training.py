"""`train fada`: from a folder of conversations to an adapter that LocalEngine and peft load."""

import platform
from collections import Counter
from collections.abc import Sequence
from typing import Any

import peft
import torch
import transformers

from annotator.errors import BackendError, InputError
from backends.teachers.cache import TeacherCache
from backends.training.lora import checkpoints
from backends.training.lora.batches import Encoder
from backends.training.lora.conversations import Conversation, Conversations, read_conversations
from backends.training.lora.distill import Distillation, distils, open_cache
from backends.training.lora.fitting import Fitting, Progress, Row
from backends.training.lora.request import LoraRequest
from backends.training.lora.results import read_finished, write_results
from backends.training.lora.student import Student, load_student
from backends.training.lora.targets import vision_blocks, vision_width
from backends.vlm import loading

FORMAT = 1
# Where things lie and how they are computed may differ between a run and the one that goes on with it.
NOT_SETTINGS = {"data", "out", "model", "adapter", "teacher_cache", "device", "checkpoint_every"}


def train_lora(
    request: LoraRequest, *, on_progress: Progress = lambda step, total, message: True
) -> dict[str, Any]:
    """Train an adapter into `request.out`, or go on where a run with the same settings was stopped.

    `on_progress(step, total, message)` is called after every step; where it returns False, a checkpoint is kept and
    {"cancelled": True, ...} is returned; where it raises, a checkpoint is kept too. Otherwise returns what
    training.json holds, with "cancelled" False. `out` is an adapter only when all is done; of a finished one the
    same is returned again. InputError for data, BackendError for models, adapters and caches that cannot be used,
    JobError where `out` is being trained into, each in one line.
    """
    data = read_conversations(request.data)
    cache = _cache(request, data)
    source = loading.find(request.model)
    adapter = loading.find(str(request.adapter), adapter=True) if request.adapter else None
    settings = _settings(request, data, source, adapter, cache)
    finished = read_finished(request.out, settings)
    if finished is not None:
        return {"cancelled": False} | finished
    student = load_student(request, source, adapter)
    encoder = Encoder(student.processor, student.base, request.image_max_side_px)
    learnt, too_long = _that_fit(encoder, data.learnt, request.max_tokens)
    fitting = Fitting(student, encoder, learnt, request, _distillation(request, student, cache))
    with checkpoints.sole_writer(request.out):
        checkpoint = checkpoints.load_checkpoint(request.out, settings)
        if checkpoint is not None:
            fitting.resume(checkpoint)
        if not _run(fitting, settings, on_progress):
            return {"cancelled": True, "step": fitting.step, "total": fitting.total, "out": str(request.out)}
        described = write_results(student, request.out, _described(request, data, fitting, too_long, settings))
        checkpoints.remove_checkpoints(request.out)
    return {"cancelled": False} | described


def _run(fitting: Fitting, settings: dict[str, Any], on_progress: Progress) -> bool:
    """Take the steps that are left; False where it was cancelled. The last step has a checkpoint too."""

    def keep() -> None:
        checkpoints.save_checkpoint(fitting.request.out, fitting.step, fitting.weights, fitting.state(settings))

    while fitting.step < fitting.total:
        row = fitting.advance()
        try:
            goes_on = on_progress(fitting.step, fitting.total, _message(row))
        except BaseException:  # the caller's own way to stop
            keep()
            raise
        is_last = fitting.step == fitting.total
        if is_last or not goes_on or fitting.step % fitting.request.checkpoint_every == 0:
            keep()
        if not goes_on and not is_last:
            return False
    return True


def _message(row: Row) -> str:
    feature = "" if row["feature"] is None else f", feature {row['feature']:.4f}"
    return f"epoch {row['epoch']}: task {row['task']:.4f}{feature}"


def _settings(
    request: LoraRequest,
    data: Conversations,
    source: loading.Source,
    adapter: loading.Source | None,
    cache: TeacherCache | None,
) -> dict[str, Any]:
    """All that decides what comes out; a run is only continued under equal ones."""
    return request.model_dump(mode="json", exclude=NOT_SETTINGS) | {
        "data_sha256": data.sha256,
        "base_sha256": source.sha256,
        "adapter_sha256": adapter.sha256 if adapter else None,
        "teachers": cache.provenance if cache else None,
    }


def _that_fit(
    encoder: Encoder, conversations: Sequence[Conversation], max_tokens: int
) -> tuple[list[Conversation], int]:
    """Leave out what is longer than `max_tokens`: an answer that is cut teaches to stop in the middle."""
    kept = [one for one in conversations if encoder.length(one) <= max_tokens]
    if not kept:
        raise InputError(
            f"all {len(conversations)} conversations are longer than {max_tokens} tokens; raise max_tokens, or "
            "lower image_max_side_px"
        )
    return kept, len(conversations) - len(kept)


def _cache(request: LoraRequest, data: Conversations) -> TeacherCache | None:
    """The teachers' features, where they are asked for; an error where they could have no effect."""
    if request.distill == "none":
        return None
    if request.teacher_cache is None:
        raise InputError(
            f"distill {request.distill} needs the teachers' features; `annotator teachers cache` makes them"
        )
    cache = open_cache(request.teacher_cache)
    asked = [one for one in data.learnt if distils(one.task, request.distill)]
    if not asked:
        raise InputError("no conversation is of a task that distils (detect, segment, classify); use distill none")
    if not any(one.image_id in cache for one in asked):
        raise BackendError(f"{request.teacher_cache} holds none of these images; make it anew from the same frames")
    return cache


def _distillation(request: LoraRequest, student: Student, cache: TeacherCache | None) -> Distillation | None:
    if cache is None:
        return None
    if not student.vision_weights():
        what = f"adapter {request.adapter}" if request.adapter else f"preset {request.preset}"
        raise InputError(
            f"{what} trains no layer of the vision tower, so features would teach it nothing; use preset fada or "
            "extended, or distill none"
        )
    blocks, width = vision_blocks(student.base), vision_width(student.base)
    distillation = Distillation(blocks, width, cache, request.distill, request.seed)
    distillation.projectors.to(student.placement.device)
    return distillation


def _described(
    request: LoraRequest, data: Conversations, fitting: Fitting, too_long: int, settings: dict[str, Any]
) -> dict[str, Any]:
    student, distillation = fitting.student, fitting.distillation
    left_out = Counter(data.left_out) + Counter({f"longer than {request.max_tokens} tokens": too_long})
    return {
        "format": FORMAT,
        "preset": None if student.adapter else request.preset,
        "base": {"name": request.model, "sha256": student.source.sha256},
        "parent": {"name": student.adapter.name, "sha256": student.adapter.sha256} if student.adapter else None,
        "data": {
            "sha256": data.sha256,
            "conversations": _by_task(fitting.conversations),
            "images": len({one.image_id for one in fitting.conversations}),
            "left_out": dict(left_out),
        },
        "settings": settings,
        "lora": student.lora,
        "steps": fitting.step,
        "conversations_at_once": fitting.at_once,
        "distillation": distillation and _told(distillation, request, fitting.conversations),
        "warnings": _warnings(fitting.conversations),
        "curve": fitting.curve,
        "environment": _environment(student),
    }


def _by_task(conversations: Sequence[Conversation]) -> dict[str, int]:
    counts = Counter(one.task.value for one in conversations)
    return dict(sorted(counts.items()))


def _told(distillation: Distillation, request: LoraRequest, learnt: Sequence[Conversation]) -> dict[str, Any]:
    asked = [one for one in learnt if distils(one.task, request.distill)]
    cached = sum(one.image_id in distillation.cache for one in asked)
    return {
        "mode": request.distill,
        "weight": request.distill_weight,
        "teacher_weights": distillation.shares,
        "student_blocks": {f"{name}_layer{block}": place for (name, block), place in distillation.blocks.items()},
        "conversations": cached,
        "conversations_without_features": len(asked) - cached,
        "teachers": distillation.cache.provenance,
    }


def _warnings(learnt: Sequence[Conversation]) -> list[str]:
    tasks = {one.task.value for one in learnt}
    if len(tasks) == 1:
        return [f"All conversations are of one task, {tasks.pop()}: the model may unlearn the others."]
    return []


def _environment(student: Student) -> dict[str, Any]:
    return {
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "peft": peft.__version__,
        "python": platform.python_version(),
        "device": str(student.placement.device),
        "precision": str(student.placement.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
    }
