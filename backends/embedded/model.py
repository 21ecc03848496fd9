"""The embedded model as arrays in, readings out: three networks, their constants, and the folder they live in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from annotator.errors import BackendError
from annotator.schema import Ellipse
from backends.embedded.boxes import BoxReading, read_boxes
from backends.embedded.framing import Framing, Gray, around_ellipse, framed, letterbox
from backends.embedded.gradients import GradientRule, gradient_features
from backends.embedded.head import HeadOutline, Map, outline_head
from backends.embedded.networks import BoxNet, HeadNet, PlaneNet, PlanePair, pooled

WEIGHT_FILES = ("head.safetensors", "boxes.safetensors", "planes.safetensors")
FORMAT = 1

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class HeadReading:
    """What the head network says of a frame: a probability map on `grid`, logits of the kinds of frame."""

    probability: Map
    grid: Framing
    view_logits: NDArray[np.float32]
    outline: HeadOutline | None


class HeadReader:
    """The head network over one frame at a time."""

    def __init__(self, network: HeadNet, size_wh: tuple[int, int]) -> None:
        self.network, self.size_wh = _ready(network), size_wh

    @torch.inference_mode()
    def read(self, gray: Gray) -> HeadReading:
        """Mask and kind of a frame (H, W), averaged over the frame and its mirror image."""
        frame_wh = gray.shape[1], gray.shape[0]
        grid = letterbox(frame_wh, self.size_wh)
        out = self.network(_mirrored(framed(gray, grid)))
        mask = out.mask[0, 0] + out.mask[1, 0].flip(-1)
        probability = (mask / 2).sigmoid().numpy()
        outline = outline_head(probability, grid, frame_wh)
        return HeadReading(probability, grid, out.view.mean(dim=0).numpy(), outline)

    @torch.inference_mode()
    def embed(self, gray: Gray) -> NDArray[np.float32]:
        """(2 * last width,) pooled features of a frame (H, W), averaged over it and its mirror image."""
        grid = letterbox((gray.shape[1], gray.shape[0]), self.size_wh)
        features = self.network.encoder(_mirrored(framed(gray, grid)))
        return np.asarray(pooled(features[-1]).mean(dim=0).numpy(), np.float32)


class PlaneReader:
    """The members of the plane ensemble over one frame at a time."""

    def __init__(self, members: Sequence[PlanePair], size_wh: tuple[int, int], margin: float) -> None:
        self.members = [_ready(member) for member in members]
        self.size_wh, self.margin = size_wh, margin

    @torch.inference_mode()
    def read(self, gray: Gray, ellipse: Ellipse | None) -> NDArray[np.float32]:
        """Logarithms of the members' mean probabilities of the brain planes, over the head and its mirror image.

        Probabilities are averaged, not logits, after Lakshminarayanan et al. 2017 (arXiv:1612.01474): one member
        that is very sure does not outvote the others.
        """
        batch = _mirrored(head_crop(gray, ellipse, self.size_wh, self.margin))
        gradients = gradient_features(batch)
        opinions = torch.stack([member(batch, gradients).mean(dim=0) for member in self.members])
        return np.asarray(opinions.softmax(dim=-1).mean(dim=0).log().numpy())


class EmbeddedModel:
    """Runs one frame at a time, so that a frame gets the same answer alone and in any batch."""

    def __init__(self, settings: dict[str, Any], head: HeadNet, boxes: BoxNet, planes: Sequence[PlanePair]) -> None:
        self.settings = settings
        self._head = HeadReader(head, tuple(settings["head"]["size_wh"]))
        self._boxes = _ready(boxes)
        self._planes = PlaneReader(planes, tuple(settings["planes"]["size_wh"]), settings["planes"]["margin"])

    def read_head(self, gray: Gray) -> HeadReading:
        """Mask and kind of a frame (H, W)."""
        return self._head.read(gray)

    def embed(self, gray: Gray) -> NDArray[np.float32]:
        """(256,) in the release: what the head network's encoder makes of a frame (H, W)."""
        return self._head.embed(gray)

    @torch.inference_mode()
    def read_boxes(self, gray: Gray) -> list[BoxReading]:
        """The best box of each structure in pixels of a frame (H, W), averaged over it and its mirror image."""
        grid = letterbox((gray.shape[1], gray.shape[0]), tuple(self.settings["boxes"]["size_wh"]))
        out = self._boxes(_mirrored(framed(gray, grid)))
        heat = (out.heat[0] + out.heat[1].flip(-1)) / 2
        # The mirror swaps left and right, which are sides 0 and 2.
        sides = (out.sides[0] + out.sides[1].flip(-1)[:, [2, 1, 0, 3]]) / 2
        readings = read_boxes(heat.numpy(), sides.numpy(), tuple(self.settings["boxes"]["structures"]))
        return [BoxReading(one.structure, _box_to_frame(one.box_xyxy, grid), one.heat) for one in readings]

    def read_plane(self, gray: Gray, ellipse: Ellipse | None) -> NDArray[np.float32]:
        """Logits of the brain planes of a frame (H, W) whose head was found at `ellipse`."""
        return self._planes.read(gray, ellipse)


