"""What the networks are taught: head masks, kinds of frames, box centres and sides."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

STRIDE = 4


def mask_loss(logits: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """Cross-entropy and soft Dice of (N, 1, H, W) masks, over the frames whose mask is `known` (N,) 1 or 0.

    Frames without a head have an empty mask, for which Dice says nothing; they count in the cross-entropy.
    """
    per_frame = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none").mean(dim=(1, 2, 3))
    probability = logits.sigmoid()
    shared = (probability * truth).sum(dim=(1, 2, 3))
    total = (probability + truth).sum(dim=(1, 2, 3))
    has_head = (truth.amax(dim=(1, 2, 3)) > 0).float()
    soft_dice = 1 - 2 * shared / (total + 1)
    return ((per_frame + soft_dice * has_head) * known).sum() / known.sum().clamp(min=1)


def heat_targets(boxes: NDArray[np.float64], cells_wh: tuple[int, int]) -> NDArray[np.float32]:
    """Gaussians (C, H, W) around the centres of (C, 4) grid boxes, zero where a box is nan; 1 in the centre's cell.

    Spread along each axis with the box as in TTFNet (arXiv:1909.00700), never below 0.6 of a cell.
    """
    heat = np.zeros((len(boxes), cells_wh[1], cells_wh[0]), np.float32)
    for structure, box in enumerate(boxes / STRIDE):
        if np.isnan(box).any():
            continue
        centre = np.clip(np.floor((box[:2] + box[2:]) / 2), 0, np.array(cells_wh) - 1)
        spread = np.maximum(0.09 * (box[2:] - box[:2]), 0.6)
        x = np.exp(-0.5 * ((np.arange(cells_wh[0]) - centre[0]) / spread[0]) ** 2)
        y = np.exp(-0.5 * ((np.arange(cells_wh[1]) - centre[1]) / spread[1]) ** 2)
        heat[structure] = np.outer(y, x)
    return heat


def heat_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """The penalty-reduced focal loss of CornerNet and CenterNet (arXiv:1904.07850, eq. 1), per box."""
    probability = logits.sigmoid()
    is_centre = (truth > 0.999).float()
    near = is_centre * (1 - probability) ** 2 * functional.logsigmoid(logits)
    far = (1 - is_centre) * (1 - truth) ** 4 * probability**2 * functional.logsigmoid(-logits)
    return -(near + far).sum() / is_centre.sum().clamp(min=1)


def cell_boxes(sides: Tensor) -> Tensor:
    """Turn (..., H, W, 4) distances to the left, top, right and bottom into (..., H, W, 4) grid boxes xyxy."""
    height, width = sides.shape[-3:-1]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    centres = (torch.stack((x, y), dim=-1) + 0.5) * STRIDE
    return torch.cat((centres - sides[..., :2], centres + sides[..., 2:]), dim=-1)


def sides_loss(sides: Tensor, truth: Tensor, heat: Tensor) -> Tensor:
    """Generalised IoU loss (arXiv:1902.09630) of (N, C, 4, H, W) sides against (N, C, 4) grid boxes.

    Cells near a centre count by `heat` (N, C, H, W), which is 0 where a structure is absent; each box counts the
    same whatever its size.
    """
    weight = torch.where(heat > 0.2, heat, 0.0)
    weight = weight / weight.sum(dim=(2, 3), keepdim=True).clamp(min=1e-6)
    near = weight > 0
    boxes = cell_boxes(sides.movedim(2, -1))[near]
    wanted = truth[:, :, None, None].expand(*heat.shape, 4)[near]
    present = (weight.sum(dim=(2, 3)) > 0).sum().clamp(min=1)
    return (weight[near] * (1 - generalised_iou(boxes, wanted))).sum() / present


def generalised_iou(first: Tensor, second: Tensor) -> Tensor:
    """(K,) GIoU, -1..1, of (K, 4) boxes xyxy, pair by pair."""
    shared = _area(torch.maximum(first[:, :2], second[:, :2]), torch.minimum(first[:, 2:], second[:, 2:]))
    hull = _area(torch.minimum(first[:, :2], second[:, :2]), torch.maximum(first[:, 2:], second[:, 2:]))
    union = _area(first[:, :2], first[:, 2:]) + _area(second[:, :2], second[:, 2:]) - shared
    return shared / union.clamp(min=1e-6) - (hull - union) / hull.clamp(min=1e-6)


def _area(low: Tensor, high: Tensor) -> Tensor:
    return (high - low).clamp(min=0).prod(dim=1)
