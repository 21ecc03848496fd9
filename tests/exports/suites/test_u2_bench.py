"""U2-BENCH is read in its published form and scored by its published formula, its kits' flaws mended."""

import csv
import json
import math
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from sacrebleu.metrics import BLEU
from sklearn.metrics import f1_score, precision_score, recall_score

from annotator.commands.suites import evaluate_suite
from annotator.errors import InputError
from exports.suites import open_suite
from exports.suites.intervals import Draws, Sums, interval, mean_of
from exports.suites.marking import macro, mark
from exports.suites.published import RANDOM, U2_BENCH
from exports.suites.tables import read_table
from exports.suites.tasks import TASKS, dataset_of, u2_score
from exports.suites.texts import bleu_4, bleu_columns, rouge_l
from exports.suites.truths import Truth, class_name, clinical_value, location, scaled
from exports.suites.u2_bench import U2Bench
from tests.exports.suites.u2_files import (
    HEADER,
    PERFECT,
    a_row,
    all_answers,
    an_image,
    as_mapping,
    small_suite,
    write_answers,
    write_table,
)


def score(folder: Path, **changed: Sequence[str]) -> dict[str, Any]:
    return U2Bench(small_suite(folder)).score(as_mapping(**changed))


def test_the_random_row_has_the_printed_score() -> None:
    shares = {**RANDOM.tasks, "CVE": 1 - RANDOM.tasks["CVE"], "RG": 0.0, "CG": 0.0}  # guessing writes no text
    assert RANDOM.score == 0.2125
    assert round(u2_score(shares), 4) == 0.2125


def test_weights_and_data_sets_are_the_published_ones() -> None:
    assert sum(task.weight for task in TASKS.values()) == pytest.approx(1.0)
    assert {name: len(task.datasets) for name, task in TASKS.items()} == {
        **{"DD": 13, "VRA": 10, "LL": 5, "OD": 13},
        **{"KD": 1, "CVE": 4, "RG": 1, "CG": 2},
    }


def test_perfect_answers_score_one(tmp_path: Path) -> None:
    document = score(tmp_path)
    assert document["u2_score"]["value"] == pytest.approx(1.0)
    assert document["u2_score"]["ci95"] == pytest.approx([1.0, 1.0])
    assert document["u2_score_as_coded"] == pytest.approx(1.0)
    assert all(task["parse_rate"] == 1.0 for task in document["tasks"].values())
    assert {task["n"] for task in document["tasks"].values()} == {3}
    assert document["tasks"]["DD"]["missing_datasets"] == list(TASKS["DD"].datasets[1:])


def test_a_score_is_the_weighted_sum_of_its_tasks(tmp_path: Path) -> None:
    document = score(
        tmp_path, DD=("benign", "benign", "benign"), KD=("lower left", "center", "center"), CVE=("36", "62", "49")
    )
    tasks = document["tasks"]
    assert tasks["DD"]["value"] == pytest.approx(2 / 3)
    assert tasks["KD"]["value"] == pytest.approx(1 / 3)
    assert tasks["CVE"]["value"] == pytest.approx(math.sqrt((26 / 65) ** 2 / 3))
    lost = 0.2 / 3 + 0.07 * 2 / 3 + 0.07 * tasks["CVE"]["value"]
    assert document["u2_score"]["value"] == pytest.approx(1 - lost)


