"""The labelling interface, generated from the taxonomy: shapes beside a large image, keys without clashes.

Every structure is in every configuration, so that no prediction is ever refused; groups only choose which labels
are shown. Label Studio gives each label and choice without a key one of its own picking, tools' keys among them,
so all get one here.
"""

import xml.etree.ElementTree as ET
from collections.abc import Collection, Iterator
from string import ascii_lowercase, digits

from annotator.labelstudio.regions import BOX, ELLIPSE, IMAGE, KEYPOINT, MASK, MEASUREMENTS, PLANE, POLYGON
from annotator.taxonomy import INTERPRETATION_FIELDS, STRUCTURES, VIEWS, Group, Kind, Structure

PROMPT_POINT, PROMPT_BOX = "prompt_point", "prompt_box"
_PROMPT_CONTROLS = (
    (PROMPT_POINT, "KeyPointLabels", "Click inside (Alt: outside)"),
    (PROMPT_BOX, "RectangleLabels", "Draw a box around"),
)
PROMPTED = ("Brain",)  # what a smart tool can outline: the head network knows heads
NOTICE = "Research software - not for clinical use"

TOOL_KEYS = frozenset("behkmopruvw")  # Label Studio's own: brush, eraser, pan, key point, move, ...
# Combinations that Label Studio or the browser's own menus have.
_TAKEN = {f"shift+{key}" for key in "12r"} | {f"alt+{key}" for key in "adefhlmr"}
_ROUND = ("Brain", "cardiac", "thorax", "fetal_head")  # measured as ellipses, so the plain key draws one

# The toolbar comes after the image is fitted; room kept for it from the start keeps the whole frame in sight.
_STYLE = """
.fada-page { display: flex; align-items: flex-start; gap: 10px; }
.fada-side { flex: 0 0 210px; max-height: 84vh; overflow-y: auto; }
.fada-stage { flex: 1 1 auto; min-width: 0; padding-right: 50px; }
.fada-stage .lsf-toolbar { margin-right: -50px; }
.fada-side h1, .fada-side h2, .fada-side h3, .fada-side h4, .fada-side h5, .fada-side h6 {
  font-size: 13px !important; line-height: 1.3 !important; margin: 0 0 4px !important; font-weight: 500;
  flex-basis: 100%; }
.fada-side .lsf-labels h4 { font-size: 11px !important; margin: 4px 0 0 !important; opacity: 0.7; }
.fada-simulated h6, .fada-simulated h5, .fada-simulated h4 { color: #c62828 !important; font-weight: 700; }
.fada-notice { opacity: 0.75; }
.fada-side textarea, .fada-side .lsf-text-area { font-size: 12px !important; }
.fada-side .ant-collapse-header { padding: 4px 6px !important; }
.fada-side .ant-collapse-content-box { padding: 2px 4px 6px !important; }
"""

_TAGS = {
    ELLIPSE: "EllipseLabels",
    BOX: "RectangleLabels",
    MASK: "BrushLabels",
    POLYGON: "PolygonLabels",
    KEYPOINT: "KeyPointLabels",
}
_TITLES = {BOX: "Box", ELLIPSE: "Ellipse", MASK: "Brush", POLYGON: "Polygon", KEYPOINT: "Points"}
_KINDS = {BOX: Kind.BOX, ELLIPSE: Kind.MASK, MASK: Kind.MASK, POLYGON: Kind.MASK, KEYPOINT: Kind.KEYPOINTS}
_OPEN = (BOX, ELLIPSE)
_GROUP_TITLES = {
    Group.BRAIN: "Brain",
    Group.CARDIAC: "Heart and thorax",
    Group.NT_NASAL: "Nuchal translucency and nose",
    Group.CRL: "Crown-rump view",
    Group.ABDOMINAL_ORGANS: "Abdominal organs",
    Group.PELVIMETRY: "Intrapartum",
    Group.BODY: "Body",
    Group.CALIBRATION: "Calibration",
    Group.FIRST_TRIMESTER_BRAIN: "First-trimester brain",
}
_LOOK = {
    BOX: {"strokeWidth": "2", "fillOpacity": "0.05", "canRotate": "true"},
    ELLIPSE: {"strokeWidth": "2", "fillOpacity": "0.05", "canRotate": "true"},
    MASK: {},
    POLYGON: {"strokeWidth": "2", "fillOpacity": "0.05", "pointSize": "small"},
    KEYPOINT: {"strokeWidth": "2"},
}


def labelling_config(groups: Collection[Group] | None = None) -> str:
    """Return the XML of the labelling interface; labels of other groups than `groups` exist but are not shown."""
    shown = frozenset(Group if groups is None else groups)
    keys = _assign_keys(shown)
    root = ET.Element("View", className="fada-page")
    ET.SubElement(root, "Style").text = _STYLE
    side = ET.SubElement(root, "View", className="fada-side")
    _add_notices(side)
    _add_planes(side, keys)
    panels = ET.SubElement(side, "Collapse", accordion="false", bordered="false")
    _add_prompts(panels, keys)
    for name in _TAGS:
        _add_shape(panels, name, shown, keys)
    _add_interpretation(panels)
    stage = ET.SubElement(root, "View", className="fada-stage")
    ET.SubElement(
        stage,
        "Image",
        name=IMAGE,
        value="$image",
        zoom="true",
        zoomControl="true",
        brightnessControl="true",
        contrastControl="true",
        rotateControl="false",
        defaultZoom="fit",
        horizontalAlignment="center",
        maxWidth="100%",
    )
    ET.indent(root)
    return ET.tostring(root, encoding="unicode")


