"""What clinical words mean: the one table to read, correct and extend. No code needs to be known for that.

Phrases are separated by commas, in the singular, in American or British spelling, in any case. They match whole
words: plurals, accents, slips of one letter in long words and the little words in `FILLERS` are seen through.
A hyphen stands for a hyphen, a space or nothing: `trans-thalamic` also finds `trans thalamic`, `transthalamic`.
The longest phrase wins: `head circumference` is not also a `head`.
"""

from dataclasses import dataclass

from annotator.taxonomy import Group
from annotator.words.lists import words_of


@dataclass(frozen=True, slots=True)
class StructureWords:
    """The words for one structure.

    `names` are the structure itself: where they are denied, the structure is. `signs` are landmarks, measurements
    and disorders that speak for it where they are affirmed and say nothing where they are denied. `shared` are
    words that usually stand for another label of the same thing, and for this one where the rest of the text speaks
    of its group; `homonyms` are such words for another thing ('LV' is a lateral or a left ventricle). `within` are
    the structures that must be there where this one is.
    """

    structure: str
    names: str = ""
    signs: str = ""
    shared: str = ""
    homonyms: str = ""
    within: str = ""


STRUCTURE_WORDS: tuple[StructureWords, ...] = (
    StructureWords(
        "Brain",
        names="brain, cerebrum, cerebral hemisphere, skull, cranium, calvarium, calvaria, axial head, "
        "transverse head, head in axial, head in transverse, cross-section head, trans-axial head",
        signs="cerebral, cranial, intracranial, thalamus, thalamic, cerebellum, cerebellar, vermis, falx, "
        "midline echo, interhemispheric fissure, sylvian fissure, insula, corpus callosum, cisterna magna, "
        "posterior fossa, cerebral peduncle, third ventricle, fourth ventricle, midbrain, brain-stem, "
        "middle cerebral artery, MCA, circle of willis, vein of galen, nuchal fold, BPD, bi-parietal, HC, "
        "head circumference, OFD, occipito-frontal, TCD, cephalic index, hydrocephalus, holoprosencephaly, "
        "anencephaly, encephalocele, microcephaly, macrocephaly, agenesis of corpus callosum",
        shared="head",
    ),
    StructureWords(
        "CSP",
        names="CSP, cavum, cavum septum pellucidum, septum pellucidum, cavum septum",
        within="Brain, head, fetal_head, H",
    ),
    StructureWords(
        "LV",
        names="LV, lateral ventricle, ventricle, cerebral ventricle, lateral cerebral ventricle, "
        "atrium of lateral ventricle, ventricular atrium",
        signs="ventricular, choroid plexus, anterior horn, posterior horn, frontal horn, occipital horn, "
        "ventriculomegaly, ventricular width",
        homonyms="atrium, left ventricle, right ventricle",
        within="Brain, head, fetal_head, H",
    ),
    StructureWords(
        "cardiac",
        names="heart, cardiac, left ventricle, right ventricle, RV",
        signs="four-chamber, 4CV, 4CH, atrium, left atrium, right atrium, atrioventricular, "
        "inter-ventricular septum, ventricular septum, inter-atrial septum, atrial septum, foramen ovale, mitral, "
        "tricuspid, aorta, aortic, pulmonary artery, pulmonary trunk, pulmonary vein, ductus arteriosus, "
        "ductal arch, great vessel, great artery, outflow tract, LVOT, RVOT, three-vessel, 3VV, 3VT, "
        "3VTV, superior vena cava, ventricular septal defect, VSD, AVSD, tetralogy, myocardium, myocardial, "
        "pericardium, pericardial, endocardial cushion, moderator band, papillary muscle, crux, cardiomegaly",
        homonyms="LV, LA, RA, ventricle, ventricular",
        within="thorax, C",
    ),
    StructureWords(
        "thorax",
        names="thorax, thoracic, chest",
        signs="lung, rib-cage, mediastinum, pleural effusion, diaphragmatic hernia",
    ),
    StructureWords(
        "NT",
        names="NT, nuchal translucency, nuchal, neck translucency",
        signs="nuchal thickness, cystic hygroma, nuchal edema",
    ),
    StructureWords("nasal_bone", names="nasal bone, nasal bridge", shared="NB"),
    StructureWords("nasal_skin", names="nasal skin, pre-nasal skin"),
    StructureWords("nasal_tip", names="nasal tip, tip of nose, nose tip"),
    StructureWords("CRL", names="CRL, crown-rump, crown to rump, crown and rump"),
    StructureWords("B", shared="body, trunk, torso", within="CRL"),
    StructureWords("H", shared="head", within="CRL"),
    StructureWords("NB", shared="nasal bone", within="CRL"),
    StructureWords(
        "artery",
        names="umbilical artery, artery",
        signs="arterial, three-vessel cord, two-vessel cord, cord with three-vessel, vessel of cord",
    ),
    StructureWords(
        "vein",
        names="umbilical vein, vein, portal vein, hepatic vein, umbilical portal vein",
        signs="portal sinus, ductus venosus, three-vessel cord, cord with three-vessel, vessel of cord",
    ),
    StructureWords("liver", names="liver, hepatic", signs="hepatomegaly", within="abdomen, AB"),
    StructureWords(
        "stomach",
        names="stomach, stomach bubble, gastric bubble",
        signs="gastric, double bubble",
        within="abdomen, AB",
    ),
    StructureWords(
        "fetal_head",
        signs="angle of progression, AOP, head perineum distance, head station, head descent, caput succedaneum",
        shared="head",
    ),
    StructureWords(
        "pubic_symphysis", names="pubic symphysis, symphysis pubis, symphysis, pubis, pubic bone, pubic"
    ),
    StructureWords(
        "abdomen",
        names="abdomen, abdominal, belly",
        signs="AC, abdominal circumference, kidney, renal, bladder, bowel, gallbladder, adrenal, cord insertion, "
        "omphalocele, gastroschisis, ascites",
    ),
    StructureWords(
        "arm",
        names="arm, upper limb, upper extremity, forearm, humerus, humeral, upper arm",
        signs="hand, elbow, ulna, radius and ulna, finger, HL",
    ),
    StructureWords("head", names="head"),
    StructureWords(
        "legs",
        names="leg, lower limb, lower extremity, femur, femoral, thigh, lower leg, femoral head, femoral shaft",
        signs="FL, femur length, tibia, fibula, knee, ankle, foot, femoral diaphysis, talipes",
    ),
    StructureWords("AB", shared="abdomen, abdominal", within="CRL"),
    StructureWords("C", shared="chest, thorax", within="CRL"),
    StructureWords("DP", names="diencephalon"),
    StructureWords("G", names="genital tubercle"),
    StructureWords("MDS", names="mandible symphysis, mandibular symphysis"),
    StructureWords("MLS", names="mandible lower surface, lower surface of mandible, mandible, mandibular"),
    StructureWords("MX", names="maxilla, maxillary, upper jaw"),
    StructureWords("NTAPS", names="nasal tip and pre-nasal skin, NTAPS", shared="pre-nasal skin, nasal tip"),
    StructureWords("RBP", names="rhombencephalon, hindbrain"),
    StructureWords("ScaleBar", names="scale-bar, calibration bar, ruler"),
    # Not CM, IT: in running text those are centimetres and a pronoun.
    StructureWords("thalami", shared="thalamus", within="Brain, head, fetal_head, H"),
    StructureWords("midbrain", shared="midbrain", within="Brain, head, fetal_head, H"),
    StructureWords("palate", names="palate"),
    StructureWords("IT", names="intracranial translucency", within="Brain, head, fetal_head, H"),
    StructureWords("CM", shared="cisterna magna", within="Brain, head, fetal_head, H"),
)


