"""Data sets as versions, and exports that come back, as they are typed on the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from annotator.cli import main
from annotator.schema import Change, Correction, Interpretation
from annotator.store import Store
from annotator.store.datasets import dataset_versions
from exports.coco_reading import read_coco
from tests.builders import a_correction, a_finding, a_mask, a_masked_finding, a_model, a_prediction, keep_frames

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Type a command; what it printed as JSON, with its exit code and its complaint."""

    def typed(*words: object, workspace: str = "workspace") -> dict[str, Any]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["--workspace", str(tmp_path / workspace), *map(str, words), "--json"])
        out, err = capfd.readouterr()
        return {**(json.loads(out) if out else {}), "exit_code": int(ended.value.code or 0), "said": err}

    return typed


def corrections_in(store: Store, count: int = 30) -> list[Correction]:
    """Each frame predicted, and corrected by a reader: one region kept, one added, one deleted."""
    found, predictions = [], []
    for frame in keep_frames(store, count):
        kept, gone = a_finding(score=0.5), a_finding("LV", score=0.25)
        added = a_masked_finding(a_mask() & ~a_mask(box=(6, 7, 9, 9)), origin="manual")
        predictions.append(a_prediction(frame, findings=(kept, gone), asked_for={"detect": ("CSP", "LV", "Brain")}))
        found.append(
            a_correction(
                frame,
                findings=(kept, added),
                prediction_id=predictions[-1].prediction_id,
                plane="Trans-thalamic",
                interpretation=Interpretation(anatomical_structures="skull", image_quality="good"),
                deleted_finding_ids=(gone.finding_id,),
                changes={
                    kept.finding_id: Change.KEPT, added.finding_id: Change.ADDED, gone.finding_id: Change.DELETED,
                },
                reasons=("not there",),
                lead_time_s=30.0,
            )
        )  # fmt: skip
    store.add_model_version(a_model())
    with store.writing() as connection:
        store.add_predictions(connection, predictions)
    store.add_corrections(found)
    return found


@pytest.fixture
def corrections(tmp_path: Path) -> list[Correction]:
    store = Store(tmp_path / "workspace")
    found = corrections_in(store)
    store.close()
    return found


def open_store(tmp_path: Path, workspace: str = "workspace") -> Store:
    return Store(tmp_path / workspace)


def test_an_export_comes_back_as_truth_with_all_that_a_correction_holds(
    run: Run, corrections: list[Correction], tmp_path: Path
) -> None:
    run("export", "coco", tmp_path / "out")
    coco = tmp_path / "out" / "annotations.json"
    words = ("import", tmp_path / "out" / "images", "--coco", coco, "--as-truth")
    for new in (len(corrections), 0):  # a second import adds nothing
        assert run(*words, workspace="other")["truths"] == new
    back = {one.frame_id: one for one in open_store(tmp_path, "other").newest_corrections(is_truth=True)}
    outside = {"correction_id", "is_truth", "external_id", "external_updated_at"}
    for one in corrections:
        assert back[one.frame_id].model_dump(exclude=outside) == one.model_dump(exclude=outside)


def test_predictions_come_back_as_truth_with_text_and_lineage(
    run: Run, corrections: list[Correction], tmp_path: Path
) -> None:
    run("export", "coco", tmp_path / "out", "--which", "predicted")
    run(
        "import", tmp_path / "out", "--coco", tmp_path / "out" / "annotations.json", "--as-truth", workspace="other"
    )
    back = list(open_store(tmp_path, "other").newest_corrections(is_truth=True))
    predicted = {one.frame_id: one for one in open_store(tmp_path).newest_predictions()}
    assert len(back) == len(corrections)
    for one in back:
        assert one.findings == predicted[one.frame_id].findings
        assert one.prediction_id == predicted[one.frame_id].prediction_id


@pytest.mark.usefixtures("corrections")
def test_a_data_set_holds_coco_splits_card_and_hashes(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "fetal"
    said = run("export", "dataset", out, "--licence", "made up=CC BY 4.0")
    assert said["images"] == 30
    assert sum(said["splits"].values()) == 30
    splits = json.loads((out / "splits.json").read_bytes())
    subjects = {}
    for split, names in splits.items():
        content = read_coco(out / f"annotations_{split}.json")
        assert not content.oddities
        assert sorted(image.file_name for image in content.images) == names
        assert all((out / name).is_file() for name in names)
        for image in content.images:
            assert image.facts.split == split
            assert subjects.setdefault(image.facts.subject, split) == split
    assert len(read_coco(out / "annotations.json").images) == 30
    record = json.loads((out / "dataset.json").read_bytes())
    assert record["dataset_id"] == said["dataset"]
    assert record["readers"] == ["anna"]
    assert record["licences"] == {"made up": "CC BY 4.0"}
    assert record["structures"] == {"CSP": 30, "Brain": 30}
    assert str(tmp_path) not in (out / "dataset.json").read_text()
    card = (out / "DATASET_CARD.md").read_text()
    for line in (
        "| frames | 30 |",
        "| made up | 30 | CC BY 4.0 |",
        "| anna | 30 |",
        "30 kept",
        "30 deleted",
        "0.2 hours",
    ):
        assert line in card


@pytest.mark.usefixtures("corrections")
def test_equal_content_is_one_version_and_new_content_has_a_parent(run: Run, tmp_path: Path) -> None:
    first = run("export", "dataset", tmp_path / "a", "--name", "fetal")
    content = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir() if path.is_file()}
    again = run("export", "dataset", tmp_path / "a", "--name", "fetal")
    assert (again["dataset"], again["new"]) == (first["dataset"], False)
    assert {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir() if path.is_file()} == content
    store = open_store(tmp_path)
    store.add_corrections([a_correction(frame) for frame in keep_frames(store, 3, first_seed=100)])
    second = run("export", "dataset", tmp_path / "b", "--name", "fetal")
    versions = dataset_versions(store)
    assert [version.dataset_id for version in versions] == [first["dataset"], second["dataset"]]
    assert versions[1].parent == first["dataset"]
    for key, split in versions[0].assigned.items():
        assert versions[1].assigned[key] == split


