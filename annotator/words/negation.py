"""Which words of a text stand, and which the text takes back."""

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum, auto

from annotator.words.cues import (
    ABNORMALITIES,
    AFFIRMING,
    ARTICLES,
    BREAKS,
    CUE_FILLERS,
    CUE_PHRASES,
    DISORDERS,
    LIGHT,
    MEASURING,
    PREPOSITIONS,
    SEEN,
    SHOWING,
    VERBS,
    Cue,
)
from annotator.words.lexicon import Lexicon, Match
from annotator.words.spelling import standard_form


class Standing(Enum):
    """What a text says about a word of it."""

    STANDS = auto()
    DENIED = auto()
    UNMEASURED = auto()
    """It is there, or may be, but was not measured."""
    UNSAID = auto()
    """Only a disorder of it is denied, or something about it: no evidence either way."""


# No denial reaches further; it also keeps a hostile text from costing more than its length.
REACH = 30

_CUES: Lexicon[Cue] = Lexicon(standard_form, CUE_FILLERS)
for _cue, _phrases in CUE_PHRASES.items():
    for _phrase in _phrases:
        _CUES.add(_phrase, _cue)


def _standard(words: Iterable[str]) -> frozenset[str]:
    return frozenset(standard_form(word) for word in words)


_SEEN, _SHOWING, _VERBS = _standard(SEEN), _standard(SHOWING), _standard(VERBS)
_AFFIRMING, _ABNORMALITIES = _standard(AFFIRMING), _standard(ABNORMALITIES)
_DISORDERS, _MEASURING = _standard(DISORDERS), _standard(MEASURING)
_LIGHT = _standard(LIGHT)
_NEW_STATEMENT = _VERBS | _SEEN | _AFFIRMING | PREPOSITIONS
_WALLS = frozenset({".", ":", "(", ")", "-"}) | BREAKS
_STOPS_A_SUBJECT = _WALLS | _SEEN | _AFFIRMING | {"with"}
_TIES = frozenset({",", "however", "which"})
_ENDS_A_NOUN = _WALLS | PREPOSITIONS | {",", "and", "or", "nor"}


def standings(words: Sequence[str]) -> list[Standing]:
    """Tell for each word (standard forms and marks, as `tokenize` gives them) whether it stands.

    >>> [standing.name for standing in standings("no femur seen but the abdomen is".split())]
    ['STANDS', 'DENIED', 'STANDS', 'STANDS', 'STANDS', 'STANDS', 'STANDS']
    """
    result = [Standing.STANDS] * len(words)
    cues = list(_CUES.search(words))
    if cues:
        text = _Text(words, frozenset(place for cue in cues for place in range(cue.start, cue.stop)))
        for cue in cues:
            region = text.region(cue)
            standing = text.standing_of(cue, region)
            for place in region:
                if result[place] is Standing.STANDS:
                    result[place] = standing
    return result


def denies_anything(words: Sequence[str]) -> bool:
    """Whether a text holds any phrase of denial, hedged ones ('not clearly') included."""
    return any(True for _ in _CUES.search(words))


