"""`train captioner`: the baselines that a comparison stands on, from exported conversations."""

from pathlib import Path

from annotator.cli import Result
from annotator.commands.workspace import say


def train_baseline(
    workspace: Path, kind: str, data_dir: Path, out: Path | None, *, epochs: int | None = None, seed: int = 0
) -> Result:
    """Train `vit_gpt2` or `cnn_transformer` on a folder that `export conversations` wrote.

    `out` defaults to a folder of that name among the workspace's models; `benchmark --model OUT` asks it.
    """
    from backends.baselines.settings import CaptionerSettings
    from backends.training.captioning import train_captioner

    folder = out or workspace / "models" / kind
    settings = CaptionerSettings(**({"epochs": epochs} if epochs else {}))
    say(f"training {kind} for {settings.epochs} epochs")
    summary = train_captioner(kind, data_dir, folder, settings, seed=seed)  # type: ignore[arg-type]
    first, last = summary["losses"][0], summary["losses"][-1]
    text = f"loss {first:.3f} -> {last:.3f} on {summary['examples']} answers; ask it with --model {folder}"
    return Result({"weights": str(folder), **summary}, text)
