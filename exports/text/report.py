"""The report on a file of answers, or on two of them: sanity first, then figures with n and a 95 % interval."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from exports.text.fields import FORMULAS, normality_of
from exports.text.resampling import Figure, Resampler
from exports.text.scoring import ADVICE, EXACT, MEASURED_VALUES, Scored, Scores
from exports.text.study import ABSENT, BERTSCORE_F1, study_averages

OVERALL = "overall, mean of all answers to scored fields"
FIELD_MEAN = "mean of the scored fields"
CONSTANT = "always the commonest reference of each question"


def report_answers(scored: Scored) -> Figure:
    """Return verdicts, sanity, and every figure that the answers allow; `absent` tells what needs weights."""
    document: Figure = {"file": scored.name, "verdicts": verdicts(scored), "sanity": scored.sanity.as_dict()}
    document["scored"] = len(scored.answers)
    document["resampled_by"] = "subject" if any(answer.subject for answer in scored.answers) else "image"
    if not scored.answers:
        return document
    asked = {name: column for name, column in scored.by_field.items() if _is_asked(column)}
    mean = scored.resampler.mean
    document["fields"] = {name: {**mean(column), "formula": FORMULAS[name]} for name, column in asked.items()}
    if ADVICE in scored.fields and ADVICE not in asked:
        document["fields"][ADVICE] = {"value": None, "n": 0, "reason": ABSENT[BERTSCORE_F1]}
    document["figures"] = _overall(scored, list(asked.values()))
    if _is_asked(asked.get("normality_assessment", [])):
        document["normality"] = _normality(scored)
    document["text"] = {name: mean(column) for name, column in {**scored.by_text, **scored.by_model}.items()}
    document["study"] = study_averages(_parts(scored, document["text"]))
    document["absent"] = {name: reason for name, reason in ABSENT.items() if name not in scored.metric_of.values()}
    return document


def _is_asked(column: Scores) -> bool:
    return any(score is not None for score in column)


def _overall(scored: Scored, asked: Sequence[Scores]) -> Figure:
    columns = {MEASURED_VALUES: scored.measured_values, EXACT: scored.exact, CONSTANT: scored.constant}
    figures: Figure = {}
    if asked:
        figures[OVERALL] = scored.resampler.mean(scored.overall)
        figures[FIELD_MEAN] = scored.resampler.mean_of_means(asked)
    figures |= {name: scored.resampler.mean(column) for name, column in columns.items() if _is_asked(column)}
    return figures


def _parts(scored: Scored, figures: Figure) -> dict[str, float | None]:
    """The study's parts by their plain names."""
    parts = {metric: figures[name]["value"] for name, metric in scored.metric_of.items()}
    return {**parts, "ROUGE-1 F": figures["ROUGE-1 F (no stemmer)"]["value"]}


def _normality(scored: Scored) -> Figure:
    """Confusion of normal and abnormal, positive = abnormal, and balanced accuracy: most frames are normal."""
    names = {True: "normal", False: "abnormal", None: "neither"}
    confusion: Counter[tuple[str, str]] = Counter()
    recalls: dict[bool, Scores] = {True: [], False: []}
    for answer, failed, field in zip(scored.answers, scored.is_failure, scored.fields, strict=True):
        meant = normality_of(answer.expected or "")[0] if field == "normality_assessment" else None
        said = None if failed else normality_of(answer.answer)[0]
        if meant is not None:
            confusion[names[meant], names[said]] += 1
        for side, column in recalls.items():
            column.append(float(said is meant) if meant is side else None)
    return {
        "confusion": {
            meant: {said: confusion[meant, said] for said in names.values()} for meant in ("normal", "abnormal")
        },
        "balanced_accuracy": scored.resampler.mean_of_means(list(recalls.values())),
    }


def verdicts(scored: Scored) -> list[str]:
    """What to read before the figures, the worst first."""
    alarms, notes = scored.sanity.alarms(), scored.sanity.remarks()
    if not scored.answers:
        return [*alarms, *notes, "nothing to score: no answer has a reference (a column `expected`)"]
    overall, constant = (scored.resampler.plain_mean(one) for one in (scored.overall, scored.constant))
    if overall is not None and constant is not None and overall <= constant:
        alarms.append(f"NO BETTER THAN A CONSTANT: {overall:.3f} overall, {constant:.3f} for {CONSTANT}")
    return [*alarms, *notes]


def compare_answers(first: Scored, second: Scored) -> Figure:
    """First minus second, pair by pair: the same image and question with the same reference in both."""
    places = {answer.key: place for place, answer in enumerate(second.answers)}
    pairs = [
        (place, places[answer.key])
        for place, answer in enumerate(first.answers)
        if answer.key in places and second.answers[places[answer.key]].expected == answer.expected
    ]
    document: Figure = {
        "difference": f"{first.name} minus {second.name}",
        "pairs": len(pairs),
        "unpaired": [len(first.answers) - len(pairs), len(second.answers) - len(pairs)],
    }
    if not pairs:
        return document
    resampler = Resampler([first.answers[place].unit for place, _ in pairs])
    others = _columns(second)
    figures = {
        name: resampler.difference([column[a] for a, _ in pairs], [others[name][b] for _, b in pairs])
        for name, column in _columns(first).items()
        if name in others
    }
    document["figures"] = {name: figure for name, figure in figures.items() if figure["value"] is not None}
    return document


def _columns(scored: Scored) -> dict[str, Scores]:
    return {
        OVERALL: scored.overall,
        **scored.by_field,
        EXACT: scored.exact,
        **scored.by_text,
        **scored.by_model,
    }


def as_text(document: Figure) -> str:
    """The report in words: verdicts, then a table."""
    lines = [*document["verdicts"], ""]
    for title in ("figures", "fields", "text"):
        lines += _table(document.get(title, {}))
    if "normality" in document:
        lines += _table({"normality, balanced accuracy": document["normality"]["balanced_accuracy"]})
    lines += _table({f"study's {name} average": figure for name, figure in document.get("study", {}).items()})
    lines += [f"absent: {name}: {reason}" for name, reason in document.get("absent", {}).items()]
    return "\n".join(lines).rstrip()


def _table(figures: dict[str, Any]) -> list[str]:
    lines = []
    for name, figure in figures.items():
        if figure["value"] is None:
            lines.append(f"{name:64} absent{': ' * ('reason' in figure)}{figure.get('reason', '')}")
        elif "ci95" in figure:
            low, high = figure["ci95"]
            tail = f", p = {figure['p']:.3f}" if "p" in figure else ""
            lines.append(f"{name:64} {figure['value']:.4f}  ({low:.4f} to {high:.4f}), n = {figure['n']:,}{tail}")
        else:
            lines.append(f"{name:64} {figure['value']:.4f}")
    return lines


def comparison_as_text(document: Figure) -> str:
    """The paired differences in words."""
    left = " and ".join(f"{count:,}" for count in document["unpaired"])
    return "\n".join(
        [
            f"{document['difference']}, {document['pairs']:,} pairs; {left} answers without a counterpart",
            *_table(document.get("figures", {})),
        ]
    )