class _Text:
    """The words of one field, and the reach of the denials in it."""

    def __init__(self, words: Sequence[str], in_cues: frozenset[int]) -> None:
        self._words = words
        self._in_cues = in_cues
        self._asides = frozenset(self._places_in_brackets())

    def _places_in_brackets(self) -> Iterator[int]:
        """Brackets that deny nothing themselves belong to what they stand behind: 'femur (FL) not seen'."""
        opening: int | None = None
        for place, word in enumerate(self._words):
            if word == "(":
                opening = place
            elif word == "." or place in self._in_cues:
                opening = None
            elif word == ")" and opening is not None:
                yield from range(opening, place + 1)
                opening = None

    def region(self, cue: Match[Cue]) -> list[int]:
        """The places of the words that a phrase of denial is about."""
        match cue.meanings[0]:
            case Cue.DENIES_WHAT_FOLLOWS:
                return self._after(cue.stop)
            case Cue.DENIES_WHAT_PRECEDES | Cue.NOTHING_MEASURED:
                return self._around(cue)
            case Cue.DENIES_ITS_NOUN:
                return self._around(cue) if self._ends_at(cue.stop, _ENDS_A_NOUN) else self._after(cue.stop)
            case Cue.DENIES_THE_NEXT_WORDS:
                return self._after(cue.stop)[:2]
            case Cue.NOT:
                at_the_end = self._ends_at(cue.stop, _WALLS | {",", "and"})
                return self._before(cue.start) if at_the_end else self._after(cue.stop, is_list=False)
            case Cue.EXCEPT:
                return [] if self._clause_denies(cue.start) else self._after(cue.stop)
            case _:
                return []

    def standing_of(self, cue: Match[Cue], region: Sequence[int]) -> Standing:
        """What becomes of the words in a region: it depends on what exactly is denied."""
        words = {self._words[place] for place in region}
        if words & _DISORDERS:
            return Standing.UNSAID
        if words & _ABNORMALITIES:
            return Standing.STANDS
        if cue.meanings[0] is Cue.NOTHING_MEASURED or words & _MEASURING:
            return Standing.UNMEASURED
        return Standing.DENIED

    def _ends_at(self, place: int, ends: frozenset[str]) -> bool:
        return place >= len(self._words) or self._words[place] in ends

    def _clause_denies(self, place: int) -> bool:
        """Whether the clause up to `place` holds a denial: 'no structure except', but 'all structures except'."""
        for before in range(place - 1, max(-1, place - REACH), -1):
            if self._words[before] in _WALLS:
                return False
            if before in self._in_cues:
                return True
        return False

    def _is_light(self, word: str) -> bool:
        return word in _LIGHT or word in ARTICLES or word.endswith("ly")

    def _after(self, start: int, *, is_list: bool = True) -> list[int]:
        """The words that a denial in front of them reaches."""
        region: list[int] = []
        has_noun = False
        for place in range(start, min(len(self._words), start + REACH)):
            word = self._words[place]
            if word in _WALLS or word in PREPOSITIONS or place in self._in_cues:
                break
            if has_noun and (word in _SEEN or word in _VERBS or self._noun_ends(start, place, is_list)):
                break
            if word not in (",", "and", "or"):
                region.append(place)
                has_noun = has_noun or not (self._is_light(word) or word in _SEEN)
        return region

    def _noun_ends(self, start: int, place: int, is_list: bool) -> bool:
        """Whether what is denied ends at `place` though the clause goes on."""
        word = self._words[place]
        if word in ("of", "for"):
            return self._words[place - 1] not in _SHOWING
        if word == ",":
            return not self._list_goes_on(start, place, is_list)
        if word == "and":
            ahead = self._statement(place + 1)
            after = self._words[place + 1 + len(ahead) : place + 2 + len(ahead)]
            return not ahead or ahead[0] in ARTICLES or after in (["is"], ["was"])
        return False

    def _list_goes_on(self, start: int, comma: int, is_list: bool) -> bool:
        """'No femur, tibia or foot': the comma parts a list. 'No femur, abdomen normal': a new statement begins."""
        ahead = self._statement(comma + 1)
        if not ahead or ahead[0] in ARTICLES:
            return False
        if "or" in ahead or "nor" in ahead:
            return True
        after = comma + 1 + len(ahead)
        is_last = self._ends_at(after, _SEEN) and "," in self._words[start:comma]
        return is_list and ("," in ahead or is_last or (self._ends_at(after, _WALLS) and len(ahead) <= 3))

    def _statement(self, start: int) -> list[str]:
        """The words from `start` to the next verb, preposition, wall or denial."""
        words: list[str] = []
        for place in range(start, min(len(self._words), start + REACH)):
            word = self._words[place]
            if word in _NEW_STATEMENT or word in _WALLS or place in self._in_cues:
                break
            words.append(word)
        return words

    def _around(self, cue: Match[Cue]) -> list[int]:
        """What precedes; at the head of a clause ('Not seen: femur, hand'), or before a colon, what follows too."""
        region = self._before(cue.start)
        follows = cue.stop
        before = self._subject_end(cue.start)
        is_head = before < 0 or self._words[before] == "."
        if self._words[follows : follows + 1] == [":"]:
            follows += 1
        elif not is_head:
            return region
        for place in range(follows, min(len(self._words), follows + REACH)):
            word = self._words[place]
            if word in _WALLS or word in PREPOSITIONS or place in self._in_cues:
                break
            region.append(place)
        return region

    def _subject_end(self, stop: int) -> int:
        """Step back over 'which is', 'clearly', and a mark that ties: 'femur: not seen', 'femur (not seen)'."""
        place = stop - 1
        while place >= 0 and (self._words[place] in _TIES or self._is_light(self._words[place])):
            place -= 1
        return place - 1 if place >= 0 and self._words[place] in (":", "(", "-") else place

    def _before(self, stop: int) -> list[int]:
        """The words that a denial behind them reaches: its subject, without the place where it was looked for."""
        region: list[int] = []
        joined: int | None = None
        noun_starts: int | None = None
        for place in range(self._subject_end(stop), max(-1, stop - REACH), -1):
            word = self._words[place]
            if place in self._asides:
                region.append(place)
                continue
            if place in self._in_cues or word in _STOPS_A_SUBJECT or (word == "," and joined is None):
                break
            if word in _VERBS:
                return region if joined is None else region[:joined]
            if word in ("and", "or", "nor"):
                joined = len(region) if joined is None else joined
            elif word in PREPOSITIONS:
                if place == 0 or self._words[place - 1] in _WALLS or self._words[place - 1] == ",":
                    return region if noun_starts is None else region[:noun_starts]
                region = []
            elif word != ",":
                region.append(place)
                if noun_starts is None and (word in ARTICLES or word in _SHOWING):
                    noun_starts = len(region)
        return region
