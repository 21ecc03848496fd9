"""Fine-tuning the embedded model on corrections: what is learnt, what is kept, what a killed training leaves."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from annotator.errors import BackendError, InputError
from annotator.geometry import ellipse_to_mask, mask_to_edge_rings
from annotator.schema import Ellipse
from annotator.taxonomy import BRAIN_PLANES, FIRST_TRIMESTER_PLANE
from backends.embedded import EmbeddedBackend
from backends.embedded.model import WEIGHT_FILES, content_hash, load_networks
from backends.embedded.networks import BoxNetOutput, HeadNetOutput
from backends.training.box_task import STRUCTURES
from backends.training.data import Example
from backends.training.embedded import train_embedded
from backends.training.finetune import (
    FineTuneSettings,
    TrainingCancelledError,
    fine_tune_embedded,
    fine_tune_settings,
)
from backends.training.finetune.corrections import load_corrections
from backends.training.finetune.rehearsal import box_forgetting, class_forgetting, head_forgetting
from backends.training.finetune.tasks import Teaching
from tests.backends.embedded.test_embedded import loaded
from tests.backends.training.test_training_embedded import MICRO, SIZE_WH, make_data
from tests.builders import some_pixels
from tests.correction_sets import write_coco, write_data_set

FEW = FineTuneSettings(epochs=3, simulated=1, teaching=Teaching(batch=4, least_per_epoch=4, most_per_epoch=8))
HEAD = Ellipse(cx=30, cy=25, rx=18, ry=13, angle_deg=10)


def a_head(number: int, **more: Any) -> Example:
    mask = ellipse_to_mask(HEAD, SIZE_WH).astype(np.uint8)
    pixels = some_pixels(number, SIZE_WH) // 4 + 90 * mask
    return Example(f"head-{number}", "clinic", "train", f"s{number}", pixels, **{"mask": mask, **more})


def a_profile(number: int) -> Example:
    boxes = {name: np.array([4.0 + 5 * i, 20, 14 + 5 * i, 30]) for i, name in enumerate(STRUCTURES)}
    pixels = some_pixels(100 + number, SIZE_WH)
    return Example(f"p{number}", "clinic", "train", f"p{number}", pixels, boxes=boxes, plane=FIRST_TRIMESTER_PLANE)


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole model of tiny networks, so that a training takes a moment."""
    folder = tmp_path_factory.mktemp("parent")
    train_embedded(make_data(folder / "data", per_split=3), folder / "model", seed=1, settings=MICRO)
    return folder / "model"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Heads with their planes, and profiles."""
    heads = [a_head(number, plane=BRAIN_PLANES[number % 3]) for number in range(6)]
    profiles = [a_profile(number) for number in range(4)]
    return write_data_set(tmp_path_factory.mktemp("data"), [*heads, *profiles], [a_head(20), a_profile(20)])


@pytest.fixture(scope="module")
def tuned(data: Path, parent: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tuned")
    fine_tune_embedded(data, parent, folder, settings=FEW, seed=3)
    return folder


def test_a_fine_tuned_folder_is_a_model_that_says_where_it_comes_from(
    tuned: Path, parent: Path, data: Path
) -> None:
    backend, before = EmbeddedBackend(tuned), EmbeddedBackend(parent)
    assert backend.predict([loaded(some_pixels(3, SIZE_WH))])[0].model_version == backend.model.name
    assert backend.model.name != before.model.name
    assert backend.model.parent == before.model.name
    lineage = json.loads((tuned / "model.json").read_text())["fine_tuned"]
    assert lineage["parent"]["content_hash"] == content_hash(parent)
    assert lineage["data"] == load_corrections(data).digest
    assert lineage["frames"] == {"head": 10, "boxes": 5, "planes": 6}
    assert lineage["seed"] == 3
    assert lineage["environment"]["torch"] == torch.__version__
    assert lineage["settings"]["teaching"]["batch"] == 4
    card = (tuned / "MODEL_CARD.md").read_text()
    assert before.model.name in card
    assert "not for clinical use" in card
    assert "van den Heuvel" in card
    assert {row["network"] for row in json.loads((tuned / "training.json").read_text())} == {
        "head", "boxes", "planes-0", "planes-1",
    }  # fmt: skip
    assert not (tuned / "checkpoints").exists()


def test_what_the_corrections_say_nothing_of_stays_the_parents_bit_by_bit(parent: Path, tmp_path: Path) -> None:
    data = write_data_set(tmp_path / "data", [a_head(number) for number in range(4)])
    fine_tune_embedded(data, parent, tmp_path / "out", settings=FEW)
    same = {name: (tmp_path / "out" / name).read_bytes() == (parent / name).read_bytes() for name in WEIGHT_FILES}
    assert same == {"head.safetensors": False, "boxes.safetensors": True, "planes.safetensors": True}


def test_the_statistics_of_the_norms_stay_and_the_weights_move(tuned: Path, parent: Path) -> None:
    before, after = (load_networks(folder)[1].head.state_dict() for folder in (parent, tuned))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert not [name for name in moved if "running" in name]


def test_a_stronger_anchor_holds_the_weights_nearer(parent: Path, tmp_path: Path) -> None:
    data = write_data_set(tmp_path / "data", [a_head(number) for number in range(4)])
    distances = []
    for anchor in (0.0, 100.0):
        settings = replace(FEW, teaching=replace(FEW.teaching, anchor=anchor, rehearsal=0.0))
        fine_tune_embedded(data, parent, tmp_path / f"{anchor}", settings=settings)
        old, new = (load_networks(folder)[1].head for folder in (parent, tmp_path / f"{anchor}"))
        pairs = zip(old.parameters(), new.parameters(), strict=True)
        distances.append(sum(float(((a - b) ** 2).sum().detach()) for a, b in pairs))
    assert distances[1] < distances[0] / 2


def test_the_same_training_gives_the_same_files_and_another_seed_others(
    data: Path, parent: Path, tuned: Path, tmp_path: Path
) -> None:
    fine_tune_embedded(data, parent, tmp_path / "same", settings=FEW, seed=3)
    names = {path.name for path in tuned.iterdir()}
    assert names == {path.name for path in (tmp_path / "same").iterdir()}
    for name in names:
        assert (tmp_path / "same" / name).read_bytes() == (tuned / name).read_bytes(), name
    fine_tune_embedded(data, parent, tmp_path / "other", settings=FEW, seed=4)
    assert content_hash(tmp_path / "other") != content_hash(tuned)


def test_a_training_killed_at_any_point_goes_on_to_the_same_files(
    data: Path, parent: Path, tuned: Path, tmp_path: Path
) -> None:
    code = (
        "import os, signal\n"
        "from tests.backends.training.test_finetune import *\n"
        "def progress(step, total, message):\n"
        "    return step < 9 or os.kill(os.getpid(), signal.SIGKILL)\n"
        f"fine_tune_embedded(Path({str(data)!r}), Path({str(parent)!r}), Path({str(tmp_path)!r}), settings=FEW, "
        "seed=3, on_progress=progress)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "model.json").exists()
    steps: list[int] = []
    fine_tune_embedded(
        data, parent, tmp_path, settings=FEW, seed=3, on_progress=lambda step, *_: bool(steps.append(step) or True)
    )
    assert 1 < steps[0] < 10
    for name in ("model.json", "training.json", "MODEL_CARD.md", *WEIGHT_FILES):
        assert (tmp_path / name).read_bytes() == (tuned / name).read_bytes(), name


def test_progress_counts_up_to_its_total_and_stops_the_training_when_told(
    data: Path, parent: Path, tmp_path: Path
) -> None:
    seen: list[tuple[int, int, str]] = []

    def until_20(step: int, total: int, message: str) -> bool:
        seen.append((step, total, message))
        return step < 20

    with pytest.raises(TrainingCancelledError, match="cancelled"):
        fine_tune_embedded(data, parent, tmp_path, settings=FEW, seed=3, on_progress=until_20)
    assert [step for step, _, _ in seen] == list(range(1, 21))
    assert not (tmp_path / "model.json").exists()
    seen.clear()

    def to_the_end(step: int, total: int, message: str) -> bool:
        seen.append((step, total, message))
        return True

    fine_tune_embedded(data, parent, tmp_path, settings=FEW, seed=3, on_progress=to_the_end)
    assert {total for _, total, _ in seen} == {seen[-1][0]}
    assert seen[-1][2] == "teaching planes-1"


def test_a_checkpoint_of_other_corrections_is_not_gone_on_with(data: Path, parent: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingCancelledError):
        fine_tune_embedded(data, parent, tmp_path, settings=FEW, on_progress=lambda step, *_: step < 9)
    others = write_data_set(tmp_path / "others", [a_head(number) for number in range(5)])
    with pytest.raises(BackendError, match="other settings"):
        fine_tune_embedded(others, parent, tmp_path, settings=FEW)


def test_calibration_is_kept_where_few_frames_judge_it_and_fitted_where_there_are_enough(
    data: Path, parent: Path, tuned: Path, tmp_path: Path
) -> None:
    before, kept = (json.loads((folder / "model.json").read_text()) for folder in (parent, tuned))
    assert kept["calibration"] == before["calibration"]
    assert "Kept from the parent" in (tuned / "MODEL_CARD.md").read_text()
    heads = [a_head(number) for number in range(12)]
    enough = write_data_set(tmp_path / "data", heads[:4], heads[4:])
    fitted = fine_tune_embedded(enough, parent, tmp_path / "out", settings=replace(FEW, least_for_calibration=8))
    assert fitted["fine_tuned"]["calibrated"] == ["head", "view_temperature"]
    assert fitted["calibration"]["head"] != before["calibration"]["head"]
    assert fitted["calibration"]["boxes"] == before["calibration"]["boxes"]
    assert "Fitted anew on the validation split: head" in (tmp_path / "out" / "MODEL_CARD.md").read_text()


def test_what_the_model_does_not_know_is_counted_and_named(parent: Path, tmp_path: Path) -> None:
    strange = {"CSP": np.array([20.0, 20, 30, 30]), "cardiac": np.array([1.0, 1, 9, 9])}
    heads = [a_head(number, boxes=strange if number < 3 else {}) for number in range(5)]
    data = write_data_set(tmp_path / "data", heads)
    description = fine_tune_embedded(data, parent, tmp_path / "out", settings=replace(FEW, epochs=1))
    assert description["fine_tuned"]["left_out"] == {
        "CSP, which the embedded model does not know": 3,
        "cardiac, which the embedded model does not know": 3,
    }
    assert "3 x CSP" in (tmp_path / "out" / "MODEL_CARD.md").read_text()


def test_planes_of_one_kind_teach_nothing_and_are_named(parent: Path, tmp_path: Path) -> None:
    data = write_data_set(tmp_path / "data", [a_head(number, plane="Trans-thalamic") for number in range(4)])
    fitted = fine_tune_embedded(data, parent, tmp_path / "out", settings=replace(FEW, epochs=1))["fine_tuned"]
    assert set(fitted["frames"]) == {"head"}
    assert any("Trans-thalamic" in reason for reason in fitted["left_out"])


def test_corrections_of_one_class_are_refused(parent: Path, tmp_path: Path) -> None:
    frames = [a_head(number, plane="Trans-thalamic", mask=None) for number in range(4)]
    with pytest.raises(InputError, match=r"one class \(Trans-thalamic\)"):
        fine_tune_embedded(write_data_set(tmp_path / "data", frames), parent, tmp_path / "out", settings=FEW)


def test_forgetting_costs_nothing_at_the_parent_and_something_elsewhere() -> None:
    head = HeadNetOutput(torch.zeros(2, 1, 8, 8), torch.zeros(2, 3))
    boxes = BoxNetOutput(torch.zeros(2, 9, 4, 4), torch.ones(2, 9, 4, 4, 4))
    assert float(head_forgetting(head, head)) == pytest.approx(0, abs=1e-6)
    assert float(box_forgetting(boxes, boxes)) == pytest.approx(0, abs=1e-6)
    # KL of Bernoulli(.5) from Bernoulli(1 / (1 + e)), by hand; of box centres summed over 16 cells
    chance = 1 / (1 + np.exp(1))
    each = 0.5 * np.log(0.5 / chance) + 0.5 * np.log(0.5 / (1 - chance))
    assert float(head_forgetting(head._replace(mask=head.mask - 1), head)) == pytest.approx(each, rel=1e-5)
    assert float(box_forgetting(boxes._replace(heat=boxes.heat - 1), boxes)) == pytest.approx(16 * each, rel=1e-5)
    assert float(box_forgetting(boxes._replace(sides=boxes.sides * 2), boxes)) == pytest.approx(np.log(2), rel=1e-5)
    logits = torch.tensor([[2.0, 0.0, 0.0]])
    chances = np.exp([2, 0, 0]) / np.exp([2, 0, 0]).sum()
    by_hand = float((chances * (np.log(chances) - np.log(1 / 3))).sum())
    assert float(class_forgetting(torch.zeros(1, 3), logits)) == pytest.approx(by_hand)


def _skip_all(folder: Path, coco: dict[str, Any]) -> None:
    for image in coco["images"]:
        image["attributes"]["correction"]["skipped"] = True


def _uncorrected(folder: Path, coco: dict[str, Any]) -> None:
    for image in coco["images"]:
        image["attributes"]["prediction"] = image["attributes"].pop("correction")


def _empty(folder: Path, coco: dict[str, Any]) -> None:
    coco["images"], coco["annotations"] = [], []


def _only_unknown(folder: Path, coco: dict[str, Any]) -> None:
    for annotation in coco["annotations"]:
        annotation["category_id"] = 2


def _only_boxes_of_heads(folder: Path, coco: dict[str, Any]) -> None:
    for annotation in coco["annotations"]:
        annotation["segmentation"] = []


def _without_image(folder: Path, coco: dict[str, Any]) -> None:
    (folder / coco["images"][1]["file_name"]).unlink()


def _with_torn_image(folder: Path, coco: dict[str, Any]) -> None:
    (folder / coco["images"][1]["file_name"]).write_bytes(b"torn")


def _with_larger_image(folder: Path, coco: dict[str, Any]) -> None:
    cv2.imwrite(str(folder / coco["images"][1]["file_name"]), some_pixels(0, (70, 50)))


def _with_mask_of_another_size(folder: Path, coco: dict[str, Any]) -> None:
    coco["annotations"][0]["segmentation"]["size"] = [5, 5]


def _with_garbled_mask(folder: Path, coco: dict[str, Any]) -> None:
    coco["annotations"][0]["segmentation"] = {"size": [48, 64], "counts": "no run lengths"}


def _with_stray_annotation(folder: Path, coco: dict[str, Any]) -> None:
    coco["annotations"][0]["image_id"] = 999


def _without_lists(folder: Path, coco: dict[str, Any]) -> None:
    coco.clear()


@pytest.mark.parametrize(
    ("hurt", "words"),
    [
        (_skip_all, "4 x skipped"),
        (_uncorrected, "nobody corrected"),
        (_empty, "no frame is in its train split"),
        (_only_unknown, "CSP, which the embedded model does not know"),
        (_only_boxes_of_heads, "4 x head without an outline"),
        (_without_image, "train-2.png is missing"),
        (_with_torn_image, "train-2.png is missing or no image"),
        (_with_larger_image, "70 x 50 pixels, but 64 x 48"),
        (_with_mask_of_another_size, "another size"),
        (_with_garbled_mask, "cannot be read"),
        (_with_stray_annotation, "not a COCO file of ours"),
        (_without_lists, "not a COCO file of ours"),
    ],
)
def test_corrections_that_cannot_be_learnt_from_say_so_in_one_line(
    parent: Path, tmp_path: Path, hurt: Callable[[Path, dict[str, Any]], None], words: str
) -> None:
    folder = write_data_set(tmp_path / "data", [a_head(number) for number in range(4)])
    path = folder / "annotations_train.json"
    coco = json.loads(path.read_text())
    hurt(folder, coco)
    path.write_text(json.dumps(coco))
    with pytest.raises(InputError, match=words) as failure:
        fine_tune_embedded(folder, parent, tmp_path / "out", settings=FEW)
    assert "\n" not in str(failure.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [None, b"{", b"[]", b'{"images": 3}'])
def test_a_folder_that_is_no_data_set_says_so(parent: Path, tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "annotations_train.json").write_bytes(content)
    with pytest.raises(InputError, match=r"annotations_train\.json"):
        fine_tune_embedded(tmp_path, parent, tmp_path / "out", settings=FEW)


def test_a_parent_that_is_not_there_is_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="nowhere"):
        fine_tune_embedded(data, tmp_path / "nowhere", tmp_path / "out", settings=FEW)


def test_an_outline_is_the_same_as_polygons_rle_and_ellipse(tmp_path: Path) -> None:
    folder = write_data_set(tmp_path, [a_head(number) for number in range(3)])
    coco = json.loads((folder / "annotations_train.json").read_text())
    rings, _ = mask_to_edge_rings(ellipse_to_mask(HEAD, SIZE_WH))
    coco["annotations"][1]["segmentation"] = [ring.ravel().tolist() for ring in rings]
    coco["annotations"][2]["segmentation"] = []
    coco["annotations"][2]["attributes"]["ellipse"] = HEAD.model_dump()
    write_coco(folder / "annotations_train.json", coco["images"], coco["annotations"])
    for example in load_corrections(folder).train:
        assert example.mask is not None
        assert np.array_equal(example.mask, ellipse_to_mask(HEAD, SIZE_WH))


def test_the_kind_of_a_frame_comes_from_its_plane_or_else_from_what_was_found(tmp_path: Path) -> None:
    nothing = {"mask": None}
    frames = [
        a_head(0, plane="Trans-ventricular", **nothing),
        a_head(1),
        a_profile(2),
        replace(a_profile(3), plane=None),
        a_head(4, plane="Abdomen", **nothing),
        a_head(5, plane="Other"),
        a_head(6, **nothing),
        a_head(7, plane="NO_PLANE", **nothing),
    ]
    read = load_corrections(write_data_set(tmp_path, frames)).train
    assert [(example.kind, example.knows_head) for example in read] == [
        ("brain", False),
        ("brain", True),
        ("first_trimester", True),
        ("first_trimester", True),
        ("other", True),
        (None, True),
        (None, False),
        (None, False),
    ]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"epoch": 3}, "no setting 'epoch'"),
        ({"epochs": "3"}, "must be a number"),
        ({"epochs": 2.5}, "whole number"),
        ({"simulated": 0}, "whole number"),
        ({"learning_rate": float("nan")}, "must be a number"),
        ({"anchor": -1.0}, "must be a number"),
        ({"origin": "elsewhere"}, "no setting 'origin'"),
    ],
)
def test_settings_that_make_no_training_are_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        fine_tune_settings(given)
