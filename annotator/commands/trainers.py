"""What a queued training calls, one function a backend: from a data set and a parent to a folder of weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annotator.errors import InputError, JobError
from annotator.learning import TrainableBackend, TrainingRun

if TYPE_CHECKING:
    pass

CONVERSATIONS_HASH = "conversations_sha256"


@dataclass(frozen=True)
class Made:
    """What a trainer left in its folder: the hash over it, the base model, and what the weights started from."""

    base: str
    content_hash: str
    parent: str | None


# Hears of (step, total, message); True where the training is to go on, an error where it is to stop.
Progress = Callable[[int, int, str], bool]
Trainer = Callable[[TrainingRun, Path, int, Progress], Made]


def check_trainer_settings(backend: TrainableBackend, given: Mapping[str, Any]) -> None:
    """Refuse settings that the trainer does not know, before anything is queued."""
    if not given:
        return  # nothing to look at, so that no network library is loaded
    if backend == "embedded":
        from backends.training.finetune import fine_tune_settings

        fine_tune_settings(given)
        return
    from backends.training.lora.request import LoraRequest

    try:
        LoraRequest(**{"model": "", **given, "data": Path(), "out": Path()})
    except (TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"a setting of the {backend} trainer cannot be used: {reason}") from None


def conversations_folder(dataset_folder: Path) -> Path:
    """Return where the conversations about a data set lie: beside it, so that its hash stays."""
    return dataset_folder.with_name(f"{dataset_folder.name}.conversations")


def train_embedded(run: TrainingRun, out: Path, threads: int, progress: Progress) -> Made:
    """Fine-tune the small networks."""
    from backends.embedded import SHIPPED_WEIGHTS
    from backends.embedded.model import content_hash
    from backends.training.finetune import fine_tune_embedded, fine_tune_settings

    spec = run.spec
    fine_tune_embedded(
        spec.dataset_folder,
        spec.parent_folder or SHIPPED_WEIGHTS,
        out,
        settings=fine_tune_settings(spec.settings),
        seed=spec.seed,
        threads=threads,
        on_progress=progress,
    )
    return Made("fine-tuned", content_hash(out), spec.parent or f"embedded-{content_hash(SHIPPED_WEIGHTS)[:8]}")


def train_fada(run: TrainingRun, out: Path, threads: int, progress: Progress) -> Made:
    """Train an adapter on conversations, from the adapter that serves."""
    from backends.opening import FADA_ADAPTER, FADA_BASE
    from backends.training.lora.request import LoraRequest
    from backends.training.lora.training import train_lora
    from backends.vlm.loading import content_hash
    from exports.conversations import FILE_NAME
    from exports.manifest import hash_file

    settings = dict(run.spec.settings)
    data = conversations_folder(run.spec.dataset_folder)
    if hash_file(data / FILE_NAME) != settings.pop(CONVERSATIONS_HASH, None):
        raise JobError(f"the conversations in {data} do not hold any more; train again")
    start: dict[str, Any] = {"model": settings.pop("model", FADA_BASE)}
    if run.spec.parent_folder is not None:
        start["adapter"] = run.spec.parent_folder
    elif start["model"] == FADA_BASE:
        start["adapter"] = FADA_ADAPTER
    request = LoraRequest(**(start | settings), data=data, out=out, seed=run.spec.seed)
    train_lora(request, on_progress=progress)
    adapter = run.spec.parent or start.get("adapter")
    return Made(str(start["model"]), content_hash(out), str(adapter) if adapter else None)


TRAINERS: Mapping[str, Trainer] = {"embedded": train_embedded, "fada": train_fada}
