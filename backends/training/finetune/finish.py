"""After the teaching: what the scores of a fine-tuned model mean, how it does on its validation split, its card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from annotator.files import write_atomically
from annotator.taxonomy import BRAIN_PLANES
from backends.embedded import EmbeddedBackend
from backends.embedded.model import load_model
from backends.training.calibrate import calibrate
from backends.training.data import Example
from backends.training.embedded import write_json
from backends.training.finetune.card import fine_tune_card
from backends.training.measure import measure

_OF_THE_PARENT = ("validation", "cross_validation")  # figures of other weights


def finish(
    out: Path,
    parent: Path,
    description: dict[str, Any],
    validation: Sequence[Example],
    least_for_calibration: int,
) -> dict[str, Any]:
    """Calibrate and measure the weights as stored where there are frames for it; write what is known of them."""
    description = {key: value for key, value in description.items() if key not in _OF_THE_PARENT}
    write_json(out / "model.json", description)
    fitted = _fitted_calibration(out, validation, least_for_calibration, description["fine_tuned"]["seed"])
    description["calibration"] = {**description["calibration"], **fitted}
    description["fine_tuned"]["calibrated"] = sorted(fitted)
    write_json(out / "model.json", description)
    if validation:
        figures = {
            name: measure(EmbeddedBackend(folder), validation) for name, folder in (("new", out), ("old", parent))
        }
        for figure in figures.values():
            figure.pop("milliseconds_per_frame")  # equal trainings give equal files
        description["fine_tuned"]["validation"] = figures
    write_json(out / "model.json", description)
    card = parent / "MODEL_CARD.md"
    text = fine_tune_card(description["fine_tuned"], card.read_text(encoding="utf-8") if card.is_file() else "")
    write_atomically(out / "MODEL_CARD.md", text.encode())
    return description


def _fitted_calibration(out: Path, validation: Sequence[Example], least: int, seed: int) -> dict[str, Any]:
    """The parts of the calibration that at least so many frames judge."""
    judges = {
        "head": sum(example.mask is not None for example in validation),
        "boxes": sum(bool(example.boxes) for example in validation),
        "view_temperature": sum(example.kind is not None for example in validation),
        "plane_temperature": sum(example.plane in BRAIN_PLANES for example in validation),
    }
    enough = [part for part, count in judges.items() if count >= least]
    if not enough:
        return {}
    calibration = calibrate(load_model(out), validation, (), seed)
    return {part: calibration[part] for part in enough}
