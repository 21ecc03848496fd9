"""The steps of a training, from the first or from a checkpoint to the last.

Which conversations a step learns from follows from (seed, epoch) alone, the rate from the step; all else that is
random is kept in the checkpoint. So a run that was killed and went on ends, on a CPU, with the very same weights.
"""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from annotator.errors import BackendError
from backends.training.lora.batches import Batch, Encoder, collate
from backends.training.lora.checkpoints import Checkpoint
from backends.training.lora.conversations import Conversation
from backends.training.lora.distill import Distillation
from backends.training.lora.request import LoraRequest
from backends.training.lora.student import Student
from backends.vlm.devices import is_out_of_memory

logger = logging.getLogger(__name__)
Progress = Callable[[int, int, str], bool]
Row = dict[str, float | int | None]
NO_MEMORY = (
    "out of memory even with one conversation at a time; use gradient checkpointing, a smaller image_max_side_px "
    "or max_tokens, a smaller model, or another device"
)


@dataclass
class Fitting:
    """A training under way. `at_once` conversations are on the device together; fewer where memory runs out."""

    student: Student
    encoder: Encoder
    conversations: Sequence[Conversation]
    request: LoraRequest
    distillation: Distillation | None
    step: int = 0
    curve: list[Row] = field(default_factory=list)
    at_once: int = 0

    def __post_init__(self) -> None:
        self.at_once = self.at_once or self.request.batch
        self.weights = dict(self.student.trained())
        if self.distillation is not None:
            named = self.distillation.projectors.named_parameters()
            self.weights |= {f"projectors.{name}": weight for name, weight in named}
        self.optimiser = torch.optim.AdamW(
            self.weights.values(), lr=self.request.learning_rate, weight_decay=self.request.weight_decay
        )
        self._is_feature_gradient_seen = self.distillation is None

    @property
    def per_step(self) -> int:
        """Conversations that one step learns from; the last step of an epoch may have fewer."""
        return self.request.batch * self.request.accumulation

    @property
    def total(self) -> int:
        """Steps of the whole training."""
        return self.request.steps or self.request.epochs * self._per_epoch

    @property
    def _per_epoch(self) -> int:
        return math.ceil(len(self.conversations) / self.per_step)

    def state(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Return what a checkpoint holds besides the weights."""
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        return {
            "settings": settings,
            "step": self.step,
            "curve": self.curve,
            "at_once": self.at_once,
            "optimiser": self.optimiser.state_dict(),
            "random": {"cpu": torch.get_rng_state(), "cuda": cuda},
        }

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of the same settings."""
        with torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(checkpoint.weights[name])
        state = checkpoint.state
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.curve, self.at_once = state["step"], list(state["curve"]), state["at_once"]
        torch.set_rng_state(state["random"]["cpu"])
        if torch.cuda.is_available() and len(state["random"]["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(state["random"]["cuda"])

    def advance(self) -> Row:
        """Take one step; BackendError where the loss is no number or even one conversation is too large."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.request.learning_rate * rate_at(self.step, self.total, self.request.warmup)
        row = self._gradients(self._chosen())
        norm = float(nn.utils.clip_grad_norm_(self.weights.values(), self.request.clip_norm))
        if not math.isfinite(norm):
            raise BackendError(
                f"the loss is no number at step {self.step + 1}; lower the rate, or use precision fp32"
            )
        row["gradient_norm"] = norm
        self._update()
        self.step += 1
        self.curve.append(row)
        return row

    def _update(self) -> None:
        try:
            self.optimiser.step()
        except (RuntimeError, MemoryError) as error:  # it may have changed a part: nothing to be tried again
            if is_out_of_memory(error):
                raise BackendError(NO_MEMORY) from None
            raise

    def _chosen(self) -> list[Conversation]:
        epoch, place = divmod(self.step, self._per_epoch)
        order = np.random.default_rng([self.request.seed, epoch]).permutation(len(self.conversations))
        chosen = order[place * self.per_step : (place + 1) * self.per_step]
        return [self.conversations[number] for number in chosen]

    def _gradients(self, chosen: Sequence[Conversation]) -> Row:
        """Fill the gradients of one step; where memory runs out, again from its start with half as many at once."""
        random = torch.get_rng_state()
        while True:
            self.optimiser.zero_grad(set_to_none=True)
            try:
                return self._accumulate(chosen)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            if self.at_once == 1:
                raise BackendError(NO_MEMORY)
            self.at_once //= 2
            logger.warning("out of memory; from now on %d conversations at a time, as many a step", self.at_once)
            torch.set_rng_state(random)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _accumulate(self, chosen: Sequence[Conversation]) -> Row:
        tasks: list[float] = []
        features: list[float] = []
        for start in range(0, len(chosen), self.at_once):
            rows = [self.encoder.encode(one) for one in chosen[start : start + self.at_once]]
            task, feature = self.losses(collate(rows, self.student.pad_token))
            loss = task.sum() if feature is None else task.sum() + self.request.distill_weight * feature.sum()
            (loss / len(chosen)).backward()  # type: ignore[no-untyped-call]
            tasks += task.detach().tolist()
            features += [] if feature is None else feature.detach().tolist()
        return {
            "step": self.step + 1,
            "epoch": self.step // self._per_epoch + 1,
            "learning_rate": self.optimiser.param_groups[0]["lr"],
            "task": float(np.mean(tasks)),
            "feature": float(np.mean(features)) if features else None,
            "conversations": len(tasks),
            "distilled": len(features),
        }

    def losses(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Return the task loss of each conversation, and the feature loss of those that distil, if any does."""
        rows = self.distillation.rows(batch) if self.distillation else []
        if self.distillation is None or not rows:
            with self.student.autocast():
                return self.student.answer_losses(batch), None
        with self.distillation.listening() as outputs, self.student.autocast():
            task = self.student.answer_losses(batch)
        feature = self.distillation.loss(outputs, batch, rows)
        if not self._is_feature_gradient_seen:
            self._check_gradient(feature)
        return task, feature

    def _check_gradient(self, feature: Tensor) -> None:
        """Make sure, once, that the feature loss reaches the adapter's vision layers: where hooked tensors carry
        no gradient, as under reentrant checkpointing, training would go on and silently not distil."""
        if not is_reached(feature, self.student.vision_weights()):
            raise BackendError(
                "the feature loss reaches no LoRA layer of the vision tower; its layers are not trained"
            )
        self._is_feature_gradient_seen = True


def is_reached(loss: Tensor, weights: Sequence[Tensor]) -> bool:
    """Tell whether any weight has a gradient other than zero from a loss."""
    if not weights or not loss.requires_grad:
        return False
    gradients: Iterator[Tensor | None] = iter(
        torch.autograd.grad(loss.sum(), weights, retain_graph=True, allow_unused=True)
    )
    return any(one is not None and bool(one.any()) for one in gradients)


def rate_at(step: int, total: int, warmup: float) -> float:
    """Return the share of the full rate at a step: up in a straight line, then down along a cosine towards 0.

    >>> [round(rate_at(step, 10, 0.2), 2) for step in (0, 1, 2, 6, 9)]
    [0.5, 1.0, 1.0, 0.5, 0.04]
    """
    warm = math.ceil(warmup * total)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(total - warm, 1)))
