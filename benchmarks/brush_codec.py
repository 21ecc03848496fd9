"""Brush masks: this tool's numpy codec against Label Studio's own SDK, in one run, by processor time.

python benchmarks/brush_codec.py
"""

import time
from collections.abc import Callable

import numpy as np
from label_studio_sdk.converter.brush import decode_rle, mask2rle
from numpy.typing import NDArray

from annotator.labelstudio.brush import decode_mask, encode_mask

SIZE_HW = (540, 800)


def sample_masks() -> dict[str, NDArray[np.bool_]]:
    """A ragged head, and a mask of three parts with holes."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]]
    ragged = random.normal(0, 0.004, SIZE_HW)
    head = np.hypot((rows - 270) / 170, (columns - 400) / 220) + ragged < 1
    parts = [np.hypot((rows - 270) / 80, (columns - x) / 90) + ragged < 1 for x in (160, 400, 640)]
    holes = [np.hypot(rows - 280, columns - x - 15) < 15 for x in (160, 400, 640)]
    return {"head": head, "three parts with holes": np.any(parts, axis=0) & ~np.any(holes, axis=0)}


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
        ours = encode_mask(mask)
        assert ours == theirs, "the two encoders differ"
        encode = best_ms(lambda m=mask: mask2rle(m * np.uint8(255)), 10), best_ms(lambda m=mask: encode_mask(m), 40)
        decode = (
            best_ms(lambda r=theirs: decode_rle(r), 10),
            best_ms(lambda r=theirs: decode_mask(r, SIZE_HW[::-1]), 40),
        )
        for what, (sdk_ms, ours_ms) in (("encode", encode), ("decode", decode)):
            print(f"{name:24} {what}  SDK {sdk_ms:7.3f} ms  ours {ours_ms:6.3f} ms  {sdk_ms / ours_ms:5.1f}x")


if __name__ == "__main__":
    main()
