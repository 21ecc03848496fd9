"""The one place that knows the structures, groups, views and interpretation fields: names, colours, COCO ids.

COCO ids are part of every data set that ever left this tool: they are never changed or reused; new structures
go to the end. Labels are FADA's spelling, so that its checkpoints and the public data sets need no translation;
`long_name` is what a sonographer says.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import cache


class Kind(StrEnum):
    """How a structure is annotated."""

    BOX = "box"
    MASK = "mask"
    KEYPOINTS = "keypoints"


class Group(StrEnum):
    """Structures that one request to a model may name together."""

    BRAIN = "brain"
    CARDIAC = "cardiac"
    NT_NASAL = "nt_nasal"
    CRL = "crl"
    ABDOMINAL_ORGANS = "abdominal_organs"
    PELVIMETRY = "pelvimetry"
    BODY = "body"
    CALIBRATION = "calibration"
    FIRST_TRIMESTER_BRAIN = "first_trimester_brain"


# Groups whose structures lie in one view, so that one request may name both; others are asked for apart.
TOGETHER = frozenset(
    {
        frozenset({Group.BRAIN, Group.NT_NASAL}),
        frozenset({Group.CRL, Group.NT_NASAL}),
        frozenset({Group.FIRST_TRIMESTER_BRAIN, Group.NT_NASAL}),
        frozenset({Group.FIRST_TRIMESTER_BRAIN, Group.CRL}),
    }
)


@dataclass(frozen=True, slots=True)
class Structure:
    """One thing that can be outlined in a frame."""

    coco_id: int
    name: str
    long_name: str
    group: Group
    kinds: tuple[Kind, ...]
    colour: str
    hotkey: str | None = None
    is_fada: bool = True


_BOX, _MASK, _POINTS = (Kind.BOX,), (Kind.BOX, Kind.MASK), (Kind.KEYPOINTS,)

STRUCTURES: tuple[Structure, ...] = (
    Structure(1, "Brain", "brain (outer skull, as HC)", Group.BRAIN, _MASK, "#1F77E4", "1"),
    Structure(2, "CSP", "cavum septi pellucidi", Group.BRAIN, _BOX, "#6FB1FF", "2"),
    Structure(3, "LV", "lateral ventricle", Group.BRAIN, _BOX, "#00B3C7", "3"),
    Structure(4, "cardiac", "heart", Group.CARDIAC, _MASK, "#E4312B", "q"),
    Structure(5, "thorax", "thorax", Group.CARDIAC, _MASK, "#FF8A80", "w"),
    Structure(6, "NT", "nuchal translucency", Group.NT_NASAL, _MASK, "#F5A300", "4"),
    Structure(7, "nasal_bone", "nasal bone", Group.NT_NASAL, _BOX, "#FFD54A", "5"),
    Structure(8, "nasal_skin", "nasal skin", Group.NT_NASAL, _BOX, "#C98A00", "6"),
    Structure(9, "nasal_tip", "nasal tip", Group.NT_NASAL, _BOX, "#FF7A1A", "7"),
    Structure(10, "CRL", "crown-rump length", Group.CRL, _BOX, "#8E44EC", "e"),
    Structure(11, "B", "body in a crown-rump view", Group.CRL, _BOX, "#B388FF"),
    Structure(12, "H", "head in a crown-rump view", Group.CRL, _BOX, "#5E2CA5"),
    Structure(13, "NB", "nasal bone in a crown-rump view", Group.CRL, _BOX, "#D6B4FF"),
    Structure(14, "artery", "umbilical artery", Group.ABDOMINAL_ORGANS, _MASK, "#C2185B", "t"),
    Structure(15, "vein", "umbilical vein", Group.ABDOMINAL_ORGANS, _MASK, "#3F51B5", "y"),
    Structure(16, "liver", "liver", Group.ABDOMINAL_ORGANS, _MASK, "#8D5A3B", "o"),
    Structure(17, "stomach", "stomach", Group.ABDOMINAL_ORGANS, _MASK, "#4DB6AC", "p"),
    Structure(18, "fetal_head", "fetal head (intrapartum)", Group.PELVIMETRY, _MASK, "#00897B"),
    Structure(19, "pubic_symphysis", "pubic symphysis (intrapartum)", Group.PELVIMETRY, _MASK, "#80CBC4"),
    Structure(20, "abdomen", "abdomen", Group.BODY, _BOX, "#43A047", "a"),
    Structure(21, "arm", "arm", Group.BODY, _BOX, "#9CCC65"),
    Structure(22, "head", "head", Group.BODY, _BOX, "#2E7D32"),
    Structure(23, "legs", "legs (femur views too)", Group.BODY, _BOX, "#C0CA33"),
    Structure(24, "AB", "abdomen in a first-trimester view", Group.CRL, _BOX, "#7CB342"),
    Structure(25, "C", "chest in a first-trimester view", Group.CRL, _BOX, "#EF6C9A"),
    Structure(26, "DP", "diencephalon", Group.CRL, _BOX, "#26A69A"),
    Structure(27, "G", "genital tubercle", Group.CRL, _BOX, "#AB47BC"),
    Structure(28, "MDS", "mandible symphysis", Group.CRL, _BOX, "#A1887F"),
    Structure(29, "MLS", "mandible lower surface", Group.CRL, _BOX, "#6D4C41"),
    Structure(30, "MX", "maxilla", Group.CRL, _BOX, "#D4A373"),
    Structure(31, "NTAPS", "nasal tip and prenasal skin", Group.CRL, _BOX, "#FFB074"),
    Structure(32, "RBP", "rhombencephalon", Group.CRL, _BOX, "#5C9DFF"),
    Structure(33, "ScaleBar", "scale bar", Group.CALIBRATION, _BOX, "#9E9E9E"),
    Structure(34, "CRL_KP", "crown-rump end points", Group.CRL, _POINTS, "#7E57C2"),
    Structure(35, "NTKpoints", "NT caliper points", Group.NT_NASAL, _POINTS, "#FFC107"),
    Structure(36, "ScaleBarKpoints", "scale-bar ticks", Group.CALIBRATION, _POINTS, "#BDBDBD"),
    Structure(37, "thalami", "thalami", Group.FIRST_TRIMESTER_BRAIN, _BOX, "#0B7285", "8", is_fada=False),
    Structure(38, "midbrain", "midbrain", Group.FIRST_TRIMESTER_BRAIN, _BOX, "#4FC3F7", "9", is_fada=False),
    Structure(39, "palate", "palate", Group.FIRST_TRIMESTER_BRAIN, _BOX, "#EC407A", "0", is_fada=False),
    Structure(40, "IT", "intracranial translucency", Group.FIRST_TRIMESTER_BRAIN, _BOX, "#AED581", is_fada=False),
    Structure(41, "CM", "cisterna magna", Group.FIRST_TRIMESTER_BRAIN, _BOX, "#66BB6A", is_fada=False),
)

KEYPOINT_NAMES: dict[str, tuple[str, ...]] = {
    "CRL_KP": ("crown", "rump"),
    "NTKpoints": ("inner", "outer"),
    "ScaleBarKpoints": ("first_tick", "second_tick"),
}


class Family(StrEnum):
    """What part of the examination a view belongs to."""

    BRAIN = "brain"
    FIRST_TRIMESTER = "first_trimester"
    CARDIAC = "cardiac"
    ABDOMEN = "abdomen"
    LIMBS = "limbs"
    PELVIMETRY = "pelvimetry"
    POSE = "pose"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class View:
    """A standard plane or view by the label that data sets and models give it."""

    name: str
    long_name: str
    family: Family


VIEWS: tuple[View, ...] = (
    View("Trans-thalamic", "transthalamic plane", Family.BRAIN),
    View("Trans-cerebellum", "transcerebellar plane", Family.BRAIN),
    View("Trans-ventricular", "transventricular plane", Family.BRAIN),
    View("First-trimester mid-sagittal", "first-trimester mid-sagittal view", Family.FIRST_TRIMESTER),
    View("Abdomen", "abdomen", Family.ABDOMEN),
    View("Aorta", "aortic view", Family.CARDIAC),
    View("CRL-View", "crown-rump view", Family.FIRST_TRIMESTER),
    View("Cervical", "cervical view", Family.PELVIMETRY),
    View("Cervix", "cervix", Family.PELVIMETRY),
    View("Femur", "femur", Family.LIMBS),
    View("NT-View", "nuchal translucency view", Family.FIRST_TRIMESTER),
    View("Standard_NT", "standard nuchal translucency view", Family.FIRST_TRIMESTER),
    View("Non_standard_NT", "non-standard nuchal translucency view", Family.FIRST_TRIMESTER),
    View("Public_Symphysis_fetal_head", "pubic symphysis and fetal head", Family.PELVIMETRY),
    View("Thorax", "thorax", Family.CARDIAC),
    View("huvf", "head up, view from the front", Family.POSE),
    View("huvb", "head up, view from the back", Family.POSE),
    View("hdvf", "head down, view from the front", Family.POSE),
    View("hdvb", "head down, view from the back", Family.POSE),
    View("legs", "legs", Family.POSE),
    View("arms", "arms", Family.POSE),
    View("abdomen", "abdomen (pose)", Family.POSE),
    View("head", "head (pose)", Family.POSE),
    View("Abd_plane", "abdominal plane", Family.ABDOMEN),
    View("AC_PLANE", "abdominal circumference plane", Family.ABDOMEN),
    View("BPD_PLANE", "biparietal diameter plane", Family.BRAIN),
    View("FL_PLANE", "femur length plane", Family.LIMBS),
    View("FL", "femur length", Family.LIMBS),
    View("NO_PLANE", "no standard plane", Family.OTHER),
    View("Flows", "umbilical flow", Family.ABDOMEN),
    View("V sign", "three-vessel view, V sign", Family.CARDIAC),
    View("X sign", "outflow tracts, X sign", Family.CARDIAC),
    View("liver", "liver", Family.ABDOMEN),
    View("Other", "other view", Family.OTHER),
)

BRAIN_PLANES = ("Trans-thalamic", "Trans-cerebellum", "Trans-ventricular")
FIRST_TRIMESTER_PLANE = "First-trimester mid-sagittal"
OTHER_PLANE = "Other"

INTERPRETATION_FIELDS: tuple[str, ...] = (
    "anatomical_structures",
    "fetal_orientation",
    "imaging_plane",
    "biometric_measurements",
    "gestational_age",
    "image_quality",
    "normality_assessment",
    "clinical_recommendations",
)

_BY_NAME = {structure.name: structure for structure in STRUCTURES}
_VIEWS_BY_NAME = {view.name: view for view in VIEWS}


def structure(name: str) -> Structure:
    """Look a structure up by its label; KeyError with the label where there is none."""
    return _BY_NAME[name]


def is_structure(name: str) -> bool:
    """Tell whether `name` is a label of the taxonomy."""
    return name in _BY_NAME


def view(name: str) -> View:
    """Look a view up by its label; KeyError with the label where there is none."""
    return _VIEWS_BY_NAME[name]


def is_view(name: str) -> bool:
    """Tell whether `name` is a view of the taxonomy."""
    return name in _VIEWS_BY_NAME


@cache
def structures_of_kind(kind: Kind) -> tuple[Structure, ...]:
    """All structures annotated by `kind`, in COCO id order."""
    return tuple(item for item in STRUCTURES if kind in item.kinds)
