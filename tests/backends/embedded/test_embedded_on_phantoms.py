"""The demo must show the model at work: on its simulated frames the model finds what was drawn."""

from annotator import taxonomy
from annotator.commands.simulated import simulated_frames
from annotator.geometry import dice, rle_to_mask
from annotator.schema import Finding, LoadedFrame
from backends.opening import BackendChoice, open_backend


def heads(findings: tuple[Finding, ...]) -> list[Finding]:
    return [finding for finding in findings if finding.structure == "Brain"]


def test_every_simulated_head_is_outlined_with_dice_0_9_and_every_kind_of_frame_is_told() -> None:
    simulated = list(simulated_frames(24, seed=0))
    model = open_backend(BackendChoice(), threads=2)
    predictions = model.predict([LoadedFrame(frame, pixels) for pixels, frame, _ in simulated])
    for prediction, (_, frame, truth) in zip(predictions, simulated, strict=True):
        assert frame.simulated
        assert prediction.plane is not None
        assert truth.plane is not None
        assert taxonomy.view(prediction.plane).family == taxonomy.view(truth.plane).family
        for drawn in heads(truth.findings):
            (found,) = heads(prediction.findings)
            assert drawn.mask_rle is not None
            assert found.mask_rle is not None
            assert dice(rle_to_mask(found.mask_rle), rle_to_mask(drawn.mask_rle)) >= 0.9
