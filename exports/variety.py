"""How much answers differ from frame to frame: a collapsed model says the same whatever it is shown."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from annotator import taxonomy
from exports.answers import Answer
from exports.text.ages import age_bin
from exports.text.fields import field_of, quality_tier

# Fewer answers to one question say nothing about a collapse.
FEWEST_TO_JUDGE = 20
# Answers that vary as if from less than a quarter of the reference's kinds do not follow the frames. Wordings that
# people vary without end count as 60 kinds: a model may well write more evenly.
_KINDS_SHARE, _MOST_KINDS = 0.25, 60.0
# Nearly always the same, where the reference is not.
_CONSTANT_SHARE, _REFERENCE_CONSTANT_SHARE = 0.98, 0.9
# Free text that differs in less than one answer of a hundred, and hardly at all.
_FEW_SHARE, _FEW = 0.01, 20
# The share of the reference's information that few, unlike worded answers must carry to count as an answer to it.
_INFORMED_SHARE = 0.2
# Without a reference only free text is judged: right answers to the other fields are few.
_FREE_FIELDS = (None, "anatomical_structures", "clinical_recommendations")
_FREE_WORDS = 6
_LONGEST_SHOWN = 60


@dataclass(frozen=True)
class Variety:
    """Counts over the answers to one question, or all of a file, and whether they are a collapsed model's."""

    answers: int
    distinct: int
    commonest: str
    largest_share: float
    expected_distinct: int | None
    collapsed: bool

    def as_dict(self) -> dict[str, Any]:
        """For a JSON document."""
        return {
            "answers": self.answers,
            "distinct": self.distinct,
            "commonest": self.commonest[:_LONGEST_SHOWN],
            "largest_share": self.largest_share,
            "expected_distinct": self.expected_distinct,
            "collapsed": self.collapsed,
        }


def variety_of(items: Sequence[tuple[Answer, bool]], questions: int = 1) -> Variety:
    """Count distinct answers; the flag beside one tells a server error, which says nothing about a collapse."""
    everything = Counter(answer.answer for answer, _ in items)
    model = [answer for answer, is_error in items if not is_error]
    commonest, most = Counter(answer.answer for answer in model or [items[0][0]]).most_common(1)[0]
    expected = {answer.expected for answer, _ in items} - {None}
    return Variety(
        answers=len(items),
        distinct=len(everything),
        commonest=commonest,
        largest_share=most / len(items),
        expected_distinct=len(expected) or None,
        collapsed=_is_collapsed(model, questions),
    )


def _is_collapsed(model: Sequence[Answer], questions: int) -> bool:
    known = [answer for answer in model if answer.expected is not None]
    if len(known) >= FEWEST_TO_JUDGE:
        return _does_not_follow(known, questions)
    free = [answer for answer in model if _is_free(answer)]
    said = Counter(answer.answer for answer in free)
    if len(free) < FEWEST_TO_JUDGE:
        return False
    are_classes = all(taxonomy.is_view(text) for text in said)
    return len(said) == 1 if are_classes else _are_few(said, questions)


def _does_not_follow(known: Sequence[Answer], questions: int) -> bool:
    said = Counter(_reading(answer.question, answer.answer) for answer in known)
    meant = Counter(_reading(answer.question, answer.expected or "") for answer in known)
    if effective_number(said) < _KINDS_SHARE * min(effective_number(meant), _MOST_KINDS):
        return True
    if questions == 1 and _largest_share(said) >= _CONSTANT_SHARE:
        return _largest_share(meant) < _REFERENCE_CONSTANT_SHARE
    are_labels = sum(said[text] for text in meant) >= len(known) / 2
    return _are_few(said, questions) and not are_labels and informed_share(known) < _INFORMED_SHARE


def _are_few(said: Counter[str], questions: int) -> bool:
    return len(said) <= max(min(_FEW_SHARE * said.total(), _FEW), questions)


def _is_free(answer: Answer) -> bool:
    return field_of(answer.question) in _FREE_FIELDS or len(answer.answer.split()) > _FREE_WORDS


def _reading(question: str, text: str) -> str:
    """What a text says where its field has classes, so that other words or exact ages are no other answer."""
    field = field_of(question)
    if field == "gestational_age" and (place := age_bin(text)) is not None:
        return f"age bin {place}"
    if field == "image_quality" and (tier := quality_tier(text)) is not None:
        return tier
    return text


def _largest_share(counts: Counter[str]) -> float:
    return max(counts.values()) / counts.total()


def _entropy(counts: Iterable[int]) -> float:
    listed = list(counts)
    total = sum(listed)
    return -sum(count / total * math.log(count / total) for count in listed)


def effective_number(counts: Counter[str]) -> float:
    """exp of the Shannon entropy: the number of equally common answers that would be as varied.

    >>> [round(effective_number(Counter(counts)), 2) for counts in ({"a": 5, "b": 5}, {"a": 99, "b": 1})]
    [2.0, 1.06]
    """
    return math.exp(_entropy(counts.values()))


def informed_share(answers: Iterable[Answer]) -> float:
    """Mutual information of answer and expected answer over the entropy of the expected one, 0..1.

    >>> same = [Answer("", "", text, text) for text in ("a", "b")]
    >>> informed_share(same), informed_share([*same, Answer("", "", "a", "b"), Answer("", "", "b", "a")])
    (1.0, 0.0)
    """
    pairs = Counter((answer.answer, answer.expected) for answer in answers if answer.expected is not None)
    said: Counter[str] = Counter()
    meant: Counter[str | None] = Counter()
    for (text, expected), count in pairs.items():
        said[text] += count
        meant[expected] += count
    in_all = _entropy(meant.values())
    shared = _entropy(said.values()) + in_all - _entropy(pairs.values())
    return shared / in_all if in_all else 0.0
