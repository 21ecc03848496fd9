"""The cache of features says what made it, refuses what was made otherwise, and survives the death of its maker."""

import os
import pickle
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from annotator.errors import AnnotatorError, BackendError
from backends.teachers.cache import Asked, Source, TeacherCache, as_published, write_cache
from backends.teachers.filling import cache_features, rows_done
from backends.teachers.teacher import USF_MAE
from tests.backends.teachers.counting import CountingTeacher, frames, ids
from tests.builders import hidden_part_files

ROOT = Path(__file__).resolve().parents[3]


def a_source(**more: Any) -> Source:
    known = {
        "sha256": "ab" * 32,
        "licence": "MIT",
        "non_commercial": False,
        "preprocessing": "as is",
        "image_size": 224,
    }
    return Source(**{**known, **more})


def a_cache(path: Path, count: int = 5, **more: Any) -> dict[tuple[str, int], NDArray[np.float64]]:
    random = np.random.default_rng(0)
    pairs = [("fetal_clip", 7, 4), ("usf_mae", 3, 6), ("usf_mae", 11, 6)]
    features = {(teacher, block): random.normal(size=(count, dim)) for teacher, block, dim in pairs}
    sources = {"fetal_clip": a_source(licence="CC BY-NC 4.0", non_commercial=True), "usf_mae": a_source(**more)}
    write_cache(path, ids(count), features, sources)
    return features


def contents(path: Path) -> dict[str, dict[tuple[str, int], list[float]]]:
    cache = TeacherCache(path)
    return {name: {pair: list(v) for pair, v in (cache.features(name) or {}).items()} for name in cache.image_ids}


def test_features_come_back_as_they_went_in_to_half_precision(tmp_path: Path) -> None:
    written = a_cache(tmp_path / "features.h5")
    cache = TeacherCache(tmp_path / "features.h5")
    assert cache.teachers == ("fetal_clip", "usf_mae")
    assert cache.pairs == (("fetal_clip", 7), ("usf_mae", 3), ("usf_mae", 11))
    assert (cache.dim("fetal_clip"), cache.dim("usf_mae"), len(cache)) == (4, 6, 5)
    found = cache.features(ids(5)[3])
    assert found is not None
    for pair, array in written.items():
        assert found[pair].dtype == np.float32
        np.testing.assert_array_equal(found[pair], array[3].astype(np.float16).astype(np.float32))
    assert cache.features("f" * 32) is None
    assert ids(5)[0] in cache
    assert "f" * 32 not in cache


def test_licence_and_hash_travel_with_the_features(tmp_path: Path) -> None:
    a_cache(tmp_path / "features.h5")
    told = TeacherCache(tmp_path / "features.h5").provenance
    assert told["fetal_clip"]["licence"] == "CC BY-NC 4.0"
    assert told["fetal_clip"]["non_commercial"] is True
    assert told["usf_mae"]["sha256"] == "ab" * 32
    assert told["usf_mae"]["pooling"] == "mean of patch tokens"


def test_the_layout_is_the_documented_one(tmp_path: Path) -> None:
    a_cache(tmp_path / "features.h5")
    with h5py.File(tmp_path / "features.h5") as file:
        dataset = file["/features/usf_mae_layer11"]
        assert (dataset.dtype, dataset.shape) == (np.float16, (5, 6))
        assert file.attrs["schema"] == 1
        assert set(dataset.attrs) == {
            *("teacher", "block", "dim", "pooling", "image_size"),
            *("sha256", "licence", "non_commercial", "preprocessing"),
        }
        assert list(file["/image_id"]) == [name.encode() for name in ids(5)]


def test_a_worker_that_was_handed_the_cache_reads_it_anew(tmp_path: Path) -> None:
    a_cache(tmp_path / "features.h5")
    cache = TeacherCache(tmp_path / "features.h5")
    cache.features(ids(5)[0])
    sent = pickle.loads(pickle.dumps(cache))
    np.testing.assert_array_equal(sent.features(ids(5)[2])["usf_mae", 3], cache.features(ids(5)[2])["usf_mae", 3])  # type: ignore[index]
    child = os.fork()
    if child == 0:
        found = cache.features(ids(5)[2])
        os._exit(0 if found is not None and found["usf_mae", 3].shape == (6,) else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Asked("ultra_sam"), "holds no features of ultra_sam, only of fetal_clip, usf_mae"),
        (Asked("usf_mae", blocks=(3, 7, 11)), r"blocks \(3, 11\) where \(3, 7, 11\) is asked"),
        (Asked("usf_mae", dim=768), "vectors of width 6 where 768"),
        (Asked("usf_mae", image_size=384), "images of side 224 where 384"),
        (Asked("usf_mae", sha256="ef" * 32), "SHA-256 abab"),
        (Asked("usf_mae", pooling="class token"), "pooling mean of patch tokens where class token"),
    ],
)
def test_a_cache_of_something_else_is_refused_with_the_mend(tmp_path: Path, asked: Asked, message: str) -> None:
    a_cache(tmp_path / "features.h5")
    with pytest.raises(BackendError, match=message) as caught:
        TeacherCache(tmp_path / "features.h5", [asked])
    assert "annotator teachers cache --teacher" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_fada_needs_is_asked_by_the_published_records(tmp_path: Path) -> None:
    wanted = {one.teacher: (one.blocks, one.dim, one.image_size) for one in as_published()}
    assert wanted["fetal_clip"] == ((7, 15, 23), 1024, 224)
    assert wanted["ultra_sam"] == ((3, 7, 11), 768, 1024)
    pairs = {("usf_mae", block): np.zeros((2, 768)) for block in (3, 7, 11)}
    write_cache(tmp_path / "features.h5", ids(2), pairs, {"usf_mae": a_source()})
    assert len(TeacherCache(tmp_path / "features.h5", as_published(["usf_mae"]))) == 2


