"""Recognises the labels and keys that a model spells nearly right."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from backends.parsing.issues import IssueLog, Reason, RejectedError
from backends.parsing.json_repair import Kind, Node

BOX_KEYS = ("bbox_2d", "box_2d")
LABEL_KEYS = ("label", "class", "class_name", "name", "structure", "view", "plane")
MASK_KEYS = ("mask", "polygon", "segmentation", "outline", "contour")
POINTS_KEYS = ("keypoints", "keypoint", "points")
_IGNORED = re.compile(r"[\s_\-\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+")


def plain(text: str) -> str:
    """Fold what does not tell labels apart: case, spaces, underscores, hyphens, width, invisible marks.

    >>> plain(" Nasal-Bone ") == plain("nasal_bone")
    True
    """
    return _IGNORED.sub("", unicodedata.normalize("NFKC", text)).casefold()


_PLAIN_KEYS = {plain(key): family[0] for family in (BOX_KEYS, LABEL_KEYS, MASK_KEYS, POINTS_KEYS) for key in family}


def finding_key(key: str) -> str | None:
    """Return which part of a finding a key stands for, by its first spelling; None for any other key.

    >>> finding_key("box_2d"), finding_key("Label"), finding_key("confidence")
    ('bbox_2d', 'label', None)
    """
    return _PLAIN_KEYS.get(plain(key))


def read_label(node: Node, asked: Sequence[str], known: Iterable[str], log: IssueLog) -> str:
    """Return the asked label that a value spells; RejectedError says what is wrong with any other."""
    if node.cut:
        raise RejectedError(Reason.OBJECT_CUT)
    if node.kind not in (Kind.STRING, Kind.WORD):
        raise RejectedError(Reason.LABEL_MALFORMED)
    label = str(node.value)
    if label in asked:
        return label
    if label in known:
        raise RejectedError(Reason.LABEL_NOT_ASKED)
    near = [name for name in dict.fromkeys(asked) if plain(name) == plain(label)]
    if len(near) > 1:
        raise RejectedError(Reason.LABEL_UNCLEAR)
    if not near:
        is_known = plain(label) in {plain(name) for name in known}
        raise RejectedError(Reason.LABEL_NOT_ASKED if is_known else Reason.LABEL_UNKNOWN)
    log.add(Reason.LABEL_VARIANT, node.start, node.stop)
    return near[0]


def parts_of(node: Node, log: IssueLog, wanted: Sequence[str]) -> dict[str, Node]:
    """Sort an object's values by what they stand for; a key that was not asked for is noted and left out.

    RejectedError where one part stands there twice with different values.
    """
    parts: dict[str, Node] = {}
    for key, value in node.pairs():
        part = finding_key(key)
        is_variant = key != part and key not in BOX_KEYS
        if part is None or part not in wanted or (is_variant and part in node.keys):
            log.add_text(Reason.UNASKED_KEY, key)
            continue
        if is_variant:
            log.add_text(Reason.KEY_VARIANT, key)
        if part in parts and not same_value(parts[part], value):
            raise RejectedError(Reason.DUPLICATE_KEY)
        parts.setdefault(part, value)
    return parts


def same_value(first: Node, second: Node) -> bool:
    """Tell whether two values are equal, wherever they stand."""
    if (first.kind, first.value, first.keys) != (second.kind, second.value, second.keys):
        return False
    pairs = zip(first.items, second.items, strict=False)
    return len(first.items) == len(second.items) and all(same_value(*pair) for pair in pairs)
