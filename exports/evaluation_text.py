"""An evaluation in words: what is wrong with the run first, then every figure with its n and interval."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from exports.fada_table_text import aligned, interval, value

_BLOCKS = {
    "detection": "Detection (boxes)",
    "segmentation": "Segmentation",
    "mask_precision": "Detection (masks, by pycocotools)",
    "classification": "Views",
    "keypoints": "Keypoints",
    "json_compliance": "JSON compliance",
    "time": "Seconds a frame",
}
# Shown in a table of its own, or only in the JSON document.
_APART = (
    "per_structure",
    "ties",
    "confidences",
    "views",
    "confusion",
    "conventions",
    "commonest_confusions",
    "noted_by_the_parser",
)
_OF_A_STRUCTURE = {
    "detection": ("ap", "ap50", "f1_50"),
    "segmentation": (
        *("dice_macro_fada", "dice_macro_monai", "iou_macro_fada", "hd95_mm", "hd95_px", "surface_dice_mm"),
        *("surface_dice_px", "added_path_length_mm", "added_path_length_px"),
    ),
    "keypoints": ("oks", "distance_px", "distance_mm"),
}


def as_text(document: Mapping[str, Any]) -> str:
    """Lines of alarms, the facts of the run, this tool's own figures, and a table for each kind of figure."""
    lines = list(document.get("sanity", {}).get("alarms", []))
    facts = {name: one for name, one in document.items() if not isinstance(one, dict | list)}
    lines += [f"{name}: {_plain(one)}" for name, one in facts.items() if one is not None]
    own = {
        name: one for name, one in document.items() if isinstance(one, dict) and name not in (*_BLOCKS, "sanity")
    }
    lines += ["", *_table(own)] if own else []
    for name, title in _BLOCKS.items():
        if block := document.get(name):
            lines += [
                "",
                _heading(title, block),
                *_ties(block),
                *_table(block),
                *_of_structures(block, _OF_A_STRUCTURE.get(name, ())),
            ]
            lines += [
                f"  {one['reference']} taken for {one['said']}: {one['n']:,}"
                for one in block.get("commonest_confusions", [])
            ]
    return "\n".join(lines).strip()


def _heading(title: str, block: Mapping[str, Any]) -> str:
    """The title with the facts of the block that are no figures."""
    facts = [f"{name} {_plain(one)}" for name, one in _leaves(block) if not isinstance(one, dict)]
    return f"{title}: {', '.join(facts)}" if facts else title


def _ties(block: Mapping[str, Any]) -> list[str]:
    ties = block.get("ties", {})
    if not ties.get("detections"):
        return []
    share = f"{ties['detections']:,} of {block['detections']:,} detections share their score with another"
    return [f"  {share}; {ties['rule']}; {ties['orders_tried']} other orders were tried"]


def _table(block: Mapping[str, Any]) -> list[str]:
    rows = [
        [f"  {name}", value(one), interval(one), f"n = {one['n']:,}", _subjects(one), _orders(one)]
        for name, one in _leaves(block)
        if isinstance(one, dict)
    ]
    return aligned(rows) if rows else []


def _leaves(block: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Every figure and fact below a block by its path; figures are dictionaries with a value."""
    for name, one in block.items():
        if name in _APART:
            continue
        path = f"{prefix} {name}".strip()
        if isinstance(one, dict) and "value" not in one:
            yield from _leaves(one, path)
        elif not isinstance(one, list):
            yield path, one


def _of_structures(block: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    per_structure = block.get("per_structure", {})
    shown = [name for name in names if any(name in figures for figures in per_structure.values())]
    if not shown:
        return []
    rows = [["  structure", *shown]]
    for structure, figures in per_structure.items():
        rows.append([f"  {structure}", *(_cell(figures.get(name)) for name in shown)])
    return ["", *aligned(rows)]


def _cell(figure: Mapping[str, Any] | None) -> str:
    return f"{value(figure)} ({interval(figure)}) {figure['n']:,}" if figure else "-"


def _subjects(figure: Mapping[str, Any]) -> str:
    return f"{figure['subjects']:,} subjects" if "subjects" in figure else ""


def _orders(figure: Mapping[str, Any]) -> str:
    spread = figure.get("over_orders")
    return f"ties in other orders {spread['lowest']:.4f}-{spread['highest']:.4f}" if spread else ""


def _plain(one: Any) -> str:
    return f"{one:.4g}" if isinstance(one, float) else f"{one:,}" if type(one) is int else str(one)
