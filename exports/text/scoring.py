"""One score for each answer and metric: failures score 0, what a metric cannot judge has None."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

from exports.answers import Answer, AnswerFile
from exports.sanity import Sanity, examine
from exports.text.ages import values_f1
from exports.text.concepts import concept_f1
from exports.text.fields import FIELD_SCORES, field_of, plain
from exports.text.overlap import OVERLAP_SCORES
from exports.text.resampling import Resampler
from exports.text.study import BERTSCORE_F1, TextScorer

Scores = list[float | None]
PairScore = Callable[[str, str], float | None]

ADVICE = "clinical_recommendations"
MEASURED_VALUES = "measured values F1 (same measure within 0.5 mm or 2 %, any unit)"
EXACT = "exact match (free questions)"
CONCEPT_F1 = "lexicon concept F1 (own lexicon, with denials)"
TEXT_SCORES: dict[str, PairScore] = {**OVERLAP_SCORES, CONCEPT_F1: concept_f1}


class Scored:
    """The answers of a file that can be scored, with their scores: they have a reference, and no training frame."""

    def __init__(
        self, file: AnswerFile, splits: Mapping[str, str] | None = None, scorers: Sequence[TextScorer] = ()
    ) -> None:
        self.name = file.name
        self.sanity: Sanity = examine(file, splits)
        rows = zip(file.answers, self.sanity.flaws, self.sanity.in_training, strict=True)
        kept = [(answer, flaw) for answer, flaw, trained in rows if answer.expected is not None and not trained]
        self.answers = [answer for answer, _ in kept]
        self.is_failure = [flaw is not None for _, flaw in kept]
        self.fields = [field_of(answer.question) for answer in self.answers]
        self.resampler = Resampler([answer.unit for answer in self.answers])
        self.by_field = {
            name: self._column(function, [name == one for one in self.fields])
            for name, function in FIELD_SCORES.items()
        }
        is_any = [True] * len(self.answers)
        self.by_text = {name: self._column(function, is_any) for name, function in TEXT_SCORES.items()}
        self.by_model = {scorer.name: self._ask(scorer) for scorer in scorers}
        self.metric_of = {scorer.name: scorer.metric for scorer in scorers}
        self._score_advice(scorers)

    def _score_advice(self, scorers: Sequence[TextScorer]) -> None:
        """The eighth field is BERTScore F1, and absent without it."""
        name = next((one.name for one in scorers if one.metric == BERTSCORE_F1), None)
        if name is not None:
            column = zip(self.by_model[name], self.fields, strict=True)
            self.by_field[ADVICE] = [score if asked == ADVICE else None for score, asked in column]

    @property
    def measured_values(self) -> Scores:
        """How far the sizes that the measurements give agree with the reference's."""
        return self._column(values_f1, [name == "biometric_measurements" for name in self.fields])

    @property
    def exact(self) -> Scores:
        """1 where an answer to a free question has the words of the reference, fillers aside."""
        return self._column(_same_words, [name is None for name in self.fields])

    @property
    def overall(self) -> Scores:
        """The score of each answer by its field; None for free questions."""
        return [next((one for one in scores if one is not None), None) for scores in self._across_fields()]

    @property
    def constant(self) -> Scores:
        """What the same answers would score if each question were always answered by its commonest reference."""
        meant: dict[str, Counter[str]] = defaultdict(Counter)
        for answer in self.answers:
            meant[answer.question][answer.expected or ""] += 1
        usual = {question: counts.most_common(1)[0][0] for question, counts in meant.items()}
        rows = zip(self.answers, self.fields, self.overall, strict=True)
        memo: dict[tuple[str, str], float | None] = {}
        return [
            None if name is None or score is None else _baseline(name, usual[answer.question], answer, memo)
            for answer, name, score in rows
        ]

    def _across_fields(self) -> Sequence[tuple[float | None, ...]]:
        return list(zip(*self.by_field.values(), strict=True))

    def _column(self, function: PairScore, applies: Sequence[bool]) -> Scores:
        memo: dict[tuple[str, str], float | None] = {}
        column: Scores = []
        for answer, is_failure, fits in zip(self.answers, self.is_failure, applies, strict=True):
            pair = ("" if is_failure else answer.answer, answer.expected or "")
            if fits and pair not in memo:
                memo[pair] = function(*pair)
            score = memo[pair] if fits else None
            column.append(0.0 if is_failure and score is not None else score)
        return column

    def _ask(self, scorer: TextScorer) -> Scores:
        rows = list(zip(self.answers, self.is_failure, strict=True))
        by_image = scorer.judges_by == "image"
        asked = [(one.answer, one.image if by_image else one.expected or "") for one, failed in rows if not failed]
        scores = scorer.score(asked)
        if scores and all(map(math.isnan, scores)):
            return [None] * len(rows)  # it cannot judge these references: the failures' 0 would stand alone
        remaining = iter(scores)
        return [0.0 if failed else next(remaining) for _, failed in rows]


def _same_words(answer: str, reference: str) -> float:
    return float(plain(answer) == plain(reference))


def _baseline(name: str, usual: str, answer: Answer, memo: dict[tuple[str, str], float | None]) -> float | None:
    if name not in FIELD_SCORES:
        return None
    key = (f"{name}\n{usual}", answer.expected or "")
    if key not in memo:
        memo[key] = FIELD_SCORES[name](usual, answer.expected or "")
    return memo[key]
