"""BLEU-1, ROUGE-1 and ROUGE-L of one answer against one reference, all in 0..1.

Own code of a few lines, as the libraries' dependencies outweigh it; tests hold it to sacrebleu and rouge-score.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache

_SYMBOLS = str.maketrans({sign: f" {sign} " for sign in r'!"#$%&()*+/:;<=>?@[\]^_`{|}~'})
_POINT_BEHIND = re.compile(r"([^0-9])([.,])")
_POINT_BEFORE = re.compile(r"([.,])([^0-9])")
_DASH_BEHIND_DIGIT = re.compile(r"([0-9])(-)")
_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
_NOT_ALPHANUMERIC = re.compile(r"[^a-z0-9]+")


@lru_cache(maxsize=65536)
def tokens_13a(text: str) -> tuple[str, ...]:
    """Split as mteval-v13a does, case kept (Post 2018, sacrebleu's default).

    >>> tokens_13a("BPD 45.2mm, normal.")
    ('BPD', '45.2mm', ',', 'normal', '.')
    """
    text = text.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, sign in _ENTITIES:
        text = text.replace(entity, sign)
    text = f" {text} ".translate(_SYMBOLS)
    text = _POINT_BEFORE.sub(r" \1 \2", _POINT_BEHIND.sub(r"\1 \2 ", text))
    return tuple(_DASH_BEHIND_DIGIT.sub(r"\1 \2 ", text).split())


@lru_cache(maxsize=65536)
def tokens_rouge(text: str) -> tuple[str, ...]:
    """Split as rouge-score does without its stemmer: lower-case runs of a-z and 0-9.

    >>> tokens_rouge("Trans-thalamic, 45.2mm")
    ('trans', 'thalamic', '45', '2mm')
    """
    return tuple(_NOT_ALPHANUMERIC.sub(" ", text.lower()).split())


def bleu_1(answer: str, reference: str) -> float:
    """Clipped unigram precision times the brevity penalty exp(1 - r/c) where the answer is the shorter one.

    Papineni et al. 2002, for one sentence, as sacrebleu's `BLEU(max_ngram_order=1, effective_order=True)` gives it.

    >>> round(bleu_1("the the heart", "the heart is normal"), 4)  # 2/3 * exp(1 - 4/3)
    0.4777
    """
    said, meant = tokens_13a(answer), tokens_13a(reference)
    shared = (Counter(said) & Counter(meant)).total()
    if not shared:
        return 0.0
    penalty = math.exp(1 - len(meant) / len(said)) if len(said) < len(meant) else 1.0
    return penalty * shared / len(said)


def rouge_1(answer: str, reference: str) -> float:
    """F1 of shared unigrams (Lin 2004); 0 where either text holds none.

    >>> round(rouge_1("the heart", "the heart is normal"), 4)
    0.6667
    """
    said, meant = tokens_rouge(answer), tokens_rouge(reference)
    return f1((Counter(said) & Counter(meant)).total(), len(said), len(meant))


def rouge_l(answer: str, reference: str) -> float:
    """F1 of the longest common subsequence of words (Lin 2004); 0 where either text holds none.

    >>> round(rouge_l("is normal the heart", "the heart is normal"), 4)
    0.5
    """
    said, meant = tokens_rouge(answer), tokens_rouge(reference)
    return f1(longest_common_subsequence(said, meant), len(said), len(meant))


def longest_common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """Its length, a machine word of `first` at a time (Hyyrö 2004): long answers stay cheap.

    >>> longest_common_subsequence("abcbdab", "bdcaba")
    4
    """
    places: dict[str, int] = {}
    for place, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << place
    everywhere = (1 << len(first)) - 1
    unmatched = everywhere
    for word in second:
        hits = unmatched & places.get(word, 0)
        unmatched = ((unmatched + hits) | (unmatched - hits)) & everywhere
    return len(first) - unmatched.bit_count()


def f1(shared: int, said: int, meant: int) -> float:
    """Harmonic mean of shared/said and shared/meant; 0 where nothing is shared."""
    return 2 * shared / (said + meant) if shared else 0.0


OVERLAP_SCORES: dict[str, Callable[[str, str], float]] = {
    "BLEU-1 (13a tokens, cased, sentence mean)": bleu_1,
    "ROUGE-1 F (no stemmer)": rouge_1,
    "ROUGE-L F (no stemmer)": rouge_l,
}
