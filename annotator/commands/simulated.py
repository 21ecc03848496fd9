"""Simulated frames as frames of the workspace, with what is known of them as their reference."""

from collections.abc import Iterator

from annotator.frames import FrameFacts, Pixels, make_frame
from annotator.geometry import ellipse_to_mask, mask_to_rle, rle_to_box_xyxy
from annotator.phantom import PhantomFrame, simulate_set
from annotator.schema import Correction, Finding, Frame, Origin

SOURCE = "simulated"


def simulated_frames(count: int, seed: int) -> Iterator[tuple[Pixels, Frame, Correction]]:
    """Yield pixels, the frame and its reference; every record says that it is simulated."""
    for number, phantom in enumerate(simulate_set(count, seed=seed), 1):
        facts = FrameFacts(
            source=SOURCE,
            subject=f"simulated-{seed}-{number:03}",
            split="simulated",
            pixel_spacing_mm=(phantom.pixel_spacing_mm, phantom.pixel_spacing_mm),
            simulated=True,
        )
        frame = make_frame(phantom.pixels, f"simulated_{number:03}.png", facts)
        yield phantom.pixels, frame, _reference(frame, phantom)


def _reference(frame: Frame, phantom: PhantomFrame) -> Correction:
    findings = [
        Finding(structure=name, box_xyxy=box, origin=Origin.MANUAL) for name, box in phantom.boxes_xyxy.items()
    ]
    if phantom.head is not None:
        mask = mask_to_rle(ellipse_to_mask(phantom.head, frame.size_wh))
        box = rle_to_box_xyxy(mask)
        head = Finding(structure="Brain", box_xyxy=box, mask_rle=mask, ellipse=phantom.head, origin=Origin.MANUAL)
        findings.insert(0, head)
    return Correction(
        frame_id=frame.frame_id,
        reader=f"reference:{SOURCE}",
        is_truth=True,
        findings=tuple(findings),
        plane=phantom.plane,
        external_id=f"truth:{frame.frame_id}",
        external_updated_at="1",
    )
