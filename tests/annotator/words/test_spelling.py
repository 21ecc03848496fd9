"""Misspelt words are understood, and ordinary words are never taken for misspelt ones."""

import pytest

from annotator import taxonomy
from annotator.schema import Interpretation
from annotator.taxonomy import Kind
from annotator.words import mentions
from annotator.words.lists import phrases
from annotator.words.reader import Reading
from annotator.words.spelling import Spelling, standard_form
from annotator.words.tokens import clean, tokenize
from annotator.words.vocabulary import GROUP_WORDS, PLANE_WORDS, STRUCTURE_WORDS, PlaneWords, StructureWords

# Written, and the structure that is meant.
MISSPELT = {
    "cavum septum pellucidum": "CSP", "cavum septi pelucidi": "CSP",
    "cerebelum": "Brain", "cerebellem": "Brain", "cerebbellum": "Brain", "thalmus": "Brain", "thalamii": "Brain",
    "ventricel": "LV", "ventrical": "LV", "ventricules": "LV", "choriod plexus": "LV", "chroid plexus": "LV",
    "femer": "legs", "femure": "legs", "feumr": "legs", "femoral lenght": "legs", "humerous": "arm",
    "abdomin": "abdomen", "abdomnen": "abdomen", "abodmen": "abdomen", "abdominel": "abdomen",
    "umbilcal vein": "vein", "umbillical vein": "vein", "umbilicle vein": "vein", "umbilical artary": "artery",
    "stomache": "stomach", "stomachs": "stomach", "stomch": "stomach",
    "hart": "cardiac", "heart's": "cardiac", "cardiacc": "cardiac",
    "thoraxes": "thorax", "thoraic": "thorax", "thorasic": "thorax",
    "nuchal transluscency": "NT", "nuchal transluceny": "NT", "pubic symphisis": "pubic_symphysis",
    "symphysis pubis": "pubic_symphysis", "rhombencephelon": "RBP", "diencephlon": "DP",
    "crown-rump lenth": "CRL", "crown rump": "CRL", "CRLs": "CRL", "livers": "liver",
}  # fmt: skip


@pytest.mark.parametrize("written", MISSPELT)
def test_the_usual_slips_are_understood(written: str) -> None:
    assert {mention.structure for mention in mentions(Interpretation(anatomical_structures=written))} == {
        MISSPELT[written]
    }


@pytest.mark.parametrize(
    ("british", "american"),
    [
        ("foetal", "fetal"), ("foetus", "fetus"), ("haemorrhage", "hemorrhage"), ("oedema", "edema"),
        ("oesophagus", "esophagus"), ("visualised", "visualized"), ("visualisation", "visualization"),
        ("anaemia", "anemia"), ("colour", "color"), ("caesarean", "cesarean"),
    ],
)  # fmt: skip
def test_british_and_american_spelling_are_one(british: str, american: str) -> None:
    assert standard_form(british) == standard_form(american) == american


@pytest.mark.parametrize(
    ("plural", "singular"),
    [
        ("femora", "femur"), ("femurs", "femur"), ("thalami", "thalamus"), ("arteries", "artery"), ("feet", "foot"),
        ("ventricles", "ventricle"), ("extremities", "extremity"), ("atria", "atrium"), ("plexuses", "plexus"),
        ("vertebrae", "vertebra"), ("maxillae", "maxilla"), ("legs", "leg"), ("pelvis", "pelvis"),
        ("uterus", "uterus"), ("abscess", "abscess"), ("gas", "gas"),
    ],
)  # fmt: skip
def test_plurals_become_singular_and_other_words_stay(plural: str, singular: str) -> None:
    assert standard_form(plural) == singular


# Words of reports that stand close to words of the table, or hold one of them, and mean something else.
ORDINARY = """
    abdominoplasty ahead alarm algorithm alveolar amniotic anterior armchair army arterioles artist
    aspirated axillary basal beard behead blended breading bregma cancel carbon card cardigan cardinal
    cardiotocography cartilage caudal cavity cerebrate cerebritis certain chart charm cheesy clamber college
    colonic comfort consultant container contour contrast coronal costal cranberry creative curled custom
    dataset definitive deliver delivered dermal diagnosis diastolic discharge distal ductal earth elapsed
    elegant embryology endometrium enhanced estimated evening example expert external facial fardel farm
    feather female femme fetoscopy fibroid firearm footage foramen forehead formal forum frontage gain
    gastrin gastritis general gestation graph growth handle harmonic harmony haste hatch headache hearth
    hearty heartburn hepatitis hepatoma history hormone humid humoral humour hyperechoic hypothalamic image
    inferior infernal interior interval isthmus ischemia journal juvenile kidnap laboratory lateralised
    legal legend length levator limber limbic limit literal livery living longitudinal lumbar lunge machine
    manual marrow material maturity maximal maximum maxim medial median membrane meridian microscope mobile
    monitor multiplanar muscle myometrium necklace normal nostril notch nucleus obstetric operator optical
    oral orbital oval ovary overhead palace palatable palm pantry parental parity particle parenchyma
    peripheral peroneal pharmacy placenta placental plane plastic pleasant portable posterior postnatal
    potential practice prenatal prevent primary probe property prostate proximal pupillary quality quarter
    radiology random reading record regular renewal report resolution rivers rostral rotation rumpled
    sagittal scanner sector sedation sensor sharp silver skilled skulk skullduggery sliver sonogram spinal
    spine sternum stoma stomatitis strength structure suboptimal superior survey swarm sweetheart system
    table tendon terminal testicle thermal thicken thin third thyroid thymus tissue trace transabdominal
    transducer transfer transition translate transplant transverse trimester twin ultrasound umbrella
    umbilicated unit urine uterine uterus vagina validity vertical venture ventral ventricose verify version
    vertex vial videotape viewer village virtual volume warmth weight width worthwhile yesterday
""".split()  # noqa: SIM905


