"""Brush masks: this tool against Label Studio's own SDK, in one run, by processor time.

python benchmarks/brush_codec.py

From brush streams to a COCO file (times of one mask): theirs outlines outer borders and loses holes; ours keeps
every pixel.
"""

import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from label_studio_sdk.converter.brush import decode_rle, mask2rle
from label_studio_sdk.converter.exports.brush_to_coco import convert_to_coco
from numpy.typing import NDArray

from annotator.geometry import mask_to_rle, rle_to_box_xyxy
from annotator.labelstudio.brush import decode_mask, encode_mask
from annotator.schema import Correction, Finding, Frame
from exports.coco import write_annotations
from exports.coco_records import MaskForm
from exports.entries import Entry

SIZE_HW = (540, 800)
FRAMES = 20  # of five masks each, in a file


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


def their_coco(streams: Sequence[list[int]], folder: str) -> None:
    """Each frame with its masks -> a COCO file, with the SDK's converter for brushes."""
    height, width = SIZE_HW
    size = {"original_width": width, "original_height": height}
    regions = [
        {"rle": stream, "format": "rle", "brushlabels": ["Brain"], "type": "brushlabels", **size}
        for stream in streams
    ]
    items = [
        {
            "id": number,
            "input": {"image": f"{number}.png"},
            "output": {"mask": regions},
            "completed_by": {"email": "anna"},
        }
        for number in range(FRAMES)
    ]
    convert_to_coco(items, folder)


def our_coco(streams: Sequence[list[int]], folder: str, form: MaskForm) -> None:
    """The same by way of the records that `labelstudio pull` makes."""

    def entries() -> Iterator[Entry]:
        for number in range(FRAMES):
            rles = [mask_to_rle(decode_mask(stream, SIZE_HW[::-1])) for stream in streams]
            findings = tuple(
                Finding(structure="Brain", box_xyxy=rle_to_box_xyxy(rle), mask_rle=rle) for rle in rles
            )
            frame = Frame(
                frame_id=f"{number:032x}", width=SIZE_HW[1], height=SIZE_HW[0], source_file=f"{number}.png"
            )
            yield Entry(frame, Correction(frame_id=frame.frame_id, reader="anna", findings=findings))

    write_annotations(Path(folder) / "annotations.json", entries(), which="corrected", masks=form)


def best_ms(theirs: Callable[[], object], ours: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Least processor time of each, in milliseconds; they take turns, so that both meet the same load."""
    times = ([], [])
    for _ in range(rounds):
        for kept, call in zip((times[0], *[times[1]] * 3), (theirs, *[ours] * 3), strict=True):
            begun = time.process_time()
            call()
            kept.append(time.process_time() - begun)
    return min(times[0]) * 1e3, min(times[1]) * 1e3


def show(name: str, what: str, sdk_ms: float, ours_ms: float) -> None:
    """Print one line; times are of one mask."""
    print(f"{name:24}{what:18} SDK {sdk_ms:7.3f} ms  ours {ours_ms:6.3f} ms  {sdk_ms / ours_ms:5.1f}x")


def main() -> None:
    """Compare bytes, then print times and ratios."""
    logging.disable()
    for name, mask in sample_masks().items():
        stream = list(mask2rle(mask * np.uint8(255)))
        assert encode_mask(mask) == stream, "the two encoders differ"
        show(
            name, "encode", *best_ms(lambda m=mask: mask2rle(m * np.uint8(255)), lambda m=mask: encode_mask(m), 30)
        )
        decoding = best_ms(lambda r=stream: decode_rle(r), lambda r=stream: decode_mask(r, SIZE_HW[::-1]), 20)
        show(name, "decode", *decoding)
        with tempfile.TemporaryDirectory() as folder:
            for form in (MaskForm.RLE, MaskForm.POLYGONS):
                theirs, ours = best_ms(
                    lambda r=stream: their_coco([r] * 5, folder),
                    lambda r=stream, f=form: our_coco([r] * 5, folder, f),
                    4,
                )
                show(name, f"to COCO, {form}", theirs / FRAMES / 5, ours / FRAMES / 5)


if __name__ == "__main__":
    main()
