"""Everything biometry says about one frame, as one record and as lines for a panel or a labelling task."""

from collections.abc import Iterator

from annotator.biometry.ages import gestational_age
from annotator.biometry.charts import INTERGROWTH_21ST, centile
from annotator.biometry.contradiction import contradiction, weeks_and_days
from annotator.biometry.measures import measure
from annotator.biometry.records import LABELS, Biometry, Centile, Contradiction, Estimate
from annotator.biometry.weights import fetal_weight, weight_centile
from annotator.schema import Correction, Frame, Prediction, Record


class BiometryReport(Record):
    """Sizes, the ages and weights they estimate, centiles where the age is known, and a contradiction if any."""

    frame_id: str
    biometry: Biometry
    ages: tuple[Estimate, ...] = ()
    weights: tuple[Estimate, ...] = ()
    centiles: tuple[Centile, ...] = ()
    contradiction: Contradiction | None = None


def report(frame: Frame, said: Prediction | Correction, *, ga_weeks: float | None = None) -> BiometryReport:
    """Measure what a prediction or correction outlines in a frame, with the frame's own pixel spacing.

    `ga_weeks` is an age known otherwise, from dates or an early scan; centiles need it, since a size is always
    near the middle of the age that it estimates. InputError where it is no positive number.
    """
    biometry = measure(said.findings, frame.pixel_spacing_mm, plane=said.plane)
    weights = fetal_weight(biometry.measurements)
    centiles: list[Centile] = []
    if ga_weeks is not None:
        sizes = [one for one in biometry.measurements if one.name in INTERGROWTH_21ST]
        centiles = [centile(one.name, ga_weeks, one.value) for one in sizes]
        centiles += [weight_centile(weight.value, ga_weeks) for weight in weights[:1] if weight.value is not None]
    return BiometryReport(
        frame_id=frame.frame_id,
        biometry=biometry,
        ages=gestational_age(biometry.measurements),
        weights=weights,
        centiles=tuple(centiles),
        contradiction=contradiction(said.interpretation, biometry) if said.interpretation else None,
    )


def report_lines(found: BiometryReport) -> list[str]:
    """Write a report out, the contradiction first; empty where there is nothing to measure."""
    lines = [f"CONTRADICTION: {found.contradiction.message}"] if found.contradiction else []
    lines += [f"{one.name.label} {one.value:.1f} {one.unit}" for one in found.biometry.measurements]
    lines += _best("gestational age", found.ages)
    lines += _best("estimated weight", found.weights)
    for placed in found.centiles:
        name = LABELS.get(placed.measure, placed.measure)
        if placed.centile is None:
            lines.append(f"no {name} centile: {placed.refusal}")
        else:
            lines.append(
                f"{name} centile {placed.centile:.0f} at {weeks_and_days(placed.ga_weeks)} ({placed.chart})"
            )
    return lines + [f"no {one.name.label}: {one.reason}" for one in found.biometry.unmeasured]


def _best(what: str, answers: tuple[Estimate, ...]) -> Iterator[str]:
    """The first answer, or else the first refusal, and whether its numbers still want comparing with the paper."""
    for answer in answers[:1]:
        if answer.value is None:
            yield f"no {what}: {answer.refusal}"
            return
        span = f", {_sized(answer.low, answer)} to {_sized(answer.high, answer)}" if answer.low is not None else ""
        caution = "" if answer.verified else "; compare with the paper"
        yield f"{what} {_sized(answer.value, answer)}{span} ({answer.formula}{caution})"


def _sized(value: float | None, answer: Estimate) -> str:
    assert value is not None
    return f"{value:.0f} g" if answer.unit == "g" else weeks_and_days(value)
