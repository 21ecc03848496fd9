"""`benchmark`: models are asked in processes of their own, nothing twice, and no failure stops the others."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from annotator.cli import Result
from annotator.commands.benchmarking import run_benchmark
from annotator.errors import InputError
from annotator.store import Store
from tests.builders import a_correction, keep_frames
from tests.openai_server import OpenAiServer, completion, fails, prompt_of, running, says, sends

ROOT = Path(__file__).resolve().parents[3]
QUESTION = "Which structures are seen?"
PLANES = ("Trans-thalamic", "Trans-cerebellum")


@pytest.fixture(scope="module")
def server() -> Iterator[OpenAiServer]:
    with running(OpenAiServer()) as started:
        yield started


@pytest.fixture(autouse=True)
def _as_at_first(server: OpenAiServer) -> None:
    server.reset()


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Four small frames, two of them with a view as their reference."""
    folder = tmp_path / "workspace"
    store = Store(folder, None)
    frames = keep_frames(store, 4)
    store.add_corrections(
        [
            a_correction(frame, "reference", is_truth=True, plane=PLANES[place])
            for place, frame in enumerate(frames[:2])
        ]
    )
    store.close()
    return folder


def at(server: OpenAiServer, name: str = "tiny") -> str:
    return f"remote={server.url}#{name}"


def bench(workspace: Path, *models: str, **more: Any) -> Result:
    more.setdefault("questions", [QUESTION])
    return run_benchmark(workspace, models, out=workspace.parent / "out", **more)


def rows(result: Result) -> dict[str, Any]:
    return {row["key"]: row for row in result.document["runs"]}


def lines_of(workspace: Path) -> list[dict[str, Any]]:
    files = sorted((workspace.parent / "out" / "runs").glob("*.jsonl"))
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


def test_a_model_is_asked_and_its_report_written(workspace: Path, server: OpenAiServer) -> None:
    fields = {"imaging_plane": "transthalamic plane", "image_quality": "good"}
    server.usual = lambda body: completion(
        "The skull is seen." if prompt_of(body) == QUESTION else json.dumps(fields), logprobs=None
    )
    result = bench(workspace, at(server), kinds=["fields", "free"])
    (row,) = rows(result).values()
    assert result.exit_code == 0
    assert (row["answers"], row["expected"], row["failed"]) == (8, 8, 0)
    assert row["figures"]["field: imaging plane"]["value"] == 0.5
    assert 20 < row["peak_memory_mib"] < 4000
    assert row["load_seconds"] > 0
    page = Path(result.document["files"]["page"]).read_text()
    assert "The skull is seen." in page
    assert "data:image/jpeg;base64," in page


def test_the_modality_is_named_in_front_only_in_that_variant(workspace: Path, server: OpenAiServer) -> None:
    server.usual = lambda body: completion(f"It says: {len(server.bodies)} {prompt_of(body)[:20]}")
    result = bench(workspace, at(server), variants=["modality"], sentence="This is an ultrasound image.", limit=2)
    prompts = [prompt_of(body) for body in server.bodies]
    assert prompts.count(QUESTION) == 2
    assert prompts.count(f"This is an ultrasound image.\n{QUESTION}") == 2
    (one,) = result.document["wordings"]
    assert one["key"] == f"{one['reference']} (modality) minus {one['reference']}"


def test_what_was_answered_is_not_asked_again(workspace: Path, server: OpenAiServer) -> None:
    server.usual = lambda body: completion(f"The skull is seen, {len(server.bodies)}.")
    bench(workspace, at(server))
    before = len(server.bodies)
    assert before == 4
    bench(workspace, at(server))
    assert len(server.bodies) == before
    bench(workspace, at(server), redo=True)
    assert len(server.bodies) == 2 * before


