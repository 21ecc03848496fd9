"""Head circumference: measured against ellipses of known size, and against the sonographer's in HC18.

python benchmarks/head_circumference.py [--data DIR]

DIR holds the HC18 training data as COCO-like `annotations.json` (pixel_spacing_mm_row_col, source_pixel_size_mm,
reference_head_circumference_mm and mask_file for every image) beside its masks. HC18's masks are outlines filled
to the outer edge of the drawn line; its half width is worked out on the training split and judged on the other.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from annotator.biometry import MeasureName, measure
from annotator.biometry.ellipses import circumference, scaled
from annotator.geometry import ellipse_to_mask, mask_to_rle, rle_to_box_xyxy
from annotator.schema import Ellipse, Finding


def head(mask: NDArray[np.bool_]) -> Finding:
    """A skull outlined by a mask."""
    rle = mask_to_rle(mask)
    return Finding(structure="Brain", box_xyxy=rle_to_box_xyxy(rle), mask_rle=rle)


def hc_mm(finding: Finding, spacing_mm: tuple[float, float], outline_width_mm: float = 0.0) -> float:
    """Measured HC; SystemExit where there is none."""
    biometry = measure([finding], spacing_mm, outline_width_mm=outline_width_mm)
    found = biometry.find(MeasureName.HC)
    if found is None:
        raise SystemExit(f"no HC: {biometry.reason(MeasureName.HC)}")
    return found.value


def clean_errors_mm(count: int, *, square: bool) -> NDArray[np.float64]:
    """Errors on ellipses of any size, angle and sub-pixel centre at 0.05 to 0.33 mm a pixel."""
    rng = np.random.default_rng(18)
    errors = []
    for _ in range(count):
        column_mm = rng.uniform(0.05, 0.33)
        row_mm = column_mm if square else column_mm * rng.uniform(0.6, 1.6)
        rx = rng.uniform(60, 185)
        ellipse = Ellipse(
            cx=rng.uniform(200, 201) + 200,
            cy=rng.uniform(200, 201),
            rx=rx,
            ry=rx * rng.uniform(0.7, 0.95),
            angle_deg=rng.uniform(-90, 90),
        )
        true_mm = circumference(scaled(ellipse, column_mm, row_mm))
        if 60 < true_mm < 400:
            errors.append(hc_mm(head(ellipse_to_mask(ellipse, (800, 400))), (row_mm, column_mm)) - true_mm)
    return np.array(errors)


def report(what: str, errors_mm: NDArray[np.float64]) -> None:
    """Print bias, mean absolute and largest error."""
    sizes = np.abs(errors_mm)
    figures = f"bias {errors_mm.mean():+.3f}  MAE {sizes.mean():.3f}  max {sizes.max():.3f} mm"
    print(f"{what:58} n {len(sizes):4}  {figures}")


def report_hc18(folder: Path) -> None:
    """Compare with the published HC, the masks taken as they are and less half of the drawn line."""
    images = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))["images"]
    split = np.array([image["split"] for image in images])
    published = np.array([image["reference_head_circumference_mm"] for image in images])
    source_px_mm = np.array([image["source_pixel_size_mm"] for image in images])
    heads = [head(cv2.imread(str(folder / image["mask_file"]), cv2.IMREAD_GRAYSCALE) > 0) for image in images]
    spacings = [tuple(image["pixel_spacing_mm_row_col"]) for image in images]
    raw = np.array([hc_mm(*pair) for pair in zip(heads, spacings, strict=True)]) - published
    report("HC18, masks as they are", raw)
    half_px = float(np.median((raw / source_px_mm)[split == "train"])) / (2 * np.pi)
    widths_mm = 2 * half_px * source_px_mm
    print(f"{'half of the drawn line, from the training split':58} {half_px:.3f} px of the original image")
    inner = np.array([hc_mm(*all_three) for all_three in zip(heads, spacings, widths_mm, strict=True)]) - published
    report("HC18, less half of the drawn line, training split", inner[split == "train"])
    report("HC18, less half of the drawn line, other split", inner[split != "train"])


def main() -> None:
    """Print one line a comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of the HC18 training data")
    folder = parser.parse_args().data
    report("clean ellipses, square pixels", clean_errors_mm(1000, square=True))
    report("clean ellipses, pixels of any shape", clean_errors_mm(1000, square=False))
    if folder is not None:
        report_hc18(folder)


if __name__ == "__main__":
    main()