def test_a_task_is_the_plain_mean_of_its_data_sets_whatever_their_size(tmp_path: Path) -> None:
    folder = small_suite(tmp_path)
    rows = [a_row(number, class_label="normal") for number in range(30)]
    write_table(folder / "disease_diagnosis" / "57_1.Liver_Ultrasound.tsv", rows)
    answers = as_mapping() | {f"dd/57/{number}": "wrong" for number in range(30)}
    task = U2Bench(folder).score(answers)["tasks"]["DD"]
    assert task["value"] == pytest.approx(0.5)
    assert task["n"] == 33
    assert {name: one["value"] for name, one in task["datasets"].items()} == {"21": 1.0, "57": 0.0}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{'a': [0.449, 0.449, 0, 0]}", "upper left"),
        ("{'a': [0.45, 0.449, 0, 0]}", "upper center"),
        ("{'a': [0.549, 0.549, 0, 0]}", "center"),
        ("{'a': [0.55, 0.549, 0, 0]}", "middle right"),
        ("{'a': [0.1, 0.55, 0, 0]}", "lower left"),
        # the first of several counts
        ('[{"a": [0.9, 0.9, 0, 0]}, {"b": [0.1, 0.1, 0, 0]}]', "lower right"),
        ("{'a': [[0.5, 0.9, 0, 0], [0.1, 0.1, 0, 0]]}", "lower center"),
        ("[0.2, 0.2, 0.1, 0.1]", "upper left"),
        ("", "not visible"),
        ("nan", "not visible"),
        ("{'a': ['x', 0.3]}", "not visible"),
        ("{'a': []}", "not visible"),
        ("{broken", "not visible"),
    ],
)
def test_a_location_is_where_the_first_centre_lies(text: str, place: str) -> None:
    assert location(text) == place


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Benign", "benign"),
        ("['Benign']", "benign"),
        ('"Trans-thalamic "', "trans-thalamic"),
        ('{"Anatomy": "Breast", "view": "x"}', "breast"),
        ("{'KL': 3}", "3"),
        ("2", "2"),
    ],
)
def test_a_class_is_compared_without_case_brackets_and_quotes(text: str, name: str) -> None:
    assert class_name(text) == name


@pytest.mark.parametrize(
    ("text", "dataset", "value"),
    [
        ("{'EF': 55, 'x': 1}", "18", 55.0),
        ("{'IMT': [0.7, 0.9]}", "27", 0.7),
        ("{'abdominal_circumference': 250.5}", "50", 250.5),
        ("[{'fat value': 12}]", "57", 12.0),
        ("{'IMT': None}", "27", math.nan),
        ("nothing", "18", math.nan),
    ],
)
def test_a_clinical_value_is_read_from_its_own_key(text: str, dataset: str, value: float) -> None:
    assert clinical_value(text, dataset) == pytest.approx(value, nan_ok=True)


def test_values_are_scaled_to_their_published_range_and_not_clipped() -> None:
    assert (scaled(10, "18"), scaled(75, "18"), scaled(140, "18")) == (0.0, 1.0, 2.0)
    assert scaled(0.9, "27") == pytest.approx(0.5)


def test_an_answer_that_cannot_be_read_is_wrong_and_both_values_are_told(tmp_path: Path) -> None:
    folder = small_suite(tmp_path, DD=("1", "0", "1"))
    answers = as_mapping(DD=("1", "I cannot tell", "0"), CVE=("36", "about 60 %", ""), OD=("failed", "center", ""))
    tasks = U2Bench(folder).score(answers)["tasks"]
    assert (tasks["DD"]["value"], tasks["DD"]["as_coded"]) == (pytest.approx(1 / 3), pytest.approx(1 / 2))
    assert tasks["DD"]["parse_rate"] == pytest.approx(2 / 3)
    assert (tasks["CVE"]["value"], tasks["CVE"]["as_coded"]) == (pytest.approx(math.sqrt(2 / 3)), 0.0)
    assert (tasks["OD"]["value"], tasks["OD"]["as_coded"]) == (0.0, 0.0)
    assert tasks["OD"]["datasets"]["09"]["parse_rate"] == pytest.approx(1 / 3)


def test_spaces_and_full_stops_around_a_location_do_not_make_it_wrong(tmp_path: Path) -> None:
    task = score(tmp_path, OD=(" Middle right.", "middle  right", '"middle right"'))["tasks"]["OD"]
    assert (task["value"], task["as_coded"]) == (1.0, 0.0)


def test_no_clinical_value_at_all_is_no_perfect_score(tmp_path: Path) -> None:
    answers = {key: value for key, value in as_mapping().items() if not key.startswith("cve/")}
    document = U2Bench(small_suite(tmp_path)).score(answers)
    assert document["u2_score"]["value"] is None
    assert "no answers to CVE" in document["u2_score"]["reason"]
    assert document["u2_score_as_coded"] == pytest.approx(1.0)  # the flaw: .07 for nothing


def test_macro_figures_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    meant, said = (["abcd"[k] for k in random.integers(0, size, 200)] for size in (3, 4))
    for labels in (["a", "b", "c"], ["a", "b", "c", "d"]):
        how = {"labels": labels, "average": "macro", "zero_division": 0}
        wanted = [function(meant, said, **how) for function in (precision_score, recall_score, f1_score)]
        assert list(macro(meant, said, labels).values()) == pytest.approx(wanted)


