"""The model card of a fine-tuned version: what it learnt since its parent, and then the parent's own card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_CARD = """# Model card: the embedded model, fine-tuned on corrections

**Research and development only: not a medical device, not for clinical use.** Made by `annotator train embedded`
from {parent} (content hash {parent_hash}) and the corrections in a data set of hash {data}.

## What it learnt from
{frames}

Networks that are not named here are the parent's, bit by bit. Left out: {left_out}.

## Against forgetting
Half of every batch were simulated frames and made negatives, on which the parent's answers were the target; the
weights were held near the parent's, and the statistics of its norms were kept.

## Scores
{scores}

## Figures on the validation split of the corrections
{figures}

Whether it is better than its parent on other frames is for the promotion to find out: nothing here says so.

Seed {seed}, Python {python}, torch {torch}, {threads} thread(s).

---

The card of the model it started from follows; its figures are of that model, not of this one.

{parent_card}"""


def fine_tune_card(lineage: Mapping[str, Any], parent_card: str) -> str:
    """Markdown from the `fine_tuned` part of model.json and the parent's card."""
    calibrated, left_out = lineage["calibrated"], lineage["left_out"]
    kept = "Kept from the parent: the validation split was too small to fit them anew."
    return _CARD.format(
        parent=lineage["parent"]["name"],
        parent_hash=lineage["parent"]["content_hash"],
        data=lineage["data"],
        frames="\n".join(f"- {name}: {count} corrected frames" for name, count in lineage["frames"].items()),
        left_out="; ".join(f"{count} x {what}" for what, count in left_out.items()) or "nothing",
        scores=f"Fitted anew on the validation split: {', '.join(calibrated)}." if calibrated else kept,
        figures=_figures(lineage.get("validation")),
        seed=lineage["seed"],
        **lineage["environment"],
        parent_card=parent_card,
    )


def _figures(validation: Mapping[str, Any] | None) -> str:
    if not validation:
        return "None: the data set holds no validation frames."
    old, new = (_flat(validation[name]) for name in ("old", "new"))
    rows = [f"| {name} | {old[name]:.4f} | {new[name]:.4f} |" for name in new if name in old]
    return "\n".join(["| figure | parent | this |", "|---|---|---|", *rows])


def _flat(figures: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Every figure that has a value, by its name."""
    flat: dict[str, float] = {}
    for name, figure in figures.items():
        if "value" in figure:
            flat[f"{prefix}{name.replace('_', ' ')}"] = figure["value"]
        elif isinstance(figure, Mapping) and "n" not in figure:
            flat |= _flat(figure, "AP at IoU .50, ")
    return flat
