from typing import Any

import numpy as np
import pytest
from scipy import stats

from review.analysis.agreeing import within_readers
from review.analysis.comparing import compare_modes, compare_versions, ordinal_gee, own_views
from review.analysis.effort import position_effects
from review.analysis.figures import as_json
from review.analysis.grades import describe, first_gradable, grade_cells
from review.analysis.resampling import SEED
from review.analysis.study import analyse
from review.scores_table import ScoresTable, table_from_rows
from tests.review.scores import a_row, published_guided, rows_of, simulated_study


def table_of(rows: list[dict[str, Any]]) -> ScoresTable:
    return table_from_rows(rows)


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    return analyse(table_of(published_guided()))


@pytest.fixture(scope="module")
def study() -> dict[str, Any]:
    return analyse(table_of(simulated_study()))


def percents(cell: dict[str, Any], grade: str) -> list[float]:
    share = cell["shares"][grade]
    return [round(100 * value, 1) for value in (share["value"], *share["ci95"])]


def test_the_published_counts_give_the_published_figures(published: dict[str, Any]) -> None:
    interpretation, annotation = published["grades"]
    assert round(interpretation["mean"]["value"], 3) == 1.286
    assert percents(interpretation, "1") == [73.5, 59.7, 83.8]
    assert percents(interpretation, "2")[0] == 24.5
    assert percents(interpretation, "3") == [2.0, 0.4, 10.7]
    assert round(annotation["mean"]["value"], 3) == 1.449
    assert [percents(annotation, grade)[0] for grade in "123"] == [63.3, 28.6, 8.2]
    assert percents(annotation, "1")[1:] == [49.3, 75.3]
    assert percents(annotation, "3")[1:] == [3.2, 19.2]
    # The reference prints percentile intervals; the accelerated one reaches one step of 1/49 further.
    for cell, printed in ((interpretation, [1.16, 1.43]), (annotation, [1.29, 1.63])):
        assert [round(edge, 2) for edge in cell["mean_percentile"]["ci95"]] == printed
        assert cell["mean"]["ci95"] == pytest.approx(printed, abs=1.2 / 49)


def test_the_overall_mean_is_the_mean_of_the_dimensions_as_published(published: dict[str, Any]) -> None:
    (overall,) = published["overall"]
    assert overall["mean"]["value"] == pytest.approx((1.286 + 1.449) / 2, abs=0.001)
    assert overall["mean"]["units"] == 49


def test_one_reader_one_version_one_mode_are_said_plainly(published: dict[str, Any]) -> None:
    assert (
        published["between_readers"]["note"] == "There is one reader: no agreement between readers can be computed."
    )
    assert "no hidden repeats" in published["within_readers"]["note"]
    assert "one version" in published["versions"]["note"]
    assert published["modes"]["note"] == "Only guided was graded: nothing to compare."
    assert "refused" not in published["modes"]


def test_every_figure_of_a_study_has_its_n_and_names_its_method(study: dict[str, Any]) -> None:
    found = list(figures_in(study))
    assert len(found) > 100
    for figure in found:
        assert isinstance(figure["n"], int)
        assert figure["method"] or figure["note"], figure
        assert figure["ci95"] or figure.get("note"), figure
        if figure["ci95"]:
            assert figure["ci95"][0] <= figure["value"] + 1e-9 <= figure["ci95"][1] + 2e-9, figure


def figures_in(value: Any) -> Any:
    if isinstance(value, dict):
        if "ci95" in value:
            yield value
        else:
            for item in value.values():
                yield from figures_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from figures_in(item)


def test_the_order_of_the_rows_does_not_change_a_figure(study: dict[str, Any]) -> None:
    rows = simulated_study()
    shuffled = [rows[place] for place in np.random.default_rng(4).permutation(len(rows))]
    assert analyse(table_of(shuffled)) == study


def test_versions_are_compared_on_the_frames_that_both_have() -> None:
    rows = [a_row(f"c{k}", grade, version="a") for k, grade in enumerate([1, 1, 2, 2, 3, 1])]
    rows += [a_row(f"c{k}", grade, version="b") for k, grade in enumerate([2, 2, 2, 3, 3])]
    (pair,) = compare_versions(table_of(rows), 1)["pairs"]
    assert pair["n"] == 5
    assert pair["mean_difference"].value == pytest.approx(-0.6)
    assert pair["better_minus_worse"].value == pytest.approx(0.6)
    assert pair["wilcoxon"]["p"] == pytest.approx(0.25)
    assert pair["mcnemar_grade_1"]["discordant"] == 2


