"""The command line as it is typed: what it prints, where, and with which exit code."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from annotator.cli import main
from annotator.store import Store
from tests.builders import some_pixels


class Outcome(NamedTuple):
    """How a command ended."""

    exit_code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.out)
        return parsed

    @property
    def complaint(self) -> str:
        """The one line that says what is wrong; progress bars come before it."""
        return self.err.strip().splitlines()[-1]


Run = Callable[..., Outcome]


@pytest.fixture
def run(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Type a command in a workspace of the test's own."""
    monkeypatch.delenv("ANNOTATOR_WORKSPACE", raising=False)

    def typed(*words: object) -> Outcome:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["--workspace", str(tmp_path / "workspace"), *map(str, words)])
        captured = capfd.readouterr()
        return Outcome(int(ended.value.code or 0), captured.out, captured.err)

    return typed


def save(folder: Path, name: str, seed: int = 0, size_wh: tuple[int, int] = (32, 24)) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(some_pixels(seed, size_wh)).save(folder / name)
    return folder / name


def a_coco_file(folder: Path, **more: Any) -> Path:
    """Two frames of one subject; on the first a head mask with a hole and a box, on the second nothing."""
    mask = np.zeros((24, 32), bool)
    mask[4:20, 6:26] = True
    mask[10:14, 12:18] = False
    runs = np.flatnonzero(np.diff(np.r_[False, mask.ravel("F"), False])).tolist()
    counts = np.diff([0, *runs, mask.size]).tolist()
    document = {
        "images": [
            {"id": 1, "file_name": "images/a.png", "width": 32, "height": 24, "split": "train", "subject_id": "S1"},
            {
                "id": 2,
                "file_name": "images/b.png",
                "width": 32,
                "height": 24,
                "split": "val",
                "plane": "Trans-thalamic",
            },
        ],
        "categories": [{"id": 7, "name": "Brain"}, {"id": 9, "name": "NT"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 7, "segmentation": {"size": [24, 32], "counts": counts}},
            {"id": 2, "image_id": 1, "category_id": 9, "bbox": [1.5, 2.25, 8, 4], "segmentation": []},
        ],
        **more,
    }
    path = folder / "annotations.json"
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def data_set(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    save(folder / "images", "a.png", seed=1)
    save(folder / "images", "b.png", seed=2)
    a_coco_file(folder)
    return folder


def import_truth(run: Run, data_set: Path) -> Outcome:
    return run(
        "import", data_set, "--coco", data_set / "annotations.json", "--as-truth", "--source", "made", "--json"
    )


def test_what_cannot_be_read_is_named_and_stops_nothing_else(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    save(folder, "good.png")
    save(folder, "tiny.png", size_wh=(1, 1))
    (folder / "empty.png").touch()
    (folder / "text.jpg").write_text("not an image")
    outcome = run("import", folder, "--json")
    assert outcome.exit_code == 0
    assert outcome.document["imported"] == 1
    assert {failure["file"] for failure in outcome.document["failures"]} == {"tiny.png", "empty.png", "text.jpg"}
    assert all(failure["reason"] for failure in outcome.document["failures"])


def test_the_same_content_under_two_names_is_one_frame_and_both_names_are_kept(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    save(folder, "first.png")
    save(folder, "second.tif")
    outcome = run("import", folder, "--json")
    assert (outcome.document["imported"], outcome.document["duplicates"]) == (1, 1)
    store = Store(tmp_path / "workspace")
    assert list(store.names().values()) == [["first.png", "second.tif"]]
    store.close()


def test_importing_again_adds_nothing(run: Run, data_set: Path) -> None:
    assert import_truth(run, data_set).document["truths"] == 2
    again = import_truth(run, data_set).document
    assert (again["imported"], again["already_known"], again["truths"]) == (0, 2, 0)


def test_a_coco_file_brings_subject_split_and_plane_and_its_annotations_leave_again_bit_for_bit(
    run: Run, data_set: Path, tmp_path: Path
) -> None:
    import_truth(run, data_set)
    outcome = run("export", "coco", tmp_path / "out", "--which", "truth", "--json")
    assert outcome.document["images"] == 2
    assert outcome.document["annotations"] == 2
    given, written = COCO(str(data_set / "annotations.json")), COCO(str(tmp_path / "out" / "annotations.json"))
    first, second = (written.imgs[1]["attributes"], written.imgs[2]["attributes"])
    assert (first["subject"], first["split"], first["source_file"]) == ("S1", "train", "a.png")
    assert (second["plane"], second["split"]) == ("Trans-thalamic", "val")
    assert np.array_equal(written.annToMask(written.anns[1]), given.annToMask(given.anns[1]))
    assert written.anns[2]["bbox"] == given.anns[2]["bbox"]
    assert (tmp_path / "out" / written.imgs[1]["file_name"]).is_file()


def test_an_image_of_another_size_than_its_coco_file_says_is_left_out_with_the_reason(
    run: Run, data_set: Path
) -> None:
    save(data_set / "images", "b.png", seed=3, size_wh=(24, 32))
    outcome = import_truth(run, data_set)
    (failure,) = outcome.document["failures"]
    assert failure["file"] == "b.png"
    assert "24x32" in failure["reason"]
    assert "32x24" in failure["reason"]
    assert outcome.document["imported"] == 1


def test_a_coco_file_that_names_images_which_are_not_there_says_which(run: Run, data_set: Path) -> None:
    (data_set / "images" / "b.png").unlink()
    outcome = import_truth(run, data_set)
    assert [failure["file"] for failure in outcome.document["failures"]] == ["images/b.png"]


def test_a_coco_file_is_matched_by_the_end_of_the_path_and_never_climbs_out(run: Run, data_set: Path) -> None:
    save(data_set / "masks", "a.png", seed=9)
    document = json.loads((data_set / "annotations.json").read_text())
    document["images"][1]["file_name"] = "../../../etc/b.png"
    (data_set / "annotations.json").write_text(json.dumps(document))
    outcome = import_truth(run, data_set)
    assert outcome.document["failed"] == 0
    assert outcome.document["oddities"] == {"image that the COCO file does not name, left out": 1}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["import", "{tmp}/nowhere"], "does not exist"),
        (["import", "{tmp}/bare"], "no PNG, JPEG or TIFF image, DICOM file or video"),
        (["import", "{tmp}/bare", "--as-truth"], "--as-truth needs --coco"),
        (["import", "{tmp}/one", "--coco", "{tmp}/nowhere.json"], "cannot read the COCO file"),
        (["import", "{tmp}/one", "--coco", "{tmp}/one/frame.png"], "is not JSON"),
        (["import", "{tmp}/one", "--subject-from", "("], "no regular expression"),
        (["preannotate", "--backend", "nobody"], "no backend 'nobody'"),
        (["evaluate"], "no frame has a truth annotation"),
        (["export", "coco", "{tmp}/out"], "nothing to export"),
        (["labelstudio", "push"], "annotator labelstudio start"),
        (["labelstudio", "pull"], "annotator labelstudio start"),
        (["labelstudio", "connect"], "annotator labelstudio start"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_code_one(
    run: Run, tmp_path: Path, words: list[str], complaint: str
) -> None:
    (tmp_path / "bare").mkdir()
    save(tmp_path / "one", "frame.png")
    outcome = run(*(word.format(tmp=tmp_path) for word in words))
    assert outcome.exit_code == 1
    assert outcome.complaint.startswith("Error: ")
    assert complaint in outcome.complaint
    assert "Traceback" not in outcome.err
    assert outcome.out == ""


@pytest.mark.parametrize(
    "words",
    [
        ["import"],
        ["unknown"],
        ["export", "coco"],
        ["import", "x", "--pixel-size-mm", "-1"],
        ["serve", "--port", "x"],
    ],
)
def test_wrong_usage_ends_with_two(run: Run, words: list[str]) -> None:
    assert run(*words).exit_code == 2


def test_a_variable_that_cannot_be_used_is_named(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANNOTATOR_BATCH_SIZE", "many")
    outcome = run("import", save(tmp_path / "one", "frame.png"))
    assert outcome.exit_code == 1
    assert "ANNOTATOR_BATCH_SIZE='many'" in outcome.complaint


def test_verify_is_clean_until_an_image_is_altered(run: Run, data_set: Path, tmp_path: Path) -> None:
    import_truth(run, data_set)
    assert run("verify", "--json").document["clean"]
    image = next((tmp_path / "workspace" / "frames").rglob("*.png"))
    Image.fromarray(some_pixels(77)).save(image)
    outcome = run("verify", "--json")
    assert outcome.exit_code == 1
    assert len(outcome.document["problems"]) == 1


def test_status_counts_and_names_the_splits(run: Run, data_set: Path) -> None:
    import_truth(run, data_set)
    document = run("status", "--json").document
    assert (document["frames"], document["truths"], document["corrections"]) == (2, 2, 0)
    assert document["splits"] == {"train": 1, "val": 1}


def test_the_export_of_the_same_workspace_is_the_same_to_the_byte(run: Run, data_set: Path, tmp_path: Path) -> None:
    import_truth(run, data_set)
    for folder in ("one", "two"):
        run("export", "coco", tmp_path / folder, "--which", "truth")
    first, second = ((tmp_path / folder / "annotations.json").read_bytes() for folder in ("one", "two"))
    assert first == second


def test_help_names_every_command_and_says_that_it_is_not_for_clinical_use(run: Run) -> None:
    outcome = run("--help")
    assert outcome.exit_code == 0
    assert "not for clinical use" in outcome.out
    for command in ("demo", "import", "preannotate", "labelstudio", "export", "evaluate", "verify"):
        assert command in outcome.out
