"""Features of the teachers beside the student's own: the feature loss, and what exactly it touches.

    feature = sum over teachers of weight x mean over its blocks of (1 - cosine(projector(student), teacher))
    total   = task + distill_weight x [this conversation distils] x feature

The scale: 1 - cosine costs about 1 for vectors that have nothing to do with each other, whatever their width, 0 for
equal directions, 2 for opposite ones; the weights of the teachers at hand sum to 1, so `feature` starts near 1.
(The mean square of normalised vectors, as published, is near 2 / width: 0.002 at 1024, in effect nothing.)

The student's features are the outputs of a few vision blocks, averaged over an image's patches. A mean does not
care in which order patches lie, so the order in which Qwen lays them out for its 2 x 2 merge need not be undone.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from annotator.errors import BackendError
from backends.engine import Phase
from backends.teachers.cache import Asked, TeacherCache
from backends.teachers.teacher import TEACHERS
from backends.training.lora.batches import Batch
from backends.training.lora.request import Distill

Pair = tuple[str, int]
Features = Mapping[Pair, Tensor]
SELECTIVE = frozenset({Phase.DETECT, Phase.SEGMENT, Phase.CLASSIFY})


def distils(task: Phase, mode: Distill) -> bool:
    """Tell whether conversations of a task are trained on features too; FADA spares interpretations.

    >>> [distils(task, "selective") for task in (Phase.INTERPRET, Phase.DETECT, Phase.KEYPOINTS)]
    [False, True, False]
    """
    return mode == "full" or (mode == "selective" and task in SELECTIVE)


def student_block(depth: int, place: int, count: int) -> int:
    """Return which of `depth` vision blocks answers to the teacher's block number `place` of `count`.

    >>> [student_block(24, place, 3) for place in range(3)], [student_block(12, place, 3) for place in range(3)]
    ([7, 15, 23], [3, 7, 11])
    """
    return max(round((place + 1) * depth / count) - 1, 0)


def feature_loss(projected: Features, taught: Features, weights: Mapping[str, float]) -> Tensor:
    """Return each image's feature loss, (N,) in 0..2; about 1 for unrelated vectors, whatever their width.

    Both hold (N, width) vectors by teacher and block; `weights` by teacher are brought to a sum of 1.
    """
    blocks = {teacher: [pair for pair in taught if pair[0] == teacher] for teacher in weights}
    total = sum(weights.values())
    terms = [
        weights[teacher] / total / len(pairs) * (1 - cosine_similarity(projected[pair], taught[pair], dim=1))
        for teacher, pairs in blocks.items()
        for pair in pairs
    ]
    return torch.stack(terms).sum(dim=0)


class Taps:
    """Takes the outputs of some vision blocks in a forward pass; those of a recomputation are not taken."""

    def __init__(self, blocks: Sequence[nn.Module], taken: Sequence[int]) -> None:
        self._outputs: dict[int, Tensor] | None = None
        for number in sorted(set(taken)):
            blocks[number].register_forward_hook(self._hook(number))

    def _hook(self, number: int) -> Any:
        def take(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if self._outputs is not None:
                self._outputs[number] = output[0] if isinstance(output, tuple) else output

        return take

    @contextmanager
    def listening(self) -> Iterator[dict[int, Tensor]]:
        """Within it, outputs by block are put into the given dict."""
        outputs: dict[int, Tensor] = {}
        self._outputs = outputs
        try:
            yield outputs
        finally:
            self._outputs = None


def pooled(output: Tensor, batch: Batch) -> Tensor:
    """Average a vision block's output per image: (all patches, D) packed, or (tiles, tokens, D), to (images, D).

    A packed output is split by `image_grid_thw`, tiles by how many the processor cut each image into.
    """
    if "image_grid_thw" in batch.inputs:
        counts = batch.inputs["image_grid_thw"].prod(-1).tolist()
        tokens = output.reshape(-1, output.shape[-1])
    else:
        counts = [tiles * output.shape[1] for tiles in batch.tiles]
        tokens = output.flatten(0, 1)
    if sum(counts) != len(tokens):
        raise BackendError(f"the vision tower gives {len(tokens)} patches where the images have {sum(counts)}")
    return torch.stack([part.float().mean(dim=0) for part in tokens.split(counts)])  # type: ignore[no-untyped-call]


class Projectors(nn.Module):
    """One small network per teacher and block, on the student's side only: a projected target could collapse.

    Also where the widths are equal, since equal numbers of dimensions do not make them the same dimensions.
    """

    def __init__(self, width: int, dims: Mapping[Pair, int]) -> None:
        super().__init__()
        self.by_pair = nn.ModuleDict({_name(pair): _projector(width, dim) for pair, dim in dims.items()})

    def forward(self, features: Features) -> dict[Pair, Tensor]:
        """Project (N, width) to (N, dim), by teacher and block."""
        return {pair: self.by_pair[_name(pair)](one) for pair, one in features.items()}


def _name(pair: Pair) -> str:
    return f"{pair[0]}_layer{pair[1]}"


def _projector(width: int, dim: int) -> nn.Sequential:
    between = (width + dim) // 2
    return nn.Sequential(nn.Linear(width, between), nn.LayerNorm(between), nn.GELU(), nn.Linear(between, dim))


def open_cache(path: Path) -> TeacherCache:
    """Open a cache; BackendError where its features are not of the image size that its teachers take."""
    found = TeacherCache(path).teachers
    return TeacherCache(path, [Asked(name, image_size=TEACHERS[name].image_size) for name in found])


class Distillation:
    """What turns a batch into feature losses: taps on the student, projectors, the cache of the teachers."""

    def __init__(
        self, blocks: Sequence[nn.Module], width: int, cache: TeacherCache, mode: Distill, seed: int
    ) -> None:
        self._mode, self.cache = mode, cache
        self.blocks = _mapped(cache.pairs, len(blocks))
        self._taps = Taps(blocks, list(self.blocks.values()))
        weights = {name: TEACHERS[name].weight for name in cache.teachers}
        self.shares = {name: weight / sum(weights.values()) for name, weight in weights.items()}
        torch.manual_seed(seed)
        self.projectors = Projectors(width, {pair: cache.dim(pair[0]) for pair in cache.pairs})

    def rows(self, batch: Batch) -> list[int]:
        """Return which conversations of a batch distil: by their task, and because the cache has their image."""
        pairs = enumerate(zip(batch.tasks, batch.image_ids, strict=True))
        return [row for row, (task, image) in pairs if distils(task, self._mode) and image in self.cache]

    def listening(self) -> Any:
        """Within it, the student's forward pass is listened to."""
        return self._taps.listening()

    def loss(self, outputs: Mapping[int, Tensor], batch: Batch, rows: Sequence[int]) -> Tensor:
        """Return the feature loss of the conversations in `rows`, (len(rows),); no other image has a part in it."""
        student = {number: pooled(output, batch)[list(rows)] for number, output in outputs.items()}
        features = {pair: student[number] for pair, number in self.blocks.items()}
        projected = self.projectors(features)
        return feature_loss(
            projected, self._taught(batch, rows, next(iter(projected.values())).device), self.shares
        )

    def _taught(self, batch: Batch, rows: Sequence[int], device: torch.device) -> dict[Pair, Tensor]:
        vectors = [self.cache.features(batch.image_ids[row]) or {} for row in rows]
        return {
            pair: torch.stack([torch.from_numpy(one[pair]) for one in vectors]).to(device)
            for pair in self.cache.pairs
        }


def _mapped(pairs: Sequence[Pair], depth: int) -> dict[Pair, int]:
    """The student's block for each teacher and block: as far up its tower as the teacher's is up its own."""
    mapped = {}
    for teacher in {pair[0] for pair in pairs}:
        blocks = sorted(block for name, block in pairs if name == teacher)
        for place, block in enumerate(blocks):
            mapped[teacher, block] = student_block(depth, place, len(blocks))
    return {pair: mapped[pair] for pair in pairs}
