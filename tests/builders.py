"""Records with defaults: a test states only what it is about."""

import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from annotator.frames import FrameFacts, make_frame, save_pixels
from annotator.geometry import mask_to_rle, rle_to_box_xyxy
from annotator.schema import (
    Correction,
    Finding,
    Frame,
    LoadedFrame,
    ModelVersion,
    Prediction,
    Prompt,
)
from annotator.store import Store


def some_pixels(seed: int = 0, size_wh: tuple[int, int] = (32, 24), *, colour: bool = False) -> NDArray[np.uint8]:
    shape = (size_wh[1], size_wh[0], 3) if colour else (size_wh[1], size_wh[0])
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def a_frame(seed: int = 0, name: str = "frame.png", size_wh: tuple[int, int] = (32, 24), **facts: Any) -> Frame:
    return make_frame(some_pixels(seed, size_wh), name, FrameFacts(**facts))


def a_mask(
    size_wh: tuple[int, int] = (32, 24), box: tuple[int, int, int, int] = (4, 5, 20, 15)
) -> NDArray[np.bool_]:
    mask = np.zeros(size_wh[::-1], bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


def a_finding(structure: str = "CSP", box_xyxy: Sequence[float] = (4.0, 5.0, 20.0, 15.0), **more: Any) -> Finding:
    return Finding(structure=structure, box_xyxy=tuple(box_xyxy), **more)


def a_masked_finding(mask: NDArray[np.bool_], structure: str = "Brain", **more: Any) -> Finding:
    rle = mask_to_rle(mask)
    return Finding(structure=structure, box_xyxy=rle_to_box_xyxy(rle), mask_rle=rle, **more)


def a_prediction(frame: Frame, model_version: str = "embedded-1", **more: Any) -> Prediction:
    more.setdefault("findings", (a_finding(score=0.5),))
    return Prediction(frame_id=frame.frame_id, model_version=model_version, **more)


def a_correction(frame: Frame, reader: str = "anna", **more: Any) -> Correction:
    more.setdefault("findings", (a_finding(origin="manual"),))
    return Correction(frame_id=frame.frame_id, reader=reader, **more)


def a_model(name: str = "embedded-1", backend: str = "embedded") -> ModelVersion:
    return ModelVersion(name=name, backend=backend, base="scratch", content_hash="0" * 64)


def keep_frames(store: Store, count: int, *, first_seed: int = 0) -> list[Frame]:
    """Put `count` small frames, pixels and all, into the store."""
    frames = []
    for seed in range(first_seed, first_seed + count):
        frame = a_frame(seed, f"frame{seed:03}.png", subject=f"s{seed % 7}", source="made up")
        save_pixels(some_pixels(seed), store.image_path(frame.frame_id))
        frames.append(frame)
    store.add_frames(frames)
    return frames


class ScriptedBackend:
    """A backend whose answer to a batch is given by a function; `asked` notes the names of every batch."""

    name = "scripted"

    def __init__(self, answer: Callable[[Sequence[LoadedFrame]], Any] | None = None) -> None:
        self.model = a_model("scripted-1", "scripted")
        self.asked: list[list[str]] = []
        self._answer = answer or (lambda batch: [a_prediction(one.frame, "scripted-1") for one in batch])

    def predict(self, batch: Sequence[LoadedFrame]) -> list[Prediction]:
        self.asked.append([loaded.frame.source_file for loaded in batch])
        return self._answer(batch)  # type: ignore[no-any-return]

    def look_for(self, loaded: LoadedFrame, detect: Sequence[str], segment: Sequence[str]) -> Prediction:
        return a_prediction(
            loaded.frame, "scripted-1", asked_for={"detect": tuple(detect), "segment": tuple(segment)}
        )

    def prompt(self, loaded: LoadedFrame, prompt: Prompt) -> list[Finding]:
        return []


def hidden_part_files(folder: Path) -> list[Path]:
    """What an interrupted write would leave."""
    return sorted(folder.rglob("*.part"))


def require(is_there: bool, what: str) -> None:
    """Skip a test for want of something, except in CI, where a skip would hide that nothing was tested."""
    if not is_there:
        message = f"needs {what}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)


def a_free_port() -> int:
    """A port of this machine on which nobody listened a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
