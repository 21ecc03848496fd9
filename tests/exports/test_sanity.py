"""Before any score: what is no answer at all, and whether the answers depend on the frames."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator.taxonomy import INTERPRETATION_FIELDS
from exports.answers import LONGEST_ANSWER, Answer, AnswerFile, read_answers
from exports.flaws import Flaw, flaw_of
from exports.sanity import examine, names_its_answer
from exports.variety import variety_of
from tests.exports.answer_files import SERVER_ERROR, an_answer, write_interpretations

PROMPT = "List the anatomical structures that are seen in this ultrasound image, separated by commas."
HOSTILE: list[tuple[Answer, Flaw | None]] = [
    (an_answer(SERVER_ERROR), Flaw.SERVER_ERROR),
    (an_answer("Error code: 429 - {'error': {'message': 'You exceeded your current quota'}}"), Flaw.SERVER_ERROR),
    (an_answer("[ERROR] request timed out"), Flaw.SERVER_ERROR),
    (an_answer("HTTPConnectionPool(host='x', port=80): Max retries exceeded with url"), Flaw.SERVER_ERROR),
    (an_answer('{"error": {"code": 503, "message": "overloaded"}}'), Flaw.SERVER_ERROR),
    (an_answer("<html><head><title>502 Bad Gateway</title></head></html>"), Flaw.SERVER_ERROR),
    (an_answer("Traceback (most recent call last):\n  File ..."), Flaw.SERVER_ERROR),
    (an_answer("torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB"), Flaw.SERVER_ERROR),
    (an_answer("Connection reset by peer"), Flaw.SERVER_ERROR),
    (an_answer("An error occurred while processing the image"), Flaw.SERVER_ERROR),
    (an_answer("Connection refused"), Flaw.SERVER_ERROR),
    (an_answer("Read timed out. (read timeout=60)"), Flaw.SERVER_ERROR),
    (an_answer("429 Too Many Requests"), Flaw.SERVER_ERROR),
    (an_answer("openai.RateLimitError: quota reached"), Flaw.SERVER_ERROR),
    (an_answer("Invalid API key provided"), Flaw.SERVER_ERROR),
    (an_answer("", error="HTTP 500"), Flaw.SERVER_ERROR),
    (an_answer("looks like text", error="stream broke off"), Flaw.SERVER_ERROR),
    (an_answer("Measurement error is possible as the head is oblique"), None),
    (an_answer("The error of the estimate is 7 days"), None),
    (an_answer("HC 500 mm, 404 g"), None),
    (an_answer("Timely follow-up; growth rate limited"), None),
    (an_answer(""), Flaw.EMPTY),
    (an_answer(" \n... --"), Flaw.EMPTY),
    (Answer("a", "q", "heart " * 10, characters=LONGEST_ANSWER + 1), Flaw.OVERSIZED),
    (an_answer("the fetal head is seen and " * 6), Flaw.LOOP),
    (an_answer("brain " * 12), Flaw.LOOP),
    (an_answer("Heart, liver, then " + "stomach, spine, " * 20), Flaw.LOOP),
    (an_answer("ha" * 5000), Flaw.LOOP),
    (an_answer("normal, normal, normal"), None),
    (an_answer("left kidney normal, right kidney normal, left lung normal, right lung normal, heart normal"), None),
    (an_answer(PROMPT, prompt=PROMPT), Flaw.COPIED_PROMPT),
    (an_answer(f"{PROMPT} heart", prompt=PROMPT), Flaw.COPIED_PROMPT),
    (an_answer("structures that are seen in this ultrasound", prompt=PROMPT), Flaw.COPIED_PROMPT),
    (an_answer("user: what is it? assistant: heart"), Flaw.COPIED_PROMPT),
    (an_answer("Anatomical structures", question="anatomical_structures"), Flaw.COPIED_PROMPT),
    (an_answer("heart", prompt="Is it the heart, the liver or the stomach?"), None),
    (an_answer("heart, liver and", finish_reason="length"), Flaw.TRUNCATED),
    (an_answer("heart, liver", finish_reason="stop"), None),
    (an_answer('{"image_quality": "goo'), Flaw.TRUNCATED),
    (an_answer("```json\n{}"), Flaw.TRUNCATED),
    (an_answer('```json\n{"image_quality": "good"}\n```'), None),
    (an_answer("Trans-thalamic plane, 22 weeks."), None),
]


@pytest.mark.parametrize(("answer", "flaw"), HOSTILE, ids=[answer.answer[:40] for answer, _ in HOSTILE])
def test_what_is_no_answer_is_told_from_what_is(answer: Answer, flaw: Flaw | None) -> None:
    assert flaw_of(answer) is flaw


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=200), st.text(max_size=60))
def test_no_text_breaks_the_examination(text: str, prompt: str) -> None:
    assert flaw_of(an_answer(text, prompt=prompt)) in (None, *Flaw)


def a_file(*answers: Answer) -> AnswerFile:
    return AnswerFile("answers.jsonl", answers)


def labelled(said: list[str], meant: list[str | None]) -> list[tuple[Answer, bool]]:
    pairs = enumerate(zip(said, meant, strict=True))
    return [(an_answer(text, expected, image=str(place)), False) for place, (text, expected) in pairs]


PLANES = ["Trans-thalamic", "Trans-cerebellum", "Trans-ventricular"]


@pytest.mark.parametrize(
    ("said", "meant", "collapsed"),
    [
        # a classifier is right with three answers among hundreds
        (PLANES * 100, PLANES * 100, False),
        (PLANES * 100, [None] * 300, False),
        (["Trans-thalamic"] * 300, PLANES * 100, True),
        (["Trans-thalamic"] * 300, [None] * 300, True),
        # nearly all frames are normal: the same answer is no collapse
        (["normal"] * 300, ["normal"] * 290 + ["abnormal"] * 10, False),
        (["good", "medium"] * 150, [f"{number} weeks" for number in range(300)], True),
        ([f"text {number}" for number in range(300)], [f"truth {number}" for number in range(300)], False),
        (["a long text", "another text"] * 150, [None] * 300, True),
        ([f"text {number}" for number in range(300)], [None] * 300, False),
        # in other words than the reference's, but they follow it
        (["thalami", "cerebellum", "ventricles"] * 100, PLANES * 100, False),
        (["thalami"] * 150 + ["cerebellum"] * 150, PLANES * 100, True),
        (["good"] * 10, PLANES * 3 + ["Other"], False),  # too few to judge
    ],
)
def test_a_collapse_is_told_from_few_right_answers(
    said: list[str], meant: list[str | None], collapsed: bool
) -> None:
    assert variety_of(labelled(said, meant)).collapsed is collapsed


@pytest.mark.parametrize(
    ("question", "said", "meant", "collapsed"),
    [
        # without a reference, few right answers to a closed field are no collapse
        ("image_quality", ["good", "low"], None, False),
        ("normality_assessment", ["normal"], None, False),
        ("gestational_age", [f"{week} weeks" for week in range(14, 34)], None, False),
        ("anatomical_structures", ["brain, skull", "heart"], None, True),
        ("image_quality", ["The quality of this fetal ultrasound image is good enough"], None, True),
        # ranges answer exact ages; one range for all does not
        ("gestational_age", ["15-20 weeks", "20-25 weeks", "25-30 weeks"], ["17w3d", "22w1d", "27w6d"], False),
        ("gestational_age", ["20-25 weeks"], ["17w3d", "22w1d", "27w6d"], True),
    ],
)
def test_few_answers_to_a_closed_field_are_no_collapse(
    question: str, said: list[str], meant: list[str] | None, collapsed: bool
) -> None:
    items = [
        (an_answer(said[place % len(said)], meant and meant[place % len(meant)], question=question), False)
        for place in range(600)
    ]
    assert variety_of(items).collapsed is collapsed


def test_server_errors_are_no_collapse() -> None:
    items = [(an_answer(SERVER_ERROR, f"truth {place}"), True) for place in range(100)]
    assert not variety_of(items).collapsed


def test_twelve_distinct_answers_among_15152_are_called_collapsed_first(tmp_path: Path) -> None:
    texts = [f"The image shows a fetal structure of kind {number}." for number in range(12)]
    path = write_interpretations(tmp_path / "a.jsonl", 1894, lambda field, truth, chance: chance.choice(texts))
    sanity = examine(read_answers(path))
    assert sanity.alarms()[0].startswith("COLLAPSED: 12 distinct answers among 15,152")
    assert sanity.as_dict()["distinct"] == 12


def test_a_constant_answer_to_each_field_is_collapsed_too(tmp_path: Path) -> None:
    path = write_interpretations(tmp_path / "a.jsonl", 200, lambda field, truth, chance: f"the same {field}")
    sanity = examine(read_answers(path))
    assert sanity.collapsed
    assert sanity.alarms()[0].startswith("COLLAPSED: 8 distinct answers among 1,600")


def test_one_collapsed_field_is_named(tmp_path: Path) -> None:
    path = write_interpretations(
        tmp_path / "a.jsonl", 100, lambda field, truth, chance: "24 weeks" if field == "gestational_age" else truth
    )
    assert examine(read_answers(path)).alarms() == [
        "COLLAPSED on gestational_age: the answers do not depend on the frame"
    ]


def test_a_quarter_of_server_errors_is_called_so_first(tmp_path: Path) -> None:
    path = write_interpretations(
        tmp_path / "a.jsonl", 400, lambda field, truth, chance: SERVER_ERROR if chance.random() < 0.25 else truth
    )
    sanity = examine(read_answers(path))
    errors = sum(flaw is Flaw.SERVER_ERROR for flaw in sanity.flaws)
    share = f"{100 * errors / 3200:.1f}"
    assert sanity.alarms() == [f"ERRORS: {share} % of the answers ({errors} of 3,200) are server errors, not text"]
    assert 22 < float(share) < 28


def test_other_failures_are_counted_by_kind() -> None:
    sanity = examine(a_file(an_answer(""), an_answer("brain " * 20), an_answer("heart"), an_answer("")))
    assert sanity.alarms() == [
        "FAILURES: 75.0 % of the answers are no answers: 2 empty, 1 the same words over and over"
    ]
    assert sanity.as_dict()["failures"] == {
        "server_error": 0, "empty": 2, "oversized": 0, "loop": 1, "copied_prompt": 0, "truncated": 0
    }  # fmt: skip


def test_frames_and_subjects_that_were_trained_on_are_called_so() -> None:
    answers = (
        an_answer(image="a", subject="s1", split="train"),
        an_answer(image="b", subject="s1", split="test"),
        an_answer(image="c", subject="s2"),
        an_answer(image="d", subject="s3"),
    )
    sanity = examine(a_file(*answers), {"c": "train", "d": "test"})
    assert sanity.in_training == (True, False, True, False)
    assert sanity.alarms() == [
        "TRAIN FRAMES: 2 of 4 answers are on frames trained on; they are not scored",
        "TRAIN SUBJECTS: 1 subjects have frames in train and test: s1",
    ]


@pytest.mark.parametrize(
    ("image", "expected", "leaks"),
    [
        ("brain/Trans-thalamic_017.png", "Trans-thalamic", True),
        ("TransThalamic017.png", "trans thalamic", True),
        ("abnormal_3.png", "normal", False),
        ("patient20_week.png", "20", False),
        ("017.png", "Trans-thalamic", False),
    ],
)
def test_a_file_name_that_holds_the_answer_is_seen(image: str, expected: str, leaks: bool) -> None:
    assert names_its_answer(an_answer("x", expected, image=image)) is leaks


def test_leaking_file_names_are_called_so() -> None:
    sanity = examine(
        a_file(an_answer("x", "normal", image="normal_1.png"), an_answer("y", "normal", image="2.png"))
    )
    assert sanity.alarms() == ["LABEL LEAK: 1 of 2 file names hold the expected answer"]


def test_every_field_counts_by_itself(tmp_path: Path) -> None:
    path = write_interpretations(tmp_path / "a.jsonl", 30, lambda field, truth, chance: truth)
    assert tuple(examine(read_answers(path)).per_question) == INTERPRETATION_FIELDS