@dataclass(frozen=True, slots=True)
class GroupWords:
    """A group: the structures asked for in its planes, and words that speak for it as a whole."""

    group: Group
    core: tuple[str, ...]
    aliases: str


GROUP_WORDS: tuple[GroupWords, ...] = (
    GroupWords(
        Group.BRAIN,
        ("Brain", "CSP", "LV"),
        "trans-thalamic, trans-cerebellar, trans-cerebellum, trans-ventricular, bi-parietal, BPD, "
        "head circumference, HC, neuro-sonography, neuro-sonogram, central nervous system, CNS",
    ),
    GroupWords(
        Group.CARDIAC,
        ("cardiac", "thorax"),
        "outflow tract, aortic arch, four-chamber, 4CV, three-vessel, 3VV, 3VT, echocardiography, "
        "echocardiogram, situs solitus, V sign, X sign, cardiothoracic ratio",
    ),
    GroupWords(
        Group.NT_NASAL,
        ("NT", "nasal_bone", "nasal_skin", "nasal_tip"),
        "first-trimester screening, first-trimester screen, aneuploidy screening, NT scan, nose, facial profile, "
        "fetal profile, face profile",
    ),
    GroupWords(
        Group.CRL,
        ("CRL", "B", "H", "NB"),
        "crown-rump length, dating scan, embryo, embryonic, fetal pole, yolk sac, gestational sac",
    ),
    GroupWords(
        Group.ABDOMINAL_ORGANS,
        ("artery", "liver", "stomach", "vein"),
        "abdominal organ, umbilical cord, umbilical doppler, umbilical artery doppler, umbilical flow, waveform, "
        "pulsatility index, resistance index, ductus venosus, stomach bubble, three-vessel cord, "
        "cord with three-vessel",
    ),
    GroupWords(
        Group.PELVIMETRY,
        ("fetal_head", "pubic_symphysis"),
        "pelvimetry, cervix, cervical length, cervical canal, internal os, intra-partum, trans-perineal, "
        "angle of progression, birth canal, vaginal delivery",
    ),
    GroupWords(
        Group.BODY,
        ("abdomen", "arm", "head", "legs"),
        "abdominal circumference, AC, femur length, FL, limb, extremity, long bone, whole body, body part, "
        "fetal pose, whole fetus",
    ),
)


