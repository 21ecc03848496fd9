"""The model card, written from model.json so that its figures are those that were measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backends.embedded.model import WEIGHT_FILES

_CARD = """# Model card: the embedded model

Small networks, trained from scratch, that pre-annotate fetal ultrasound frames on a laptop. **Research and
development only: not a medical device, not for clinical use.** A sonographer checks everything it says.

## What it gives
- The plane of a frame: {planes}, first-trimester mid-sagittal, or other.
- The head as an ellipse and its mask, `Brain`. As in HC18 this is the outer skull, not brain tissue.
- Boxes of nine first-trimester structures, at most one each: {structures}.

## What the scores mean
They are calibrated on the validation split; planes also on the training frames that each member of the ensemble
left out.
- Box: the probability that it matches a sonographer's box of that structure with IoU >= 0.5.
- Head: the probability that its mask reaches Dice >= 0.95 with a sonographer's ellipse.
- Plane: the probability that the named plane is the right one.

## Data
{frames} All are released under CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/); frames were resized.
- HC18: van den Heuvel, de Bruijn, de Korte, van Ginneken. "Automated measurement of fetal head circumference using
  2D ultrasound images", PLoS ONE 13(8): e0200412 (2018), doi:10.1371/journal.pone.0200412; data
  doi:10.5281/zenodo.1322001.
- Dataset for Fetus Framework: Cui, Dong (2022), Mendeley Data V1, doi:10.17632/n2rbrb9t4f.1.
- FETAL_PLANES_DB: Burgos-Artizzu, Coronado-Gutierrez, Valenzuela-Alcaraz, Bonet-Carne, Eixarch, Crispi, Gratacos,
  Scientific Reports 10, 10200 (2020), doi:10.1038/s41598-020-67076-5; data doi:10.5281/zenodo.3904280, by way of
  Alzubaidi et al. (2023), doi:10.5281/zenodo.8265464.

No weights from elsewhere were used. The weights are under the licence of this repository.

## Networks
{networks}
Head: a U-Net at {head_size} with a classifier of the kind of frame; the ellipse is fitted to its map by least
squares. Boxes: centre heat maps and sides at {box_size}, stride 4. Planes: the head is laid straight by its
ellipse and read by {members} pairs of a small network, started from the head's encoder, and a linear rule over
oriented gradients; each pair was trained without a fold of the subjects. Every answer is averaged over the frame
and its mirror image.

## Figures on the validation split
Other subjects than those trained on. 95 % intervals from resampling subjects; n counts frames, for single
structures boxes.

| figure | value | 95 % interval | n |
|---|---|---|---|
{table}

{milliseconds} ms a frame for everything, while measuring.

## Limits
- "Other" was learnt from made frames only (patches of texture, scrambled tiles, grain, drawings): real views of
  other anatomy were never seen and may well be taken for a head or a profile.
- The planes were learnt from {plane_frames} frames of few patients; transthalamic and transventricular planes
  pass into each other and are confused most. 27 validation frames cannot tell variants of the ensemble apart, and
  averaging its probabilities was settled on with their figure known (averaging logits: one frame fewer): trust
  the figure on subjects that were left out.
- Heads of the first trimester are rare in HC18; where the skull is hardly echogenic the outline can be far off.
- Few hospitals and mostly one maker's machines; no abnormal anatomy was selected; no twins.
- Head ellipses follow the outer skull also where shadow or the sector's edge hides it: there they are a guess.
- Absent nasal bone is a clinical finding; a missing box here is none.

Trained with seed {seed}, torch {torch}, {threads} thread(s), by `annotator train embedded --data DIR`.
"""


def model_card(description: dict[str, Any], folder: Path) -> str:
    """Markdown from a complete model.json and the weight files in `folder`."""
    frames = description["frames"]
    sizes = {name: (folder / name).stat().st_size / 1e6 for name in WEIGHT_FILES}
    listed = ", ".join(f"`{name}` {size:.2f} MB" for name, size in sizes.items())
    return _CARD.format(
        planes=", ".join(description["planes"]["planes"]),
        structures=", ".join(description["boxes"]["structures"]),
        frames="Trained on " + ", ".join(f"{count} frames of {source}" for source, count in frames.items()) + ".",
        networks=f"{listed}; {sum(sizes.values()):.2f} MB together.",
        head_size=_size(description["head"]),
        box_size=_size(description["boxes"]),
        members=description["planes"]["members"],
        table="\n".join(_rows(description["validation"], description["cross_validation"])),
        milliseconds=description["validation"]["milliseconds_per_frame"],
        plane_frames=frames.get("brain_planes", 0),
        **{key: description[key] for key in ("seed", "torch", "threads")},
    )


def _size(network: dict[str, Any]) -> str:
    width, height = network["size_wh"]
    return f"{width} x {height}"


def _rows(figures: dict[str, Any], crossed: dict[str, Any]) -> list[str]:
    named = {
        "head Dice, mean per frame": figures["head_dice"],
        "accuracy among the brain planes": figures["brain_plane_accuracy"],
        "the same, single pairs on training subjects they never saw": crossed,
        "accuracy, brain or first trimester": figures["brain_or_first_trimester_accuracy"],
        **{f"AP@.50 {name}": figure for name, figure in figures["ap50"].items()},
    }
    return [_row(name, figure) for name, figure in named.items() if figure["n"]]


def _row(name: str, figure: dict[str, Any]) -> str:
    interval = " to ".join(f"{bound:.3f}" for bound in figure.get("interval_95", ()))
    return f"| {name} | {figure['value']:.4f} | {interval} | {figure['n']} |"