def damage(path: Path, how: str) -> None:
    if how == "no file":
        path.unlink()
    elif how == "no HDF5":
        path.write_bytes(b"features")
    elif how == "torn":
        path.write_bytes(path.read_bytes()[:-900])
    else:
        with h5py.File(path, "r+") as file:
            dataset = file["features/usf_mae_layer3"]
            if how == "another schema":
                file.attrs["schema"] = 99
            elif how == "another width":
                dataset.attrs["dim"] = 768
            elif how == "another block":
                dataset.attrs["block"] = 7
            elif how == "no hash":
                del dataset.attrs["sha256"]
            elif how == "a mix of files":
                dataset.attrs["sha256"] = "ff" * 32
            elif how == "a row too few":
                del file["image_id"]
                file["image_id"] = np.array([b"a", b"b"])


@pytest.mark.parametrize(
    "how",
    [
        *("no file", "no HDF5", "torn", "another schema", "another width", "another block"),
        *("no hash", "a mix of files", "a row too few"),
    ],
)
def test_a_damaged_cache_is_refused(tmp_path: Path, how: str) -> None:
    path = tmp_path / "features.h5"
    a_cache(path)
    damage(path, how)
    with pytest.raises(BackendError, match=r"features\.h5.*(make|come from)") as caught:
        TeacherCache(path)
    assert "\n" not in str(caught.value)


def test_rows_that_do_not_match_are_not_written(tmp_path: Path) -> None:
    path = tmp_path / "features.h5"
    with pytest.raises(BackendError, match="is 4x6, not 5 rows"):
        write_cache(path, ids(5), {("usf_mae", 3): np.zeros((4, 6))}, {"usf_mae": a_source()})
    with pytest.raises(BackendError, match="named twice"):
        write_cache(path, ["a", "a"], {("usf_mae", 3): np.zeros((2, 6))}, {"usf_mae": a_source()})
    assert not path.exists()


def test_frames_are_computed_once_and_new_ones_added(tmp_path: Path) -> None:
    path, teacher, heard = tmp_path / "deep" / "features.h5", CountingTeacher(), []
    assert cache_features(frames(20), [teacher], path, on_progress=heard.append) == 20
    assert sum(heard) == 20
    before = path.read_bytes()
    assert cache_features(frames(20), [teacher], path) == 0
    assert path.read_bytes() == before
    assert cache_features(frames(25), [teacher], path) == 5
    assert teacher.seen == list(range(25))
    assert rows_done(path, [teacher]) == set(ids(25))
    assert contents(path)[ids(25)[21]]["usf_mae", 11] == [32.0] * 6
    assert sorted(one.name for one in path.parent.iterdir()) == [".features.h5.lock", "features.h5"]


def test_a_frame_given_twice_has_one_row(tmp_path: Path) -> None:
    twice = [*frames(10), *frames(10)]
    assert cache_features(iter(twice), [CountingTeacher()], tmp_path / "features.h5") == 10
    assert len(TeacherCache(tmp_path / "features.h5")) == 10


def test_no_frames_make_an_empty_cache(tmp_path: Path) -> None:
    assert cache_features(frames(0), [CountingTeacher()], tmp_path / "features.h5") == 0
    assert len(TeacherCache(tmp_path / "features.h5")) == 0


@pytest.mark.parametrize(
    "other",
    [
        CountingTeacher(sha256="ee" * 32),
        CountingTeacher(preprocessing="otherwise"),
        CountingTeacher(name="ultra_fed_fm"),
    ],
    ids=["another file", "another preprocessing", "another teacher"],
)
def test_a_cache_is_never_a_mix(tmp_path: Path, other: CountingTeacher) -> None:
    path = tmp_path / "features.h5"
    cache_features(frames(3), [CountingTeacher()], path)
    for ask in (lambda: cache_features(frames(6), [other], path), lambda: rows_done(path, [other])):
        with pytest.raises(BackendError, match="was made otherwise"):
            ask()
    assert len(TeacherCache(path)) == 3


def interrupted(path: Path, count: int) -> None:
    """Leave `count` rows behind, as a killed process would."""

    def dying() -> Iterator[tuple[str, NDArray[np.uint8]]]:
        yield from frames(count)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache_features(dying(), [CountingTeacher()], path)