def test_a_run_that_is_killed_goes_on_where_it_was(workspace: Path, server: OpenAiServer) -> None:
    fourth = threading.Event()

    def slow_from_the_fourth(body: Any) -> Any:
        if len(server.bodies) == 4:
            fourth.set()
            time.sleep(1.0)
        return completion(f"The skull is seen, {len(server.bodies)}.")

    server.usual = slow_from_the_fourth
    code = (
        "from pathlib import Path; from annotator.commands.benchmarking import run_benchmark\n"
        f"if __name__ == '__main__':\n"
        f"    run_benchmark(Path({str(workspace)!r}), [{at(server)!r}], questions=[{QUESTION!r}],"
        f" out=Path({str(workspace.parent / 'out')!r}))\n"
    )
    script = workspace.parent / "bench.py"
    script.write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, str(script)], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    try:
        assert fourth.wait(120)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    kept = [line for line in lines_of(workspace) if line["record"] == "answer"]
    assert len(kept) == 3
    server.usual = lambda body: completion("The skull is seen again.")
    asked_before = len(server.bodies)
    result = bench(workspace, at(server))
    (row,) = rows(result).values()
    assert (row["answers"], row["failed"]) == (4, 0)
    assert len(server.bodies) - asked_before == 1
    assert [line for line in lines_of(workspace) if line["record"] == "answer"][:3] == kept


def kill_the_asker(body: Any) -> None:
    for child in multiprocessing.active_children():
        child.kill()
    time.sleep(0.2)


ENDINGS: dict[str, tuple[Any, str, str]] = {
    "dies": (kill_the_asker, "process died", "STOPPED before the first frame, process died"),
    "spent": (fails(429, "You exceeded your quota", code="insufficient_quota"), "quota used up", "needs credit"),
    "shut": (fails(401, "Incorrect API key"), "key not accepted", "does not accept the key"),
}


def test_what_ends_a_model_is_kept_and_the_next_model_is_asked(workspace: Path, server: OpenAiServer) -> None:
    server.models = [{"id": name, "object": "model"} for name in (*ENDINGS, "good")]

    def answer(body: Any) -> Any:
        fault = ENDINGS.get(body["model"])
        return fault[0](body) if fault else completion("The skull is seen.")

    server.usual = answer
    result = bench(workspace, *(at(server, name) for name in (*ENDINGS, "good")))
    *ended, good = rows(result).values()
    for row, (_, kind, told) in zip(ended, ENDINGS.values(), strict=True):
        assert row["stopped"]["failure"] == kind
        assert row["answers"] == 0
        assert any(told in alarm["text"] for alarm in result.document["alarms"] if alarm["run"] == row["key"])
    assert (good["answers"], good["failed"]) == (4, 0)
    assert result.exit_code == 0


ANSWERS = {
    "none?": (says(None), "empty"),
    "empty?": (says(""), "empty"),
    "long?": (says("word " * 100_000), "longer than 20,000 characters, cut there"),
    "megabytes?": (sends(b"x" * (5 * 1024 * 1024)), "longer than 20,000 characters, cut there"),
    "cut?": (says("The skull and", finish="length"), "cut off by the token limit"),
    "loop?": (says("the fetal head " * 30), "the same words over and over"),
    "refused?": (fails(400, "no images please"), "server error"),
    "good?": (says("The skull is seen."), None),
}


