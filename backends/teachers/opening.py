"""A teacher: its file opened strictly, and the features of frames."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from annotator.errors import BackendError
from backends.teachers import fetal_clip, mae, ultra_sam
from backends.teachers.cache import Source
from backends.teachers.checkpoint import Layout, load_encoder, read_encoder, sha256_of
from backends.teachers.preprocessing import PREPROCESSING, Pixels
from backends.teachers.teacher import TEACHERS, TeacherRecord

LAYOUTS: dict[str, Layout] = {
    "fetal_clip": fetal_clip.LAYOUT,
    "ultra_sam": ultra_sam.LAYOUT,
    "mae": mae.LAYOUT,
}


class Teacher:
    """An opened teacher. `leftovers` names, by group, what of its file was not needed."""

    def __init__(
        self,
        record: TeacherRecord,
        module: nn.Module,
        *,
        sha256: str,
        leftovers: dict[str, tuple[str, ...]],
        device: str = "cpu",
    ) -> None:
        self.record, self.leftovers, self.sha256 = record, leftovers, sha256
        self._layout = LAYOUTS[record.format]
        self.images_at_once = self._layout.images_at_once
        try:
            self.module = module.to(device)
        except (RuntimeError, AssertionError) as error:  # torch asserts that it was built with CUDA
            reason = str(error).partition("\n")[0]
            raise BackendError(f"{record.title} cannot be put on {device!r}: {reason}; use --device cpu") from None
        self._device = device
        self._pooled: dict[int, Tensor] = {}
        blocks = self._layout.blocks(module)
        for block in record.blocks:
            blocks[block].register_forward_hook(self._keeper(block))

    @property
    def source(self) -> Source:
        """What a cache says of these features."""
        one = self.record
        return Source(self.sha256, one.licence, one.non_commercial, one.preprocessing, one.image_size)

    def features(self, images: Sequence[Pixels]) -> dict[int, NDArray[np.float32]]:
        """For each block the vectors (images, dim): the mean over the patch tokens behind it, before any last norm.

        Images are uint8, (H, W) gray or (H, W, 3) RGB, of any size.
        """
        if not images:
            return {block: np.zeros((0, self.record.dim), np.float32) for block in self.record.blocks}
        step = self.images_at_once
        parts = [self._of_few(images[start : start + step]) for start in range(0, len(images), step)]
        return {block: np.concatenate([part[block] for part in parts]) for block in self.record.blocks}

    @torch.inference_mode()
    def _of_few(self, images: Sequence[Pixels]) -> dict[int, NDArray[np.float32]]:
        prepare = PREPROCESSING[self.record.name]
        batch = torch.from_numpy(np.stack([prepare(image, self.record.image_size) for image in images]))
        try:
            self.module(pixel_values=batch.to(self._device))
        except torch.OutOfMemoryError:
            raise BackendError(f"{self.record.title}: the device's memory is used up; use --device cpu") from None
        found = {block: pooled.float().cpu().numpy() for block, pooled in self._pooled.items()}
        self._pooled.clear()
        return found

    def _keeper(self, block: int) -> Any:
        def keep(module: nn.Module, inputs: Any, output: Any) -> None:
            tokens = output[0] if isinstance(output, tuple) else output
            self._pooled[block] = self._layout.patch_tokens(tokens).mean(dim=1)

        return keep


def open_teacher(teacher: str | TeacherRecord, path: Path, *, device: str = "cpu") -> Teacher:
    """Open a published file, or the same tensors as .safetensors; BackendError says what is wrong with it."""
    record = teacher if isinstance(teacher, TeacherRecord) else record_of(teacher)
    layout = LAYOUTS[record.format]
    layout.check_beside(path, record.architecture)
    encoder, leftovers = read_encoder(path, record, layout)
    module = load_encoder(encoder, record.architecture, layout, path)
    return Teacher(record, module, sha256=sha256_of(path), leftovers=leftovers, device=device)


def record_of(name: str) -> TeacherRecord:
    """The record of a teacher; BackendError where there is none of that name."""
    if name not in TEACHERS:
        raise BackendError(f"no teacher is called {name!r}; there are {', '.join(TEACHERS)}")
    return TEACHERS[name]
