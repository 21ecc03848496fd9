"""Teaching the detector of burned-in text: real and simulated backgrounds, fresh text and clutter every epoch.

The weights that ship (`annotator/deidentify/weights/text.npz`, half precision) are `folded` from 900 steps at a
learning rate of 2e-3 and 280 more down to 0, on the training splits of the development data, whose own burned-in
text was labelled by PP-OCRv4's detector, and on simulated frames; ten font families were left out to measure with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from annotator.deidentify.text_network import CELL, two_views
from backends.training.loop import Batch
from backends.training.written_frames import Fonts, Gray, Page, write_page


@dataclass(frozen=True)
class TextSettings:
    """Widths of the network at 4, 8 and 16 pixels a cell, and what one epoch shows it."""

    widths: tuple[int, int, int] = (24, 40, 48)
    patch_px: int = 256
    patches_per_epoch: int = 1600


class Layer(nn.Sequential):
    """3x3 convolution, batch norm, ReLU; batch norm is folded away when the weights are saved."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__(
            nn.Conv2d(width_in, width_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(width_out),
            nn.ReLU(inplace=True),
        )

    def folded(self) -> tuple[Tensor, Tensor]:
        """Return weight and bias of one convolution that does the same in eval mode."""
        convolution, norm = self[0], self[1]
        assert isinstance(convolution, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        return convolution.weight * gain[:, None, None, None], norm.bias - norm.running_mean * gain


class TextNet(nn.Module):
    """(N, 2, H, W) views to (N, H / 4, W / 4) logits: does text cover this cell."""

    def __init__(self, widths: tuple[int, int, int]) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.fine1, self.fine2 = Layer(2 * CELL * CELL, 40), Layer(40, fine)
        self.middle1, self.middle2 = Layer(fine, middle), Layer(middle, middle)
        self.coarse1, self.coarse2 = Layer(middle, coarse), Layer(coarse, coarse)
        self.up_middle, self.up_fine = Layer(coarse + middle, middle), Layer(middle + fine, fine)
        self.head = nn.Conv2d(fine, 1, 3, padding=1)

    def forward(self, views: Tensor) -> Tensor:
        """See the class."""
        fine = self.fine2(self.fine1(functional.pixel_unshuffle(views, CELL)))
        middle = self.middle2(self.middle1(functional.max_pool2d(fine, 2)))
        coarse = self.coarse2(self.coarse1(functional.max_pool2d(middle, 2)))
        middle = self.up_middle(torch.cat([functional.interpolate(coarse, scale_factor=2), middle], 1))
        fine = self.up_fine(torch.cat([functional.interpolate(middle, scale_factor=2), fine], 1))
        logits: Tensor = self.head(fine)[:, 0]
        return logits


def folded(network: TextNet) -> dict[str, NDArray[np.float32]]:
    """Return plain weights (out, in, 3, 3) and biases, each layer's batch norm folded into its convolution."""
    arrays = {}
    for name, part in network.named_children():
        if isinstance(part, Layer):
            weight, bias = part.folded()
        else:
            weight, bias = network.head.weight, network.head.bias  # type: ignore[assignment]
        arrays[f"{name}.weight"] = weight.detach().numpy().astype(np.float32)
        arrays[f"{name}.bias"] = bias.detach().numpy().astype(np.float32)
    return arrays


@dataclass(frozen=True)
class Background:
    """A frame (H, W) to write on; `text` is 1 where it holds text already, -1 where it may."""

    gray: Gray
    text: NDArray[np.int8]


class TextTask:
    """One epoch shows fresh pages; a page's unsure cells do not count."""

    name = "text"

    def __init__(self, backgrounds: Sequence[Background], fonts: Fonts, settings: TextSettings, batch: int) -> None:
        self.backgrounds, self.fonts, self.settings, self.batch = backgrounds, fonts, settings, batch
        self.steps = settings.patches_per_epoch // batch

    def build(self) -> TextNet:
        """Return a fresh network."""
        return TextNet(self.settings.widths)

    def batches(self, rng: Generator) -> Iterator[Batch]:
        """Yield views (N, 2, P, P) and labels (N, P / 4, P / 4): 1 text, 0 none, -1 unsure."""
        for _ in range(self.steps):
            pages = [self._patch(rng) for _ in range(self.batch)]
            yield (
                torch.from_numpy(np.stack([two_views(page.gray.astype(np.uint8)) for page in pages])),
                torch.from_numpy(np.stack([cell_labels(page.text) for page in pages])),
            )

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Weighted cross-entropy and a soft Dice over the batch: missed text costs more than a false cell."""
        views, labels = batch
        logits, sure, truth = network(views), (labels >= 0).float(), labels.clamp(min=0).float()
        cost = functional.binary_cross_entropy_with_logits(
            logits, truth, reduction="none", pos_weight=torch.tensor(2.0)
        )
        share = torch.sigmoid(logits) * sure
        overlap = 2 * (share * truth).sum() / (share.sum() + (truth * sure).sum() + 1)
        return (cost * sure).sum() / sure.sum() + 0.5 * (1 - overlap)

    def measure(self, network: nn.Module) -> dict[str, float]:
        """Share of text cells found and of other cells taken, on fresh pages."""
        rng, found, taken = np.random.default_rng(5), [], []
        with torch.no_grad():
            for _ in range(4):
                pages = [self._patch(rng) for _ in range(16)]
                views = torch.from_numpy(np.stack([two_views(page.gray.astype(np.uint8)) for page in pages]))
                labels, said = np.stack([cell_labels(page.text) for page in pages]), network(views).numpy() > 0
                found.append(said[labels == 1].mean())
                taken.append(said[labels == 0].mean())
        return {"found": float(np.mean(found)), "taken": float(np.mean(taken))}

    def _patch(self, rng: Generator) -> Page:
        side = self.settings.patch_px
        background = self.backgrounds[int(rng.integers(len(self.backgrounds)))]
        gray, text = _framed(background, side, rng)
        page = write_page(gray, text, rng, self.fonts)
        return Page(_worn(page.gray, rng), page.text)


def cell_labels(text: NDArray[np.int8]) -> NDArray[np.int8]:
    """Labels of cells from labels of pixels: text where two fifths of the cell are, unsure where any pixel is.

    >>> cell_labels(np.array([[1, 1, 0, 0]] * 4, np.int8))
    array([[1]], dtype=int8)
    """
    rows, columns = text.shape[0] // CELL, text.shape[1] // CELL
    cells = text[: rows * CELL, : columns * CELL].reshape(rows, CELL, columns, CELL)
    labels: NDArray[np.int8] = ((cells == 1).mean((1, 3)) >= 0.4).astype(np.int8)
    labels[(labels == 0) & (cells == -1).any((1, 3))] = -1
    return labels


def _framed(background: Background, side: int, rng: Generator) -> tuple[Gray, NDArray[np.int8]]:
    """Cut a square out of the background, zoomed; black where it ends, as beside a scan."""
    zoom = float(np.exp(rng.uniform(np.log(0.7), np.log(2.2))))
    height, width = background.gray.shape
    room = side / zoom
    x, y = (rng.uniform(-0.35 * room, max(length - 0.65 * room, 1)) for length in (width, height))
    matrix = np.array([[zoom, 0, -x * zoom], [0, zoom, -y * zoom]])
    gray = cv2.warpAffine(background.gray, matrix, (side, side), flags=cv2.INTER_LINEAR)
    text = cv2.warpAffine(background.text, matrix, (side, side), flags=cv2.INTER_NEAREST)
    gain, lift = rng.uniform(0.4, 1.6), rng.uniform(0, 25) if rng.random() < 0.3 else 0.0
    return np.clip(gray * gain + lift, 0, 255).astype(np.uint8), text.astype(np.int8)


def _worn(gray: NDArray[np.float32], rng: Generator) -> NDArray[np.float32]:
    """Blur, noise, JPEG, as on the way from a scanner to a file."""
    if rng.random() < 0.35:
        gray = np.asarray(cv2.GaussianBlur(gray, (0, 0), float(rng.uniform(0.3, 1.0))), np.float32)
    if rng.random() < 0.3:
        gray = gray + rng.normal(0, rng.uniform(1, 7), gray.shape).astype(np.float32)
    pixels = np.clip(gray, 0, 255).astype(np.uint8)
    if rng.random() < 0.35:
        _, coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 95))])
        pixels = np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)
    return np.asarray(pixels, np.float32)
