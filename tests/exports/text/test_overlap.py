"""BLEU-1 and ROUGE of answers: equal to sacrebleu and rouge-score, whatever the text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU

from exports.text.overlap import bleu_1, longest_common_subsequence, rouge_1, rouge_l, tokens_13a

BLEU_1 = BLEU(max_ngram_order=1, effective_order=True)
ROUGE = RougeScorer(["rouge1", "rougeL"], use_stemmer=False)
CLINICAL = [
    ("The heart is normal.", "Heart: normal, four-chamber view."),
    ("BPD 45.2mm, HC 160-165 mm", "BPD = 45,2 mm; HC: 160 mm"),
    ("transthalamic", "Trans-thalamic plane"),
    ("22-26 weeks (approx.)", "about 24+3 weeks"),
    ("no femur seen & liver <b>normal</b>", "femur not seen, liver &amp; stomach normal"),
    ("F\u00e9mur \u2265 30 mm\u2026", "f\u00e9mur 30 mm"),
    ("", "normal"),
    ("normal", ""),
    ("...", "---"),
    ("the the the the", "the cat"),
]
WORDS = ("the", "heart", "is", "normal", ".", ",", "-", "45.2mm", "&", "&amp;", "HC", "no", "femur")
texts = st.one_of(st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join), st.text(max_size=60))


def agrees_with_the_judges(answer: str, reference: str) -> None:
    assert bleu_1(answer, reference) == pytest.approx(BLEU_1.sentence_score(answer, [reference]).score / 100)
    judged = ROUGE.score(reference, answer)
    assert rouge_1(answer, reference) == pytest.approx(judged["rouge1"].fmeasure)
    assert rouge_l(answer, reference) == pytest.approx(judged["rougeL"].fmeasure)


@pytest.mark.parametrize(("answer", "reference"), CLINICAL)
def test_clinical_texts_score_as_sacrebleu_and_rouge_score_say(answer: str, reference: str) -> None:
    agrees_with_the_judges(answer, reference)


@settings(max_examples=150, deadline=None)
@given(texts, texts)
def test_any_two_texts_score_as_sacrebleu_and_rouge_score_say(answer: str, reference: str) -> None:
    agrees_with_the_judges(answer, reference)


@settings(max_examples=100, deadline=None)
@given(texts, texts)
def test_scores_lie_between_0_and_1_and_rouge_is_the_same_both_ways(first: str, second: str) -> None:
    for score in (bleu_1, rouge_1, rouge_l):
        assert 0.0 <= score(first, second) <= 1.0
    assert rouge_1(first, second) == rouge_1(second, first)
    assert rouge_l(first, second) == rouge_l(second, first)
    assert rouge_l(first, second) <= rouge_1(first, second)


@given(texts.filter(lambda text: any(letter.isascii() and letter.isalnum() for letter in text)))
def test_a_text_scores_1_against_itself(text: str) -> None:
    assert [score(text, text) for score in (bleu_1, rouge_1, rouge_l)] == [1.0, 1.0, 1.0]


def test_bleu_1_of_a_case_worked_by_hand() -> None:
    # 3 words of 4 in the reference, 'the' counted once; 4 words against 5: exp(1 - 5/4)
    assert bleu_1("the heart the normal", "the heart is normal .") == pytest.approx(0.75 * 0.77880078)


def test_an_apostrophe_stays_in_its_word_and_marks_stand_alone() -> None:
    assert tokens_13a("It's sunny outside!") == ("It's", "sunny", "outside", "!")


def test_a_megabyte_is_compared_in_moments() -> None:
    answer = "the fetal head is seen " * 40_000
    assert longest_common_subsequence(answer.split(), ["head", "seen"]) == 2
