"""A comparison to look at: the embedded model and the two baselines on simulated frames, none of a patient.

The baselines are trained first, small and for a few minutes, on other simulated frames.

    python benchmarks/comparison_of_models.py OUT [--frames 12]
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from annotator.commands.benchmarking import run_benchmark
from annotator.commands.simulated import simulated_frames
from annotator.frames import Pixels, save_pixels
from annotator.schema import Correction, Frame, Interpretation
from annotator.store import Store
from annotator.taxonomy import structure, view
from backends.answers_text import interpretation_to_text, view_to_text
from backends.baselines.settings import CaptionerSettings
from backends.training.captioning import train_captioner

FIRST_TRAINED_ON, FIRST_SHOWN = 2000, 7
SETTINGS = CaptionerSettings(
    image_side_px=64,
    width=96,
    heads=4,
    encoder_layers=1,
    decoder_layers=1,
    dropout=0.0,
    vocabulary=700,
    longest_tokens=160,
    epochs=60,
    batch=12,
    learning_rate=3e-3,
)


def described(count: int, seed: int) -> Iterator[tuple[Pixels, Frame, Correction]]:
    """Simulated frames whose reference is written down too."""
    for pixels, frame, truth in simulated_frames(count, seed):
        yield pixels, frame, truth.model_copy(update={"interpretation": written(truth)})


def written(truth: Correction) -> Interpretation:
    """What a reader would write of a simulated frame."""
    named = ", ".join(dict.fromkeys(structure(item.structure).long_name for item in truth.findings))
    plane = view(truth.plane or "Other").long_name
    return Interpretation(
        anatomical_structures=named,
        imaging_plane=plane,
        biometric_measurements="BPD and HC can be measured" if "trans" in plane else "NT can be measured",
        gestational_age="18-22 weeks" if "trans" in plane else "11-13 weeks",
        image_quality="good",
        normality_assessment="normal",
    )


def write_conversations(folder: Path, count: int) -> None:
    """Write what the baselines learn from."""
    lines = []
    for pixels, frame, truth in described(count, FIRST_TRAINED_ON):
        name = f"images/{frame.frame_id}.png"
        save_pixels(pixels, folder / name)
        assert truth.interpretation is not None
        assert truth.plane is not None
        answers = {"interpret": interpretation_to_text(truth.interpretation), "classify": view_to_text(truth.plane)}
        for task, answer in answers.items():
            message = {"role": "assistant", "content": [{"type": "text", "text": answer}]}
            lines.append(json.dumps({"task": task, "image": name, "messages": [message]}))
    (folder / "conversations.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def fill(workspace: Path, count: int) -> None:
    """Put the frames that are asked about into a new workspace."""
    store = Store(workspace, None)
    for pixels, frame, truth in described(count, FIRST_SHOWN):
        save_pixels(pixels, store.image_path(frame.frame_id))
        store.add_frames([frame])
        store.add_corrections([truth])
    store.close()


def main() -> None:
    """Train, ask, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--frames", type=int, default=12)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_conversations(folder / "data", 24)
        for kind, label in (("vit_gpt2", "ViT-GPT2"), ("cnn_transformer", "CNN-transformer")):
            train_captioner(kind, folder / "data", folder / label, SETTINGS)  # type: ignore[arg-type]
        fill(folder / "workspace", arguments.frames)
        models = [str(folder / "ViT-GPT2"), str(folder / "CNN-transformer"), "embedded"]
        result = run_benchmark(
            folder / "workspace",
            models,
            kinds=["fields", "phases"],
            out=arguments.out,
            title="Two baselines and the embedded model, on simulated frames",
        )
    print(result.text)


if __name__ == "__main__":
    main()
