"""One annotation of a COCO file -> a Finding; every oddity is counted, and nothing in it can crash the reading."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from annotator import taxonomy
from annotator.geometry import clip_box_xyxy, rle_to_box_xyxy
from annotator.schema import BoxXyxy, Ellipse, Finding, Keypoint, MaskRle, Origin, RotatedBox
from exports.coco_masks import read_mask

Id = int | str | None


def id_of(value: Any) -> Id:
    """Return a value that identifies something, or None; whole numbers may come as floats."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int | str) else None


def excerpt(value: Any) -> str:
    """Return a value as it may be shown in a line."""
    return repr(value)[:80]


def dictionary(value: Any) -> dict[str, Any]:
    """Return `value` where it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def _plain(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())


_SPELLINGS = {_plain(item.long_name): item.name for item in taxonomy.STRUCTURES} | {
    _plain(item.name): item.name for item in taxonomy.STRUCTURES
}


def structure_named(name: str) -> str | None:
    """Return the structure that a category's name means, however it is spelt; None where nobody knows it.

    >>> structure_named("Nasal Bone"), structure_named("cavum septi pellucidi"), structure_named("kidney")
    ('nasal_bone', 'CSP', None)
    """
    return name if taxonomy.is_structure(name) else _SPELLINGS.get(_plain(name))


def read_finding(
    annotation: Mapping[str, Any], names: Mapping[Id, str], size_wh: tuple[int, int], oddities: Counter[str]
) -> Finding | None:
    """Return what an annotation says, or None where it cannot be used; `names` maps category ids to names."""
    category_id = annotation.get("category_id")
    name = names.get(id_of(category_id), f"category {category_id}")
    structure = structure_named(name)
    if structure is None:
        oddities[f"unknown structure {excerpt(name)}"] += 1
        return None
    if structure != name:
        oddities[f"category {excerpt(name)} taken as {structure}"] += 1
    _note_marks(annotation, oddities)
    try:
        return _finding(annotation, structure, size_wh, oddities)
    except (ValidationError, ValueError, TypeError, LookupError, ArithmeticError) as error:
        oddities[f"unusable annotation of {structure}: {first_line(error)}"] += 1
        return None


def _note_marks(annotation: Mapping[str, Any], oddities: Counter[str]) -> None:
    if annotation.get("iscrowd"):
        oddities["annotation marked iscrowd, taken as one object"] += 1
    if annotation.get("ignore"):
        oddities["annotation marked ignore, taken all the same"] += 1
    if id_of(annotation.get("id")) == 0:
        oddities["annotation with id 0, which pycocotools takes for no match"] += 1


def _finding(
    annotation: Mapping[str, Any], structure: str, size_wh: tuple[int, int], oddities: Counter[str]
) -> Finding:
    attributes = dictionary(annotation.get("attributes"))
    is_ours = isinstance(attributes.get("finding_id"), str)
    mask = read_mask(annotation.get("segmentation"), size_wh, oddities, ours=is_ours)
    keypoints = _read_keypoints(annotation, attributes, structure)
    finding = Finding(
        structure=structure,
        box_xyxy=_read_box(annotation, attributes, mask, keypoints),
        mask_rle=mask,
        ellipse=Ellipse(**attributes["ellipse"]) if "ellipse" in attributes else None,
        rotated_box=RotatedBox(**attributes["rotated_box"]) if "rotated_box" in attributes else None,
        keypoints=keypoints,
        score=annotation.get("score"),
        removed_mass=attributes.get("removed_mass"),
        origin=Origin(attributes.get("origin", Origin.MANUAL)),
        parent_finding_id=attributes.get("parent_finding_id"),
        **({"finding_id": attributes["finding_id"]} if is_ours else {}),
    )
    return finding if is_ours else _within(finding, size_wh, oddities)


def _within(finding: Finding, size_wh: tuple[int, int], oddities: Counter[str]) -> Finding:
    """Cut a box of others to the image, and say so; half a pixel is how others count, and no news.

    Raises ValueError where it lies outside of the image altogether.
    """
    x_min, y_min, x_max, y_max = finding.box_xyxy
    if x_min > size_wh[0] or y_min > size_wh[1] or x_max < 0 or y_max < 0:
        raise ValueError("bbox outside of the image")
    clipped = clip_box_xyxy(finding.box_xyxy, size_wh)
    if clipped == finding.box_xyxy:
        return finding
    if any(abs(one - other) > 0.5 for one, other in zip(clipped, finding.box_xyxy, strict=True)):
        oddities["bbox reaching out of the image, cut off at its edge"] += 1
    return finding.model_copy(update={"box_xyxy": clipped})


def _read_box(
    annotation: Mapping[str, Any],
    attributes: Mapping[str, Any],
    mask: MaskRle | None,
    keypoints: tuple[Keypoint, ...],
) -> BoxXyxy:
    if "box_xyxy" in attributes:
        x_min, y_min, x_max, y_max = attributes["box_xyxy"]
        return (x_min, y_min, x_max, y_max)
    if mask is not None:
        return rle_to_box_xyxy(mask)
    if not isinstance(annotation.get("bbox"), list):
        if not keypoints:
            raise ValueError("neither a bbox nor a segmentation")
        xs, ys = [point.x for point in keypoints], [point.y for point in keypoints]
        return (min(xs), min(ys), max(xs), max(ys))
    x, y, width, height = (float(value) for value in annotation["bbox"])
    return (x, y, x + width, y + height)


def _read_keypoints(
    annotation: Mapping[str, Any], attributes: Mapping[str, Any], structure: str
) -> tuple[Keypoint, ...]:
    flat = annotation.get("keypoints")
    if not flat:
        return ()
    names = attributes.get("keypoint_names") or taxonomy.KEYPOINT_NAMES.get(structure, ())
    triples = [flat[start : start + 3] for start in range(0, len(flat), 3)]
    return tuple(
        Keypoint(name=names[place] if place < len(names) else str(place + 1), x=x, y=y, visibility=visibility)
        for place, (x, y, visibility) in enumerate(triples)
    )


def first_line(error: Exception) -> str:
    """Return what an error says first."""
    if isinstance(error, ValidationError):
        return str(error.errors()[0]["msg"])
    return (str(error).splitlines() or [type(error).__name__])[0]
