"""What we write, read by the libraries that others use: equal counts, equal areas, equal pixels."""

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faster_coco_eval
import numpy as np
import pytest
import supervision
import torch
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from annotator import taxonomy
from annotator.geometry import rle_area, rle_to_mask
from annotator.schema import Finding
from exports.coco import export_coco
from exports.coco_records import MaskForm
from exports.entries import Entry
from exports.hugging_face import export_hugging_face
from exports.yolo import YoloTask, export_yolo
from tests.exports.entries import SIZE_WH, some_entries


def findings_of(entries: list[Entry]) -> list[Finding]:
    return [finding for entry in entries for finding in entry.said.findings]


def area_of(finding: Finding) -> float:
    x_min, y_min, x_max, y_max = finding.box_xyxy
    return rle_area(finding.mask_rle) if finding.mask_rle else (x_max - x_min) * (y_max - y_min)


@pytest.mark.parametrize("form", MaskForm)
@pytest.mark.parametrize("reader", [COCO, faster_coco_eval.COCO])
def test_coco_readers_count_and_fill_what_was_exported(reader: Any, form: MaskForm, tmp_path: Path) -> None:
    entries, paths = some_entries(tmp_path)
    export_coco(tmp_path / "out", entries, paths, which="corrected", masks=form)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = reader(str(tmp_path / "out" / "annotations.json"))
    wanted = findings_of(entries)
    assert len(coco.imgs) == len(entries)
    assert [coco.anns[place]["area"] for place in sorted(coco.anns)] == [area_of(finding) for finding in wanted]
    for place, finding in enumerate(wanted, 1):
        if finding.mask_rle is not None:
            assert np.array_equal(coco.annToMask(coco.anns[place]), rle_to_mask(finding.mask_rle))


def test_supervision_reads_the_same_boxes_and_pixels(tmp_path: Path) -> None:
    entries, paths = some_entries(tmp_path)
    export_coco(tmp_path / "out", entries, paths, which="corrected", masks=MaskForm.RLE)
    read = supervision.DetectionDataset.from_coco(
        str(tmp_path / "out"), str(tmp_path / "out" / "annotations.json"), force_masks=True
    )
    assert read.classes == [item.name for item in taxonomy.STRUCTURES]
    by_name = {Path(name).stem: found for name, _, found in read}
    for entry in entries:
        found = by_name[entry.frame.frame_id]
        assert found.class_id.tolist() == [
            taxonomy.structure(finding.structure).coco_id - 1 for finding in entry.said.findings
        ]
        np.testing.assert_allclose(found.xyxy, [finding.box_xyxy for finding in entry.said.findings], atol=1e-4)
        for mask, finding in zip(found.mask, entry.said.findings, strict=True):
            if finding.mask_rle is not None:
                assert np.array_equal(mask, rle_to_mask(finding.mask_rle))


