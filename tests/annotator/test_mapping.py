"""What is looked for in a frame follows from what was said about it, as a sonographer would decide it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator import taxonomy
from annotator.errors import InputError
from annotator.mapping import FIELD_WEIGHTS, Mapping, Tier, map_structures, phase_groups
from annotator.schema import Interpretation
from annotator.taxonomy import Kind

BRAIN = {"Brain", "CSP", "LV"}
CARDIAC = {"cardiac", "thorax"}
NASAL = {"NT", "nasal_bone", "nasal_skin", "nasal_tip"}
CROWN_RUMP = {"CRL", "B", "H", "NB"}
ORGANS = {"artery", "liver", "stomach", "vein"}
PELVIS = {"fetal_head", "pubic_symphysis"}
BODY = {"abdomen", "arm", "head", "legs"}
LEGS = {"legs"}


def decided(view: str | None = None, **fields: str) -> Mapping:
    return map_structures(Interpretation(**fields), view)


VIEWS = {
    "BPD_PLANE": BRAIN, "Trans-thalamic": BRAIN, "Trans-cerebellum": BRAIN, "Trans-ventricular": BRAIN,
    "Aorta": CARDIAC, "V sign": CARDIAC, "X sign": CARDIAC, "Thorax": CARDIAC,
    "Flows": ORGANS, "liver": ORGANS,
    "FL_PLANE": LEGS, "FL": LEGS, "Femur": LEGS,
    "NT-View": NASAL, "Standard_NT": NASAL, "Non_standard_NT": NASAL, "First-trimester mid-sagittal": NASAL,
    "CRL-View": CROWN_RUMP,
    "Cervical": PELVIS, "Cervix": PELVIS, "Public_Symphysis_fetal_head": PELVIS,
    "Abdomen": ORGANS | {"abdomen"}, "AC_PLANE": ORGANS | {"abdomen"}, "Abd_plane": ORGANS | {"abdomen"},
}  # fmt: skip
GENERIC = {
    "huvf": BODY, "huvb": BODY, "hdvf": BODY, "hdvb": BODY, "abdomen": {"abdomen"}, "head": {"head"},
    "arms": {"arm"}, "legs": {"legs"},
}  # fmt: skip
SILENT_VIEWS = ("NO_PLANE", "Other")


@pytest.mark.parametrize("view", VIEWS)
def test_a_specific_view_decides_whatever_the_text_says(view: str) -> None:
    mapping = decided(view, imaging_plane="Longitudinal view of the femur", anatomical_structures="no heart seen")
    assert (mapping.tier, set(mapping.detect)) == (Tier.VIEW, VIEWS[view])
    assert mapping.evidence == (f'view: "{view}"',)


def test_every_view_of_the_taxonomy_is_specific_generic_or_says_nothing() -> None:
    assert {view.name for view in taxonomy.VIEWS} == {*VIEWS, *GENERIC, *SILENT_VIEWS}


@pytest.mark.parametrize(
    ("view", "outlined"),
    [("BPD_PLANE", {"Brain"}), ("Aorta", CARDIAC), ("V sign", CARDIAC), ("X sign", CARDIAC), ("Flows", ORGANS),
     ("liver", set()), ("FL", set()), ("NT-View", {"NT"}), ("CRL-View", set()), ("Cervix", PELVIS),
     ("AC_PLANE", ORGANS), ("huvf", set())],
)  # fmt: skip
def test_a_view_outlines_what_can_be_outlined_in_it(view: str, outlined: set[str]) -> None:
    assert set(map_structures(None, view).segment) == outlined


@pytest.mark.parametrize("view", GENERIC)
def test_a_generic_view_decides_only_where_the_text_does_not(view: str) -> None:
    silent = decided(view, image_quality="good")
    assert (silent.tier, set(silent.detect)) == (Tier.GENERIC_VIEW, GENERIC[view])
    assert decided(view, imaging_plane="four-chamber view").tier is Tier.PLANE
    assert decided(view, anatomical_structures="stomach").tier is Tier.EVIDENCE


@pytest.mark.parametrize("view", [None, "", "  ", "Other", "NO_PLANE", "bpd_plane", "Kidney", "<b>FL</b>"])
def test_without_any_hint_the_whole_body_is_looked_for_and_nothing_outlined(view: str | None) -> None:
    for interpretation in (None, Interpretation()):
        mapping = map_structures(interpretation, view)
        assert mapping.tier is Tier.DEFAULT
        assert mapping.detect == ("abdomen", "arm", "head", "legs")
        assert mapping.segment == ()
        assert mapping.evidence


# What stands in `imaging_plane`, and what the second tier makes of it.
PLANES: list[tuple[str, set[str]]] = [
    ("Transthalamic plane", BRAIN),
    ("Trans-thalamic", BRAIN),
    ("TRANS THALAMIC VIEW", BRAIN),
    ("trans-thalmic plane of the foetal head", BRAIN),
    ("transthallamic section", BRAIN),
    ("Axial trans–thalamic plane", BRAIN),
    ("The plane is transcerebellar, slightly oblique", BRAIN),
    ("trans-cerebelar view", BRAIN),
    ("Trans-cerebellum plane", BRAIN),
    ("Transcerebellar plane with nuchal fold", BRAIN),
    ("transventricular axial plane", BRAIN),
    ("trans ventricular", BRAIN),
    ("Plane of the biparietal diameter", BRAIN),
    ("bi-parietal", BRAIN),
    ("BPD plane", BRAIN),
    ("Standard HC plane", BRAIN),
    ("Head circumference level", BRAIN),
    ("not only a transthalamic plane", BRAIN),
    ("Not a four-chamber view but a transventricular plane", BRAIN),
    ("transventricular rather than transthalamic plane", BRAIN),
    ("Transthalamic plane, no femur seen", BRAIN),
    ("A transthalamic plane cannot be excluded", BRAIN),
    ("Not a perfect transthalamic plane", BRAIN),
    ("Non-standard transthalamic plane", BRAIN),
    ("Non_standard four-chamber view", CARDIAC),
    ("4chamber view", CARDIAC),
    ("umbilical cord with 3 vessels", ORGANS),
    ("Doppler of the middle cerebral artery", BRAIN),
    ("Four-chamber view", CARDIAC),
    ("4-chamber view of the heart", CARDIAC),
    ("4 chamber", CARDIAC),
    ("4CV", CARDIAC),
    ("four chambers of the heart", CARDIAC),
    ("apical four chamber view", CARDIAC),
    ("Left ventricular outflow tract", CARDIAC),
    ("LVOT view", CARDIAC),
    ("RVOT", CARDIAC),
    ("outflow tracts, long axis", CARDIAC),
    ("three-vessel view", CARDIAC),
    ("3VV", CARDIAC),
    ("3-vessel and trachea view", CARDIAC),
    ("three vessels and trachea (3VT)", CARDIAC),
    ("Aortic arch, sagittal", CARDIAC),
    ("V sign", CARDIAC),
    ("Colour Doppler of the four-chamber view", CARDIAC),
    ("Mid-sagittal view for nuchal translucency", NASAL),
    ("NT measurement plane", NASAL),
    ("nuchal", NASAL),
    ("Sagittal, nuchal transluscency", NASAL),
    ("Longitudinal view of the femur", LEGS),
    ("femur length plane", LEGS),
    ("FL plane", LEGS),
    ("Long axis of both femora", LEGS),
    ("femer, longitudinal", LEGS),
    ("femoral diaphysis", LEGS),
    ("Transverse plane at the level of the abdominal circumference", BODY),
    ("AC plane", BODY),
    ("Standard AC", BODY),
    ("abdominal circumference plane at the level of the stomach bubble", BODY),
    ("Mid-sagittal view for crown-rump length", CROWN_RUMP),
    ("crown to rump length", CROWN_RUMP),
    ("CRL view", CROWN_RUMP),
    ("crownrump", CROWN_RUMP),
    ("Colour Doppler", ORGANS),
    ("pulsed-wave doppler of the umbilical artery", ORGANS),
    ("spectral waveform", ORGANS),
    ("axial section at the stomach bubble", ORGANS),
    ("Cross-section of a three-vessel cord", ORGANS),
    ("Transvaginal view of the cervical length", PELVIS),
    ("uterine cervix, sagittal", PELVIS),
    ("Transperineal view of the pubic symphysis", PELVIS),
    ("<p>Transthalamic</p> plane", BRAIN),
    ("**Four-chamber** view", CARDIAC),
    ('{"plane": "transcerebellar"}', BRAIN),
    ("imaging plane:\\ntransventricular\\n", BRAIN),
    ("FOUR_CHAMBER_VIEW", CARDIAC),
    ("ｔｒａｎｓｔｈａｌａｍｉｃ", BRAIN),
    ("trans\u00adthalamic plane", BRAIN),
]


@pytest.mark.parametrize(("text", "expected"), PLANES)
def test_a_named_plane_decides(text: str, expected: set[str]) -> None:
    mapping = decided(imaging_plane=text, anatomical_structures="arm, leg, stomach, heart, nuchal translucency")
    assert (mapping.tier, set(mapping.detect)) == (Tier.PLANE, expected)
    assert mapping.evidence[0].startswith('imaging_plane: "')


def test_the_orientation_may_name_the_plane_too() -> None:
    mapping = decided(fetal_orientation="Spine at 6 o'clock, four-chamber view", imaging_plane="axial")
    assert (mapping.tier, set(mapping.detect)) == (Tier.PLANE, CARDIAC)


# In these the imaging plane names none: nothing else being said, the default decides.
NO_PLANES: list[str] = [
    "Not a transthalamic plane",
    "this is not a four-chamber view",
    "No standard plane",
    "neither transthalamic nor transventricular",
    "Transthalamic plane not obtained",
    "The four-chamber view could not be obtained",
    "non-transthalamic",
    "non-trans-thalamic plane",
    "without doppler or any other waveform",
    "unable to obtain a four-chamber view",
    "four-chamber view: not seen",
    "No Doppler applied",
    "without doppler or waveform",
    "nuchal cord suspected",
    "cervical spine, coronal",
    "uterine artery Doppler",
    "Trans-abdominal scan, harmonic imaging",
    "transabdominal, plane unclear",
    "overhead lighting",
    "thalamicish",
    "Cardiff count chart",
    "indeterminate",
    "N/A",
    "???",
    "плоскость не определена",
    "平面不明",
]


@pytest.mark.parametrize("text", NO_PLANES)
def test_a_denied_or_merely_similar_plane_does_not_decide(text: str) -> None:
    assert decided(imaging_plane=text).tier is Tier.DEFAULT


# What stands in `anatomical_structures`, and what the third tier makes of it.
STRUCTURES: list[tuple[str, set[str]]] = [
    ("Brain with midline falx", BRAIN),
    ("cavum septi pellucidi", BRAIN),
    ("cavum septum pellucidum and thalami", BRAIN),
    ("CSP", BRAIN),
    ("csp box seen", BRAIN),
    ("Lateral ventricles and choroid plexus", BRAIN),
    ("LV 6 mm", BRAIN),
    ("choriod plexus in the ventricel", BRAIN),
    ("cerebelum, cisterna magna", BRAIN),
    ("cerebellar hemispheres, posterior fossa", BRAIN),
    ("Fetal head, thalami, skull outline", BRAIN),
    ("Skull; intracranial structures", BRAIN),
    ("Axial view of the fetal head", BRAIN),
    ("mild ventriculomegaly", BRAIN),
    ("left lateral ventricle, right lateral ventricle", BRAIN),
    ("heart", CARDIAC),
    ("HEART AND LUNGS", CARDIAC),
    ("Four chambers; LV and RV of equal size", CARDIAC),
    ("LV, RV, LA, RA, interventricular septum", CARDIAC),
    ("left ventricle and right ventricle, mitral valve", CARDIAC),
    ("fetal thorax with rib cage", CARDIAC),
    ("aorta and pulmonary artery crossing", CARDIAC),
    ("pulmonary veins entering the left atrium", CARDIAC),
    ("no abnormality of the heart", CARDIAC),
    ("heart not clearly seen", CARDIAC),
    ("nuchal translucency", NASAL),
    ("nasal bone, nasal tip", NASAL),
    ("nose, nasal bone and prenasal skin in profile", NASAL),
    ("nuchal translucency with NB present", NASAL),
    ("crown-rump length, fetal body and head", CROWN_RUMP),
    ("CRL, head, body", CROWN_RUMP),
    ("embryo with yolk sac", CROWN_RUMP),
    ("stomach", ORGANS),
    ("stomach bubble and umbilical vein", ORGANS),
    ("liver, portal sinus", ORGANS),
    ("umbilcal arteries", ORGANS),
    ("umbilical cord with three vessels", ORGANS),
    ("stomac, livers", ORGANS),
    ("abdomen with stomach bubble", ORGANS),
    ("abdomen, head, arm and leg, and a stomach", ORGANS),
    ("fetal abdomen, spine, stomach, descending aorta", ORGANS),
    ("pubic symphysis and fetal head", PELVIS),
    ("symphysis pubis, head station", PELVIS),
    ("cervix and internal os, fetal head above", PELVIS),
    ("arm", {"arm"}),
    ("both arms and legs", {"arm", "legs"}),
    ("abdomen", {"abdomen"}),
    ("fetal head", {"head"}),
    ("head, abdomin", {"head", "abdomen"}),
    ("femur", LEGS),
    ("fémur", LEGS),
    ("femora", LEGS),
    ("thigh, tibia and fibula", LEGS),
    ("humerus", {"arm"}),
    ("upper extremities", {"arm"}),
    ("whole fetus, limbs moving", BODY),
    ("arm/leg", {"arm", "legs"}),
    ("head & abdomen", {"head", "abdomen"}),
    ("<li>arm</li><li>head</li>", {"arm", "head"}),
    ("fetal_head, pubic_symphysis", PELVIS),
    ("no femur seen but the abdomen is visible", {"abdomen"}),
    ("no femur seen, abdomen visible", {"abdomen"}),
    ("abdomen visible, femur not seen", {"abdomen"}),
    ("The femur is not visualised; an arm is", {"arm"}),
    ("all limbs visible except the femur, arm seen", {"arm"}),
    ("not only the heart", CARDIAC),
    ("head without CSP", {"head"}),
    ("The head in this abdominal section is not seen", {"abdomen"}),
    ("In this abdominal view the femur is not visible", {"abdomen"}),
    ("Stomach not enlarged", ORGANS),
    ("ventricles are not dilated", BRAIN),
    ("heart cannot be excluded", CARDIAC),
    ("no structures except the abdomen", {"abdomen"}),
    ("Femur: absent\nArm: present", {"arm"}),
    ("femur (not seen), arm (seen)", {"arm"}),
    ("not visualised: heart and stomach. Arm seen", {"arm"}),
    ("Kopf, Abdomen und Herz", {"abdomen"}),
    ("head " * 3000, {"head"}),
    ("lorem ipsum dolor " * 2000 + "stomach", ORGANS),
    ("<script>alert('liver')</script>", ORGANS),
]


@pytest.mark.parametrize(
    ("text", "expected"),
    STRUCTURES,
    ids=lambda value: (value if isinstance(value, str) else "+".join(sorted(value)))[:50],
)
def test_named_structures_decide(text: str, expected: set[str]) -> None:
    mapping = decided(anatomical_structures=text, imaging_plane="oblique")
    assert (mapping.tier, set(mapping.detect)) == (Tier.EVIDENCE, expected)


# Texts that name nothing that is there.
NOTHING: list[str] = [
    "no femur seen",
    "No femur, arm or leg visible",
    "No femur, tibia, foot.",
    "femur not seen",
    "Stomach bubble not seen",
    "stomach, liver and umbilical vein not visualized",
    "the heart cannot be identified",
    "the heart can't be identified",
    "heart couldnt be seen",
    "The femur, unfortunately, is not seen",
    "without ventriculomegaly",
    "no evidence of ventriculomegaly",
    "no evidence of stomach or liver",
    "Absent nasal bone",
    "nasal bone absent",
    "absence of the stomach",
    "neither the heart nor the stomach is visible",
    "non-visualisation of the stomach bubble",
    "nonvisualised heart",
    "unable to visualise the heart",
    "failed to demonstrate the femur",
    "the image does not include the head",
    "lack of a nasal bone",
    "femur out of view",
    "head outside the field of view",
    "Not seen: heart, liver, and head",
    "no fetal abnormality",
    "no choroid plexus cysts",
    "choroid plexus cysts were not seen",
    "no cleft, no omphalocele, no ascites",
    "no heart defect",
    "No fetal parts",
    "harmonic imaging",
    "overhead, headache-free, ahead",
    "alarm charm pharmacy farm",
    "limbic limber climbing",
    "Cardiff, discard, card",
    "veiny deliver delivery sliver",
    "legend, delegate, legal, college",
    "cardboard heartburn hearty sweetheart",
    "armoured warmth swarm",
    "abdominoplasty",
    "brainstorming",
    "transarterial",
    "aortoiliacish",
    "handled on the other hand",
    "fetal heart rate 150 bpm",
    "nuchal cord, maternal bladder",
    "vertebral bodies",
    "trans-abdominal probe",
    "uterine artery",
    "it is 5 cm, nb",
    "b h c g ab nb it cm",
    "IT WAS 5 CM",
    "lorem ipsum",
    "asdf qwer zxcv",
    "{}[]()<>",
    "null",
    "Kopf und Herz",
    "глава и сердце",
    "胎儿头部",
    "😀😀",
    "\x00\x01\x02",
    " \n\t ",
    "-" * 5000,
    "not " * 5000,
]


@pytest.mark.parametrize("text", NOTHING, ids=lambda value: ascii(value)[:50])
def test_what_is_denied_or_only_sounds_alike_is_no_evidence(text: str) -> None:
    assert decided(anatomical_structures=text).tier is Tier.DEFAULT
    assert decided("legs", anatomical_structures=text).tier is Tier.GENERIC_VIEW


def test_the_table_is_as_large_as_promised() -> None:
    assert len({*(text for text, _ in PLANES + STRUCTURES), *NO_PLANES, *NOTHING}) >= 150


# One field against another: weights 3.0 measured, 2.5 plane, 1.0 structures, 0.5 orientation and normality, 0.3.
WEIGHED: list[tuple[dict[str, str], set[str]]] = [
    ({"biometric_measurements": "Humerus 30 mm", "imaging_plane": "section of the chest"}, {"arm"}),
    ({"imaging_plane": "section of the chest", "anatomical_structures": "arm, leg"}, CARDIAC),
    ({"imaging_plane": "section of the arm", "anatomical_structures": "heart, chest"}, {"arm"}),
    ({"anatomical_structures": "arm", "fetal_orientation": "chest up"}, {"arm"}),
    ({"anatomical_structures": "arm", "clinical_recommendations": "assess heart, chest, lungs"}, {"arm"}),
    ({"gestational_age": "from the heart size", "normality_assessment": "arm normal"}, {"arm"}),
    ({"anatomical_structures": "arm", "image_quality": "heart, chest, liver and stomach are sharp"}, {"arm"}),
    ({"biometric_measurements": "Humerus could not be measured", "imaging_plane": "chest"}, CARDIAC),
    ({"biometric_measurements": "humerus not measurable", "anatomical_structures": "chest"}, CARDIAC),
    ({"biometric_measurements": "No caliper on the humerus", "anatomical_structures": "chest"}, CARDIAC),
    ({"biometric_measurements": "HL not obtained; NT 1.2 mm", "imaging_plane": "nose"}, NASAL),
    ({"clinical_recommendations": "Repeat the scan of the femur"}, LEGS),
    ({"clinical_recommendations": "Fetal echocardiography advised", "anatomical_structures": "arm"}, {"arm"}),
    ({"clinical_recommendations": "umbilical artery flow", "anatomical_structures": "abdomen"}, {"abdomen"}),
    ({"image_quality": "Doppler gain low", "anatomical_structures": "head"}, {"head"}),
    ({"anatomical_structures": "heart, heart, heart and heart", "imaging_plane": "arm"}, {"arm"}),
    ({"normality_assessment": "No ventriculomegaly, no cysts", "anatomical_structures": "arm"}, {"arm"}),
    ({"anatomical_structures": "stomach", "imaging_plane": "abdomen", "biometric_measurements": "AC 15"}, ORGANS),
]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "expected"), WEIGHED, ids=lambda value: (str(value) if isinstance(value, dict) else "")[:60]
)
def test_fields_weigh_as_much_as_they_deserve(fields: dict[str, str], expected: set[str]) -> None:
    mapping = decided(**fields)
    assert (mapping.tier, set(mapping.detect)) == (Tier.EVIDENCE, expected)


def test_a_measurement_that_was_not_made_names_no_plane_but_hints_at_its_structure() -> None:
    mapping = decided(imaging_plane="Oblique, without a nuchal translucency measurement")
    assert (mapping.tier, set(mapping.detect)) == (Tier.EVIDENCE, NASAL)
    assert mapping.evidence[0].endswith("NT +0.3")


def test_an_alias_of_a_group_adds_two() -> None:
    # arm 1.0 + head 1.0 = 2.0; heart 0.5, with the alias 2.5
    without = decided(anatomical_structures="arm, head", normality_assessment="normal heart")
    with_alias = decided(anatomical_structures="arm, head", normality_assessment="normal heart, situs solitus")
    assert set(without.detect) == {"arm", "head"}
    assert set(with_alias.detect) == CARDIAC
    assert 'normality_assessment: "situs solitus" -> cardiac +2' in with_alias.evidence


def test_a_compatible_group_joins_from_thirty_percent_on() -> None:
    brain = "cavum septi pellucidi, brain, lateral ventricle"  # 3.0
    joined = decided(anatomical_structures=brain + ", nuchal translucency")  # 1.0 of 3.0
    assert joined.detect[:4] == ("Brain", "CSP", "LV", "NT")
    assert len(joined.detect) == 5
    assert joined.segment == ("Brain", "NT")
    alone = decided(anatomical_structures=brain, normality_assessment="nuchal translucency normal")  # 0.5 of 3.0
    assert alone.detect == ("Brain", "CSP", "LV")


def test_an_incompatible_group_never_joins() -> None:
    assert set(decided(anatomical_structures="heart, thorax, stomach").detect) == CARDIAC
    assert set(decided(anatomical_structures="brain, cavum, heart").detect) == BRAIN


def test_crown_rump_and_nuchal_groups_are_asked_for_together() -> None:
    mapping = decided(anatomical_structures="CRL, nuchal translucency, diencephalon, maxilla")
    assert {"CRL", "NT", "DP", "MX"} < set(mapping.detect)
    assert len(mapping.detect) == 5


def test_the_structures_spoken_of_most_come_first() -> None:
    mapping = decided(anatomical_structures="liver, stomach", normality_assessment="the stomach is normal")
    assert mapping.detect[:2] == ("stomach", "liver")


def test_the_evidence_shows_the_words_the_structure_and_the_weight() -> None:
    mapping = decided(anatomical_structures="The <b>Stomach  bubble</b>, no liver", imaging_plane="arm")
    assert mapping.evidence == (
        'anatomical_structures: "Stomach bubble" -> stomach +1',
        'anatomical_structures: "Stomach bubble" -> abdominal_organs +2',
    )


def test_what_the_text_denies_is_not_asked_for_with_its_group() -> None:
    assert set(decided(anatomical_structures="skull without cavum septi pellucidi").detect) == {"Brain", "LV"}
    assert set(decided(anatomical_structures="liver; stomach bubble not seen").detect) == ORGANS - {"stomach"}
    everything = decided(anatomical_structures="umbilical cord; no artery, liver, stomach or vein")
    assert set(everything.detect) == ORGANS


def test_structures_that_no_checkpoint_of_fada_knows_are_not_asked_for() -> None:
    assert decided(anatomical_structures="intracranial translucency, palate").tier is Tier.DEFAULT


def test_a_mapping_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        decided().tier = Tier.VIEW  # type: ignore[misc]


def test_the_weights_cover_the_eight_fields() -> None:
    assert set(FIELD_WEIGHTS) == set(taxonomy.INTERPRETATION_FIELDS)


SCRAPS = st.sampled_from(
    ["no", "not", "femur", "heart", "LV", "head", "seen", ",", ".", ":", "(", ")", "but", "and", "or", "of", "the",
     "trans-thalamic", "NT", "abdomen", "stomach", "without", "absent", "BPD 45 mm", "cannot be measured", "except",
     "crown-rump", "nuchal", "<b>", "\n", "-", "/", "isn't", "n/a", "ventriculomegaly", "cyst", "arm", "nasal bone"]
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=80), st.lists(SCRAPS, max_size=25).map(" ".join))
INTERPRETATIONS = st.builds(Interpretation, **dict.fromkeys(taxonomy.INTERPRETATION_FIELDS, TEXTS))
ANY_VIEW = st.one_of(st.none(), st.text(max_size=12), st.sampled_from([view.name for view in taxonomy.VIEWS]))


@settings(max_examples=300, deadline=None)
@given(INTERPRETATIONS, ANY_VIEW)
def test_any_text_maps_to_one_to_five_known_structures_and_always_to_the_same(
    interpretation: Interpretation, view: str | None
) -> None:
    mapping = map_structures(interpretation, view)
    assert 1 <= len(mapping.detect) <= 5
    assert len(set(mapping.detect)) == len(mapping.detect)
    assert all(Kind.BOX in taxonomy.structure(name).kinds for name in mapping.detect)
    assert set(mapping.segment) <= set(mapping.detect)
    assert all(Kind.MASK in taxonomy.structure(name).kinds for name in mapping.segment)
    assert mapping.evidence
    assert len(phase_groups(mapping.detect)) <= 2
    assert map_structures(interpretation, view) == mapping


@pytest.mark.parametrize(
    ("asked", "requests"),
    [
        ([], ()),
        (["Brain"], (("Brain",),)),
        (["Brain", "cardiac", "CSP", "thorax"], (("Brain", "CSP"), ("cardiac", "thorax"))),
        (["NT", "Brain"], (("NT", "Brain"),)),
        (["NT", "CRL", "nasal_bone"], (("NT", "CRL", "nasal_bone"),)),
        (["Brain", "CRL", "NT"], (("Brain", "NT"), ("CRL",))),
        (["Brain", "NT", "CRL", "nasal_tip", "H"], (("Brain", "NT", "nasal_tip"), ("CRL", "H"))),
        (["stomach", "abdomen", "liver"], (("stomach", "liver"), ("abdomen",))),
        (["legs", "legs"], (("legs",),)),
        (["thalami", "Brain", "palate"], (("thalami", "palate"), ("Brain",))),
        (["ScaleBar", "CRL_KP", "CRL"], (("ScaleBar",), ("CRL_KP", "CRL"))),
    ],
)
def test_groups_are_asked_for_apart_but_for_two_pairs(
    asked: list[str], requests: tuple[tuple[str, ...], ...]
) -> None:
    assert phase_groups(asked) == requests


@pytest.mark.parametrize("name", ["kidney", "", "brain", "Brain "])
def test_a_structure_that_nobody_knows_is_refused_by_name(name: str) -> None:
    with pytest.raises(InputError, match=f"unknown structure {name!r}"):
        phase_groups(["Brain", name])
