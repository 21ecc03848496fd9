"""Boxes, ellipses, polygons and masks, and the ways between them.

One pixel convention, that of pycocotools: pixel i covers [i, i + 1), vertices lie on pixel corners. A mask is a
(H, W) bool or uint8 array; `mask_rle` is COCO compressed RLE. Percent (`_pct`) is Label Studio's 0..100 space.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from annotator.schema import BoxXyxy, Ellipse, MaskRle, RotatedBox

Mask = NDArray[np.bool_] | NDArray[np.uint8]
Ring = NDArray[np.float64]
Corners = NDArray[np.int64]


def mask_to_rle(mask: Mask) -> MaskRle:
    """Encode a (H, W) mask, any non-zero value being foreground.

    >>> mask_to_rle(np.eye(2, dtype=bool)).counts
    '0120'
    """
    height, width = mask.shape
    by_column = _transposed(_as_uint8(mask)).ravel()  # several times faster than numpy's own transposed copy
    runs = run_lengths(by_column).tolist()
    uncompressed = {"size": [height, width], "counts": [0, *runs] if by_column[0] else runs}
    return MaskRle(
        size_hw=(height, width),
        counts=coco_mask.frPyObjects(uncompressed, height, width)["counts"].decode("ascii"),
    )


def run_edges(flat: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the places at which a flat array of 0 and 1 differs from the place before.

    Places are packed into the bits of words first: borders are rare, and what is small stays in the cache.

    >>> run_edges(np.array([0, 0, 1, 1, 0], np.uint8)).tolist()
    [2, 4]
    """
    packed = np.packbits(flat, bitorder="little")
    if packed.size % 8:
        packed = np.concatenate([packed, np.zeros(-packed.size % 8, np.uint8)])
    words = packed.view("<u8")
    before = words << 1
    before[1:] |= words[:-1] >> 63
    before[:1] |= words[:1] & 1  # nothing stands before the first place
    steps = np.asarray(words ^ before).view(np.uint8)
    places = np.flatnonzero(steps != 0)
    found = np.flatnonzero(np.unpackbits(steps[places], bitorder="little"))
    edges = np.asarray(places[found >> 3] * 8 + (found & 7), np.int64)
    return edges[:-1] if edges.size and edges[-1] == flat.size else edges  # the padding may differ from the end