class DetectionFrames(torch.utils.data.Dataset[tuple[torch.Tensor, dict[str, torch.Tensor]]]):
    """As a detector's training script reads COCO."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.coco = folder, COCO(str(folder / "annotations.json"))
        self.ids = sorted(self.coco.imgs)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, place: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        image = self.coco.imgs[self.ids[place]]
        found = self.coco.loadAnns(self.coco.getAnnIds(imgIds=image["id"], iscrowd=False))
        pixels = torch.from_numpy(np.array(Image.open(self.folder / image["file_name"])))
        boxes = torch.tensor([one["bbox"] for one in found], dtype=torch.float64)
        masks = torch.from_numpy(np.stack([self.coco.annToMask(one) for one in found if one["segmentation"]]))
        return pixels, {"boxes": boxes, "masks": masks, "area": torch.tensor([one["area"] for one in found])}


def test_a_torch_loader_gets_every_box_and_mask(tmp_path: Path) -> None:
    entries, paths = some_entries(tmp_path)
    export_coco(tmp_path / "out", entries, paths, which="corrected")
    with contextlib.redirect_stdout(io.StringIO()):
        frames = DetectionFrames(tmp_path / "out")
    batches = list(torch.utils.data.DataLoader(frames, batch_size=None))
    assert sum(len(target["boxes"]) for _, target in batches) == len(findings_of(entries))
    assert sum(int(target["masks"].sum()) for _, target in batches) == sum(
        rle_area(finding.mask_rle) for finding in findings_of(entries) if finding.mask_rle
    )
    assert all(pixels.shape == SIZE_WH[::-1] for pixels, _ in batches)


def read_yolo(out: Path, split: str) -> supervision.DetectionDataset:
    return supervision.DetectionDataset.from_yolo(
        str(out / "images" / split), str(out / "labels" / split), str(out / "data.yaml")
    )


@pytest.mark.parametrize("task", YoloTask)
def test_supervision_reads_our_yolo(task: YoloTask, tmp_path: Path) -> None:
    entries, paths = some_entries(tmp_path)
    summary = export_yolo(tmp_path / "out", entries, paths, task)
    assert (summary.annotations, summary.left_out) == (len(findings_of(entries)), 0)
    for split in ("train", "val", "test"):
        read = read_yolo(tmp_path / "out", split)
        assert read.classes == [item.name for item in taxonomy.STRUCTURES]
        wanted = {entry.frame.frame_id: entry for entry in entries if entry.frame.split == split}
        assert {Path(name).stem for name, _, _ in read} == set(wanted)
        for name, _, found in read:
            findings = wanted[Path(name).stem].said.findings
            assert len(found) == len(findings)
            boxes = [finding.box_xyxy for finding in findings]
            np.testing.assert_allclose(found.xyxy, boxes, atol=1e-3 if task is YoloTask.DETECT else 1.0)


def polygon_area(fractions: list[float]) -> float:
    x, y = np.reshape(fractions, (-1, 2)).T * np.array(SIZE_WH)[:, None]
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def test_outlines_for_yolo_keep_the_area_with_holes_and_parts(tmp_path: Path) -> None:
    entries, paths = some_entries(tmp_path, 3)
    export_yolo(tmp_path / "out", entries, paths, YoloTask.SEGMENT)
    for entry in entries:
        path = tmp_path / "out" / "labels" / str(entry.frame.split) / f"{entry.frame.frame_id}.txt"
        for line, finding in zip(path.read_text().splitlines(), entry.said.findings, strict=True):
            values = [float(word) for word in line.split()[1:]]
            assert polygon_area(values) == pytest.approx(area_of(finding), rel=1e-6)


def test_an_earlier_yolo_export_leaves_nothing_behind(tmp_path: Path) -> None:
    entries, paths = some_entries(tmp_path)
    export_yolo(tmp_path / "out", entries, paths)
    export_yolo(tmp_path / "out", entries[:1], paths)
    left = [path.stem for folder in ("images", "labels") for path in (tmp_path / "out" / folder).rglob("*.*")]
    assert left == [entries[0].frame.frame_id] * 2


def test_the_datasets_library_reads_our_image_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    entries, paths = some_entries(tmp_path)
    summary = export_hugging_face(tmp_path / "out", entries, paths)
    read = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in read.items()} == summary.images
    assert set(read) == {"train", "validation", "test"}
    rows = {row["frame_id"]: row for split in read.values() for row in split}
    for seed, entry in enumerate(entries):
        row = rows[entry.frame.frame_id]
        assert row["image"].size == SIZE_WH
        assert np.array_equal(np.asarray(row["image"]), np.asarray(Image.open(paths[entry.frame.frame_id]))), seed
        assert row["objects"]["category"] == [finding.structure for finding in entry.said.findings]
        assert row["objects"]["area"] == [area_of(finding) for finding in entry.said.findings]
        decoded = [
            coco_mask.decode({"size": [row["height"], row["width"]], "counts": counts.encode()}).sum()
            for counts in row["objects"]["mask_rle"]
            if counts
        ]
        assert decoded == [rle_area(finding.mask_rle) for finding in entry.said.findings if finding.mask_rle]


@pytest.mark.parametrize("write", [export_yolo, export_hugging_face])
def test_an_export_to_a_place_that_cannot_be_written_is_one_clear_line(
    write: Callable[..., Any], tmp_path: Path
) -> None:
    from annotator.errors import InputError

    entries, paths = some_entries(tmp_path, 1)
    (tmp_path / "out").write_text("a letter")
    with pytest.raises(InputError, match="cannot write the export") as error:
        write(tmp_path / "out", entries, paths)
    assert "\n" not in str(error.value)
    assert json.dumps(str(tmp_path / "out"))[1:-1] in str(error.value)
