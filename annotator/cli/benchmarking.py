"""The command that compares models."""

from pathlib import Path
from typing import Any

import click

from annotator.cli.models import train
from annotator.cli.root import SPLIT, Result, cli, printing


@cli.command("benchmark")
@click.option(
    "--model",
    "models",
    multiple=True,
    required=True,
    help="A model of `models list`, hub id, folder, BASE+ADAPTER, embedded or remote=URL#NAME. Repeat it; the "
    "others are compared with the first.",
)
@SPLIT
@click.option("--limit", type=click.IntRange(min=1), help="At most so many frames, spread over the workspace.")
@click.option("--frames", multiple=True, help="A frame by its id or file name. Repeat it.")
@click.option(
    "--questions",
    "kinds",
    multiple=True,
    type=click.Choice(["fields", "free", "phases"]),
    help="The eight fields, free questions, all phases. Repeat it.  [fields; free with --question]",
)
@click.option("--question", "questions", multiple=True, help="A free question of your own. Repeat it.")
@click.option(
    "--prompt-variant",
    "variants",
    multiple=True,
    type=click.Choice(["plain", "modality"]),
    help="Besides the plain prompts, those with the modality named in front.  [plain]",
)
@click.option("--modality", "sentence", default="This is a fetal ultrasound image.", show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Where the report goes [workspace/exports/benchmark-...]."
)
@click.option("--title", default="Comparison of models", show_default=True)
@click.option("--redo", is_flag=True, help="Ask everything anew.")
@click.option(
    "--limit-seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=600.0,
    show_default=True,
    help="Longest time for the questions about one frame.",
)
@click.option(
    "--max-new-tokens",
    type=click.IntRange(1, 4096),
    default=128,
    show_default=True,
    help="Of an answer to a free question.",
)
@click.option("--profile", type=click.Path(path_type=Path), help="Another prompt profile (TOML).")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1 or mps.")
@click.option("--precision", type=click.Choice(["auto", "bf16", "fp16", "fp32"]), default="auto")
@click.option("--4bit", "four_bit", is_flag=True, help="4-bit weights (CUDA only).")
@click.option("--keypoints", is_flag=True, help="Ask for keypoints too, among all phases.")
@click.option("--allow-upload", is_flag=True, help="Frames may leave this machine for a remote model.")
@printing
def benchmark_command(workspace: Path, **options: Any) -> Result:
    """Ask several models the same about the same frames, and write one HTML page and one Markdown file.

    Each model runs in a process of its own; the same command goes on where it was stopped.
    """
    from annotator.commands.benchmarking import run_benchmark

    return run_benchmark(workspace, options.pop("models"), **options)


@train.command("captioner")
@click.argument("kind", type=click.Choice(["vit_gpt2", "cnn_transformer"]))
@click.option(
    "--data",
    "data_dir",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder that `export conversations` wrote.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Where the model goes [workspace/models/KIND].")
@click.option("--epochs", type=click.IntRange(min=1), help="[40]")
@click.option("--seed", default=0, show_default=True)
@printing
def train_captioner_command(workspace: Path, **options: Any) -> Result:
    """Train a baseline from scratch; `benchmark --model OUT` asks it. A killed training goes on where it was."""
    from annotator.commands.benchmarking_baselines import train_baseline

    return train_baseline(workspace, **options)
