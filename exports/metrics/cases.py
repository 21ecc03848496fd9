"""What is compared: one frame, its reference, and what a model said of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from annotator import taxonomy
from annotator.errors import InputError
from annotator.schema import Correction, Finding, Frame, Prediction


@dataclass(frozen=True)
class Case:
    """One frame with its reference and what the model said; None where the model failed on it."""

    frame: Frame
    truth: Correction
    prediction: Prediction | None

    @property
    def unit(self) -> str:
        """What is resampled: the subject, else the group of near-duplicates, else the frame."""
        return self.frame.subject or self.frame.group or self.frame.frame_id

    @property
    def key(self) -> tuple[str, str]:
        """What two runs are paired by: the frame, and the reader whose reference it is."""
        return self.frame.frame_id, self.truth.reader

    @property
    def said(self) -> tuple[Finding, ...]:
        """The findings of the prediction; none where the model failed."""
        return self.prediction.findings if self.prediction else ()


def checked(cases: Sequence[Case]) -> list[Case]:
    """The cases in order of frame and reader, so that no figure depends on the order in which they came.

    InputError where a frame comes twice with one reader's reference, where the reference or the prediction is of
    another frame, or where a mask of the reference is not of its frame's size.
    """
    seen: set[tuple[str, str]] = set()
    for case in cases:
        frame = case.frame
        if case.key in seen:
            raise InputError(
                f"frame {frame.frame_id} comes twice with the reference of {case.truth.reader}; give each once"
            )
        seen.add(case.key)
        others = {case.truth.frame_id, case.prediction.frame_id if case.prediction else frame.frame_id}
        if others != {frame.frame_id}:
            raise InputError(f"frame {frame.frame_id} is compared with what was said of {sorted(others)}")
        for item in misfits(frame, case.truth.findings):
            assert item.mask_rle is not None
            height, width = item.mask_rle.size_hw
            raise InputError(
                f"frame {frame.frame_id} is {frame.width} x {frame.height}, but the reference's mask of "
                f"{item.structure} is {width} x {height}; draw it on the frame as it is stored"
            )
    return sorted(cases, key=lambda case: case.key)


def misfits(frame: Frame, findings: Iterable[Finding]) -> list[Finding]:
    """Findings whose mask is not of the frame's size: nothing can be said of their pixels."""
    size_hw = (frame.height, frame.width)
    return [item for item in findings if item.mask_rle is not None and item.mask_rle.size_hw != size_hw]


def masked(case: Case, findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    """Findings with a mask of the frame's size, by structure; a mask of another size counts as none."""
    found: dict[str, list[Finding]] = {}
    for item in findings:
        if item.mask_rle is not None and item.mask_rle.size_hw == (case.frame.height, case.frame.width):
            found.setdefault(item.structure, []).append(item)
    return found


def boxed(findings: Iterable[Finding]) -> list[Finding]:
    """Findings that are judged by their box: all but those of structures that are points."""
    return [item for item in findings if taxonomy.Kind.KEYPOINTS not in taxonomy.structure(item.structure).kinds]


def pointed(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    """Findings with keypoints, by structure."""
    found: dict[str, list[Finding]] = {}
    for item in findings:
        if item.keypoints:
            found.setdefault(item.structure, []).append(item)
    return found


def in_taxonomy_order(names: Iterable[str]) -> list[str]:
    """Structure names, each once, by COCO id."""
    return sorted(set(names), key=lambda name: taxonomy.structure(name).coco_id)