@pytest.mark.usefixtures("corrections")
def test_a_version_that_was_left_alone_verifies(run: Run, tmp_path: Path) -> None:
    run("export", "dataset", tmp_path / "out")
    assert run("verify")["problems"] == []
    assert run("verify", "--dataset", tmp_path / "out")["exit_code"] == 0
    (tmp_path / "out").rename(tmp_path / "moved")
    said = run("verify")
    assert said["exit_code"] == 0
    assert "not checked" in said["notes"][0]
    assert run("verify", "--dataset", tmp_path / "moved")["exit_code"] == 0


def an_image(out: Path) -> Path:
    return min((out / "images").iterdir())


TAMPERING: list[tuple[str, Callable[[Path], object]]] = [
    ("annotations.json was changed", lambda out: (out / "annotations.json").write_bytes(b"{}")),
    ("splits.json was removed", lambda out: (out / "splits.json").unlink()),
    ("DATASET_CARD.md was changed", lambda out: (out / "DATASET_CARD.md").write_text("better")),
    (".png was changed", lambda out: an_image(out).write_bytes(b"x")),
    (".png was removed", lambda out: an_image(out).unlink()),
    ("other.png was added", lambda out: (out / "images" / "other.png").write_bytes(b"x")),
    ("images.sha256 was changed", lambda out: (out / "images.sha256").write_text("")),
    (
        "is not the version",
        lambda out: (out / "dataset.json").write_text(
            (out / "dataset.json").read_text().replace('"content_hash": "', '"content_hash": "0')
        ),
    ),
]


@pytest.mark.usefixtures("corrections")
def test_whatever_is_changed_in_a_version_is_found(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for complaint, tamper in TAMPERING:
        run("export", "dataset", out)
        tamper(out)
        said = run("verify")
        assert said["exit_code"] == 1
        assert any(complaint in problem for problem in said["problems"]), complaint
    assert "holds no data set version" in run("verify", "--dataset", tmp_path)["said"]


def test_the_difference_of_two_versions_names_frames_and_structures(
    run: Run, corrections: list[Correction], tmp_path: Path
) -> None:
    first = run("export", "dataset", tmp_path / "a", "--name", "fetal")["dataset"]
    nothing = run("export", "dataset", "--diff", tmp_path / "a", first)
    assert (nothing["added"], nothing["relabelled"], nothing["structures"]) == ([], [], {})

    store = open_store(tmp_path)
    (new,) = keep_frames(store, 1, first_seed=200)
    moved = corrections[0].findings[0].model_copy(update={"box_xyxy": (1.0, 2.0, 5.0, 6.0)})
    store.add_corrections(
        [
            a_correction(new, findings=(a_finding("NT"),)),
            corrections[0].model_copy(update={"correction_id": "cor_2", "findings": (moved,), "changes": {}}),
            corrections[1].model_copy(update={"correction_id": "cor_3", "plane": "Other"}),
            corrections[2].model_copy(update={"correction_id": "cor_4", "lead_time_s": 99.0}),  # the same labels
        ]
    )
    second = run("export", "dataset", tmp_path / "b", "--name", "fetal")["dataset"]
    said = run("export", "dataset", "--diff", first, second)
    assert said["added"] == [new.frame_id]
    assert said["removed"] == []
    assert sorted(said["relabelled"]) == sorted(one.frame_id for one in corrections[:2])
    assert said["moved"] == {}
    assert said["structures"] == {"NT": {"added": 1}, "CSP": {"changed": 1}, "Brain": {"removed": 1}}


@pytest.mark.usefixtures("corrections")
def test_every_format_is_written_with_the_same_splits(run: Run, tmp_path: Path) -> None:
    wanted = run("export", "dataset", tmp_path / "dataset")["splits"]
    assert run("export", "yolo", tmp_path / "yolo")["images"] == wanted
    theirs = run("export", "hf", tmp_path / "hf")["images"]
    assert {split.replace("validation", "val"): count for split, count in theirs.items()} == wanted
    lines = run("export", "conversations", tmp_path / "talk")["lines"]
    assert lines == {"interpret": 90, "classify": 30, "detect": 30, "segment": 30}
    said = [json.loads(line) for line in (tmp_path / "talk" / "conversations.jsonl").read_text().splitlines()]
    assert {split: len({one["frame_id"] for one in said if one["split"] == split}) for split in wanted} == wanted
    # the reader saw that there was no lateral ventricle where the model had looked for one
    assert all("LV" in one["structures"] for one in said if one["task"] == "detect")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("export", "dataset", "out"), "nothing to export"),
        (("export", "yolo", "out", "--which", "predicted"), "nothing to export"),
        (("export", "dataset"), "give OUT, or --diff A B"),
        (("export", "dataset", "--diff", "a", "b"), "neither a folder nor a data set version"),
        (("export", "dataset", "out", "--licence", "CC0"), "must be SOURCE=LICENCE"),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(run: Run, words: tuple[str, ...], complaint: str) -> None:
    said = run(*words)
    assert said["exit_code"] > 0
    assert complaint in said["said"]
