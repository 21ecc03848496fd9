"""What a model's token probabilities say about one finding or view.

    label probability      = exp(sum of log p(token))   over the tokens that overlap the label's characters
    coordinate confidence  = exp(mean of log p(token))  over the tokens that overlap the numbers of the box
    score of a finding     = label probability x coordinate confidence
    score of a view        = label probability
    removed mass           = the largest share of probability that a constraint took away at any of these tokens

Tokens that the schema forced were not asked for and are left out; a label that was forced altogether was certain
from the question (probability 1). p is the model's own, over its whole vocabulary. Where an engine tells no
probabilities, or the model was asked for none of the tokens, there is no score. The score is not calibrated: it
orders findings of one model, and says nothing across models.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from backends.engine import Answer, TokenScore

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Confidence:
    """A score and the mass that a constraint removed, both 0..1; None where the model told nothing."""

    score: float | None = None
    removed_mass: float | None = None


UNKNOWN = Confidence()


class TokenScores:
    """Finds the tokens of an answer by their place in its text."""

    def __init__(self, answer: Answer) -> None:
        self._tokens = sorted(answer.tokens or (), key=lambda token: token.start)
        self._starts = [token.start for token in self._tokens]
        self._longest = max((token.stop - token.start for token in self._tokens), default=0)

    def finding(self, label: Span, numbers: Sequence[Span]) -> Confidence:
        """Score a finding by the spans of its label and of the numbers that made its box."""
        named, placed = self._evaluated([label]), self._evaluated(numbers)
        if not named and not placed:
            return UNKNOWN
        log_score = _total(named) + (_total(placed) / len(placed) if placed else 0.0)
        return _confidence(log_score, [*named, *placed])

    def label(self, span: Span) -> Confidence:
        """Score a label alone, such as a view."""
        named = self._evaluated([span])
        return _confidence(_total(named), named) if named else UNKNOWN

    def _evaluated(self, spans: Iterable[Span]) -> list[TokenScore]:
        """The tokens that the model was asked for and that overlap any of the spans, each once."""
        places: set[int] = set()
        for start, stop in spans:
            place = bisect_left(self._starts, start - self._longest)
            while place < len(self._tokens) and self._starts[place] < stop:
                if self._tokens[place].stop > start:
                    places.add(place)
                place += 1
        tokens = (self._tokens[place] for place in sorted(places))
        return [token for token in tokens if token.log_probability is not None]


def _total(tokens: Sequence[TokenScore]) -> float:
    return math.fsum(token.log_probability or 0.0 for token in tokens)


def _confidence(log_score: float, tokens: Sequence[TokenScore]) -> Confidence:
    """Leave the logarithm; a model whose figures are no numbers has told nothing."""
    removed = max(token.removed_mass for token in tokens)
    if math.isnan(log_score) or math.isnan(removed):
        return UNKNOWN
    return Confidence(math.exp(min(log_score, 0.0)), min(max(removed, 0.0), 1.0))