@pytest.mark.parametrize("word", ORDINARY)
def test_an_ordinary_word_names_nothing(word: str) -> None:
    assert mentions(Interpretation(anatomical_structures=word)) == ()


def test_short_words_and_first_letters_are_not_guessed() -> None:
    spelling = Spelling({"maxilla", "liver", "stomach"})
    assert [spelling(word) for word in ("stomahc", "stomoch", "axillae", "naxilla", "river")] == [
        "stomach", "stomach", "axille", "naxilla", "river",
    ]  # fmt: skip


def test_a_slip_between_two_words_is_left_alone() -> None:
    assert Spelling({"thoracic", "thoradic"})("thoratic") == "thoratic"


def test_a_very_long_word_is_neither_guessed_nor_kept() -> None:
    spelling = Spelling({"stomach"})
    assert spelling("S" * 100_000) == "s" * 100_000
    assert spelling.read.cache_info().currsize == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("HC=175mm", ["hc", ":", "175mm"]),
        ("BPD45", ["bpd", "45"]),
        ("4CV, 3VT", ["4cv", ",", "3vt"]),
        ("20w3d 4.5 mm", ["20w3d", "4.5", "mm"]),
        ("w/o N/A and/or", ["without", "unavailable", "and", "or", "or"]),
        ("can't cannot isn't isnt won't fetus's", "can not can not is not is not wo not fetus".split()),  # noqa: SIM905
        ("well-seen - not - crown–rump", ["well", "seen", "-", "not", "-", "crown", "rump"]),
        ("seen—femur", ["seen", "-", "femur"]),
        ("pubic_symphysis", ["pubic", "symphysis"]),
        ("<td>arm</td><b>l</b>eg &amp; arm", [".", "arm", ".", "l", "eg", "and", "arm"]),
        ("a <5 mm> b", ["a", "5", "mm", "b"]),
        ("fémur f\u0301emur \u200bfemur", ["femur", "femur", "femur"]),
        ("", []),
    ],
)
def test_text_is_parted_into_words_and_marks(text: str, words: list[str]) -> None:
    assert [token.word for token in tokenize(clean(text))] == words


def test_every_structure_that_can_be_boxed_has_words() -> None:
    boxed = {item.name for item in taxonomy.STRUCTURES if Kind.BOX in item.kinds}
    assert sorted(words.structure for words in STRUCTURE_WORDS) == sorted(boxed)


def test_the_table_names_only_structures_of_the_taxonomy() -> None:
    named = [name for words in STRUCTURE_WORDS for name in phrases(words.within)]
    named += [name for words in GROUP_WORDS for name in words.core]
    named += [name for words in PLANE_WORDS for name in words.structures]
    assert all(taxonomy.is_structure(name) for name in named)
    for words in GROUP_WORDS:
        assert {taxonomy.structure(name).group for name in words.core} == {words.group}


@pytest.mark.parametrize("words", STRUCTURE_WORDS, ids=lambda words: words.structure)
def test_every_phrase_of_the_table_is_found_in_a_text(words: StructureWords) -> None:
    for phrase in phrases(f"{words.names}, {words.signs}"):
        found = mentions(Interpretation(anatomical_structures=phrase))
        assert words.structure in {name for mention in found for name in mention.could_name}, phrase


@pytest.mark.parametrize("words", PLANE_WORDS, ids=lambda words: words.name)
def test_every_plane_of_the_table_is_found_in_a_text(words: PlaneWords) -> None:
    for phrase in phrases(f"{words.phrases}, {words.last}"):
        planes = Reading(Interpretation(imaging_plane=f"the {phrase.upper()} plane")).planes("imaging_plane")
        assert [one.plane for one in planes][:1] == [words], phrase
