"""COCO as other tools write it: everything that can be read is read, and whatever is odd is said."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotator.errors import CocoError
from annotator.geometry import mask_to_rle, rle_area, rle_to_mask
from exports import coco_reading
from exports.coco_findings import structure_named
from exports.coco_masks import coco_rle_runs
from exports.coco_reading import CocoFile, read_coco
from tests.builders import a_mask

SQUARE = [4.0, 5.0, 20.0, 5.0, 20.0, 15.0, 4.0, 15.0]
HOLED = a_mask() & ~a_mask(box=(8, 8, 10, 12))


def read(folder: Path, document: Any) -> CocoFile:
    path = folder / "annotations.json"
    path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
    return read_coco(path)


def a_file(*annotations: dict[str, Any], **more: Any) -> dict[str, Any]:
    image = {"id": 1, "file_name": "a.png", "width": 32, "height": 24}
    names = [{"id": 1, "name": "Brain"}, {"id": 2, "name": "CSP"}]
    return {"images": [image], "categories": names, "annotations": list(annotations)} | more


def an_annotation(**more: Any) -> dict[str, Any]:
    return {"id": 1, "image_id": 1, "category_id": 2, "bbox": [4, 5, 16, 10], **more}


def test_label_studios_converter(tmp_path: Path) -> None:
    """Ids from 0, `ignore`, absolute paths, a prefix before the name, indented, no other fields."""
    file_name = "/home/ls/.local/share/label-studio/media/upload/1/0a1b2c3d-frame_1.png"
    document = {
        "images": [{"width": 32, "height": 24, "id": 0, "file_name": file_name}],
        "categories": [{"id": 0, "name": "Brain"}, {"id": 1, "name": "Acceptable"}],
        "annotations": [
            {
                "id": 0, "image_id": 0, "category_id": 0, "segmentation": [SQUARE], "bbox": [4.0, 5.0, 16.0, 10.0],
                "ignore": 0, "iscrowd": 0, "area": 160.0,
            }
        ],
        "info": {"year": 2026, "version": "1.0", "contributor": "Label Studio"},
    }  # fmt: skip
    content = read(tmp_path, json.dumps(document, indent=2).encode())
    (image,) = content.images
    assert image.file_name.endswith("0a1b2c3d-frame_1.png")
    assert [(one.structure, one.box_xyxy) for one in image.findings] == [("Brain", (4, 5, 20, 15))]
    assert content.oddities == {
        "annotation with id 0, which pycocotools takes for no match": 1,
        "file_name with the folders of another machine, only its end is used": 1,
    }


def test_cvat(tmp_path: Path) -> None:
    """Masks as uncompressed RLE, crowds, attributes of its own, licences, zero for what is not known."""
    runs = coco_rle_runs(mask_to_rle(HOLED).counts)
    document = a_file(
        an_annotation(
            segmentation={"counts": runs, "size": [24, 32]}, area=float(HOLED.sum()), iscrowd=1,
            attributes={"occluded": False, "rotation": 0.0, "track_id": 3, "keyframe": True},
        ),
        licenses=[{"name": "", "id": 0, "url": ""}],
        info={"contributor": "", "date_created": "", "year": ""},
    )  # fmt: skip
    content = read(tmp_path, document)
    (finding,) = content.images[0].findings
    assert finding.mask_rle == mask_to_rle(HOLED)
    assert content.oddities == {"annotation marked iscrowd, taken as one object": 1}


def test_roboflow(tmp_path: Path) -> None:
    """A category of the whole project that nothing uses, other spellings, ids from 0, `extra`, numbers as words."""
    document = a_file(
        an_annotation(id=0, category_id=1, bbox=[4, 5, 16.0, "10"], area=160, segmentation=[]),
        an_annotation(id=1, category_id=2, segmentation=[SQUARE]),
        categories=[
            {"id": 0, "name": "fetal-planes-x1", "supercategory": "none"},
            {"id": 1, "name": "nasal bone", "supercategory": "fetal-planes-x1"},
            {"id": 2, "name": "Cavum Septi Pellucidi", "supercategory": "fetal-planes-x1"},
        ],
    )
    document["images"][0]["extra"] = {"name": "frame.png"}
    content = read(tmp_path, document)
    assert [one.structure for one in content.images[0].findings] == ["nasal_bone", "CSP"]
    assert content.oddities == {
        "annotation with id 0, which pycocotools takes for no match": 1,
        "category 'nasal bone' taken as nasal_bone": 1,
        "category 'Cavum Septi Pellucidi' taken as CSP": 1,
    }


def test_supervision(tmp_path: Path) -> None:
    """A mask with a hole comes as a crowd, in RLE; areas are those of boxes."""
    rle = {"counts": coco_rle_runs(mask_to_rle(HOLED).counts), "size": [24, 32]}
    document = a_file(
        an_annotation(id=1, segmentation=rle, iscrowd=1, area=160.0, score=None),
        an_annotation(id=2, segmentation=[SQUARE], iscrowd=0, area=160.0),
    )
    content = read(tmp_path, document)
    assert [rle_area(one.mask_rle) for one in content.images[0].findings if one.mask_rle] == [HOLED.sum(), 160]
    assert content.oddities == {"annotation marked iscrowd, taken as one object": 1}


@pytest.mark.parametrize(
    ("name", "structure"),
    [
        ("csp", "CSP"), ("Csp", "CSP"), ("nasal-bone", "nasal_bone"), ("NASAL BONE", "nasal_bone"),
        ("lateral ventricle", "LV"), ("Scale_Bar", "ScaleBar"), ("heart", "cardiac"), ("h", "H"), ("head", "head"),
        ("kidney", None), ("", None), ("fetal", None), ("brain2", None), ("none", None),
    ],
)  # fmt: skip
def test_category_names_are_known_however_they_are_spelt_but_never_guessed(
    name: str, structure: str | None
) -> None:
    assert structure_named(name) == structure


ODD: list[tuple[dict[str, Any], str, int]] = [
    ({"ignore": 1}, "marked ignore", 1),
    ({"bbox": [-4, 5, 16, 10]}, "reaching out of the image", 1),
    ({"bbox": [4, 5, 1000, 10]}, "reaching out of the image", 1),
    ({"segmentation": [[4, 5, 20, 15, 20, 5, 4, 15]]}, "crosses or touches itself", 1),
    ({"category_id": 7}, "unknown structure 'kidney'", 0),
    ({"bbox": [40, 50, 3, 3]}, "outside of the image", 0),
    ({"segmentation": {"size": [24, 32], "counts": [100, 100]}}, "does not cover", 0),
    ({"segmentation": [[5, 5, 5, 5, 5, 5]]}, "without area", 1),
]


@pytest.mark.parametrize(("odd", "said", "kept"), ODD, ids=lambda value: str(value)[:50])
def test_whatever_is_odd_is_said(odd: dict[str, Any], said: str, kept: int, tmp_path: Path) -> None:
    names = [{"id": 1, "name": "Brain"}, {"id": 2, "name": "CSP"}, {"id": 7, "name": "kidney"}]
    content = read(tmp_path, a_file(an_annotation(**odd), categories=names))
    assert [oddity for oddity in content.oddities if said in oddity], content.oddities
    assert len(content.images[0].findings) == kept
    for finding in content.images[0].findings:
        x_min, y_min, x_max, y_max = finding.box_xyxy
        assert 0 <= x_min <= x_max <= 32
        assert 0 <= y_min <= y_max <= 24


def test_a_box_that_is_missing_comes_from_the_mask_or_the_keypoints(tmp_path: Path) -> None:
    bare = {"id": 1, "image_id": 1, "category_id": 2}
    names = [{"id": 2, "name": "CSP"}, {"id": 3, "name": "CRL_KP", "keypoints": ["crown", "rump"]}]
    points = {"id": 2, "image_id": 1, "category_id": 3, "keypoints": [3, 4, 2, 9, 8, 2]}
    content = read(tmp_path, a_file(bare | {"segmentation": [SQUARE]}, points, categories=names))
    assert [one.box_xyxy for one in content.images[0].findings] == [(4, 5, 20, 15), (3, 4, 9, 8)]
    assert not content.oddities


def test_numbers_that_are_none_are_counted_as_such(tmp_path: Path) -> None:
    document = a_file(
        an_annotation(area=float("nan"), score=float("nan")), an_annotation(id=2, bbox=[float("inf")] * 4)
    )
    content = read(tmp_path, document)
    assert [one.box_xyxy for one in content.images[0].findings] == [(4, 5, 20, 15)]
    assert content.oddities["NaN or Infinity, read as nothing"] == 6
    assert content.oddities.total() == 7  # and the box of nothing


def test_categories_that_share_an_id_are_told(tmp_path: Path) -> None:
    names = [{"id": 2, "name": "CSP"}, {"id": 2, "name": "LV"}]
    content = read(tmp_path, a_file(an_annotation(), categories=names))
    assert [one.structure for one in content.images[0].findings] == ["CSP"]
    assert content.oddities == {"category id used before, 'LV' left out": 1}


def test_a_polygon_of_100_000_points_is_filled(tmp_path: Path) -> None:
    around = np.linspace(0, 2 * np.pi, 100_000, endpoint=False)
    ring = np.stack([400 + 150 * np.cos(around), 300 + 100 * np.sin(around)], axis=1)
    document = a_file(an_annotation(segmentation=[ring.ravel().tolist()]))
    document["images"][0] |= {"width": 800, "height": 600}
    content = read(tmp_path, document)
    (finding,) = content.images[0].findings
    assert finding.mask_rle is not None
    assert rle_to_mask(finding.mask_rle).sum() == pytest.approx(np.pi * 150 * 100, rel=1e-3)
    assert not content.oddities


def test_100_000_points_at_random_are_read_or_refused_in_time(tmp_path: Path) -> None:
    random = np.random.default_rng(0).random(200_000) * 24
    content = read(tmp_path, a_file(an_annotation(segmentation=[random.tolist()])))
    assert content.oddities.total() == 1


def test_a_file_of_more_than_2_gb_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as stream:
        stream.truncate(2_100_000_000)  # takes no room on the disk
    with pytest.raises(CocoError, match=r"has 2\.1 GB; at most .* can be read here. Split it by images"):
        read_coco(path)


def test_a_file_that_does_not_fit_into_memory_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(a_file(an_annotation())))
    monkeypatch.setattr(coco_reading, "_available_memory", lambda: 1000)
    with pytest.raises(CocoError, match="Split it by images"):
        read_coco(path)
