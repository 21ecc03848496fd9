"""The embedded backend with the weights that ship: any frame gets a valid answer, simulated heads are found."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from annotator.errors import BackendError
from annotator.frames import FrameFacts, make_frame
from annotator.geometry import dice, ellipse_to_mask, rle_to_mask
from annotator.phantom import PhantomFrame, simulate_frame
from annotator.schema import LoadedFrame, Prompt, PromptPoint
from annotator.taxonomy import BRAIN_PLANES, OTHER_PLANE
from backends.embedded import SHIPPED_WEIGHTS, EmbeddedBackend
from tests.builders import some_pixels


@pytest.fixture(scope="module")
def backend() -> EmbeddedBackend:
    torch.set_num_threads(1)
    return EmbeddedBackend()


@pytest.fixture(scope="module")
def phantom() -> PhantomFrame:
    return simulate_frame("Trans-thalamic", seed=3)


def loaded(pixels: np.ndarray) -> LoadedFrame:
    return LoadedFrame(make_frame(pixels, "frame.png", FrameFacts()), pixels)


@pytest.mark.parametrize(
    ("size_wh", "colour"),
    [((16, 16), False), ((1, 1), False), ((4000, 3000), True), ((3000, 20), False), ((20, 3000), True)],
)
def test_a_frame_of_any_size_and_shape_is_answered_within_its_own_pixels(
    backend: EmbeddedBackend, size_wh: tuple[int, int], colour: bool
) -> None:
    (prediction,) = backend.predict([loaded(some_pixels(1, size_wh, colour=colour))])
    assert prediction.plane is not None
    for finding in prediction.findings:
        x_min, y_min, x_max, y_max = finding.box_xyxy
        assert 0 <= x_min < x_max <= size_wh[0]
        assert 0 <= y_min < y_max <= size_wh[1]
        assert finding.score is not None


@pytest.mark.parametrize("level", [0, 90, 255])
def test_a_blank_frame_holds_nothing(backend: EmbeddedBackend, level: int) -> None:
    (prediction,) = backend.predict([loaded(np.full((346, 512), level, np.uint8))])
    assert prediction.findings == ()
    assert prediction.plane == OTHER_PLANE


def test_a_simulated_head_is_outlined_with_an_ellipse_and_its_mask(
    backend: EmbeddedBackend, phantom: PhantomFrame
) -> None:
    (prediction,) = backend.predict([loaded(phantom.pixels)])
    (head,) = (finding for finding in prediction.findings if finding.structure == "Brain")
    assert phantom.head is not None
    assert head.mask_rle is not None
    size_wh = phantom.pixels.shape[1], phantom.pixels.shape[0]
    assert dice(rle_to_mask(head.mask_rle), ellipse_to_mask(phantom.head, size_wh)) > 0.9
    assert prediction.plane in BRAIN_PLANES


def test_a_frame_gets_the_same_answer_alone_in_a_batch_and_in_colour(
    backend: EmbeddedBackend, phantom: PhantomFrame
) -> None:
    profile = simulate_frame("First-trimester mid-sagittal", seed=4).pixels
    frames = [loaded(pixels) for pixels in (phantom.pixels, profile, np.dstack([phantom.pixels] * 3))]
    alone = [backend.predict([frame])[0] for frame in frames]
    answers = [
        [(f.structure, f.box_xyxy, f.mask_rle, f.score) for f in p.findings] + [(p.plane, p.plane_score)]
        for p in [*alone, *backend.predict(frames)]
    ]
    assert answers[:3] == answers[3:]
    assert answers[0] == answers[2]


def test_a_click_inside_the_head_outlines_it_and_a_click_outside_does_not(
    backend: EmbeddedBackend, phantom: PhantomFrame
) -> None:
    assert phantom.head is not None
    inside, outside = PromptPoint(x=phantom.head.cx, y=phantom.head.cy), PromptPoint(x=2, y=2)
    (head,) = backend.prompt(loaded(phantom.pixels), Prompt(structure="Brain", points=(inside,)))
    assert head.ellipse is not None
    assert head.ellipse.cx == pytest.approx(phantom.head.cx, abs=0.1 * phantom.head.rx)
    assert backend.prompt(loaded(phantom.pixels), Prompt(structure="Brain", points=(outside,))) == []


def test_a_rectangle_around_the_head_outlines_it_and_one_elsewhere_does_not(
    backend: EmbeddedBackend, phantom: PhantomFrame
) -> None:
    assert phantom.head is not None
    cx, cy, reach = phantom.head.cx, phantom.head.cy, phantom.head.rx
    around = (cx - reach, cy - reach, cx + reach, cy + reach)
    (head,) = backend.prompt(loaded(phantom.pixels), Prompt(structure="Brain", box_xyxy=around))
    assert head.ellipse is not None
    assert head.ellipse.cx == pytest.approx(cx, abs=0.1 * reach)
    for elsewhere in ((0.0, 0.0, 12.0, 9.0), (-90.0, -90.0, -10.0, -10.0), (5.0, 5.0, 5.0, 5.0)):
        assert backend.prompt(loaded(phantom.pixels), Prompt(structure="Brain", box_xyxy=elsewhere)) == []


def test_it_cannot_be_prompted_for_what_it_does_not_know(backend: EmbeddedBackend, phantom: PhantomFrame) -> None:
    click = Prompt(structure="cardiac", points=(PromptPoint(x=200, y=150),))
    assert backend.prompt(loaded(phantom.pixels), click) == []


def test_the_shipped_weights_are_small_and_carry_their_attribution() -> None:
    weights = [path for path in SHIPPED_WEIGHTS.iterdir() if path.suffix == ".safetensors"]
    assert sum(path.stat().st_size for path in weights) <= 8_000_000
    card = (SHIPPED_WEIGHTS / "MODEL_CARD.md").read_text(encoding="utf-8")
    for words in ("CC BY 4.0", "van den Heuvel", "Cui, Dong", "Burgos-Artizzu", "not for clinical use"):
        assert words in card


def test_the_version_is_named_after_its_content(backend: EmbeddedBackend, tmp_path: Path) -> None:
    copy = shutil.copytree(SHIPPED_WEIGHTS, tmp_path / "copy")
    assert EmbeddedBackend(copy).model == backend.model
    settings = json.loads((copy / "model.json").read_text())
    (copy / "model.json").write_text(json.dumps(settings | {"note": "another"}))
    assert EmbeddedBackend(copy).model.name != backend.model.name


@pytest.mark.parametrize("hurt", ["missing folder", "missing weights", "cut weights", "old format", "no JSON"])
def test_weights_that_cannot_be_used_say_so_in_one_line(tmp_path: Path, hurt: str) -> None:
    folder = tmp_path / "weights"
    if hurt != "missing folder":
        shutil.copytree(SHIPPED_WEIGHTS, folder)
    if hurt == "missing weights":
        (folder / "head.safetensors").unlink()
    if hurt == "cut weights":
        (folder / "boxes.safetensors").write_bytes((SHIPPED_WEIGHTS / "boxes.safetensors").read_bytes()[:5000])
    if hurt == "old format":
        (folder / "model.json").write_text('{"format": 0}')
    if hurt == "no JSON":
        (folder / "model.json").write_text("weights")
    with pytest.raises(BackendError, match="cannot be loaded") as failure:
        EmbeddedBackend(folder)
    assert "\n" not in str(failure.value)
