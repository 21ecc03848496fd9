"""COCO export of 10,000 frames x 5 regions: this tool against Label Studio's own Converter, in one run.

python benchmarks/coco_export.py [--frames 10000] [--large 100000]

Times are of one process and in it, by processor time: records in memory -> a file. Label Studio's side reads its
tasks from a file, as it must. Peak memory is that of the whole process, frames made as they are needed.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from annotator.geometry import mask_to_rle, polygons_to_mask, rle_to_box_xyxy
from annotator.schema import Correction, Finding, Frame
from exports.coco import write_annotations
from exports.coco_records import MaskForm
from exports.entries import Entry

SIZE_WH, REGIONS, CORNERS = (800, 540), 5, 32
CONFIG = (
    '<View><Image name="image" value="$image"/><RectangleLabels name="box" toName="image"><Label value="NT"/>'
    '</RectangleLabels><PolygonLabels name="outline" toName="image"><Label value="Brain"/></PolygonLabels></View>'
)


def outlines() -> list[np.ndarray]:
    """Five outlines of 32 corners, in pixels."""
    around = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    return [
        np.stack([200 + 90 * k + 60 * np.cos(around), 270 + 45 * np.sin(around)], axis=1) for k in range(REGIONS)
    ]


def entries(frames: int, shape: str) -> Iterator[Entry]:
    """Frames of 800 x 540 with five regions each, as the store gives them."""
    rles = [mask_to_rle(polygons_to_mask([ring], SIZE_WH)) for ring in outlines()]
    boxes = [rle_to_box_xyxy(rle) for rle in rles]
    for number in range(frames):
        frame = Frame(frame_id=f"{number:032x}", width=800, height=540, source_file=f"{number}.png", subject="s")
        findings = tuple(
            Finding(structure="Brain", box_xyxy=box, mask_rle=rle if shape == "masks" else None)
            for rle, box in zip(rles, boxes, strict=True)
        )
        yield Entry(frame, Correction(frame_id=frame.frame_id, reader="anna", findings=findings))


def tasks(frames: int, shape: str) -> list[dict[str, object]]:
    """The same regions as Label Studio keeps them, in percent."""
    size = np.array(SIZE_WH) / 100
    values = []
    for ring in outlines():
        low, high = ring.min(axis=0) / size, ring.max(axis=0) / size
        box = {"x": low[0], "y": low[1], "width": high[0] - low[0], "height": high[1] - low[1], "rotation": 0}
        outline = {"points": (ring / size).tolist(), "polygonlabels": ["Brain"], "closed": True}
        values.append(outline if shape == "masks" else box | {"rectanglelabels": ["NT"]})
    name, kind = ("outline", "polygonlabels") if shape == "masks" else ("box", "rectanglelabels")
    common = {"from_name": name, "to_name": "image", "type": kind, "original_width": 800, "original_height": 540}
    result = [{"id": f"r{place}", "value": value, **common} for place, value in enumerate(values)]
    return [
        {"id": number, "data": {"image": f"{number}.png"}, "annotations": [{"id": number, "result": result}]}
        for number in range(frames)
    ]


def run_theirs(frames: int, shape: str, folder: Path) -> float:
    """Convert with Label Studio's Converter; return processor seconds."""
    from label_studio_sdk.converter import Converter

    source = folder / "tasks.json"
    source.write_text(json.dumps(tasks(frames, shape)))
    converter = Converter(config=CONFIG, project_dir=None, download_resources=False)
    return cpu_seconds(lambda: converter.convert_to_coco(str(source), str(folder / "theirs"), is_dir=False))


def run_ours(frames: int, shape: str, folder: Path, form: str, *, lazily: bool) -> float:
    """Export with this tool; return processor seconds."""
    given = entries(frames, shape) if lazily else list(entries(frames, shape))
    path = folder / "ours" / "annotations.json"
    return cpu_seconds(lambda: write_annotations(path, given, which="truth", masks=MaskForm(form)))


def cpu_seconds(call: Callable[[], object]) -> float:
    """Processor time of one call."""
    begun = time.process_time()
    call()
    return time.process_time() - begun


def in_a_process(*words: object) -> tuple[float, float]:
    """Run one exporter by itself: processor seconds and the peak memory of the process in MiB."""
    done = subprocess.run(
        [sys.executable, __file__, "--one", *map(str, words)], check=True, capture_output=True, text=True
    )
    seconds, peak = done.stdout.split()
    return float(seconds), float(peak)


def one(who: str, frames: int, shape: str, form: str, lazily: bool) -> None:
    """What `in_a_process` starts."""
    with tempfile.TemporaryDirectory() as folder:
        if who == "theirs":
            seconds = run_theirs(frames, shape, Path(folder))
        else:
            seconds = run_ours(frames, shape, Path(folder), form, lazily=lazily)
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=0, help="also export so many frames, to show the memory")
    parser.add_argument("--one", nargs=5, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        who, frames, shape, form, lazily = chosen.one
        one(who, int(frames), shape, form, lazily == "True")
        return
    os.environ["OMP_NUM_THREADS"] = "1"
    frames = chosen.frames
    for shape, form in (("boxes", "polygons"), ("masks", "rle")):
        theirs = min(in_a_process("theirs", frames, shape, form, False) for _ in range(2))
        ours = min(in_a_process("ours", frames, shape, form, False) for _ in range(3))
        _, peak = in_a_process("ours", frames, shape, form, True)
        what = "boxes" if shape == "boxes" else "outlines, as RLE"
        print(
            f"{frames} x {REGIONS} {what:17} Converter {theirs[0]:6.2f} s {theirs[1]:5.0f} MiB   "
            f"ours {ours[0]:6.2f} s {peak:5.0f} MiB   {theirs[0] / ours[0]:5.1f}x, memory {peak / theirs[1]:.2f}"
        )
    few = max(frames // 10, 1)
    seconds, _ = in_a_process("ours", few, "masks", "polygons", False)
    each = 1e3 * seconds / few / REGIONS
    print(f"{few} x {REGIONS} outlines, as lossless pixel-edge polygons: ours {seconds:.2f} s, {each:.2f} ms each")
    if chosen.large:
        seconds, peak = in_a_process("ours", chosen.large, "masks", "rle", True)
        print(
            f"{chosen.large} x {REGIONS} outlines, as RLE, records made on the way: {seconds:.1f} s, {peak:.0f} MiB"
        )


if __name__ == "__main__":
    main()
