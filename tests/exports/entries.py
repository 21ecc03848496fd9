"""Frames with findings of every kind, and their image files, for tests of exports."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.frames import save_pixels
from annotator.schema import Finding, Keypoint
from exports.entries import Entry
from tests.builders import a_correction, a_finding, a_frame, a_masked_finding, some_pixels

SIZE_WH = (64, 48)


def a_disc(x: float, y: float, radius: float) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[: SIZE_WH[1], : SIZE_WH[0]]
    return np.asarray(np.hypot(rows - y, columns - x) < radius)


def some_findings(seed: int) -> tuple[Finding, ...]:
    """A head, a ring with a hole, two parts, boxes, and keypoints; places differ with the seed."""
    x = 20.0 + seed % 5
    return (
        a_masked_finding(a_disc(x, 20, 12)),
        a_masked_finding(a_disc(x + 15, 24, 11) & ~a_disc(x + 15, 24, 5), "thorax"),
        a_masked_finding(a_disc(8, 8, 4) | a_disc(50, 40, 5), "liver"),
        a_finding("CSP", (x, 10.25, x + 7.5, 20.0), score=0.5),
        a_finding("NT", (1.0, 2.0, 9.0, 5.0)),
        a_finding(
            "CRL_KP",
            (3.0, 4.0, 30.0, 40.0),
            keypoints=(Keypoint(name="crown", x=3, y=4), Keypoint(name="rump", x=30, y=40)),
        ),
    )


def some_entries(
    folder: Path, count: int = 6, splits: Sequence[str] = ("train", "val", "test"), **said: Any
) -> tuple[list[Entry], dict[str, Path]]:
    entries, paths = [], {}
    for seed in range(count):
        frame = a_frame(
            seed, f"f{seed}.png", SIZE_WH, subject=f"s{seed}", split=splits[seed % len(splits)], source="made up"
        )
        paths[frame.frame_id] = folder / "stored" / f"{frame.frame_id}.png"
        save_pixels(some_pixels(seed, SIZE_WH), paths[frame.frame_id])
        said.setdefault("plane", "Trans-thalamic")
        entries.append(Entry(frame, a_correction(frame, findings=some_findings(seed), **said)))
    return entries, paths
