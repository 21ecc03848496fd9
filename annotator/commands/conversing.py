"""Joins what was said of a frame with how a model is asked: the questions and answers of training conversations."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from annotator.mapping import phase_groups
from annotator.schema import Finding, Interpretation, Prediction
from annotator.taxonomy import INTERPRETATION_FIELDS, KEYPOINT_NAMES, VIEWS, Kind, structure
from backends.answers_text import findings_to_text, interpretation_to_text, view_to_text
from backends.engine import Phase
from backends.prompts import PromptProfile, question

if TYPE_CHECKING:
    from exports.conversations import Turn
    from exports.entries import Entry

ALL_FIELDS = ", ".join(INTERPRETATION_FIELDS)
# FADA was tuned on all three, so that it also answers short questions.
VARIANTS: Mapping[str, tuple[str, ...]] = {
    "all": INTERPRETATION_FIELDS,
    "fields_1_4": INTERPRETATION_FIELDS[:4],
    "fields_5_8": INTERPRETATION_FIELDS[4:],
}
_VIEW_NAMES = tuple(view.name for view in VIEWS)

AskedFor = Callable[["Entry"], Mapping[str, Sequence[str]]]


def conversation_turns(profile: PromptProfile, asked_for: AskedFor) -> "Callable[[Entry], Iterator[Turn]]":
    """Return the function that makes a frame's questions and answers in the words of a profile.

    `asked_for` gives what else was looked for in a frame, by phase: an answer may leave that out, and a model
    learns that it is not there. Of a structure nobody looked for, nothing is asked.
    """

    def turns(entry: "Entry") -> "Iterator[Turn]":
        said, looked_for = entry.said, asked_for(entry)
        if said.interpretation is not None:
            yield from _interpreting(profile, said.interpretation)
        if said.plane is not None:
            yield _turn(
                Phase.CLASSIFY,
                question(profile, Phase.CLASSIFY, views=_VIEW_NAMES).prompt,
                view_to_text(said.plane),
            )
        for phase in (Phase.DETECT, Phase.SEGMENT, Phase.KEYPOINTS):
            findings = [finding for finding in said.findings if _belongs(finding, phase)]
            names = [*(finding.structure for finding in findings), *looked_for.get(phase.value, ())]
            for group in phase_groups(names):
                asked = question(profile, phase, structures=group)
                among = [finding for finding in findings if finding.structure in group]
                answer = findings_to_text(among, phase, entry.frame.size_wh, box_key=profile.box_key)
                yield _turn(phase, asked.prompt, answer, structures=group)

    return turns


def looked_for_by(prediction: Prediction | None) -> Mapping[str, Sequence[str]]:
    """Return what a model was asked for, and so what a reader who corrected it has had a chance to miss."""
    return prediction.asked_for if prediction is not None else {}


def _interpreting(profile: PromptProfile, interpretation: Interpretation) -> "Iterator[Turn]":
    prompt = question(profile, Phase.INTERPRET).prompt
    fields = json.loads(interpretation_to_text(interpretation))
    for variant, names in VARIANTS.items():
        if any(fields[name] for name in names):
            answer = json.dumps({name: fields[name] for name in names}, ensure_ascii=False)
            yield _turn(Phase.INTERPRET, prompt.replace(ALL_FIELDS, ", ".join(names)), answer, variant)


def _belongs(finding: Finding, phase: Phase) -> bool:
    if phase is Phase.KEYPOINTS:
        names = tuple(point.name for point in finding.keypoints)
        return bool(names) and names == KEYPOINT_NAMES.get(finding.structure)
    if phase is Phase.SEGMENT:
        return finding.mask_rle is not None
    return structure(finding.structure).kinds != (Kind.KEYPOINTS,)


def _turn(phase: Phase, prompt: str, answer: str, variant: str = "", structures: tuple[str, ...] = ()) -> "Turn":
    from exports.conversations import Turn

    return Turn(phase.value, prompt, answer, variant, structures)
