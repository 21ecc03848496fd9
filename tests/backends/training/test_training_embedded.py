"""Training the embedded model on a handful of made frames: reproducible, resumable, honest about bad data."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.random import Generator
from torch import Tensor, nn

from annotator.errors import AnnotatorError, BackendError, InputError
from annotator.geometry import ellipse_to_mask
from annotator.schema import Ellipse, Finding, Prediction
from annotator.taxonomy import BRAIN_PLANES
from backends.embedded import EmbeddedBackend
from backends.embedded.framing import letterbox
from backends.embedded.model import WEIGHT_FILES
from backends.training.augment import Jitter, jittered, varied
from backends.training.box_task import STRUCTURES, BoxSettings
from backends.training.data import Example, load_examples
from backends.training.embedded import EmbeddedSettings, train_embedded
from backends.training.head_task import HeadSettings
from backends.training.loop import Batch, Schedule, fit
from backends.training.losses import cell_boxes, generalised_iou, heat_targets, mask_loss, sides_loss
from backends.training.measure import average_precision
from backends.training.negatives import make_negative
from backends.training.plane_task import PlaneSettings
from tests.backends.embedded.test_embedded import loaded
from tests.builders import some_pixels

SIZE_WH = (64, 48)
MICRO = EmbeddedSettings(
    head=HeadSettings(SIZE_WH, (4, 4, 6, 6, 8), (6, 4, 4), 2, 2, 2),
    head_schedule=Schedule(2, batch=4, learning_rate=1e-3, weight_decay=0.01, ema=0.9),
    boxes=BoxSettings((96, 64), (4, 4, 6, 6, 8), (6, 4, 4), 2),
    boxes_schedule=Schedule(2, batch=4, learning_rate=1e-3, weight_decay=0.01, ema=0.9),
    planes=PlaneSettings(SIZE_WH, 1.1, (4, 4, 6, 6), members=2),
    planes_schedule=Schedule(2, batch=4, learning_rate=1e-3, weight_decay=0.01, ema=0.9),
)


def make_data(folder: Path, per_split: int = 6) -> Path:
    """Noise with drawn heads, boxes and planes, in the layout of the development data."""
    for source in ("hc18", "fetus_nt", "brain_planes"):
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number in range(2 * per_split):
            name = f"images/{number}.png"
            (folder / source / "images").mkdir(parents=True, exist_ok=True)
            mask = ellipse_to_mask(Ellipse(cx=32, cy=24, rx=20, ry=14), SIZE_WH)
            cv2.imwrite(str(folder / source / name), some_pixels(number, SIZE_WH) // 4 + 90 * mask.astype(np.uint8))
            image = {"id": number, "file_name": name, "width": SIZE_WH[0], "height": SIZE_WH[1]}
            image |= {"split": "val" if number % 2 else "train", "subject_id": f"{source}-{number}"}
            images.append(image | ({"plane": BRAIN_PLANES[number // 2 % 3]} if source == "brain_planes" else {}))
            annotations += _annotations(source, number)
        categories = [{"id": i, "name": name} for i, name in enumerate((*STRUCTURES, "Brain"), start=1)]
        coco = {"images": images, "annotations": annotations, "categories": categories}
        (folder / source / "annotations.json").write_text(json.dumps(coco))
    return folder


def _annotations(source: str, image: int) -> list[dict[str, Any]]:
    if source == "hc18":
        triangle = [12, 10, 52, 10, 52, 38]
        return [{"image_id": image, "category_id": 10, "bbox": [12, 10, 40, 28], "segmentation": [triangle]}]
    if source == "fetus_nt":
        common = {"image_id": image, "segmentation": []}
        return [{"category_id": i + 1, "bbox": [5 + 5 * i, 20, 12, 8], **common} for i in range(9)]
    return []


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    train_embedded(data, folder, seed=1, settings=MICRO)
    return folder


def weights_in(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in WEIGHT_FILES]


def test_a_training_leaves_a_model_that_loads_and_says_what_it_is(trained: Path) -> None:
    (prediction,) = EmbeddedBackend(trained).predict([loaded(some_pixels(3, SIZE_WH))])
    assert prediction.plane is not None
    card = (trained / "MODEL_CARD.md").read_text()
    assert "6 frames of hc18" in card
    assert "van den Heuvel" in card
    description = json.loads((trained / "model.json").read_text())
    assert description["seed"] == 1
    assert set(description["data"]) == {"hc18", "fetus_nt", "brain_planes"}
    assert description["validation"]["head_dice"]["n"] == 6
    curve = json.loads((trained / "training.json").read_text())
    assert [row["network"] for row in curve] == ["head"] * 2 + ["boxes"] * 2 + ["planes-0"] * 2 + ["planes-1"] * 2


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    data: Path, trained: Path, tmp_path: Path
) -> None:
    train_embedded(data, tmp_path / "same", seed=1, settings=MICRO)
    assert weights_in(tmp_path / "same") == weights_in(trained)
    train_embedded(data, tmp_path / "other", seed=2, settings=MICRO)
    assert weights_in(tmp_path / "other")[0] != weights_in(trained)[0]


STILL = Jitter(0, zoom=(1, 1), aspect=0, shift=0)


class KilledError(Exception):
    """Stands for a process that ends in the middle of an epoch."""


class Line:
    """A tiny task: a straight line through random points; dies in epoch `dies_in`."""

    name, steps = "line", 3

    def __init__(self, dies_in: int | None = None, settings: Jitter = STILL) -> None:
        self.dies_in, self.settings, self.epoch = dies_in, settings, 0

    def build(self) -> nn.Module:
        return nn.Sequential(nn.Linear(1, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1))

    def batches(self, rng: Generator) -> Iterator[Batch]:
        self.epoch += 1
        for step in range(self.steps):
            if self.epoch == self.dies_in and step == 1:
                raise KilledError
            x = torch.from_numpy(rng.normal(size=(16, 1))).float()
            yield x, 2 * x + 1

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        return ((network(batch[0]) - batch[1]) ** 2).mean()

    def measure(self, network: nn.Module) -> dict[str, float]:
        return {"weight": float(next(network.parameters()).sum())}


SCHEDULE = Schedule(4, batch=16, learning_rate=1e-2, weight_decay=0.01, ema=0.9, measure_every=2)


@pytest.mark.parametrize("dies_in", [1, 2, 4])
def test_a_killed_training_goes_on_to_the_same_end(tmp_path: Path, dies_in: int) -> None:
    whole, whole_rows = fit(Line(), SCHEDULE, 5, tmp_path / "whole.ckpt")
    with pytest.raises(KilledError):
        fit(Line(dies_in), SCHEDULE, 5, tmp_path / "killed.ckpt")
    resumed, rows = fit(Line(), SCHEDULE, 5, tmp_path / "killed.ckpt")
    assert rows == whole_rows
    for one, other in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_a_checkpoint_of_other_settings_is_not_mixed_in(tmp_path: Path) -> None:
    fit(Line(), SCHEDULE, 5, tmp_path / "line.ckpt")
    with pytest.raises(BackendError, match="other settings"):
        fit(Line(), replace(SCHEDULE, epochs=9), 5, tmp_path / "line.ckpt")
    with pytest.raises(BackendError, match="other settings"):
        fit(Line(settings=replace(STILL, shift=0.1)), SCHEDULE, 5, tmp_path / "line.ckpt")


def _without_folder(data: Path) -> None:
    (data / "fetus_nt" / "annotations.json").unlink()


def _with_torn_image(data: Path) -> None:
    (data / "hc18" / "images" / "0.png").write_bytes(b"torn")


@pytest.mark.parametrize(("hurt", "words"), [(_without_folder, "fetus_nt"), (_with_torn_image, "0.png")])
def test_data_that_cannot_be_read_is_named(tmp_path: Path, hurt: Any, words: str) -> None:
    folder = make_data(tmp_path / "data", per_split=1)
    hurt(folder)
    with pytest.raises(InputError, match=words) as failure:
        train_embedded(folder, tmp_path / "out", settings=MICRO)
    assert isinstance(failure.value, AnnotatorError)


def test_the_data_come_with_their_splits_masks_boxes_and_planes(data: Path) -> None:
    examples = load_examples(data)
    head, profile, brain = examples[0], examples[12], examples[24]
    assert (head.source, head.split, head.subject) == ("hc18", "train", "hc18-0")
    assert head.mask is not None
    assert head.mask.sum() == pytest.approx(40 * 28 / 2, rel=0.05)
    assert profile.boxes["nasal_bone"].tolist() == [10, 20, 22, 28]
    assert brain.plane == "Trans-thalamic"


def test_a_flipped_frame_takes_its_boxes_along() -> None:
    grid = letterbox((64, 48), (64, 48))
    frame = np.zeros((48, 64), np.uint8)
    frame[10:20, 5:15] = 255
    seen = set()
    for seed in range(20):
        moved = jittered(grid, STILL, np.random.default_rng(seed))
        corners = moved.to_grid(np.array([[5.0, 10.0], [15.0, 20.0]]))
        (x_min, y_min), (x_max, y_max) = corners.min(axis=0).astype(int), corners.max(axis=0).astype(int)
        assert moved.warp(frame)[y_min:y_max, x_min:x_max].min() == 255
        seen.add(int(x_min))
    assert seen == {5, 49}


def test_varied_frames_and_made_negatives_stay_images() -> None:
    rng = np.random.default_rng(0)
    example = Example("a", "hc18", "train", "s", some_pixels(1, (120, 90)))
    for _ in range(60):
        image = varied(make_negative([example], rng, (64, 48)), rng)
        assert image.shape == (48, 64)
        assert 0 <= image.min() <= image.max() <= 1


def test_a_perfect_mask_costs_nothing_and_an_unknown_one_does_not_count() -> None:
    truth = torch.zeros(2, 1, 8, 8)
    truth[0, :, 2:6, 2:6] = 1
    perfect = (truth * 2 - 1) * 40
    alone = mask_loss(perfect[:1], truth[:1], torch.ones(1))
    assert float(alone) == pytest.approx(1 / 33, abs=1e-6)  # what the +1 under the fraction of soft Dice leaves
    wrong = perfect.clone()
    wrong[1] *= -1
    assert torch.equal(mask_loss(wrong, truth, torch.tensor([1.0, 0.0])), alone)


def test_heat_is_1_at_the_centre_and_nothing_where_a_structure_is_absent() -> None:
    boxes = np.array([[8.0, 8.0, 40.0, 16.0], [np.nan] * 4])
    heat = heat_targets(boxes, (16, 8))
    assert heat[0, 3, 6] == 1
    assert heat[0].max() == 1
    assert heat[1].max() == 0


def test_right_sides_cost_nothing_and_absent_structures_do_not_count() -> None:
    boxes = np.array([[8.0, 8.0, 40.0, 16.0], [np.nan] * 4])
    heat = torch.from_numpy(heat_targets(boxes, (16, 8)))[None]
    wanted = torch.tensor(boxes[0]).float()
    x, y = (torch.arange(16) + 0.5) * 4, ((torch.arange(8) + 0.5) * 4)[:, None]
    right = torch.stack(torch.broadcast_tensors(x - wanted[0], y - wanted[1], wanted[2] - x, wanted[3] - y))
    sides = torch.stack([right, torch.full_like(right, 3.0)])[None]
    truth = torch.from_numpy(boxes).float()[None]
    assert float(sides_loss(sides, truth, heat)) == pytest.approx(0, abs=1e-5)
    assert cell_boxes(sides.movedim(2, -1))[0, 0, 3, 6].tolist() == boxes[0].tolist()
    assert float(sides_loss(sides + 2, truth, heat)) > 0.1


def test_generalised_iou_by_hand() -> None:
    first = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 1.0, 1.0]])
    second = torch.tensor([[1.0, 0.0, 3.0, 2.0], [3.0, 0.0, 4.0, 1.0]])
    assert generalised_iou(first, second).tolist() == pytest.approx([2 / 6, -2 / 4])


def test_average_precision_of_the_truth_itself_is_1() -> None:
    examples = [Example(f"{i}", "fetus_nt", "val", f"s{i}", some_pixels(i), boxes=_nine_boxes(i)) for i in range(4)]
    answers = []
    for example in examples:
        found = [Finding(structure=s, box_xyxy=tuple(b.tolist()), score=0.9) for s, b in example.boxes.items()]
        answers.append((example, Prediction(frame_id="f", model_version="m", findings=tuple(found))))
    figures = average_precision(answers, STRUCTURES)
    assert figures["mean_all"]["value"] == 1.0
    assert figures["mean_nt_nasal"]["interval_95"] == [1.0, 1.0]
    assert figures["NT"]["n"] == 4
    missed = [(example, prediction.model_copy(update={"findings": ()})) for example, prediction in answers]
    assert average_precision(missed, STRUCTURES)["mean_all"]["value"] == 0.0


def _nine_boxes(shift: int) -> dict[str, np.ndarray]:
    return {name: np.array([i, shift, i + 9.0, shift + 5.0]) for i, name in enumerate(STRUCTURES)}
