"""Does the gate keep worse versions out, and let equal ones in? Real networks on held-back frames.

python -m benchmarks.promotion_trials --data DIR --out DIR [--kinds KINDS] [--trials 20] [--each N] [--sigma S]

DIR of --data holds the development data (hc18, fetus_nt, brain_planes, each a folder with `annotations.json`); the
first N frames of each one's split `val` are the frozen set. Every trial is a version that is judged against the
release by `models promote`, and gone back from where it was promoted; KINDS are some of

noisy     noise of --sigma times each matrix's own spread in its weights
shuffled  trained for a few epochs on frames with the labels of other frames
near      noise of 0.02: errors of its own, but no worse on average
copy      the same weights under another name

The decisions go to DIR of --out, a line of JSON each; a run that was stopped goes on after the last of them.
"""

import argparse
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from annotator.commands.importing import import_images
from annotator.commands.promoting import judge, rollback
from annotator.learning import Decision, model_folder
from annotator.schema import ModelVersion
from annotator.settings import read_settings
from annotator.store import Store
from backends.embedded import SHIPPED_WEIGHTS
from backends.embedded.model import content_hash
from tests.worse_models import equal_copy, noisy_copy, train_on_shuffled_labels

SOURCES = ("hc18", "fetus_nt", "brain_planes")
NEAR = 0.02

Maker = Callable[[Path, int], Path]


def makers(sigma: float) -> dict[str, Maker]:
    """How a version of each kind is made: (empty folder, seed) -> folder."""
    return {
        "noisy": lambda out, seed: noisy_copy(SHIPPED_WEIGHTS, out, sigma, seed),
        "shuffled": lambda out, seed: train_on_shuffled_labels(SHIPPED_WEIGHTS, out, seed),
        "near": lambda out, seed: noisy_copy(SHIPPED_WEIGHTS, out, NEAR, seed),
        "copy": lambda out, _: equal_copy(SHIPPED_WEIGHTS, out),
    }


def frozen_frames(workspace: Path, data: Path, each: int | None) -> None:
    """Import the first frames of split `val` of every source with their truth."""
    for source in SOURCES:
        coco = data / source / "annotations.json"
        images = [image for image in json.loads(coco.read_text())["images"] if image["split"] == "val"]
        paths = [data / source / image["file_name"] for image in images[:each]]
        import_images(workspace, paths, source, None, None, None, coco, True)


def trial(store: Store, kind: str, seed: int, make: Maker) -> dict[str, Any]:
    """Make one version, have it judged against the release, and tell what was decided."""
    folder = make(store.workspace / "made", seed)
    digest = content_hash(folder)
    model = ModelVersion(
        name=f"embedded-{digest[:8]}", backend="embedded", base=kind, content_hash=digest, settings={"seed": seed}
    )
    kept = model_folder(store.workspace, model.name)
    kept.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(kept)
    store.add_model_version(model)
    promotion = judge(store, read_settings(), model.name, "benchmark")
    if promotion.decision is Decision.PROMOTED:
        rollback(store.workspace)
    shutil.rmtree(kept)
    return {"kind": kind, "seed": seed, "decision": promotion.decision.value, "reasons": promotion.reasons}


def main() -> None:
    """Run what is missing and sum up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--kinds", default="noisy,shuffled,near,copy")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--each", type=int)
    parser.add_argument("--sigma", type=float, default=0.5)
    options = parser.parse_args()
    workspace, log = options.out / "workspace", options.out / "trials.jsonl"
    if not workspace.exists():
        frozen_frames(workspace, options.data, options.each)
    log.touch()
    done = [json.loads(line) for line in log.read_text().splitlines()]
    store = Store(workspace)
    for kind in options.kinds.split(","):
        for seed in range(1 if kind == "copy" else options.trials):
            if not any((one["kind"], one["seed"]) == (kind, seed) for one in done):
                done.append(trial(store, kind, seed, makers(options.sigma)[kind]))
                with log.open("a") as stream:
                    stream.write(json.dumps(done[-1]) + "\n")
        mine = [one for one in done if one["kind"] == kind]
        refused = sum(one["decision"] == "kept" for one in mine)
        print(f"{kind}: {refused} of {len(mine)} refused")


if __name__ == "__main__":
    main()