def test_stray_answers_make_no_classes_of_their_own(tmp_path: Path) -> None:
    task = score(tmp_path, DD=("benign", "malignant", "it looks benign to me"))["tasks"]["DD"]
    assert task["F1"] == pytest.approx((2 / 3 + 1) / 2)
    assert task["F1 as coded"] == pytest.approx((2 / 3 + 1 + 0) / 3)


SENTENCES = [
    ("the fetal head is seen in the upper part", "the fetal head is seen in the upper left part of the image"),
    ("a normal heart with four chambers , clearly seen", "a normal heart with four chambers is clearly seen"),
    ("no lesion", "the liver has no visible lesion in this plane today"),
    ("", "an empty answer has nothing to say"),
    ("Case matters in the The score", "case matters in the the score of the kit"),
]


@pytest.mark.parametrize("pairs", [SENTENCES, SENTENCES[:2], SENTENCES[1:2]])
def test_corpus_bleu_is_that_of_sacrebleu_on_whitespace_tokens(pairs: list[tuple[str, str]]) -> None:
    judge = BLEU(tokenize="none", smooth_method="none", force=True)
    wanted = judge.corpus_score([pair[0] for pair in pairs], [[pair[1] for pair in pairs]]).score
    found = bleu_4(np.array([bleu_columns(*pair) for pair in pairs]).sum(axis=0))
    assert 100 * float(found) == pytest.approx(wanted, abs=1e-6)
    assert wanted > 10


def test_bleu_without_a_shared_run_of_four_is_zero() -> None:
    assert float(bleu_4(np.array(bleu_columns("one two three", "four five six seven eight")))) == 0.0
    assert float(bleu_4(np.array(bleu_columns("", "four five six")))) == 0.0


@pytest.mark.parametrize(
    ("answer", "reference", "common"),
    [
        ("the police killed the gunman", "police killed the gunman today", 4),
        ("a b c d e", "e d c b a", 1),
        ("x", "y", 0),
        ("", "y", 0),
    ],
)
def test_rouge_l_weighs_recall_by_beta_1_2(answer: str, reference: str, common: int) -> None:
    if not common:
        assert rouge_l(answer, reference) == 0.0
        return
    precision, recall = common / len(answer.split()), common / len(reference.split())
    assert rouge_l(answer, reference) == pytest.approx(2.44 * precision * recall / (recall + 1.44 * precision))


def test_bertscore_is_there_only_with_its_weights(tmp_path: Path) -> None:
    assert "BERTScore F1 x 100" not in score(tmp_path)["tasks"]["RG"]
    suite = U2Bench(small_suite(tmp_path), lambda pairs: [0.5 + 0.1 * (one == two) for one, two in pairs])
    document = suite.score(as_mapping(RG=("other",) * 3))
    assert document["tasks"]["RG"]["BERTScore F1 x 100"] == pytest.approx(50.0)
    assert document["tasks"]["CG"]["BERTScore F1 x 100"] == pytest.approx(60.0)


