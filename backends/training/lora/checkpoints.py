"""All that a killed run needs to go on as if nothing had happened: whole, or not there.

    checkpoints/step_000050/weights.safetensors   what is trained: the adapter, and the projectors
    checkpoints/step_000050/state.pt              optimiser, random numbers, step, curve, settings

A checkpoint is written under another name and renamed; the one before it is kept until then.
"""

import os
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from annotator.errors import BackendError, InputError
from annotator.files import exclusive_lock

FOLDER = "checkpoints"
WEIGHTS, STATE = "weights.safetensors", "state.pt"


@dataclass(frozen=True)
class Checkpoint:
    """What was read back; `state` holds plain values and tensors only."""

    weights: Mapping[str, Tensor]
    state: Mapping[str, Any]


def sole_writer(out: Path) -> AbstractContextManager[None]:
    """Within it, no other process trains into `out`; JobError where one does."""
    return exclusive_lock(out / FOLDER / ".lock", f"training into {out}")


def save_checkpoint(out: Path, step: int, weights: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Write the checkpoint of a step and remove older ones; InputError where the disk does not take it."""
    folder = out / FOLDER
    final, part = folder / f"step_{step:06}", folder / f".step_{step:06}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove(part)
        part.mkdir()
        save_file({name: weight.detach().cpu().contiguous() for name, weight in weights.items()}, part / WEIGHTS)
        torch.save(dict(state), part / STATE)
        for path in (part / WEIGHTS, part / STATE, part):
            _sync(path)
        _remove(final)
        part.rename(final)
        for old in _finished(folder)[:-1]:
            _remove(old)
    except (OSError, RuntimeError) as error:  # torch and safetensors tell of a full disk in their own ways
        shutil.rmtree(part, ignore_errors=True)
        reason = getattr(error, "strerror", None) or str(error).strip().partition("\n")[0]
        raise InputError(
            f"{final} cannot be written: {reason}; make room, then run this again: it goes on from the one before"
        ) from None


def load_checkpoint(out: Path, settings: Mapping[str, Any]) -> Checkpoint | None:
    """Return the newest checkpoint, None where there is none; leftovers of a killed write are removed.

    BackendError where it was begun with other settings or data, or is damaged.
    """
    folder = out / FOLDER
    for leftover in folder.glob(".step_*.part"):
        _remove(leftover)
    finished = _finished(folder)
    if not finished:
        return None
    newest = finished[-1]
    try:
        weights, state = load_file(newest / WEIGHTS), torch.load(newest / STATE, weights_only=True)
    except Exception as error:  # whatever a damaged file makes of the readers
        reason = str(error).strip().partition("\n")[0]
        raise BackendError(f"{newest} is damaged ({reason}); delete it, or train into another folder") from None
    differing = [name for name, value in settings.items() if state["settings"].get(name) != value]
    if differing or state["settings"].keys() != settings.keys():
        what = ", ".join(differing) or "a setting"
        raise BackendError(f"{newest} was begun with another {what}; delete {folder}, or train into another folder")
    return Checkpoint(weights, state)


def remove_checkpoints(out: Path) -> None:
    """Remove all, once what they were for is finished."""
    shutil.rmtree(out / FOLDER, ignore_errors=True)


def _finished(folder: Path) -> list[Path]:
    return sorted(folder.glob("step_*"))


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
