"""From what was said about a frame to the structures that are looked for in it: five tiers, the first hit wins."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum

from annotator import taxonomy
from annotator.errors import InputError
from annotator.schema import Interpretation, Record, StructureName
from annotator.taxonomy import Group, Kind
from annotator.words import Alias, Mention, Reading
from annotator.words.vocabulary import GROUP_WORDS

MOST_STRUCTURES = 5

_CORES = {words.group: words.core for words in GROUP_WORDS}
_BRAIN, _CARDIAC, _NT = _CORES[Group.BRAIN], _CORES[Group.CARDIAC], _CORES[Group.NT_NASAL]
_ORGANS, _PELVIS, _BODY = _CORES[Group.ABDOMINAL_ORGANS], _CORES[Group.PELVIMETRY], _CORES[Group.BODY]

# FADA's own rules name only the first block; the other labels of its data are planes just as specific, in which a
# sonographer expects the same structures. NO_PLANE and Other say nothing and fall through.
_SPECIFIC_VIEWS: dict[str, tuple[str, ...]] = {
    "BPD_PLANE": _BRAIN,
    "Aorta": _CARDIAC,
    "V sign": _CARDIAC,
    "X sign": _CARDIAC,
    "Flows": _ORGANS,
    "liver": _ORGANS,
    "FL_PLANE": ("legs",),
    "FL": ("legs",),
    "Trans-thalamic": _BRAIN,
    "Trans-cerebellum": _BRAIN,
    "Trans-ventricular": _BRAIN,
    "First-trimester mid-sagittal": _NT,
    "NT-View": _NT,
    "Standard_NT": _NT,
    "Non_standard_NT": _NT,
    "CRL-View": _CORES[Group.CRL],
    "Femur": ("legs",),
    "Thorax": _CARDIAC,
    "Abdomen": ("abdomen", *_ORGANS),
    "Abd_plane": ("abdomen", *_ORGANS),
    "AC_PLANE": ("abdomen", *_ORGANS),
    "Cervical": _PELVIS,
    "Cervix": _PELVIS,
    "Public_Symphysis_fetal_head": _PELVIS,
}
# Of the liver view only boxes are asked for, as FADA was tuned; of the flow view the masks too.
_NOT_OUTLINED = frozenset({"liver"})

_GENERIC_VIEWS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("huvf", "huvb", "hdvf", "hdvb"), _BODY),
    "abdomen": ("abdomen",),
    "head": ("head",),
    "arms": ("arm",),
    "legs": ("legs",),
}

FIELD_WEIGHTS: dict[str, float] = {
    "biometric_measurements": 3.0,
    "imaging_plane": 2.5,
    "anatomical_structures": 1.0,
    "fetal_orientation": 0.5,
    "normality_assessment": 0.5,
    "gestational_age": 0.3,
    "clinical_recommendations": 0.3,
    "image_quality": 0.0,
}
UNMEASURED_WEIGHT = 0.3
ALIAS_SCORE = 2.0
JOINING_SHARE = 0.3

# Fields that tell what is in the frame. 'Fetal echocardiography is advised' must not make it a cardiac frame, nor
# 'Doppler gain is low' a flow: aliases elsewhere do not count, nor do organs win there against the body.
_DESCRIBING = frozenset(
    (
        "biometric_measurements",
        "imaging_plane",
        "anatomical_structures",
        "fetal_orientation",
        "normality_assessment",
    )
)


class Tier(StrEnum):
    """What decided, the strongest first."""

    VIEW = "view"
    PLANE = "plane"
    EVIDENCE = "evidence"
    GENERIC_VIEW = "generic_view"
    DEFAULT = "default"


class Mapping(Record):
    """The structures to look for, at most five, those of them to outline, and why."""

    tier: Tier
    detect: tuple[StructureName, ...]
    segment: tuple[StructureName, ...]
    evidence: tuple[str, ...]


def map_structures(interpretation: Interpretation | None, view: str | None) -> Mapping:
    """Choose what to look for in a frame; never fails: a view that nobody knows counts as none.

    >>> text = Interpretation(imaging_plane="Four-chamber view", anatomical_structures="no femur seen")
    >>> map_structures(text, "Other")
    Mapping(tier=<Tier.PLANE: 'plane'>, detect=('cardiac', 'thorax'), segment=('cardiac', 'thorax'), \
evidence=('imaging_plane: "Four-chamber"',))
    >>> map_structures(None, "FL").detect
    ('legs',)
    """
    view = (view or "").strip()
    if view in _SPECIFIC_VIEWS:
        return _mapping(Tier.VIEW, _SPECIFIC_VIEWS[view], [f'view: "{view}"'], outline=view not in _NOT_OUTLINED)
    said = None
    if interpretation is not None:
        reading = Reading(interpretation)
        said = _by_plane(reading) or _by_evidence(reading)
    if said is not None:
        return said
    if view in _GENERIC_VIEWS:
        return _mapping(Tier.GENERIC_VIEW, _GENERIC_VIEWS[view], [f'view: "{view}"'])
    return _mapping(Tier.DEFAULT, _BODY, ["neither the interpretation nor the view names a structure"])


def phase_groups(structures: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Part structures into requests: one group each, but the nuchal group joins the brain or the crown-rump group.

    Raises InputError for a structure that the taxonomy does not hold.

    >>> phase_groups(["Brain", "NT", "CSP", "stomach"])
    (('Brain', 'NT', 'CSP'), ('stomach',))
    """
    requests: list[tuple[set[Group], list[str]]] = []
    for name in dict.fromkeys(structures):
        if not taxonomy.is_structure(name):
            raise InputError(f"unknown structure {name!r}: the taxonomy holds the labels that can be asked for")
        group = taxonomy.structure(name).group
        fitting = [request for request in requests if request[0] | {group} in ({group}, *taxonomy.TOGETHER)]
        if not fitting:
            requests.append(({group}, [name]))
        else:
            # its own group's request, where there is one, before one that it may join
            groups, names = max(fitting, key=lambda request: group in request[0])
            groups.add(group)
            names.append(name)
    return tuple(tuple(names) for _, names in requests)