def test_holm_counts_every_pair_and_dimension(study: dict[str, Any]) -> None:
    pairs = study["versions"]["pairs"]
    assert len(pairs) == 6
    assert {pair["wilcoxon"]["family"] for pair in pairs} == {6}
    smallest = min(pairs, key=lambda pair: pair["wilcoxon"]["p"])["wilcoxon"]
    assert smallest["p_holm"] == pytest.approx(min(1, 6 * smallest["p"]), abs=1e-5)


def test_friedman_equals_scipy_with_one_reader() -> None:
    rows = simulated_study(30, readers=("anna",), guided=False)
    table = table_of(rows)
    found = compare_versions(table, 1)["together"][0]["friedman"]
    part = first_gradable(table)
    grid = (
        part[part["dimension"] == "interpretation"].pivot(index="case", columns="version", values="grade").dropna()
    )
    expected = stats.friedmanchisquare(*(grid[name] for name in grid))
    assert (found["statistic"], found["p"]) == pytest.approx((expected.statistic, expected.pvalue))


def test_the_ordinal_model_finds_the_direction_of_a_true_difference() -> None:
    random = np.random.default_rng(0)
    rows = []
    for case in range(300):
        latent = random.normal()
        for version, shift in (("base", 0.0), ("better", -0.8)):
            grade = 1 + int(np.digitize(latent + shift + random.logistic(0, 0.5), [0.2, 1.2]))
            rows.append(a_row(f"c{case}", grade, version=version))
    found = ordinal_gee(first_gradable(table_of(rows)))
    ratio = found["odds_ratios_of_worse"]["better"]
    assert ratio.low < ratio.value < ratio.high < 1
    assert found["p"] < 0.001


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (rows_of((20, 0, 0), version="a") + rows_of((20, 0, 0), version="b"), "all grades are equal"),
        (rows_of((20, 0, 0), version="a") + rows_of((0, 0, 20), version="b"), "did not converge"),
    ],
)
def test_a_model_that_cannot_be_fitted_gives_its_reason(rows: list[dict[str, Any]], reason: str) -> None:
    assert reason in ordinal_gee(first_gradable(table_of(rows)))["note"]


def two_modes(guided_case: str = "c{}", **guided: Any) -> list[dict[str, Any]]:
    rows = [a_row(f"c{k}", 2, seconds=10) for k in range(6)]
    return rows + [a_row(guided_case.format(k), 1, mode="guided", seconds=30, **guided) for k in range(6)]


def test_modes_are_compared_on_the_same_frames() -> None:
    found = compare_modes(table_of(two_modes()), 1)
    (pair,) = found["pairs"]
    assert found["frames_in_both"] == 6
    assert pair["mean_difference"].value == 1.0
    assert pair["seconds_difference"].value == -20.0
    assert pair["wilcoxon"]["p"] == pytest.approx(2 / 2**6)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (two_modes("other{}"), "no frames in common"),
        (two_modes(version="v2"), "no versions in common"),
        (two_modes(reader="bo"), "no readers in common"),
    ],
)
def test_modes_with_other_frames_versions_or_readers_are_not_compared(
    rows: list[dict[str, Any]], reason: str
) -> None:
    found = compare_modes(table_of(rows), 1)
    assert found["refused"]
    assert found["pairs"] == []
    assert reason in found["note"]


def test_a_mode_that_is_one_with_the_period_is_not_told_apart_from_it() -> None:
    rows = simulated_study(12, versions=("v1",))
    models = compare_modes(table_of(rows), 1)["ordinal_gee"]
    assert all("cannot be told apart" in model["note"] for model in models)


def test_an_own_view_counts_once_a_showing() -> None:
    rows = [
        a_row(f"c{k}", 1, mode="guided", dimension=dimension, overturned=int(k == 0), own_view_agrees=1)
        for k in range(10)
        for dimension in ("interpretation", "annotation")
    ]
    found = own_views(table_of(rows))
    assert (found["overturned"].n, found["overturned"].value) == (10, 0.1)


