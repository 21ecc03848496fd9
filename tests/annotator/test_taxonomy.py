"""The taxonomy: ids that left the tool once never change, every label is unique, colours can be told apart."""

from itertools import combinations

import cv2
import numpy as np
import pytest

from annotator import schema, taxonomy

# Every data set that was ever exported relies on these: a new structure goes to the end, nothing else changes.
FROZEN_IDS = {
    1: "Brain", 2: "CSP", 3: "LV", 4: "cardiac", 5: "thorax", 6: "NT", 7: "nasal_bone", 8: "nasal_skin",
    9: "nasal_tip", 10: "CRL", 11: "B", 12: "H", 13: "NB", 14: "artery", 15: "vein", 16: "liver", 17: "stomach",
    18: "fetal_head", 19: "pubic_symphysis", 20: "abdomen", 21: "arm", 22: "head", 23: "legs", 24: "AB", 25: "C",
    26: "DP", 27: "G", 28: "MDS", 29: "MLS", 30: "MX", 31: "NTAPS", 32: "RBP", 33: "ScaleBar", 34: "CRL_KP",
    35: "NTKpoints", 36: "ScaleBarKpoints", 37: "thalami", 38: "midbrain", 39: "palate", 40: "IT", 41: "CM",
}  # fmt: skip

FADA_STRUCTURES = {
    "Brain", "CSP", "LV", "cardiac", "thorax", "NT", "nasal_bone", "nasal_skin", "nasal_tip", "CRL", "B", "H",
    "NB", "artery", "vein", "liver", "stomach", "fetal_head", "pubic_symphysis", "abdomen", "arm", "head",
    "legs", "AB", "C", "DP", "G", "MDS", "MLS", "MX", "NTAPS", "RBP", "ScaleBar",
}  # fmt: skip
FADA_KEYPOINTS = {"CRL_KP", "NTKpoints", "ScaleBarKpoints"}
FADA_MASKS = {
    "Brain", "cardiac", "thorax", "NT", "artery", "vein", "liver", "stomach", "fetal_head", "pubic_symphysis",
}  # fmt: skip
FADA_VIEWS = {
    "Abdomen", "Aorta", "CRL-View", "Cervical", "Cervix", "Femur", "NT-View", "Standard_NT", "Non_standard_NT",
    "Public_Symphysis_fetal_head", "Thorax", "Trans-cerebellum", "Trans-thalamic", "Trans-ventricular", "huvf",
    "huvb", "hdvf", "hdvb", "legs", "arms", "abdomen", "head", "Abd_plane", "AC_PLANE", "BPD_PLANE", "FL_PLANE",
    "FL", "NO_PLANE", "Flows", "V sign", "X sign", "liver", "Other",
}  # fmt: skip


def test_coco_ids_never_change() -> None:
    ids = {item.coco_id: item.name for item in taxonomy.STRUCTURES}
    assert {coco_id: ids.get(coco_id) for coco_id in FROZEN_IDS} == FROZEN_IDS


def test_ids_count_up_from_one_without_gaps() -> None:
    assert [item.coco_id for item in taxonomy.STRUCTURES] == list(range(1, len(taxonomy.STRUCTURES) + 1))


def test_all_of_fadas_structures_and_keypoint_sets_are_there() -> None:
    assert len(FADA_STRUCTURES) == 33
    assert {item.name for item in taxonomy.STRUCTURES if item.is_fada} == FADA_STRUCTURES | FADA_KEYPOINTS


def test_structures_that_fada_outlines_can_be_outlined_here() -> None:
    assert {item.name for item in taxonomy.structures_of_kind(taxonomy.Kind.MASK)} == FADA_MASKS


def test_keypoint_structures_name_their_two_points() -> None:
    assert {item.name for item in taxonomy.structures_of_kind(taxonomy.Kind.KEYPOINTS)} == FADA_KEYPOINTS
    assert set(taxonomy.KEYPOINT_NAMES) == FADA_KEYPOINTS
    assert all(len(names) == 2 for names in taxonomy.KEYPOINT_NAMES.values())


def test_the_structures_of_the_first_trimester_data_are_there() -> None:
    wanted = {"NT", "nasal_bone", "nasal_skin", "nasal_tip", "palate", "thalami", "midbrain", "IT", "CM"}
    assert wanted <= {item.name for item in taxonomy.structures_of_kind(taxonomy.Kind.BOX)}


def test_all_of_fadas_views_are_there() -> None:
    assert {view.name for view in taxonomy.VIEWS} >= FADA_VIEWS | {taxonomy.FIRST_TRIMESTER_PLANE}
    assert all(taxonomy.is_view(name) for name in (*taxonomy.BRAIN_PLANES, taxonomy.OTHER_PLANE))


@pytest.mark.parametrize("attribute", ["name", "long_name", "colour", "coco_id"])
def test_no_two_structures_share(attribute: str) -> None:
    values = [getattr(item, attribute) for item in taxonomy.STRUCTURES]
    assert len(set(values)) == len(values)


def test_no_two_views_share_a_name() -> None:
    assert len({view.name for view in taxonomy.VIEWS}) == len(taxonomy.VIEWS)
    assert len({view.long_name for view in taxonomy.VIEWS}) == len(taxonomy.VIEWS)


def test_hotkeys_are_single_keys_and_none_is_given_twice() -> None:
    keys = [item.hotkey for item in taxonomy.STRUCTURES if item.hotkey is not None]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 1 and key.isalnum() and key.islower() | key.isdigit() for key in keys)


def lab(colour: str) -> np.ndarray:
    rgb = np.array([[[int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]]], np.float32)
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)[0, 0])


def distance(first: taxonomy.Structure, second: taxonomy.Structure) -> float:
    """CIE 1976 colour difference; about 2.3 is the least that an eye notices side by side."""
    return float(np.linalg.norm(lab(first.colour) - lab(second.colour)))


def test_every_colour_can_be_told_from_every_other() -> None:
    closest = min(combinations(taxonomy.STRUCTURES, 2), key=lambda pair: distance(*pair))
    assert distance(*closest) > 5.0, [item.name for item in closest]


def test_structures_of_one_group_are_clearly_different_in_colour() -> None:
    for first, second in combinations(taxonomy.STRUCTURES, 2):
        if first.group == second.group:
            assert distance(first, second) > 10.0, (first.name, second.name)


def test_colours_are_visible_on_black() -> None:
    assert all(lab(item.colour)[0] > 25 for item in taxonomy.STRUCTURES)


def test_the_interpretation_has_the_eight_fields() -> None:
    assert tuple(schema.Interpretation.model_fields) == taxonomy.INTERPRETATION_FIELDS
    assert len(taxonomy.INTERPRETATION_FIELDS) == 8


def test_looking_a_label_up_finds_it_or_names_it() -> None:
    assert taxonomy.structure("CSP").coco_id == 2
    assert taxonomy.view("BPD_PLANE").family is taxonomy.Family.BRAIN
    with pytest.raises(KeyError, match="csp"):
        taxonomy.structure("csp")
    with pytest.raises(KeyError, match="Moon"):
        taxonomy.view("Moon")
    assert not taxonomy.is_structure("")
    assert not taxonomy.is_view("trans-thalamic")
