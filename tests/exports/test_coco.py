"""COCO out: pycocotools reads back, bit for bit, what the sonographer left, and files are whole or absent."""

import contextlib
import io
import json
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from annotator import taxonomy
from annotator.errors import CocoError
from annotator.frames import save_pixels
from annotator.geometry import ellipse_to_mask
from annotator.schema import Change, Correction, Ellipse, Finding, Frame, Keypoint, Prediction, RotatedBox
from exports.coco import export_coco
from exports.coco_records import annotation_record, categories, image_record
from exports.entries import Entry
from tests.annotator.test_geometry import HOSTILE
from tests.builders import (
    a_correction,
    a_finding,
    a_frame,
    a_mask,
    a_masked_finding,
    a_prediction,
    hidden_part_files,
    some_pixels,
)

Mask = NDArray[np.bool_]


def entries_of(*findings: Sequence[Finding], **more: Any) -> list[Entry]:
    """One frame for each sequence of findings, corrected by a reader."""
    frames = [a_frame(seed, f"frame{seed}.png", subject=f"s{seed}") for seed in range(len(findings))]
    return [
        Entry(frame, a_correction(frame, findings=tuple(found), **more))
        for frame, found in zip(frames, findings, strict=True)
    ]


def stored(folder: Path, entries: Sequence[Entry]) -> dict[str, Path]:
    paths = {}
    for seed, entry in enumerate(entries):
        paths[entry.frame.frame_id] = folder / "stored" / f"{entry.frame.frame_id}.png"
        save_pixels(some_pixels(seed), paths[entry.frame.frame_id])
    return paths


def export(folder: Path, entries: Sequence[Entry], which: str = "corrected") -> Path:
    export_coco(folder / "out", entries, stored(folder, entries), which=which)
    return folder / "out" / "annotations.json"


