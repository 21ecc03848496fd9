"""Training of the two baseline captioners on exported conversations. A killed training goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from numpy.random import Generator
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from annotator.errors import InputError
from backends.baselines.files import CaptionerCard, image_tensor, marks_of, save_captioner
from backends.baselines.networks import IGNORED, Captioner, build
from backends.baselines.settings import KINDS, CaptionerSettings, Kind
from backends.baselines.tokens import learn_tokens, task_token
from backends.training.captioning_data import Example, read_examples
from backends.training.loop import Batch, Row, Schedule, fit

CHECKPOINT = "checkpoint.pt"
OnProgress = Callable[[float], object]


def train_captioner(
    kind: Kind,
    data: Path,
    out: Path,
    settings: CaptionerSettings | None = None,
    on_progress: OnProgress = lambda loss: None,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Train a baseline on the folder `data` of `conversations.jsonl` and images; the model is written to `out`.

    `on_progress` is told the mean loss of each epoch. Returns what was learnt from and the losses. InputError
    where `data` holds nothing to learn from, or `kind` is none of the baselines.
    """
    if kind not in KINDS:
        raise InputError(f"no baseline {kind!r}; there is: {', '.join(KINDS)}")
    settings = settings or CaptionerSettings()
    examples = read_examples(data)
    tasks = tuple(dict.fromkeys(example.task for example in examples))
    tokens = learn_tokens([example.answer for example in examples], tasks, settings.vocabulary)
    out.mkdir(parents=True, exist_ok=True)
    task = _Captioning(kind, settings, examples, tokens, on_progress)
    checkpoint = out / CHECKPOINT
    network, rows = fit(task, _schedule(settings), seed, checkpoint)
    card = CaptionerCard(kind=kind, tasks=tasks, settings=settings, trained=_facts(examples, rows, task, seed))
    save_captioner(out, card, network, tokens)
    checkpoint.unlink()
    return {"kind": kind, "tasks": list(tasks), **card.trained, "losses": [row["loss"] for row in rows]}


def _schedule(settings: CaptionerSettings) -> Schedule:
    return Schedule(
        settings.epochs, settings.batch, settings.learning_rate, settings.weight_decay, ema=0.99, measure_every=1
    )


def _facts(examples: Sequence[Example], rows: Sequence[Row], task: _Captioning, seed: int) -> dict[str, Any]:
    return {
        "examples": len(examples),
        "images": len({example.image for example in examples}),
        "cut_answers": task.cut,
        "parameters": task.parameters,
        "seed": seed,
        "last_loss": float(rows[-1]["loss"]),
    }


@dataclass(frozen=True)
class _Content:
    """What a checkpoint must agree in to be gone on with."""

    kind: str
    shape: str
    examples: int
    tokens: int


class _Captioning:
    """The training loop's task: answers after their task's token, about shuffled images."""

    def __init__(
        self,
        kind: Kind,
        settings: CaptionerSettings,
        examples: Sequence[Example],
        tokens: PreTrainedTokenizerFast,
        on_progress: OnProgress,
    ) -> None:
        self.name: str = kind
        self.steps = -(-len(examples) // settings.batch)
        self.cut = self.parameters = 0
        self._kind, self._shape, self._examples, self._marks = kind, settings, examples, marks_of(tokens)
        self._rows = [self._numbered(example, tokens) for example in examples]
        self.settings = _Content(kind, settings.model_dump_json(), len(examples), len(tokens))
        self._on_progress = on_progress
        self._losses: list[float] = []

    def _numbered(self, example: Example, tokens: PreTrainedTokenizerFast) -> list[int]:
        start = int(tokens.convert_tokens_to_ids(task_token(example.task)))
        words = tokens.encode(example.answer, add_special_tokens=False)
        most = self._shape.longest_tokens
        self.cut += len(words) + 1 > most
        return [start, *([*words, self._marks.end][:most])]

    def build(self) -> nn.Module:
        network = build(self._kind, self._shape, self._marks)
        self.parameters = sum(weight.numel() for weight in network.parameters())
        return network

    def batches(self, rng: Generator) -> Iterator[Batch]:
        order = rng.permutation(len(self._examples))
        for first in range(0, len(order), self._shape.batch):
            chosen = order[first : first + self._shape.batch]
            side_px = self._shape.image_side_px
            images = torch.stack([image_tensor(self._examples[i].pixels(), side_px) for i in chosen])
            yield images, *_padded([self._rows[i] for i in chosen], self._marks.pad)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        images, tokens, targets = batch
        loss = cast("Captioner", network).loss(images, tokens, targets)
        self._losses.append(float(loss.detach()))
        return loss

    def measure(self, network: nn.Module) -> dict[str, float]:
        recent = self._losses[-self.steps :]
        self._on_progress(sum(recent) / len(recent))
        return {}


def _padded(rows: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    """Inputs (N, T), and targets one further, `IGNORED` where nothing is to be learnt."""
    longest = max(map(len, rows)) - 1
    tokens = torch.full((len(rows), longest), pad)
    targets = torch.full((len(rows), longest), IGNORED)
    for place, row in enumerate(rows):
        tokens[place, : len(row) - 1] = torch.tensor(row[:-1])
        targets[place, : len(row) - 1] = torch.tensor(row[1:])
    return tokens, targets