def test_hidden_repeats_enter_agreement_within_readers_and_no_mean(study: dict[str, Any]) -> None:
    rows = simulated_study()
    repeated = [row for row in rows if row["repeat"]]
    assert study["data"]["repeats"] == len(repeated) > 0
    without = table_of([row for row in rows if not row["repeat"]])
    assert as_json(grade_cells(without, SEED)) == study["grades"]
    assert within_readers(without, SEED)["cells"] == []
    cells = study["within_readers"]["cells"]
    assert {cell["reader"] for cell in cells} == {"all", "anna", "bo", "cleo"}
    assert all(cell["items"] > 0 for cell in cells)


def test_agreement_of_readers_equals_the_formulas_on_the_same_ratings(study: dict[str, Any]) -> None:
    from review import agreement

    rows = first_gradable(table_of(simulated_study()))
    part = rows[(rows["mode"] == "autonomous") & (rows["dimension"] == "annotation") & (rows["version"] == "skd")]
    ratings = part.pivot(index="case", columns="reader", values="grade").to_numpy()
    counts = agreement.count_ratings(ratings)
    (cell,) = (
        cell
        for cell in study["between_readers"]["cells"]
        if (cell["mode"], cell["dimension"], cell["version"]) == ("autonomous", "annotation", "skd")
    )
    assert cell["raw"]["value"] == pytest.approx(agreement.raw_agreement(counts), abs=1e-6)
    expected = agreement.ac2(counts, agreement.Weighting.ORDINAL)
    assert expected is not None
    assert cell["ac2"]["ordinal"]["value"] == pytest.approx(expected.value, abs=1e-6)
    assert "by subject" in cell["ac2"]["ordinal"]["method"]


def test_three_readers_bring_an_interval_for_other_readers_and_two_do_not(study: dict[str, Any]) -> None:
    assert all("mean_other_readers" in cell for cell in study["grades"])
    two = grade_cells(table_of(simulated_study(12, readers=("anna", "bo"), guided=False)), SEED)
    assert not any("mean_other_readers" in cell for cell in two)


def test_a_drift_over_the_session_is_found() -> None:
    rows = [a_row(f"c{k}", 1 + (k >= 50) + (k >= 90), position=k + 1) for k in range(100)]
    (found,) = position_effects(table_of(rows), 1)
    assert found["slope"]["per_100"].low > 1
    assert found["slope"]["p"] < 0.001
    assert [third["mean"].n for third in found["thirds"]] == [33, 33, 34]


HARD = {
    "nothing could be graded": [a_row(f"c{k}", "NG") for k in range(5)],
    "one row": [a_row()],
    "all the same grade": [a_row(f"c{k}", 1, reader=reader) for k in range(5) for reader in ("anna", "bo")],
    "no frame in common between readers": [a_row("c1", 1), a_row("c2", 2, reader="bo")],
    "one subject": [
        a_row(f"c{k}", 1 + k % 3, reader=r, subject="s") for k in range(9) for r in ("anna", "bo", "cy")
    ],
    "each version on its own frames": rows_of((3, 2, 0), version="a")
    + [a_row(f"d{k}", 2, version="b") for k in range(4)],
    "readers who share nothing but NG": [
        a_row(f"c{k}", g, reader=r) for k in range(4) for r, g in (("anna", "NG"), ("bo", 2))
    ],
    "a third dimension": [a_row(f"c{k}", 1 + k % 2, dimension=d) for k in range(6) for d in ("annotation", "tone")],
    "one repeat": [a_row("c1", 1), a_row("c1", 2, repeat=1), a_row("c2", 1)],
}


@pytest.mark.parametrize("name", HARD)
def test_hard_data_give_reasons_and_not_errors(name: str) -> None:
    document = analyse(table_of(HARD[name]))
    assert document["data"]["grades"] == len(HARD[name])
    assert all(figure["ci95"] or figure.get("note") for figure in figures_in(document))


def test_the_data_are_described_in_counts() -> None:
    found = describe(table_of(simulated_study()))
    assert (found["cases"], found["subjects"], found["unit"]) == (24, 12, "subject")
    assert found["factors"]["plane"] == {"Abdomen": 8, "Femur": 8, "Trans-thalamic": 8}
    assert [mode["cases"] for mode in found["per_mode"]] == [24, 12]
    assert found["dimensions"] == ["interpretation", "annotation"]
