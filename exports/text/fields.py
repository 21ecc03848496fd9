"""The eight fields of an interpretation, each scored 0..1 against a reference text.

The formulas are those of the second tracker's scorer (pipeline 4.0), with its slips mended and said so; `FORMULAS`
states each in one line. Texts are compared in their standard form: American spelling, singular, lower case.
"""

import re
from collections.abc import Callable
from functools import lru_cache

from annotator.taxonomy import BRAIN_PLANES, FIRST_TRIMESTER_PLANE, INTERPRETATION_FIELDS, view
from annotator.words.lexicon import Lexicon
from annotator.words.negation import Standing
from annotator.words.spelling import standard_form
from annotator.words.vocabulary import FILLERS
from exports.text.ages import score_age
from exports.text.concepts import ANATOMY_NAMES, DISORDER_NAMES, MEASURE_NAMES, affirmed, read_words
from exports.text.overlap import f1

FieldScore = Callable[[str, str], float | None]

FORMULAS: dict[str, str] = {
    "anatomical_structures": "F2 of the sets of affirmed structures, synonyms counted as one",
    "fetal_orientation": "1 equal, .5 same keyword (cephalic, breech, transverse, oblique, longitudinal)",
    "imaging_plane": "1 equal or the same view of the taxonomy, .5 same keyword",
    "biometric_measurements": "F1 of the sets of measures named; 1 where neither names one",
    "gestational_age": "1 same bin, .5 adjacent; 8-13, 13-15, 15-20, 20-25, 25-30, 30-35, 35-38, 38+ weeks; a span "
    "counts by its middle (the tracker: by its end)",
    "image_quality": "1 same tier, .5 adjacent; good, medium, low; denied tiers count as low",
    "normality_assessment": "1 normal like the reference, or abnormal by the same disorders; .5 by other disorders",
    "clinical_recommendations": "BERTScore F1 (roberta-large, not rescaled)",
}

_IGNORED = FILLERS | frozenset(".,:;()-") | {"is", "are", "in", "and"}


def plain(text: str) -> str:
    """The words of a text without articles, fillers and marks, to compare whole answers.

    >>> plain("The lateral ventricles of the foetal brain.")
    'lateral ventricle brain'
    """
    return " ".join(word for word in read_words(text)[0] if word not in _IGNORED)


def score_structures(answer: str, reference: str) -> float | None:
    """F2 = 5PR / (4P + R): leaving one out costs more than one too many; None where the reference names none.

    >>> round(score_structures("heart, liver", "heart, stomach bubble, spine"), 4)  # P 1/2, R 1/3
    0.3571
    """
    said, meant = _structures(answer), _structures(reference)
    if not meant:
        return None
    shared = len(said & meant)
    return 5 * shared / (4 * len(meant) + len(said)) if shared else 0.0


def _structures(text: str) -> frozenset[str]:
    listed = (plain(part) for part in re.split(r"[,;\n]", text))
    return affirmed(text, ANATOMY_NAMES) or frozenset(part for part in listed if part)


def _keywords(*lines: tuple[str, str]) -> Lexicon[str]:
    lexicon: Lexicon[str] = Lexicon(standard_form, FILLERS)
    for name, listed in lines:
        for phrase in listed.split(", "):
            lexicon.add(phrase, name)
    return lexicon


_ORIENTATIONS = _keywords(
    ("cephalic", "cephalic, vertex, head down, head first"),
    ("breech", "breech, footling, feet first"),
    ("transverse", "transverse"),
    ("oblique", "oblique"),
    ("longitudinal", "longitudinal"),
)
_PLANES = _keywords(
    ("transthalamic", "trans-thalamic, trans-thalamus"),
    ("transcerebellar", "trans-cerebellar, trans-cerebellum"),
    ("transventricular", "trans-ventricular, trans-ventricle"),
    ("transabdominal", "trans-abdominal"),
    ("four-chamber", "four-chamber"),
    ("midsagittal", "mid-sagittal"),
    ("parasagittal", "para-sagittal"),
    ("sagittal", "sagittal"),
    ("coronal", "coronal"),
    ("axial", "axial, transverse, cross-section, cross sectional"),
    ("longitudinal", "longitudinal"),
    ("lateral", "lateral"),
    ("anterior", "anterior"),
    ("posterior", "posterior"),
)
_TIERS = _keywords(
    ("good", "good, high, excellent"),
    ("medium", "medium, acceptable, moderate, adequate"),
    ("low", "low, bad, poor, suboptimal, dark, inadequate, unacceptable"),
)
# The views of the taxonomy that are named planes; the others are bare anatomy, which any section of it may show.
_NAMED_VIEWS = (*BRAIN_PLANES, FIRST_TRIMESTER_PLANE, "CRL-View", "AC_PLANE", "BPD_PLANE", "V sign", "X sign")


def _spellings(name: str) -> str:
    long_name = view(name).long_name
    return f"{name.replace('_', ' ')}, {long_name}, {long_name.replace('trans', 'trans-')}"


_VIEWS = _keywords(*((name, _spellings(name)) for name in _NAMED_VIEWS))


def first_keyword(text: str, lexicon: Lexicon[str]) -> str | None:
    """The first keyword that stands in a text; None without one."""
    words, said = read_words(text)
    for match in lexicon.search(words):
        if said[match.start] is Standing.STANDS and match.meanings:
            return match.meanings[0]
    return None


def score_orientation(answer: str, reference: str) -> float:
    """1 equal, .5 the same keyword.

    >>> score_orientation("Head down", "Cephalic presentation"), score_orientation("breech", "Breech.")
    (0.5, 1.0)
    """
    return _by_keyword(answer, reference, _ORIENTATIONS)


