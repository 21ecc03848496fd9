"""Commands that train models."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from annotator.cli.root import Result, asks_a_model, cli, printing

SEED = click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
FROM = click.option(
    "--from",
    "which",
    type=click.Choice(["corrected", "truth"]),
    default="corrected",
    show_default=True,
    help="Readers' corrections, or the reference standard.",
)
LEAST = click.option("--least", type=click.IntRange(min=1), help="New corrected frames that a training needs [20].")
SET = click.option(
    "--set", "changes", multiple=True, metavar="NAME=VALUE", help="A setting of the trainer; repeat it."
)
QUEUE_ONLY = click.option("--queue-only", is_flag=True, help="Queue it; `serve` or `train resume` work it off.")


def trains(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a training on corrections."""
    for option in reversed((FROM, LEAST, SEED, SET, QUEUE_ONLY)):
        command = option(command)
    return command


@cli.group()
def train() -> None:
    """Train a model."""


@train.command("embedded")
@click.option(
    "--data",
    "data_dir",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="From scratch, on a folder with hc18/, fetus_nt/ and brain_planes/, each with its COCO annotations.json.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="With --data: where the weights go [workspace/models/embedded]."
)
@trains
@printing
def train_embedded_command(workspace: Path, data_dir: Path | None, out: Path | None, **options: Any) -> Result:
    """Fine-tune the small networks on corrected frames. A killed training goes on where it was."""
    if data_dir is not None:
        from annotator.commands.models import train_embedded_networks

        return train_embedded_networks(workspace, data_dir, out, options["seed"])
    from annotator.commands.training import train_on_corrections

    return train_on_corrections(workspace, "embedded", **options)


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


@models_group.command("versions")
@printing
def list_versions_command(workspace: Path) -> Result:
    """List the trained versions: parent, data set, what was decided about each, and which one serves."""
    from annotator.commands.promoting import list_versions

    return list_versions(workspace)


@models_group.command("promote")
@click.argument("name")
@printing
def promote_command(workspace: Path, name: str) -> Result:
    """Hold a trained version against the one that serves, on held-back frames; it serves only if it is no worse."""
    from annotator.commands.promoting import promote

    return promote(workspace, name)


@models_group.command("rollback")
@click.option("--backend", type=click.Choice(["embedded", "fada"]), help="[the one that was promoted last]")
@printing
def rollback_command(workspace: Path, backend: str | None) -> Result:
    """Let the version before serve again; predictions stay as they are."""
    from annotator.commands.promoting import rollback

    return rollback(workspace, backend)
