"""Training conversations: what the assistant is taught to say is read back as what the sonographer drew."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotator.commands.conversing import VARIANTS, conversation_turns
from annotator.errors import InputError
from annotator.geometry import dice, rle_to_mask
from annotator.schema import Interpretation
from backends.engine import Answer, Finish, Phase
from backends.parsing import parse_answer
from backends.prompts import load_profile, question
from exports.conversations import Turn, export_conversations
from exports.entries import Entry
from tests.builders import a_correction, a_frame
from tests.exports.entries import SIZE_WH, some_entries

PROFILE = load_profile()
SAID = Interpretation(**{name: f"Text “{name}”." for name in Interpretation.model_fields})


def nothing_else(_: Entry) -> Mapping[str, Sequence[str]]:
    return {}


def exported(folder: Path, entries: list[Entry], paths: Any, asked_for: Any = nothing_else) -> list[dict[str, Any]]:
    export_conversations(folder / "out", entries, paths, conversation_turns(PROFILE, asked_for))
    return [json.loads(line) for line in (folder / "out" / "conversations.jsonl").read_text().splitlines()]


def question_and_answer(line: dict[str, Any]) -> tuple[str, str]:
    user, assistant = line["messages"]
    assert (user["role"], assistant["role"]) == ("user", "assistant")
    image, text = user["content"]
    assert image == {"type": "image", "image": line["image"]}
    return text["text"], assistant["content"][0]["text"]


def parsed(line: dict[str, Any]) -> Any:
    _, answer = question_and_answer(line)
    views = [line["view"]] if "view" in line else []
    return parse_answer(
        Answer(answer, Finish.STOP, 0.0),
        Phase(line["task"]),
        size_wh=(line["width"], line["height"]),
        structures=line["structures"],
        views=views or ["Trans-thalamic", "Other"],
    )


def test_answers_are_read_back_to_the_same_findings(tmp_path: Path) -> None:
    entries, paths = some_entries(tmp_path, interpretation=SAID)
    lines = exported(tmp_path, entries, paths)
    grid = max(SIZE_WH) / 1000 / 2  # what whole numbers of 0..1000 can be off, in pixels
    for entry in entries:
        mine = [line for line in lines if line["frame_id"] == entry.frame.frame_id]
        findings = entry.said.findings
        read = {task: [parsed(line) for line in mine if line["task"] == task] for task in Phase}
        assert not [
            issue for answers in read.values() for answer in answers for issue in answer.issues if answer.findings
        ]
        assert [answer.view for answer in read["classify"]] == ["Trans-thalamic"]

        boxes = {one.structure: one.box_xyxy for answer in read["detect"] for one in answer.findings}
        wanted = {one.structure: one.box_xyxy for one in findings if not one.keypoints}
        assert boxes.keys() == wanted.keys()
        for name, box in wanted.items():
            np.testing.assert_allclose(boxes[name], box, atol=grid + 1e-9)

        masks = {one.structure: one.mask_rle for answer in read["segment"] for one in answer.findings}
        assert masks.keys() == {one.structure for one in findings if one.mask_rle}
        head = next(one for one in findings if one.structure == "Brain")
        assert dice(rle_to_mask(masks["Brain"]), rle_to_mask(head.mask_rle)) > 0.97

        (points,) = [one.keypoints for answer in read["keypoints"] for one in answer.findings]
        drawn = next(one.keypoints for one in findings if one.keypoints)
        for point, original in zip(points, drawn, strict=True):
            assert (point.name, point.visibility) == (original.name, original.visibility)
            assert (point.x, point.y) == pytest.approx((original.x, original.y), abs=grid + 1e-9)


def test_an_interpretation_is_asked_for_whole_and_in_halves(tmp_path: Path) -> None:
    entries, paths = some_entries(tmp_path, 1, interpretation=SAID)
    lines = [line for line in exported(tmp_path, entries, paths) if line["task"] == "interpret"]
    assert [line["variant"] for line in lines] == list(VARIANTS)
    for line in lines:
        prompt, answer = question_and_answer(line)
        names = VARIANTS[line["variant"]]
        assert list(json.loads(answer)) == list(names)
        assert ", ".join(names) + "." in prompt
        interpretation = parsed(line).interpretation
        for name in Interpretation.model_fields:
            assert getattr(interpretation, name) == (getattr(SAID, name) if name in names else "")
            assert (name in prompt) == (name in names)


def test_questions_are_those_that_are_put_to_a_model(tmp_path: Path) -> None:
    entries, paths = some_entries(tmp_path, 1)
    for line in exported(tmp_path, entries, paths):
        prompt, _ = question_and_answer(line)
        if line["task"] in ("detect", "segment", "keypoints"):
            assert prompt == question(PROFILE, Phase(line["task"]), structures=line["structures"]).prompt


def test_what_was_looked_for_and_not_there_is_asked_and_left_out_of_the_answer(tmp_path: Path) -> None:
    entries, paths = some_entries(tmp_path, 1)
    lines = exported(tmp_path, entries, paths, lambda _: {"detect": ("LV", "stomach")})
    asked = {name for line in lines if line["task"] == "detect" for name in line["structures"]}
    assert {"LV", "stomach"} < asked
    found = {one.structure for line in lines if line["task"] == "detect" for one in parsed(line).findings}
    assert not found & {"LV", "stomach"}


def test_every_line_names_frame_subject_split_and_an_image_that_is_there(tmp_path: Path) -> None:
    entries, paths = some_entries(tmp_path)
    lines = exported(tmp_path, entries, paths)
    frames = {entry.frame.frame_id: entry for entry in entries}
    assert {line["frame_id"] for line in lines} == set(frames)
    assert len({line["id"] for line in lines}) == len(lines)
    for line in lines:
        entry = frames[line["frame_id"]]
        assert (line["subject"], line["split"]) == (entry.frame.subject, entry.frame.split)
        assert (line["said_by"], line["record_id"]) == ("anna", entry.said.correction_id)
        assert (tmp_path / "out" / line["image"]).read_bytes() == paths[line["frame_id"]].read_bytes()


def test_a_frame_of_which_nothing_is_said_has_no_line_and_no_image(tmp_path: Path) -> None:
    frame = a_frame()
    entry = Entry(frame, a_correction(frame, findings=()))
    assert exported(tmp_path, [entry], {}) == []
    assert list((tmp_path / "out" / "images").iterdir()) == []


def test_a_failure_half_way_leaves_the_old_conversations(tmp_path: Path) -> None:
    entries, paths = some_entries(tmp_path)
    exported(tmp_path, entries, paths)
    old = (tmp_path / "out" / "conversations.jsonl").read_bytes()
    with pytest.raises(InputError):
        export_conversations(
            tmp_path / "out", entries, lambda _: tmp_path / "gone.png", lambda _: [Turn("t", "p", "a")]
        )
    assert (tmp_path / "out" / "conversations.jsonl").read_bytes() == old
