"""Large exports: memory does not grow with the frames, and the old file stays until the new one is whole."""

import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from exports.coco import write_annotations
from exports.entries import Entry
from tests.builders import a_correction, a_finding, a_frame, hidden_part_files

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import resource, sys
from pathlib import Path
from annotator.schema import Frame
from exports.coco import write_annotations
from exports.entries import Entry
from tests.builders import a_correction, a_finding

def entries(count):
    finding = a_finding()
    for number in range(count):
        frame = Frame(frame_id=f"{number:032x}", width=32, height=24, source_file=f"{number}.png")
        yield Entry(frame, a_correction(frame, findings=(finding,) * 5))
        if number == 2000:
            print("under way", flush=True)

write_annotations(Path(sys.argv[1]), entries(int(sys.argv[2])), which="truth")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def started(path: Path, frames: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(path), str(frames)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )


def peak_mib(path: Path, frames: int) -> int:
    with started(path, frames) as process:
        output, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    return int(output.splitlines()[-1])


def test_memory_does_not_grow_with_the_number_of_frames(tmp_path: Path) -> None:
    few, many = (peak_mib(tmp_path / f"{frames}.json", frames) for frames in (3_000, 15_000))
    assert many - few < 30
    assert (tmp_path / "15000.json").stat().st_size > 4.5 * (tmp_path / "3000.json").stat().st_size


def test_kill_9_leaves_the_old_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "annotations.json"
    path.write_text("old")
    with started(path, 10_000_000) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert path.read_text() == "old"


def test_a_disk_that_fills_up_half_way_leaves_the_old_file_as_it_was(tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: the system refuses to write more."""
    path = tmp_path / "annotations.json"
    path.write_text("old")
    frame = a_frame()
    entries = (Entry(frame, a_correction(frame, findings=(a_finding(),) * 5)) for _ in range(5_000))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
        with pytest.raises(OSError, match="File too large"):
            write_annotations(path, entries, which="truth")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_text() == "old"
    assert hidden_part_files(tmp_path) == []
    assert [left.name for left in tmp_path.iterdir()] == ["annotations.json"]
