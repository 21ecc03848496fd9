"""A study of simulated frames that looks like one of a hospital: plausible outlines and texts of three versions."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from annotator.frames import FrameFacts, make_frame, save_pixels
from annotator.geometry import ellipse_to_mask, mask_to_rle, rle_to_box_xyxy
from annotator.phantom import PhantomFrame, simulate_frame
from annotator.schema import Ellipse, Finding, Frame, Interpretation, Prediction
from annotator.store import Store
from annotator.studies import Study
from tests.builders import a_model, a_prediction
from tests.review.reading import VERSIONS, a_study

BRAIN_PLANES = ("Trans-thalamic", "Trans-ventricular", "Trans-cerebellum")
_NAMES = {
    "Trans-thalamic": "Transthalamic plane",
    "Trans-ventricular": "Transventricular plane",
    "Trans-cerebellum": "Transcerebellar plane",
}


def a_phantom_study(
    store: Store, count: int, *, first_seed: int = 0, versions: Sequence[str] = VERSIONS, **wish: Any
) -> Study:
    """A study of `count` simulated heads, each predicted by every version."""
    phantoms = [simulate_frame(BRAIN_PLANES[at % 3], seed=first_seed + at) for at in range(count)]
    frames = [_frame(store, phantom, first_seed + at) for at, phantom in enumerate(phantoms)]
    store.add_frames(frames)
    for version in versions:
        store.add_model_version(a_model(version, "fada"))
    rng = np.random.default_rng(first_seed)
    predictions = [
        _predicted(frame, phantom, version, at * 0.02, rng)
        for frame, phantom in zip(frames, phantoms, strict=True)
        for at, version in enumerate(versions)
    ]
    with store.writing() as connection:
        store.add_predictions(connection, predictions)
    return a_study(store, frames, versions=versions, predicted=True, **wish)


def _frame(store: Store, phantom: PhantomFrame, seed: int) -> Frame:
    facts = FrameFacts(
        source="simulated",
        subject=f"simulated-{seed}",
        pixel_spacing_mm=(phantom.pixel_spacing_mm,) * 2,
        simulated=True,
    )
    frame = make_frame(phantom.pixels, f"simulated_{seed:03}.png", facts)
    save_pixels(phantom.pixels, store.image_path(frame.frame_id))
    return frame


def _predicted(
    frame: Frame, phantom: PhantomFrame, version: str, stray: float, rng: np.random.Generator
) -> Prediction:
    head = phantom.head
    assert head is not None
    changes = {name: value * (1 + rng.normal(0, stray / 2)) for name, value in head.model_dump().items()}
    outline = Ellipse(**changes)
    mask = mask_to_rle(ellipse_to_mask(outline, frame.size_wh))
    box = rle_to_box_xyxy(mask)
    findings = [Finding(structure="Brain", box_xyxy=box, mask_rle=mask, ellipse=outline, score=0.93)]
    for name, (left, top, right, bottom) in phantom.boxes_xyxy.items():
        slip = rng.normal(0, 60 * stray, 2)
        moved = (left + slip[0], top + slip[1], right + slip[0], bottom + slip[1])
        findings.append(Finding(structure=name, box_xyxy=moved, score=0.8))
    return a_prediction(
        frame,
        version,
        findings=tuple(findings),
        plane=phantom.plane,
        interpretation=some_words(phantom, round(50 * stray)),
        mapping_tier="imaging plane",
        mapping_evidence=(f"imaging_plane: {_NAMES[phantom.plane].lower()}",),
        asked_for={"detect": ("Brain", "CSP", "LV"), "segment": ("Brain",)},
    )


def some_words(phantom: PhantomFrame, off: int = 0) -> Interpretation:
    """What a model writes about a head; each `off` is a week, and another wording."""
    assert phantom.head is not None
    width_mm = 2 * phantom.head.ry * phantom.pixel_spacing_mm
    weeks = 10 + off + width_mm / 5.2
    quality = (
        "Good. Near-field reverberation hides part of the proximal hemisphere.",
        "Adequate for biometry; the near hemisphere is blurred.",
        "Good throughout.",
    )
    advice = (
        "Complete the standard planes of the head; measure HC with calipers.",
        "Routine follow-up.",
        "Measure HC and BPD with calipers and compare with the dates.",
    )
    return Interpretation(
        anatomical_structures="Calvarium, midline echo, cavum septi pellucidi, thalami, lateral ventricles.",
        fetal_orientation="Axial section of the head, occiput to the right of the frame.",
        imaging_plane=f"{_NAMES[phantom.plane]}, axial",
        biometric_measurements=f"BPD about {width_mm:.0f} mm, outer to outer. No calipers are in the frame.",
        gestational_age=f"About {weeks:.0f} weeks by head size alone.",
        image_quality=quality[off % 3],
        normality_assessment="No abnormality is seen in this plane.",
        clinical_recommendations=advice[off % 3],
    )
