"""What readers grade by: faults to tick, by plane, each minor or major; and kinds of error in a written field.

Criteria before impressions: a grade that follows from named faults repeats better than a bare impression. The lists
say in our own words what the usual standards of the field (ISUOG guidelines on the mid-trimester scan, biometry,
the heart, the first trimester and intrapartum ultrasound) ask of a plane. `VERSION` changes with any of them.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from annotator.studies import Dimension, Suggestion
from annotator.taxonomy import Family, is_view, view

VERSION = "2026.1"

Severity = Literal["minor", "major"]


@dataclass(frozen=True, slots=True)
class Criterion:
    """One fault that may be present."""

    criterion_id: str
    text: str
    severity: Severity


def _criteria(prefix: str, *faults: tuple[str, str, Severity]) -> tuple[Criterion, ...]:
    return tuple(Criterion(f"{prefix}.{name}", text, severity) for name, text, severity in faults)


INTERPRETATION_CRITERIA = _criteria(
    "text",
    ("plane", "Names the wrong plane", "major"),
    ("missed", "Misses a finding that changes what is done next", "major"),
    ("invented", "Describes something that is not in the frame", "major"),
    ("normality", "Calls an abnormal frame normal, or a normal one abnormal", "major"),
    ("side", "Wrong side, lie or presentation", "major"),
    ("number", "A measurement or gestational age that cannot be right", "major"),
    ("omission", "Leaves out a detail that does not change what is done next", "minor"),
    ("overconfident", "Surer than the frame allows", "minor"),
    ("quality", "Misjudges the image quality", "minor"),
    ("wording", "Unclear, repetitive or unusual wording", "minor"),
)

_ANY_GEOMETRY = _criteria(
    "any",
    ("missing", "A structure that was asked for and is visible has not been found", "major"),
    ("invented", "Outlines a structure that is not there", "major"),
    ("confused", "A structure bears the wrong name", "major"),
    ("outline", "An outline is off by more than one would accept without correcting", "major"),
    ("edge", "An outline is slightly off, usable as it is", "minor"),
    ("loose", "A box is loose or cuts the structure slightly", "minor"),
    ("double", "A structure is marked twice", "minor"),
)

_BY_FAMILY: dict[Family, tuple[Criterion, ...]] = {
    Family.BRAIN: _criteria(
        "brain",
        ("skull", "Head outline does not follow the outer edge of the skull", "major"),
        ("midline", "Axis of the head outline is turned against the midline echo", "major"),
        ("csp", "CSP marked where it is not, or missed though it interrupts the midline", "major"),
        ("ventricle", "Ventricle box misses the atrium, or lies in the near-field hemisphere's shadow", "major"),
        ("posterior", "Cerebellum or cisterna magna is taken for another structure", "major"),
        ("scalp", "Outline includes scalp or hair in a part of the circumference", "minor"),
        ("cut", "Head outline leaves out a small part near the frame's edge or a shadow", "minor"),
    ),
    Family.FIRST_TRIMESTER: _criteria(
        "first",
        ("sagittal", "Marks NT in a view that is not mid-sagittal", "major"),
        ("calipers", "NT calipers are not on the inner borders of the widest part", "major"),
        ("amnion", "Amnion or cord is taken for the nuchal skin", "major"),
        ("nasal", "Nasal bone, skin and tip are exchanged, or the bone is marked where it is absent", "major"),
        ("crl", "Crown or rump point is off, or a limb or the yolk sac is included", "major"),
        ("flexed", "Length is marked though the fetus is strongly flexed or stretched", "minor"),
        ("small", "NT box is higher than the translucency by little", "minor"),
    ),
    Family.ABDOMEN: _criteria(
        "abdomen",
        ("skin", "Abdominal outline does not follow the outer skin edge", "major"),
        ("level", "Marked at the level of the kidneys, heart or cord insertion", "major"),
        ("vein", "Umbilical vein or portal sinus is taken for another vessel", "major"),
        ("stomach", "Stomach is missed, or another fluid structure is taken for it", "major"),
        ("artery", "Artery and vein are exchanged", "major"),
        ("oblique", "Outline is oval because the section is oblique, and still given as it is", "minor"),
        ("rib", "Outline steps in at a rib or a shadow", "minor"),
    ),
    Family.LIMBS: _criteria(
        "femur",
        ("ends", "An end of the ossified shaft is missed or passed", "major"),
        ("bone", "Another bone is taken for the femur", "major"),
        ("epiphysis", "The epiphysis or the spur beyond the shaft is included", "major"),
        ("angle", "Bone lies steeply to the beam and is marked without reserve", "minor"),
        ("thigh", "Box holds much of the thigh beside the bone", "minor"),
    ),
    Family.CARDIAC: _criteria(
        "cardiac",
        ("border", "Outline of the heart leaves out a chamber or takes in lung", "major"),
        ("thorax", "Outline of the thorax does not follow the ribs or skin edge all round", "major"),
        ("vessels", "A great vessel is taken for a chamber, or one vessel for another", "major"),
        ("side", "Left and right are exchanged", "major"),
        ("effusion", "Pericardial fluid is counted as heart wall", "minor"),
        ("shadow", "Outline steps in at a rib shadow", "minor"),
    ),
    Family.PELVIMETRY: _criteria(
        "pelvis",
        ("symphysis", "Outline of the pubic symphysis misses its long axis or an end of it", "major"),
        ("head", "Head outline does not follow the skull contour that the angle is measured to", "major"),
        ("tissue", "Soft tissue or moulding is taken for skull", "major"),
        ("cervix", "A fold or the bladder is taken for the cervical canal", "major"),
        ("contour", "Head outline is right where it is needed and loose elsewhere", "minor"),
    ),
}

ERROR_TYPES: dict[str, str] = {
    "wrong": "Wrong",
    "missing": "Something is missing",
    "invented": "Invented",
    "side": "Wrong side or orientation",
    "number": "Wrong number or unit",
    "overconfident": "Too sure",
    "contradiction": "Contradicts another field",
    "vague": "Too vague to be of use",
}


def family_of(plane: str | None) -> Family | None:
    """Return the family of a view's name; None where nothing is known."""
    return view(plane).family if plane is not None and is_view(plane) else None


def criteria_of(dimension: Dimension, family: Family | None) -> tuple[Criterion, ...]:
    """Return the checklist of a dimension for a family of planes: what is special to it comes first."""
    if dimension is Dimension.INTERPRETATION:
        return INTERPRETATION_CRITERIA
    special = _BY_FAMILY.get(family, ()) if family is not None else ()
    return (*special, *_ANY_GEOMETRY)


def severities(dimension: Dimension) -> dict[str, Severity]:
    """Return every criterion of a dimension, of whatever plane: id -> severity."""
    families: tuple[Family | None, ...] = (None, *Family)
    return {item.criterion_id: item.severity for family in families for item in criteria_of(dimension, family)}


def suggest_grade(dimension: Dimension, ticked: Collection[str]) -> Suggestion:
    """Return 1 where no fault is ticked, 2 for minor ones only, 3 for any major one; KeyError for an unknown id.

    >>> suggest_grade(Dimension.ANNOTATION, ["any.edge"])
    2
    """
    known = severities(dimension)
    found = {known[name] for name in ticked}
    if not found:
        return 1
    return 3 if "major" in found else 2
