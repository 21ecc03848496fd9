"""The embedded backend: small networks, trained from scratch, for a laptop without a GPU; see MODEL_CARD.md."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from annotator.geometry import clip_box_xyxy, ellipse_to_mask, mask_to_rle, rle_to_box_xyxy
from annotator.schema import Finding, LoadedFrame, ModelVersion, ParseIssue, Prediction, Prompt
from annotator.taxonomy import FIRST_TRIMESTER_PLANE, OTHER_PLANE
from backends.embedded.boxes import BoxReading
from backends.embedded.framing import Gray, to_gray
from backends.embedded.head import HeadOutline
from backends.embedded.model import HeadReading, content_hash, load_model
from backends.embedded.prompt import head_at_prompt
from backends.embedded.scores import Calibration
from backends.embedded.views import disagreement_of_views

SHIPPED_WEIGHTS = Path(__file__).parent.parent / "weights"
HEAD = "Brain"


class EmbeddedBackend:
    """Plane, head and first-trimester boxes of a frame, on the processor.

    A frame that is taken for a first-trimester profile gets boxes, any other a head where there is one: in a
    profile nobody measures the head circumference.
    """

    name = "embedded"

    def __init__(self, folder: Path = SHIPPED_WEIGHTS, *, threads: int = 1) -> None:
        self._model = load_model(folder)
        # Frames side by side, one thread each: threads within an operation wait for each other on a busy machine.
        self._pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
        self._calibration = Calibration.from_settings(self._model.settings["calibration"])
        digest, origin = content_hash(folder), self._model.settings.get("fine_tuned", {})
        self.model = ModelVersion(
            name=f"{self.name}-{digest[:8]}",
            backend=self.name,
            base="fine-tuned" if origin else "trained from scratch",
            content_hash=digest,
            parent=origin.get("parent", {}).get("name"),
        )

    @property
    def structures(self) -> tuple[str, ...]:
        """The structures it draws boxes around."""
        return tuple(self._model.settings["boxes"]["structures"])

    def predict(self, batch: Sequence[LoadedFrame]) -> list[Prediction]:
        """Return one Prediction a frame; a frame's answer does not depend on the others in the batch."""
        return list(self._pool.map(self._predict_one, batch))

    def look_for(self, loaded: LoadedFrame, detect: Sequence[str], segment: Sequence[str]) -> Prediction:
        """Return the findings among those that it knows; what it was never trained on is named as an issue."""
        prediction = self._predict_one(loaded)
        chosen = {*detect, *segment}
        unknown = sorted(chosen - {*self.structures, HEAD})
        issues = tuple(ParseIssue(phase="detect", reason="not_known_to_model", excerpt=name) for name in unknown)
        return prediction.model_copy(
            update={
                "findings": tuple(item for item in prediction.findings if item.structure in chosen),
                "asked_for": {"detect": tuple(detect), "segment": tuple(segment)},
                "issues": issues,
            }
        )

    def prompt(self, loaded: LoadedFrame, prompt: Prompt) -> list[Finding]:
        """Outline the head that the prompt points at; nothing for other structures, or where no head fits."""
        if prompt.structure != HEAD:
            return []
        gray = to_gray(loaded.pixels)
        outline = head_at_prompt(self._model, gray, prompt)
        return self._head_findings(outline, gray, least=0.0)

    def embed(self, batch: Sequence[LoadedFrame]) -> NDArray[np.float32]:
        """(N, D) features of frames, for the choice of what to label next: near ones look alike to the network."""
        rows = list(self._pool.map(lambda loaded: self._model.embed(to_gray(loaded.pixels)), batch))
        return np.stack(rows) if rows else np.zeros((0, 0), np.float32)

    def disagreement(self, loaded: LoadedFrame) -> float:
        """0..1: how far the answers to slightly changed views of a frame differ from the answer to the frame."""
        return disagreement_of_views(self._predict_one, loaded)

    def _predict_one(self, loaded: LoadedFrame) -> Prediction:
        started = time.perf_counter()
        gray = to_gray(loaded.pixels)
        reading = self._model.read_head(gray)
        headed = time.perf_counter()
        plane, plane_score = self._plane(gray, reading)
        named = time.perf_counter()
        if plane == FIRST_TRIMESTER_PLANE:
            findings = self._box_findings(self._model.read_boxes(gray), gray)
        else:
            findings = self._head_findings(reading.outline, gray, self._calibration.least_head_score)
        seconds = {"head": headed - started, "plane": named - headed, "findings": time.perf_counter() - named}
        return Prediction(
            frame_id=loaded.frame.frame_id,
            model_version=self.model.name,
            findings=tuple(findings),
            plane=plane,
            plane_score=plane_score,
            seconds=seconds,
        )

    def _head_findings(self, outline: HeadOutline | None, gray: Gray, least: float) -> list[Finding]:
        if outline is None:
            return []
        score = self._calibration.head_score(outline.agreement)
        mask = ellipse_to_mask(outline.ellipse, (gray.shape[1], gray.shape[0]))
        if score < least or not mask.any():
            return []
        rle = mask_to_rle(mask)
        box = rle_to_box_xyxy(rle)
        return [Finding(structure=HEAD, box_xyxy=box, mask_rle=rle, ellipse=outline.ellipse, score=score)]

    def _plane(self, gray: Gray, reading: HeadReading) -> tuple[str, float]:
        views = self._calibration.view_probabilities(reading.view_logits)
        view = self._model.settings["head"]["views"][int(views.argmax())]
        if view != "brain":
            return (FIRST_TRIMESTER_PLANE if view == "first_trimester" else OTHER_PLANE), float(views.max())
        ellipse = None if reading.outline is None else reading.outline.ellipse
        planes = self._calibration.plane_probabilities(self._model.read_plane(gray, ellipse))
        return self._model.settings["planes"]["planes"][int(planes.argmax())], float(views.max() * planes.max())

    def _box_findings(self, readings: Sequence[BoxReading], gray: Gray) -> list[Finding]:
        findings = []
        for reading in readings:
            score = self._calibration.box_score(reading.structure, reading.heat)
            box = clip_box_xyxy(reading.box_xyxy, (gray.shape[1], gray.shape[0]))
            if score >= self._calibration.least_box_score and box[2] > box[0] and box[3] > box[1]:
                findings.append(Finding(structure=reading.structure, box_xyxy=box, score=score))
        return findings