def score_plane(answer: str, reference: str) -> float:
    """1 equal or the same view, .5 the same keyword, first hit.

    >>> score_plane("Transthalamic plane", "Trans-thalamic"), score_plane("axial", "transverse section of abdomen")
    (1.0, 0.5)
    """
    said, meant = (_views(text) for text in (answer, reference))
    return 1.0 if meant and said == meant else _by_keyword(answer, reference, _PLANES)


def _views(text: str) -> frozenset[str]:
    return affirmed(text, _VIEWS)


def _by_keyword(answer: str, reference: str, lexicon: Lexicon[str]) -> float:
    if plain(answer) == plain(reference):
        return 1.0
    meant = first_keyword(reference, lexicon)
    return 0.5 if meant is not None and meant == first_keyword(answer, lexicon) else 0.0


def score_measures(answer: str, reference: str) -> float:
    """F1 of the measures named; 1 where neither names one, 0 where one does.

    >>> score_measures("BPD 45 mm", "BPD and head circumference"), score_measures("none", "not possible")
    (0.6666666666666666, 1.0)
    """
    said, meant = affirmed(answer, MEASURE_NAMES), affirmed(reference, MEASURE_NAMES)
    return f1(len(said & meant), len(said), len(meant)) if said or meant else 1.0


def score_quality(answer: str, reference: str) -> float | None:
    """1 the same tier, .5 an adjacent one, 0 without one; None where the reference names none.

    >>> score_quality("excellent", "good"), score_quality("not good", "acceptable"), score_quality("?", "low")
    (1.0, 0.5, 0.0)
    """
    tiers = ("low", "medium", "good")
    said, meant = quality_tier(answer), quality_tier(reference)
    if meant is None:
        return None
    return 0.0 if said is None else max(0.0, 1 - 0.5 * abs(tiers.index(said) - tiers.index(meant)))


@lru_cache(maxsize=65536)
def quality_tier(text: str) -> str | None:
    """'good', 'medium' or 'low', by the first word of a tier; 'not good' is low."""
    words, said = read_words(text)
    match = next(iter(_TIERS.search(words)), None)
    if match is None:
        return None
    return match.meanings[0] if said[match.start] is Standing.STANDS else "low"


_NO_ABNORMALITY = re.compile(
    r"\b(?:no|without|free of|free from|not|non|negative for)\s+(?:\w+\s+){0,4}?abnormal\w*|\bnot\s+normal\b", re.I
)
_ABNORMAL = re.compile(r"\b(?:abnormal\w*|anomal\w+|malformation\w*|patholog\w+)", re.I)
_NORMAL = re.compile(r"\b(?:normal|unremarkable)\b", re.I)


@lru_cache(maxsize=65536)
def normality_of(text: str) -> tuple[bool | None, frozenset[str]]:
    """Whether a text calls the frame normal (None: it does not say), and the disorders it affirms.

    >>> normality_of("No abnormality detected"), normality_of("not normal: increased NT")
    ((True, frozenset()), (False, frozenset({'increased NT'})))
    """
    disorders = affirmed(text, DISORDER_NAMES)
    denials = [match[0].lower() for match in _NO_ABNORMALITY.finditer(text)]
    rest = _NO_ABNORMALITY.sub(" ", text)
    if disorders or _ABNORMAL.search(rest) or any(one.split() == ["not", "normal"] for one in denials):
        return False, disorders
    return (True if denials or _NORMAL.search(rest) else None), disorders


def score_normality(answer: str, reference: str) -> float | None:
    """1 both normal, or abnormal by the same disorders; .5 by others; None where the reference does not say.

    >>> score_normality("Appears normal", "Normal"), score_normality("VSD", "Abnormal: ventriculomegaly")
    (1.0, 0.5)
    """
    (said, its_disorders), (meant, disorders) = normality_of(answer), normality_of(reference)
    if meant is None:
        return None
    if said is not meant:
        return 0.0
    return 1.0 if its_disorders == disorders else 0.5


FIELD_SCORES: dict[str, FieldScore] = {
    "anatomical_structures": score_structures,
    "fetal_orientation": score_orientation,
    "imaging_plane": score_plane,
    "biometric_measurements": score_measures,
    "gestational_age": score_age,
    "image_quality": score_quality,
    "normality_assessment": score_normality,
}
_OTHER_NAMES = {
    "structures": 0, "anatomy": 0, "orientation": 1, "presentation": 1, "plane": 2, "view": 2, "biometry": 3,
    "measurements": 3, "age": 4, "ga": 4, "quality": 5, "normality": 6, "recommendations": 7, "advice": 7,
}  # fmt: skip


@lru_cache(maxsize=65536)
def field_of(question: str) -> str | None:
    """The field that a question names, in any of the usual spellings; None for a question of another kind.

    >>> field_of("Q1: Anatomical Structures"), field_of("Image quality"), field_of("Is the stomach seen?")
    ('anatomical_structures', 'image_quality', None)
    """
    words = re.sub(r"^\W*q\d+\W+", "", question.strip().lower())
    name = "_".join(re.findall(r"[a-z0-9]+", words))
    if name in INTERPRETATION_FIELDS:
        return name
    numbered = re.fullmatch(r"q?([1-8])", question.strip().lower())
    place = int(numbered[1]) - 1 if numbered else _OTHER_NAMES.get(name)
    return None if place is None else INTERPRETATION_FIELDS[place]
