"""The words of denial: what takes back what was named, in front of it or behind it."""

from enum import Enum, auto

from annotator.words.lists import phrases, words_of


class Cue(Enum):
    """What a phrase of denial does to the words around it."""

    DENIES_WHAT_FOLLOWS = auto()
    DENIES_WHAT_PRECEDES = auto()
    DENIES_ITS_NOUN = auto()
    """On either side: 'absent nasal bone', 'nasal bone absent'."""
    DENIES_THE_NEXT_WORDS = auto()
    """'non-transthalamic': no further than what is written together with it."""
    NOT = auto()
    """What follows, or at the end of a clause what precedes: 'but the femur is not'."""
    NOTHING_MEASURED = auto()
    """The measurement of what precedes is denied, not the thing."""
    EXCEPT = auto()
    """Denies what follows, unless the clause is a denial itself."""
    DENIES_NOTHING = auto()
    """Looks like a denial: 'not only', 'cannot be excluded', 'not clearly seen'."""


_TO_SEE = (
    "see, visualize, identify, image, show, demonstrate, display, include, contain, depict, reveal, detect, "
    "appreciate, recognize, assess, evaluate, examine, find, obtain, delineate, discern, locate, capture"
)
_SEEN = (
    "seen, visualized, visualizable, visible, identified, identifiable, imaged, shown, demonstrated, demonstrable, "
    "displayed, included, contained, depicted, revealed, "
    "detected, detectable, appreciated, appreciable, recognized, "
    "recognizable, assessed, assessable, evaluated, evaluable, examined, found, obtained, obtainable, delineated, "
    "discerned, discernible, located, present, evident, apparent, noted, observed, captured, available, viewable, "
    "distinguishable, distinguished, appreciable"
)
_HEDGES = (
    "well, clearly, fully, completely, optimally, adequately, entirely, sharply, ideally, perfectly, properly, "
    "easily, sufficiently, quite, exactly, optimal, ideal, perfect, standard"
)
# Where a picture of a thing is denied, the thing is: 'no evidence of', 'no view of'.
SHOWING = words_of(
    "evidence sign view image picture part portion section visualization depiction trace indication suggestion "
    "demonstration identification visibility segment outline plane presence"
)
# What is denied is something about the anatomy. 'No abnormality of the heart': the heart was looked at.
ABNORMALITIES = words_of("abnormality anomaly abnormal anomalous malformation problem concern pathology")
DISORDERS = words_of(
    "cyst cystic defect dilatation dilation dilated dilate thickening thickened enlargement enlarged effusion "
    "hernia herniation cleft mass edema hemorrhage bleed bleeding lesion fracture shortening shortened short "
    "bowing bowed disease disorder hydrops tumor calcification compression displacement displaced deviation "
    "deviated stenosis obstruction regurgitation hypoplasia hypoplastic agenesis atresia deformity asymmetry "
    "injury movement motion activity flow shadow shadowing artifact fluid marker increase increased distension "
    "distended swelling ascites ventriculomegaly hydrocephalus cardiomegaly hepatomegaly omphalocele "
    "gastroschisis"
)
MEASURING = words_of("measurement measure measured caliper biometry biometric value measurable")
# Without these a list of things is one noun phrase: they tell that a new statement has begun.
VERBS = words_of(
    "is are was were appear look show demonstrate depict include contain resemble represent seem measure"
)
AFFIRMING = words_of("normal intact unremarkable satisfactory good only clear shows")
BREAKS = words_of("but however although though while whereas because which who that if then so")
PREPOSITIONS = words_of(
    "in on within at from into near behind over under through around along during due by per beside between across "
    "inside with to above below beyond"
)
ARTICLES = words_of("the a an this these that those both")
LIGHT = words_of("clear obvious definite real discrete single other") | words_of(
    "is are was were be been being can could may might has have had do does did will would should"
)
# May stand inside a phrase of denial: 'not yet been definitely seen'.
CUE_FILLERS = words_of(
    "be been being yet have has had a an currently definitely readily confidently reliably actually also"
)

SEEN = frozenset(phrases(_SEEN))


def _cue_phrases() -> dict[Cue, list[str]]:
    hedges = [f"not {word}" for word in phrases(_HEDGES)]
    see = phrases(_TO_SEE)
    seen = phrases(_SEEN)
    cannot = (
        "not",
        "unable to",
        "not able to",
        "fail to",
        "failed to",
        "failure to",
        "impossible to",
        "not possible to",
    )
    return {
        Cue.DENIES_WHAT_FOLLOWS: [
            *phrases(
                "no, without, neither, nor, lack of, lacking, lack, absence of, negative for, free of, free from"
            ),
            *phrases("rather than, instead of, as opposed to, non visualization of, nonvisualization of"),
            *phrases("none of, nothing, devoid of, excluding, inability to see, inability to visualize"),
            *(f"{start} {word}" for start in cannot for word in see),
        ],
        Cue.DENIES_WHAT_PRECEDES: [
            *(
                f"{start} {word}"
                for start in ("not", "never", "unable to", "fail to", "failed to")
                for word in seen
            ),
            *phrases(
                "not possible, not there, not in view, not in plane, not in frame, not in image, not in field"
            ),
            *phrases(
                "not in this view, not in this plane, not in the image, not in the field, nowhere seen, out of view"
            ),
            *phrases(
                "out of plane, out of frame, out of field, outside field, outside the field, outside the image"
            ),
            *phrases(
                "outside view, outside the view, outside frame, outside the frame, "
                "unavailable, not applicable, none, excluded from"
            ),
        ],
        Cue.DENIES_ITS_NOUN: [
            *phrases("absent, missing, unseen, invisible, unidentified, unvisualized, nonvisualized, nonvisible"),
            *phrases("undetected, undetectable, unidentifiable, indiscernible, inapparent"),
            *(f"non {word}" for word in seen),
        ],
        Cue.DENIES_THE_NEXT_WORDS: ["non"],
        Cue.NOT: ["not", "never"],
        Cue.NOTHING_MEASURED: phrases(
            "not measured, not measurable, unmeasurable, unmeasured, "
            "immeasurable, non measurable, unable to measured, "
            "not calculated, not calculable, not measure, unable to measure"
        ),
        Cue.EXCEPT: phrases("except, except for, apart from, aside from, other than, with exception of"),
        Cue.DENIES_NOTHING: [
            *hedges,
            *phrases(
                "not only, not just, not merely, not simply, not necessarily, no doubt, no change, no difficulty"
            ),
            *phrases(
                "without difficulty, not excluded, not exclude, not ruled out, not rule out, unable to exclude"
            ),
            *phrases(
                "unable to rule out, not difficult, no reason to doubt, not unusual, not uncommon, no more than"
            ),
            *phrases("no less than, no later than, non standard, non specific, non optimal, non invasive"),
        ],
    }


CUE_PHRASES = _cue_phrases()
EVERY_CUE_WORD = (
    frozenset(
        word for listed in CUE_PHRASES.values() for phrase in listed for word in phrase.split() if len(word) > 3
    )
    | SHOWING
    | ABNORMALITIES
    | DISORDERS
    | MEASURING
)
