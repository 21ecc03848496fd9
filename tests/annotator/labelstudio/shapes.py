"""A finding of every shape that can be sent, for the tests that meet the real Label Studio."""

from annotator.geometry import ellipse_to_box_xyxy, ellipse_to_mask, mask_to_rle
from annotator.schema import Ellipse, Finding, Frame, Keypoint, Prediction, RotatedBox
from annotator.store import Store
from tests.builders import a_finding, a_mask, a_masked_finding, a_model

SIZE_WH = (400, 300)
HEAD = Ellipse(cx=200, cy=150, rx=110, ry=90, angle_deg=20)


def every_shape() -> tuple[Finding, ...]:
    """Ellipse, mask with a hole and a lone pixel, turned box, box, points; in frames of SIZE_WH."""
    head = ellipse_to_mask(HEAD, SIZE_WH)
    head[150, 200] = False
    organ = a_mask(SIZE_WH, (20, 20, 90, 80))
    organ[30:40, 30:40] = False
    organ[250, 390] = True
    points = (Keypoint(name="crown", x=30, y=200), Keypoint(name="rump", x=300.5, y=220, visibility=1))
    turned = RotatedBox(cx=300, cy=80, width=60.5, height=30.25, angle_deg=25)
    return (
        a_finding("Brain", ellipse_to_box_xyxy(HEAD), ellipse=HEAD, mask_rle=mask_to_rle(head), score=0.9),
        a_masked_finding(organ, "liver", score=0.8),
        a_finding("LV", (260, 50, 340, 110), rotated_box=turned, score=0.7),
        a_finding("CSP", (10.5, 20.25, 60.125, 70.0)),
        a_finding("CRL_KP", (30, 200, 300.5, 220), keypoints=points, score=0.6),
    )


def predict_every_shape(store: Store, frames: list[Frame], model_version: str = "embedded-1") -> None:
    """Put a prediction of every shape for each frame into the store."""
    plane = {"plane": "Trans-thalamic", "plane_score": 0.9}
    predictions = [
        Prediction(frame_id=frame.frame_id, model_version=model_version, findings=every_shape(), **plane)
        for frame in frames
    ]
    store.add_model_version(a_model(model_version))
    with store.writing() as connection:
        store.add_predictions(connection, predictions)
