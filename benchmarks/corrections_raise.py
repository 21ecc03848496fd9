"""Do corrections on 60 frames of a kind that the embedded model does badly raise it there, and nowhere lower it?

python -m benchmarks.corrections_raise --data DIR [--kind heads|profiles] [--look LOOK] [--out DIR]

DIR holds the development data (hc18, fetus_nt, brain_planes, each with `annotations.json`). The kind is made:
frames as a machine with its gain turned up shows them, black lifted to gray and little range left. 60 frames of
that kind from 60 subjects of the split `train` get their truth as corrections in a workspace, which is exported as
a data set and learnt from. Old and new version are then compared, paired by frame and by subject, on the subjects
of the split `val`: on that kind, which must rise, and on the frames as they are, which must not fall by more than
the margins.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from annotator.commands.datasets import export_dataset
from annotator.frames import FrameFacts, make_frame, save_pixels
from annotator.geometry import mask_to_rle, rle_to_box_xyxy
from annotator.learning import Margins
from annotator.schema import Correction, Finding, Frame, LoadedFrame, Origin
from annotator.store import Store
from annotator.taxonomy import FIRST_TRIMESTER_PLANE
from backends.embedded import HEAD, SHIPPED_WEIGHTS, EmbeddedBackend
from backends.embedded.framing import Gray
from backends.training.data import Example, load_examples
from backends.training.finetune import FINE_TUNE_DEFAULTS, FineTuneSettings, fine_tune_embedded
from exports.metrics.bootstrap import Bootstrap
from exports.metrics.box_run import box_run
from exports.metrics.cases import Case
from exports.metrics.paired_precision import COCO_RULE, paired_differences, precisions
from exports.metrics.per_frame import frame_scores
from exports.promotion import compare, decide
from exports.text.resampling import Resampler

KINDS = {"heads": "hc18", "profiles": "fetus_nt"}
AT_IOU_50 = np.array([0.5])
Figure = dict[str, Any]


def gain_turned_up(pixels: Gray) -> Gray:
    """The frame on a machine whose gain is turned up: 0..255 becomes 102..242, dark echoes lifted most."""
    lifted = 0.4 + 0.55 * (pixels / 255.0) ** 0.35
    return np.asarray(np.round(255 * lifted), np.uint8)


def inverted(pixels: Gray) -> Gray:
    """The frame with its gray scale inverted."""
    return np.asarray(255 - pixels, np.uint8)


LOOKS: dict[str, Callable[[Gray], Gray]] = {"gain turned up": gain_turned_up, "inverted": inverted}


def as_shown(examples: Sequence[Example], look: str) -> list[Example]:
    """The frames as the other machine shows them; what is known of them stays."""
    return [replace(example, pixels=LOOKS[look](example.pixels)) for example in examples]


def one_of_each_subject(examples: Sequence[Example], count: int, seed: int) -> list[Example]:
    """At most `count` frames, each of another subject, chosen at random."""
    first: dict[str, Example] = {}
    for example in examples:
        first.setdefault(example.subject, example)
    subjects = sorted(first)
    return [first[subjects[i]] for i in np.random.default_rng(seed).permutation(len(subjects))[:count]]


def frame_and_truth(example: Example) -> tuple[Frame, Correction]:
    """A frame of the workspace with its truth."""
    facts = FrameFacts(source=example.source, subject=f"{example.source}/{example.subject}", split=example.split)
    frame = make_frame(example.pixels, example.name, facts)
    boxes = {name: tuple(box.tolist()) for name, box in example.boxes.items()}
    findings = [Finding(structure=name, box_xyxy=box, origin=Origin.MANUAL) for name, box in boxes.items()]
    if example.mask is not None:
        mask = mask_to_rle(example.mask)
        box = rle_to_box_xyxy(mask)
        findings.append(Finding(structure=HEAD, box_xyxy=box, mask_rle=mask, origin=Origin.MANUAL))
    plane = FIRST_TRIMESTER_PLANE if example.kind == "first_trimester" else example.plane
    return frame, Correction(frame_id=frame.frame_id, reader="truth", findings=tuple(findings), plane=plane)


def corrected_data_set(examples: Sequence[Example], folder: Path) -> Path:
    """A workspace with these frames and corrections, exported; returns the data set's folder."""
    store = Store(folder / "workspace")
    pairs = [frame_and_truth(example) for example in examples]
    for example, (frame, _) in zip(examples, pairs, strict=True):
        save_pixels(example.pixels, store.image_path(frame.frame_id))
    store.add_frames([frame for frame, _ in pairs])
    store.add_corrections([correction for _, correction in pairs])
    store.close()
    export_dataset(folder / "workspace", folder / "data", "corrected", "corrections", (), "rle")
    return folder / "data"


def both_asked(
    old: EmbeddedBackend, new: EmbeddedBackend, examples: Sequence[Example]
) -> tuple[list[Case], list[Case]]:
    """What two versions say of frames, beside the same truth."""
    before, after = list[Case](), list[Case]()
    for example in examples:
        frame, truth = frame_and_truth(example)
        for backend, cases in ((old, before), (new, after)):
            cases.append(Case(frame, truth, backend.predict([LoadedFrame(frame, example.pixels)])[0]))
    return before, after


