"""One spelling for every form of a word: American, singular, and without the usual slips of the pen."""

import re
from collections.abc import Iterable
from functools import lru_cache

from annotator.words.vocabulary import NOT_SLIPS, SPELLINGS

# A real word is shorter; longer runs of letters are noise that no table should keep.
LONGEST_WORD = 40
# Shorter words have too many honest neighbours one letter away ('liver', 'river').
SHORTEST_GUESSED = 7

_AS_WRITTEN = {form: word for word, forms in SPELLINGS.items() for form in forms.split()}
_BRITISH_S = re.compile(r"is(e|ed|es|ing|ation|ations|able)$")


def standard_form(word: str) -> str:
    """Spell a word as the vocabulary does: lower case, American, singular, known slips mended.

    >>> [standard_form(word) for word in ("Foetal", "visualised", "arteries", "thalami", "cerebelum", "pelvis")]
    ['fetal', 'visualized', 'artery', 'thalamus', 'cerebellum', 'pelvis']
    """
    word = word.lower()
    if word in _AS_WRITTEN:
        return _AS_WRITTEN[word]
    if len(word) >= 6:
        word = word.replace("ae", "e").replace("oe", "e")
        word = _BRITISH_S.sub(r"iz\1", word)
    word = _singular(word)
    return _AS_WRITTEN.get(word, word)


def _singular(word: str) -> str:
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    return word[:-3] + "y" if word.endswith("ies") else word[:-1]


def _one_letter_less(word: str) -> set[str]:
    return {word[:place] + word[place + 1 :] for place in range(len(word))}


def _is_one_slip(written: str, meant: str) -> bool:
    """Whether one letter was added, left out, exchanged or swapped with its neighbour."""
    if abs(len(written) - len(meant)) > 1:
        return False
    if len(written) != len(meant):
        shorter, longer = sorted((written, meant), key=len)
        return shorter in _one_letter_less(longer)
    places = [place for place in range(len(meant)) if written[place] != meant[place]]
    if len(places) == 2 and places[1] == places[0] + 1:
        first, second = places
        return written[first] == meant[second] and written[second] == meant[first]
    return len(places) == 1


class Spelling:
    """Reads words in the light of a list of known ones.

    A slip of one letter is mended in words of seven letters or more, never in the first letter ('axillary' is not
    'maxillary'), and only where exactly one known word is meant.
    """

    def __init__(self, known: Iterable[str]) -> None:
        self.known = frozenset(known)
        self._near: dict[str, set[str]] = {}
        for word in self.known:
            if len(word) >= SHORTEST_GUESSED:
                for key in _one_letter_less(word) | {word}:
                    self._near.setdefault(key, set()).add(word)
        self.read = lru_cache(maxsize=8192)(self._read)

    def __call__(self, word: str) -> str:
        """Return the known word that is meant, or the word itself in its standard form."""
        return self.read(word) if len(word) <= LONGEST_WORD else word.lower()

    def _read(self, word: str) -> str:
        word = standard_form(word)
        if word in self.known or len(word) < SHORTEST_GUESSED or word in NOT_SLIPS:
            return word
        keys = _one_letter_less(word) | {word}
        near = {meant for key in keys for meant in self._near.get(key, ())}
        meant = [one for one in near if one[0] == word[0] and _is_one_slip(word, one)]
        return meant[0] if len(meant) == 1 else word