def run_lengths(flat: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return how long the runs of equal values are in a flat array of 0 and 1 that is not empty.

    >>> run_lengths(np.array([0, 0, 1, 1, 0], np.uint8)).tolist()
    [2, 2, 1]
    """
    edges = run_edges(flat)
    bounds = np.zeros(edges.size + 2, np.int64)
    bounds[1:-1], bounds[-1] = edges, flat.size
    return bounds[1:] - bounds[:-1]


def _transposed(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.transpose(mask), np.uint8)


def _as_uint8(mask: Mask) -> NDArray[np.uint8]:
    """The mask as contiguous 0 and 1, without a copy where it is of that kind."""
    return np.ascontiguousarray(np.asarray(mask, bool)).view(np.uint8)


def rle_to_mask(rle: MaskRle) -> NDArray[np.bool_]:
    """Decode to a (H, W) bool mask.

    >>> rle_to_mask(MaskRle(size_hw=(2, 2), counts="0120")).astype(int).tolist()
    [[1, 0], [0, 1]]
    """
    by_column = coco_mask.decode(rle_as_coco(rle)).T
    return _transposed(by_column).view(np.bool_)


def rle_as_coco(rle: MaskRle) -> dict[str, object]:
    """Return the dictionary that pycocotools works on."""
    return {"size": list(rle.size_hw), "counts": rle.counts.encode("ascii")}


def rle_area(rle: MaskRle) -> int:
    """Count the foreground pixels without decoding."""
    return int(coco_mask.area(rle_as_coco(rle)))


def rle_to_box_xyxy(rle: MaskRle) -> BoxXyxy:
    """Return the tight box around the foreground, (0, 0, 0, 0) where there is none."""
    x, y, width, height = (float(value) for value in coco_mask.toBbox(rle_as_coco(rle)))
    return (x, y, x + width, y + height)


def polygons_to_mask(polygons: Sequence[Ring], size_wh: tuple[int, int]) -> NDArray[np.bool_]:
    """Rasterise the union of polygons, each (N, 2) in pixels, by pycocotools' own rule; N below 3 is left out."""
    width, height = size_wh
    flat = [np.asarray(ring, np.float64).ravel().tolist() for ring in polygons if len(ring) >= 3]
    if not flat:
        return np.zeros((height, width), bool)
    merged = coco_mask.merge(coco_mask.frPyObjects(flat, height, width))
    return np.ascontiguousarray(coco_mask.decode(merged)).astype(bool)


def mask_to_edge_rings(mask: Mask) -> tuple[list[Ring], bool]:
    """Trace a mask along its pixel edges: rings of (N, 2) integer corners, and whether any ring is a hole.

    Without holes, pycocotools turns the rings back into exactly the same mask. In a mask doubled in size each
    border pixel touches one corner of the original, so (position + 1) // 2 maps contours onto pixel edges.
    """
    x, y, width, height = cv2.boundingRect(_as_uint8(mask))
    cropped = _as_uint8(mask[y : y + height, x : x + width])
    doubled = (cropped.astype(np.uint16) * 257).view(np.uint8).repeat(2, axis=0)  # 257 holds 1 in both its bytes
    contours, links = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return [], False
    sizes = np.array([len(contour) for contour in contours], np.int64)
    corners = (np.concatenate(contours)[:, 0].astype(np.int64) + 1) // 2
    ring = np.repeat(np.arange(sizes.size), sizes)
    moves = _keep_where(corners, ring, _is_move)
    corners, ring = corners[moves], ring[moves]
    turns = _keep_where(corners, ring, _is_turn)
    ends = np.searchsorted(ring[turns], np.arange(1, sizes.size))
    return np.split(corners[turns] + np.array([x, y], np.float64), ends), bool((links[0][:, 3] >= 0).any())


def _keep_where(
    corners: Corners, ring: NDArray[np.int64], test: Callable[[Corners, Corners, Corners], NDArray[np.bool_]]
) -> NDArray[np.bool_]:
    """Put `test` to every corner of all rings at once, with its neighbours in its own ring."""
    firsts = np.flatnonzero(np.diff(ring, prepend=-1))
    lasts = np.append(firsts[1:], ring.size) - 1
    before, after = np.arange(ring.size) - 1, np.arange(ring.size) + 1
    before[firsts], after[lasts] = lasts, firsts
    return test(corners[before], corners, corners[after])


def _is_move(before: Corners, here: Corners, after: Corners) -> NDArray[np.bool_]:
    return np.asarray((here != after).any(axis=1))


def _is_turn(before: Corners, here: Corners, after: Corners) -> NDArray[np.bool_]:
    came, goes = here - before, after - here
    return np.asarray(came[:, 0] * goes[:, 1] != came[:, 1] * goes[:, 0])


def ellipse_to_mask(ellipse: Ellipse, size_wh: tuple[int, int]) -> NDArray[np.bool_]:
    """Fill the pixels whose centre lies inside the ellipse; parts outside the frame are cut off.

    Each row is one interval: where a x^2 + 2 b x y + c y^2 <= 1 holds, with x and y counted from the centre.
    """
    width, height = size_wh
    cosine, sine = np.cos(np.deg2rad(ellipse.angle_deg)), np.sin(np.deg2rad(ellipse.angle_deg))
    a = (cosine / ellipse.rx) ** 2 + (sine / ellipse.ry) ** 2
    b = cosine * sine * (ellipse.rx**-2 - ellipse.ry**-2)
    c = (sine / ellipse.rx) ** 2 + (cosine / ellipse.ry) ** 2
    y = np.arange(height) + 0.5 - ellipse.cy
    inside = (b * y) ** 2 - a * (c * y**2 - 1)
    half = np.sqrt(np.maximum(inside, 0)) / a
    middle = ellipse.cx - b * y / a
    x = np.arange(width) + 0.5
    within = (x >= (middle - half)[:, None]) & (x <= (middle + half)[:, None])
    return np.asarray(within & (inside >= 0)[:, None])


def ellipse_to_box_xyxy(ellipse: Ellipse) -> BoxXyxy:
    """Return the tight box around the whole ellipse, also where it leaves the frame."""
    angle = np.deg2rad(ellipse.angle_deg)
    half_width = float(np.hypot(ellipse.rx * np.cos(angle), ellipse.ry * np.sin(angle)))
    half_height = float(np.hypot(ellipse.rx * np.sin(angle), ellipse.ry * np.cos(angle)))
    return (ellipse.cx - half_width, ellipse.cy - half_height, ellipse.cx + half_width, ellipse.cy + half_height)


def ellipse_from_moments(mask: Mask) -> Ellipse | None:
    """Fit the ellipse of equal second moments (major axis first), or None for an empty mask.

    Semi-axes 2 sqrt of the eigenvalues of the second central moments, each pixel adding its own 1/12. For a filled
    ellipse this has no bias, unlike fits through the centres of boundary pixels, which lose half a pixel all round.
    """
    rows, columns = np.nonzero(mask)
    if rows.size == 0:
        return None
    x, y = columns + 0.5, rows + 0.5
    cx, cy = float(x.mean()), float(y.mean())
    u, v = float(((x - cx) ** 2).mean()) + 1 / 12, float(((y - cy) ** 2).mean()) + 1 / 12
    w = float(((x - cx) * (y - cy)).mean())
    spread = float(np.hypot(u - v, 2 * w))
    major, minor = np.sqrt(2 * (u + v + spread)), np.sqrt(2 * max(u + v - spread, 1e-12))
    angle_deg = float(np.rad2deg(0.5 * np.arctan2(2 * w, u - v)))
    return Ellipse(cx=cx, cy=cy, rx=float(major), ry=float(minor), angle_deg=angle_deg)


def rotated_box_corners(box: RotatedBox) -> Ring:
    """Return the (4, 2) corners, clockwise from the one that is top-left before turning."""
    angle = np.deg2rad(box.angle_deg)
    offsets = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [box.width / 2, box.height / 2]
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.asarray(offsets @ turn + [box.cx, box.cy], np.float64)


def points_to_box_xyxy(points: Ring) -> BoxXyxy:
    """Return the tight box around (N, 2) points."""
    (x_min, y_min), (x_max, y_max) = points.min(axis=0), points.max(axis=0)
    return (float(x_min), float(y_min), float(x_max), float(y_max))


def clip_box_xyxy(box: BoxXyxy, size_wh: tuple[int, int]) -> BoxXyxy:
    """Cut a box to the frame.

    >>> clip_box_xyxy((-5.0, 2.0, 700.0, 9.0), (640, 480))
    (0.0, 2.0, 640.0, 9.0)
    """
    width, height = size_wh
    x_min, x_max = (min(max(value, 0.0), float(width)) for value in (box[0], box[2]))
    y_min, y_max = (min(max(value, 0.0), float(height)) for value in (box[1], box[3]))
    return (x_min, y_min, x_max, y_max)


def box_iou(first: BoxXyxy, second: BoxXyxy) -> float:
    """Intersection over union of two boxes, 0.0 where both are empty.

    >>> box_iou((0, 0, 2, 2), (1, 0, 3, 2))
    0.3333333333333333
    """
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    inside = max(width, 0.0) * max(height, 0.0)
    union = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)) - inside
    return inside / union if union > 0 else 0.0


def dice(first: Mask, second: Mask) -> float:
    """Dice of two masks of one shape; two empty masks agree fully (1.0)."""
    shared = np.count_nonzero(np.asarray(first, bool) & np.asarray(second, bool))
    total = np.count_nonzero(first) + np.count_nonzero(second)
    return 2.0 * shared / total if total else 1.0