def raised(old: Sequence[Case], new: Sequence[Case]) -> dict[str, Figure]:
    """New minus old, interval from resampling subjects: Dice of heads, AP at IoU .50 over all structures."""
    figures: dict[str, Figure] = {}
    dice = [[frame_scores(case).get(("dice", HEAD)) for case in cases] for cases in (old, new)]
    units = Resampler([case.unit for case in old])
    if any(value is not None for value in dice[0]):
        difference = units.difference(dice[1], dice[0])
        figures["Dice of heads"] = _figure(units.plain_mean(dice[0]), units.plain_mean(dice[1]), difference)
    before = box_run([case for case in old if not _has_head(case)])
    after = box_run([case for case in new if not _has_head(case)], before.names)
    if before.cases:
        ranked = [run.as_coco(AT_IOU_50) for run in (after, before)]
        (difference,) = paired_differences(ranked[0], ranked[1], COCO_RULE, Bootstrap.of(before.cases))
        once = np.ones((1, len(before.cases)), np.int64)
        values = [float(precisions(one, COCO_RULE, once)[0, 0]) for one in ranked]
        figures["AP at IoU .50, mean of structures"] = _figure(values[1], values[0], difference)
    return figures


def _has_head(case: Case) -> bool:
    return any(finding.structure == HEAD for finding in case.truth.findings)


def _figure(old: float | None, new: float | None, difference: Figure) -> Figure:
    return {"old": old, "new": new, "difference": difference}


def run(
    examples: Sequence[Example],
    kind: str,
    folder: Path,
    *,
    look: str = "gain turned up",
    frames: int = 60,
    seed: int = 0,
    settings: FineTuneSettings = FINE_TUNE_DEFAULTS,
    parent: Path = SHIPPED_WEIGHTS,
) -> Figure:
    """Correct, export, learn, compare; `folder` keeps the workspace, the data set and the new version."""
    source = KINDS[kind]
    pool = [example for example in examples if example.split == "train" and example.source == source]
    data = corrected_data_set(as_shown(one_of_each_subject(pool, frames, seed), look), folder)
    started, processor = time.perf_counter(), time.process_time()
    description = fine_tune_embedded(data, parent, folder / "version", settings=settings, seed=seed)
    seconds = {"wall_s": time.perf_counter() - started, "processor_s": time.process_time() - processor}
    old, new = EmbeddedBackend(parent), EmbeddedBackend(folder / "version")
    held_out = [example for example in examples if example.split == "val"]
    shown = as_shown([example for example in held_out if example.source == source], look)
    gains = raised(*both_asked(old, new, shown))
    comparisons = compare(*both_asked(old, new, held_out), Margins())
    decision, reasons = decide(comparisons)
    return {
        "kind": f"{kind}, {look}",
        "corrected_frames": description["fine_tuned"]["frames"],
        "old": old.model.name,
        "new": new.model.name,
        "training": {key: round(value, 1) for key, value in seconds.items()},
        "raised": gains,
        "others": [one.model_dump(mode="json") for one in comparisons],
        "decision": decision.value,
        "reasons": list(reasons),
        "fine_tuned": description["fine_tuned"],
    }


def table(result: Figure) -> str:
    """The figures as lines of text."""
    lines = [
        f"{result['old']} -> {result['new']}: {result['corrected_frames']} corrected frames of {result['kind']}"
    ]
    lines.append("trained in {wall_s} s, {processor_s} s of them on the processor".format(**result["training"]))
    lines.append("On that kind, held-out subjects:")
    for name, figure in result["raised"].items():
        gap = figure["difference"]
        interval = "{:+.4f} to {:+.4f}".format(*gap["ci95"])
        counted = f"{gap['n']} frames of {gap['subjects']} subjects"
        lines.append(
            f"  {name:34} {figure['old']:.4f} -> {figure['new']:.4f}  {gap['value']:+.4f} ({interval}), {counted}"
        )
    lines.append("On all other held-out frames, as they are:")
    for one in result["others"]:
        interval = "{:+.4f} to {:+.4f}".format(*one["ci95"])
        verdict = "within the margin"
        if one["ci95"][0] <= -one["margin"]:
            verdict = "no loss seen, too few frames to rule it out" if one["is_acceptable"] else "may be worse"
        lines.append(
            f"  {one['measure'] + ' ' + one['what']:34} {one['old']:.4f} -> {one['new']:.4f}  "
            f"{one['difference']:+.4f} ({interval}), margin {one['margin']}: {verdict}, {one['frames']} frames"
        )
    lines.append(f"The gate: {result['decision']}")
    return "\n".join(lines)


def main() -> None:
    """Print the table; keep it with all figures in --out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--kind", choices=KINDS, default="heads")
    parser.add_argument("--look", choices=LOOKS, default="gain turned up")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="where the table and the figures are kept")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        examples, options = load_examples(given.data), {"frames": given.frames, "seed": given.seed}
        result = run(examples, given.kind, Path(folder), look=given.look, **options)
    print(table(result))
    if given.out is not None:
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / f"{given.kind}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        (given.out / f"{given.kind}.txt").write_text(table(result) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
