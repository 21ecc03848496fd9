"""What a comparison says: alarms before figures, figures with intervals, differences in pairs."""

import json
from pathlib import Path

import pytest

from exports.benchmark.document import IN_FORM, SECONDS, USABLE, compare
from exports.benchmark.runs import Run
from exports.benchmark.scoring import Scene
from exports.benchmark.writing import write_report
from tests.builders import a_frame
from tests.exports.benchmark.runs import (
    FIELDS,
    FREE,
    PHASES,
    PLANES,
    a_plan,
    a_run,
    a_truth,
    an_answer,
    an_outcome,
    frames,
    predicted,
    said,
    scenes,
)

TRUE_PLANES = ("transthalamic plane", "transcerebellar plane")


def right(some, label: str = "alpha", variant: str = "plain", **outcome) -> Run:
    answers = [
        an_answer(
            frame, label=label, variant=variant, **said(TRUE_PLANES[place % 2], image_quality=f"good {place}")
        )
        for place, frame in enumerate(some)
    ]
    return a_run(answers, label, variant, **outcome)


def stuck(some, label: str = "beta", variant: str = "plain") -> Run:
    answers = [an_answer(frame, label=label, variant=variant, **said(TRUE_PLANES[0])) for frame in some]
    return a_run(answers, label, variant)


def test_the_field_that_the_view_gives_is_scored_with_n_and_interval() -> None:
    some = frames(20)
    document = compare(a_plan(some), [right(some), stuck(some)], scenes(some), title="t")
    mine, other = (run["figures"]["field: imaging plane"] for run in document["runs"])
    assert (mine["value"], mine["n"], mine["subjects"]) == (1.0, 20, 10)
    assert other["value"] == 0.5
    low, high = other["ci95"]
    assert low <= 0.5 <= high


def test_a_collapsed_model_is_called_that_before_any_figure() -> None:
    some = frames(24)
    document = compare(a_plan(some), [right(some), stuck(some)], scenes(some), title="t")
    assert {alarm["run"] for alarm in document["alarms"]} == {"beta"}
    first, second = (alarm["text"] for alarm in document["alarms"])
    assert first.startswith("COLLAPSED: 1 distinct answer among 24")
    assert second.startswith("NO BETTER THAN A CONSTANT")


def test_a_model_that_stopped_is_told_first_with_the_reason() -> None:
    some = frames(4)
    half = right(some[:2], reason="models.example.org does not accept the key (401); set KEY")
    never = Run("gamma", "plain", "gone", None, an_outcome("gamma", reason="gone: no such folder"))
    document = compare(a_plan(some), [half, never], scenes(some), title="t")
    lines = [alarm["text"] for alarm in document["alarms"]]
    assert lines[0].startswith("STOPPED after 2 of 4 frames, key not accepted")
    assert lines[1] == "STOPPED before the first frame, cannot be opened: gone: no such folder"
    assert document["runs"][1]["answers"] == 0


def test_failures_are_counted_by_kind_and_score_zero() -> None:
    some = frames(4)
    run = right(some)
    broken = an_answer(some[0], error="127.0.0.1 answered 500: no", finish="error")
    run.answers[some[0].frame_id, FIELDS.name] = broken
    run.answers[some[1].frame_id, FIELDS.name] = an_answer(some[1], text="", fields=None)
    (row,) = compare(a_plan(some), [run], scenes(some), title="t")["runs"]
    assert row["failures"] == {"server error": 1, "empty": 1}
    assert row["figures"][USABLE]["value"] == 0.5
    assert row["figures"]["field: imaging plane"]["value"] == 0.5
    assert row["figures"][IN_FORM]["value"] == 0.5


def test_times_count_the_opening_of_a_frame_once() -> None:
    some = frames(2)
    answers = [an_answer(frame, asked) for frame in some for asked in (FIELDS, FREE)]
    (row,) = compare(a_plan(some, FIELDS, FREE), [a_run(answers)], scenes(some), title="t")["runs"]
    assert row["seconds_per_image"]["value"] == 4.5
    assert row["tokens_per_image"]["value"] == 60.0
    assert row["peak_memory_mib"] == 800


def test_differences_are_paired_and_those_to_the_first_model() -> None:
    some = frames(20)
    (one,) = compare(a_plan(some), [right(some), stuck(some)], scenes(some), title="t")["differences"]
    assert (one["run"], one["reference"]) == ("beta", "alpha")
    figure = one["figures"]["field: imaging plane"]
    assert (figure["value"], figure["n"]) == (-0.5, 20)
    assert figure["ci95"][0] <= -0.5 <= figure["ci95"][1]
    assert figure["p"] < 0.05
    assert one["figures"][SECONDS]["value"] == 0.0