def structures_drawn_as(name: str) -> tuple[Structure, ...]:
    """Return the structures that have a label in the control `name`; in boxes all, so that any can be sent."""
    if name == BOX:
        return STRUCTURES
    return tuple(structure for structure in STRUCTURES if _KINDS[name] in structure.kinds)


def _is_shown(structure: Structure, name: str, shown: frozenset[Group]) -> bool:
    return structure.group in shown and _KINDS[name] in structure.kinds


def _add_notices(side: ET.Element) -> None:
    for name, text in (("fada-simulated", "$simulated"), ("fada-notice", NOTICE)):
        ET.SubElement(ET.SubElement(side, "View", className=name), "Header", value=text, size="6")


def _add_planes(side: ET.Element, keys: dict[tuple[str, str], str]) -> None:
    ET.SubElement(ET.SubElement(side, "View", className="fada-title"), "Header", value="Plane", size="6")
    choices = ET.SubElement(
        side, "Choices", name=PLANE, toName=IMAGE, choice="single", layout="select", required="false"
    )
    for view in VIEWS:
        hint = {"value": view.name, "hint": view.long_name, "hotkey": keys[PLANE, view.name]}
        ET.SubElement(choices, "Choice", hint)


def _add_shape(panels: ET.Element, name: str, shown: frozenset[Group], keys: dict[tuple[str, str], str]) -> None:
    panel = ET.SubElement(panels, "Panel", value=_TITLES[name], open="true" if name in _OPEN else "false")
    named = {"name": name, "toName": IMAGE, "choice": "single"}
    control = ET.SubElement(panel, _TAGS[name], {**named, **_LOOK[name]})
    headed = None
    for structure in sorted(structures_drawn_as(name), key=lambda item: list(Group).index(item.group)):
        is_shown = _is_shown(structure, name, shown)
        if name == BOX and is_shown and structure.group != headed:
            headed = structure.group
            ET.SubElement(control, "Header", value=_GROUP_TITLES[headed], size="6")
        label = _add_label(control, structure, keys[name, structure.name])
        if not is_shown:
            label.set("visible", "false")


def _add_label(control: ET.Element, structure: Structure, key: str) -> ET.Element:
    hint = structure.long_name[:1].upper() + structure.long_name[1:]
    attributes = {"value": structure.name, "background": structure.colour, "hotkey": key, "hint": hint}
    return ET.SubElement(control, "Label", attributes)


def _add_interpretation(panels: ET.Element) -> None:
    """The eight fields, each one text that can be corrected, and what the model's outlines measure."""
    panel = ET.SubElement(panels, "Panel", value="Interpretation", open="true")
    for name in (*INTERPRETATION_FIELDS, MEASUREMENTS):
        title = name.replace("_", " ").capitalize()
        ET.SubElement(ET.SubElement(panel, "View", className="fada-title"), "Header", value=title, size="6")
        can_edit = "false" if name == MEASUREMENTS else "true"
        text = {"name": name, "toName": IMAGE, "maxSubmissions": "1", "editable": can_edit, "rows": "2"}
        ET.SubElement(panel, "TextArea", text)


def _add_prompts(panels: ET.Element, keys: dict[tuple[str, str], str]) -> None:
    """Smart tools: a click or a box goes to the ML backend, which answers with an outline."""
    panel = ET.SubElement(panels, "Panel", value="Smart tools", open="true")
    for name, tag, title in _PROMPT_CONTROLS:
        smart = {"name": name, "toName": IMAGE, "smart": "true", "smartOnly": "true", "choice": "single"}
        control = ET.SubElement(panel, tag, smart)
        ET.SubElement(control, "Header", value=title, size="6")
        for structure in STRUCTURES:
            if structure.name in PROMPTED:
                _add_label(control, structure, keys[name, structure.name])


def _assign_keys(shown: frozenset[Group]) -> dict[tuple[str, str], str]:
    """Give each (control, label) its own key: the taxonomy's where it is free, then ever longer combinations."""
    wanted = {
        (main_shape(structure), structure.name): structure.hotkey
        for structure in STRUCTURES
        if structure.hotkey and structure.hotkey not in TOOL_KEYS and structure.group in shown
    }
    free = _free_keys(frozenset(key for key in wanted.values() if key))
    rest = [pair for pair in _by_need(shown) if pair not in wanted]
    return {**{pair: str(key) for pair, key in wanted.items()}, **dict(zip(rest, free, strict=False))}


def main_shape(structure: Structure) -> str:
    """Return the control that a structure is drawn with first."""
    if Kind.KEYPOINTS in structure.kinds:
        return KEYPOINT
    return ELLIPSE if structure.name in _ROUND else BOX


def _by_need(shown: frozenset[Group]) -> list[tuple[str, str]]:
    """All (control, label) pairs: what is drawn most, other shapes, what is not shown, views."""
    pairs = [(name, structure) for name in _TAGS for structure in structures_drawn_as(name)]
    pairs.sort(key=lambda pair: (not _is_shown(pair[1], pair[0], shown), pair[0] != main_shape(pair[1])))
    shapes = [(name, structure.name) for name, structure in pairs]
    prompts = [(name, label) for name in (PROMPT_POINT, PROMPT_BOX) for label in PROMPTED]
    return shapes + prompts + [(PLANE, view.name) for view in VIEWS]


def _free_keys(used: frozenset[str]) -> Iterator[str]:
    plain = "1234567890" + "qtasdfgzxcyijln"
    yield from (key for key in plain if key not in used | TOOL_KEYS)
    for modifiers in ("shift", "alt", "alt+shift", "ctrl+alt", "ctrl+alt+shift"):
        for letter in ascii_lowercase + digits:
            if (key := f"{modifiers}+{letter}") not in _TAKEN:
                yield key
