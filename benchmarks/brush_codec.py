"""Brush masks: this tool against Label Studio's own SDK, in one run, by processor time.

python benchmarks/brush_codec.py

The way from a brush stream to COCO: theirs outlines the outer borders and loses holes; ours keeps every pixel.
"""

import time
from collections.abc import Callable

import numpy as np
from label_studio_sdk.converter.brush import decode_rle, mask2rle
from label_studio_sdk.converter.exports.brush_to_coco import generate_contour_from_rle
from numpy.typing import NDArray

from annotator.geometry import mask_to_rle, rle_to_box_xyxy
from annotator.labelstudio.brush import decode_mask, encode_mask
from annotator.schema import Correction, Finding
from exports.coco_records import MaskForm, Place, annotation_records, shared_attributes

SIZE_HW = (540, 800)
SHARED = shared_attributes(Correction(frame_id="0" * 32, reader="anna"))


def sample_masks() -> dict[str, NDArray[np.bool_]]:
    """A smooth head, a ragged one, and a mask of three parts with holes."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]]
    ragged = random.normal(0, 0.004, SIZE_HW)
    head = np.hypot((rows - 270) / 170, (columns - 400) / 220)
    parts = [np.hypot((rows - 270) / 80, (columns - x) / 90) + ragged < 1 for x in (160, 400, 640)]
    holes = [np.hypot(rows - 280, columns - x - 15) < 15 for x in (160, 400, 640)]
    return {
        "head": head < 1,
        "ragged head": head + ragged < 1,
        "three parts with holes": np.any(parts, axis=0) & ~np.any(holes, axis=0),
    }


def to_coco(stream: list[int], form: MaskForm) -> object:
    """A brush stream of Label Studio -> a Finding, as `labelstudio pull` makes it -> a COCO annotation."""
    rle = mask_to_rle(decode_mask(stream, SIZE_HW[::-1]))
    finding = Finding(structure="Brain", box_xyxy=rle_to_box_xyxy(rle), mask_rle=rle)
    return annotation_records([Place(1, 1, finding, SHARED)], form)


def best_ms(call: Callable[[], object], rounds: int) -> float:
    """Least processor time of several rounds, in milliseconds."""
    times = []
    for _ in range(rounds):
        begun = time.process_time()
        call()
        times.append(time.process_time() - begun)
    return min(times) * 1e3


def main() -> None:
    """Compare bytes, then print times and ratios."""
    for name, mask in sample_masks().items():
        theirs = list(mask2rle(mask * np.uint8(255)))
        assert encode_mask(mask) == theirs, "the two encoders differ"
        decoding = best_ms(lambda r=theirs: decode_rle(r), 10)
        converting = best_ms(lambda r=theirs: generate_contour_from_rle(r, *SIZE_HW[::-1]), 10)
        rows = {
            "encode": (best_ms(lambda m=mask: mask2rle(m * np.uint8(255)), 10), lambda m=mask: encode_mask(m)),
            "decode": (decoding, lambda r=theirs: decode_mask(r, SIZE_HW[::-1])),
            "to COCO, RLE": (converting, lambda r=theirs: to_coco(r, MaskForm.RLE)),
            "to COCO, polygons": (converting, lambda r=theirs: to_coco(r, MaskForm.POLYGONS)),
        }
        for what, (sdk_ms, ours) in rows.items():
            ours_ms = best_ms(ours, 40)
            print(f"{name:24}{what:18} SDK {sdk_ms:7.3f} ms  ours {ours_ms:6.3f} ms  {sdk_ms / ours_ms:5.1f}x")


if __name__ == "__main__":
    main()
