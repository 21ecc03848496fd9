"""A model under questions: every answer is bounded, timed, and an error where it is one."""

import json
from pathlib import Path

import pytest

from annotator.schema import LoadedFrame
from annotator.taxonomy import INTERPRETATION_FIELDS
from backends.asking.examinee import Examinee
from backends.asking.inquiries import MODALITY, MOST_CHARACTERS, PLAIN, Inquiry, named_modality, words_of
from backends.engine import Finish, Phase
from backends.opening import BackendChoice
from backends.prompts import load_profile
from backends.recorded import RecordedAnswer
from tests.builders import a_frame, some_pixels

SENTENCE = "This is a fetal ultrasound image."
FIELDS, FREE = Inquiry("eight fields", "fields"), Inquiry("question 1", "free", "What is seen?")
PHASES = Inquiry("all phases", "phases")
WHOLE = json.dumps(dict.fromkeys(INTERPRETATION_FIELDS, "normal"))


@pytest.fixture
def frame() -> LoadedFrame:
    return LoadedFrame(a_frame(), some_pixels())


def examinee(tmp_path: Path, frame: LoadedFrame, **texts: str) -> Examinee:
    """A model that gives the recorded answers to prompts: the interpretation plain and with the modality, FREE."""
    prompts = {
        "plain": words_of(load_profile(), FIELDS),
        "modality": words_of(named_modality(load_profile(), SENTENCE), FIELDS),
        "free": FREE.words,
    }
    lines = [
        RecordedAnswer(
            frame=frame.frame.frame_id, phase=Phase.INTERPRET, prompt=prompts[name], text=text, finish=Finish.STOP
        ).model_dump_json()
        for name, text in texts.items()
    ]
    path = tmp_path / "answers.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return Examinee(BackendChoice(backend="recorded", answers=path), threads=1, sentence=SENTENCE)


def test_each_wording_is_put_and_its_fields_are_read(tmp_path: Path, frame: LoadedFrame) -> None:
    model = examinee(tmp_path, frame, plain=WHOLE, modality="I see a head.")
    plain, named = model.ask(frame, [(PLAIN, FIELDS), (MODALITY, FIELDS)])
    assert plain.fields == dict.fromkeys(INTERPRETATION_FIELDS, "normal")
    assert (plain.issues, plain.error, plain.variant) == ((), None, "plain")
    assert (named.fields, named.text, named.variant) == (None, "I see a head.", "modality")
    assert named.issues


def test_an_answer_of_megabytes_is_cut_and_its_length_kept(tmp_path: Path, frame: LoadedFrame) -> None:
    (said,) = examinee(tmp_path, frame, free="head " * 500_000).ask(frame, [(PLAIN, FREE)])
    assert len(said.text) == MOST_CHARACTERS
    assert said.characters == 2_500_000


def test_what_fails_is_an_error_and_the_other_questions_are_answered(tmp_path: Path, frame: LoadedFrame) -> None:
    failed, phases, free = examinee(tmp_path, frame, free="A head.").ask(
        frame, [(PLAIN, FIELDS), (PLAIN, PHASES), (PLAIN, FREE)]
    )
    assert failed.error is not None
    assert "holds no answer" in failed.error
    assert phases.prediction is None
    assert phases.error is not None
    assert "the model answered nothing" in phases.error
    assert (free.text, free.error) == ("A head.", None)


def test_all_phases_are_kept_as_one_prediction(tmp_path: Path, frame: LoadedFrame) -> None:
    (said,) = examinee(tmp_path, frame, plain=WHOLE).ask(frame, [(PLAIN, PHASES)])
    assert said.prediction is not None
    assert said.prediction.raw_texts["interpret"] == WHOLE
    assert said.fields == dict.fromkeys(INTERPRETATION_FIELDS, "normal")


def test_the_facts_tell_weights_and_wording_apart(tmp_path: Path, frame: LoadedFrame) -> None:
    facts = examinee(tmp_path, frame, free="A head.").facts
    assert facts.kinds == ("fields", "free", "phases")
    assert facts.variants == ("plain", "modality")
    assert facts.provenance["profile_sha256"] == load_profile().content_hash
    assert facts.provenance["profile_sha256"] != facts.sha256
