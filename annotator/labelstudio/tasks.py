"""What a task says of its frame, and what the context of a smart tool asks for. All of it comes from outside."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from annotator.labelstudio.drawn import read_region
from annotator.schema import Frame, Prompt, PromptPoint

SIMULATED = "SIMULATED FRAME - not a patient"
_FRAME_ID = re.compile(r"[0-9a-f]{32}")
_IMAGE_PATH = re.compile(r"images/([0-9a-f]{2})/(([0-9a-f]{2})[0-9a-f]{30})\.png")


def task_data(frame: Frame) -> dict[str, Any]:
    """Return the `data` of a frame's task: the image's address, the frame's id, and what the reader should see."""
    return {
        "image": image_url(frame.frame_id),
        "frame_id": frame.frame_id,
        "simulated": SIMULATED if frame.simulated else "",
        "source_file": frame.source_file,
        "split": frame.split or "",
    }


def image_url(frame_id: str) -> str:
    """Return the address under which Label Studio serves a frame from the workspace's `frames` folder."""
    return f"/data/local-files/?d=images/{frame_id[:2]}/{frame_id}.png"


def frame_id_from_task(task: Any) -> str | None:
    """Return the frame that a task shows, or None.

    `data.frame_id` counts where it looks like one; else the image's address, if it is one of ours, relative, and
    exactly `/data/local-files/?d=images/aa/<frame_id>.png`.
    """
    data = task.get("data") if isinstance(task, Mapping) else None
    if not isinstance(data, Mapping):
        return None
    named = data.get("frame_id")
    if isinstance(named, str) and _FRAME_ID.fullmatch(named):
        return named
    return _frame_id_of_url(data.get("image"))


def _frame_id_of_url(url: Any) -> str | None:
    if not isinstance(url, str) or len(url) > 2000:
        return None
    try:
        parts = urlsplit(url)
        wanted = parse_qs(parts.query, strict_parsing=True)
    except ValueError:
        return None
    if parts.scheme or parts.netloc or parts.fragment or parts.path != "/data/local-files/" or set(wanted) != {"d"}:
        return None
    found = _IMAGE_PATH.fullmatch(wanted["d"][0]) if len(wanted["d"]) == 1 else None
    return found[2] if found and found[1] == found[3] else None


def prompt_from_context(context: Any, frame: Frame) -> Prompt | None:
    """Return what a smart tool points at, or None where the context holds no usable prompt.

    Older regions come first: keypoints that carry `is_positive` are clicks (Alt+click: negative); else the last
    region is the prompt. A smart rectangle carries no such key.
    """
    regions = context.get("result") if isinstance(context, Mapping) else None
    if not isinstance(regions, Sequence) or isinstance(regions, str):
        return None
    regions = [region for region in regions if isinstance(region, Mapping)]
    clicks = [region for region in regions if isinstance(region.get("is_positive"), bool)]
    drawn = [one for region in clicks or regions[-1:] if (one := _read(region, frame)) is not None]
    if not drawn:
        return None
    structure = drawn[-1][0].structure
    same = [(one, positive) for one, positive in drawn if one.structure == structure]
    points = tuple(
        PromptPoint(x=one.shape.point_xy[0], y=one.shape.point_xy[1], positive=positive)
        for one, positive in same
        if one.shape.point_xy is not None
    )
    boxes = [one.shape.box_xyxy for one, _ in same if one.kind == "rectanglelabels"]
    if not boxes and not any(point.positive for point in points):
        return None
    return Prompt(structure=structure, points=points, box_xyxy=boxes[-1] if boxes else None)


def _read(region: Mapping[str, Any], frame: Frame) -> Any:
    """A drawn point or box with whether it is positive; None for anything that is no prompt."""
    try:
        one = read_region(region, frame)
    except ValueError:
        return None
    if one.kind not in ("keypointlabels", "rectanglelabels"):
        return None
    return one, region.get("is_positive") is not False
