"""`annotator teachers`: what is known of them, and their features of the frames that are stored."""

from pathlib import Path
from typing import Any

import pytest
import torch

from annotator.commands.teaching import cache_teachers, list_teachers
from annotator.errors import BackendError, InputError
from annotator.store import Store
from backends.teachers.cache import TeacherCache
from backends.teachers.teacher import TEACHERS
from tests.backends.teachers.originals import TINY, in_its_container, random_state
from tests.builders import keep_frames


@pytest.fixture
def teacher_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small file in UltraFedFM's format."""
    record = TINY["ultra_fed_fm"]
    monkeypatch.setitem(TEACHERS, "ultra_fed_fm", record)
    path = tmp_path / "checkpoint.pth"
    torch.save(in_its_container(record, random_state(record)), path)
    return path


@pytest.fixture
def workspace(tmp_path: Path) -> Any:
    folder = tmp_path / "workspace"
    store = Store(folder)
    keep_frames(store, 11)
    store.close()
    return folder


def test_the_list_says_what_is_not_free_to_use(tmp_path: Path) -> None:
    result = list_teachers(tmp_path)
    teachers = result.document["teachers"]
    assert sum(one["weight"] for one in teachers.values()) == pytest.approx(1.0)
    assert {name for name, one in teachers.items() if one["non_commercial"]} == {"fetal_clip", "ultra_sam"}
    assert result.text.count("NON-COMMERCIAL") == 2
    assert "None ships with this tool" in result.text


def test_stored_frames_are_cached_once(workspace: Path, teacher_file: Path) -> None:
    given = [f"ultra_fed_fm={teacher_file}"]
    first = cache_teachers(workspace, given)
    assert (first.document["computed"], first.document["there_before"]) == (11, 0)
    cache = TeacherCache(workspace / "teachers" / "features.h5")
    assert cache.pairs == (("ultra_fed_fm", 0), ("ultra_fed_fm", 1), ("ultra_fed_fm", 2))
    store = Store(workspace)
    assert set(cache.image_ids) == {frame.frame_id for frame in store.frames()}
    store.close()
    again = cache_teachers(workspace, given)
    assert (again.document["computed"], again.document["there_before"]) == (0, 11)


def test_a_frame_that_cannot_be_read_is_named_and_the_others_go_on(workspace: Path, teacher_file: Path) -> None:
    store = Store(workspace)
    lost = next(iter(store.frames())).frame_id
    store.image_path(lost).write_bytes(b"no image")
    store.close()
    result = cache_teachers(workspace, [f"ultra_fed_fm={teacher_file}"], workspace / "other.h5")
    assert result.document["computed"] == 10
    assert list(result.document["unreadable"]) == [lost]
    assert lost not in TeacherCache(workspace / "other.h5")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "no teacher given"),
        (["usf_mae"], "give it as NAME=FILE"),
        (["usf_mae="], "give it as NAME=FILE"),
        (["usf_mae=a.pt", "usf_mae=b.pt"], "given twice"),
        (["dino=a.pt"], "no teacher is called 'dino'"),
        (["usf_mae=a.pt"], "no such file"),
    ],
)
def test_what_cannot_be_used_is_told(workspace: Path, given: list[str], message: str) -> None:
    with pytest.raises((InputError, BackendError), match=message):
        cache_teachers(workspace, given)
