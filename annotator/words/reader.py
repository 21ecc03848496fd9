"""What an interpretation names, read word by word."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from typing import Any

from annotator import taxonomy
from annotator.schema import Interpretation
from annotator.taxonomy import Group
from annotator.words.cues import EVERY_CUE_WORD
from annotator.words.lexicon import Lexicon, Match, spellings_of
from annotator.words.lists import phrases
from annotator.words.negation import Standing, denies_anything, standings
from annotator.words.spelling import Spelling, standard_form
from annotator.words.tokens import clean, tokenize
from annotator.words.vocabulary import (
    FILLERS,
    GROUP_WORDS,
    NAMES_NOTHING,
    PLANE_WORDS,
    STRUCTURE_WORDS,
    PlaneWords,
)


@dataclass(frozen=True, slots=True)
class Mention:
    """Words of one field that name a structure.

    `negated`: the text says that it is not there or not seen. `unmeasured`: the text says that it was not measured.
    `could_name`: the labels of it that the words can stand for, `structure` first ('head', 'Brain', ...).
    """

    structure: str
    field: str
    words: str
    negated: bool = False
    unmeasured: bool = False
    could_name: tuple[str, ...] = ()

    @property
    def quoted(self) -> str:
        """The field and the words, as evidence."""
        return f'{self.field}: "{self.words}"'


@dataclass(frozen=True, slots=True)
class Alias:
    """Words of one field that speak for a group as a whole; they stand, denied ones are left out."""

    group: Group
    field: str
    words: str


@dataclass(frozen=True, slots=True)
class NamedPlane:
    """Words of one field that name an imaging plane; they stand, denied ones are left out."""

    plane: PlaneWords
    field: str
    words: str
    is_technique: bool


class _Role(Enum):
    """How a phrase names a structure; see `StructureWords`."""

    NAME = auto()
    SIGN = auto()
    SHARED = auto()
    HOMONYM = auto()


@dataclass(frozen=True, slots=True)
class _Field:
    """One field: its words in their standard form, whether each stands, and where each was written."""

    name: str
    text: str
    words: list[str]
    standings: list[Standing]
    spans: list[tuple[int, int]]

    def quote(self, match: Match[Any]) -> str:
        """The words as they were written."""
        return " ".join(self.text[self.spans[match.start][0] : self.spans[match.stop - 1][1]].split())

    def standing(self, match: Match[Any]) -> Standing:
        """What the text says of a phrase: what it says of all of its words, else it stands."""
        said = set(self.standings[match.start : match.stop])
        return said.pop() if len(said) == 1 else Standing.STANDS


def _known_words() -> Iterator[str]:
    listed = [NAMES_NOTHING, *(words.aliases for words in GROUP_WORDS)]
    listed += [f"{words.phrases}, {words.last}" for words in PLANE_WORDS]
    listed += [f"{words.names}, {words.signs}, {words.shared}, {words.homonyms}" for words in STRUCTURE_WORDS]
    for phrase in phrases(", ".join(listed)):
        for written in spellings_of(phrase):
            yield from map(standard_form, written)
    yield from map(standard_form, FILLERS | EVERY_CUE_WORD)


_SPELLING = Spelling(_known_words())


def _empty_lexicon() -> Lexicon[Any]:
    lexicon: Lexicon[Any] = Lexicon(_SPELLING, FILLERS)
    for phrase in phrases(NAMES_NOTHING):
        lexicon.add(phrase)
    return lexicon


def _structure_lexicon() -> Lexicon[tuple[_Role, str]]:
    lexicon: Lexicon[tuple[_Role, str]] = _empty_lexicon()
    for words in STRUCTURE_WORDS:
        lists = (words.names, words.signs, words.shared, words.homonyms)
        for role, listed in zip(_Role, lists, strict=True):
            for phrase in phrases(listed):
                lexicon.add(phrase, (role, words.structure))
    return lexicon


def _alias_lexicon() -> Lexicon[Group]:
    lexicon: Lexicon[Group] = _empty_lexicon()
    for words in GROUP_WORDS:
        for phrase in phrases(words.aliases):
            lexicon.add(phrase, words.group)
    return lexicon


def _plane_lexicon() -> Lexicon[tuple[PlaneWords, bool]]:
    lexicon: Lexicon[tuple[PlaneWords, bool]] = _empty_lexicon()
    for words in PLANE_WORDS:
        for is_technique, listed in ((False, words.phrases), (True, words.last)):
            for phrase in phrases(listed):
                lexicon.add(phrase, (words, is_technique))
    return lexicon


_STRUCTURES, _ALIASES, _PLANES = _structure_lexicon(), _alias_lexicon(), _plane_lexicon()


def _read(name: str, text: str) -> _Field:
    cleaned = clean(text)
    tokens = tokenize(cleaned)
    words = [_SPELLING(token.word) for token in tokens]
    return _Field(name, cleaned, words, standings(words), [(token.start, token.stop) for token in tokens])


class Reading:
    """An interpretation, read once; ask it for mentions, planes and aliases."""

    def __init__(self, interpretation: Interpretation) -> None:
        texts = [(name, getattr(interpretation, name)) for name in taxonomy.INTERPRETATION_FIELDS]
        self._fields = [_read(name, text) for name, text in texts if text.strip()]

    @cached_property
    def aliases(self) -> tuple[Alias, ...]:
        """Words that speak for whole groups, in the order of the text; what is denied is left out."""
        return tuple(
            Alias(group, field.name, field.quote(match))
            for field in self._fields
            for match in _ALIASES.search(field.words)
            if field.standing(match) is Standing.STANDS
            for group in match.meanings
        )

    def planes(self, *fields: str) -> tuple[NamedPlane, ...]:
        """The planes that the given fields name, in the order of the text, techniques last; no denied ones."""
        named = [
            NamedPlane(plane, field.name, field.quote(match), is_technique)
            for field in self._fields
            if field.name in fields
            for match in _PLANES.search(field.words)
            if field.standing(match) is Standing.STANDS
            for plane, is_technique in match.meanings
        ]
        return tuple(sorted(named, key=lambda one: one.is_technique))

    def nothing_measured(self) -> bool:
        """Whether the biometric measurements say that nothing could be measured: a denial, and no figure."""
        for field in self._fields:
            if field.name == "biometric_measurements":
                return denies_anything(field.words) and not any(_figures(field.words))
        return False

    def mentions(self) -> tuple[Mention, ...]:
        """Everything that the text names, affirmed or denied, field by field in the order of the text."""
        found = [
            (field, match, field.standing(match))
            for field in self._fields
            for match in _STRUCTURES.search(field.words)
        ]
        context = self._context(match for _, match, standing in found if standing is Standing.STANDS)
        return tuple(
            mention
            for field, match, standing in found
            if standing is not Standing.UNSAID
            for role, structure in _meant(match, context)
            if (mention := _mention(field, match, role, structure)) is not None
        )

    def _context(self, standing: Iterable[Match[tuple[_Role, str]]]) -> Counter[Group]:
        """How much the text speaks of each group in words that can mean nothing else."""
        context = Counter(alias.group for alias in self.aliases)
        for match in standing:
            if all(role in _USUAL for role, _ in match.meanings):
                context.update({taxonomy.structure(name).group for _, name in match.meanings})
        return context


_USUAL = (_Role.NAME, _Role.SIGN)


def _mention(field: _Field, match: Match[tuple[_Role, str]], role: _Role, structure: str) -> Mention | None:
    """The mention that a phrase makes; None where a denied sign says nothing of the structure."""
    standing = field.standing(match)
    is_denied_sign = standing is Standing.DENIED and role is _Role.SIGN
    # 'FL not obtained' among the measurements is about the measurement
    is_unmeasured = standing is Standing.UNMEASURED or (is_denied_sign and field.name == "biometric_measurements")
    if is_denied_sign and not is_unmeasured:
        return None
    return Mention(
        structure,
        field.name,
        field.quote(match),
        negated=standing is Standing.DENIED and not is_unmeasured,
        unmeasured=is_unmeasured,
        could_name=_could_name(role, structure, match),
    )


def _could_name(role: _Role, structure: str, match: Match[tuple[_Role, str]]) -> tuple[str, ...]:
    if role is _Role.HOMONYM:
        return (structure,)
    same = (name for other, name in match.meanings if other is not _Role.HOMONYM)
    return tuple(dict.fromkeys((structure, *same)))


def _meant(match: Match[tuple[_Role, str]], context: Counter[Group]) -> list[tuple[_Role, str]]:
    """The structures that a phrase stands for, given what the rest of the text speaks of."""
    usual = [meaning for meaning in match.meanings if meaning[0] in _USUAL]
    if len(usual) == len(match.meanings):
        return usual

    def spoken_of(meaning: tuple[_Role, str]) -> int:
        return context[taxonomy.structure(meaning[1]).group]

    best = max((meaning for meaning in match.meanings if meaning not in usual), key=spoken_of)
    return [best] if spoken_of(best) > max(map(spoken_of, usual), default=0) else usual


_AGE_UNITS = (["week"], ["wk"], ["w"], ["day"], ["d"])


def _figures(words: list[str]) -> Iterator[str]:
    """Numbers that can be measurements: not those of weeks and days."""
    for place, word in enumerate(words):
        is_age = word.endswith(("w", "d", "wk", "week")) or words[place + 1 : place + 2] in _AGE_UNITS
        if word[0].isdigit() and not is_age:
            yield word


def mentions(interpretation: Interpretation) -> tuple[Mention, ...]:
    """Everything that an interpretation names, affirmed or denied, field by field in the order of the text.

    >>> text = Interpretation(anatomical_structures="Stomach bubble and liver; no femur seen, harmonic imaging")
    >>> [(mention.structure, mention.negated) for mention in mentions(text)]
    [('stomach', False), ('liver', False), ('legs', True)]
    """
    return Reading(interpretation).mentions()
