"""Commands that run the tool as a whole and look at its state."""

from pathlib import Path
from typing import Any

import click

from annotator.cli.root import PATHS, Result, asks_a_model, cli, printing


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(1, 65535), help="Where it listens [9090].")
@click.option("--allow-host", "hosts", multiple=True, help="Another name that readers reach this server by.")
@click.option("--review-only", is_flag=True, help="Only the review panel, from stored predictions: no model.")
@asks_a_model
def serve(host: str, port: int | None, choice: dict[str, Any], **options: Any) -> None:
    """Serve the ML backend for Label Studio at /, the review panel at /review, and /status."""
    from annotator.commands.serving import serve_backend

    serve_backend(click.get_current_context().find_root().params["workspace"], host, port, choice, **options)


@cli.command()
@PATHS
@click.option("--no-browser", is_flag=True, help="Do not open the browser.")
@click.option("--check", is_flag=True, help="Run one whole loop by itself, print what it did, stop all, exit.")
@asks_a_model
@printing
def demo(workspace: Path, **options: Any) -> Result:
    """Run everything on this machine, on simulated frames or on your own."""
    from annotator.commands.demo import run_demo

    return run_demo(workspace, **options)


@cli.command()
@printing
def status(workspace: Path) -> Result:
    """Count what is in the workspace and say how its jobs stand."""
    from annotator.commands.inspecting import show_status

    return show_status(workspace)


@cli.command()
@click.option(
    "--dataset",
    "datasets",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    multiple=True,
    help="A folder that export dataset wrote [all that lie where they were written].",
)
@printing
def verify(workspace: Path, datasets: tuple[Path, ...]) -> Result:
    """Check the audit chain, every row, every image, and every data set version that was written."""
    from annotator.commands.inspecting import verify_workspace

    return verify_workspace(workspace, datasets)


@cli.command()
@printing
def doctor(workspace: Path) -> Result:
    """Say what is missing on this machine, and the command that mends it."""
    from annotator.commands.inspecting import examine_machine

    return examine_machine(workspace)
