"""`evaluate --compare`: stored predictions side by side; no model is loaded."""

from pathlib import Path

import pytest

from annotator.commands.evaluating_models import compare_models
from annotator.errors import InputError
from annotator.schema import Frame
from annotator.store import Store
from tests.builders import a_correction, a_finding, a_model, a_prediction, keep_frames

BOX = (4.0, 5.0, 20.0, 15.0)
OFF = (10.0, 5.0, 26.0, 15.0)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    with_versions(tmp_path, {"base-1111": OFF, "skd-2222": BOX})
    return tmp_path


def with_versions(folder: Path, boxes: dict[str, tuple[float, float, float, float]]) -> None:
    store = Store(folder)
    frames = keep_frames(store, 8)
    store.add_corrections(
        [a_correction(one, is_truth=True, findings=(a_finding("CSP", BOX),), plane="Abdomen") for one in frames]
    )
    for name, box in boxes.items():
        store.add_model_version(a_model(name, "fada"))
        with store.writing() as connection:
            store.add_predictions(connection, [said(one, name, box) for one in frames])
    store.add_model_version(a_model("never-3333", "fada"))
    store.close()


def said(frame: Frame, name: str, box: tuple[float, float, float, float]):  # type: ignore[no-untyped-def]
    return a_prediction(frame, name, findings=(a_finding("CSP", box, score=0.5),), plane="Abdomen")


def test_two_versions_stand_side_by_side_under_the_names_they_are_given(workspace: Path) -> None:
    result = compare_models(workspace, ["Base=base-1111", "SKD=skd-2222"], "truth", None)
    rows = result.document["rows"]
    assert rows["Base"]["figures"]["f1_50"]["value"] == 0.0
    assert rows["SKD"]["figures"]["f1_50"]["value"] == 1.0
    assert result.document["models"] == {"Base": "base-1111", "SKD": "skd-2222"}
    assert "SKD - Base" in result.text
    assert "| SKD | 1.0000" in result.document["markdown"]


def test_a_version_may_be_named_by_its_beginning(workspace: Path) -> None:
    result = compare_models(workspace, ["skd", "base-1111"], "truth", None)
    assert result.document["models"] == {"skd": "skd-2222", "base-1111": "base-1111"}


@pytest.mark.parametrize(
    ("versions", "against", "split", "message"),
    [
        (["SKD=fkd"], "truth", None, "no model version is called 'fkd'; the workspace has base-1111, skd-2222"),
        (["x=base-1111", "x=skd-2222"], "truth", None, "two runs are called 'x'"),
        (["never-3333"], "truth", None, "never-3333 has predicted none of the 8 frames with a reference"),
        (["skd"], "corrected", None, "no frame has a corrected annotation"),
        (["skd"], "truth", "test", "no frame of split test has a truth annotation"),
        (["=skd-2222="], "truth", None, "several model versions begin with ''"),
    ],
)
def test_what_cannot_be_compared_is_said(
    workspace: Path, versions: list[str], against: str, split: str | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        compare_models(workspace, versions, against, split)