def _mapping(tier: Tier, names: Iterable[str], evidence: Iterable[str], *, outline: bool = True) -> Mapping:
    detect = tuple(names)[:MOST_STRUCTURES]
    outlined = tuple(name for name in detect if outline and Kind.MASK in taxonomy.structure(name).kinds)
    return Mapping(tier=tier, detect=detect, segment=outlined, evidence=tuple(dict.fromkeys(evidence)))


def _by_plane(reading: Reading) -> Mapping | None:
    """Tier 2: the plane that the text names first."""
    planes = reading.planes("imaging_plane", "fetal_orientation")
    if not planes:
        return None
    first = planes[0]
    return _mapping(Tier.PLANE, first.plane.structures, [f'{first.field}: "{first.words}"'])


def _by_evidence(reading: Reading) -> Mapping | None:
    """Tier 3: every field has its say, weighted."""
    weights = dict(FIELD_WEIGHTS)
    if reading.nothing_measured():
        weights["biometric_measurements"] = UNMEASURED_WEIGHT
    mentions = reading.mentions()
    counted = _counted(mentions, weights)
    aliases = _counted_aliases(reading.aliases)
    scores: defaultdict[str, float] = defaultdict(float)
    totals: defaultdict[Group, float] = defaultdict(float)
    for mention, weight in counted:
        scores[mention.structure] += weight
        totals[_group(mention.structure)] += weight
    for alias in aliases:
        totals[alias.group] += ALIAS_SCORE
    groups = _deciding_groups(totals, counted)
    if not groups:
        return None
    denied = {mention.structure for mention in mentions if mention.negated}
    return _mapping(Tier.EVIDENCE, _ranked(groups, scores, denied), _evidence(groups, counted, aliases))


def _evidence(
    groups: Collection[Group], counted: Iterable[tuple[Mention, float]], aliases: Iterable[Alias]
) -> list[str]:
    """The words that spoke for the deciding groups, and how much."""
    said = [
        f"{mention.quoted} -> {mention.structure} +{weight:g}"
        for mention, weight in counted
        if _group(mention.structure) in groups
    ]
    said += [
        f'{alias.field}: "{alias.words}" -> {alias.group} +{ALIAS_SCORE:g}'
        for alias in aliases
        if alias.group in groups
    ]
    return said


def _group(name: str) -> Group:
    return taxonomy.structure(name).group


def _counted(mentions: Iterable[Mention], weights: dict[str, float]) -> list[tuple[Mention, float]]:
    """The mentions that count, once a structure and field, each with its weight."""
    counted: dict[tuple[str, str], tuple[Mention, float]] = {}
    for mention in mentions:
        weight = min(weights[mention.field], UNMEASURED_WEIGHT) if mention.unmeasured else weights[mention.field]
        structure = taxonomy.structure(mention.structure)
        can_be_asked = structure.is_fada and Kind.BOX in structure.kinds and structure.group in _CORES
        key = (mention.structure, mention.field)
        if can_be_asked and not mention.negated and weight > counted.get(key, (mention, 0.0))[1]:
            counted[key] = (mention, weight)
    return list(counted.values())


def _counted_aliases(aliases: Iterable[Alias]) -> list[Alias]:
    """The first alias of each group where what is in the frame is described."""
    first: dict[Group, Alias] = {}
    for alias in aliases:
        if alias.field in _DESCRIBING:
            first.setdefault(alias.group, alias)
    return list(first.values())


def _deciding_groups(totals: dict[Group, float], counted: Iterable[tuple[Mention, float]]) -> tuple[Group, ...]:
    """The strongest group, and a compatible one with at least 30 % of its score; organs beat the body."""
    ranked = sorted((group for group in _CORES if totals.get(group, 0.0) > 0.0), key=lambda group: -totals[group])
    if not ranked:
        return ()
    organs_named = any(
        _group(mention.structure) is Group.ABDOMINAL_ORGANS and mention.field in _DESCRIBING
        for mention, _ in counted
    )
    first = ranked[0]
    if first is Group.BODY and organs_named:
        first = Group.ABDOMINAL_ORGANS
    enough = JOINING_SHARE * totals[first]
    joining = [group for group in ranked if {first, group} in taxonomy.TOGETHER and totals[group] >= enough]
    return (first, *joining[:1])


def _ranked(groups: Sequence[Group], scores: dict[str, float], denied: Collection[str]) -> list[str]:
    """The structures of the groups, those that the text speaks of most first.

    The structures of a group lie in one plane and are asked for together, named or not, but for those that the text
    denies. Parts of the body do not lie in one plane: only those named are asked for, unless none is.
    """
    names: list[str] = []
    for group in groups:
        named = [name for name in scores if _group(name) is group]
        undenied = [name for name in _CORES[group] if name not in denied]
        is_complete = group is Group.BODY and named
        names += named if is_complete else dict.fromkeys((*(undenied or _CORES[group]), *named))
    order = {name: place for place, name in enumerate(names)}
    return sorted(names, key=lambda name: (-scores.get(name, 0.0), order[name]))