def test_an_unfinished_cache_is_not_gone_on_with_by_another_file(tmp_path: Path) -> None:
    path = tmp_path / "features.h5"
    interrupted(path, 16)
    assert not path.exists()
    with pytest.raises(BackendError, match=r"made otherwise \(usf_mae of cdcdcdcdcdcd\).*delete it"):
        cache_features(frames(3), [CountingTeacher(sha256="ee" * 32)], path)


@pytest.mark.parametrize("lost", [1, 40, 91, 92, 93, 500])
def test_a_torn_row_is_made_again(tmp_path: Path, lost: int) -> None:
    path = tmp_path / "features.h5"
    interrupted(path, 16)
    rows = path.with_name("features.h5.rows")
    rows.write_bytes(rows.read_bytes()[:-lost])
    teacher = CountingTeacher()
    assert cache_features(frames(24), [teacher], path) == 24
    assert teacher.seen == list(range(16 - -(-lost // 92), 24))
    cache_features(frames(24), [CountingTeacher()], tmp_path / "whole.h5")
    assert contents(path) == contents(tmp_path / "whole.h5")


def test_a_row_with_a_flipped_bit_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "features.h5"
    interrupted(path, 16)
    rows = path.with_name("features.h5.rows")
    content = bytearray(rows.read_bytes())
    content[-30] ^= 1
    rows.write_bytes(content)
    teacher = CountingTeacher()
    cache_features(frames(16), [teacher], path)
    assert teacher.seen == [15]
    assert contents(path)[ids(16)[15]]["usf_mae", 3] == [18.0] * 6


def test_features_that_do_not_fit_half_precision_are_no_features(tmp_path: Path) -> None:
    class Bursting(CountingTeacher):
        def features(self, images: Sequence[NDArray[np.uint8]]) -> dict[int, NDArray[np.float32]]:
            return {block: value * 1e6 for block, value in super().features(images).items()}

    with pytest.raises(BackendError, match=r"usf_mae, block 3: the features of image 0+ are no finite float16"):
        cache_features(frames(3), [Bursting()], tmp_path / "features.h5")


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size` bytes: what a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_while_rows_are_made_says_so_and_the_run_goes_on_later(tmp_path: Path) -> None:
    path = tmp_path / "features.h5"
    with (
        room_for(2500),
        pytest.raises(BackendError, match=r"the disk is full after (8|16) rows; make room") as caught,
    ):
        cache_features(frames(40), [CountingTeacher()], path)
    assert "\n" not in str(caught.value)
    teacher = CountingTeacher()
    assert cache_features(frames(40), [teacher], path) == 40
    assert teacher.seen == list(range(teacher.seen[0], 40))
    assert 16 <= teacher.seen[0] < 40


def test_a_disk_that_fills_while_the_cache_is_written_leaves_the_rows(tmp_path: Path) -> None:
    path = tmp_path / "features.h5"
    interrupted(path, 200)
    size = path.with_name("features.h5.rows").stat().st_size
    assert size > 18000
    with room_for(6000), pytest.raises(BackendError, match=r"cannot be written.*make room"):
        cache_features(frames(200), [CountingTeacher()], path)
    assert not path.exists()
    assert not hidden_part_files(tmp_path)
    teacher = CountingTeacher()
    assert cache_features(frames(200), [teacher], path) == 200
    assert teacher.seen == []


def test_two_processes_do_not_fill_one_cache(tmp_path: Path) -> None:
    path = tmp_path / "features.h5"

    def meanwhile() -> Iterator[tuple[str, NDArray[np.uint8]]]:
        with pytest.raises(AnnotatorError, match="already running"):
            cache_features(frames(2), [CountingTeacher()], path)
        yield from frames(2)

    assert cache_features(meanwhile(), [CountingTeacher()], path) == 2


FILLER = """
import sys, time
from pathlib import Path
import numpy as np
from backends.teachers.filling import cache_features
from tests.backends.teachers.counting import CountingTeacher, frames

class Slow(CountingTeacher):
    def features(self, images):
        time.sleep(0.02)
        with open(sys.argv[2], "a") as log:
            log.writelines(f"{int(image.mean())}\\n" for image in images)
        return super().features(images)

cache_features(frames(200), [Slow()], Path(sys.argv[1]))
"""


def test_a_run_killed_again_and_again_makes_the_same_cache(tmp_path: Path) -> None:
    path, log = tmp_path / "features.h5", tmp_path / "computed"
    rows = path.with_name("features.h5.rows")
    command = [sys.executable, "-c", FILLER, str(path), str(log)]
    for goal in (3000, 9000, 15000):
        process = subprocess.Popen(command, cwd=ROOT)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and (not rows.exists() or rows.stat().st_size < goal):
            assert process.poll() is None
            time.sleep(0.003)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not path.exists()
    subprocess.run(command, cwd=ROOT, check=True)
    cache_features(frames(200), [CountingTeacher()], tmp_path / "whole.h5")
    assert contents(path) == contents(tmp_path / "whole.h5")
    # each death may cost the batch that was being made, never one whose rows were there
    assert 200 <= len(log.read_text().split()) <= 200 + 3 * 8
    assert USF_MAE.name in TeacherCache(path).teachers
