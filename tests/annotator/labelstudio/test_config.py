"""The labelling interface: every structure drawable, every key its own, nothing that Label Studio would refuse."""

import xml.etree.ElementTree as ET
from collections import Counter

import pytest
from label_studio_sdk.label_interface.interface import LabelInterface

from annotator import taxonomy
from annotator.labelstudio.config import NOTICE, TOOL_KEYS, labelling_config
from annotator.taxonomy import Group, Kind

GROUPS = (Group.BRAIN, Group.NT_NASAL)
CONTROLS = {
    "box": ("RectangleLabels", Kind.BOX),
    "ellipse": ("EllipseLabels", Kind.MASK),
    "mask": ("BrushLabels", Kind.MASK),
    "polygon": ("PolygonLabels", Kind.MASK),
    "keypoint": ("KeyPointLabels", Kind.KEYPOINTS),
}


def the_page(groups: tuple[Group, ...] | None = None) -> ET.Element:
    return ET.fromstring(labelling_config(groups))


def the_control(page: ET.Element, name: str) -> ET.Element:
    (found,) = [element for element in page.iter() if element.get("name") == name]
    return found


def shown_labels(page: ET.Element, name: str) -> set[str]:
    return {str(label.get("value")) for label in the_control(page, name).iter("Label") if not label.get("visible")}


@pytest.mark.parametrize("groups", [None, GROUPS, ()])
def test_label_studio_accepts_it(groups: tuple[Group, ...] | None) -> None:
    LabelInterface(labelling_config(groups)).validate()


@pytest.mark.parametrize("name", CONTROLS)
def test_the_structures_of_each_kind_have_a_label(name: str) -> None:
    tag, kind = CONTROLS[name]
    page = the_page()
    assert the_control(page, name).tag == tag
    assert shown_labels(page, name) == {structure.name for structure in taxonomy.structures_of_kind(kind)}


def test_only_chosen_groups_are_shown_but_all_structures_exist() -> None:
    page = the_page(GROUPS)
    chosen = {item.name for item in taxonomy.structures_of_kind(Kind.BOX) if item.group in GROUPS}
    assert shown_labels(page, "box") == chosen
    everything = [label.get("value") for label in the_control(page, "box").iter("Label")]
    assert sorted(map(str, everything)) == sorted(item.name for item in taxonomy.STRUCTURES)


def test_labels_have_the_colour_of_the_taxonomy_and_the_long_name_as_a_hint() -> None:
    for label in the_page().iter("Label"):
        structure = taxonomy.structure(str(label.get("value")))
        assert label.get("background") == structure.colour
        assert str(label.get("hint")).lower() == structure.long_name.lower()


@pytest.mark.parametrize("groups", [None, GROUPS])
def test_every_label_and_choice_has_a_key_of_its_own_that_no_tool_has(groups: tuple[Group, ...] | None) -> None:
    elements = [element for element in the_page(groups).iter() if element.tag in ("Label", "Choice")]
    keys = [element.get("hotkey") for element in elements]
    assert None not in keys
    assert max(Counter(keys).values()) == 1
    assert not TOOL_KEYS & set(keys)


def test_the_keys_of_the_taxonomy_are_kept_where_they_are_free() -> None:
    keys = {label.get("value"): label.get("hotkey") for label in the_control(the_page(), "ellipse").iter("Label")}
    assert keys["Brain"] == "1"
    keys = {label.get("value"): label.get("hotkey") for label in the_control(the_page(), "box").iter("Label")}
    assert (keys["CSP"], keys["LV"], keys["NT"]) == ("2", "3", "4")
    assert len(str(keys["CRL"])) == 1  # its own key is the eraser's


def test_all_views_can_be_chosen() -> None:
    choices = [choice.get("value") for choice in the_control(the_page(), "plane").iter("Choice")]
    assert choices == [view.name for view in taxonomy.VIEWS]


@pytest.mark.parametrize("name", ["prompt_point", "prompt_box"])
def test_smart_tools_ask_for_the_head(name: str) -> None:
    control = the_control(the_page(), name)
    assert (control.get("smart"), control.get("smartOnly")) == ("true", "true")
    assert shown_labels(the_page(), name) == {"Brain"}


def test_the_image_can_be_zoomed_and_brightened_but_not_turned() -> None:
    image = the_control(the_page(), "image")
    assert image.get("value") == "$image"
    wanted = {"zoom": "true", "brightnessControl": "true", "contrastControl": "true", "rotateControl": "false"}
    assert {key: image.get(key) for key in wanted} == wanted


def test_the_page_says_that_it_is_research_software_and_when_a_frame_is_simulated() -> None:
    texts = [header.get("value") for header in the_page().iter("Header")]
    assert NOTICE in texts
    assert "$simulated" in texts


def test_it_is_the_same_every_time_so_that_connecting_again_changes_nothing() -> None:
    assert labelling_config() == labelling_config()
