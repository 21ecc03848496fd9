"""Scores come from the model's own probabilities, by the formulas that the module states; or there is none."""

import math
import re
from collections.abc import Mapping

import pytest

from backends.engine import Answer, Finish, Phase, TokenScore
from backends.parsing import parse_findings, parse_view
from tests.backends.parsing.answers import ASKED, SIZE_WH, B, C

Given = Mapping[str, float | tuple[float, float] | None]


def told(text: str, given: Given, usual: float | None = -9.0) -> Answer:
    """An answer in tokens of words, single digits and single signs; `given` has the log-probabilities of some.

    All other tokens have one so bad that any score which takes them in shows it.
    """
    tokens = []
    for found in re.finditer(r"[A-Za-z]+|.", text, re.DOTALL):
        value = given.get(found[0], usual)
        log_probability, removed = value if isinstance(value, tuple) else (value, 0.0)
        tokens.append(TokenScore(*found.span(), log_probability, removed))
    return Answer(text, Finish.STOP, 0.1, tokens=tuple(tokens))


DIGITS: Given = {"0": -0.1, "1": -0.2, "2": -0.3, "5": -0.4, "8": -0.5}


def score_of(answer: Answer) -> tuple[float | None, float | None]:
    (finding, *_), _ = parse_findings(answer, Phase.DETECT, ASKED, SIZE_WH)
    return finding.score, finding.removed_mass


def test_a_finding_scores_its_label_times_the_mean_of_its_digits() -> None:
    digits = [-0.2, -0.1, -0.1, -0.3, -0.1, -0.1, -0.4, -0.1, -0.1, -0.5, -0.1, -0.1]  # 100 200 500 800
    score, removed = score_of(told(f"[{B}]", {**DIGITS, "Brain": -0.25}))
    assert score == pytest.approx(math.exp(-0.25) * math.exp(sum(digits) / 12))
    assert removed == 0


def test_the_removed_mass_is_the_largest_at_any_token_of_the_finding_and_no_other() -> None:
    answer = told(f"[{B}]", {**DIGITS, "8": (-0.5, 0.3), "Brain": (-0.25, 0.2), "label": (-1.0, 0.9)})
    assert score_of(answer)[1] == 0.3


def test_a_label_of_several_tokens_is_the_product_of_them() -> None:
    text = '{"label": "V sign"}'
    view, score, _ = parse_view(told(text, {"V": -0.1, " ": -0.2, "sign": -0.3}), ("V sign", "X sign"))
    assert view == "V sign"
    assert score == pytest.approx(math.exp(-0.6))


def test_forced_tokens_count_for_nothing() -> None:
    forced_label = told(f"[{B}]", {**DIGITS, "Brain": None})
    assert score_of(forced_label)[0] == pytest.approx(math.exp(-2.2 / 12))
    forced_zeros = told(f"[{B}]", {**DIGITS, "0": None, "Brain": -0.25})
    assert score_of(forced_zeros)[0] == pytest.approx(math.exp(-0.25 + (-0.2 - 0.3 - 0.4 - 0.5) / 4))


def test_a_token_over_the_edge_of_the_label_counts_for_it() -> None:
    start = B.index("Brain")
    tokens = (TokenScore(start - 1, start + 2, -0.1), TokenScore(start + 2, start + 7, -0.2))
    (finding,), _ = parse_findings(Answer(B, Finish.STOP, 0.1, tokens=tokens), Phase.DETECT, ASKED, SIZE_WH)
    assert finding.score == pytest.approx(math.exp(-0.3))


def test_each_finding_has_the_score_of_its_own_place_whatever_stands_around_it() -> None:
    alone = score_of(told(C, {**DIGITS, "3": -0.7, "4": -0.8, "CSP": -0.05}))
    text = f"<think>\n</think> Here you are:\n```json\n[{B}, {C}]\n```"
    answer = told(text, {**DIGITS, "3": -0.7, "4": -0.8, "CSP": -0.05, "Brain": -2.0})
    findings, _ = parse_findings(answer, Phase.DETECT, ASKED, SIZE_WH)
    assert [one.structure for one in findings] == ["Brain", "CSP"]
    assert findings[1].score == pytest.approx(alone[0])
    assert findings[0].score != findings[1].score


def test_the_outline_speaks_for_the_place_only_where_there_is_no_box() -> None:
    mask = '"mask": [[500, 500], [800, 500], [800, 800]]'
    given = {"Brain": -0.1, "5": -0.2, "8": -0.4, "0": None, "1": -3.0, "2": -3.0}
    with_box = told(f"[{B[:-1].replace('100, 200', '500, 500').replace('500, 800', '800, 800')}, {mask}}}]", given)
    without = told(f'[{{"label": "Brain", {mask}}}]', given)
    for answer, mean in ((with_box, -0.3), (without, -0.3)):
        (finding,), _ = parse_findings(answer, Phase.SEGMENT, ASKED, SIZE_WH)
        assert finding.score == pytest.approx(math.exp(-0.1 + mean))


@pytest.mark.parametrize(
    "answer",
    [
        Answer(f"[{B}]", Finish.STOP, 0.1),
        Answer(f"[{B}]", Finish.STOP, 0.1, tokens=()),
        told(f"[{B}]", {}, usual=None),
        told(f"[{B}]", {"Brain": math.nan}),
    ],
    ids=["the engine tells none", "no token", "all forced", "no number"],
)
def test_there_is_no_score_where_the_model_told_none(answer: Answer) -> None:
    assert score_of(answer) == (None, None)


@pytest.mark.parametrize("value", [-math.inf, -1e9, 1e-7, 5.0])
def test_a_score_stays_a_probability_whatever_an_engine_tells(value: float) -> None:
    score, removed = score_of(told(f"[{B}]", {**DIGITS, "Brain": (value, 1.5)}))
    assert score is not None
    assert 0 <= score <= 1
    assert removed == 1