@dataclass(frozen=True, slots=True)
class PlaneWords:
    """Phrases by which the imaging plane is named; `last` ones tell a technique and yield to a named plane."""

    name: str
    structures: tuple[str, ...]
    phrases: str
    last: str = ""


PLANE_WORDS: tuple[PlaneWords, ...] = (
    PlaneWords(
        "brain",
        ("Brain", "CSP", "LV"),
        "trans-thalamic, trans-thalamus, trans-cerebellar, trans-cerebellum, trans-ventricular, trans-ventricle, "
        "bi-parietal, bi-parietal diameter, BPD, head circumference, HC, middle cerebral artery, MCA",
    ),
    PlaneWords(
        "cardiac",
        ("cardiac", "thorax"),
        "four-chamber, 4CV, 4CH, outflow tract, LVOT, RVOT, three-vessel, 3VV, 3VT, 3VTV, "
        "aortic, aortic arch, aorta, ductal arch, V sign, X sign, echocardiography, cardiac doppler, heart doppler",
    ),
    PlaneWords("nt_nasal", ("NT", "nasal_bone", "nasal_skin", "nasal_tip"), "nuchal, nuchal translucency, NT"),
    PlaneWords("femur", ("legs",), "femur, femur length, femoral, FL"),
    PlaneWords("body", ("abdomen", "arm", "head", "legs"), "abdominal circumference, AC"),
    PlaneWords("crl", ("CRL", "B", "H", "NB"), "crown-rump, crown-rump length, crown to rump, CRL"),
    PlaneWords(
        "abdominal_organs",
        ("artery", "liver", "stomach", "vein"),
        "stomach bubble, abdominal organ, umbilical artery, umbilical vein, umbilical cord, three-vessel cord, "
        "cord with three-vessel",
        last="doppler, waveform",
    ),
    PlaneWords(
        "pelvimetry",
        ("fetal_head", "pubic_symphysis"),
        "cervical length, cervix, cervical canal, pubic symphysis, symphysis pubis, angle of progression, "
        "trans-perineal, trans-labial, intra-partum",
    ),
)

