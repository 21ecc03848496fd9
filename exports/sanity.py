"""What must be known of a file of answers before any score of it: does the model answer the frames at all?

A collapsed model, one that says the same whatever the frame, and server errors stored as answers both look scored.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from annotator.words.tokens import clean, tokenize
from exports.answers import Answer, AnswerFile
from exports.flaws import Flaw, flaw_of
from exports.variety import FEWEST_TO_JUDGE, Variety, variety_of

_TRAIN = frozenset({"train", "training"})
_LONGEST_SHOWN = 60


@dataclass(frozen=True)
class Sanity:
    """What was found. `flaws`, `in_training` and `named_in_file` have an entry for each answer of the file.

    `per_question` holds the questions that are asked often enough to judge.
    """

    variety: Variety
    per_question: Mapping[str, Variety]
    flaws: tuple[Flaw | None, ...]
    in_training: tuple[bool, ...]
    named_in_file: tuple[bool, ...]
    subjects_in_both: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def collapsed(self) -> bool:
        """Whether the file as a whole, or most of its answers, do not depend on the frame."""
        stuck = sum(one.answers for one in self.per_question.values() if one.collapsed)
        return self.variety.collapsed or stuck > self.variety.answers / 2

    def alarms(self) -> list[str]:
        """What forbids to take a score at its face value, the worst first."""
        return [*self._about_collapse(), *self._about_flaws(), *self._about_leaks()]

    def remarks(self) -> list[str]:
        """What else to know: the count of distinct answers, and how the file was read."""
        return [self._count(), *self.notes] if not self.collapsed else list(self.notes)

    def _count(self) -> str:
        one = self.variety
        counted = f"{one.distinct:,} distinct answer{'s' * (one.distinct != 1)} among {one.answers:,}"
        return f"{counted}, the commonest {percent(one.largest_share)} of them: {shown(one.commonest)}"

    def _about_collapse(self) -> list[str]:
        if self.collapsed:
            return [f"COLLAPSED: {self._count()}; they do not depend on the frame"]
        stuck = [name or "(no question)" for name, item in self.per_question.items() if item.collapsed]
        return [f"COLLAPSED on {', '.join(stuck)}: the answers do not depend on the frame"] if stuck else []

    def _about_flaws(self) -> list[str]:
        counts, total = Counter(flaw for flaw in self.flaws if flaw), len(self.flaws)
        lines = []
        if errors := counts.pop(Flaw.SERVER_ERROR, 0):
            share = f"{percent(errors / total)} of the answers ({errors:,} of {total:,})"
            lines.append(f"ERRORS: {share} are server errors, not text")
        if counts:
            listed = ", ".join(f"{counts[flaw]:,} {flaw}" for flaw in Flaw if counts[flaw])
            failed = sum(counts.values())
            lines.append(f"FAILURES: {percent(failed / total)} of the answers are no answers: {listed}")
        return lines

    def _about_leaks(self) -> list[str]:
        total, lines = len(self.flaws), []
        if trained := sum(self.in_training):
            lines.append(
                f"TRAIN FRAMES: {trained:,} of {total:,} answers are on frames trained on; they are not scored"
            )
        if self.subjects_in_both:
            named = ", ".join(self.subjects_in_both[:3])
            lines.append(
                f"TRAIN SUBJECTS: {len(self.subjects_in_both):,} subjects have frames in train and test: {named}"
            )
        if leaked := sum(self.named_in_file):
            lines.append(f"LABEL LEAK: {leaked:,} of {total:,} file names hold the expected answer")
        return lines

    def as_dict(self) -> dict[str, Any]:
        """For a JSON document; every count is there, zeros too."""
        counts = Counter(self.flaws)
        return {
            "collapsed": self.collapsed,
            **self.variety.as_dict(),
            "failures": {flaw.name.lower(): counts[flaw] for flaw in Flaw},
            "failed": sum(counts[flaw] for flaw in Flaw),
            "on_train_frames": sum(self.in_training),
            "subjects_in_train_and_test": len(self.subjects_in_both),
            "file_names_with_the_answer": sum(self.named_in_file),
            "per_question": {name: one.as_dict() for name, one in self.per_question.items()},
        }


def examine(file: AnswerFile, splits: Mapping[str, str] | None = None) -> Sanity:
    """Look a file over; `splits` tells the split of an image where the file does not."""
    answers, known = file.answers, splits or {}
    flaws = tuple(flaw_of(answer) for answer in answers)
    asked: dict[str, list[tuple[Answer, bool]]] = defaultdict(list)
    for answer, flaw in zip(answers, flaws, strict=True):
        asked[answer.question].append((answer, flaw is Flaw.SERVER_ERROR))
    often = {question: items for question, items in asked.items() if len(items) >= FEWEST_TO_JUDGE}
    trained = tuple((answer.split or known.get(answer.image, "")).lower() in _TRAIN for answer in answers)
    return Sanity(
        variety=variety_of([item for items in asked.values() for item in items], max(len(often), 1)),
        per_question={question: variety_of(items) for question, items in often.items()},
        flaws=flaws,
        in_training=trained,
        named_in_file=tuple(names_its_answer(answer) for answer in answers),
        subjects_in_both=_in_both(answers, trained),
        notes=tuple(file.notes),
    )


def names_its_answer(answer: Answer) -> bool:
    """Whether the image's name holds the expected answer, all of its words in order.

    >>> names_its_answer(Answer("Trans-thalamic/0017.png", "plane", "?", expected="Trans-thalamic"))
    True
    >>> names_its_answer(Answer("0017.png", "image_quality", "?", expected="good"))
    False
    """
    if answer.expected is None or len(answer.expected) > _LONGEST_SHOWN:
        return False
    wanted = _name_words(answer.expected)
    return any(map(str.isalpha, wanted)) and wanted in _name_words(answer.image)


@lru_cache(maxsize=65536)
def _name_words(text: str) -> str:
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=\d)|[/\\.\-]", " ", text)
    return f" {' '.join(token.word for token in tokenize(clean(parted)) if token.word[0].isalnum())} "


def _in_both(answers: Sequence[Answer], trained: Sequence[bool]) -> tuple[str, ...]:
    sides: dict[bool, set[str]] = {True: set(), False: set()}
    for answer, is_train in zip(answers, trained, strict=True):
        if answer.subject:
            sides[is_train].add(answer.subject)
    return tuple(sorted(sides[True] & sides[False]))


def percent(share: float) -> str:
    """A share in per cent, one decimal.

    >>> percent(3114 / 12400)
    '25.1 %'
    """
    return f"{100 * share:.1f} %"


def shown(text: str) -> str:
    """A text in quotes, short enough for a line.

    >>> shown("normal\\nfrontal")
    '"normal frontal"'
    """
    line = " ".join(text.split())
    return f'"{line[:_LONGEST_SHOWN]}{"..." if len(line) > _LONGEST_SHOWN else ""}"'