def head_crop(gray: Gray, ellipse: Ellipse | None, size_wh: tuple[int, int], margin: float) -> Gray:
    """The head laid along x and scaled to the grid; the whole frame where no head was found."""
    if ellipse is None:
        return framed(gray, letterbox((gray.shape[1], gray.shape[0]), size_wh))
    return framed(gray, around_ellipse(ellipse, size_wh, margin))


def load_model(folder: Path) -> EmbeddedModel:
    """Read `model.json` and the weights beside it; BackendError where a file is missing or does not fit."""
    settings, networks = load_networks(folder)
    return EmbeddedModel(settings, networks.head, networks.boxes, networks.members)


@dataclass(frozen=True)
class Networks:
    """The three networks of a folder."""

    head: HeadNet
    boxes: BoxNet
    planes: nn.ModuleList

    @property
    def members(self) -> list[PlanePair]:
        """The members of the plane ensemble."""
        return [member for member in self.planes if isinstance(member, PlanePair)]


def load_networks(folder: Path) -> tuple[dict[str, Any], Networks]:
    """Read the settings and the networks of a folder; BackendError where a file is missing or does not fit."""
    try:
        settings = json.loads((folder / "model.json").read_text())
        if settings["format"] != FORMAT:
            raise ValueError(f"format {settings['format']}, this version reads {FORMAT}")
        networks = Networks(*build_networks(settings))
        for network, name in zip((networks.head, networks.boxes, networks.planes), WEIGHT_FILES, strict=True):
            _load_into(network, folder / name)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BackendError(f"the embedded model in {folder} cannot be loaded ({reason}); train it anew") from error
    return settings, networks


def build_networks(settings: dict[str, Any]) -> tuple[HeadNet, BoxNet, nn.ModuleList]:
    """The networks that `settings` describes, with fresh weights."""
    head, boxes, planes = settings["head"], settings["boxes"], settings["planes"]
    typical_wh = torch.ones(len(boxes["structures"]), 2)
    return (
        HeadNet(tuple(head["widths"]), tuple(head["decoder_widths"]), len(head["views"])),
        BoxNet(tuple(boxes["widths"]), tuple(boxes["decoder_widths"]), typical_wh),
        nn.ModuleList(_plane_pair(planes) for _ in range(planes["members"])),
    )


def _plane_pair(planes: dict[str, Any]) -> PlanePair:
    count = len(planes["planes"])
    return PlanePair(PlaneNet(tuple(planes["widths"]), count), GradientRule(tuple(planes["size_wh"]), count))


def content_hash(folder: Path) -> str:
    """SHA-256 over model.json and the weight files, in a fixed order."""
    digest = hashlib.sha256()
    for name in ("model.json", *WEIGHT_FILES):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()


def _load_into(network: nn.Module, path: Path) -> None:
    weights = load_file(path)
    single = {name: value.float() if value.is_floating_point() else value for name, value in weights.items()}
    network.load_state_dict(single)


def _ready(network: Network) -> Network:
    return network.eval().requires_grad_(False)


def _mirrored(image: Gray) -> Tensor:
    """(H, W) uint8 to (2, 1, H, W) float in 0..1: the image and its mirror image."""
    frame = torch.from_numpy(image.astype(np.float32) / 255)[None, None]
    return torch.cat((frame, frame.flip(-1))).contiguous(memory_format=torch.channels_last)


def _box_to_frame(box: tuple[float, float, float, float], grid: Framing) -> tuple[float, float, float, float]:
    (x_min, y_min), (x_max, y_max) = grid.to_frame(np.array(box).reshape(2, 2)).tolist()
    return (x_min, y_min, x_max, y_max)