# Phrases that look like anatomy of the frame and are not, wherever they stand.
NAMES_NOTHING = (
    "heart rate, heart-beat, heart activity, heart action, cardiac activity, FHR, uterine artery, "
    "uterine artery doppler, ovarian artery, ovarian vein, spiral artery, femoral artery, abdominal aorta, "
    "descending aorta, inferior vena cava, nuchal cord, nuchal arm, "
    "trans-abdominal, trans-abdominally, trans-thoracic, "
    "transducer head, probe head, vertebral body, foreign body, inclusion body, other hand, one hand, "
    "left-hand side, right-hand side, cervical spine, cervical vertebra, thoracic spine, thoracic vertebra, "
    "abdominal probe, abdominal transducer, heart-shaped, head-rest, "
    "mother abdomen, maternal abdomen, maternal abdominal, maternal heart, maternal liver, maternal kidney, "
    "maternal bladder, maternal bowel, maternal leg, maternal arm, maternal head, maternal vein, maternal artery"
)

# Skipped inside a phrase: 'axial plane of the fetal head' reads as 'axial head'.
FILLERS = words_of("a an the of fetal fetus view plane section level scan image slice aspect imaging - standard")

# One word a line: what it is read as, and the slips and forms that sonographers write for it.
SPELLINGS: dict[str, str] = {
    "abdomen": "abdomin abdomens abdomene abdoman abdomina",
    "artery": "arterie artary",
    "atrium": "atria",
    "biparietal": "biparetal biparital",
    "cavum": "cava cavun cavm cavam",
    "cerebellum": "cerebelum cerebella cerebullum cerbellum cerebelllum",
    "cerebellar": "cerebelar cerebaler",
    "choroid": "choriod chorioid coroid chroid",
    "color": "colour",
    "cord": "cords chord",
    "cranium": "crania",
    "femur": "femer femure femor femurs femora feumr fumer",
    "fetal": "foetal feotal",
    "fetus": "foetus feotus fetuses foetuses",
    "foot": "feet",
    "four": "4",
    "fourchamber": "4chamber",
    "heart": "haert hart",
    "humerus": "humeri humerous",
    "length": "lenght lenth",
    "liver": "livr livar",
    "maternal": "mother",
    "maxilla": "maxillae",
    "pellucidum": "pellucidi pelucidum pelucidi pellicidum",
    "plexus": "plexi plexuses plexes",
    "septum": "septi septa",
    "stomach": "stomache stomac stomch stomech",
    "symphysis": "symphyses symphisis symphysys symphasis simphysis",
    "thalamus": "thalami thalmus thalmi thalamii",
    "thalamic": "thalmic",
    "thorax": "thoraces thorx thoraxes",
    "thoracic": "thoric thorcic",
    "three": "3",
    "threevessel": "3vessel",
    "umbilical": "umbilcal umbillical umbilicle umbelical",
    "ventricle": "ventricel ventrical ventricals ventricels ventrical",
    "vertebra": "vertebrae",
}

# English words one letter away from a word of the tables: not slips of it.
NOT_SLIPS = words_of(
    "blending breeding caliber calibre clamber cleanly concert container dejected deliver descend diluted "
    "dilution dissension entirety evacuate evacuated firearm gastrin haematic hematic hemic humoral identity "
    "imagine infernal interior interval licking literal locking material messing observer optical optically "
    "outlive outsider peroneal possibly prefect pretence prevent property pupillary selling shelling sinogram "
    "smelling spelling suction visibly"
)