def test_another_wording_is_compared_with_the_plain_one_of_the_same_model() -> None:
    some = frames(20)
    runs = [stuck(some, "alpha"), right(some, "alpha", "modality")]
    document = compare(a_plan(some), runs, scenes(some), title="t")
    (one,) = document["wordings"]
    assert one["key"] == "alpha (modality) minus alpha"
    assert one["figures"]["field: imaging plane"]["value"] == 0.5
    assert document["differences"] == []


def test_predictions_are_evaluated_and_compared_frame_by_frame() -> None:
    some = frames(6)
    plan = a_plan(some, PHASES)
    good = [an_answer(f, PHASES, prediction=predicted(f, PLANES[n % 2])) for n, f in enumerate(some)]
    poor = [an_answer(f, PHASES, label="beta", prediction=predicted(f, PLANES[0], finds=False)) for f in some]
    document = compare(plan, [a_run(good), a_run(poor, "beta")], scenes(some), title="t")
    first, second = document["runs"]
    assert first["figures"]["view is right"]["value"] == 1.0
    assert second["figures"]["view is right"]["value"] == 0.5
    assert any(name.startswith("findings: ") and "ci95" in one for name, one in first["figures"].items())
    figures = document["differences"][0]["figures"]
    assert figures["F1 of a frame's boxes at IoU .50, mean of its structures"]["value"] == -1.0
    assert figures["view is right"]["value"] == -0.5


def test_frames_of_the_training_split_are_shown_and_not_scored() -> None:
    some = frames(4, split="train")
    document = compare(a_plan(some), [right(some)], scenes(some), title="t")
    assert document["alarms"][0]["text"].startswith("TRAIN FRAMES: 4 of 4")
    assert "field: imaging plane" not in document["runs"][0]["figures"]


def test_without_references_there_are_times_and_shares_and_no_scores() -> None:
    some = frames(3)
    document = compare(a_plan(some), [right(some)], [Scene(frame) for frame in some], title="t")
    assert set(document["runs"][0]["figures"]) == {USABLE, IN_FORM}


HOSTILE = [
    "<script>alert(1)</script>",
    "</td></tr></table><h1>owned",
    "| a | b |\n|---|---|",
    "**bold** `code` _x_",
    "\x00\x07 bell",
    "{{ 7 * 7 }}",
    "日本語 ß é 😀",
    '"><img src=x onerror=alert(1)>',
]


def test_the_report_shows_what_models_say_as_text_and_never_as_markup(tmp_path: Path) -> None:
    some = [a_frame(n, f"{n} <b>&.png", subject=f"s{n}") for n in range(len(HOSTILE))]
    answers = [an_answer(f, FREE, text=text, label="<i>m") for f, text in zip(some, HOSTILE, strict=True)]
    shown = [Scene(f, a_truth(f, PLANES[0]), "data:image/jpeg;base64,AAAA") for f in some]
    report = write_report(tmp_path, a_plan(some, FREE), [a_run(answers, "<i>m")], shown, title="T & <u>")
    page, markdown = report.page.read_text(), report.markdown.read_text()
    for tag in ("<script>alert", "<h1>owned", "<img src=x", "<i>m", "<u>", "<b>&.png"):
        assert tag not in page
        assert tag not in markdown
    assert "{{ 7 * 7 }}" in page
    assert "日本語" in page
    assert "| a | b |" not in markdown
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert json.loads(report.figures.read_text())["frames"] == len(HOSTILE)


def test_every_answer_stands_beside_those_of_the_others(tmp_path: Path) -> None:
    some = frames(3)
    runs = [right(some), stuck(some), Run("gamma", "plain", "x", None, an_outcome("gamma", reason="x: gone"))]
    report = write_report(tmp_path, a_plan(some), runs, scenes(some), title="Three")
    page, markdown = report.page.read_text(), report.markdown.read_text()
    assert page.count("<article>") == 3
    for text in (page[page.index("<main>") :], markdown):
        assert text.index("What must be known first") < text.index("Summary") < text.index("frame00.png")
        assert text.count("transcerebellar plane") >= 2
        assert "cannot be opened" in text


def test_an_answer_of_megabytes_is_shown_by_its_beginning(tmp_path: Path) -> None:
    (frame,) = frames(1)
    run = a_run([an_answer(frame, FREE, text="word " * 4000, characters=5_000_000)])
    report = write_report(tmp_path, a_plan([frame], FREE), [run], scenes([frame]), title="Long")
    assert report.page.stat().st_size < 40_000
    assert "18,800 characters more" in report.page.read_text()
    assert "longer than 20,000 characters" in report.markdown.read_text()


@pytest.mark.parametrize("count", [1, 2])
def test_a_single_frame_gives_a_report_too(tmp_path: Path, count: int) -> None:
    some = frames(count)
    report = write_report(tmp_path, a_plan(some), [right(some), stuck(some)], scenes(some), title="Few")
    assert report.page.is_file()