def test_what_is_no_answer_is_kept_by_its_kind_and_bounded(workspace: Path, server: OpenAiServer) -> None:
    server.usual = lambda body: ANSWERS[prompt_of(body)][0](body)
    result = bench(workspace, at(server), limit=1, questions=list(ANSWERS))
    (row,) = rows(result).values()
    wanted = [kind for _, kind in ANSWERS.values() if kind]
    assert row["failures"] == {kind: wanted.count(kind) for kind in wanted}
    assert row["answers"] == len(ANSWERS)
    files = [path for path in (workspace.parent / "out").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 200_000


def test_a_model_that_takes_too_long_is_cut_off_and_given_up_after_three_frames(
    workspace: Path, server: OpenAiServer
) -> None:
    def hangs(body: Any) -> Any:
        time.sleep(2.0)
        return completion("Too late.")

    server.usual = hangs
    result = bench(workspace, at(server), limit_seconds=0.3)
    (row,) = rows(result).values()
    assert row["failures"] == {"took too long": 3}
    assert row["stopped"]["failure"] == "took too long"


def test_the_key_of_a_server_is_never_written_down(
    workspace: Path, server: OpenAiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANNOTATOR_REMOTE_API_KEY", "sk-very-secret")
    server.key = "another"
    result = bench(workspace, at(server), limit=1)
    assert rows(result)[next(iter(rows(result)))]["stopped"]["failure"] == "key not accepted"
    assert result.exit_code == 1
    for path in (workspace.parent / "out").rglob("*"):
        assert not path.is_file() or b"sk-very-secret" not in path.read_bytes()


def test_the_embedded_model_takes_part_in_all_phases_and_is_asked_no_text(workspace: Path) -> None:
    result = bench(workspace, "embedded", kinds=["fields", "phases"], questions=[], limit=2)
    (row,) = rows(result).values()
    assert (row["answers"], row["expected"], row["failed"]) == (2, 2, 0)
    assert "<svg" in Path(result.document["files"]["page"]).read_text()


REFUSED = [
    (["Qwen9-VL-3B"], {}, "no model 'Qwen9-VL-3B' in the catalog"),
    (["./no/such/folder"], {}, "no such folder"),
    (["{empty}"], {}, "neither config.json"),
    (["embedded", "embedded"], {}, "the same model twice"),
    (["Qwen3-VL-2B", "Qwen/Qwen3-VL-2B-Instruct"], {}, "the same model twice"),
    (["remote=http://127.0.0.1:1"], {}, "write remote=URL#NAME"),
    (["remote=https://models.example.org/v1#big"], {}, "--allow-upload"),
    (["owner/base+./nowhere"], {}, "no such folder of an adapter"),
    ([], {}, "at least one model"),
    (["embedded"], {"split": "holdout"}, "no frame of split holdout"),
    (["embedded"], {"frames": ["absent.png"]}, "no such frame"),
    (["embedded"], {"kinds": ["songs"]}, "there is fields, free, phases"),
    (["embedded"], {"variants": ["rude"]}, "there is plain, modality"),
    (["embedded"], {"sentence": "A {fields} image."}, "without braces"),
]


@pytest.mark.parametrize(("models", "options", "told"), REFUSED)
def test_what_cannot_be_asked_is_refused_in_one_line_before_anything_is_loaded(
    workspace: Path, tmp_path: Path, models: list[str], options: dict[str, Any], told: str
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=told.replace("{", r"\{")) as refusal:
        bench(workspace, *(one.replace("{empty}", str(tmp_path / "empty")) for one in models), **options)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "out").exists()


def test_a_workspace_without_frames_is_refused(tmp_path: Path) -> None:
    Store(tmp_path / "workspace", None).close()
    with pytest.raises(InputError, match="has no frame; `annotator import`"):
        bench(tmp_path / "workspace", "embedded")


def test_a_folder_of_other_questions_is_refused(workspace: Path, server: OpenAiServer) -> None:
    server.usual = says("The skull is seen.")
    bench(workspace, at(server), limit=1)
    with pytest.raises(InputError, match="a benchmark with other questions"):
        bench(workspace, at(server), limit=1, questions=["Is the heart seen?"])
    with pytest.raises(InputError, match="a benchmark with other frames"):
        bench(workspace, at(server), limit=2)


def test_frames_are_spread_over_the_workspace_and_training_frames_left_out(tmp_path: Path) -> None:
    from annotator.commands.benchmarking import choose_frames

    store = Store(tmp_path / "workspace", None)
    frames = keep_frames(store, 12)
    store.add_frames(
        [frame.model_copy(update={"split": "train" if n < 4 else "test"}) for n, frame in enumerate(frames)]
    )
    names = [frame.source_file for frame in choose_frames(store, None, 4, ())]
    assert names == [f"frame{n:03}.png" for n in (4, 6, 8, 10)]
    assert len(choose_frames(store, "train", None, ())) == 4
    assert choose_frames(store, None, 1, ["frame002.png"])[0].frame_id == frames[2].frame_id
    store.close()
