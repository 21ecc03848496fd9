"""Commands that train models."""

from pathlib import Path
from typing import Any

import click

from annotator.cli.root import Result, asks_a_model, cli, printing


@cli.group()
def train() -> None:
    """Train a model."""


@train.command("embedded")
@click.option(
    "--data",
    "data_dir",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder with hc18/, fetus_nt/ and brain_planes/, each with its COCO annotations.json.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Where the weights go [workspace/models/embedded].")
@click.option("--seed", default=0, show_default=True)
@printing
def train_embedded_command(workspace: Path, **options: Any) -> Result:
    """Train the small networks that ship with the tool. A killed training goes on where it was."""
    from annotator.commands.models import train_embedded_networks

    return train_embedded_networks(workspace, **options)


@cli.group("models")
def models_group() -> None:
    """Look at models."""


@models_group.command("check")
@click.argument("name", required=False)
@asks_a_model
@printing
def check_model_command(workspace: Path, **options: Any) -> Result:
    """Load a model, run one simulated frame through all phases, say what works, how fast, in how much memory.

    NAME is a backend (embedded, fada), a model of `models list`, or the hub id or folder of an image-text model.
    """
    from annotator.commands.checking import check_model

    return check_model(workspace, **options)


@models_group.command("list")
@click.option("--family", help="Such as Qwen or InternVL.")
@click.option("--loader", help="transformers, server, gguf, hosted, embedding, teacher, trainable or not_public.")
@click.option("--status", help="Such as todo, tested, proxy_tested or dropped.")
@click.option("--phase", type=click.IntRange(1, 4), help="Phase of the evaluation plan.")
@click.option("--licence", help="Part of a licence's name, such as apache.")
@click.option("--public", is_flag=True, help="Only those whose weights can be had.")
@click.option("--max-memory-gib", type=click.FloatRange(min=0), help="Weights at --precision fit into this.")
@click.option("--precision", type=click.Choice(["bf16", "fp16", "int8", "int4"]), default="bf16", show_default=True)
@click.option("--sort", type=click.Choice(["size", "memory", "name", "score"]), help="[order of the tracker]")
@click.option(
    "--metric", default="eight_fields", show_default=True, help="The one score that is shown and sorted by."
)
@click.option("--markdown", is_flag=True, help="Write the project's tracker.")
@printing
def list_models_command(workspace: Path, **options: Any) -> Result:
    """List the models of the catalog: size, memory, how each loads, licence, status, score."""
    from annotator.commands.catalog import list_models

    return list_models(workspace, **options)


@models_group.command("show")
@click.argument("name")
@printing
def show_model_command(workspace: Path, **options: Any) -> Result:
    """Tell all that is known of one model, and how to ask it. NAME is a name, alias or hub id."""
    from annotator.commands.catalog import show_model

    return show_model(workspace, **options)
