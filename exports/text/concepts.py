"""The concepts that a text names, affirmed or denied, by the word reader and our own lexicon: never UMLS."""

from collections.abc import Iterable
from functools import lru_cache

from annotator.words.lexicon import Lexicon, spellings_of
from annotator.words.lists import phrases
from annotator.words.negation import Standing, standings
from annotator.words.spelling import Spelling, standard_form
from annotator.words.tokens import clean, tokenize
from annotator.words.vocabulary import FILLERS
from exports.text.overlap import f1
from exports.text.terms import ANATOMY, DISORDERS, MEASURES, SAME, SAME_DISORDERS

# The measures' abbreviations that are also words, or other things, in running text.
_ONLY_AMONG_MEASURES = frozenset({"IT", "LV", "CL", "IVC", "aortic"})
_LONGEST_TEXT = 20_000

Concept = tuple[str, bool]
"""A name, and whether the text affirms it."""


def _spelling(*listed: str) -> Spelling:
    return Spelling(
        standard_form(word)
        for text in listed
        for phrase in phrases(text)
        for words in spellings_of(phrase)
        for word in words
    )


_SPELLING = _spelling(ANATOMY, DISORDERS, *SAME, *SAME_DISORDERS, *MEASURES.values())


def _lexicon(listed: Iterable[str], same: Iterable[str]) -> Lexicon[str]:
    lexicon: Lexicon[str] = Lexicon(_SPELLING, FILLERS)
    taken: set[str] = set()
    for first, *others in map(phrases, same):
        for phrase in (first, *others):
            lexicon.add(phrase, first)
        taken |= {first, *others}
    for phrase in listed:
        if phrase not in taken:
            lexicon.add(phrase, phrase)
    return lexicon


ANATOMY_NAMES = _lexicon(phrases(ANATOMY), SAME)
MEASURE_NAMES = _lexicon((), (f"{name}, {listed}" for name, listed in MEASURES.items()))
DISORDER_NAMES = _lexicon(phrases(DISORDERS), SAME_DISORDERS)
_EVERYTHING = _lexicon(
    (*phrases(ANATOMY), *phrases(DISORDERS), *(set(MEASURES) - _ONLY_AMONG_MEASURES)), (*SAME, *SAME_DISORDERS)
)


@lru_cache(maxsize=65536)
def read_words(text: str) -> tuple[tuple[str, ...], tuple[Standing, ...]]:
    """The words of a text in their standard form, and whether each stands."""
    words = [_SPELLING(token.word) for token in tokenize(clean(text[:_LONGEST_TEXT]))]
    return tuple(words), tuple(standings(words))


def named(text: str, lexicon: Lexicon[str]) -> frozenset[Concept]:
    """What of a lexicon a text names; a phrase counts as denied where all its words are.

    >>> sorted(named("Stomach bubble and liver; no femur seen", ANATOMY_NAMES))
    [('femur', False), ('liver', True), ('stomach', True)]
    """
    words, said = read_words(text)
    return frozenset(
        (match.meanings[0], any(one is Standing.STANDS for one in said[match.start : match.stop]))
        for match in lexicon.search(words)
        if match.meanings
    )


def affirmed(text: str, lexicon: Lexicon[str]) -> frozenset[str]:
    """The names that a text affirms."""
    return frozenset(name for name, stands in named(text, lexicon) if stands)


def concept_f1(answer: str, reference: str) -> float | None:
    """F1 of the sets of (concept, affirmed or denied); None where the reference names no concept.

    >>> concept_f1("no ventriculomegaly; heart seen", "heart and stomach, no ventriculomegaly")
    0.8
    """
    meant = named(reference, _EVERYTHING)
    if not meant:
        return None
    said = named(answer, _EVERYTHING)
    return f1(len(said & meant), len(said), len(meant))