def test_intervals_draw_whole_patients() -> None:
    units = [f"p{number // 10}" for number in range(100)]
    hits = np.array([[float(number // 10 < 5), 1.0] for number in range(100)])
    clustered = interval(Draws(units).of(Sums(units, hits, mean_of)))
    rows = [str(number) for number in range(100)]
    alone = interval(Draws(rows).of(Sums(rows, hits, mean_of)))
    assert clustered is not None
    assert alone is not None
    assert clustered[1] - clustered[0] > 2 * (alone[1] - alone[0])
    # ten clusters of one outcome each: the share of the binomial of 10 draws with p = 1/2
    assert clustered == pytest.approx([0.2, 0.8])


def test_an_interval_holds_its_value(tmp_path: Path) -> None:
    rows = [a_row(number, class_label="benign" if number % 3 else "malignant") for number in range(60)]
    folder = small_suite(tmp_path)
    write_table(folder / "disease_diagnosis" / "21.tsv", rows)
    answers = as_mapping() | {f"dd/21/{number}": "benign" for number in range(60)}
    document = U2Bench(folder).score(answers)
    for figure in (document["tasks"]["DD"], document["u2_score"]):
        assert figure["ci95"][0] < figure["value"] < figure["ci95"][1]
    assert document["tasks"]["DD"]["subjects"] == 30


def test_questions_come_with_their_image_prompt_and_options(tmp_path: Path) -> None:
    folder = small_suite(tmp_path)
    rows = [a_row(0, class_label="benign", prompt="Choose.", options="{'A': 'benign', 'B': 'malignant'}")]
    write_table(folder / "disease_diagnosis" / "21.tsv", rows)
    first, *others = open_suite("u2-bench", folder).questions()
    assert (first.id, first.task, first.prompt) == ("dd/21/0", "DD", "Choose.")
    assert first.options == ("benign", "malignant")
    assert first.image.startswith(b"\x89PNG")
    assert len(others) == 21
    assert {one.id for one in others} == set(as_mapping()) - {"dd/21/0", "dd/21/1", "dd/21/2"}


def test_the_row_that_explains_the_columns_is_no_question(tmp_path: Path) -> None:
    for explained in (True, False):
        write_table(
            tmp_path / "21.tsv", [a_row(0, class_label="a"), a_row(1, class_label="b")], explained=explained
        )
        rows = list(read_table(tmp_path / "21.tsv", ("label",)))
        assert [(row.key, row.values["label"]) for row in rows] == [("0", "a"), ("1", "b")]


def test_masks_of_many_megabytes_are_streamed(tmp_path: Path) -> None:
    path = tmp_path / "disease_diagnosis" / "21.tsv"
    write_table(path, [a_row(number, class_label="a", seg_data="9" * 1_000_000) for number in range(40)])
    tracemalloc.start()
    count = sum(1 for _ in U2Bench(tmp_path).questions())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 40
    assert peak < 15_000_000  # of 40 MB


def test_older_names_of_columns_are_understood(tmp_path: Path) -> None:
    (tmp_path / "disease_diagnosis").mkdir()
    (tmp_path / "disease_diagnosis" / "x.png").write_bytes(b"\x89PNG image")
    write_table(
        tmp_path / "disease_diagnosis" / "21.tsv",
        [{"index": "a7", "img_path": "x.png", "question": "What?", "classes": "Benign"}],
        ("index", "img_path", "question", "classes"),
        explained=False,
    )
    (question,) = U2Bench(tmp_path).questions()
    assert (question.id, question.prompt, question.image) == ("dd/21/a7", "What?", b"\x89PNG image")
    assert U2Bench(tmp_path).score({"dd/21/a7": "benign"})["tasks"]["DD"]["value"] == 1.0


@pytest.mark.parametrize(
    ("name", "task", "dataset"),
    [
        ("3_FETAL_Planes_US", "VRA", "03"),
        ("28_1.Knee_Grading", "DD", "28_1"),
        ("28.Knee_Classification", "VRA", "28"),
        ("74_is_visible", "VRA", "74is_visible"),
        ("anatomy", "VRA", "anatomy"),
        ("31.HC", "CVE", None),  # listed by the kits, never scored
        ("readme", "DD", None),
    ],
)
def test_a_file_is_known_by_its_number_within_its_task(name: str, task: str, dataset: str | None) -> None:
    assert dataset_of(TASKS[task], name) == dataset


def test_a_data_set_that_no_score_takes_is_named(tmp_path: Path) -> None:
    folder = small_suite(tmp_path)
    write_table(folder / "clinical_value_estimation" / "31.tsv", [a_row(0, measurement="{'HC': 3}")])
    suite = U2Bench(folder)
    assert suite.left_out == ["clinical_value_estimation/31.tsv"]
    assert "31.tsv" in suite.as_text(suite.score(as_mapping()))


def rewrite(folder: Path, change: Callable[[list[list[str]]], None]) -> None:
    path = folder / "disease_diagnosis" / "21.tsv"
    with path.open(newline="") as stream:
        rows = list(csv.reader(stream, delimiter="\t"))
    change(rows)
    with path.open("w", newline="") as stream:
        csv.writer(stream, delimiter="\t", lineterminator="\n").writerows(rows)


def rename_label(rows: list[list[str]]) -> None:
    rows[0][HEADER.index("class_label")] = "diagnosis"


def tear(rows: list[list[str]]) -> None:
    rows[3] = rows[3][:5]


def break_image(rows: list[list[str]]) -> None:
    rows[3][1] = "bm8gaW1hZ2U="


def drop_prompt(rows: list[list[str]]) -> None:
    rows[3][3] = ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (rename_label, r"21\.tsv: no column class_label, classes, class; found dataset_name, img_data"),
        (tear, r"21\.tsv: row 3 has 5 fields where the header names 17"),
        (break_image, r"21\.tsv: row 1 holds no base64 image"),
        (drop_prompt, r"21\.tsv: row 1 has no prompt"),
        (lambda rows: rows.clear(), r"21\.tsv: no column .* found an empty file"),
    ],
)
def test_a_file_of_another_form_is_refused_in_one_line(tmp_path: Path, change: Any, message: str) -> None:
    folder = small_suite(tmp_path)
    rewrite(folder, change)
    with pytest.raises(InputError, match=message) as caught:
        list(U2Bench(folder).questions())
    assert "\n" not in str(caught.value)


def test_a_missing_image_file_is_named(tmp_path: Path) -> None:
    row = {"index": "0", "img_path": "lost.png", "question": "What?", "classes": "a"}
    write_table(tmp_path / "disease_diagnosis" / "21.tsv", [row], tuple(row), explained=False)
    with pytest.raises(InputError, match=r"row 0 has no image \(lost\.png\)"):
        list(U2Bench(tmp_path).questions())


def test_a_folder_without_the_suite_says_what_is_looked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the suite's folders are disease_diagnosis, view_recognition"):
        U2Bench(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        U2Bench(tmp_path / "none")
    with pytest.raises(InputError, match="there are u2-bench, fetal-gauge"):
        open_suite("imagenet", tmp_path)


def test_predictions_of_the_first_kit_are_joined_by_id(tmp_path: Path) -> None:
    suite = U2Bench(small_suite(tmp_path / "data"))
    assert suite.answers_in(all_answers(tmp_path / "out")) == as_mapping()


def test_predictions_of_the_second_kit_are_read_from_spreadsheets(tmp_path: Path) -> None:
    suite = U2Bench(small_suite(tmp_path / "data"))
    all_answers(tmp_path / "out")
    (old,) = (tmp_path / "out" / "seg" / "48").rglob("*.jsonl")
    old.unlink()
    book = openpyxl.Workbook()
    book.active.append(["index", "question", "prediction"])
    for number, answer in enumerate(PERFECT["KD"]):
        book.active.append([number, "Where?", answer])
    book.save(old.with_name("a-model_48.xlsx"))
    assert suite.answers_in(tmp_path / "out") == as_mapping()
    old.with_name("a-model_48.xlsx").write_bytes(b"no sheet")
    with pytest.raises(InputError, match=r"no readable \.xlsx"):
        suite.answers_in(tmp_path / "out")


def test_one_file_with_the_suites_ids_may_be_in_any_order(tmp_path: Path) -> None:
    suite = U2Bench(small_suite(tmp_path / "data"))
    path = tmp_path / "answers.jsonl"
    lines = [json.dumps({"id": key, "answer": value}) for key, value in reversed(as_mapping().items())]
    path.write_text("\n".join(lines))
    assert suite.score(suite.answers_in(path))["u2_score"]["value"] == pytest.approx(1.0)
    path.write_text("\n".join([*lines, '{"id": "dd/21/99", "answer": "benign"}']))
    with pytest.raises(InputError, match="dd/21/99 are ids of no question"):
        suite.answers_in(path)


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[:2], "2 answers for the 3 rows of data set 21"),
        (lambda rows: [rows[0], rows[1], rows[1]], "1 answered twice"),
        (lambda rows: [rows[1], rows[0], rows[2]], "out of order"),
        (lambda rows: [*rows[:2], rows[2] | {"id": "9"}], "9 are ids of no row"),
        (lambda rows: [{"response": row["response"]} for row in rows], "answer 1 has no id"),
        (lambda rows: [{"id": row["id"], "text": "x"} for row in rows], "answer 1 has no response or prediction"),
    ],
)
def test_answers_that_cannot_be_joined_for_sure_are_refused(tmp_path: Path, change: Any, message: str) -> None:
    suite = U2Bench(small_suite(tmp_path / "data"))
    path = write_answers(tmp_path / "out", "DD", PERFECT["DD"])
    path.write_text("".join(json.dumps(row) + "\n" for row in change(lines_of(path))))
    with pytest.raises(InputError, match=message) as caught:
        suite.answers_in(tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_ids_of_their_own_may_come_in_any_order(tmp_path: Path) -> None:
    rows = [a_row(number, class_label=label, id=f"case-{label}") for number, label in enumerate("ab")]
    write_table(tmp_path / "disease_diagnosis" / "21.tsv", rows, ("id", *HEADER))
    path = tmp_path / "out" / "cla" / "21.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text('{"id": "case-b", "response": "b"}\n{"id": "case-a", "response": "a"}\n')
    suite = U2Bench(tmp_path)
    assert suite.score(suite.answers_in(tmp_path / "out"))["tasks"]["DD"]["value"] == 1.0


def test_answers_of_two_models_are_not_mixed(tmp_path: Path) -> None:
    suite = U2Bench(small_suite(tmp_path / "data"))
    for model in ("one", "two"):
        write_answers(tmp_path / "out", "DD", PERFECT["DD"], model)
    with pytest.raises(InputError, match="both answer data set 21; give one model's folder"):
        suite.answers_in(tmp_path / "out")


def test_a_damaged_or_empty_tree_is_told(tmp_path: Path) -> None:
    suite = U2Bench(small_suite(tmp_path / "data"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no \.jsonl and no \.xlsx"):
        suite.answers_in(tmp_path / "empty")
    path = write_answers(tmp_path / "out", "DD", PERFECT["DD"])
    path.write_text("{half")
    with pytest.raises(InputError, match="line 1 is no JSON"):
        suite.answers_in(tmp_path / "out")
    (tmp_path / "stray").mkdir()
    (tmp_path / "stray" / "a.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match="no file lies at CATEGORY/DATASET/"):
        suite.answers_in(tmp_path / "stray")


def test_a_data_set_answered_in_part_is_refused(tmp_path: Path) -> None:
    answers = as_mapping()
    del answers["dd/21/1"]
    with pytest.raises(InputError, match=r"DD, data set 21: 2 of 3 questions are answered.*dd/21/1"):
        U2Bench(small_suite(tmp_path)).score(answers)
    with pytest.raises(InputError, match="none of the answers is to a question"):
        U2Bench(small_suite(tmp_path)).score({"x": "y"})


def test_an_answer_of_megabytes_or_none_is_wrong_and_no_more(tmp_path: Path) -> None:
    document = score(tmp_path, DD=("benign " * 1_000_000, "", "benign"), RG=("word " * 500_000, "", "x"))
    assert document["tasks"]["DD"]["value"] == pytest.approx(1 / 3)
    assert document["tasks"]["RG"]["value"] == 0.0


def test_an_empty_data_set_of_marks_nothing() -> None:
    one = Truth("dd/21/0", "DD", "21", "p", text="a")
    assert mark("class", [one], ["a"]).mended.value == 1.0


def test_the_report_puts_our_row_beside_the_published_ones(tmp_path: Path) -> None:
    result = evaluate_suite(tmp_path, "u2-bench", small_suite(tmp_path / "data"), all_answers(tmp_path / "out"))
    lines = result.text.splitlines()
    assert lines[0].startswith("U2-score 1.0000 (1.0000 to 1.0000)")
    assert "NOT COMPARABLE: DD lacks 12 of 13 data sets" in lines[1]
    for row in U2_BENCH:
        assert any(line.startswith(row.name) and f"{row.score:.4f}" in line for line in lines)
    assert any(line.startswith("these answers") for line in lines)
    assert "n = 3, 2 units, 100.0 % could be read" in result.text
    assert "joined by the order of rows; here by id" in result.text
    assert json.loads(json.dumps(result.document))["tasks"]["DD"]["n"] == 3


def test_an_image_may_be_a_data_address(tmp_path: Path) -> None:
    row = a_row(0, class_label="a", img_data=f"data:image/png;base64,{an_image()}")
    write_table(tmp_path / "disease_diagnosis" / "21.tsv", [row])
    (question,) = U2Bench(tmp_path).questions()
    assert question.image.startswith(b"\x89PNG")
