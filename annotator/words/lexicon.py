"""A dictionary of phrases that is searched in running text, whole words only, longest phrase first."""

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

from annotator.words.tokens import clean, tokenize

Meaning = TypeVar("Meaning")


class Match(NamedTuple, Generic[Meaning]):
    """A phrase found in words[start:stop], and all that it can mean."""

    start: int
    stop: int
    meanings: tuple[Meaning, ...]


class _Node(Generic[Meaning]):
    __slots__ = ("follow", "meanings")

    def __init__(self) -> None:
        self.follow: dict[str, _Node[Meaning]] = {}
        self.meanings: tuple[Meaning, ...] | None = None


def spellings_of(phrase: str) -> list[list[str]]:
    """The phrase as words, once with its hyphens as spaces and once without them.

    >>> spellings_of("trans-thalamic plane")
    [['trans', 'thalamic', 'plane'], ['transthalamic', 'plane']]
    """
    written = dict.fromkeys((phrase.replace("-", " "), phrase.replace("-", "")))
    return [[token.word for token in tokenize(clean(text))] for text in written]


class Lexicon(Generic[Meaning]):
    """Phrases and their meanings; `fillers` may stand inside a phrase without being part of it."""

    def __init__(self, standard: Callable[[str], str], fillers: frozenset[str] = frozenset()) -> None:
        self._standard = standard
        self._fillers = fillers
        self._root: _Node[Meaning] = _Node()

    def add(self, phrase: str, *meanings: Meaning) -> None:
        """Put a phrase in, or give it more meanings; without one it only keeps shorter phrases from matching."""
        for words in spellings_of(phrase):
            standard = [self._standard(word) for word in words]
            kept = [word for word in standard if word not in self._fillers] or standard
            node = self._root
            for word in kept:
                node = node.follow.setdefault(word, _Node())
            added = [meaning for meaning in meanings if meaning not in (node.meanings or ())]
            node.meanings = (*(node.meanings or ()), *added)

    def at(self, words: Sequence[str], start: int) -> Match[Meaning] | None:
        """The longest phrase that begins at words[start]; `words` are in their standard form."""
        node = self._root.follow.get(words[start])
        found, place = None, start + 1
        while node is not None:
            if node.meanings is not None:
                found = Match(start, place, node.meanings)
            while place < len(words) and words[place] in self._fillers and words[place] not in node.follow:
                place += 1
            node = node.follow.get(words[place]) if place < len(words) else None
            place += 1
        return found

    def search(self, words: Sequence[str]) -> Iterator[Match[Meaning]]:
        """All phrases from left to right, none overlapping another."""
        free = 0
        begins = self._root.follow
        for start, word in enumerate(words):
            if start >= free and word in begins and (match := self.at(words, start)) is not None:
                yield match
                free = match.stop
