"""Where the written interpretation and the outlined structures of one frame contradict each other."""

from collections.abc import Collection, Iterator, Sequence

from annotator import taxonomy
from annotator.schema import Finding, Inconsistency, Interpretation
from annotator.taxonomy import Group, Kind
from annotator.words import Mention, Reading
from annotator.words.lists import phrases
from annotator.words.vocabulary import GROUP_WORDS, STRUCTURE_WORDS

# Where a structure is said to be in the frame. 'Head down' tells how the fetus lies, and 'repeat the femur' what is
# wanted: neither promises that the thing can be outlined.
_PROMISING = frozenset(("anatomical_structures", "imaging_plane", "biometric_measurements", "normality_assessment"))
_NAMING = _PROMISING | {"fetal_orientation"}
# 'The heart is not seen for shadowing' is often said of the image quality.
_DENYING = _NAMING | {"image_quality"}

_WITHIN = {words.structure: frozenset(phrases(words.within)) for words in STRUCTURE_WORDS}
_CORES = {words.group: frozenset(words.core) for words in GROUP_WORDS}


def check_consistency(
    interpretation: Interpretation | None, findings: Sequence[Finding], asked_for: Collection[str]
) -> tuple[Inconsistency, ...]:
    """Compare what the text names with what was found, structure by structure in the order of the taxonomy.

    `asked_for` are the structures that the model was asked to find: only those can be missing.

    >>> text = Interpretation(anatomical_structures="Stomach bubble and liver, no umbilical vein seen")
    >>> vein = Finding(structure="vein", box_xyxy=(1, 1, 5, 5))
    >>> for item in check_consistency(text, [vein], ("stomach", "vein")):
    ...     print(item.structure, item.kind, item.evidence)
    vein found_but_denied anatomical_structures: "umbilical vein" (denied)
    stomach named_not_found anatomical_structures: "Stomach bubble"
    """
    if interpretation is None:
        return ()
    said = _Said(Reading(interpretation))
    found = frozenset(finding.structure for finding in findings)
    differences = [*_not_found(said, found, frozenset(asked_for)), *_not_named(said, found)]
    return tuple(sorted(differences, key=lambda item: (taxonomy.structure(item.structure).coco_id, item.kind)))


class _Said:
    """What the text says is there, and what it says is not."""

    def __init__(self, reading: Reading) -> None:
        mentions = reading.mentions()
        nothing_measured = reading.nothing_measured()
        self.affirmed = [item for item in mentions if not item.negated and item.field in _NAMING]
        self.denied = [item for item in mentions if item.negated and item.field in _DENYING]
        self.promised = [
            item
            for item in self.affirmed
            if item.field in _PROMISING
            and not item.unmeasured
            and not (nothing_measured and item.field == "biometric_measurements")
        ]
        named = {name for item in self.affirmed for name in item.could_name}
        self.named = frozenset(named.union(*(_WITHIN.get(name, ()) for name in named)))
        planes = reading.planes("imaging_plane", "fetal_orientation")
        aliases = [alias for alias in reading.aliases if alias.field in _NAMING]
        self.in_plane = frozenset(
            (
                *(name for one in planes for name in one.plane.structures),
                *(name for alias in aliases for name in _CORES[alias.group]),
            )
        )


def _not_found(said: _Said, found: frozenset[str], asked_for: frozenset[str]) -> Iterator[Inconsistency]:
    """Structures that the text promises, that were asked for, and that were found under none of their labels."""
    reported: set[str] = set()
    for mention in said.promised:
        name = _asked_as(mention, asked_for)
        if name is not None and name not in reported and not found.intersection(mention.could_name):
            reported.add(name)
            yield Inconsistency(structure=name, kind="named_not_found", evidence=mention.quoted)


def _asked_as(mention: Mention, asked_for: frozenset[str]) -> str | None:
    return next((name for name in mention.could_name if name in asked_for), None)


def _not_named(said: _Said, found: frozenset[str]) -> Iterator[Inconsistency]:
    """Structures that were found and that the text denies, or passes over though it names others."""
    names_something = bool(said.named or said.in_plane)
    for name in found - said.named:
        denial = next((mention for mention in said.denied if name in mention.could_name), None)
        if denial is not None:
            yield Inconsistency(structure=name, kind="found_but_denied", evidence=f"{denial.quoted} (denied)")
        elif names_something and name not in said.in_plane and _is_anatomy(name):
            named = ", ".join(sorted({mention.structure for mention in said.affirmed})) or "a plane without it"
            yield Inconsistency(structure=name, kind="found_not_named", evidence=f"the text names {named}")


def _is_anatomy(name: str) -> bool:
    """Scale bars and caliper points are found, not described."""
    structure = taxonomy.structure(name)
    return structure.group is not Group.CALIBRATION and structure.kinds != (Kind.KEYPOINTS,)
