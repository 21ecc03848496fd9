"""Corpus BLEU-4 and ROUGE-L as the suite's kit takes them from pycocoevalcap, on raw whitespace tokens."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from exports.suites.intervals import Array
from exports.text.overlap import longest_common_subsequence

LONGEST = 4
_BETA = 1.2


def bleu_columns(answer: str, reference: str) -> list[float]:
    """What one pair adds: shared and said n-grams for n = 1..4, words said, words of the reference."""
    said, meant = answer.split(), reference.split()
    shared, total = [], []
    for length in range(1, LONGEST + 1):
        ours, theirs = _grams(said, length), _grams(meant, length)
        shared.append(float((ours & theirs).total()))
        total.append(float(ours.total()))
    return [*shared, *total, float(len(said)), float(len(meant))]


def _grams(words: Sequence[str], length: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[place : place + length]) for place in range(len(words) - length + 1))


def bleu_4(sums: Array) -> Array:
    """Of summed columns: corpus BLEU-4 in 0..1 (Papineni et al. 2002), without smoothing, one reference a case.

    pycocoevalcap adds 1e-15 to each count, which shows only where a corpus shares no 4-gram: it has 0 here.

    >>> sums = np.array(bleu_columns("the heart is seen well", "the heart is seen well today"))
    >>> round(float(bleu_4(sums)), 4)  # all n-grams shared, five words for six: exp(1 - 6/5)
    0.8187
    """
    shared, total = sums[..., :LONGEST], sums[..., LONGEST : 2 * LONGEST]
    said, meant = sums[..., -2], sums[..., -1]
    precisions = np.divide(shared, total, out=np.zeros_like(shared), where=total > 0)
    with np.errstate(divide="ignore"):
        mean = np.exp(np.log(precisions).mean(axis=-1))
        brevity = np.exp(np.minimum(0.0, 1.0 - np.divide(meant, said, out=np.zeros_like(meant), where=said > 0)))
    return np.where(meant > 0, mean * brevity, np.nan)


def rouge_l(answer: str, reference: str) -> float:
    """F of the longest common subsequence with beta 1.2 for recall, as pycocoevalcap gives it (Lin 2004).

    >>> round(rouge_l("the heart is", "the heart beats"), 4)
    0.6667
    """
    said, meant = answer.split(), reference.split()
    if not said or not meant:
        return 0.0
    common = longest_common_subsequence(said, meant)
    precision, recall = common / len(said), common / len(meant)
    if not common:
        return 0.0
    return (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision)