def read(path: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def document(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())  # type: ignore[no-any-return]


def as_pycocotools_reads_it(mask: Mask) -> tuple[Mask, dict[str, Any]]:
    """One mask, exported by itself and decoded by pycocotools in the way that its users do."""
    finding = a_masked_finding(mask)
    record = annotation_record(1, 1, finding, a_prediction(a_frame(), findings=(finding,)))
    coco = COCO()
    coco.dataset = {
        "images": [{"id": 1, "height": mask.shape[0], "width": mask.shape[1]}],
        "annotations": [json.loads(json.dumps(record))],
        "categories": categories(),
    }
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    return np.asarray(coco.annToMask(coco.anns[1]), bool), record


def assert_exact(mask: Mask) -> None:
    decoded, record = as_pycocotools_reads_it(mask)
    np.testing.assert_array_equal(decoded, mask)
    assert record["area"] == mask.sum()
    rows, columns = np.nonzero(mask)
    if rows.size:
        x, y, width, height = record["bbox"]
        assert (x, y) == (columns.min(), rows.min())
        assert (x + width, y + height) == (columns.max() + 1, rows.max() + 1)
    assert record["iscrowd"] == 0


@pytest.mark.parametrize("make", HOSTILE)
def test_masks_survive_bit_for_bit(make: Callable[[], Mask]) -> None:
    assert_exact(make())


@settings(max_examples=150)
@given(npst.arrays(bool, st.tuples(st.integers(1, 14), st.integers(1, 14))))
def test_any_mask_survives_bit_for_bit(mask: Mask) -> None:
    assert_exact(mask)


def test_plain_outlines_are_polygons_and_masks_with_holes_are_rle() -> None:
    _, plain = as_pycocotools_reads_it(a_mask())
    assert isinstance(plain["segmentation"], list)
    holed = a_mask()
    holed[8:10, 8:10] = False
    _, rle = as_pycocotools_reads_it(holed)
    assert set(rle["segmentation"]) == {"size", "counts"}


def heads(count: int) -> list[list[Finding]]:
    random = np.random.default_rng(5)
    found = []
    for _ in range(count):
        x, y = random.integers(0, 10, 2)
        mask = a_mask(box=(x, y, x + 15, y + 10))
        mask[y + 3 : y + 5, x + 3 : x + 6] = random.random() < 0.5
        found.append([a_masked_finding(mask), a_masked_finding(~mask, "cardiac")])
    return found


def judged(truth: COCO, said: Sequence[dict[str, Any]], kind: str) -> tuple[NDArray[np.float64], COCOeval]:
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(truth, truth.loadRes(list(said)), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats, evaluation


@pytest.mark.parametrize("kind", ["segm", "bbox"])
def test_truth_against_itself_is_perfect_and_nothing_is_ignored(kind: str, tmp_path: Path) -> None:
    path = export(tmp_path, entries_of(*heads(6)), "truth")
    truth = read(path)
    said = [{**annotation, "score": 0.5} for annotation in document(path)["annotations"]]
    stats, evaluation = judged(truth, said, kind)
    assert stats[0] == stats[1] == stats[2] == 1.0
    everything = [row for row in evaluation.evalImgs if row and row["aRng"] == evaluation.params.areaRng[0]]
    assert sum(len(row["gtIds"]) for row in everything) == 12
    assert not any(np.any(row["gtIgnore"]) for row in everything)


def test_boxes_against_themselves_are_perfect(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    found = []
    for _ in range(8):
        corners = np.sort(random.random((4, 2)) * 20, axis=1)
        found.append([a_finding("NT", (box[0], box[0], box[1] + 1, box[1] + 1)) for box in corners])
    path = export(tmp_path, entries_of(*found))
    said = [
        {"image_id": one["image_id"], "category_id": one["category_id"], "bbox": one["bbox"], "score": 0.5}
        for one in document(path)["annotations"]
    ]
    stats, _ = judged(read(path), said, "bbox")
    assert stats[0] == 1.0


def test_ids_start_at_one_and_count_up(tmp_path: Path) -> None:
    content = document(export(tmp_path, entries_of([a_finding(), a_finding()], [], [a_finding()])))
    assert [image["id"] for image in content["images"]] == [1, 2, 3]
    assert [(one["id"], one["image_id"]) for one in content["annotations"]] == [(1, 1), (2, 1), (3, 3)]
    assert all(one["iscrowd"] == 0 for one in content["annotations"])


def test_every_category_is_written_with_its_frozen_id(tmp_path: Path) -> None:
    content = document(export(tmp_path, []))
    assert {one["id"]: one["name"] for one in content["categories"]} == {
        item.coco_id: item.name for item in taxonomy.STRUCTURES
    }
    keypoints = next(one for one in content["categories"] if one["name"] == "CRL_KP")
    assert keypoints["keypoints"] == ["crown", "rump"]


def test_an_export_of_nothing_is_still_a_coco_file(tmp_path: Path) -> None:
    path = export(tmp_path, [])
    assert len(read(path).imgs) == 0
    assert document(path)["annotations"] == []


def test_an_image_says_what_is_known_of_its_frame(tmp_path: Path) -> None:
    frame = a_frame(0, "HC_017.png", subject="017", site="Leuven", split="val", pixel_spacing_mm=(0.1, 0.2))
    said = a_prediction(frame, plane="Trans-thalamic", plane_score=0.75)
    entry = Entry(frame, said, ["HC_017.png", "copy.png"])
    (image,) = document(export(tmp_path, [entry]))["images"]
    assert (image["width"], image["height"]) == (32, 24)
    assert image["file_name"] == f"images/{frame.frame_id}.png"
    wanted = {
        "frame_id": frame.frame_id, "source_file": "HC_017.png", "subject": "017", "site": "Leuven", "split": "val",
        "plane": "Trans-thalamic", "plane_score": 0.75, "pixel_spacing_mm": [0.1, 0.2], "simulated": False,
        "other_source_files": ["copy.png"],
    }  # fmt: skip
    assert image["attributes"].items() >= wanted.items()


def test_simulated_frames_are_marked(tmp_path: Path) -> None:
    frame = a_frame(simulated=True)
    (image,) = document(export(tmp_path, [Entry(frame, a_correction(frame))]))["images"]
    assert image["attributes"]["simulated"] is True


def test_an_annotation_says_where_it_comes_from(tmp_path: Path) -> None:
    frame = a_frame()
    kept = a_finding(score=0.25, parent_finding_id="fnd_parent", ellipse=Ellipse(cx=1, cy=2, rx=3, ry=4))
    corrected = a_correction(
        frame, prediction_id="prd_1", findings=(kept,), changes={kept.finding_id: Change.CHANGED}
    )
    (one,) = document(export(tmp_path, [Entry(frame, corrected)]))["annotations"]
    assert one["score"] == 0.25
    assert one["attributes"].items() >= {
        "finding_id": kept.finding_id, "origin": "prediction", "reader": "anna", "parent": "prd_1",
        "parent_finding_id": "fnd_parent", "change": "changed", "correction_id": corrected.correction_id,
    }.items()  # fmt: skip
    assert one["attributes"]["ellipse"]["rx"] == 3.0
    predicted = a_prediction(frame)
    (one,) = document(export(tmp_path, [Entry(frame, predicted)]))["annotations"]
    assert one["attributes"].items() >= {
        "model_version": "embedded-1", "prediction_id": predicted.prediction_id
    }.items()  # fmt: skip


def test_a_region_without_a_score_has_none_instead_of_one(tmp_path: Path) -> None:
    (one,) = document(export(tmp_path, entries_of([a_finding()])))["annotations"]
    assert "score" not in one


def test_keypoints_are_written_as_coco_does(tmp_path: Path) -> None:
    points = (Keypoint(name="crown", x=3, y=4), Keypoint(name="rump", x=9, y=8, visibility=0))
    (one,) = document(export(tmp_path, entries_of([a_finding("CRL_KP", keypoints=points)])))["annotations"]
    assert one["keypoints"] == [3, 4, 2, 9, 8, 0]
    assert one["num_keypoints"] == 1


def test_turned_boxes_keep_their_turn(tmp_path: Path) -> None:
    turned = RotatedBox(cx=10, cy=10, width=8, height=4, angle_deg=30)
    (one,) = document(export(tmp_path, entries_of([a_finding(rotated_box=turned)])))["annotations"]
    assert RotatedBox(**one["attributes"]["rotated_box"]) == turned


@pytest.mark.parametrize("count", [1999, 2000, 2001, 4000])
def test_every_annotation_is_written_whatever_their_number(count: int, tmp_path: Path) -> None:
    path = export(tmp_path, entries_of([a_finding()] * count))
    assert len(document(path)["annotations"]) == count


def test_two_runs_give_identical_bytes(tmp_path: Path) -> None:
    entries = entries_of(*heads(3), [a_finding(score=1 / 3)])
    first = export(tmp_path / "a", entries).read_bytes()
    assert export(tmp_path / "b", entries).read_bytes() == first
    assert export(tmp_path / "a", entries).read_bytes() == first


# Files


def test_images_lie_beside_the_annotations_as_they_were_stored(tmp_path: Path) -> None:
    entries = entries_of([a_finding()], [])
    out = export(tmp_path, entries).parent
    for image in document(out / "annotations.json")["images"]:
        name = Path(image["file_name"]).name
        assert (out / image["file_name"]).read_bytes() == (tmp_path / "stored" / name).read_bytes()


def test_images_of_an_earlier_export_go_and_files_of_others_stay(tmp_path: Path) -> None:
    entries = entries_of([a_finding()], [a_finding()])
    out = export(tmp_path, entries).parent
    (out / "images" / "my notes.png").write_bytes(b"x")
    (out / "images" / f"{'z' * 32}.png").write_bytes(b"x")
    (out / "README").write_text("mine")
    export(tmp_path, entries[:1])
    left = {path.name for path in (out / "images").iterdir()}
    assert left == {f"{entries[0].frame.frame_id}.png", "my notes.png", f"{'z' * 32}.png"}
    assert (out / "README").read_text() == "mine"


def test_a_half_copied_image_is_copied_again(tmp_path: Path) -> None:
    entries = entries_of([a_finding()])
    out = export(tmp_path, entries).parent
    image = out / "images" / f"{entries[0].frame.frame_id}.png"
    whole = image.read_bytes()
    image.write_bytes(whole[:10])
    export(tmp_path, entries)
    assert image.read_bytes() == whole


def one_line(error: pytest.ExceptionInfo[CocoError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_an_out_that_is_a_file_is_one_clear_line_and_the_file_stays(tmp_path: Path) -> None:
    entries = entries_of([a_finding()])
    (tmp_path / "out").write_text("a letter")
    with pytest.raises(CocoError) as error:
        export(tmp_path, entries)
    assert str(tmp_path / "out") in one_line(error)
    assert (tmp_path / "out").read_text() == "a letter"


@pytest.mark.parametrize("where", ["/proc/annotator-export", "/dev/null/out", "/dev/full/out"])
def test_an_out_that_cannot_be_made_is_one_clear_line(where: str, tmp_path: Path) -> None:
    with pytest.raises(CocoError) as error:
        export_coco(Path(where), [], {}, which="truth")
    assert where in one_line(error)


def test_a_stored_image_that_is_missing_is_one_clear_line_that_names_it(tmp_path: Path) -> None:
    entries = entries_of([a_finding()])
    paths = stored(tmp_path, entries)
    paths[entries[0].frame.frame_id].unlink()
    with pytest.raises(CocoError, match=r"stored image .* is missing; import it again"):
        export_coco(tmp_path / "out", entries, paths, which="truth")


def test_a_full_disk_leaves_the_old_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = export(tmp_path, entries_of([a_finding()])).read_bytes()

    def disk_is_full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", disk_is_full)
    entries = entries_of([a_finding()], [a_finding()])
    with pytest.raises(CocoError, match="No space left on device"):
        export_coco(tmp_path / "out", entries, stored_before(tmp_path, entries), which="truth")
    assert (tmp_path / "out" / "annotations.json").read_bytes() == old
    assert hidden_part_files(tmp_path) == []


def stored_before(folder: Path, entries: Sequence[Entry]) -> dict[str, Path]:
    """Image files that are on the disk already, without writing any."""
    (source,) = (folder / "stored").glob("*.png")
    return {entry.frame.frame_id: source for entry in entries}


def test_a_failure_half_way_leaves_the_old_file_as_it_was(tmp_path: Path) -> None:
    old = export(tmp_path, entries_of([a_finding()])).read_bytes()
    frame = a_frame()
    broken = Entry(frame, Correction.model_construct(frame_id=frame.frame_id, findings=(None,)))
    with pytest.raises(AttributeError):
        export(tmp_path, [broken])
    assert (tmp_path / "out" / "annotations.json").read_bytes() == old
    assert hidden_part_files(tmp_path / "out") == []


def test_files_can_be_read_by_others(tmp_path: Path) -> None:
    path = export(tmp_path, entries_of([a_finding()]))
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_predictions_and_corrections_can_be_exported_alike(tmp_path: Path) -> None:
    frame: Frame = a_frame()
    said: list[Prediction | Correction] = [a_prediction(frame), a_correction(frame)]
    for each in said:
        assert len(document(export(tmp_path, [Entry(frame, each)]))["annotations"]) == 1


def test_an_image_tells_the_sizes_of_its_outlines_in_mm_where_the_pixel_size_is_known() -> None:
    ellipse = Ellipse(cx=400, cy=270, rx=200, ry=150)
    head = a_masked_finding(ellipse_to_mask(ellipse, (800, 540)), ellipse=ellipse)
    known = a_frame(size_wh=(800, 540), pixel_spacing_mm=(0.15, 0.15))
    unknown = known.model_copy(update={"pixel_spacing_mm": None})
    records = [image_record(1, Entry(one, a_correction(one, findings=(head,)), ())) for one in (known, unknown)]
    perimeter_mm = 165.8  # Ramanujan's second formula for semi-axes of 30 and 22.5 mm, by hand
    assert records[0]["attributes"]["measurements"]["HC"]["value"] == pytest.approx(perimeter_mm, abs=0.05)
    assert records[0]["attributes"]["measurements"]["HC"]["unit"] == "mm"
    assert "measurements" not in records[1]["attributes"]
