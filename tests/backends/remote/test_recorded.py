"""Answers kept in a file and given again."""

import threading
from pathlib import Path

import pytest

from annotator.errors import InputError
from annotator.frames import frame_id_of
from backends.engine import Answer, Engine, Finish, Phase, TokenScore
from backends.recorded import RecordedAnswer, RecordedEngine, RecordedFrame, RecordingEngine, record_answers
from tests.builders import some_pixels
from tests.openai_server import OpenAiServer, fails, says
from tests.remote_builders import a_question, an_engine

SAID = Answer("[]", Finish.LENGTH, 1.5, (TokenScore(0, 1, -0.1, 0.25), TokenScore(1, 2, None)), None, 2)


def a_row(text: str = "[]", frame: str = "f" * 32, prompt: str = "Where is the CSP?") -> RecordedAnswer:
    return RecordedAnswer(frame=frame, phase=Phase.DETECT, prompt=prompt, text=text, finish=Finish.STOP)


def an_engine_it_is(engine: RecordedEngine) -> Engine[RecordedFrame[None]]:
    """The type checker holds it to the protocol."""
    return engine


def a_recording_engine_is_one(engine: RecordingEngine[str]) -> Engine[RecordedFrame[str]]:
    """The type checker holds it to the protocol."""
    return engine


def test_what_a_server_said_is_said_again_without_it(openai_server: OpenAiServer, tmp_path: Path) -> None:
    path = tmp_path / "kept" / "answers.jsonl"
    live = RecordingEngine(an_engine(openai_server, dialect="openai"), path)
    pixels = [some_pixels(1), some_pixels(2, colour=True)]
    questions = [a_question(), a_question("Name the plane.", None, Phase.INTERPRET)]
    openai_server.usual = lambda body: None if "response_format" in body else says("größer µm")(body)
    frames = live.open(pixels)
    said = live.ask([(frame, question) for frame in frames for question in questions])
    openai_server.usual = fails(500)

    replayed = RecordedEngine(path)
    again = replayed.ask([(frame, question) for frame in replayed.open(pixels) for question in questions])
    assert again == said
    assert said[0].tokens is not None
    assert replayed.model.base == live.model.name
    assert replayed.model.name == f"recorded-{replayed.model.content_hash[:12]}"


def test_every_part_of_an_answer_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    record_answers(path, [RecordedAnswer.of(frame_id_of(some_pixels()), a_question(), SAID, "remote-1")])
    opened = RecordedEngine(path)
    (frame,) = opened.open([some_pixels()])
    assert opened.ask([(frame, a_question())]) == [SAID]


def test_a_failure_is_kept_as_a_failure(openai_server: OpenAiServer, tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    live = RecordingEngine(an_engine(openai_server, dialect="openai"), path)
    openai_server.usual = fails(500, "out of memory")
    (frame,) = live.open([some_pixels()])
    (said,) = live.ask([(frame, a_question())])
    assert "out of memory" in str(said.error)
    replayed = RecordedEngine(path)
    assert replayed.ask([(replayed.open([some_pixels()])[0], a_question())]) == [said]


@pytest.mark.parametrize(
    ("pixels", "prompt", "phase"),
    [(2, "Where is the CSP?", Phase.DETECT), (1, "Where?", Phase.DETECT), (1, "Where is the CSP?", Phase.SEGMENT)],
)
def test_an_unknown_question_is_an_error_that_names_it(
    tmp_path: Path, pixels: int, prompt: str, phase: Phase
) -> None:
    path = tmp_path / "answers.jsonl"
    record_answers(path, [a_row(frame=frame_id_of(some_pixels(1)))])
    engine = RecordedEngine(path)
    (frame,) = engine.open([some_pixels(pixels)])
    (answer,) = engine.ask([(frame, a_question(prompt, phase=phase))])
    assert (answer.text, answer.finish) == ("", Finish.ERROR)
    assert answer.error == (
        f"answers.jsonl holds no answer to the {phase} question {prompt!r} about frame {frame.frame_id}"
    )


def test_of_equal_questions_the_last_answer_counts(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    record_answers(path, [a_row("first")])
    record_answers(path, [a_row("second")])
    (answer,) = RecordedEngine(path).ask([(RecordedFrame("f" * 32, None), a_question())])
    assert answer.text == "second"


@pytest.mark.parametrize(
    "line",
    ['{"frame": "f"}', "not JSON", "[]", '{"frame": 1, "phase": "detect"}', b'{"\xff"}'.decode("latin-1")],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(f"{a_row().model_dump_json()}\n{line}\n{a_row().model_dump_json()}\n", encoding="latin-1")
    with pytest.raises(InputError, match=r"answers\.jsonl, line 2, is no recorded answer"):
        RecordedEngine(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.jsonl cannot be read"):
        RecordedEngine(tmp_path / "nothing.jsonl")


def test_a_line_cut_off_by_a_crash_is_left_out_and_written_over(
    openai_server: OpenAiServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "answers.jsonl"
    record_answers(path, [a_row("whole")])
    with path.open("a") as stream:
        stream.write(a_row("torn").model_dump_json()[:40])
    (answer,) = RecordedEngine(path).ask([(RecordedFrame("f" * 32, None), a_question())])
    assert answer.text == "whole"
    assert "unfinished line" in caplog.text

    live = RecordingEngine(an_engine(openai_server), path)
    live.ask([(live.open([some_pixels()])[0], a_question())])
    assert len(path.read_text().splitlines()) == 2
    RecordedEngine(path)


def test_a_last_line_that_lacks_only_its_end_is_kept(openai_server: OpenAiServer, tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(a_row("by hand").model_dump_json())
    live = RecordingEngine(an_engine(openai_server), path)
    live.ask([(live.open([some_pixels()])[0], a_question())])
    (answer,) = RecordedEngine(path).ask([(RecordedFrame("f" * 32, None), a_question())])
    assert answer.text == "by hand"


def test_two_writers_never_mix_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"

    def write(letter: str) -> None:
        for number in range(40):
            record_answers(path, [a_row(letter * 3000, prompt=f"{letter}{number}")] * 2)

    writers = [threading.Thread(target=write, args=(letter,)) for letter in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    lines = path.read_text().splitlines()
    assert len(lines) == 240
    assert all(len(set(RecordedAnswer.model_validate_json(line).text)) == 1 for line in lines)
